//! The records of one type in the order of a search, read a page at a time.

use std::collections::VecDeque;

use domain::account::AccountId;
use domain::query::SortBy;
use domain::record::ObjectRecord;
use domain::types::TypeKey;
use store::StoreError;
use store::keys::TypeKind;
use store::page::PageQuery;

use super::{Listed, object, place_of};
use crate::paging::PAGE_BYTES;

/// A reader of one list of records, a page at a time.
pub(super) struct Stream<'search> {
    pub(super) key: &'search TypeKey,
    pub(super) listed: &'search Listed,
    pub(super) by: SortBy,
    pub(super) from: Option<String>,
    pub(super) buffer: VecDeque<(String, ObjectRecord)>,
    pub(super) has_more: bool,
}

impl<'search> Stream<'search> {
    pub(super) const fn new(key: &'search TypeKey, listed: &'search Listed, by: SortBy, from: Option<String>) -> Self {
        Self { key, listed, by, from, buffer: VecDeque::new(), has_more: true }
    }

    pub(super) fn is_hungry(&self) -> bool {
        self.buffer.is_empty() && self.has_more
    }

    pub(super) fn place(&self) -> Option<&str> {
        self.buffer.front().map(|(place, _)| place.as_str())
    }

    pub(super) async fn feed(
        &mut self,
        stored: &store::Records,
        account: &AccountId,
        descending: bool,
        wanted: usize,
    ) -> Result<(), StoreError> {
        let query = PageQuery { from: self.from.take(), backwards: false, descending, limit: wanted };
        let page = match self.listed {
            Listed::Everything => stored.list_records(account, TypeKind::Object, self.key, &query, PAGE_BYTES).await?,
            Listed::Indexed { slot, beginnings } => {
                stored.list_indexed(account, self.key, *slot, beginnings, &query, PAGE_BYTES).await?
            }
            Listed::Updates => stored.list_updated(account, self.key, &query, PAGE_BYTES).await?,
        };
        self.has_more = page.more_after;
        let placed = page.items.into_iter().filter_map(|row| object(row.state));
        self.buffer.extend(placed.map(|record| (place_of(&record, self.by), record)));
        self.from = self.buffer.back().map(|(place, _)| place.clone());
        Ok(())
    }
}
