//! Finding jobs that have not ended.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use domain::account::AccountId;
use domain::job::{Job, JobId, JobStatus};
use domain::time::Timestamp;

use crate::attributes::{Attributes, Reader, broken, row_key, text};
use crate::rows::{JobRow, job_from_row};
use crate::tables::BY_STATUS;
use crate::{Jobs, StoreError, keys};

/// A position in the list of accounts, from which the next page goes on.
#[derive(Clone, Debug)]
pub struct After(Attributes);

impl Jobs {
    /// Lists accounts that have active jobs now, a page at a time, with the position of the next page.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn busy_accounts(&self, after: Option<After>) -> Result<(Vec<AccountId>, Option<After>), StoreError> {
        let answer = self
            .database
            .client
            .query()
            .table_name(&self.database.tables.jobs)
            .index_name(BY_STATUS)
            .key_condition_expression("status_key = :counters")
            .expression_attribute_values(":counters", text(keys::counters()))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .set_exclusive_start_key(after.map(|After(key)| key))
            .send()
            .await
            .map_err(|error| StoreError::of("Query", &error))?;
        self.database.meter.count_read(answer.consumed_capacity());
        let mut counters = Vec::with_capacity(answer.items().len());
        for entry in answer.items() {
            counters.push(row_key(keys::account(&account_of(entry)?), keys::slots()));
        }
        let mut busy = Vec::new();
        for counter in self.database.read_rows(&self.database.tables.jobs, counters).await? {
            if Reader(&counter).number("active")? > 0 {
                busy.push(account_of(&counter)?);
            }
        }
        Ok((busy, answer.last_evaluated_key.map(After)))
    }

    /// Lists jobs of the account in this state that were created before `before`, expired ones included: at most 1 MB
    /// of index entries, oldest first. A row that cannot be read is an error of its own and hides no other.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn overdue_jobs(
        &self,
        account: &AccountId,
        status: JobStatus,
        before: Timestamp,
    ) -> Result<Vec<Result<Job, StoreError>>, StoreError> {
        let answer = self
            .database
            .client
            .query()
            .table_name(&self.database.tables.jobs)
            .index_name(BY_STATUS)
            .key_condition_expression("status_key = :partition AND sk < :end")
            .expression_attribute_values(":partition", text(keys::by_status(account, status)))
            .expression_attribute_values(":end", text(keys::job(JobId::lowest_at(before))))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await
            .map_err(|error| StoreError::of("Query", &error))?;
        self.database.meter.count_read(answer.consumed_capacity());
        let rows = self.job_rows_of(account, answer.items()).await?;
        let jobs = rows.iter().filter_map(|row| match job_from_row(row) {
            // The index trails the table.
            Ok(JobRow::Job(job)) => (job.status == status).then_some(Ok(job)),
            Ok(JobRow::Void) => None,
            Err(error) => Some(Err(error)),
        });
        Ok(jobs.collect())
    }
}

fn account_of(row: &Attributes) -> Result<AccountId, StoreError> {
    AccountId::parse(Reader(row).text("pk")?).map_err(|_| broken("pk"))
}
