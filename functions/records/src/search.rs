//! `POST /objects/query`: the records that a query matches.
//!
//! Five ways lead to them, of which the cheapest that the query and the indexes of its types allow is taken:
//!
//! - *By id*: where the query says which ids, or which external ids of which types, a match must have. Those rows are read, and no others.
//! - *By an index of an attribute*: where the types have one, and a match must have one of a few values of it, or begin so. Of values,
//!   the entries are in the order of creation and are gone through as far as the page goes. Of what begins alike all entries are read first,
//!   which hold no more than keys: at most [`ENTRIES_SORTED`]; where there are more, the next way is taken.
//! - *By the index of the last update*: in that order as far as the page goes; or, sorted by creation, where a span of time has at most
//!   [`ROWS_LOOKED_AT`] records, those.
//! - *By creation*: the lists of the types that a match can be of are gone through together, newest or oldest first, within the range of
//!   `_created_at`.
//! - *By update without an index*: all records that can match are read and sorted, for each page anew: at most [`ROWS_SORTED`] of them, else the
//!   query is refused.
//!
//! A page that goes through records in the order of the search ends when it is full, or when it has looked at [`ROWS_LOOKED_AT`] records or for
//! [`TIME`]; then `next` goes on behind the last record that was looked at, and not behind the last that matched. So a page always gets on, and paging
//! to the end shows each record that stands once. A cursor is a place in the order of the search and not on a way: a page may take
//! another way than the one before.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::account::{AccountId, Role};
use domain::limits::QUERY_BODY_BYTES;
use domain::problem::Problem;
use domain::query::plan::Within;
use domain::query::{Candidate, IndexPlan, Query as Search, SortBy, Window};
use domain::record::{ObjectRecord, RecordId, State as RowState};
use domain::request::json::read_members;
use domain::time::Timestamp;
use domain::types::TypeKey;
use domain::types::indexes::{UPDATED_AT, place_of_entry};
use futures_util::future::try_join_all;
use http::StatusCode;
use serde_json::{Value, json};
use store::keys::{self, TypeKind};
use store::page::PageQuery;
use store::{Store, StoreError};
use wire::{Agent, Data, Failure, JsonBody, List, PageRequest, Query};

use crate::Records;
use crate::object_records::READ_AT_ONCE;
use crate::paging::PAGE_BYTES;

/// Records of a page, unless the request says otherwise: as published.
const PER_PAGE: usize = 10;

/// Records that one page looks at, whether they match or not.
const ROWS_LOOKED_AT: usize = 2_000;

/// Records that a search by update reads, of which each page sorts all that match.
const ROWS_SORTED: usize = 10_000;

/// Entries of an index that a page reads before it reads records: some 200 bytes each, so at most some 90 read units. Where there are more,
/// many records match, so that a page finds its own soon by going through all of them.
const ENTRIES_SORTED: usize = 2_000;

/// Types that a query may name without having them looked up: as many as an account can have.
const TYPES: usize = 50;

/// How long one page looks. An everyday query takes microseconds a record and is never stopped by it; the dearest takes a tenth of a second.
const TIME: Duration = Duration::from_secs(6);

/// Records between which other requests have their turn.
const AT_A_TIME: usize = 16;

/// `POST /objects/query`
pub(crate) async fn search(
    Agent(caller): Agent,
    State(records): State<Records>,
    parameters: Query,
    JsonBody(body): JsonBody<QUERY_BODY_BYTES>,
) -> Result<Response, Failure> {
    let mut search = Search::parse(&body, None)?;
    let explain = parameters.flag("explain")?.unwrap_or(false);
    if explain && caller.role != Role::Admin {
        return Err(Failure::forbidden("Only admins may have a search explained"));
    }
    let (keys, name) = (records.cursors.get().await?, list_name(&body)?);
    let scope = keys.scope(&caller.account, &name);
    let request = PageRequest::parse_with(&parameters, &scope, search.sort.order, PER_PAGE)?;
    search.sort.order = request.order;
    let wanted = request.query();
    let mut looking = Looking {
        store: &records.store,
        account: &caller.account,
        search: &search,
        from: wanted.from,
        descending: wanted.descending != wanted.backwards,
        limit: wanted.limit,
        began: Instant::now(),
        looked_at: 0,
        found: Vec::new(),
        bytes: 0,
        last: None,
        ahead: None,
    };
    let way = Way::of(&looking).await?;
    way.go(&mut looking).await?;
    if explain {
        return Ok(Data(StatusCode::OK, explained(&way, &looking)).into_response());
    }
    let Looking { mut found, ahead, .. } = looking;
    let first = found.first().map(|(place, _)| place.clone());
    let links = request.links_of_walk(&parameters, &scope, first, ahead);
    if wanted.backwards {
        found.reverse();
    }
    Ok(List { items: found.into_iter().map(|(_, record)| record).collect(), links }.into_response())
}

/// The list's name: a cursor belongs to one query, however its members are ordered.
fn list_name(body: &serde_json::value::RawValue) -> Result<String, Problem> {
    let mut query = read_members(body, ["query", "_created_at", "_updated_at", "sort_by"])?;
    query.sort_all_objects();
    Ok(format!("objects/query?{query}"))
}

fn explained(way: &Way, looking: &Looking<'_>) -> Value {
    let types = |types: &[TypeKey]| types.iter().map(|key| key.as_str().to_owned()).collect::<Vec<_>>();
    let by = match looking.search.sort.by {
        SortBy::CreatedAt => "created_at",
        SortBy::UpdatedAt => "updated_at",
    };
    let (name, of) = match &way.route {
        _ if way.index.is_some() => ("index", json!({"types": types(&way.types), "index": way.index})),
        Route::Ids(ids) => ("ids", json!({"ids": ids.len()})),
        Route::InOrder(_) | Route::Places(_) | Route::Sorted => (by, json!({"types": types(&way.types)})),
    };
    json!({
        "plan": name,
        "of": of,
        "records_read": looking.looked_at,
        "records_found": looking.found.len(),
        "has_more": looking.ahead.is_some(),
    })
}

/// How the records that can match are come by.
struct Way {
    /// Of which they can be.
    types: Vec<TypeKey>,
    /// The path of the attribute whose index is used, or `_updated_at`.
    index: Option<String>,
    route: Route,
}

enum Route {
    Ids(Vec<RecordId>),
    /// Lists that have the order of the search, each of one of the types.
    InOrder(Vec<Listed>),
    /// Places of records in the order of their creation, in no order.
    Places(Vec<String>),
    /// Everything of the types, which is not in the order of the search.
    Sorted,
}

/// A list of records of one type.
enum Listed {
    /// All of them, by creation.
    Everything,
    /// Those with entries in the index of this slot that begin so, by creation.
    Indexed { slot: usize, beginnings: Vec<String> },
    /// All of them, by update.
    Updates,
}

impl Way {
    async fn of(looking: &Looking<'_>) -> Result<Self, StoreError> {
        let Looking { store, account, search, .. } = *looking;
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
                    defined = Some(store.named_object_types(account, &types).await?);
                }
                types
            }
            named => {
                let mut all = store.object_types(account).await?;
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

    /// The way through indexes, if it is short enough.
    async fn through(looking: &Looking<'_>, plan: IndexPlan) -> Result<Option<Self>, StoreError> {
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

    async fn go(&self, looking: &mut Looking<'_>) -> Result<(), Failure> {
        match &self.route {
            Route::Ids(ids) => looking.by_id(ids).await,
            Route::InOrder(lists) => looking.in_order(&self.types, lists).await,
            Route::Places(places) => looking.by_place(places).await,
            Route::Sorted => looking.by_update(&self.types).await,
        }
    }
}

/// A page on its way.
struct Looking<'request> {
    store: &'request Store,
    account: &'request AccountId,
    search: &'request Search,
    /// The place to go on from.
    from: Option<String>,
    /// Whether later places are read first.
    descending: bool,
    limit: usize,
    began: Instant,
    looked_at: usize,
    /// With their places, in the order of reading.
    found: Vec<(String, ObjectRecord)>,
    bytes: usize,
    /// The place of the last record that was looked at.
    last: Option<String>,
    /// Where to go on, where there may be more.
    ahead: Option<String>,
}

impl Looking<'_> {
    /// The places of the records that have such entries; `None` when there are more than `most`.
    async fn places(&self, within: &[Within], most: usize) -> Result<Option<Vec<String>>, StoreError> {
        let mut places = Vec::new();
        for Within { key, slot, beginnings } in within {
            for beginning in beginnings {
                let rest = most - places.len();
                // The page still has to be made of them.
                if self.began.elapsed() >= TIME / 2 {
                    return Ok(None);
                }
                let Some(entries) = self.store.entries_with(self.account, key, *slot, beginning, rest).await? else {
                    return Ok(None);
                };
                places.extend(entries.iter().filter_map(|entry| place_of_entry(entry)).map(str::to_owned));
            }
        }
        Ok(Some(places))
    }

    /// The records that were updated within the range of `_updated_at`; `None` when there are more than a page looks at.
    async fn updated_within(&self, types: &[TypeKey]) -> Result<Option<Vec<RecordId>>, StoreError> {
        let Window { start, end } = self.search.updated_at;
        let at = |time: Option<Timestamp>, otherwise: &str| {
            time.map_or_else(|| otherwise.to_owned(), |at| keys::updated_at(at, RecordId::from_bytes([0; 16])))
        };
        // Places begin with digits.
        let places = (at(start, "0"), at(end, "~"));
        let mut ids = Vec::new();
        for key in types {
            let rest = ROWS_LOOKED_AT - ids.len();
            let Some(found) = self.store.updated_between(self.account, key, places.clone(), rest).await? else {
                return Ok(None);
            };
            ids.extend(found);
        }
        Ok(Some(ids))
    }

    async fn by_id(&mut self, ids: &[RecordId]) -> Result<(), Failure> {
        // An index that trails may name a record twice.
        let ids: Vec<RecordId> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let mut matching = Vec::new();
        for ids in ids.chunks(READ_AT_ONCE) {
            let rows = self.store.records(self.account, ids.iter().copied()).await?;
            let records = rows.into_values().filter_map(|row| object(row.state)).collect();
            self.match_all(records, &mut matching).await?;
            if self.began.elapsed() >= TIME {
                return Err(too_dear());
            }
        }
        self.cut(matching);
        Ok(())
    }

    /// Goes through records whose places are known, in the order of their creation.
    async fn by_place(&mut self, places: &[String]) -> Result<(), Failure> {
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
            let rows = self.store.records(self.account, ids).await?;
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

    /// Takes a record to the page if it matches. Answers whether the page is done; then it is known where to go on, if anything is left
    /// after a record that is not the last.
    async fn take(&mut self, place: String, record: ObjectRecord, is_last: bool) -> Result<bool, Failure> {
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

    /// Goes through lists that have the order of the search together.
    async fn in_order(&mut self, types: &[TypeKey], lists: &[Listed]) -> Result<(), Failure> {
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
                let (store, account, descending) = (self.store, self.account, self.descending);
                let hungry = streams.iter_mut().filter(|stream| stream.is_hungry());
                try_join_all(hungry.map(|stream| stream.feed(store, account, descending, wanted))).await?;
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

    /// The span of the time by which the search is sorted.
    const fn window(&self) -> Window {
        match self.search.sort.by {
            SortBy::CreatedAt => self.search.created_at,
            SortBy::UpdatedAt => self.search.updated_at,
        }
    }

    /// The place where that span begins, in the order of reading.
    fn edge(&self) -> Option<String> {
        let Window { start, end } = self.window();
        let (by, lowest) = (self.search.sort.by, RecordId::from_bytes([0; 16]));
        let before = |at: Timestamp| match by {
            SortBy::CreatedAt => keys::listed_at(at, Some(0), lowest),
            SortBy::UpdatedAt => keys::updated_at(at, lowest),
        };
        if self.descending { end.map(before) } else { start.and_then(|at| after_all_before(by, at)) }
    }

    /// Whether neither this record, nor any that is read after it, is within that span.
    fn is_beyond(&self, record: &ObjectRecord) -> bool {
        let Window { start, end } = self.window();
        let at = match self.search.sort.by {
            SortBy::CreatedAt => record.created_at,
            SortBy::UpdatedAt => record.updated_at,
        };
        if self.descending { start.is_some_and(|start| at < start) } else { end.is_some_and(|end| at >= end) }
    }

    async fn by_update(&mut self, types: &[TypeKey]) -> Result<(), Failure> {
        let Window { start, end } = self.search.created_at;
        // What was created later was updated later, too.
        let end = end.into_iter().chain(self.search.updated_at.end).min();
        let start = start.and_then(|at| after_all_before(SortBy::CreatedAt, at));
        let mut matching = Vec::new();
        for key in types {
            let mut stream = Stream::new(key, &Listed::Everything, SortBy::CreatedAt, start.clone());
            while stream.has_more {
                stream.feed(self.store, self.account, false, READ_AT_ONCE).await?;
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

    /// Adds those that match, and are ahead of where the page begins, to `matching`: no more of them than a page has.
    async fn match_all(
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

    fn sort(&self, records: &mut [(String, ObjectRecord)]) {
        records.sort_by(|(left, _), (right, _)| if self.descending { right.cmp(left) } else { left.cmp(right) });
    }

    /// Cuts the page out of what matches.
    fn cut(&mut self, mut matching: Vec<(String, ObjectRecord)>) {
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

    /// Where a record stands in the order of the search.
    fn place_of(&self, record: &ObjectRecord) -> String {
        place_of(record, self.search.sort.by)
    }

    async fn matches(&mut self, record: &ObjectRecord) -> Result<bool, Failure> {
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

fn object(state: RowState) -> Option<ObjectRecord> {
    match state {
        RowState::Object(record) => Some(record),
        RowState::Relationship(_) | RowState::Tombstone => None,
    }
}

/// Where a record stands in a list by either time.
fn place_of(record: &ObjectRecord, by: SortBy) -> String {
    match by {
        SortBy::CreatedAt => keys::listed_at(record.created_at, record.position, record.id),
        SortBy::UpdatedAt => keys::updated_at(record.updated_at, record.id),
    }
}

/// The place behind every record of an earlier time; `None` for the first moment there is. Positions and ids are below it.
fn after_all_before(by: SortBy, at: Timestamp) -> Option<String> {
    let highest = RecordId::from_bytes([0xff; 16]);
    let before = || at.minus_millis(1);
    (at.as_millis() > 0).then(|| match by {
        SortBy::CreatedAt => keys::listed_at(before(), None, highest),
        SortBy::UpdatedAt => keys::updated_at(before(), highest),
    })
}

fn too_many() -> Failure {
    Failure::unprocessable(format!(
        "Sorting by _updated_at reads every record that can match, at most {ROWS_SORTED} of them, and there are more: \
         name _type, narrow the range of _created_at or _updated_at, sort by _created_at, or have the types' schemas name \
         _updated_at in x-indexed"
    ))
}

fn too_dear() -> Failure {
    Failure::unprocessable(format!(
        "The query takes longer than {} seconds with the records that it has to look at: ask for fewer ids or values, or of fewer attributes",
        TIME.as_secs()
    ))
}

/// The records of one list on their way.
struct Stream<'search> {
    key: &'search TypeKey,
    listed: &'search Listed,
    by: SortBy,
    from: Option<String>,
    buffer: VecDeque<(String, ObjectRecord)>,
    has_more: bool,
}

impl<'search> Stream<'search> {
    const fn new(key: &'search TypeKey, listed: &'search Listed, by: SortBy, from: Option<String>) -> Self {
        Self { key, listed, by, from, buffer: VecDeque::new(), has_more: true }
    }

    fn is_hungry(&self) -> bool {
        self.buffer.is_empty() && self.has_more
    }

    fn place(&self) -> Option<&str> {
        self.buffer.front().map(|(place, _)| place.as_str())
    }

    async fn feed(
        &mut self,
        store: &Store,
        account: &AccountId,
        descending: bool,
        wanted: usize,
    ) -> Result<(), StoreError> {
        let query = PageQuery { from: self.from.take(), backwards: false, descending, limit: wanted };
        let page = match self.listed {
            Listed::Everything => store.list_records(account, TypeKind::Object, self.key, &query, PAGE_BYTES).await?,
            Listed::Indexed { slot, beginnings } => {
                store.list_indexed(account, self.key, *slot, beginnings, &query, PAGE_BYTES).await?
            }
            Listed::Updates => store.list_updated(account, self.key, &query, PAGE_BYTES).await?,
        };
        self.has_more = page.more_after;
        let placed = page.items.into_iter().filter_map(|row| object(row.state));
        self.buffer.extend(placed.map(|record| (place_of(&record, self.by), record)));
        self.from = self.buffer.back().map(|(place, _)| place.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Reply, Service};

    /// A service with so many records of each of these types, one a millisecond, whose name is `rare` for one in a hundred.
    async fn stocked(types: &[&str], records: usize) -> Service {
        let service = Service::start().await;
        for key in types {
            service.define(key).await;
        }
        for number in 0..records {
            for key in types {
                let name = if number % 100 == 50 { "rare" } else { "common" };
                service.put(key, Some(&number.to_string()), json!({"name": name})).await;
            }
            service.clock().advance(1);
        }
        // What cursors are signed with is made and read once.
        service.send("POST", "/objects/query?per_page=1", &json!({"query": {"_type": types[0]}})).await;
        service
    }

    /// Every page of a search, with the read units and the requests of each.
    async fn pages(service: &Service, parameters: &str, body: &Value) -> Vec<(Reply, f64)> {
        let meter = service.store().meter();
        let mut path = format!("/objects/query{parameters}");
        let mut pages = Vec::new();
        loop {
            let before = meter.read();
            let reply = service.send("POST", &path, body).await;
            let reads = (meter.read() - before).reads;
            let next = reply.link("next");
            pages.push((reply, reads.table_units + reads.index_units));
            match next {
                Some(next) => path = next.strip_prefix("/api/sunshine").unwrap().to_owned(),
                None => return pages,
            }
            assert!(pages.len() < 1_000, "the search does not end");
        }
    }

    fn found(pages: &[(Reply, f64)]) -> Vec<String> {
        pages.iter().flat_map(|(page, _)| page.members("id")).map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn a_page_costs_the_same_from_the_first_to_the_last() {
        let service = stocked(&["product"], 400).await;
        let pages = pages(&service, "?per_page=10", &json!({"query": {"_type": "product", "name": "common"}})).await;
        assert_eq!(found(&pages).len(), 396);
        let costs: Vec<f64> = pages[..pages.len() - 2].iter().map(|(_, units)| *units).collect();
        // Half a unit for each of eight shards, once or twice, and one for each record that is looked at, which are 11 and then 22 more at the most.
        assert!(costs.iter().all(|units| *units <= 8.0 * 0.5 * 4.0 + 11.0 + 22.0), "{costs:?}");
        let (most, least) = (costs.iter().copied().fold(0.0, f64::max), costs.iter().copied().fold(f64::MAX, f64::min));
        assert!(most - least <= 30.0, "{costs:?}");
        assert!(costs.iter().sum::<f64>() / f64::from(38) <= 20.0, "{costs:?}");
    }

    #[tokio::test]
    async fn what_is_named_by_id_is_read_and_nothing_else() {
        let service = stocked(&["product", "shop"], 60).await;
        let id = service.put("product", Some("another"), json!({"name": "rare"})).await;
        for (query, units) in [
            (json!({"_id": id.to_string()}), 1.0),
            (json!({"_type": "product", "_external_id": {"$in": ["1", "2", "none"]}}), 3.0),
            (json!({"_id": {"$in": []}}), 0.0),
        ] {
            let pages = pages(&service, "", &json!({"query": query})).await;
            assert_eq!((pages.len(), pages[0].1), (1, units), "{query}");
        }
    }

    #[tokio::test]
    async fn a_page_looks_at_so_many_and_goes_on_from_there() {
        let service = stocked(&["product"], 2_300).await;
        let body = json!({"query": {"_type": "product", "name": "rare"}});
        let all = pages(&service, "?per_page=100", &body).await;
        // The first has looked at as many as it may, and is not full.
        assert_eq!(all.len(), 2);
        assert!(all[0].0.members("id").len() < 23 && all[0].1 < 2_000.0 * 1.0 + 400.0, "{}", all[0].1);
        assert_eq!(found(&all).len(), 23);
        let nothing = json!({"query": {"_type": "product", "name": "nothing"}});
        let empty = pages(&service, "", &nothing).await;
        assert_eq!((empty.len(), found(&empty).len()), (2, 0));
        // And a range of the creation is no way through what is outside of it.
        let start = Timestamp::from_millis(1_509_724_806_123 + 1_000).in_millis().to_string();
        let end = Timestamp::from_millis(1_509_724_806_123 + 1_100).in_millis().to_string();
        for order in ["asc", "desc"] {
            let body = json!({"query": {"_type": "product"}, "_created_at": {"start": start, "end": end}});
            let within = pages(&service, &format!("?per_page=1000&order={order}"), &body).await;
            assert_eq!((within.len(), found(&within).len()), (1, 100));
            assert!(within[0].1 < 8.0 * 2.0 + 400.0 * 1.2, "{order}: {}", within[0].1);
        }
    }

    #[tokio::test]
    async fn nobody_learns_anything_of_another_account() {
        let service = stocked(&["product"], 30).await;
        let stranger = service.as_stranger();
        let id = service.put("product", Some("another"), json!({"name": "rare"})).await.to_string();
        for query in [json!({}), json!({"_type": "product"}), json!({"_id": id}), json!({"name": "rare"})] {
            let reply = stranger.send("POST", "/objects/query", &json!({"query": query})).await;
            assert_eq!(reply.text, r#"{"data":[],"links":{"next":null,"previous":null}}"#, "{query}");
        }
        let body = json!({"query": {"_type": "product"}});
        let next = service.send("POST", "/objects/query?per_page=1", &body).await.link("next").unwrap();
        let theirs = stranger.send("POST", next.strip_prefix("/api/sunshine").unwrap(), &body).await;
        theirs.check_error(400, "BadRequest", "cursor");
    }

    #[tokio::test]
    async fn a_search_by_update_reads_no_more_than_it_may() {
        let service = stocked(&["product"], 40).await;
        service.clock().advance(1_000);
        let since = service.clock().now().in_millis().to_string();
        for number in [3, 1, 2] {
            let item = json!({"type": "product", "external_id": number.to_string(), "attributes": {"name": "changed"}});
            assert_eq!(service.send("PATCH", "/objects/records", &json!({"data": item})).await.status, 200);
            service.clock().advance(1);
        }
        let body =
            json!({"query": {"_type": "product"}, "_updated_at": {"start": since}, "sort_by": "_updated_at asc"});
        let pages = pages(&service, "?per_page=2", &body).await;
        let names: Vec<_> = pages.iter().flat_map(|(page, _)| page.members("external_id")).collect();
        assert_eq!(names, ["3", "1", "2"]);
    }

    /// A service with so many records of a type that has indexes, one a millisecond; one in a hundred is rare.
    async fn indexed(records: usize) -> Service {
        let service = Service::start().await;
        let schema = json!({
            "properties": {"name": {"type": "string"}, "size": {"type": "number"}},
            "x-indexed": ["name", "size", "_updated_at"],
        });
        let defined =
            service.send("POST", "/objects/types", &json!({"data": {"key": "product", "schema": schema}})).await;
        assert_eq!(defined.status, 201, "{defined:?}");
        for number in 0..records {
            let name = if number % 100 == 50 { format!("Rare {}", number % 3) } else { format!("common {number}") };
            service.put("product", Some(&number.to_string()), json!({"name": name, "size": number % 2})).await;
            service.clock().advance(1);
        }
        service.send("POST", "/objects/query?per_page=1", &json!({"query": {"_type": "product"}})).await;
        service
    }

    /// The external ids that a search finds, page by page, and the plan that an admin is told.
    async fn found_by(service: &Service, parameters: &str, body: &Value) -> (Vec<String>, Vec<f64>, String) {
        let pages = pages(service, parameters, body).await;
        let ids = pages.iter().flat_map(|(page, _)| page.members("external_id")).map(str::to_owned).collect();
        let explained = service.as_admin().send("POST", "/objects/query?explain=true", body).await;
        let plan = explained.json["data"]["plan"].as_str().unwrap_or_else(|| panic!("{explained:?}")).to_owned();
        (ids, pages.iter().map(|(_, units)| *units).collect(), plan)
    }

    #[tokio::test]
    async fn an_indexed_value_is_found_among_many_by_reading_what_is_shown_and_one_more() {
        let service = indexed(2_300).await;
        let meter = service.store().meter();
        for order in ["asc", "desc"] {
            let body = json!({"query": {"_type": "product", "name": "Rare 0"}});
            let (found, units, plan) = found_by(&service, &format!("?per_page=3&order={order}"), &body).await;
            let mut expected: Vec<String> = (0..2_300)
                .filter(|number| number % 100 == 50 && number % 3 == 0)
                .map(|number| number.to_string())
                .collect();
            if order == "desc" {
                expected.reverse();
            }
            assert_eq!((found, plan.as_str()), (expected, "index"));
            // The type, half a unit for each of eight parts, and the records: those that are shown and one more.
            assert!(units.iter().all(|units| *units <= 1.0 + 8.0 * 0.5 + 4.0), "{units:?}");
        }
        let before = meter.read();
        service
            .send("POST", "/objects/query?per_page=3", &json!({"query": {"_type": "product", "name": "Rare 0"}}))
            .await;
        assert!((meter.read() - before).reads.table_units <= 1.0 + 4.0, "the type, and four records");
        for (query, expected) in [
            (json!({"name": {"$in": ["Rare 1", "RARE 2", "nothing"]}}), "index"),
            (json!({"name": {"$prefix": "rare"}}), "index"),
            (json!({"name": {"$prefix": "rare"}, "size": 0}), "index"),
            (json!({"name": "nothing"}), "index"),
            (json!({"name": {"$in": []}}), "index"),
            (json!({"name": {"$contains": "are"}}), "created_at"),
            (json!({"$or": [{"name": "Rare 1"}, {"size": 7}]}), "created_at"),
            (json!({"name": {"$prefix": "common 21"}, "size": {"$gte": 1}}), "index"),
        ] {
            for order in ["asc", "desc"] {
                let body = json!({"query": {"$and": [{"_type": "product"}, query]}});
                let (found, _, plan) = found_by(&service, &format!("?per_page=7&order={order}"), &body).await;
                assert_eq!(plan, expected, "{query}");
                // The same without the help of an index: it cannot help where a branch has nothing to do with it.
                let body = json!({"query": {"$or": [{"$and": [{"_type": "product"}, query]}, {"_id": "none"}]}});
                let (all, _, plan) = found_by(&service, &format!("?per_page=1000&order={order}"), &body).await;
                assert_eq!((found, plan.as_str()), (all, "created_at"), "{query}");
            }
        }
    }

    #[tokio::test]
    async fn what_was_updated_since_is_found_without_reading_the_rest() {
        let service = indexed(300).await;
        let since = service.clock().now().in_millis().to_string();
        let mut changed = Vec::new();
        for number in (0..300).step_by(29) {
            service.clock().advance(1);
            let item = json!({"type": "product", "external_id": number.to_string(), "attributes": {"size": 7}});
            assert_eq!(service.send("PATCH", "/objects/records", &json!({"data": item})).await.status, 200);
            changed.push(number.to_string());
        }
        for (sort, expected) in
            [("_updated_at asc", changed.clone()), ("_updated_at desc", changed.iter().rev().cloned().collect())]
        {
            let body = json!({"query": {"_type": "product"}, "_updated_at": {"start": since}, "sort_by": sort});
            let (found, units, plan) = found_by(&service, "?per_page=4", &body).await;
            assert_eq!((found, plan.as_str()), (expected, "index"), "{sort}");
            // The type, eight parts once or twice, and hardly more records than are shown.
            assert!(units.iter().all(|units| *units <= 1.0 + 2.0 * 8.0 * 0.5 + 13.0), "{units:?}");
        }
        let body = json!({"query": {"_type": "product"}, "_updated_at": {"start": since}});
        let (found, _, plan) = found_by(&service, "?per_page=4&order=asc", &body).await;
        assert_eq!((found, plan.as_str()), (changed.clone(), "index"));
        // By an attribute and in the order of updates.
        let body = json!({"query": {"_type": "product", "size": 7}, "sort_by": "_updated_at asc"});
        let (found, units, plan) = found_by(&service, "?per_page=20", &body).await;
        assert_eq!((found, plan.as_str(), units.len()), (changed, "index", 1));
        // A span with no time in it has nothing.
        let body = json!({"query": {"_type": "product", "size": 7}, "_updated_at": {"start": since, "end": "2017-01-01T00:00:00Z"}});
        assert_eq!(found_by(&service, "", &body).await.0.len(), 0);
        // All of them, which no search by update without an index could sort beyond ten thousand.
        let body = json!({"query": {"_type": "product"}, "sort_by": "_updated_at desc"});
        let (found, _, _) = found_by(&service, "?per_page=50", &body).await;
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 300);
        assert_eq!(found.len(), 300);
    }

    /// What the documentation says that indexes cost, in write units of the indexes, by the database's own count.
    #[tokio::test]
    async fn an_entry_costs_a_unit_and_a_change_of_it_two() {
        let service = indexed(1).await;
        let meter = service.store().meter();
        let units = async |external_id: &str, attributes: Value, status: u16| {
            let before = meter.read();
            let item = json!({"type": "product", "external_id": external_id, "attributes": attributes});
            service.clock().advance(1);
            assert_eq!(service.send("PATCH", "/objects/records", &json!({"data": item})).await.status, status);
            (meter.read() - before).writes.index_units.to_string()
        };
        // One in the list of the type, two attributes, and the last update.
        assert_eq!(units("new", json!({"name": "a", "size": 1}), 201).await, "4");
        // The last update alone changes with every write: one taken away, one made.
        assert_eq!(units("new", json!({"name": "a"}), 200).await, "2");
        assert_eq!(units("new", json!({"name": "b"}), 200).await, "4");
        assert_eq!(units("new", json!({"size": null}), 200).await, "3");
        assert_eq!(units("plain", json!({}), 201).await, "2");
        let before = meter.read();
        assert_eq!(service.delete("/objects/records?type=product&external_id=new").await.status, 204);
        assert_eq!((meter.read() - before).writes.index_units.to_string(), "3");
    }

    /// Entries follow the records: a value that was changed, taken away or deleted is not found any more, and another one is.
    #[tokio::test]
    async fn entries_follow_what_becomes_of_a_record() {
        let service = indexed(3).await;
        let find = async |query: Value| {
            let (found, _, plan) =
                found_by(&service, "", &json!({"query": {"$and": [{"_type": "product"}, query]}})).await;
            assert_eq!(plan, "index");
            found
        };
        let set = async |attributes: Value| {
            let item = json!({"type": "product", "external_id": "1", "attributes": attributes});
            assert_eq!(service.send("PATCH", "/objects/records", &json!({"data": item})).await.status, 200);
        };
        assert_eq!(find(json!({"name": "common 1"})).await, ["1"]);
        set(json!({"name": "Other"})).await;
        assert_eq!((find(json!({"name": "common 1"})).await.len(), find(json!({"name": "Other"})).await.len()), (0, 1));
        assert_eq!(find(json!({"name": "other"})).await.len(), 0, "equality is with case");
        assert_eq!(find(json!({"name": {"$prefix": "oTh"}})).await, ["1"]);
        set(json!({"name": null})).await;
        assert_eq!(
            (find(json!({"name": "Other"})).await.len(), find(json!({"size": 1.0})).await),
            (0, vec!["1".to_owned()])
        );
        assert_eq!(service.delete("/objects/records?type=product&external_id=1").await.status, 204);
        assert_eq!(find(json!({"size": 1})).await.len(), 0);
        service.put("product", Some("1"), json!({"size": 1})).await;
        assert_eq!(find(json!({"size": 1})).await, ["1"]);
    }

    /// An index that a type is given later is used once it is filled, and one that is taken away or moved is not used any more.
    #[tokio::test]
    async fn an_index_is_used_only_while_it_has_every_record() {
        let service = Service::start().await;
        service.define("product").await;
        service.put("product", Some("1"), json!({"name": "a"})).await;
        let body = json!({"query": {"_type": "product", "name": "a"}});
        let replace = async |indexed: Option<Value>| {
            let mut schema = json!({"properties": {"name": {"type": "string"}, "size": {"type": "number"}}});
            if let Some(indexed) = indexed {
                schema["x-indexed"] = indexed;
            }
            let replaced = service.send("PUT", "/objects/types/product", &json!({"data": {"schema": schema}})).await;
            assert_eq!(replaced.status, 200, "{replaced:?}");
            replaced.json["data"]["indexes"].clone()
        };
        let plan = async || found_by(&service, "", &body).await;
        assert_eq!(replace(Some(json!(["name"]))).await, json!([{"name": "name", "ready": false}]));
        assert_eq!(plan().await.2, "created_at");
        assert_eq!(service.store().fillings().await.unwrap().len(), 1);
        let fill = async || {
            let filling = service.store().fillings().await.unwrap().remove(0);
            let defined = service.store().object_type(service.account(), &filling.key).await.unwrap().unwrap();
            assert!(service.store().indexes_are_filled(&filling, &defined).await.unwrap());
            service.store().end_filling(&filling).await.unwrap();
        };
        fill().await;
        assert_eq!(plan().await.2, "index");
        assert_eq!(replace(Some(json!(["name", "size"]))).await[0], json!({"name": "name", "ready": true}));
        assert_eq!(plan().await.2, "index");
        assert_eq!(replace(Some(json!(["size", "name"]))).await[1], json!({"name": "name", "ready": false}));
        assert_eq!(plan().await.2, "created_at");
        fill().await;
        assert_eq!(plan().await.2, "index");
        assert_eq!(replace(None).await, Value::Null);
        assert_eq!(plan().await.2, "created_at");
        // Asked for again, it has to be filled again.
        assert_eq!(replace(Some(json!(["size", "name"]))).await[1]["ready"], json!(false));
        // A type that is defined with an index has no record that it could lack.
        let schema = json!({"properties": {"name": {"type": "string"}}, "x-indexed": ["name"]});
        let defined = service.send("POST", "/objects/types", &json!({"data": {"key": "shop", "schema": schema}})).await;
        assert_eq!(defined.json["data"]["indexes"], json!([{"name": "name", "ready": true}]));
    }

    /// Paging through a type that others write meanwhile shows each record that stands once, by every way, and costs the same from the
    /// first page to the last. `SUNDIAL_SEARCH_RECORDS` takes another number of records.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn pages_are_whole_and_flat_while_others_write() {
        let records = std::env::var("SUNDIAL_SEARCH_RECORDS").map_or(2_000, |count| count.parse().unwrap());
        let service = indexed(records).await;
        let body =
            |query: &Value, sort: &str| json!({"query": {"$and": [{"_type": "product"}, query]}, "sort_by": sort});
        // One in ten is written again and again, and others come and go: what stands is shown, and once.
        let stands = |id: &str| id.parse::<usize>().is_ok_and(|number| number % 10 != 0 && number < records);
        let done = std::sync::atomic::AtomicBool::new(false);
        let writing = async {
            let mut round = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                round += 1;
                let number = (round * 7_919 * 10) % records;
                let item = json!({"type": "product", "external_id": number.to_string(), "attributes": {"size": round}});
                assert!(service.send("PATCH", "/objects/records", &json!({"data": item})).await.status < 300);
                let id = service
                    .put("product", Some(&format!("passing {round}")), json!({"name": "Rare 0", "size": 1}))
                    .await;
                service.remove(id).await;
                service.clock().advance(1);
            }
            round
        };
        let reading = async {
            for (what, query, sort, expected) in [
                ("all", json!({}), "_created_at asc", records * 9 / 10),
                ("rare by index", json!({"name": "Rare 0"}), "_created_at desc", 0),
                ("one in two by index", json!({"size": 1}), "_created_at asc", records / 2),
                ("all by update", json!({}), "_updated_at asc", records * 9 / 10),
            ] {
                let (mut path, body) = ("/objects/query?per_page=100".to_owned(), body(&query, sort));
                let (mut shown, mut pages) = (Vec::new(), 0);
                loop {
                    let reply = service.send("POST", &path, &body).await;
                    assert_eq!(reply.status, 200, "{reply:?}");
                    shown.extend(reply.members("external_id").into_iter().filter(|id| stands(id)).map(str::to_owned));
                    pages += 1;
                    let Some(next) = reply.link("next") else { break };
                    path = next.strip_prefix("/api/sunshine").unwrap().to_owned();
                    assert!(pages <= 20 + records / 50, "{what}: the search does not end");
                }
                let distinct: BTreeSet<_> = shown.iter().collect();
                assert_eq!(distinct.len(), shown.len(), "{what}: one is shown twice");
                if expected > 0 {
                    assert_eq!(shown.len(), expected, "{what}");
                }
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        };
        let (rounds, ()) = tokio::join!(writing, reading);
        assert!(rounds > 10, "others write meanwhile");

        // What each page costs, with nobody else there.
        for (query, sort, most) in [
            // Two reads of each eighth of the type's list and the records, or the index's; and the type.
            (json!({}), "_created_at asc", 101.0 + 16.0),
            (json!({"size": 1}), "_created_at asc", 101.0 + 16.0),
            (json!({}), "_updated_at asc", 101.0 + 16.0),
            (json!({"name": "Rare 0"}), "_created_at asc", 101.0 + 16.0),
        ] {
            let costs: Vec<f64> =
                pages(&service, "?per_page=100", &body(&query, sort)).await.iter().map(|(_, units)| *units).collect();
            let greatest = costs.iter().copied().fold(0.0, f64::max);
            let first = costs.first().copied().unwrap_or_default();
            eprintln!("{query} {sort}: {} pages, {first} read units the first, {greatest} the dearest", costs.len());
            assert!(greatest <= most, "{query} {sort}: {costs:?}");
        }
    }
}
