//! SQS as a source of messages, with the calls that Lambda's event source mapping makes.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use futures_util::future::try_join_all;
use store::clients::AwsSettings;
use store::queue::QueueUnavailable;

use super::Source;
use crate::queue::MOST_PER_RECEIVE;

/// How long a receive waits for a message. Lambda waits for 20 s; here it is short, so that a run that is told to stop
/// or to pause has not long to wait for a receiver.
const LONG_POLL: Duration = Duration::from_secs(2);

/// A `DeleteMessageBatch` takes at most ten receipt handles.
const MOST_PER_DELETE: usize = 10;

/// An SQS queue that the local run uses instead of its own.
#[derive(Clone, Debug)]
pub struct SqsOptions {
    /// The region and the endpoint of SQS, and the credentials.
    pub aws: AwsSettings,
    /// The URL of the queue of chunks.
    pub url: String,
    /// The URL of the dead-letter queue, to which SQS moves what was received too often; without it nobody buries dead
    /// letters.
    pub dead_letters_url: Option<String>,
}

/// The receiving side of an SQS standard queue.
#[derive(Clone, Debug)]
pub struct SqsSource {
    client: Client,
    url: String,
    region: String,
    /// The queue's ARN, as an event names it.
    arn: String,
}

impl SqsSource {
    /// Makes a source of the queue at `url` in `region`.
    #[must_use]
    pub fn new(client: Client, url: String, region: String) -> Self {
        let arn = arn(&url, &region);
        Self { client, url, region, arn }
    }

    fn as_message(&self, received: Message) -> SqsMessage {
        let mut message = SqsMessage::default();
        let attributes = received.attributes.unwrap_or_default();
        message.attributes = attributes.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect();
        message.message_id = received.message_id;
        message.receipt_handle = received.receipt_handle;
        message.md5_of_body = received.md5_of_body;
        message.body = received.body;
        message.event_source = Some("aws:sqs".into());
        message.event_source_arn = Some(self.arn.clone());
        message.aws_region = Some(self.region.clone());
        message
    }

    async fn delete_batch(&self, receipt_handles: &[String]) -> Result<(), QueueUnavailable> {
        let mut request = self.client.delete_message_batch().queue_url(&self.url);
        for (place, handle) in receipt_handles.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(place.to_string()).receipt_handle(handle).build();
            request = request.entries(entry.map_err(|error| QueueUnavailable(error.to_string()))?);
        }
        let answer = request.send().await.map_err(|error| unavailable(&error))?;
        match answer.failed().first() {
            None => Ok(()),
            Some(failed) => Err(QueueUnavailable(format!("{} of {} deletions", failed.code(), answer.failed().len()))),
        }
    }
}

impl Source for SqsSource {
    async fn receive(&self, at_most: usize, _sharers: usize) -> Result<Vec<SqsMessage>, QueueUnavailable> {
        let at_most = at_most.clamp(1, MOST_PER_RECEIVE);
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(at_most).unwrap_or(1))
            .wait_time_seconds(i32::try_from(LONG_POLL.as_secs()).unwrap_or(1))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(|message| self.as_message(message)).collect())
    }

    // The receive itself waits.
    async fn arrival(&self) {}

    async fn delete(&self, receipt_handles: Vec<String>) -> Result<(), QueueUnavailable> {
        let batches = receipt_handles.chunks(MOST_PER_DELETE).map(|batch| self.delete_batch(batch));
        try_join_all(batches).await.map(drop)
    }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> QueueUnavailable {
    QueueUnavailable(DisplayErrorContext(error).to_string())
}

/// A queue's URL ends in the account and the name.
fn arn(url: &str, region: &str) -> String {
    let mut parts = url.trim_end_matches('/').rsplit('/');
    let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("arn:aws:sqs:{region}:{account}:{name}")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::extract::State;
    use axum::http::HeaderMap;
    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::{Value, json};
    use store::clients;

    use super::*;

    /// What SQS was asked, by operation.
    type Asked = Arc<Mutex<Vec<(String, Value)>>>;

    /// Answers as SQS documents it: one message to each receive, and one failure to a deletion of `stale`.
    async fn answer(State(asked): State<Asked>, headers: HeaderMap, body: axum::body::Bytes) -> Json<Value> {
        let target = headers["x-amz-target"].to_str().unwrap().trim_start_matches("AmazonSQS.").to_owned();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let answer = match target.as_str() {
            "ReceiveMessage" => json!({"Messages": [{
                "MessageId": "id-1", "ReceiptHandle": "handle-1", "Body": "hello",
                "MD5OfBody": "5d41402abc4b2a76b9719d911017c592",
                "Attributes": {"ApproximateReceiveCount": "2", "MessageGroupId": "acme", "AWSTraceHeader": "Root=1-2-3"},
            }]}),
            _ => {
                let entries = body["Entries"].as_array().unwrap();
                let stale = entries.iter().filter(|entry| entry["ReceiptHandle"] == "stale");
                let failed = stale
                    .map(|entry| json!({"Id": entry["Id"], "Code": "ReceiptHandleIsInvalid", "SenderFault": true}));
                json!({"Successful": [], "Failed": failed.collect::<Vec<_>>()})
            }
        };
        asked.lock().unwrap().push((target, body));
        Json(answer)
    }

    async fn source() -> (SqsSource, Asked) {
        let asked = Asked::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(post(answer)).with_state(Arc::clone(&asked));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let settings = AwsSettings::emulator(&endpoint);
        let client = clients::sqs(&settings, clients::http_client());
        (SqsSource::new(client, format!("{endpoint}/123456789012/jobs"), settings.region), asked)
    }

    #[tokio::test]
    async fn a_message_comes_with_everything_that_lambda_would_hand_over() {
        let (source, asked) = source().await;
        let [message]: [SqsMessage; 1] = source.receive(100, 8).await.unwrap().try_into().unwrap();
        assert_eq!((message.message_id.as_deref(), message.body.as_deref()), (Some("id-1"), Some("hello")));
        assert_eq!(message.receipt_handle.as_deref(), Some("handle-1"));
        assert_eq!(message.event_source_arn.as_deref(), Some("arn:aws:sqs:us-east-1:123456789012:jobs"));
        let attribute = |name: &str| message.attributes.get(name).map(String::as_str);
        assert_eq!(attribute("ApproximateReceiveCount"), Some("2"));
        assert_eq!((attribute("MessageGroupId"), attribute("AWSTraceHeader")), (Some("acme"), Some("Root=1-2-3")));

        let (_, request) = asked.lock().unwrap().remove(0);
        assert_eq!((&request["MaxNumberOfMessages"], &request["WaitTimeSeconds"]), (&json!(10), &json!(2)));
        assert_eq!(request["MessageSystemAttributeNames"], json!(["All"]));
    }

    #[tokio::test]
    async fn deletions_go_ten_at_a_time_and_one_that_fails_is_an_error() {
        let (source, asked) = source().await;
        source.delete((0..23).map(|number| format!("handle-{number}")).collect()).await.unwrap();
        let mut sizes: Vec<_> =
            asked.lock().unwrap().iter().map(|(_, body)| body["Entries"].as_array().unwrap().len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [3, 10, 10]);
        let refused = source.delete(vec!["good".into(), "stale".into()]).await.unwrap_err().to_string();
        assert!(refused.contains("ReceiptHandleIsInvalid"), "{refused}");
    }
}
