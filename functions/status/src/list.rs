//! `GET /jobs`.

use axum::extract::State;
use domain::job::{Job, JobStatus};
use wire::{Agent, Failure, List, Order, PageRequest, Query, bad_parameter};

use crate::Status;

pub(crate) async fn list(
    Agent(identity): Agent,
    State(status): State<Status>,
    query: Query,
) -> Result<List<Job>, Failure> {
    let filter = query.get("status")?.map(job_status).transpose()?;
    let name = filter.map_or_else(|| "jobs".to_owned(), |filter| format!("jobs?status={}", filter.as_str()));
    let scope = status.cursors.get().await?.scope(&identity.account, &name);
    let request = PageRequest::parse(&query, &scope, Order::Descending)?;
    let now = status.store.ambient().now();
    let page = status.store.list_jobs(&identity.account, filter, &request.query(), now).await?;
    let links = request.links_of(&query, &scope, &page, |job| job.id.to_string());
    Ok(List { items: page.items, links })
}

fn job_status(text: &str) -> Result<JobStatus, Failure> {
    JobStatus::parse(text).ok_or_else(|| {
        let allowed = JobStatus::ALL.map(JobStatus::as_str).join(", ");
        bad_parameter("status", &format!("one of {allowed}"), text)
    })
}
