//! Sources of a poller's messages: this process's own queue, or SQS itself.

pub mod sqs;

use std::future::Future;

use aws_lambda_events::event::sqs::SqsMessage;
use store::queue::QueueUnavailable;

use crate::queue::{LocalQueue, Receipt, Received};

/// A queue as a poller sees it: messages come as Lambda hands them to a function, and are deleted by their receipt
/// handles. A message that is received and not deleted comes back when its visibility timeout ends. Clones are the same
/// queue.
pub trait Source: Clone + Send + Sync + 'static {
    /// Receives at most `at_most` messages, perhaps none. When `sharers` receivers share the queue, each may get no
    /// more than its share. Not to be dropped before it is done: messages that it has received stay hidden for a while.
    fn receive(
        &self,
        at_most: usize,
        sharers: usize,
    ) -> impl Future<Output = Result<Vec<SqsMessage>, QueueUnavailable>> + Send;

    /// Waits until it is worth receiving again after nothing came. May be dropped at any time.
    fn arrival(&self) -> impl Future<Output = ()> + Send;

    /// Deletes received messages.
    fn delete(&self, receipt_handles: Vec<String>) -> impl Future<Output = Result<(), QueueUnavailable>> + Send;
}

impl Source for LocalQueue {
    async fn receive(&self, at_most: usize, sharers: usize) -> Result<Vec<SqsMessage>, QueueUnavailable> {
        Ok(LocalQueue::receive(self, at_most, sharers).await?.into_iter().map(as_message).collect())
    }

    async fn arrival(&self) {
        LocalQueue::arrival(self).await;
    }

    async fn delete(&self, receipt_handles: Vec<String>) -> Result<(), QueueUnavailable> {
        let receipts: Result<Vec<Receipt>, _> = receipt_handles.iter().map(|handle| handle.parse()).collect();
        let receipts = receipts.map_err(|error| QueueUnavailable(format!("{error}")))?;
        LocalQueue::delete(self, receipts).await.map(drop)
    }
}

/// A message as Lambda hands it to a function.
fn as_message(received: Received) -> SqsMessage {
    let mut message = SqsMessage::default();
    message.attributes = [
        ("ApproximateReceiveCount", received.receives.to_string()),
        ("SentTimestamp", received.sent_at.as_millis().to_string()),
        ("ApproximateFirstReceiveTimestamp", received.first_received_at.as_millis().to_string()),
        ("MessageGroupId", received.account),
    ]
    .into_iter()
    .chain(received.trace.map(|trace| ("AWSTraceHeader", trace)))
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    message.message_id = Some(received.message_id);
    message.receipt_handle = Some(received.receipt.to_string());
    message.body = Some(received.body);
    message.event_source = Some("aws:sqs".into());
    message.event_source_arn = Some("arn:aws:sqs:local:000000000000:jobs".into());
    message.aws_region = Some("local".into());
    message
}
