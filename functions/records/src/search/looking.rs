//! The reading part of a search: the records that a page has found, and how many more it may look at.

use std::collections::BTreeSet;
use std::time::Instant;

use domain::account::AccountId;
use domain::query::Candidate;
use domain::query::Query as Search;
use domain::query::plan::Within;
use domain::query::{SortBy, Window};
use domain::record::{ObjectRecord, RecordId};
use domain::time::Timestamp;
use domain::types::TypeKey;
use domain::types::indexes::place_of_entry;
use futures_util::future::try_join_all;
use serde_json::Value;
use store::{StoreError, keys};
use wire::Failure;

use super::{
    AT_A_TIME, Listed, PER_PAGE, ROWS_LOOKED_AT, ROWS_SORTED, Stream, TIME, after_all_before, object, place_of,
    too_dear, too_many,
};
use crate::object_records::READ_AT_ONCE;
use crate::paging::PAGE_BYTES;

/// A page of a search that is being read.
pub(super) struct Looking<'request> {
    pub(super) stored: &'request store::Records,
    pub(super) account: &'request AccountId,
    pub(super) search: &'request Search,
    /// The place to go on from; `None` for the first page.
    pub(super) from: Option<String>,
    /// Whether later places are read first.
    pub(super) descending: bool,
    pub(super) limit: usize,
    pub(super) began: Instant,
    pub(super) looked_at: usize,
    /// The records found, with their places, in the order of reading.
    pub(super) found: Vec<(String, ObjectRecord)>,
    pub(super) bytes: usize,
    /// The place of the last record that was looked at.
    pub(super) last: Option<String>,
    /// The place to go on from, where there may be more.
    pub(super) ahead: Option<String>,
}

impl Looking<'_> {
    /// The places of the records whose entries are within these ranges of indexes; `None` when there are more than
    /// `most`.
    pub(super) async fn places(&self, within: &[Within], most: usize) -> Result<Option<Vec<String>>, StoreError> {
        let mut places = Vec::new();
        for Within { key, slot, beginnings } in within {
            for beginning in beginnings {
                let rest = most - places.len();
                // The page still has to be made of them.
                if self.began.elapsed() >= TIME / 2 {
                    return Ok(None);
                }
                let Some(entries) = self.stored.entries_with(self.account, key, *slot, beginning, rest).await? else {
                    return Ok(None);
                };
                places.extend(entries.iter().filter_map(|entry| place_of_entry(entry)).map(str::to_owned));
            }
        }
        Ok(Some(places))
    }

    /// The ids of the records that were updated within the search's range of `_updated_at`; `None` when there are more
    /// than a page looks at.
    pub(super) async fn updated_within(&self, types: &[TypeKey]) -> Result<Option<Vec<RecordId>>, StoreError> {
        let Window { start, end } = self.search.updated_at;
        let at = |time: Option<Timestamp>, otherwise: &str| {
            time.map_or_else(|| otherwise.to_owned(), |at| keys::updated_at(at, RecordId::from_bytes([0; 16])))
        };
        // Places begin with digits.
        let places = (at(start, "0"), at(end, "~"));
        let mut ids = Vec::new();
        for key in types {
            let rest = ROWS_LOOKED_AT - ids.len();
            let Some(found) = self.stored.updated_between(self.account, key, places.clone(), rest).await? else {
                return Ok(None);
            };
            ids.extend(found);
        }
        Ok(Some(ids))
    }

    pub(super) async fn by_id(&mut self, ids: &[RecordId]) -> Result<(), Failure> {
        // An index that trails may name a record twice.
        let ids: Vec<RecordId> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let mut matching = Vec::new();
        for ids in ids.chunks(READ_AT_ONCE) {
            let rows = self.stored.records(self.account, ids.iter().copied()).await?;
            let records = rows.into_values().filter_map(|row| object(row.state)).collect();
            self.match_all(records, &mut matching).await?;
            if self.began.elapsed() >= TIME {
                return Err(too_dear());
            }
        }
        self.cut(matching);
        Ok(())
    }

    /// Looks at the records with these places, in the order of their creation.
    pub(super) async fn by_place(&mut self, places: &[String]) -> Result<(), Failure> {
        let is_ahead = |place: &&String| {
            self.from.as_ref().is_none_or(|from| if self.descending { *place < from } else { *place > from })
        };
        let mut places: Vec<&String> = places.iter().filter(is_ahead).collect();
        places.sort_unstable();
        // An index that trails may name a record twice.
        places.dedup();
        if self.descending {
            places.reverse();
        }
        let mut wanted = (self.limit + 1).min(READ_AT_ONCE);
        let mut rest = places.as_slice();
        while !rest.is_empty() {
            let (these, others) = rest.split_at(wanted.min(rest.len()));
            // What was deleted and made again may still stand at both places.
            let ids: BTreeSet<_> = these.iter().filter_map(|place| keys::read_place(place)).map(|(_, id)| id).collect();
            let rows = self.stored.records(self.account, ids).await?;
            for (read, place) in these.iter().enumerate() {
                let row = keys::read_place(place).and_then(|(_, id)| rows.get(&id).cloned());
                // What was deleted and made again stands elsewhere.
                let record = row.and_then(|row| object(row.state)).filter(|record| self.place_of(record) == **place);
                let is_last = read + 1 == these.len() && others.is_empty();
                if let Some(record) = record
                    && self.take((*place).clone(), record, is_last).await?
                {
                    return Ok(());
                }
            }
            rest = others;
            wanted = (wanted * 2).min(READ_AT_ONCE);
        }
        Ok(())
    }

    /// Looks at a record, and takes it to the page if it matches. Answers whether the page is done; then it is known
    /// where to go on, if anything is left after a record that is not the last.
    pub(super) async fn take(&mut self, place: String, record: ObjectRecord, is_last: bool) -> Result<bool, Failure> {
        if self.is_beyond(&record) {
            self.ahead = None;
            return Ok(true);
        }
        let is_match = self.matches(&record).await?;
        let size = record.attributes.len() + 256;
        // It has its place on the next page.
        if is_match && !self.found.is_empty() && self.bytes + size > PAGE_BYTES {
            self.ahead = self.last.take();
            return Ok(true);
        }
        if is_match {
            self.bytes += size;
            self.found.push((place.clone(), record));
        }
        self.last = Some(place);
        let is_done =
            self.found.len() == self.limit || self.looked_at >= ROWS_LOOKED_AT || self.began.elapsed() >= TIME;
        if is_done && !is_last {
            self.ahead = self.last.take();
        }
        Ok(is_done)
    }

    /// Looks at the records of lists that have the order of the search, merging the lists.
    pub(super) async fn in_order(&mut self, types: &[TypeKey], lists: &[Listed]) -> Result<(), Failure> {
        let from = self.from.clone().or_else(|| self.edge());
        let by = self.search.sort.by;
        let mut streams: Vec<Stream<'_>> =
            types.iter().zip(lists).map(|(key, listed)| Stream::new(key, listed, by, from.clone())).collect();
        // Little at first, since most pages are short and full at once; more where few records match.
        // All types together have hardly more on their way than a page looks at. What an index leads to matches, but for its case.
        let most = READ_AT_ONCE.div_ceil(types.len().max(1)).max(PER_PAGE);
        let least = if lists.iter().any(|listed| matches!(listed, Listed::Indexed { .. })) { 1 } else { PER_PAGE };
        let mut wanted = self.limit.div_ceil(types.len().max(1)).clamp(least, most);
        loop {
            if streams.iter().any(Stream::is_hungry) {
                let (stored, account, descending) = (self.stored, self.account, self.descending);
                let hungry = streams.iter_mut().filter(|stream| stream.is_hungry());
                try_join_all(hungry.map(|stream| stream.feed(stored, account, descending, wanted))).await?;
                wanted = (wanted * 2).min(most);
            }
            let next = streams.iter_mut().filter(|stream| !stream.buffer.is_empty()).min_by(|left, right| {
                let order = left.place().cmp(&right.place());
                if self.descending { order.reverse() } else { order }
            });
            let Some((place, record)) = next.and_then(|stream| stream.buffer.pop_front()) else { return Ok(()) };
            let is_last = streams.iter().all(|stream| stream.buffer.is_empty() && !stream.has_more);
            if self.take(place, record, is_last).await? {
                return Ok(());
            }
        }
    }

    /// The range of the time by which the search is sorted.
    pub(super) const fn window(&self) -> Window {
        match self.search.sort.by {
            SortBy::CreatedAt => self.search.created_at,
            SortBy::UpdatedAt => self.search.updated_at,
        }
    }

    /// The place at which that range begins, in the order of reading.
    pub(super) fn edge(&self) -> Option<String> {
        let Window { start, end } = self.window();
        let (by, lowest) = (self.search.sort.by, RecordId::from_bytes([0; 16]));
        let before = |at: Timestamp| match by {
            SortBy::CreatedAt => keys::listed_at(at, Some(0), lowest),
            SortBy::UpdatedAt => keys::updated_at(at, lowest),
        };
        if self.descending { end.map(before) } else { start.and_then(|at| after_all_before(by, at)) }
    }

    /// Whether this record is behind that range in the order of reading, so that all later ones are too.
    pub(super) fn is_beyond(&self, record: &ObjectRecord) -> bool {
        let Window { start, end } = self.window();
        let at = match self.search.sort.by {
            SortBy::CreatedAt => record.created_at,
            SortBy::UpdatedAt => record.updated_at,
        };
        if self.descending { start.is_some_and(|start| at < start) } else { end.is_some_and(|end| at >= end) }
    }

    pub(super) async fn by_update(&mut self, types: &[TypeKey]) -> Result<(), Failure> {
        let Window { start, end } = self.search.created_at;
        // What was created later was updated later, too.
        let end = end.into_iter().chain(self.search.updated_at.end).min();
        let start = start.and_then(|at| after_all_before(SortBy::CreatedAt, at));
        let mut matching = Vec::new();
        for key in types {
            let mut stream = Stream::new(key, &Listed::Everything, SortBy::CreatedAt, start.clone());
            while stream.has_more {
                stream.feed(self.stored, self.account, false, READ_AT_ONCE).await?;
                let all = stream.buffer.drain(..).map(|(_, record)| record);
                let within: Vec<_> = all.filter(|record| end.is_none_or(|end| record.created_at < end)).collect();
                stream.has_more &= !within.is_empty();
                self.match_all(within, &mut matching).await?;
                if self.looked_at > ROWS_SORTED || self.began.elapsed() >= TIME {
                    return Err(too_many());
                }
            }
        }
        self.cut(matching);
        Ok(())
    }

    /// Adds the records that match, and come after the place where the page begins, to `matching`: no more of them than
    /// a page has.
    pub(super) async fn match_all(
        &mut self,
        records: Vec<ObjectRecord>,
        matching: &mut Vec<(String, ObjectRecord)>,
    ) -> Result<(), Failure> {
        for record in records {
            let is_match = self.matches(&record).await?;
            let place = self.place_of(&record);
            let is_ahead =
                self.from.as_ref().is_none_or(|from| if self.descending { place < *from } else { place > *from });
            if is_match && is_ahead {
                matching.push((place, record));
            }
            if matching.len() > 2 * (self.limit + 1) {
                self.sort(matching);
                matching.truncate(self.limit + 1);
            }
        }
        Ok(())
    }

    pub(super) fn sort(&self, records: &mut [(String, ObjectRecord)]) {
        records.sort_by(|(left, _), (right, _)| if self.descending { right.cmp(left) } else { left.cmp(right) });
    }

    /// Cuts the page out of all records that match.
    pub(super) fn cut(&mut self, mut matching: Vec<(String, ObjectRecord)>) {
        self.sort(&mut matching);
        for (place, record) in matching {
            let size = record.attributes.len() + 256;
            if self.found.len() == self.limit || (!self.found.is_empty() && self.bytes + size > PAGE_BYTES) {
                self.ahead = self.found.last().map(|(place, _)| place.clone());
                return;
            }
            self.bytes += size;
            self.found.push((place, record));
        }
    }

    /// The place of a record in the order of the search.
    pub(super) fn place_of(&self, record: &ObjectRecord) -> String {
        place_of(record, self.search.sort.by)
    }

    pub(super) async fn matches(&mut self, record: &ObjectRecord) -> Result<bool, Failure> {
        self.looked_at += 1;
        if self.looked_at.is_multiple_of(AT_A_TIME) {
            tokio::task::yield_now().await;
        }
        if !self.search.created_at.contains(record.created_at) || !self.search.updated_at.contains(record.updated_at) {
            return Ok(false);
        }
        // What is stored was JSON when it was written.
        let attributes: Value = serde_json::from_str(&record.attributes).map_err(Failure::internal)?;
        Ok(self.search.filter.matches(&Candidate {
            object_type: record.object_type.as_str(),
            external_id: record.external_id.as_deref(),
            id: &record.id.to_string(),
            attributes: &attributes,
        }))
    }
}
