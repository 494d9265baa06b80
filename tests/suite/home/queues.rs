//! Two queues of SQS that a test makes for itself.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use local::queue::QueueOptions;
use local::source::sqs::SqsOptions;
use serde_json::json;
use store::clients::{self, AwsSettings};

use super::fresh_name;

/// A queue, and the one to which SQS moves what was received too often.
pub struct Queues {
    client: Client,
    pub options: SqsOptions,
}

/// Where SQS is, by the environment; whoever is not named there calls as nobody in particular.
///
/// # Panics
/// When `AWS_ENDPOINT_URL_SQS` is not set.
pub fn settings() -> AwsSettings {
    let endpoint = std::env::var("AWS_ENDPOINT_URL_SQS").expect("AWS_ENDPOINT_URL_SQS, for the home localstack");
    AwsSettings::from_environment().unwrap_or_else(|_| AwsSettings::emulator(&endpoint))
}

impl Queues {
    pub async fn make(aws: AwsSettings, options: QueueOptions) -> Self {
        let client = clients::sqs(&aws, clients::http_client());
        let name = fresh_name("suite");
        let visibility = options.visibility.as_secs().to_string();
        let dead = client.create_queue().queue_name(format!("{name}-dead"));
        let dead = dead.attributes(QueueAttributeName::VisibilityTimeout, &visibility).send().await.expect("a queue");
        let dead_letters_url = dead.queue_url.expect("its URL");
        let attributes = client.get_queue_attributes().queue_url(&dead_letters_url);
        let attributes = attributes.attribute_names(QueueAttributeName::QueueArn).send().await.expect("its attributes");
        let arn = &attributes.attributes().expect("some")[&QueueAttributeName::QueueArn];
        let redrive = json!({"deadLetterTargetArn": arn, "maxReceiveCount": options.max_receives}).to_string();
        let queue = client
            .create_queue()
            .queue_name(name)
            .attributes(QueueAttributeName::VisibilityTimeout, visibility)
            .attributes(QueueAttributeName::RedrivePolicy, redrive)
            .send()
            .await
            .expect("a queue");
        let url = queue.queue_url.expect("its URL");
        Self { client, options: SqsOptions { aws, url, dead_letters_url: Some(dead_letters_url) } }
    }

    fn dead_letters_url(&self) -> &str {
        self.options.dead_letters_url.as_deref().expect("made with one")
    }

    pub async fn dead_letters(&self) -> Counts {
        Counts::of(&self.client, self.dead_letters_url()).await
    }

    /// Of the queue, and not of its dead letters.
    pub async fn counts(&self) -> Counts {
        Counts::of(&self.client, &self.options.url).await
    }

    pub async fn send(&self, body: &str) {
        let message = self.client.send_message().queue_url(&self.options.url).message_body(body);
        message.send().await.expect("the queue");
    }

    /// The one message that waits.
    ///
    /// # Panics
    /// When none does.
    pub async fn receive(&self) -> Received {
        let names = [MessageSystemAttributeName::SentTimestamp, MessageSystemAttributeName::ApproximateReceiveCount];
        let request = self.client.receive_message().queue_url(&self.options.url);
        let answer = request.set_message_system_attribute_names(Some(names.to_vec())).send().await.expect("the queue");
        let attributes = answer.messages().first().and_then(|message| message.attributes()).expect("a message");
        let [sent_at, receives] = names.map(|name| attributes[&name].parse().expect("a number"));
        Received { sent_at, receives }
    }

    pub async fn delete(self) {
        for url in [self.options.url.as_str(), self.dead_letters_url()] {
            self.client.delete_queue().queue_url(url).send().await.expect("the queue is deleted");
        }
    }
}

/// How many messages a queue has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Counts {
    /// `ApproximateNumberOfMessages`, which among the metrics is called `ApproximateNumberOfMessagesVisible`.
    pub visible: usize,
    /// `ApproximateNumberOfMessagesNotVisible`.
    pub in_flight: usize,
}

impl Counts {
    pub async fn of(client: &Client, url: &str) -> Self {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = client.get_queue_attributes().queue_url(url);
        let answer = request.set_attribute_names(Some(names.to_vec())).send().await.expect("its attributes");
        let attributes = answer.attributes.unwrap_or_default();
        let [visible, in_flight] = names.map(|name| attributes[&name].parse().expect("a number"));
        Self { visible, in_flight }
    }

    pub fn all(self) -> usize {
        self.visible + self.in_flight
    }
}

/// A message, as far as it says when it was sent and how often it was received.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// In milliseconds since 1970.
    pub sent_at: u64,
    pub receives: u64,
}
