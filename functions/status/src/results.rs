//! `GET /jobs/{id}/results`: the results of a job's items, in pages.
//!
//! A page reads the chunks that it shows and no others, whatever their number and wherever it stands. The order is that of the chunks, and
//! within each that of the items: by position, but that items which touch one record stand where the first of them does.
//!
//! While a job is processing it has the chunks that are recorded. Of a failed job, items may be in no chunk's results, because nobody ever
//! agreed on anything for them. They come last, as if they were a chunk more: so the order of the others is the same before and after the job
//! failed, and a place means the same. To know which they are, all results are read, as
//! [`show`](crate::show) does, and only for the page that comes to them.

mod csv;

use std::collections::HashSet;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::account::AccountId;
use domain::job::{Job, JobId, JobStatus};
use domain::plan::{Entry, Outcome, size_in_answer};
use domain::problem::{Problem, quoted};
use futures_util::future::try_join_all;
use store::{Jobs, StoreError};
use wire::{Agent, Failure, Links, Order, PageRequest, PathParameters, Query, RenderedList, link_header, preferred};

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
    PathParameters(id): PathParameters<String>,
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
    let jobs = &status.jobs;
    let job = jobs.find_job(job_id.of(&identity.account), jobs.clock().now()).await?.ok_or_else(missing)?;
    let walk = Walk {
        jobs,
        account: &identity.account,
        job: &job,
        success,
        reversed: wanted.descending != wanted.backwards,
        from: wanted.from.as_deref().and_then(Place::parse),
        limit: wanted.limit,
    };
    let mut page = walk.page().await?;
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
    jobs: &'request Jobs,
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
    async fn page(&self) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let chunks = self.chunks();
        for (step, some) in chunks.chunks(CHUNKS_AT_ONCE).enumerate() {
            if step * CHUNKS_AT_ONCE >= CHUNKS_READ {
                break;
            }
            let entries = some.iter().map(|chunk| self.entries(*chunk));
            for (chunk, entries) in some.iter().zip(try_join_all(entries).await?) {
                let is_last = chunks.last() == Some(chunk);
                let edge = if self.reversed { entries.first() } else { entries.last() };
                // Where there is none, the chunk has no results, and nothing of it is left either.
                let position = edge.map_or(0, |entry| entry.position);
                if self.take(&mut found, *chunk, entries, is_last) {
                    return self.without_empty_end(found, &chunks).await;
                }
                found.ahead = (!is_last).then_some(Place { chunk: *chunk, position, is_end: true });
            }
        }
        Ok(found)
    }

    /// The chunks that are ahead, in the order of reading.
    fn chunks(&self) -> Vec<u32> {
        let is_failed = self.job.status == JobStatus::Failed;
        let recorded = self.job.done.iter().copied().filter(|_| !is_failed);
        let all = (0..=self.job.chunks).filter(|_| is_failed);
        let mut chunks: Vec<u32> = recorded.chain(all).filter(|chunk| self.reaches(*chunk)).collect();
        // All of those have failed.
        chunks.retain(|chunk| !(self.is_rest(*chunk) && self.success == Some(true)));
        if self.reversed {
            chunks.reverse();
        }
        chunks
    }

    /// Whether it is that of the items of which nobody knows anything.
    const fn is_rest(&self, chunk: u32) -> bool {
        chunk == self.job.chunks
    }

    async fn entries(&self, chunk: u32) -> Result<Vec<Entry>, StoreError> {
        if self.is_rest(chunk) {
            return self.rest().await;
        }
        let plan = self.jobs.plan(self.job.id.of(self.account).chunk(chunk)).await?;
        Ok(plan.map_or_else(Vec::new, |plan| plan.entries))
    }

    /// The items that are in the results of no chunk.
    async fn rest(&self) -> Result<Vec<Entry>, StoreError> {
        let plans = self.jobs.results(self.job.id.of(self.account)).await?;
        let known: HashSet<u32> = plans.iter().flat_map(|plan| &plan.entries).map(|entry| entry.position).collect();
        let not_applied = |position| Entry::new(position, Outcome::failure(Problem::not_applied()), 0);
        Ok((0..self.job.total).filter(|position| !known.contains(position)).map(not_applied).collect())
    }

    /// A full page, without a place to go on from where only that chunk is ahead which most failed jobs have nothing in.
    async fn without_empty_end(&self, mut found: Found, chunks: &[u32]) -> Result<Found, StoreError> {
        let ends_before_rest = |place: &Place| {
            let ahead = chunks.iter().skip_while(|chunk| **chunk != place.chunk).skip(1);
            place.is_end && ahead.copied().eq([self.job.chunks])
        };
        if found.ahead.as_ref().is_some_and(ends_before_rest) && self.rest().await?.is_empty() {
            found.ahead = None;
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
        let from = self.from.filter(|from| from.chunk == chunk);
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
