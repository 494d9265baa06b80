//! The queue that carries chunks to the consumer: from accept, and from whoever recorded the chunk before in a chain.

use std::future::Future;
use std::pin::Pin;

use domain::account::AccountId;

/// One message on its way to the queue.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The account whose message it is: the queue shares its consumers fairly between accounts (`MessageGroupId`).
    pub account: AccountId,
    /// A chunk, as `domain::chunk` encodes it: at most 240 KiB, in UTF-8 characters that a queue may carry.
    pub body: String,
    /// The trace that the request belongs to, as `X-Amzn-Trace-Id` spells it: the queue hands it on to the consumer.
    pub trace: Option<String>,
}

/// The error for a message that was not sent, or whose answer was lost: it may or may not arrive.
#[derive(Debug, thiserror::Error)]
#[error("the queue did not take a message: {0}")]
pub struct QueueUnavailable(pub String);

/// The future that [`Queue::send`] returns, boxed for a trait object.
pub type SendFuture<'a> = Pin<Box<dyn Future<Output = Result<(), QueueUnavailable>> + Send + 'a>>;

/// A queue that delivers each message at least once: SQS, or the local run's own.
pub trait Queue: Send + Sync {
    /// Sends all messages, or fails; after a failure some may arrive all the same.
    fn send(&self, messages: Vec<Outgoing>) -> SendFuture<'_>;
}
