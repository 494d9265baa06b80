//! `POST /objects/query`: the records that a query matches.
//!
//! Three ways lead to them, of which the cheapest that the query allows is taken:
//!
//! - *By id*: where the query says which ids, or which external ids of which types, a match must have. Those rows are read, and no others.
//! - *By creation*: the lists of the types that a match can be of are gone through together, newest or oldest first, within the range of
//!   `_created_at`. A page ends when it is full, or when it has looked at [`ROWS_LOOKED_AT`] records or for [`TIME`]; then `next` goes on behind the
//!   last record that was looked at, and not behind the last that matched. So a page always gets on, and paging to the end shows each
//!   record that stands once: its place in the list of its type never changes.
//! - *By update*: no index has records by their last update, so all records that can match are read and sorted, for each page anew: at most
//!   [`ROWS_SORTED`] of them, else the query is refused.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::account::{AccountId, Role};
use domain::json::read_members;
use domain::limits::QUERY_BODY_BYTES;
use domain::problem::Problem;
use domain::query::{Candidate, Query as Search, SortBy, Window};
use domain::record::{ObjectRecord, RecordId, State as RowState};
use domain::time::Timestamp;
use domain::types::TypeKey;
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
        ahead: None,
    };
    let way = Way::of(&records.store, &caller.account, &search).await?;
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
    let (name, of) = match way {
        Way::Ids(ids) => ("ids", json!({"ids": ids.len()})),
        Way::Created(keys) => ("created_at", json!({"types": types(keys)})),
        Way::Updated(keys) => ("updated_at", json!({"types": types(keys)})),
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
enum Way {
    Ids(Vec<RecordId>),
    Created(Vec<TypeKey>),
    Updated(Vec<TypeKey>),
}

impl Way {
    async fn of(store: &Store, account: &AccountId, search: &Search) -> Result<Self, StoreError> {
        if let Some(ids) = search.ids().filter(|ids| ids.len() <= READ_AT_ONCE) {
            return Ok(Self::Ids(ids.into_iter().collect()));
        }
        // What is no key is the key of no type.
        let named = |types: BTreeSet<String>| types.iter().filter_map(|key| TypeKey::parse(key).ok()).collect();
        let named: Option<Vec<TypeKey>> = search.types().map(named);
        // Of more than there can be, each of which would be looked for in eight parts of an index, those that there are.
        let types = match named {
            Some(types) if types.len() <= TYPES => types,
            named => {
                let defined = store.object_types(account).await?.into_iter().map(|defined| defined.key);
                defined.filter(|key| named.as_ref().is_none_or(|named| named.contains(key))).collect()
            }
        };
        if let Some(external_ids) = search.external_ids()
            && external_ids.len() * types.len() <= READ_AT_ONCE
        {
            let of = |key| external_ids.iter().map(move |id| RecordId::of_external_id(account, key, id));
            return Ok(Self::Ids(types.iter().flat_map(of).collect()));
        }
        Ok(match search.sort.by {
            SortBy::CreatedAt => Self::Created(types),
            SortBy::UpdatedAt => Self::Updated(types),
        })
    }

    async fn go(&self, looking: &mut Looking<'_>) -> Result<(), Failure> {
        if looking.search.is_empty() {
            return Ok(());
        }
        match self {
            Self::Ids(ids) => looking.by_id(ids).await,
            Self::Created(types) => looking.by_creation(types).await,
            Self::Updated(types) => looking.by_update(types).await,
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
    /// Where to go on, where there may be more.
    ahead: Option<String>,
}

impl Looking<'_> {
    async fn by_id(&mut self, ids: &[RecordId]) -> Result<(), Failure> {
        let rows = self.store.records(self.account, ids.iter().copied()).await?;
        let records = rows.into_values().filter_map(|row| object(row.state)).collect();
        let mut matching = Vec::new();
        self.match_all(records, &mut matching).await?;
        self.cut(matching);
        Ok(())
    }

    async fn by_creation(&mut self, types: &[TypeKey]) -> Result<(), Failure> {
        let from = self.from.clone().or_else(|| self.edge());
        let mut streams: Vec<Stream<'_>> = types
            .iter()
            .map(|key| Stream { key, from: from.clone(), buffer: VecDeque::new(), has_more: true })
            .collect();
        // Little at first, since most pages are short and full at once; more where few records match.
        // All types together have hardly more on their way than a page looks at.
        let most = READ_AT_ONCE.div_ceil(types.len().max(1)).max(PER_PAGE + 1);
        let mut wanted = (self.limit + 1).div_ceil(types.len().max(1)).clamp(PER_PAGE + 1, most);
        let mut last = None;
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
            if self.is_beyond(record.created_at) {
                return Ok(());
            }
            let is_match = self.matches(&record).await?;
            let size = record.attributes.len() + 256;
            // It has its place on the next page.
            if is_match && !self.found.is_empty() && self.bytes + size > PAGE_BYTES {
                self.ahead = last;
                return Ok(());
            }
            if is_match {
                self.bytes += size;
                self.found.push((place.clone(), record));
            }
            last = Some(place);
            let is_full = self.found.len() == self.limit;
            if is_full || self.looked_at >= ROWS_LOOKED_AT || self.began.elapsed() >= TIME {
                let is_over = streams.iter().all(|stream| stream.buffer.is_empty() && !stream.has_more);
                self.ahead = last.filter(|_| !is_over);
                return Ok(());
            }
        }
    }

    /// The place where the range of `_created_at` begins, in the order of reading.
    fn edge(&self) -> Option<String> {
        let Window { start, end } = self.search.created_at;
        let before = |at: Timestamp| keys::listed_at(at, Some(0), RecordId::from_bytes([0; 16]));
        if self.descending { end.map(before) } else { start.and_then(after_all_before) }
    }

    /// Whether nothing that was created then, or is read after it, is within the range of `_created_at`.
    fn is_beyond(&self, created_at: Timestamp) -> bool {
        let Window { start, end } = self.search.created_at;
        if self.descending {
            start.is_some_and(|start| created_at < start)
        } else {
            end.is_some_and(|end| created_at >= end)
        }
    }

    async fn by_update(&mut self, types: &[TypeKey]) -> Result<(), Failure> {
        let Window { start, end } = self.search.created_at;
        // What was created later was updated later, too.
        let end = end.into_iter().chain(self.search.updated_at.end).min();
        let start = start.and_then(after_all_before);
        let mut matching = Vec::new();
        for key in types {
            let mut stream = Stream { key, from: start.clone(), buffer: VecDeque::new(), has_more: true };
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
        match self.search.sort.by {
            SortBy::CreatedAt => keys::listed_at(record.created_at, record.position, record.id),
            SortBy::UpdatedAt => format!("{:013}#{}", record.updated_at.as_millis(), record.id),
        }
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

/// The place behind every record that was created before this moment; `None` for the first moment there is. Positions and ids are below it.
fn after_all_before(at: Timestamp) -> Option<String> {
    (at.as_millis() > 0).then(|| keys::listed_at(at.minus_millis(1), None, RecordId::from_bytes([0xff; 16])))
}

fn too_many() -> Failure {
    Failure::unprocessable(format!(
        "Sorting by _updated_at reads every record that can match, at most {ROWS_SORTED} of them, and there are more: \
         name _type, narrow the range of _created_at or _updated_at, or sort by _created_at"
    ))
}

/// The records of one type on their way.
struct Stream<'search> {
    key: &'search TypeKey,
    from: Option<String>,
    buffer: VecDeque<(String, ObjectRecord)>,
    has_more: bool,
}

impl Stream<'_> {
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
        let page = store.list_records(account, TypeKind::Object, self.key, &query, PAGE_BYTES).await?;
        self.has_more = page.more_after;
        let placed = page.items.into_iter().filter_map(|row| object(row.state));
        self.buffer
            .extend(placed.map(|record| (keys::listed_at(record.created_at, record.position, record.id), record)));
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
            service.ambient().advance(1);
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
        service.ambient().advance(1_000);
        let since = service.ambient().now().in_millis().to_string();
        for number in [3, 1, 2] {
            let item = json!({"type": "product", "external_id": number.to_string(), "attributes": {"name": "changed"}});
            assert_eq!(service.send("PATCH", "/objects/records", &json!({"data": item})).await.status, 200);
            service.ambient().advance(1);
        }
        let body =
            json!({"query": {"_type": "product"}, "_updated_at": {"start": since}, "sort_by": "_updated_at asc"});
        let pages = pages(&service, "?per_page=2", &body).await;
        let names: Vec<_> = pages.iter().flat_map(|(page, _)| page.members("external_id")).collect();
        assert_eq!(names, ["3", "1", "2"]);
    }
}
