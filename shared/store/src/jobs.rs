//! Jobs, their slots, their idempotency keys and the results of their chunks.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, Put, PutRequest, ReturnConsumedCapacity, TransactWriteItem, Update, WriteRequest,
};
use domain::account::AccountId;
use domain::account::usage::RecordKind;
use domain::job::{Job, JobId, JobStatus};
use domain::limits;
use domain::plan::Plan;
use domain::problem::Problem;
use domain::time::Timestamp;
use domain::types::TypeKey;
use futures_util::future::try_join_all;

use crate::attributes::{Attributes, Reader, binary, broken, number, seconds, text};
use crate::page::{Page, PageQuery};
use crate::reading::ReadsRows;
use crate::retry::Backoff;
use crate::rows::{JobRow, job_from_row, job_to_row, void_job_row};
use crate::tables::BY_STATUS;
use crate::transaction::Transacted;
use crate::{Store, StoreError, keys};

/// Before every job.
const LOWEST: JobId = JobId::from_bytes([0; 16]);

/// Keys in one `BatchGetItem`.
pub(crate) const KEYS_PER_READ: usize = 100;

/// A request's idempotency key, as hashes: the texts themselves are not kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdempotencyKey {
    /// Hex of the key's hash.
    pub key: String,
    /// Hash of the request's body.
    pub body: Vec<u8>,
}

/// What accept asks before it does anything that costs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Admission {
    /// Jobs of the account that are queued or processing.
    pub active: u64,
    /// What the idempotency key was used for within the last day.
    pub earlier: Option<Earlier>,
}

/// A request that was made with the same idempotency key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Earlier {
    pub job: JobId,
    /// Hash of its body.
    pub body: Vec<u8>,
}

/// What came of a commit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Commit {
    /// The job exists and will run.
    Done,
    /// The account has as many active jobs as it may: nothing was written.
    NoSlot,
    /// Another request with the same idempotency key was first: nothing was written.
    KeyTaken,
    /// The job's key is taken, by itself (an earlier answer was lost) or by a fence.
    AlreadyThere,
}

/// Whether a job was committed, once nothing can change that any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fenced {
    Committed(Job),
    Never,
}

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

/// What is noted of a chunk on its job.
#[derive(Clone, Copy, Debug)]
pub struct Results<'chunk> {
    pub plan: &'chunk Plan,
    /// By how many records the account grows with it: see [`Plan::growth`].
    pub growth: i64,
    /// Why the job will end `failed`.
    pub trouble: Option<&'chunk Problem>,
}

/// What came of noting a chunk on its job.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recorded {
    /// Whether this call counted the chunk: no call before it did, and the job was still processing.
    pub counted: bool,
    /// The job's row as it then stands.
    pub job: Option<JobRow>,
}

/// Which of an account's jobs a list shows: those of which everything that is given is true.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct JobFilter {
    pub status: Option<JobStatus>,
    pub kind: Option<RecordKind>,
    /// As [`Operation::action`](domain::job::Operation::action) gives it.
    pub action: Option<&'static str>,
    /// Made then or later.
    pub created_after: Option<Timestamp>,
    /// Made earlier.
    pub created_before: Option<Timestamp>,
}

impl JobFilter {
    /// Those in this state, or all.
    #[must_use]
    pub fn of_status(status: Option<JobStatus>) -> Self {
        Self { status, ..Self::default() }
    }

    /// Whether a job has to be looked at to know if it is wanted, because no index has it.
    const fn looks_inside(&self) -> bool {
        self.kind.is_some() || self.action.is_some()
    }

    fn takes(&self, job: &Job) -> bool {
        self.status.is_none_or(|status| status == job.status)
            && self.kind.is_none_or(|kind| job.operation.is_some_and(|operation| operation.kind() == kind))
            && self.action.is_none_or(|action| job.operation.is_some_and(|operation| operation.action() == action))
            && self.created_after.is_none_or(|at| job.created_at >= at)
            && self.created_before.is_none_or(|at| job.created_at < at)
    }
}

/// A page of jobs.
#[derive(Clone, Debug)]
pub struct JobsPage {
    pub page: Page<Job>,
    /// The last job that was looked at, where reading stopped before the page was full: the list goes on from there, in the direction of
    /// reading, and not from the last job that is wanted.
    pub cut_at: Option<JobId>,
}

/// Jobs that one page of a list looks at, whether it shows them or not: five times as many as it can show.
const LOOKED_AT: usize = 5_000;

/// Jobs that are read at once to look for some among them: 25 requests at the most, and as many batches.
const JOBS_PER_LOOK: usize = 200;

impl Store {
    /// Reads the account's active count and what the idempotency key was used for, in one request.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admission(
        &self,
        account: &AccountId,
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Admission, StoreError> {
        let mut wanted = vec![job_key(account, keys::slots())];
        wanted.extend(key.map(|key| job_key(account, &keys::idempotency(&key.key))));
        let mut admission = Admission { active: 0, earlier: None };
        for row in self.read_rows(&self.tables.jobs, wanted).await? {
            let reader = Reader(&row);
            if reader.text("sk")? == keys::slots() {
                admission.active = reader.number("active")?;
            } else if reader.seconds("expires_at")? > now {
                admission.earlier = Some(Earlier {
                    job: JobId::parse(reader.text("job")?).ok_or_else(|| broken("job"))?,
                    body: reader.optional_binary("body")?.unwrap_or_default().to_vec(),
                });
            }
        }
        Ok(admission)
    }

    /// Makes a job exist: with its slot, where it is active, and its idempotency key, or not at all.
    ///
    /// # Errors
    /// When the outcome is not known: then [`fence`](Self::fence) tells.
    pub async fn commit(
        &self,
        account: &AccountId,
        job: &Job,
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Commit, StoreError> {
        let put_job = Put::builder()
            .table_name(&self.tables.jobs)
            .set_item(Some(job_to_row(account, job)))
            // Closes the race with a fence, which says that this commit was given up.
            .condition_expression("attribute_not_exists(pk)");
        let mut writes = vec![TransactWriteItem::builder().put(built(put_job.build())?).build()];
        let mut refusals = vec![Commit::AlreadyThere];
        if job.status.is_active() {
            let take_slot = Update::builder()
                .table_name(&self.tables.jobs)
                .set_key(Some(job_key(account, keys::slots())))
                // The first time it also puts the account into the index, where the sweep finds those that have jobs.
                .update_expression("SET status_key = :counters ADD active :one")
                // Closes the race between two accepts for the last slot: the limit is exact.
                .condition_expression("attribute_not_exists(active) OR active < :most")
                .expression_attribute_values(":counters", text(keys::counters()))
                .expression_attribute_values(":one", number(1_u64))
                .expression_attribute_values(":most", number(limits::ACTIVE_JOBS));
            writes.push(TransactWriteItem::builder().update(built(take_slot.build())?).build());
            refusals.push(Commit::NoSlot);
        }
        if let Some(key) = key {
            let put_key = Put::builder()
                .table_name(&self.tables.jobs)
                .item("pk", text(keys::account(account)))
                .item("sk", text(keys::idempotency(&key.key)))
                .item("job", text(job.id.to_string()))
                .item("body", binary(key.body.clone()))
                .item("expires_at", seconds(job.expires_at()))
                // Closes the race between two requests with one key: the second finds the first one's row.
                .condition_expression("attribute_not_exists(pk) OR expires_at <= :now")
                .expression_attribute_values(":now", seconds(now));
            writes.push(TransactWriteItem::builder().put(built(put_key.build())?).build());
            refusals.push(Commit::KeyTaken);
        }
        match self.transact(writes).await? {
            Transacted::Done => Ok(Commit::Done),
            // A job that is there was committed by an attempt whose answer was lost, or was fenced: then its own key and its own
            // slot are in the way of this one, and say nothing.
            Transacted::Refused(failed) if failed.first() == Some(&true) => Ok(Commit::AlreadyThere),
            // The last condition that failed is told: a taken key says more than a missing slot.
            Transacted::Refused(failed) => Ok(failed
                .into_iter()
                .zip(refusals)
                .filter_map(|(failed, refusal)| failed.then_some(refusal))
                .next_back()
                .unwrap_or(Commit::AlreadyThere)),
        }
    }

    /// Settles whether a job was committed: if it is not there by now, it never will be.
    ///
    /// # Errors
    /// When the database does not answer: then it is still not known.
    pub async fn fence(&self, account: &AccountId, id: JobId) -> Result<Fenced, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.jobs)
            .set_item(Some(void_job_row(account, id)))
            // Closes the race with the commit: whichever writes the key first has it.
            .condition_expression("attribute_not_exists(pk)");
        if self.put_if(put).await? {
            return Ok(Fenced::Never);
        }
        match self.find_job_row(account, id).await? {
            Some(JobRow::Job(job)) => Ok(Fenced::Committed(job)),
            Some(JobRow::Void) | None => Ok(Fenced::Never),
        }
    }

    /// What stands under a job's key now, expired or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_job_row(&self, account: &AccountId, id: JobId) -> Result<Option<JobRow>, StoreError> {
        let row = self.read_row(&self.tables.jobs, job_key(account, &keys::job(id))).await?;
        row.map(|row| job_from_row(&row)).transpose()
    }

    /// The job, if it is there and has not expired.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_job(&self, account: &AccountId, id: JobId, now: Timestamp) -> Result<Option<Job>, StoreError> {
        Ok(match self.find_job_row(account, id).await? {
            Some(JobRow::Job(job)) if !job.is_expired(now) => Some(job),
            _ => None,
        })
    }

    /// A job that is processing and may make records of this type. It is found by the index, so one that began a moment ago may be missing;
    /// what is found is as it is in the table. At most a thousand jobs are looked at, as many as may be active.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn job_that_makes(
        &self,
        account: &AccountId,
        kind: RecordKind,
        key: &TypeKey,
    ) -> Result<Option<JobId>, StoreError> {
        let now = self.clock.now();
        if self.admission(account, None, now).await?.active == 0 {
            return Ok(None);
        }
        let most = usize::try_from(limits::ACTIVE_JOBS).unwrap_or(usize::MAX);
        let query = PageQuery { from: None, backwards: false, descending: true, limit: most };
        let processing =
            self.list_jobs(account, &JobFilter::of_status(Some(JobStatus::Processing)), &query, now).await?.page.items;
        Ok(processing.into_iter().find(|job| job.may_be_making(kind, key)).map(|job| job.id))
    }

    /// Takes a job from `queued` to `processing` and answers with it as it then stands.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn start(&self, account: &AccountId, id: JobId, now: Timestamp) -> Result<Option<JobRow>, StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.tables.jobs)
            .set_key(Some(job_key(account, &keys::job(id))))
            .update_expression("SET #status = :processing, status_key = :status_key, updated_at = :now")
            // Closes the race with an abort: exactly one of the two finds the job queued.
            .condition_expression("#status = :queued")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":queued", text(JobStatus::Queued.as_str()))
            .expression_attribute_values(":processing", text(JobStatus::Processing.as_str()))
            .expression_attribute_values(":status_key", text(keys::by_status(account, JobStatus::Processing)))
            .expression_attribute_values(":now", seconds(now));
        match self.update_if(update).await? {
            Some(row) => job_from_row(&row).map(Some),
            None => self.find_job_row(account, id).await,
        }
    }

    /// Takes a job from `queued` to `aborted` and gives its slot back. Answers whether this call did it: a job in any other
    /// state is left as it is.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn abort(&self, account: &AccountId, id: JobId, now: Timestamp) -> Result<bool, StoreError> {
        let ending = Ending { from: JobStatus::Queued, to: JobStatus::Aborted, growth: None, why: None };
        self.end(account, id, ending, now).await
    }

    /// Asks for what is left of a job that is processing not to be begun, and answers with it as it then stands.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stop(&self, account: &AccountId, id: JobId, now: Timestamp) -> Result<Option<JobRow>, StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.tables.jobs)
            .set_key(Some(job_key(account, &keys::job(id))))
            .update_expression("SET stopping = :yes, updated_at = :now")
            // Closes the race with the end of the job: one that has ended stays as it ended.
            .condition_expression("#status = :processing")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":processing", text(JobStatus::Processing.as_str()))
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":now", seconds(now));
        match self.update_if(update).await? {
            Some(row) => job_from_row(&row).map(Some),
            None => self.find_job_row(account, id).await,
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
        self.end(account, job.id, ending, now).await
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
        self.end(account, job.id, ending, now).await
    }

    async fn end(
        &self,
        account: &AccountId,
        id: JobId,
        ending: Ending<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Ending { from, to, growth, why } = ending;
        let mut changes =
            "SET #status = :to, status_key = :status_key, updated_at = :now, completed_at = :now".to_owned();
        if why.is_some() {
            changes.push_str(", failed = #total - succeeded, error_code = :code, error_detail = :detail");
        }
        let mut end_job = Update::builder()
            .table_name(&self.tables.jobs)
            .set_key(Some(job_key(account, &keys::job(id))))
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
            .expression_attribute_values(":status_key", text(keys::by_status(account, to)))
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
            .table_name(&self.tables.jobs)
            .set_key(Some(job_key(account, keys::slots())))
            .update_expression("ADD active :minus_one")
            .expression_attribute_values(":minus_one", AttributeValue::N("-1".to_owned()));
        let mut writes = vec![
            TransactWriteItem::builder().update(built(end_job.build())?).build(),
            TransactWriteItem::builder().update(built(give_slot_back.build())?).build(),
        ];
        if let Some(Growth { kind, by, is_counted: true }) = growth {
            writes.push(self.count_records(account, kind, by)?);
        }
        // Refused means that another was first.
        Ok(matches!(self.transact(writes).await?, Transacted::Done))
    }

    /// Notes that a chunk's results are recorded, and answers with the job as it then stands. Counts the chunk once,
    /// however often it is called. With trouble the job is marked: it will end `failed`, for that reason.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn record_chunk(
        &self,
        account: &AccountId,
        id: JobId,
        chunk: u32,
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
            .client
            .update_item()
            .table_name(&self.tables.jobs)
            .set_key(Some(job_key(account, &keys::job(id))))
            .update_expression(changes)
            // Closes the race between two deliveries of one chunk: its counts are added once. And a job that has ended
            // stays as it ended.
            .condition_expression("#status = :processing AND NOT contains(done, :chunk)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":processing", text(JobStatus::Processing.as_str()))
            .expression_attribute_values(":chunk", number(chunk))
            .expression_attribute_values(":chunks", AttributeValue::Ns(vec![chunk.to_string()]))
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
        match self.update_if(update).await? {
            Some(row) => Ok(Recorded { counted: true, job: Some(job_from_row(&row)?) }),
            None => Ok(Recorded { counted: false, job: self.find_job_row(account, id).await? }),
        }
    }

    /// Agrees on a chunk's plan: writes it if the one before it (or none, for revision 1) is what stands there.
    /// Answers whether it does.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn agree(
        &self,
        account: &AccountId,
        id: JobId,
        chunk: u32,
        plan: &Plan,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut put = self
            .client
            .put_item()
            .table_name(&self.tables.jobs)
            .item("pk", text(keys::chunks_of(account, id)))
            .item("sk", text(keys::results(chunk)))
            .item("revision", number(plan.revision))
            .item("expires_at", seconds(expires_at));
        let (name, packed) = compressed(plan.pack());
        put = put.item(name, binary(packed));
        if plan.closed {
            put = put.item("closed", AttributeValue::Bool(true));
        }
        // Closes the race between two deliveries of one chunk: each works only on what both have agreed to.
        put = if plan.revision == 1 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            // A closed plan is the last, whoever knows its revision.
            put.condition_expression("revision = :before AND attribute_not_exists(closed)")
                .expression_attribute_values(":before", number(plan.revision - 1))
        };
        self.put_if(put).await
    }

    /// What has been agreed for a chunk.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan(&self, account: &AccountId, id: JobId, chunk: u32) -> Result<Option<Plan>, StoreError> {
        let key = Attributes::from([
            ("pk".to_owned(), text(keys::chunks_of(account, id))),
            ("sk".to_owned(), text(keys::results(chunk))),
        ]);
        self.read_row(&self.tables.jobs, key).await?.map(|row| plan_from_row(&row)).transpose()
    }

    /// The results of every chunk of a job that has any.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn results(&self, account: &AccountId, id: JobId) -> Result<Vec<Plan>, StoreError> {
        let mut plans = Vec::new();
        let mut start = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.tables.jobs)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", text(keys::chunks_of(account, id)))
                .expression_attribute_values(":prefix", text(keys::RESULTS_PREFIX))
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| StoreError::of("Query", &error))?;
            self.meter.count_read(answer.consumed_capacity());
            for row in answer.items() {
                plans.push(plan_from_row(row)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(plans);
            }
        }
    }

    /// The results that a job shows: none until it has completed or failed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn shown_results(&self, account: &AccountId, job: &Job) -> Result<Vec<Plan>, StoreError> {
        if job.status.shows_results() { self.results(account, job.id).await } else { Ok(Vec::new()) }
    }

    /// Keeps chunks that wait for the one before them, by index.
    ///
    /// # Errors
    /// When not all of them are kept.
    pub async fn stash(
        &self,
        account: &AccountId,
        id: JobId,
        chunks: Vec<(u32, String)>,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        const ROWS_PER_WRITE: usize = 25;
        let rows: Vec<Attributes> = chunks
            .into_iter()
            .map(|(chunk, message)| {
                Attributes::from([
                    ("pk".to_owned(), text(keys::chunks_of(account, id))),
                    ("sk".to_owned(), text(keys::stashed(chunk))),
                    ("message".to_owned(), text(message)),
                    ("expires_at".to_owned(), seconds(expires_at)),
                ])
            })
            .collect();
        try_join_all(rows.chunks(ROWS_PER_WRITE).map(|rows| self.put_rows(rows.to_vec()))).await.map(drop)
    }

    async fn put_rows(&self, rows: Vec<Attributes>) -> Result<(), StoreError> {
        let mut writes = Vec::with_capacity(rows.len());
        for row in rows {
            let put = built(PutRequest::builder().set_item(Some(row)).build())?;
            writes.push(WriteRequest::builder().put_request(put).build());
        }
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        for _ in 0..10 {
            let answer = self
                .client
                .batch_write_item()
                .request_items(&self.tables.jobs, writes)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
                .await
                .map_err(|error| StoreError::of("BatchWriteItem", &error))?;
            self.meter.count_write(answer.consumed_capacity());
            let unprocessed = answer.unprocessed_items.and_then(|mut tables| tables.remove(&self.tables.jobs));
            match unprocessed {
                Some(rest) if !rest.is_empty() => {
                    self.meter.count_throttles(rest.len());
                    writes = rest;
                }
                _ => return Ok(()),
            }
            backoff.wait(&self.clock).await;
        }
        Err(StoreError::Unavailable { call: "BatchWriteItem", reason: "rows stayed unprocessed".to_owned() })
    }

    /// The message of a chunk that waits for the one before it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stashed(&self, account: &AccountId, id: JobId, chunk: u32) -> Result<Option<String>, StoreError> {
        let key = Attributes::from([
            ("pk".to_owned(), text(keys::chunks_of(account, id))),
            ("sk".to_owned(), text(keys::stashed(chunk))),
        ]);
        let row = self.read_row(&self.tables.jobs, key).await?;
        row.map(|row| Reader(&row).text("message").map(str::to_owned)).transpose()
    }

    /// A page of the account's jobs that have not expired and that the filter takes. Positions are job ids.
    ///
    /// Every job in it is read from the table itself, so it has that status at the moment of the read, whatever the
    /// index still says. At most 5,000 jobs are looked at: where few of them are wanted, the page has fewer than it might.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_jobs(
        &self,
        account: &AccountId,
        filter: &JobFilter,
        query: &PageQuery,
        now: Timestamp,
    ) -> Result<JobsPage, StoreError> {
        let status = filter.status;
        // The earliest id that can belong to a job of the last day. A job's creation is its id's, rounded down.
        let lifetime = limits::JOB_LIFETIME_SECONDS * 1_000;
        // A time that was asked for is compared with whole seconds, and so it is one of ids as well.
        let lowest_at =
            |at: Timestamp| JobId::lowest_at(Timestamp::from_millis(at.as_millis().div_ceil(1_000) * 1_000));
        let oldest = JobId::lowest_at(now.minus_millis(lifetime)).max(filter.created_after.map_or(LOWEST, lowest_at));
        let oldest = keys::job(oldest);
        let end =
            filter.created_before.map_or_else(|| keys::after_all_jobs().to_owned(), |at| keys::job(lowest_at(at)));
        // The database refuses to look for what is between the later and the earlier.
        if oldest > end {
            return Ok(JobsPage { page: Page::cut(query, Vec::new(), false), cut_at: None });
        }
        let mut looked_at = 0;
        let mut jobs = Vec::with_capacity(query.limit.min(1_000) + 1);
        let mut start = query.from.as_deref().and_then(JobId::parse).map(|id| {
            let mut key = job_key(account, &keys::job(id));
            if let Some(status) = status {
                key.insert("status_key".to_owned(), text(keys::by_status(account, status)));
            }
            key
        });
        while jobs.len() <= query.limit {
            // What is not wanted is read in larger steps, or few of many would take a request each.
            let wanted = if filter.looks_inside() { JOBS_PER_LOOK } else { query.limit + 1 - jobs.len() };
            let mut request = self
                .client
                .query()
                .table_name(&self.tables.jobs)
                .expression_attribute_values(":oldest", text(&oldest))
                .expression_attribute_values(":end", text(&end))
                .scan_index_forward(query.scans_forward())
                .limit(i32::try_from(wanted).unwrap_or(i32::MAX))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .set_exclusive_start_key(start);
            request = match status {
                Some(status) => request
                    .index_name(BY_STATUS)
                    .key_condition_expression("status_key = :partition AND sk BETWEEN :oldest AND :end")
                    .expression_attribute_values(":partition", text(keys::by_status(account, status))),
                None => request
                    .consistent_read(true)
                    .key_condition_expression("pk = :partition AND sk BETWEEN :oldest AND :end")
                    .expression_attribute_values(":partition", text(keys::account(account))),
            };
            let answer = request.send().await.map_err(|error| StoreError::of("Query", &error))?;
            self.meter.count_read(answer.consumed_capacity());
            let read = answer.items().len();
            let rows = match status {
                None => answer.items.unwrap_or_default(),
                Some(_) => self.job_rows_of(account, &answer.items.unwrap_or_default()).await?,
            };
            for row in &rows {
                if let JobRow::Job(job) = job_from_row(row)?
                    && !job.is_expired(now)
                    && filter.takes(&job)
                {
                    jobs.push(job);
                }
            }
            looked_at += read;
            start = answer.last_evaluated_key;
            match &start {
                None => break,
                Some(last) if looked_at >= LOOKED_AT && jobs.len() <= query.limit => {
                    let last = keys::job_of(Reader(last).text("sk")?).ok_or_else(|| broken("sk"))?;
                    return Ok(JobsPage { page: Page::cut(query, jobs, true), cut_at: Some(last) });
                }
                Some(_) => {}
            }
        }
        Ok(JobsPage { page: Page::of(query, jobs), cut_at: None })
    }

    /// The rows of the table that entries of the index lead to, in the index's order.
    pub(crate) async fn job_rows_of(
        &self,
        account: &AccountId,
        entries: &[Attributes],
    ) -> Result<Vec<Attributes>, StoreError> {
        let keys: Result<Vec<&str>, _> = entries.iter().map(|entry| Reader(entry).text("sk")).collect();
        let keys = keys?;
        let wanted = keys.iter().map(|key| job_key(account, key)).collect();
        let rows = self.read_rows(&self.tables.jobs, wanted).await?;
        let mut by_key = HashMap::with_capacity(rows.len());
        for row in rows {
            by_key.insert(Reader(&row).text("sk")?.to_owned(), row);
        }
        Ok(keys.into_iter().filter_map(|key| by_key.remove(key)).collect())
    }

    /// One row by its key, consistently.
    pub(crate) async fn read_row(&self, table: &str, key: Attributes) -> Result<Option<Attributes>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(table)
            .set_key(Some(key))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await
            .map_err(|error| StoreError::of("GetItem", &error))?;
        self.meter.count_read(answer.consumed_capacity());
        Ok(answer.item)
    }

    /// Rows by their keys, consistently, in any order and without those that are not there.
    pub(crate) async fn read_rows(&self, table: &str, keys: Vec<Attributes>) -> Result<Vec<Attributes>, StoreError> {
        let batches = keys.chunks(KEYS_PER_READ).map(|keys| self.read_batch(table, keys.to_vec()));
        Ok(try_join_all(batches).await?.into_iter().flatten().collect())
    }

    async fn read_batch(&self, table: &str, keys: Vec<Attributes>) -> Result<Vec<Attributes>, StoreError> {
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let mut rows = self.read_tables(HashMap::from([(table.to_owned(), built(wanted.build())?)])).await?;
        Ok(rows.remove(table).unwrap_or_default())
    }

    /// Rows of several tables by their keys, of which there may be [`KEYS_PER_READ`], in one request where the database answers
    /// it whole.
    pub(crate) async fn read_tables(
        &self,
        mut wanted: HashMap<String, KeysAndAttributes>,
    ) -> Result<HashMap<String, Vec<Attributes>>, StoreError> {
        let mut rows: HashMap<String, Vec<Attributes>> = HashMap::new();
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        for _ in 0..10 {
            let answer = self
                .client
                .batch_get_item()
                .set_request_items(Some(wanted))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .customize()
                .interceptor(ReadsRows)
                .send()
                .await
                .map_err(|error| StoreError::of("BatchGetItem", &error))?;
            self.meter.count_read(answer.consumed_capacity());
            for (table, read) in answer.responses.unwrap_or_default() {
                rows.entry(table).or_default().extend(read);
            }
            wanted = answer.unprocessed_keys.unwrap_or_default();
            wanted.retain(|_, rest| !rest.keys().is_empty());
            if wanted.is_empty() {
                return Ok(rows);
            }
            self.meter.count_throttles(wanted.values().map(|rest| rest.keys().len()).sum());
            backoff.wait(&self.clock).await;
        }
        Err(StoreError::Unavailable { call: "BatchGetItem", reason: "keys stayed unprocessed".to_owned() })
    }
}

pub(crate) fn job_key(account: &AccountId, sort: &str) -> Attributes {
    Attributes::from([("pk".to_owned(), text(keys::account(account))), ("sk".to_owned(), text(sort))])
}

/// What a builder was given is what this code always gives it.
pub(crate) fn built<Built>(built: Result<Built, aws_sdk_dynamodb::error::BuildError>) -> Result<Built, StoreError> {
    built.map_err(|error| StoreError::Refused { call: "building a request", reason: error.to_string() })
}

/// Ids do not compress; the texts of failures do, and they are what can be long.
fn compressed(packed: Vec<u8>) -> (&'static str, Vec<u8>) {
    const WORTH_IT: usize = 1_024;
    if packed.len() > WORTH_IT
        && let Ok(smaller) = zstd::bulk::compress(&packed, 1)
        && smaller.len() < packed.len() * 9 / 10
    {
        return ("zstd", smaller);
    }
    ("packed", packed)
}

fn plan_from_row(row: &Attributes) -> Result<Plan, StoreError> {
    /// More than the longest results of a chunk take.
    const LONGEST: usize = 1024 * 1024;
    let reader = Reader(row);
    let decompressed;
    let packed = if let Some(packed) = reader.optional_binary("packed")? {
        packed
    } else {
        let smaller = reader.optional_binary("zstd")?.ok_or_else(|| broken("packed"))?;
        decompressed = zstd::bulk::decompress(smaller, LONGEST).map_err(|_| broken("zstd"))?;
        &decompressed
    };
    Plan::unpack(reader.number("revision")?, row.contains_key("closed"), packed).map_err(|_| broken("packed"))
}
