//! The queue on AWS.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures_util::future::try_join_all;

use crate::queue::{Outgoing, Queue, QueueUnavailable, SendFuture};

/// A `SendMessageBatch` takes at most ten messages.
const MESSAGES_PER_BATCH: usize = 10;
/// And at most 1 MiB in all; something is left for attributes.
const BYTES_PER_BATCH: usize = 1024 * 1024 - 16 * 1024;

/// An SQS standard queue.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    #[must_use]
    pub const fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    async fn send_batch(&self, batch: Vec<Outgoing>) -> Result<(), QueueUnavailable> {
        let mut request = self.client.send_message_batch().queue_url(&self.url);
        for (place, message) in batch.into_iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                // On a standard queue the group makes the queue fair: a loud tenant does not hold up a quiet one.
                .message_group_id(message.account.as_str())
                .message_body(message.body)
                .build()
                .map_err(|error| QueueUnavailable(error.to_string()))?;
            request = request.entries(entry);
        }
        let answer = request.send().await.map_err(|error| QueueUnavailable(format!("{error:?}")))?;
        match answer.failed().first() {
            None => Ok(()),
            Some(failed) => Err(QueueUnavailable(format!(
                "{} of a batch: {}",
                failed.code(),
                failed.message().unwrap_or("no message")
            ))),
        }
    }
}

impl Queue for SqsQueue {
    fn send(&self, messages: Vec<Outgoing>) -> SendFuture<'_> {
        Box::pin(async move {
            let batches = batches(messages).into_iter().map(|batch| self.send_batch(batch));
            try_join_all(batches).await.map(drop)
        })
    }
}

fn batches(messages: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut batches: Vec<Vec<Outgoing>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        let fits = |batch: &&mut Vec<Outgoing>| {
            batch.len() < MESSAGES_PER_BATCH && bytes + message.body.len() <= BYTES_PER_BATCH
        };
        match batches.last_mut().filter(fits) {
            Some(batch) => {
                bytes += message.body.len();
                batch.push(message);
            }
            None => {
                bytes = message.body.len();
                batches.push(vec![message]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use domain::account::AccountId;

    use super::*;

    #[test]
    fn batches_hold_ten_messages_or_a_mebibyte() {
        let message = |bytes| Outgoing { account: AccountId::parse("a").unwrap(), body: "x".repeat(bytes) };
        let sizes = |bytes: &[usize]| {
            let batches = batches(bytes.iter().map(|bytes| message(*bytes)).collect());
            batches.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[1; 25]), [10, 10, 5]);
        assert_eq!(sizes(&[240 * 1024; 9]), [4, 4, 1]);
        assert_eq!(sizes(&[]), [0; 0]);
    }
}
