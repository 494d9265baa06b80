//! The start of a job, from `queued` to `processing`.

use std::time::Duration;

use domain::job::{Job, JobKey, JobStatus};
use domain::timing::{COMMIT_PATIENCE, NEVER_COMMITTED};
use store::Jobs;
use store::jobs::Fenced;
use store::retry::Backoff;
use store::rows::JobRow;

use crate::Postponed;

/// The outcome of starting the job of a chunk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Started {
    /// The job is processing, and the chunk is to be applied.
    Processing(Job),
    /// The chunk is to be dropped: it has no effect and never will have, for this reason.
    Drop(&'static str),
}

/// Takes the job of a chunk to `processing`, if it is queued.
///
/// # Errors
/// When the chunk has to be delivered again.
pub async fn start(jobs: &Jobs, key: JobKey<'_>) -> Result<Started, Postponed> {
    let waiting_since = tokio::time::Instant::now();
    let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(250));
    let mut row = jobs.find_job_row(key).await?;
    loop {
        let now = jobs.clock().now();
        match row {
            Some(JobRow::Void) => return Ok(Started::Drop("its job was never accepted")),
            Some(JobRow::Job(job)) if job.is_expired(now) => return Ok(Started::Drop("its job has expired")),
            Some(JobRow::Job(job)) => match job.status {
                JobStatus::Processing => return Ok(Started::Processing(job)),
                JobStatus::Queued => {
                    row = jobs.start(key, now).await?;
                }
                JobStatus::Aborted => return Ok(Started::Drop("its job is aborted")),
                JobStatus::Completed | JobStatus::Failed => return Ok(Started::Drop("its job has ended")),
            },
            None if now >= key.id.made_at().plus_millis(NEVER_COMMITTED.as_secs() * 1_000) => {
                // The fence makes it so: a commit that is still under way somewhere can no longer succeed.
                match jobs.fence(key).await? {
                    Fenced::Never => return Ok(Started::Drop("its job was never accepted")),
                    Fenced::Committed(job) => row = Some(JobRow::Job(job)),
                }
            }
            None if waiting_since.elapsed() < COMMIT_PATIENCE => {
                backoff.wait(jobs.clock()).await;
                row = jobs.find_job_row(key).await?;
            }
            None => return Err(Postponed::NotCommitted),
        }
    }
}
