//! The function `bury`: closes the chunks that come out of the dead-letter queue.
//!
//! A chunk that was received too often ends in the dead-letter queue. Here it is closed: items whose writes are found on
//! their records are done, the others fail with an `InternalServerError` and never have an effect. Its job goes on with its
//! other chunks and ends `failed`. No item's rules are evaluated here, since they may be what kept the chunk from being
//! finished.

use std::sync::Arc;
use std::time::Instant;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::chunk::{Chunk, UnreadableChunk};
use domain::job::Job;
use domain::problem::{Code, Problem};
use lifecycle::{Postponed, Started, Unfinished, close_chunk, conclude, record, start, trace_of};
use store::queue::{Outgoing, Queue};
use store::{Jobs, Records, Store, StoreError};
use telemetry::TraceContext;

/// The function's state. One per process; cheap to clone.
#[derive(Clone)]
pub struct Bury {
    jobs: Jobs,
    records: Records,
    queue: Arc<dyn Queue>,
}

/// Why a dead letter has to be delivered again.
#[derive(Debug, thiserror::Error)]
enum BuryError {
    /// A message of a later version, or one that is not ours. It is kept, for the alarm and for whoever looks into it.
    #[error(transparent)]
    Unreadable(#[from] UnreadableChunk),
    #[error(transparent)]
    Postponed(#[from] Postponed),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Unfinished(#[from] Unfinished),
}

impl Bury {
    /// Makes the function. `queue` is where the next chunk of a chain is sent.
    #[must_use]
    pub fn new(store: Store, queue: Arc<dyn Queue>) -> Self {
        Self { jobs: store.jobs, records: store.records, queue }
    }

    /// Buries every message of the event, and names those that have to be delivered again. Nothing runs on past
    /// `deadline`.
    pub async fn handle(&self, event: SqsEvent, deadline: Instant) -> SqsBatchResponse {
        let report = |message_id: &str, error: &BuryError| {
            tracing::error!(message.id = message_id, reason = %error, "a dead letter is not buried");
        };
        lifecycle::each(&event, deadline, |message| self.bury(message), report).await
    }

    async fn bury(&self, message: &SqsMessage) -> Result<(), BuryError> {
        let chunk = Chunk::from_message(message.body.as_deref().unwrap_or_default())?;
        let trace = trace_of(message);
        let end = match start(&self.jobs, chunk.job_key()).await? {
            Started::Drop(why) => why,
            Started::Processing(job) if chunk.validate_only && chunk.then.is_some() => {
                self.close_link(message, &chunk, &job, trace).await?
            }
            Started::Processing(job) if job.done.contains(&chunk.index) => {
                // Its items are done: only what follows was not.
                self.conclude(&chunk, &job, trace).await?;
                "was recorded"
            }
            Started::Processing(job) => self.close(&chunk, &job, trace).await?,
        };
        tracing::error!(
            account.id = %chunk.account,
            job.id = %chunk.job,
            chunk.index = chunk.index,
            chunk.items = chunk.items.len(),
            trace.id = trace.map(|trace| tracing::field::display(trace.id())),
            end,
            "a dead letter is buried"
        );
        Ok(())
    }

    /// A chain that only validates is gone through by whoever is given its first chunk. So what was given up is the chunk at which it stands, and the
    /// first one is sent again to go on behind that.
    ///
    /// Whoever buries one letter twice closes the next chunk as well, which nobody may have tried. Its results are true all the same.
    async fn close_link(
        &self,
        message: &SqsMessage,
        first: &Chunk<'_>,
        job: &Job,
        trace: Option<TraceContext>,
    ) -> Result<&'static str, BuryError> {
        let (mut index, mut then, mut body) = (first.index, first.then, None);
        while job.done.contains(&index)
            && let Some(next) = then
        {
            let stashed = self.jobs.stashed(job.id.of(&first.account).chunk(next)).await?;
            let stashed =
                stashed.ok_or_else(|| StoreError::UnreadableRow(format!("chunk {next} of a chain is missing")))?;
            let link = Chunk::from_message(&stashed)?;
            (index, then) = (link.index, link.then);
            body = Some(stashed);
        }
        let link = body.as_deref().map(Chunk::from_message).transpose()?;
        let link = link.as_ref().unwrap_or(first);
        let job = if job.done.contains(&index) { Some(job.clone()) } else { self.close_and_record(link, job).await? };
        let Some(job) = job else { return Ok("its job has ended") };
        if then.is_some() {
            // Sent before this message is deleted, as every chunk that follows another.
            let (account, body) = (first.account.clone(), message.body.clone().unwrap_or_default());
            let trace = trace.map(|trace| trace.to_string());
            self.queue.send(vec![Outgoing { account, body, trace }]).await.map_err(Postponed::from)?;
        }
        conclude(&self.jobs, &*self.queue, &first.account, &job, None, trace).await?;
        Ok("closed where its chain stood")
    }

    async fn close(
        &self,
        chunk: &Chunk<'_>,
        job: &Job,
        trace: Option<TraceContext>,
    ) -> Result<&'static str, BuryError> {
        match self.close_and_record(chunk, job).await? {
            Some(job) => {
                self.conclude(chunk, &job, trace).await?;
                Ok("closed")
            }
            None => Ok("its job has ended"),
        }
    }

    /// Closes the chunk and answers with its job as it then stands; `None` when that has ended.
    async fn close_and_record(&self, chunk: &Chunk<'_>, job: &Job) -> Result<Option<Job>, BuryError> {
        let plan = close_chunk(&self.jobs, &self.records, &chunk.account, job, chunk.index, Some(chunk)).await?;
        telemetry::chunk_buried();
        Ok(record(&self.jobs, &chunk.account, job, chunk.index, &plan, Some(&trouble())).await?)
    }

    async fn conclude(&self, chunk: &Chunk<'_>, job: &Job, trace: Option<TraceContext>) -> Result<(), Postponed> {
        conclude(&self.jobs, &*self.queue, &chunk.account, job, chunk.then, trace).await
    }
}

/// Why the job as a whole failed.
fn trouble() -> Problem {
    const DETAIL: &str = "An unexpected error kept some items from being applied: the results say which";
    Problem::new(Code::InternalServerError, DETAIL)
}
