//! The function `consume`: applies the items of chunks to records.
//!
//! A chunk may be delivered more than once, to several workers at a time, and any worker may die between any two calls.
//! [`domain::plan::round`] says why each item is applied once all the same.

pub mod processing;
mod validation;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::chunk::Chunk;
use store::queue::Queue;
use store::types::SchemaCache;
use store::usage::UsageCache;
use store::{Catalog, Jobs, Records, Store, Usages};

use crate::processing::{ChunkEnd, ChunkError, Delivery};

/// The function's state. One per process; cheap to clone.
#[derive(Clone)]
pub struct Consumer {
    jobs: Jobs,
    records: Records,
    usages: Usages,
    catalog: Catalog,
    queue: Arc<dyn Queue>,
    schemas: Arc<SchemaCache>,
    usage: Arc<UsageCache>,
}

impl Consumer {
    #[must_use]
    pub fn new(store: Store, queue: Arc<dyn Queue>) -> Self {
        let Store { jobs, records, usages, catalog, .. } = store;
        Self { jobs, records, usages, catalog, queue, schemas: Arc::default(), usage: Arc::default() }
    }

    /// Processes every message of the event concurrently, and names those that have to be delivered again.
    ///
    /// Nothing runs on past `deadline`: what is not done a little before it is reported unfinished, and its redelivery
    /// goes on where it stopped.
    pub async fn handle(&self, event: SqsEvent, deadline: Instant) -> SqsBatchResponse {
        let report = |message_id: &str, error: &ChunkError| {
            // Logged once, here. It names no payload: see each error's text.
            if error.is_expected() {
                tracing::info!(message.id = message_id, reason = %error, "chunk comes back");
            } else {
                tracing::warn!(message.id = message_id, reason = %error, "chunk comes back");
            }
        };
        lifecycle::each(&event, deadline, |message| self.process(message), report).await
    }

    /// Processes an event as [`handle`](Self::handle) does, with a thread for each message: one that computes without
    /// end takes no other with it, and the event is answered by its deadline.
    pub async fn handle_apart(&self, event: SqsEvent, deadline: Instant) -> SqsBatchResponse {
        let handler = |event, deadline| {
            let consumer = self.clone();
            async move { consumer.handle(event, deadline).await }
        };
        lifecycle::apart(event, deadline, handler).await
    }

    async fn process(&self, message: &SqsMessage) -> Result<(), ChunkError> {
        let chunk = Chunk::from_message(message.body.as_deref().unwrap_or_default())?;
        let attribute = |name: &str| message.attributes.get(name);
        let receives = lifecycle::receives_of(message);
        if receives > 1 {
            telemetry::redelivered();
        } else if let Some(sent_at) = attribute("SentTimestamp").and_then(|millis| millis.parse().ok()) {
            let waited = self.jobs.clock().now().as_millis().saturating_sub(sent_at);
            telemetry::queue_waited(Duration::from_millis(waited));
        }
        let trace = lifecycle::trace_of(message);
        let started = Instant::now();
        let end = processing::process(self, &chunk, Delivery { receives, trace }).await?;
        telemetry::chunk_processed(started.elapsed());
        tracing::info!(
            account.id = %chunk.account,
            job.id = %chunk.job,
            chunk.index = chunk.index,
            chunk.items = chunk.items.len(),
            chunk.receives = receives,
            trace.id = trace.map(|trace| tracing::field::display(trace.id())),
            chunk.milliseconds = started.elapsed().as_millis(),
            end = match end {
                ChunkEnd::Recorded => "recorded",
                ChunkEnd::Dropped(why) => why,
            },
            "chunk processed"
        );
        Ok(())
    }
}
