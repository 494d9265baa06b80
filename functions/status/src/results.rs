//! `GET /jobs/{id}/results`: what came of each item, in pages.
//!
//! A page reads the chunks that it shows and no others, whatever their number and wherever it stands. The order is that of the chunks, and
//! within each that of the items: by position, but that items which touch one record stand where the first of them does.
//!
//! While a job is processing it has the chunks that are recorded. Of a failed job, items may be in no chunk's results, because nobody ever
//! agreed on anything for them. To know which, all results are read, as [`show`](crate::show) does.

mod csv;

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::account::AccountId;
use domain::job::{Job, JobId, JobStatus, quoted};
use domain::outcome::{Entry, Outcome, Plan, size_in_answer};
use domain::problem::Problem;
use futures_util::future::try_join_all;
use store::{Store, StoreError};
use wire::{Agent, Failure, Links, Order, PageRequest, Query, RenderedList, Segments, link_header, preferred};

use crate::Status;

/// Chunks of which a page reads the results at once. Two of 500 items are the largest page.
const CHUNKS_AT_ONCE: usize = 2;

/// Chunks of which a page reads the results at the most. Where few items are wanted it may then have fewer than it might: 24 chunks are the 20 of
/// an ordinary job of 10,000 items, and some.
const CHUNKS_READ: usize = 24;

/// What the items of a page may take, as they stand in an answer. As bytes, which lines are, a third comes to it.
const PAGE_BYTES: usize = 4_000_000;

/// The media types of an answer, the first of which is what nobody has to ask for.
const FORMS: [&str; 3] = ["application/json", "application/x-ndjson", "text/csv"];

pub(crate) async fn results(
    Agent(identity): Agent,
    State(status): State<Status>,
    Segments(id): Segments<String>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let missing = || Failure::not_found(format!("No job has the id {}", quoted(&id)));
    let job_id = JobId::parse(&id).ok_or_else(missing)?;
    let success = query.flag("success")?;
    let (keys, name) = (status.cursors.get().await?, name(job_id, success));
    let scope = keys.scope(&identity.account, &name);
    let request = PageRequest::parse(&query, &scope, Order::Ascending)?;
    let wanted = request.query();
    let store = &status.store;
    let job = store.find_job(&identity.account, job_id, store.ambient().now()).await?.ok_or_else(missing)?;
    let walk = Walk {
        store,
        account: &identity.account,
        job: &job,
        success,
        reversed: wanted.descending != wanted.backwards,
        from: wanted.from.as_deref().and_then(Place::parse),
        limit: wanted.limit,
    };
    let mut page = if job.status == JobStatus::Failed { walk.all().await? } else { walk.recorded().await? };
    let first = page.entries.first().map(|(place, _)| place.to_string());
    let links = request.links_of_walk(&query, &scope, first, page.ahead.map(|place| place.to_string()));
    if wanted.backwards {
        page.entries.reverse();
    }
    Ok(render(&page.entries, links, preferred(&headers, FORMS), walk.from.is_none()))
}

/// The list's name: a cursor belongs to one.
fn name(job: JobId, success: Option<bool>) -> String {
    format!("results/{job}{}", success.map_or_else(String::new, |success| format!("?success={success}")))
}

/// Where an item stands among the results of a job.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Place {
    chunk: u32,
    position: u32,
    /// Whether nothing of the chunk comes after it, in the order of reading: then the chunk need not be read again.
    is_end: bool,
}

impl Place {
    const END: char = '!';

    fn parse(text: &str) -> Option<Self> {
        let (chunk, position) = text.split_once('.')?;
        let is_end = position.ends_with(Self::END);
        let position = position.trim_end_matches(Self::END).parse().ok()?;
        Some(Self { chunk: chunk.parse().ok()?, position, is_end })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.chunk, self.position)?;
        if self.is_end { write!(formatter, "{}", Self::END) } else { Ok(()) }
    }
}

/// The way through the results of a job from a place on.
struct Walk<'request> {
    store: &'request Store,
    account: &'request AccountId,
    job: &'request Job,
    /// Only those that succeeded, or only those that failed.
    success: Option<bool>,
    /// From the last towards the first.
    reversed: bool,
    /// Without it, from the beginning.
    from: Option<Place>,
    limit: usize,
}

/// What a walk has found, in its own order.
#[derive(Default)]
struct Found {
    entries: Vec<(Place, Entry)>,
    /// What they take in an answer.
    bytes: usize,
    /// Where to go on, when there may be more.
    ahead: Option<Place>,
}

impl Walk<'_> {
    /// From the chunks that are recorded.
    async fn recorded(&self) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let mut chunks: Vec<u32> = self.job.done.iter().copied().filter(|chunk| self.reaches(*chunk)).collect();
        if self.reversed {
            chunks.reverse();
        }
        for (step, some) in chunks.chunks(CHUNKS_AT_ONCE).enumerate() {
            if step * CHUNKS_AT_ONCE >= CHUNKS_READ {
                break;
            }
            let plans = some.iter().map(|chunk| self.store.plan(self.account, self.job.id, *chunk));
            for (chunk, plan) in some.iter().zip(try_join_all(plans).await?) {
                // What is recorded has a plan.
                let entries = plan.unwrap_or_else(|| Plan::empty(self.job.created_at)).entries;
                let is_last = chunks.last() == Some(chunk);
                let edge = if self.reversed { entries.first() } else { entries.last() };
                let end = edge.map(|entry| Place { chunk: *chunk, position: entry.position, is_end: true });
                if self.take(&mut found, *chunk, entries, is_last) {
                    return Ok(found);
                }
                found.ahead = if is_last { None } else { end.or(found.ahead) };
            }
        }
        Ok(found)
    }

    /// Whether something of the chunk is still ahead.
    fn reaches(&self, chunk: u32) -> bool {
        self.from.is_none_or(|from| {
            let is_after = if self.reversed { chunk < from.chunk } else { chunk > from.chunk };
            is_after || (chunk == from.chunk && !from.is_end)
        })
    }

    /// From all that is known, with what nobody knows anything of.
    async fn all(&self) -> Result<Found, StoreError> {
        let not_applied = |position| (position, Entry::new(position, Outcome::failure(Problem::not_applied()), 0));
        let mut by_position: BTreeMap<u32, Entry> = (0..self.job.total).map(not_applied).collect();
        let plans = self.store.results(self.account, self.job.id).await?;
        by_position.extend(plans.into_iter().flat_map(|plan| plan.entries).map(|entry| (entry.position, entry)));
        let mut found = Found::default();
        // A place of a chunk was given out before the job had failed. Its position says where to go on all the same.
        self.take(&mut found, 0, by_position.into_values().collect(), true);
        Ok(found)
    }

    /// Takes what is wanted of a chunk's items. Answers whether the page is full.
    fn take(&self, found: &mut Found, chunk: u32, mut entries: Vec<Entry>, is_last: bool) -> bool {
        if self.reversed {
            entries.reverse();
        }
        let mut entries = entries.into_iter().filter(|entry| self.wants(chunk, entry)).peekable();
        while let Some(entry) = entries.next() {
            let mut json = Vec::new();
            entry.render_with_position(&mut json);
            found.bytes += size_in_answer(&json) + 1;
            let place = Place { chunk, position: entry.position, is_end: false };
            found.entries.push((place, entry));
            if found.entries.len() >= self.limit || found.bytes >= PAGE_BYTES {
                let is_end = entries.peek().is_none();
                found.ahead = (!is_end || !is_last).then_some(Place { is_end, ..place });
                return true;
            }
        }
        false
    }

    fn wants(&self, chunk: u32, entry: &Entry) -> bool {
        let from = self.from.filter(|from| from.chunk == chunk || self.job.status == JobStatus::Failed);
        let is_ahead = from.is_none_or(|from| {
            if self.reversed { entry.position < from.position } else { entry.position > from.position }
        });
        is_ahead && self.success.is_none_or(|success| success == entry.outcome.is_success())
    }
}

fn render(found: &[(Place, Entry)], links: Links, form: &'static str, is_first: bool) -> Response {
    let entries = found.iter().map(|(_, entry)| entry);
    let body = match form {
        "text/csv" => csv::write(entries, is_first),
        "application/x-ndjson" => {
            let mut lines = Vec::new();
            for entry in entries {
                entry.render_with_position(&mut lines);
                lines.push(b'\n');
            }
            lines
        }
        _ => {
            let mut items = vec![b'['];
            for (order, entry) in entries.enumerate() {
                if order > 0 {
                    items.push(b',');
                }
                entry.render_with_position(&mut items);
            }
            items.push(b']');
            return vary(RenderedList { items, links }.into_response());
        }
    };
    let form = if form == "text/csv" { "text/csv; charset=utf-8; header=present" } else { form };
    let mut answer = (StatusCode::OK, [(header::CONTENT_TYPE, form)], body).into_response();
    if let Some(links) = link_header(&links) {
        answer.headers_mut().insert(header::LINK, links);
    }
    vary(answer)
}

fn vary(mut answer: Response) -> Response {
    answer.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    answer
}
