//! The queue on AWS.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, SendMessageBatchRequestEntry,
};
use futures_util::future::try_join_all;

use crate::queue::{Outgoing, Queue, QueueUnavailable, SendFuture};

/// A `SendMessageBatch` takes at most ten messages.
const MESSAGES_PER_BATCH: usize = 10;
/// And at most 1 MiB in all; something is left for attributes.
const BYTES_PER_BATCH: usize = 1024 * 1024 - 16 * 1024;

/// What makes a client.
type MakeClient = Box<dyn FnOnce() -> Client + Send>;

/// An SQS standard queue. Clones share one client.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    client: Arc<LazyLock<Client, MakeClient>>,
    url: String,
}

impl SqsQueue {
    #[must_use]
    pub fn new(client: Client, url: String) -> Self {
        Self::when_needed(move || client, url)
    }

    /// With a client that is made for the first message. To make one was a third of what the consumer and bury did to start, and most
    /// containers of the one and nearly all of the other never send any.
    #[must_use]
    pub fn when_needed(make: impl FnOnce() -> Client + Send + 'static, url: String) -> Self {
        Self { client: Arc::new(LazyLock::new(Box::new(make))), url }
    }

    async fn send_batch(&self, batch: Vec<Outgoing>) -> Result<(), QueueUnavailable> {
        let mut request = self.client.send_message_batch().queue_url(&self.url);
        for (place, message) in batch.into_iter().enumerate() {
            request = request.entries(entry(place, message)?);
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

fn entry(place: usize, message: Outgoing) -> Result<SendMessageBatchRequestEntry, QueueUnavailable> {
    SendMessageBatchRequestEntry::builder()
        .id(place.to_string())
        // On a standard queue the group makes the queue fair: a loud tenant does not hold up a quiet one.
        .message_group_id(message.account.as_str())
        .message_body(message.body)
        .set_message_system_attributes(message.trace.map(trace_attribute).transpose()?)
        .build()
        .map_err(|error| QueueUnavailable(error.to_string()))
}

/// The one system attribute that a sender may set. It counts towards no limit.
fn trace_attribute(
    trace: String,
) -> Result<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>, QueueUnavailable> {
    let value = MessageSystemAttributeValue::builder().data_type("String").string_value(trace).build();
    let value = value.map_err(|error| QueueUnavailable(error.to_string()))?;
    Ok(HashMap::from([(MessageSystemAttributeNameForSends::AwsTraceHeader, value)]))
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
        let message =
            |bytes| Outgoing { account: AccountId::parse("a").unwrap(), body: "x".repeat(bytes), trace: None };
        let sizes = |bytes: &[usize]| {
            let batches = batches(bytes.iter().map(|bytes| message(*bytes)).collect());
            batches.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[1; 25]), [10, 10, 5]);
        assert_eq!(sizes(&[240 * 1024; 9]), [4, 4, 1]);
        assert_eq!(sizes(&[]), [0; 0]);
    }

    #[test]
    fn a_message_takes_its_trace_along_as_the_attribute_that_lambda_reads() {
        let account = AccountId::parse("acme").unwrap();
        let sent = |trace: Option<&str>| {
            let message = Outgoing { account: account.clone(), body: "x".to_owned(), trace: trace.map(str::to_owned) };
            let entry = entry(0, message).unwrap();
            let attributes = entry.message_system_attributes()?;
            assert_eq!(attributes.len(), 1);
            let attribute = &attributes[&MessageSystemAttributeNameForSends::AwsTraceHeader];
            assert_eq!(attribute.data_type(), "String");
            attribute.string_value().map(str::to_owned)
        };
        let trace = "Root=1-67891233-abcdef012345678912345678;Sampled=1";
        assert_eq!(sent(Some(trace)).as_deref(), Some(trace));
        assert_eq!(sent(None), None);
    }
}
