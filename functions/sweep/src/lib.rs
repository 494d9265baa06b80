//! The function `sweep`, which runs by a schedule. It ends jobs that are still active after 23 hours, and gives records
//! the entries of indexes that their type was given after they were written ([`filling`]).
//!
//! A job ends with its last chunk. Should that never come (its messages outlived the queue's retention, or somebody
//! emptied a queue), the job ends here: an hour before it expires, so that the database never deletes a job that holds
//! a slot.

pub mod filling;

use std::time::{Duration, Instant};

use domain::account::AccountId;
use domain::job::{Job, JobStatus};
use domain::limits;
use domain::problem::{Code, Problem};
use domain::time::Timestamp;
use lifecycle::{Postponed, close_chunk, end, record};
use serde::Serialize;
use store::rows::JobRow;
use store::{Catalog, Jobs, Records, Store, StoreError};

/// The function's state. One per process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Sweep {
    jobs: Jobs,
    records: Records,
    catalog: Catalog,
}

/// Time kept at the end of an invocation for the job that is being ended.
const MARGIN: Duration = Duration::from_secs(30);

/// Counts of what one sweep did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Report {
    /// Accounts with active jobs.
    pub accounts: u32,
    /// Overdue jobs that were ended.
    pub ended: u32,
    /// Overdue jobs that could not be ended now. Each is logged; the next sweep tries again.
    #[serde(skip)]
    pub left: u32,
    /// Types whose indexes were completed: each record has its entry.
    pub filled: u32,
    /// Types whose indexes could not be filled further now. Each is logged; the next sweep tries again.
    #[serde(skip)]
    pub unfilled: u32,
}

/// The error of a sweep that left something undone. The causes are in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{jobs} overdue jobs could not be ended, and the indexes of {types} types not be filled")]
pub struct LeftOver {
    /// Overdue jobs that could not be ended.
    pub jobs: u32,
    /// Types whose indexes could not be filled further.
    pub types: u32,
}

impl Report {
    /// Fails when something was left undone, so that the invocation counts as failed and its alarm is raised.
    ///
    /// # Errors
    /// When something was left.
    pub const fn check(self) -> Result<Self, LeftOver> {
        match self {
            Self { left: 0, unfilled: 0, .. } => Ok(self),
            Self { left: jobs, unfilled: types, .. } => Err(LeftOver { jobs, types }),
        }
    }
}

impl Sweep {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { jobs: store.jobs, records: store.records, catalog: store.catalog }
    }

    /// The latest time at which an invocation that ends at `deadline` may begin to end a job: half a minute before,
    /// which is more than one takes.
    #[must_use]
    pub fn last_start(deadline: Instant) -> Instant {
        deadline.checked_sub(MARGIN).unwrap_or(deadline)
    }

    /// Ends every job that is overdue now, then fills indexes. What is not done by `deadline` is left to the next sweep.
    ///
    /// # Errors
    /// When the accounts or the types to fill cannot be listed. A job or a type that fails is counted, and stops no other.
    pub async fn run(&self, deadline: Instant) -> Result<Report, StoreError> {
        let mut report = Report::default();
        self.end_overdue_jobs(deadline, &mut report).await?;
        self.fill_indexes(deadline, &mut report).await?;
        Ok(report)
    }

    async fn end_overdue_jobs(&self, deadline: Instant, report: &mut Report) -> Result<(), StoreError> {
        let overdue = self.jobs.clock().now().minus_millis(limits::JOB_OVERDUE_SECONDS * 1_000);
        let mut after = None;
        loop {
            let (accounts, next) = self.jobs.busy_accounts(after).await?;
            for account in accounts {
                if Instant::now() >= deadline {
                    tracing::warn!(accounts = report.accounts, "the sweep ran out of time");
                    return Ok(());
                }
                report.accounts += 1;
                self.sweep_account(&account, overdue, report).await;
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn sweep_account(&self, account: &AccountId, overdue: Timestamp, report: &mut Report) {
        for status in [JobStatus::Queued, JobStatus::Processing] {
            let jobs = match self.jobs.overdue_jobs(account, status, overdue).await {
                Ok(jobs) => jobs,
                Err(error) => {
                    tracing::error!(account.id = %account, reason = %error, "overdue jobs cannot be listed");
                    report.left += 1;
                    continue;
                }
            };
            for job in jobs {
                let swept = match job {
                    Ok(job) => self.give_up(account, &job).await,
                    Err(error) => Err(error.into()),
                };
                match swept {
                    Ok(()) => report.ended += 1,
                    Err(error) => {
                        tracing::error!(account.id = %account, reason = %error, "an overdue job is not ended");
                        report.left += 1;
                    }
                }
            }
        }
    }

    async fn give_up(&self, account: &AccountId, job: &Job) -> Result<(), Postponed> {
        tracing::error!(
            account.id = %account, job.id = %job.id, job.status = job.status.as_str(), "a job is overdue"
        );
        if job.status == JobStatus::Queued {
            let now = self.jobs.clock().now();
            if self.jobs.fail(account, job, JobStatus::Queued, &never_started(), now).await? {
                telemetry::job_ended(JobStatus::Failed);
                count_rest(job);
                return Ok(());
            }
        }
        // As it stands now: it may just have been started, or have ended.
        let mut job = match self.jobs.find_job_row(job.id.of(account)).await? {
            Some(JobRow::Job(job)) if job.status == JobStatus::Processing => job,
            _ => return Ok(()),
        };
        let missing: Vec<u32> = (0..job.chunks).filter(|index| !job.done.contains(index)).collect();
        for index in missing {
            let plan = close_chunk(&self.jobs, &self.records, account, &job, index, None).await?;
            match record(&self.jobs, account, &job, index, &plan, Some(&not_finished())).await? {
                Some(recorded) => job = recorded,
                None => return Ok(()),
            }
        }
        if end(&self.jobs, account, &job).await? {
            count_rest(&job);
        }
        Ok(())
    }
}

/// Items that were in no chunk's results count as failed.
fn count_rest(job: &Job) {
    if let Some(operation) = job.operation {
        telemetry::items(operation, 0, job.total.saturating_sub(job.progress().processed).into());
    }
}

fn never_started() -> Problem {
    const DETAIL: &str = "The job was not started within 23 hours: none of its items was applied";
    Problem::new(Code::InternalServerError, DETAIL)
}

fn not_finished() -> Problem {
    const DETAIL: &str = "The job was not finished within 23 hours: the results say which items were applied";
    Problem::new(Code::InternalServerError, DETAIL)
}
