//! The consumer: applies the items of chunks to records.
//!
//! A chunk may be delivered more than once, to several workers at a time, and any worker may die between any two calls.
//! [`processing`] says why each item is applied once all the same.

pub mod groups;
pub mod processing;
pub mod settings;
pub mod types;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::chunk::Chunk;
use futures_util::future::join_all;
use store::Store;
use store::queue::Queue;

use crate::processing::{ChunkEnd, ChunkError};
use crate::types::SchemaCache;

/// Time kept at the end of an invocation to report what is unfinished.
const MARGIN: Duration = Duration::from_secs(2);

/// Applies chunks. One per process; cheap to clone.
#[derive(Clone)]
pub struct Consumer {
    store: Store,
    queue: Arc<dyn Queue>,
    schemas: Arc<SchemaCache>,
}

impl Consumer {
    #[must_use]
    pub fn new(store: Store, queue: Arc<dyn Queue>) -> Self {
        Self { store, queue, schemas: Arc::default() }
    }

    /// Processes every message of the event, side by side, and names those that have to be delivered again.
    ///
    /// Nothing runs on past `deadline`: what is not done a little before it is reported unfinished, and its redelivery
    /// goes on where it stopped.
    pub async fn handle(&self, event: SqsEvent, deadline: Instant) -> SqsBatchResponse {
        let until = tokio::time::Instant::from_std(deadline.checked_sub(MARGIN).unwrap_or(deadline));
        let outcomes = event.records.iter().map(|message| async move {
            let outcome = tokio::time::timeout_at(until, self.process(message)).await;
            outcome.unwrap_or(Err(ChunkError::OutOfTime))
        });
        let outcomes = join_all(outcomes).await;
        let mut response = SqsBatchResponse::default();
        for (message, outcome) in event.records.iter().zip(outcomes) {
            let message_id = message.message_id.clone().unwrap_or_default();
            if let Err(error) = outcome {
                // Logged once, here. It names no payload: see each error's text.
                if error.is_expected() {
                    tracing::info!(message.id = message_id, reason = %error, "chunk comes back");
                } else {
                    tracing::warn!(message.id = message_id, reason = %error, "chunk comes back");
                }
                response.add_failure(message_id);
            }
        }
        response
    }

    async fn process(&self, message: &SqsMessage) -> Result<(), ChunkError> {
        let chunk = Chunk::from_message(message.body.as_deref().unwrap_or_default())?;
        let received = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
        let started = Instant::now();
        let end = processing::process(self, &chunk, received.unwrap_or(1)).await?;
        tracing::info!(
            account.id = %chunk.account,
            job.id = %chunk.job,
            chunk.index = chunk.index,
            chunk.items = chunk.items.len(),
            chunk.receives = received,
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
