//! `GET /jobs/{id}`.

use axum::extract::State;
use axum::http::StatusCode;
use domain::job::{JobId, quoted};
use domain::render;
use wire::{Agent, Failure, Rendered, Segments};

use crate::Status;

pub(crate) async fn show(
    Agent(identity): Agent,
    State(status): State<Status>,
    Segments(id): Segments<String>,
) -> Result<Rendered, Failure> {
    let missing = || Failure::not_found(format!("No job has the id {}", quoted(&id)));
    let job_id = JobId::parse(&id).ok_or_else(missing)?;
    let store = &status.store;
    let job = store.find_job(&identity.account, job_id, store.ambient().now()).await?.ok_or_else(missing)?;
    let results = if job.status.shows_results() { store.results(&identity.account, job_id).await? } else { Vec::new() };
    Ok(Rendered(StatusCode::OK, render::job(&job, &results).into()))
}
