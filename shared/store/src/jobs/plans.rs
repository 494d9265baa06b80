//! Plans of chunks, and the waiting chunks of chains.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::AccountId;
use domain::job::{ChunkKey, Job, JobKey};
use domain::plan::Plan;
use domain::time::Timestamp;
use futures_util::future::try_join_all;

use crate::attributes::{Attributes, Reader, binary, broken, number, row_key, seconds, text};
use crate::{Jobs, StoreError, keys};

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

impl Jobs {
    /// Agrees on a chunk's plan: writes it if the plan with the revision before it is stored now (for revision 1: if
    /// none is). Answers whether it was written.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn agree(&self, chunk: ChunkKey<'_>, plan: &Plan, expires_at: Timestamp) -> Result<bool, StoreError> {
        let mut put = self
            .database
            .client
            .put_item()
            .table_name(&self.database.tables.jobs)
            .item("pk", text(keys::chunks_of(chunk.job)))
            .item("sk", text(keys::results(chunk.index)))
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
        self.database.put_if(put).await
    }

    /// Reads the plan that is agreed for a chunk; `None` when there is none yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan(&self, chunk: ChunkKey<'_>) -> Result<Option<Plan>, StoreError> {
        let key = row_key(keys::chunks_of(chunk.job), keys::results(chunk.index));
        self.database.read_row(&self.database.tables.jobs, key).await?.map(|row| plan_from_row(&row)).transpose()
    }

    /// Reads the results of all chunks of a job that have results.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn results(&self, job: JobKey<'_>) -> Result<Vec<Plan>, StoreError> {
        let (table, partition) = (&self.database.tables.jobs, keys::chunks_of(job));
        let rows = self.database.rows_that_begin(table, &partition, keys::RESULTS_PREFIX).await?;
        rows.iter().map(plan_from_row).collect()
    }

    /// Reads the results that a job shows: none until it has completed or failed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn shown_results(&self, account: &AccountId, job: &Job) -> Result<Vec<Plan>, StoreError> {
        if job.status.shows_results() { self.results(job.id.of(account)).await } else { Ok(Vec::new()) }
    }

    /// Stores chunks that wait for the one before them in their chain, each with its index in the job.
    ///
    /// # Errors
    /// When not all of them are kept.
    pub async fn stash(
        &self,
        job: JobKey<'_>,
        chunks: Vec<(u32, String)>,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        const ROWS_PER_WRITE: usize = 25;
        let rows: Vec<Attributes> = chunks
            .into_iter()
            .map(|(chunk, message)| {
                let mut row = row_key(keys::chunks_of(job), keys::stashed(chunk));
                row.insert("message".to_owned(), text(message));
                row.insert("expires_at".to_owned(), seconds(expires_at));
                row
            })
            .collect();
        try_join_all(rows.chunks(ROWS_PER_WRITE).map(|rows| self.database.put_rows(rows.to_vec()))).await.map(drop)
    }

    /// Reads the message of a chunk that waits for the one before it in its chain; `None` when there is none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stashed(&self, chunk: ChunkKey<'_>) -> Result<Option<String>, StoreError> {
        let key = row_key(keys::chunks_of(chunk.job), keys::stashed(chunk.index));
        let row = self.database.read_row(&self.database.tables.jobs, key).await?;
        row.map(|row| Reader(&row).text("message").map(str::to_owned)).transpose()
    }
}
