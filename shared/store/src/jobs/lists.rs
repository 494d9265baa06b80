//! Lists of jobs.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use domain::account::AccountId;
use domain::account::usage::RecordKind;
use domain::job::{Job, JobId, JobStatus};
use domain::limits;
use domain::time::Timestamp;

use crate::attributes::{Attributes, Reader, broken, row_key, text};
use crate::page::{Page, PageQuery};
use crate::rows::{JobRow, job_from_row};
use crate::tables::BY_STATUS;
use crate::{Jobs, StoreError, keys};

/// Conditions on the jobs that a list shows; a job has to meet all that are given.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct JobFilter {
    pub status: Option<JobStatus>,
    pub kind: Option<RecordKind>,
    /// An action, as [`Operation::action`](domain::job::Operation::action) names it.
    pub action: Option<&'static str>,
    /// Created at this time or later.
    pub created_after: Option<Timestamp>,
    /// Created before this time.
    pub created_before: Option<Timestamp>,
}

impl JobFilter {
    /// Jobs in this state, or all jobs.
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
    /// The last job that was looked at, where reading stopped before the page was full: the list goes on after it, in
    /// the direction of reading, and not after the last job of the page.
    pub cut_at: Option<JobId>,
}

/// Jobs that one page of a list looks at, whether it shows them or not: five times as many as it can show.
const LOOKED_AT: usize = 5_000;

/// Jobs that are read at once to look for some among them: 25 requests at the most, and as many batches.
const JOBS_PER_LOOK: usize = 200;

/// Before every job.
const LOWEST: JobId = JobId::from_bytes([0; 16]);

impl Jobs {
    /// Reads a page of the account's jobs that have not expired and that meet the filter. Positions are job ids.
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
            let mut key = row_key(keys::account(account), keys::job(id));
            if let Some(status) = status {
                key.insert("status_key".to_owned(), text(keys::by_status(account, status)));
            }
            key
        });
        while jobs.len() <= query.limit {
            // What is not wanted is read in larger steps, or few of many would take a request each.
            let wanted = if filter.looks_inside() { JOBS_PER_LOOK } else { query.limit + 1 - jobs.len() };
            let mut request = self
                .database
                .client
                .query()
                .table_name(&self.database.tables.jobs)
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
            self.database.meter.count_read(answer.consumed_capacity());
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

    /// Reads the rows of the table for entries of the index, in the index's order.
    pub(crate) async fn job_rows_of(
        &self,
        account: &AccountId,
        entries: &[Attributes],
    ) -> Result<Vec<Attributes>, StoreError> {
        let keys: Result<Vec<&str>, _> = entries.iter().map(|entry| Reader(entry).text("sk")).collect();
        let keys = keys?;
        let wanted = keys.iter().map(|key| row_key(keys::account(account), *key)).collect();
        let rows = self.database.read_rows(&self.database.tables.jobs, wanted).await?;
        let mut by_key = HashMap::with_capacity(rows.len());
        for row in rows {
            by_key.insert(Reader(&row).text("sk")?.to_owned(), row);
        }
        Ok(keys.into_iter().filter_map(|key| by_key.remove(key)).collect())
    }
}
