//! The way of a chunk to consume: from accept, and from whoever records the one before it in a chain.

use std::future::Future;
use std::pin::Pin;

use domain::account::AccountId;

/// One message on its way to the queue.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The tenant whose message it is: the queue shares its consumers fairly between accounts (`MessageGroupId`).
    pub account: AccountId,
    /// A chunk, as `domain::chunk` spells it. At most 240 KiB of UTF-8 that a queue may carry.
    pub body: String,
    /// The trace that the request belongs to, as `X-Amzn-Trace-Id` spells it: the queue hands it on to the consumer.
    pub trace: Option<String>,
}

/// A message could not be handed over, or the answer was lost: it may or may not arrive.
#[derive(Debug, thiserror::Error)]
#[error("the queue did not take a message: {0}")]
pub struct QueueUnavailable(pub String);

/// A future that a trait object can answer with.
pub type SendFuture<'a> = Pin<Box<dyn Future<Output = Result<(), QueueUnavailable>> + Send + 'a>>;

/// A queue that delivers each message at least once. Two homes: SQS, and the local run's own.
pub trait Queue: Send + Sync {
    /// Hands over every message, or fails; after a failure some may arrive all the same.
    fn send(&self, messages: Vec<Outgoing>) -> SendFuture<'_>;
}
