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

mod looking;
mod stream;
mod way;

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::account::Role;
use domain::limits::QUERY_BODY_BYTES;
use domain::problem::Problem;
use domain::query::{Query as Search, SortBy};
use domain::record::{ObjectRecord, RecordId, State as RowState};
use domain::request::json::read_members;
use domain::time::Timestamp;
use domain::types::TypeKey;
use http::StatusCode;
use serde_json::{Value, json};
use store::keys::{self};
use wire::{Agent, Data, Failure, JsonBody, List, PageRequest, Query};

use self::looking::Looking;
use self::stream::Stream;
use self::way::{Listed, Route, Way};
use crate::Records;

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
        stored: &records.stored,
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
    let way = Way::of(&records.catalog, &looking).await?;
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

#[cfg(test)]
mod tests;
