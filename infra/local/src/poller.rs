//! Consumption of a queue by a function, as Lambda's event source mapping does it.

use std::collections::HashSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::source::Source;

/// How long a receiver rests after the queue itself failed.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Settings of how a queue is consumed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Polling {
    /// Handlers that run at the same time, at most (`MaximumConcurrency`).
    pub receivers: usize,
    /// Messages that one handler gets at a time, at most (`BatchSize`): no more than ten.
    pub batch: usize,
    /// The time after which a handler is stopped, and its whole batch comes back (the function's timeout). Shorter than
    /// the visibility timeout, so that a message is not handled twice at a time.
    pub time_limit: Duration,
}

impl Default for Polling {
    /// Eight chunks at a time, which is 160 batches of records before a database that takes one after the other: more would wait for each other
    /// until their calls are given up, and keep a job of another account waiting for as long.
    fn default() -> Self {
        Self { receivers: 4, batch: 2, time_limit: Duration::from_secs(25) }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Running,
    /// Running handlers go on; nothing new is received.
    Paused,
    /// As paused, for good.
    Stopped,
}

/// The receivers that consume a queue. Dropping it stops them at once, as a crash would.
#[derive(Debug)]
pub struct Poller {
    mode: watch::Sender<Mode>,
    receivers: JoinSet<()>,
}

/// Consumes `source` with `handler`, which gets a batch and the moment at which it is stopped. A message it does not report as
/// failed is deleted. When it panics, takes too long, or reports a message it was not given, the whole batch counts as
/// failed; what failed is received again when its visibility ends.
pub fn consume_from<Handler, Answer>(source: &impl Source, polling: Polling, handler: Handler) -> Poller
where
    Handler: Fn(SqsEvent, Instant) -> Answer + Clone + Send + Sync + 'static,
    Answer: Future<Output = SqsBatchResponse> + Send + 'static,
{
    let (mode, watched) = watch::channel(Mode::Running);
    let mut receivers = JoinSet::new();
    for _ in 0..polling.receivers {
        receivers.spawn(receive_for_ever(source.clone(), polling, handler.clone(), watched.clone()));
    }
    Poller { mode, receivers }
}

impl Poller {
    /// Stops receiving until [`resume`](Self::resume). Handlers that are running go on, and what a receive that has
    /// begun still brings is handled.
    pub fn pause(&self) {
        self.mode.send_replace(Mode::Paused);
    }

    /// Receives again after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.mode.send_replace(Mode::Running);
    }

    /// Stops receiving for good, lets the running handlers finish for up to `grace`, and ends those that have not.
    /// Their messages come back.
    pub async fn stop(mut self, grace: Duration) {
        self.mode.send_replace(Mode::Stopped);
        let finished = async { while self.receivers.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, finished).await.is_err() {
            tracing::warn!(handlers = self.receivers.len(), "handlers were still running at the end of the grace time");
            self.receivers.shutdown().await;
        }
    }
}

async fn receive_for_ever<Handler, Answer>(
    source: impl Source,
    polling: Polling,
    handler: Handler,
    mut mode: watch::Receiver<Mode>,
) where
    Handler: Fn(SqsEvent, Instant) -> Answer,
    Answer: Future<Output = SqsBatchResponse>,
{
    loop {
        let current = *mode.borrow_and_update();
        match current {
            Mode::Running => {}
            Mode::Paused => {
                if mode.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Mode::Stopped => return,
        }
        match source.receive(polling.batch, polling.receivers).await {
            Ok(batch) if batch.is_empty() => {
                tokio::select! {
                    () = source.arrival() => {}
                    changed = mode.changed() => if changed.is_err() { return },
                }
            }
            Ok(batch) => {
                let done = handle(batch, polling.time_limit, &handler).await;
                if !done.is_empty()
                    && let Err(error) = source.delete(done).await
                {
                    tracing::error!(%error, "handled messages could not be deleted and will be received again");
                }
            }
            Err(error) => {
                tracing::error!(%error, "nothing could be received");
                tokio::select! {
                    () = tokio::time::sleep(REST_AFTER_FAILURE) => {}
                    changed = mode.changed() => if changed.is_err() { return },
                }
            }
        }
    }
}

/// Gives a batch to the handler and answers with the receipt handles of what may be deleted.
async fn handle<Handler, Answer>(batch: Vec<SqsMessage>, time_limit: Duration, handler: &Handler) -> Vec<String>
where
    Handler: Fn(SqsEvent, Instant) -> Answer,
    Answer: Future<Output = SqsBatchResponse>,
{
    let known = |text: &Option<String>| text.clone().unwrap_or_default();
    let given: Vec<_> =
        batch.iter().map(|message| (known(&message.message_id), known(&message.receipt_handle))).collect();
    let deadline = Instant::now() + time_limit;
    let mut event = SqsEvent::default();
    event.records = batch;
    let guarded = AssertUnwindSafe(async { handler(event, deadline).await }).catch_unwind();
    let Ok(outcome) = tokio::time::timeout_at(deadline.into(), guarded).await else {
        tracing::error!(messages = given.len(), "a handler ran out of time: its batch will be received again");
        return Vec::new();
    };
    let Ok(response) = outcome else {
        // The panic itself was printed where it happened.
        tracing::error!(messages = given.len(), "a handler panicked: its batch will be received again");
        return Vec::new();
    };
    let failed: HashSet<_> =
        response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
    let strangers = failed.iter().any(|failure| !given.iter().any(|(message_id, _)| message_id == failure));
    if strangers {
        // Lambda does the same: an answer that cannot be understood says nothing about any message.
        tracing::error!(messages = given.len(), "a handler reported a message it was not given");
        return Vec::new();
    }
    given
        .into_iter()
        .filter(|(message_id, _)| !failed.contains(message_id.as_str()))
        .map(|(_, receipt_handle)| receipt_handle)
        .collect()
}

#[cfg(test)]
mod tests;
