//! Admission of a job to the database: its slot, its commit, and the fence that stands in for a job that was given up.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use domain::account::AccountId;
use domain::job::{Job, JobId, JobKey};
use domain::limits;
use domain::time::Timestamp;

use crate::attributes::{Reader, binary, broken, number, row_key, seconds, text};
use crate::database::built;
use crate::rows::{JobRow, job_to_row, void_job_row};
use crate::transaction::Transacted;
use crate::{Jobs, StoreError, keys};

/// A request's idempotency key, as hashes: the texts themselves are not kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdempotencyKey {
    /// Hex of the key's hash.
    pub key: String,
    /// Hash of the request's body.
    pub body: Vec<u8>,
}

/// The state of an account that `accept` looks at before any work is done for a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Admission {
    /// Jobs of the account that are queued or processing.
    pub active: u64,
    /// The request that used the same idempotency key within the last day.
    pub earlier: Option<Earlier>,
}

/// A request that was made with the same idempotency key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Earlier {
    pub job: JobId,
    /// Hash of that request's body.
    pub body: Vec<u8>,
}

/// The outcome of a commit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Commit {
    /// The job exists and will run.
    Done,
    /// The account has as many active jobs as it may: nothing was written.
    NoSlot,
    /// Another request with the same idempotency key was first: nothing was written.
    KeyTaken,
    /// The job's key is taken: by the job itself, when an earlier answer was lost, or by a fence.
    AlreadyThere,
}

/// The settled answer to whether a job was committed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fenced {
    Committed(Job),
    Never,
}

impl Jobs {
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
        let mut wanted = vec![row_key(keys::account(account), keys::slots())];
        wanted.extend(key.map(|key| row_key(keys::account(account), keys::idempotency(&key.key))));
        let mut admission = Admission { active: 0, earlier: None };
        for row in self.database.read_rows(&self.database.tables.jobs, wanted).await? {
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

    /// Commits a job: the job, its slot where it is active, and its idempotency key are written together or not at all.
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
            .table_name(&self.database.tables.jobs)
            .set_item(Some(job_to_row(account, job)))
            // Closes the race with a fence, which says that this commit was given up.
            .condition_expression("attribute_not_exists(pk)");
        let mut writes = vec![TransactWriteItem::builder().put(built(put_job.build())?).build()];
        let mut refusals = vec![Commit::AlreadyThere];
        if job.status.is_active() {
            let take_slot = Update::builder()
                .table_name(&self.database.tables.jobs)
                .set_key(Some(row_key(keys::account(account), keys::slots())))
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
                .table_name(&self.database.tables.jobs)
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
        match self.database.transact(writes).await? {
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

    /// Settles whether a job was committed: if it is not there, a fence keeps it from ever being.
    ///
    /// # Errors
    /// When the database does not answer: then it is still not known.
    pub async fn fence(&self, job: JobKey<'_>) -> Result<Fenced, StoreError> {
        let put = self
            .database
            .client
            .put_item()
            .table_name(&self.database.tables.jobs)
            .set_item(Some(void_job_row(job)))
            // Closes the race with the commit: whichever writes the key first has it.
            .condition_expression("attribute_not_exists(pk)");
        if self.database.put_if(put).await? {
            return Ok(Fenced::Never);
        }
        match self.find_job_row(job).await? {
            Some(JobRow::Job(job)) => Ok(Fenced::Committed(job)),
            Some(JobRow::Void) | None => Ok(Fenced::Never),
        }
    }
}
