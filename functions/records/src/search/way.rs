//! The choice of how a search finds records: by id, through an index, by last update, or through the types in order.

use std::collections::BTreeSet;

use domain::query::plan::Within;
use domain::query::{IndexPlan, SortBy};
use domain::record::RecordId;
use domain::types::TypeKey;
use domain::types::indexes::UPDATED_AT;
use store::{Catalog, StoreError, keys};
use wire::Failure;

use super::{ENTRIES_SORTED, Looking, ROWS_LOOKED_AT, TYPES};
use crate::object_records::READ_AT_ONCE;

/// A way to find the records that can match.
pub(super) struct Way {
    /// The types whose records can match.
    pub(super) types: Vec<TypeKey>,
    /// The path of the attribute whose index is used, or `_updated_at`.
    pub(super) index: Option<String>,
    pub(super) route: Route,
}

pub(super) enum Route {
    Ids(Vec<RecordId>),
    /// Lists in the order of the search, each of the records of one type.
    InOrder(Vec<Listed>),
    /// Places of records in the order of their creation; the places themselves are unordered.
    Places(Vec<String>),
    /// All records of the types, which have to be sorted.
    Sorted,
}

/// A list of records of one type.
pub(super) enum Listed {
    /// All records, by creation.
    Everything,
    /// The records whose entries in the index of this slot begin with one of `beginnings`, by creation.
    Indexed { slot: usize, beginnings: Vec<String> },
    /// All records, by last update.
    Updates,
}

impl Way {
    pub(super) async fn of(catalog: &Catalog, looking: &Looking<'_>) -> Result<Self, StoreError> {
        let Looking { account, search, .. } = *looking;
        // Nothing is asked of a span that has no time in it: the database would refuse.
        if search.is_empty() {
            return Ok(Self { types: Vec::new(), index: None, route: Route::Ids(Vec::new()) });
        }
        if let Some(ids) = search.ids().filter(|ids| ids.len() <= READ_AT_ONCE) {
            return Ok(Self { types: Vec::new(), index: None, route: Route::Ids(ids.into_iter().collect()) });
        }
        // What is no key is the key of no type.
        let named = |types: BTreeSet<String>| types.iter().filter_map(|key| TypeKey::parse(key).ok()).collect();
        let named: Option<Vec<TypeKey>> = search.types().map(named);
        let asks_of_indexes = search.asks_of_indexes();
        let mut defined = None;
        // Of more than there can be, each of which would be looked for in eight parts of an index, those that there are.
        let types = match named {
            Some(types) if types.len() <= TYPES => {
                if asks_of_indexes {
                    defined = Some(catalog.named_object_types(account, &types).await?);
                }
                types
            }
            named => {
                let mut all = catalog.object_types(account).await?;
                all.retain(|defined| named.as_ref().is_none_or(|named| named.contains(&defined.key)));
                let types = all.iter().map(|defined| defined.key.clone()).collect();
                defined = Some(all);
                types
            }
        };
        if let Some(external_ids) = search.external_ids()
            && external_ids.len() * types.len() <= READ_AT_ONCE
        {
            let of = |key| external_ids.iter().map(move |id| RecordId::of_external_id(account, key, id));
            let ids = types.iter().flat_map(of).collect();
            return Ok(Self { types, index: None, route: Route::Ids(ids) });
        }
        if asks_of_indexes && let Some(defined) = defined {
            let indexed: Vec<_> = defined.into_iter().map(|defined| (defined.key, defined.filled)).collect();
            for plan in search.index_plans(&indexed) {
                if let Some(way) = Self::through(looking, plan).await? {
                    return Ok(way);
                }
            }
        }
        let route = match search.sort.by {
            SortBy::CreatedAt => Route::InOrder(types.iter().map(|_| Listed::Everything).collect()),
            SortBy::UpdatedAt => Route::Sorted,
        };
        Ok(Self { types, index: None, route })
    }

    /// Finds the way through indexes; `None` when it would be too long.
    pub(super) async fn through(looking: &Looking<'_>, plan: IndexPlan) -> Result<Option<Self>, StoreError> {
        let by = looking.search.sort.by;
        Ok(match plan {
            IndexPlan::Values { path, within } if by == SortBy::CreatedAt => {
                let types = within.iter().map(|within| within.key.clone()).collect();
                let listed = |within: Within| Listed::Indexed { slot: within.slot, beginnings: within.beginnings };
                let route = Route::InOrder(within.into_iter().map(listed).collect());
                Some(Self { types, index: Some(path), route })
            }
            IndexPlan::Values { path, within } | IndexPlan::Prefix { path, within } => {
                let most = if by == SortBy::CreatedAt { ENTRIES_SORTED } else { ROWS_LOOKED_AT };
                let Some(places) = looking.places(&within, most).await? else { return Ok(None) };
                let route = match by {
                    SortBy::CreatedAt => Route::Places(places),
                    SortBy::UpdatedAt => {
                        let id = |place: &String| keys::read_place(place).map(|(_, id)| id);
                        Route::Ids(places.iter().filter_map(id).collect())
                    }
                };
                let types = within.into_iter().map(|within| within.key).collect();
                Some(Self { types, index: Some(path), route })
            }
            IndexPlan::Updates(types) => {
                let route = match by {
                    SortBy::UpdatedAt => Some(Route::InOrder(types.iter().map(|_| Listed::Updates).collect())),
                    SortBy::CreatedAt => looking.updated_within(&types).await?.map(Route::Ids),
                };
                route.map(|route| Self { types, index: Some(UPDATED_AT.to_owned()), route })
            }
        })
    }

    pub(super) async fn go(&self, looking: &mut Looking<'_>) -> Result<(), Failure> {
        match &self.route {
            Route::Ids(ids) => looking.by_id(ids).await,
            Route::InOrder(lists) => looking.in_order(&self.types, lists).await,
            Route::Places(places) => looking.by_place(places).await,
            Route::Sorted => looking.by_update(&self.types).await,
        }
    }
}
