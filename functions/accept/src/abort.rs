//! `POST /jobs/{id}/abort`.

use axum::extract::State;
use axum::http::StatusCode;
use domain::job::{JobId, JobStatus, quoted};
use domain::render;
use wire::{Agent, Failure, Rendered, Segments};

use crate::Accept;

pub(crate) async fn abort(
    Agent(identity): Agent,
    State(accept): State<Accept>,
    Segments(id): Segments<String>,
) -> Result<Rendered, Failure> {
    let missing = || Failure::not_found(format!("No job has the id {}", quoted(&id)));
    let job_id = JobId::parse(&id).ok_or_else(missing)?;
    let store = &accept.store;
    let find = async || store.find_job(&identity.account, job_id, store.ambient().now()).await;
    let mut job = find().await?.ok_or_else(missing)?;
    if job.status == JobStatus::Queued {
        if store.abort(&identity.account, job_id, store.ambient().now()).await? {
            telemetry::job_ended(JobStatus::Aborted);
        }
        job = find().await?.ok_or_else(missing)?;
    }
    if job.status == JobStatus::Aborted {
        return Ok(Rendered(StatusCode::OK, render::job(&job, &[]).into()));
    }
    Err(Failure::conflict(format!("A job can be aborted while it is queued, and this one is {}", job.status.as_str())))
}
