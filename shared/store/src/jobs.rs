//! Jobs, their slots, their idempotency keys and the results of their chunks.

mod admission;
pub(crate) mod ends;
mod lists;
mod plans;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use domain::account::AccountId;
use domain::account::usage::RecordKind;
use domain::job::{ChunkKey, Job, JobId, JobKey, JobStatus};
use domain::limits;
use domain::plan::Plan;
use domain::problem::Problem;
use domain::time::Timestamp;
use domain::types::TypeKey;

pub use self::admission::{Admission, Commit, Earlier, Fenced, IdempotencyKey};
pub use self::ends::EndOfJob;
pub use self::lists::{JobFilter, JobsPage};
use crate::attributes::{Attributes, number, row_key, seconds, text};
use crate::database::built;
use crate::page::PageQuery;
use crate::rows::{JobRow, job_from_row};
use crate::transaction::Transacted;
use crate::{Jobs, StoreError, keys};

/// By how many records of a kind an account has grown, or shrunk, through a job: never by none. A job that only validates has what it
/// would have grown by, which nobody counts.
#[derive(Clone, Copy)]
struct Growth {
    kind: RecordKind,
    by: i64,
    is_counted: bool,
}

impl Growth {
    fn of(job: &Job) -> Option<Self> {
        let kind = job.operation?.kind();
        let is_counted = !job.options.validate_only;
        (job.growth != 0).then_some(Self { kind, by: job.growth, is_counted })
    }
}

/// How a job ends.
#[derive(Clone, Copy)]
struct Ending<'job> {
    from: JobStatus,
    to: JobStatus,
    growth: Option<Growth>,
    why: Option<&'job Problem>,
}

/// The results of a chunk, as they are noted on its job.
#[derive(Clone, Copy, Debug)]
pub struct Results<'chunk> {
    pub plan: &'chunk Plan,
    /// The number of records by which the account grows with the chunk; negative where it shrinks: see
    /// [`Plan::growth`].
    pub growth: i64,
    /// The reason for which the job is to end `failed`, if there is one.
    pub trouble: Option<&'chunk Problem>,
}

/// The outcome of noting a chunk on its job.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recorded {
    /// Whether this call counted the chunk: no call before it had, and the job was still processing.
    pub counted: bool,
    /// The job's row after the call.
    pub job: Option<JobRow>,
}

impl Jobs {
    /// Reads the row under a job's key, expired or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_job_row(&self, job: JobKey<'_>) -> Result<Option<JobRow>, StoreError> {
        let row = self.database.read_row(&self.database.tables.jobs, key_of(job)).await?;
        row.map(|row| job_from_row(&row)).transpose()
    }

    /// Reads a job; `None` when it does not exist or has expired.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_job(&self, job: JobKey<'_>, now: Timestamp) -> Result<Option<Job>, StoreError> {
        Ok(match self.find_job_row(job).await? {
            Some(JobRow::Job(job)) if !job.is_expired(now) => Some(job),
            _ => None,
        })
    }

    /// Finds a job that is processing and may make records of this type. The search goes by the index, so a job that
    /// began a moment ago may be missing; jobs that are found are read from the table. At most a thousand jobs are
    /// looked at, as many as may be active.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn job_that_makes(
        &self,
        account: &AccountId,
        kind: RecordKind,
        key: &TypeKey,
    ) -> Result<Option<JobId>, StoreError> {
        let now = self.database.clock.now();
        if self.admission(account, None, now).await?.active == 0 {
            return Ok(None);
        }
        let most = usize::try_from(limits::ACTIVE_JOBS).unwrap_or(usize::MAX);
        let query = PageQuery { from: None, backwards: false, descending: true, limit: most };
        let processing =
            self.list_jobs(account, &JobFilter::of_status(Some(JobStatus::Processing)), &query, now).await?.page.items;
        Ok(processing.into_iter().find(|job| job.may_be_making(kind, key)).map(|job| job.id))
    }

    /// Takes a job from `queued` to `processing` and answers with its row after the call.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn start(&self, job: JobKey<'_>, now: Timestamp) -> Result<Option<JobRow>, StoreError> {
        let update = self
            .database
            .client
            .update_item()
            .table_name(&self.database.tables.jobs)
            .set_key(Some(key_of(job)))
            .update_expression("SET #status = :processing, status_key = :status_key, updated_at = :now")
            // Closes the race with an abort: exactly one of the two finds the job queued.
            .condition_expression("#status = :queued")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":queued", text(JobStatus::Queued.as_str()))
            .expression_attribute_values(":processing", text(JobStatus::Processing.as_str()))
            .expression_attribute_values(":status_key", text(keys::by_status(job.account, JobStatus::Processing)))
            .expression_attribute_values(":now", seconds(now));
        match self.database.update_if(update).await? {
            Some(row) => job_from_row(&row).map(Some),
            None => self.find_job_row(job).await,
        }
    }

    /// Takes a job from `queued` to `aborted` and gives its slot back. Answers whether this call did it: a job in any other
    /// state is left as it is.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn abort(&self, job: JobKey<'_>, now: Timestamp) -> Result<bool, StoreError> {
        let ending = Ending { from: JobStatus::Queued, to: JobStatus::Aborted, growth: None, why: None };
        self.end(job, ending, now).await
    }

    /// Stops a job that is processing: what has not begun of it is not to be begun. Answers with its row after the
    /// call.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stop(&self, job: JobKey<'_>, now: Timestamp) -> Result<Option<JobRow>, StoreError> {
        let update = self
            .database
            .client
            .update_item()
            .table_name(&self.database.tables.jobs)
            .set_key(Some(key_of(job)))
            .update_expression("SET stopping = :yes, updated_at = :now")
            // Closes the race with the end of the job: one that has ended stays as it ended.
            .condition_expression("#status = :processing")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":processing", text(JobStatus::Processing.as_str()))
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":now", seconds(now));
        match self.database.update_if(update).await? {
            Some(row) => job_from_row(&row).map(Some),
            None => self.find_job_row(job).await,
        }
    }

    /// Takes a job from `processing` to `completed` and gives its slot back. Answers whether this call did it: it happens
    /// once however often it is called.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn complete(&self, account: &AccountId, job: &Job, now: Timestamp) -> Result<bool, StoreError> {
        let growth = Growth::of(job);
        let ending = Ending { from: JobStatus::Processing, to: JobStatus::Completed, growth, why: None };
        self.end(job.id.of(account), ending, now).await
    }

    /// Takes a job from `from`, which is `queued` or `processing`, to `failed` and gives its slot back. Answers whether
    /// this call did it. Items that no chunk has counted count as failed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn fail(
        &self,
        account: &AccountId,
        job: &Job,
        from: JobStatus,
        why: &Problem,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let ending = Ending { from, to: JobStatus::Failed, growth: Growth::of(job), why: Some(why) };
        self.end(job.id.of(account), ending, now).await
    }

    async fn end(&self, job: JobKey<'_>, ending: Ending<'_>, now: Timestamp) -> Result<bool, StoreError> {
        let Ending { from, to, growth, why } = ending;
        let mut changes =
            "SET #status = :to, status_key = :status_key, updated_at = :now, completed_at = :now".to_owned();
        if why.is_some() {
            changes.push_str(", failed = #total - succeeded, error_code = :code, error_detail = :detail");
        }
        let mut end_job = Update::builder()
            .table_name(&self.database.tables.jobs)
            .set_key(Some(key_of(job)))
            .update_expression(changes)
            // Closes the race between two ends of one job: the slot is given back with the first and only there.
            .condition_expression(match growth {
                None => "#status = :from AND attribute_not_exists(growth)",
                // Closes the race with a chunk that is recorded meanwhile: what is counted is all that was recorded.
                Some(_) => "#status = :from AND growth = :growth",
            })
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":from", text(from.as_str()))
            .expression_attribute_values(":to", text(to.as_str()))
            .expression_attribute_values(":status_key", text(keys::by_status(job.account, to)))
            .expression_attribute_values(":now", seconds(now));
        if let Some(Growth { by, .. }) = growth {
            end_job = end_job.expression_attribute_values(":growth", AttributeValue::N(by.to_string()));
        }
        if let Some(why) = why {
            end_job = end_job
                .expression_attribute_names("#total", "total")
                .expression_attribute_values(":code", number(why.code.number()))
                .expression_attribute_values(":detail", text(why.detail.as_ref()));
        }
        let give_slot_back = Update::builder()
            .table_name(&self.database.tables.jobs)
            .set_key(Some(row_key(keys::account(job.account), keys::slots())))
            .update_expression("ADD active :minus_one")
            .expression_attribute_values(":minus_one", AttributeValue::N("-1".to_owned()));
        let mut writes = vec![
            TransactWriteItem::builder().update(built(end_job.build())?).build(),
            TransactWriteItem::builder().update(built(give_slot_back.build())?).build(),
        ];
        if let Some(Growth { kind, by, is_counted: true }) = growth {
            writes.push(self.database.count_records(job.account, kind, by)?);
        }
        // Refused means that another was first.
        let ended = matches!(self.database.transact(writes).await?, Transacted::Done);
        if ended {
            self.database.ends.tell(job.id);
        }
        Ok(ended)
    }

    /// Waits for the end of a job, as far as this process is what ends it. To miss no end, call [`EndOfJob::heard`] before looking at the job.
    #[must_use]
    pub fn end_of(&self, id: JobId) -> EndOfJob {
        self.database.ends.of(id)
    }

    /// Notes a chunk's results on its job, and answers with the job after it. A chunk is counted once, however often
    /// this is called. With [`Results::trouble`] the job is marked: it will end `failed`, for that reason.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn record_chunk(
        &self,
        ChunkKey { job, index }: ChunkKey<'_>,
        results: Results<'_>,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        let Results { plan, growth, trouble } = results;
        let mut changes = "SET updated_at = :now".to_owned();
        if trouble.is_some() {
            // The first is what the others may follow from.
            changes.push_str(
                ", error_code = if_not_exists(error_code, :code), error_detail = if_not_exists(error_detail, :detail)",
            );
        }
        changes.push_str(" ADD done :chunks, succeeded :succeeded, failed :failed");
        if growth != 0 {
            changes.push_str(", growth :growth");
        }
        let mut update = self
            .database
            .client
            .update_item()
            .table_name(&self.database.tables.jobs)
            .set_key(Some(key_of(job)))
            .update_expression(changes)
            // Closes the race between two deliveries of one chunk: its counts are added once. And a job that has ended
            // stays as it ended.
            .condition_expression("#status = :processing AND NOT contains(done, :chunk)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":processing", text(JobStatus::Processing.as_str()))
            .expression_attribute_values(":chunk", number(index))
            .expression_attribute_values(":chunks", AttributeValue::Ns(vec![index.to_string()]))
            .expression_attribute_values(":succeeded", number(plan.succeeded()))
            .expression_attribute_values(":failed", number(plan.failed()))
            .expression_attribute_values(":now", seconds(now));
        if growth != 0 {
            update = update.expression_attribute_values(":growth", AttributeValue::N(growth.to_string()));
        }
        if let Some(trouble) = trouble {
            update = update
                .expression_attribute_values(":code", number(trouble.code.number()))
                .expression_attribute_values(":detail", text(trouble.detail.as_ref()));
        }
        match self.database.update_if(update).await? {
            Some(row) => Ok(Recorded { counted: true, job: Some(job_from_row(&row)?) }),
            None => Ok(Recorded { counted: false, job: self.find_job_row(job).await? }),
        }
    }
}

fn key_of(job: JobKey<'_>) -> Attributes {
    row_key(keys::account(job.account), keys::job(job.id))
}
