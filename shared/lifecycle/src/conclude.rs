//! Recording a chunk on its job, and the steps that follow: the next chunk of a chain, and the end of the job.

use domain::account::AccountId;
use domain::job::{Job, JobStatus, Stop};
use domain::plan::{Entry, Outcome, Plan};
use domain::problem::{Code, Problem};
use store::jobs::Results;
use store::queue::{Outgoing, Queue};
use store::rows::JobRow;
use store::{Jobs, StoreError};
use telemetry::TraceContext;

use crate::Postponed;

/// Notes on its job that a chunk's results are recorded, and answers with the job after it; `None` when it is not
/// processing any more. With `trouble` the job will end `failed`, for that reason; or because it was stopped, where
/// that is what kept items of this chunk from being processed.
///
/// # Errors
/// When the database does not answer.
pub async fn record(
    jobs: &Jobs,
    account: &AccountId,
    job: &Job,
    index: u32,
    plan: &Plan,
    trouble: Option<&Problem>,
) -> Result<Option<Job>, StoreError> {
    let growth = job.operation.map_or(0, |operation| plan.growth(operation));
    let stopped = stopped(jobs, account, job, plan).await?;
    let results = Results { plan, growth, trouble: stopped.as_ref().or(trouble) };
    let recorded = jobs.record_chunk(job.id.of(account).chunk(index), results, jobs.clock().now()).await?;
    // What was only validated is not what a job did.
    if recorded.counted
        && let Some(operation) = job.operation
        && !job.options.validate_only
    {
        telemetry::items(operation, plan.succeeded().into(), plan.failed().into());
    }
    Ok(match recorded.job {
        Some(JobRow::Job(job)) if job.status == JobStatus::Processing => Some(job),
        _ => None,
    })
}

/// Why the job ends `failed`, where the stop of it kept items of this plan from being processed. Whoever agreed on that saw the stop; a
/// worker that began before it and took the plan over looks at the job once more.
async fn stopped(jobs: &Jobs, account: &AccountId, job: &Job, plan: &Plan) -> Result<Option<Problem>, StoreError> {
    let is_left = |entry: &Entry| match &entry.outcome {
        Outcome::Failure(problems) => problems.iter().any(|problem| problem.code == Code::NotProcessed),
        Outcome::Success(_) | Outcome::WouldMake => false,
    };
    if !plan.entries.iter().any(is_left) {
        return Ok(None);
    }
    let stop = match job.stop() {
        None => match jobs.find_job_row(job.id.of(account)).await? {
            Some(JobRow::Job(job)) => job.stop(),
            Some(JobRow::Void) | None => None,
        },
        stop => stop,
    };
    Ok(stop.map(Stop::problem))
}

/// Sends the chunk that waits for the recorded one, if any, and ends the job if that was its last chunk. `job` is the
/// job after the recording; `trace` goes on with the message.
///
/// # Errors
/// When the chunk has to be delivered again, to repeat this.
pub async fn conclude(
    jobs: &Jobs,
    queue: &dyn Queue,
    account: &AccountId,
    job: &Job,
    then: Option<u32>,
    trace: Option<TraceContext>,
) -> Result<(), Postponed> {
    if let Some(next) = then.filter(|next| !job.done.contains(next)) {
        let Some(body) = jobs.stashed(job.id.of(account).chunk(next)).await? else {
            return Err(StoreError::UnreadableRow(format!("chunk {next} of a chain is missing")).into());
        };
        // Sent before this message is deleted: a crash in between sends it twice, which does no harm.
        queue
            .send(vec![Outgoing { account: account.clone(), body, trace: trace.map(|trace| trace.to_string()) }])
            .await?;
    }
    if job.is_finished() {
        end(jobs, account, job).await?;
    }
    Ok(())
}

/// Ends a job whose chunks are all recorded: `failed` if one of them was given up, else `completed`. Answers whether this
/// call did it.
///
/// # Errors
/// When the database does not answer.
pub async fn end(jobs: &Jobs, account: &AccountId, job: &Job) -> Result<bool, StoreError> {
    let now = jobs.clock().now();
    let (status, ended) = match &job.error {
        None => (JobStatus::Completed, jobs.complete(account, job, now).await?),
        Some(why) => (JobStatus::Failed, jobs.fail(account, job, JobStatus::Processing, why, now).await?),
    };
    if ended {
        match &job.error {
            Some(why) if matches!(why.code, Code::Aborted | Code::TooManyFailures) => telemetry::job_stopped(),
            Some(_) | None => telemetry::job_ended(status),
        }
        tracing::info!(account.id = %account, job.id = %job.id, job.status = status.as_str(), "job ended");
    }
    Ok(ended)
}
