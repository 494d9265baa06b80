//! The queue in a test's own hands: which chunk is delivered when and how often, and how far its consumer comes.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use consume::Consumer;
use domain::chunk::Chunk;
use serde_json::Value;
use store::Store;
use store::queue::{Outgoing, Queue};

use crate::{Client, Home};

/// How long one invocation of the consumer may take.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// Stands between the queue and the consumer. While it lives nothing is delivered by itself.
pub struct Deliveries<'home> {
    home: &'home Home,
    consumer: Consumer,
}

/// One message, as it is handed to a consumer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    pub body: String,
    /// How often it has been handed out, this time included (`ApproximateReceiveCount`).
    pub receives: u32,
}

impl Delivery {
    /// The same message, delivered once more.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { body: self.body.clone(), receives: self.receives + 1 }
    }

    /// # Panics
    /// When the message is no chunk.
    #[must_use]
    pub fn chunk(&self) -> Chunk<'_> {
        Chunk::from_message(&self.body).expect("a chunk")
    }

    /// The message alone, as Lambda hands it to a function.
    #[must_use]
    pub fn event(&self) -> SqsEvent {
        let mut event = SqsEvent::default();
        event.records = vec![self.message(0)];
        event
    }

    fn message(&self, place: usize) -> SqsMessage {
        let mut message = SqsMessage::default();
        message.message_id = Some(place.to_string());
        message.body = Some(self.body.clone());
        message.attributes.insert("ApproximateReceiveCount".to_owned(), self.receives.to_string());
        message
    }
}

impl<'home> Deliveries<'home> {
    /// Takes the queue of a home that has not been given any job yet, and its dead letters.
    ///
    /// # Panics
    /// When the home uses SQS.
    #[must_use]
    pub fn of(home: &'home Home) -> Self {
        Self::to_consumer_with(home, home.run.store().clone())
    }

    /// As [`of`](Self::of), with a consumer that has this store of its own.
    ///
    /// # Panics
    /// When the home uses a queue of another place.
    #[must_use]
    pub fn to_consumer_with(home: &'home Home, store: Store) -> Self {
        home.run.poller().pause();
        home.run.dead_letter_poller().expect("dead letters of its own").pause();
        let consumer = Consumer::new(store, Arc::clone(home.run.sender()));
        Self { home, consumer }
    }

    /// Takes every message that waits in the queue, each received for the first time.
    ///
    /// # Panics
    /// When the queue does not answer.
    pub async fn take(&self) -> Vec<Delivery> {
        let queue = self.home.queue();
        let mut taken = Vec::new();
        loop {
            let batch = queue.receive(10, 1).await.expect("the queue");
            if batch.is_empty() {
                return taken;
            }
            queue.delete(batch.iter().map(|message| message.receipt).collect()).await.expect("the queue");
            taken.extend(batch.into_iter().map(|message| Delivery { body: message.body, receives: message.receives }));
        }
    }

    /// The one message that waits in the queue.
    ///
    /// # Panics
    /// When there is none, or more than one.
    pub async fn take_one(&self) -> Delivery {
        let taken = self.take().await;
        let [delivery] = taken.as_slice() else { panic!("{} messages wait", taken.len()) };
        delivery.clone()
    }

    /// Puts a message of the test's own into the queue.
    ///
    /// # Panics
    /// When the queue does not answer.
    pub async fn send(&self, client: &Client, body: &str) {
        let message = Outgoing { account: client.account.clone(), body: body.to_owned(), trace: None };
        self.home.queue().send(vec![message]).await.expect("the queue");
    }

    /// Hands a batch to a consumer and answers with the places of the messages that have to come back.
    ///
    /// # Panics
    /// When the consumer names a message it was not given.
    pub async fn hand_over(&self, batch: &[Delivery]) -> Vec<usize> {
        let mut event = SqsEvent::default();
        event.records = batch.iter().enumerate().map(|(place, delivery)| delivery.message(place)).collect();
        let response = self.consumer.handle(event, Instant::now() + TIME_LIMIT).await;
        let failed = response.batch_item_failures.iter();
        let mut places: Vec<usize> =
            failed.map(|failure| failure.item_identifier.parse().expect("a message of the batch")).collect();
        places.sort_unstable();
        places
    }

    /// Hands one message to a consumer, which must be done with it.
    ///
    /// # Panics
    /// When the message has to come back.
    pub async fn deliver(&self, delivery: &Delivery) {
        let unfinished = self.hand_over(std::slice::from_ref(delivery)).await;
        assert!(unfinished.is_empty(), "it comes back: {}", delivery.body);
    }

    /// Delivers what waits in the queue, and what that sends, until nothing waits.
    ///
    /// # Panics
    /// When a message has to come back.
    pub async fn drain(&self) {
        loop {
            let waiting = self.take().await;
            if waiting.is_empty() {
                return;
            }
            for delivery in waiting {
                self.deliver(&delivery).await;
            }
        }
    }

    /// Posts a job that must be accepted, delivers it and answers with it as it then stands.
    pub async fn run_job(&self, client: &Client, job_type: &str, action: &str, data: Value) -> Value {
        let id = client.accepted(job_type, action, data).await;
        self.drain().await;
        client.job(&id).await
    }

    /// Hands a message to a consumer that dies when it has been woken `wakes` times: at that moment the answer of one of
    /// its calls has arrived, and it does not get to see it. Answers whether it was done before.
    pub async fn deliver_to_mortal(&self, delivery: &Delivery, wakes: usize) -> bool {
        stopped_after(wakes, self.hand_over(std::slice::from_ref(delivery))).await.is_some()
    }
}

/// Polls the future so many times and drops it, unless it is ready before.
async fn stopped_after<Done: Future>(polls: usize, future: Done) -> Option<Done::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

impl Client {
    /// Posts a job that must be accepted and answers with its id.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn accepted(&self, job_type: &str, action: &str, data: Value) -> String {
        let job = self.create_job(job_type, action, data).await.data(201);
        job["id"].as_str().expect("an id").to_owned()
    }

    /// The job as it stands.
    ///
    /// # Panics
    /// When there is none.
    pub async fn job(&self, id: &str) -> Value {
        self.get(&format!("/jobs/{id}")).await.data(200)
    }

    /// How many jobs of the account hold a slot.
    ///
    /// # Panics
    /// When the database does not answer.
    pub async fn active_jobs(&self) -> u64 {
        let store = &self.store;
        store.jobs.admission(&self.account, None, store.clock().now()).await.expect("the database").active
    }
}
