//! `GET /jobs`.

use std::fmt::Write;

use axum::extract::State;
use domain::account::usage::RecordKind;
use domain::job::{Job, JobStatus, Operation};
use domain::time::Timestamp;
use store::jobs::{JobFilter, JobsPage};
use wire::{Agent, Failure, List, Order, PageRequest, Query, bad_parameter};

use crate::Status;

pub(crate) async fn list(
    Agent(identity): Agent,
    State(status): State<Status>,
    query: Query,
) -> Result<List<Job>, Failure> {
    let filter = JobFilter {
        status: query.get("status")?.map(job_status).transpose()?,
        // Published clients send the key of an object type, which means nothing here.
        kind: query.get("type")?.and_then(kind),
        action: query.get("action")?.map(action).transpose()?,
        created_after: time(&query, "created_after")?,
        created_before: time(&query, "created_before")?,
    };
    let (keys, name) = (status.cursors.get().await?, name(&filter));
    let scope = keys.scope(&identity.account, &name);
    let request = PageRequest::parse(&query, &scope, Order::Descending)?;
    let now = status.jobs.clock().now();
    let wanted = request.query();
    let JobsPage { page, cut_at } = status.jobs.list_jobs(&identity.account, &filter, &wanted, now).await?;
    let mut next = page.items.last().filter(|_| page.more_after).map(|job| job.id.to_string());
    let mut previous = page.items.first().filter(|_| page.more_before).map(|job| job.id.to_string());
    if let Some(cut_at) = cut_at {
        *(if wanted.backwards { &mut previous } else { &mut next }) = Some(cut_at.to_string());
    }
    let links = request.links(&query, &scope, next, previous);
    Ok(List { items: page.items, links })
}

/// The list's name: a cursor belongs to one.
fn name(filter: &JobFilter) -> String {
    let mut name = "jobs".to_owned();
    let mut add = |member: &str, value: Option<String>| {
        if let Some(value) = value {
            let sign = if name.contains('?') { '&' } else { '?' };
            // Writing to a String never fails.
            let _ = write!(name, "{sign}{member}={value}");
        }
    };
    add("status", filter.status.map(|status| status.as_str().to_owned()));
    add("type", filter.kind.map(|kind| kind.plural().to_owned()));
    add("action", filter.action.map(str::to_owned));
    add("created_after", filter.created_after.map(|at| at.as_millis().to_string()));
    add("created_before", filter.created_before.map(|at| at.as_millis().to_string()));
    name
}

fn job_status(text: &str) -> Result<JobStatus, Failure> {
    JobStatus::parse(text).ok_or_else(|| {
        let allowed = JobStatus::ALL.map(JobStatus::as_str).join(", ");
        bad_parameter("status", &format!("one of {allowed}"), text)
    })
}

fn kind(text: &str) -> Option<RecordKind> {
    RecordKind::ALL.into_iter().find(|kind| kind.plural() == text)
}

fn action(text: &str) -> Result<&'static str, Failure> {
    let mut actions: Vec<&'static str> = Vec::new();
    for operation in Operation::ALL {
        if !actions.contains(&operation.action()) {
            actions.push(operation.action());
        }
    }
    let found = actions.iter().copied().find(|action| *action == text);
    found.ok_or_else(|| bad_parameter("action", &format!("one of {}", actions.join(", ")), text))
}

fn time(query: &Query, name: &str) -> Result<Option<Timestamp>, Failure> {
    let wanted = "a time as 2017-11-03T16:00:06Z";
    query.get(name)?.map(|text| Timestamp::parse(text).ok_or_else(|| bad_parameter(name, wanted, text))).transpose()
}
