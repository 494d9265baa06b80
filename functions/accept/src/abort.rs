//! `POST /jobs/{id}/abort`.

use axum::extract::State;
use axum::http::StatusCode;
use domain::account::AccountId;
use domain::job::render;
use domain::job::{Job, JobId, JobStatus};
use domain::problem::quoted;
use store::rows::JobRow;
use store::{Jobs, StoreError};
use wire::{Agent, Failure, PathParameters, Rendered};

use crate::Accept;

/// Aborts a job that is queued; stops one that is processing, so that no further chunk of it is begun. Chunks that are
/// under way are finished, and the job ends when the others have found out, each when it is delivered: see `consume`.
pub(crate) async fn abort(
    Agent(identity): Agent,
    State(accept): State<Accept>,
    PathParameters(id): PathParameters<String>,
) -> Result<Rendered, Failure> {
    let missing = || Failure::not_found(format!("No job has the id {}", quoted(&id)));
    let job_id = JobId::parse(&id).ok_or_else(missing)?;
    let job = stopped(&accept.jobs, &identity.account, job_id).await?.ok_or_else(missing)?;
    let status = match job.status {
        JobStatus::Aborted => StatusCode::OK,
        JobStatus::Completed | JobStatus::Failed if job.abort_requested => StatusCode::OK,
        JobStatus::Processing if job.abort_requested => StatusCode::ACCEPTED,
        status => {
            let detail =
                format!("A job can be aborted while it is queued or processing, and this one is {}", status.as_str());
            return Err(Failure::conflict(detail));
        }
    };
    let results = accept.jobs.shown_results(&identity.account, &job).await?;
    Ok(Rendered(status, render::job(&job, &results).into()))
}

/// Stops a job that is under way, and answers with it as it then stands. It may be started or end at any moment: then it is looked at
/// again, and as a job leaves each state once, not more often than there are states.
async fn stopped(jobs: &Jobs, account: &AccountId, id: JobId) -> Result<Option<Job>, StoreError> {
    loop {
        let Some(job) = jobs.find_job(id.of(account), jobs.clock().now()).await? else { return Ok(None) };
        match job.status {
            JobStatus::Queued => {
                if jobs.abort(id.of(account), jobs.clock().now()).await? {
                    telemetry::job_ended(JobStatus::Aborted);
                }
            }
            JobStatus::Processing if !job.abort_requested => {
                if let Some(JobRow::Job(stopped)) = jobs.stop(id.of(account), jobs.clock().now()).await?
                    && stopped.abort_requested
                {
                    return Ok(Some(stopped));
                }
            }
            JobStatus::Processing | JobStatus::Completed | JobStatus::Failed | JobStatus::Aborted => {
                return Ok(Some(job));
            }
        }
    }
}
