//! DynamoDB and SQS, as the functions' calls reach them: each call at once and as a whole.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use dynoxide::Database;
use local::database::ask;
use serde_json::{Value, json};
use tests::refusals::Refusal;

use crate::clock::SimulatedClock;
use crate::watch::Watch;

/// Both services. Clones are the same.
#[derive(Clone)]
pub struct Services {
    database: Database,
    queues: Arc<Mutex<Queues>>,
    clock: SimulatedClock,
    watch: Arc<Mutex<Watch>>,
}

/// A message of the queue.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: usize,
    pub body: String,
    pub receives: u32,
    /// Hidden until then.
    visible_at: Duration,
    sent_at: u64,
}

impl Message {
    pub fn sent_at(&self) -> u64 {
        self.sent_at
    }
}

/// A standard queue and its dead letters.
#[derive(Clone, Debug, Default)]
pub struct Queues {
    main: Vec<Message>,
    dead: Vec<Message>,
    sent: usize,
}

/// Which of the two queues.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lane {
    Main,
    Dead,
}

/// After so many receives a message is a dead letter: the template's `MaxReceives`.
pub const MAX_RECEIVES: u32 = 5;

impl Services {
    pub fn new(clock: SimulatedClock) -> Self {
        let database = Database::memory_with_clock(Arc::new(DatabaseClock(clock.clone()))).expect("memory");
        Self { database, queues: Arc::default(), clock, watch: Arc::default() }
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What is looked at after each call.
    pub fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in the queues.
    pub fn queued(&self) -> Queues {
        self.queues().clone()
    }

    /// Puts that into them, and nothing else.
    pub fn queue(&self, queues: Queues) {
        *self.queues() = queues;
    }

    /// Does what is asked.
    pub fn answer(&self, operation: &str, body: &Value) -> HttpResponse {
        if operation == "SendMessageBatch" {
            return self.send(body, |_| true);
        }
        let answer = match ask(&self.database, operation, body.to_string().as_bytes()) {
            Ok(answer) => response(200, answer),
            Err(error) => response(error.status_code(), error.to_json()),
        };
        self.watch().look(&self.database, operation, body, self.clock.elapsed());
        answer
    }

    /// Takes every second message of a batch.
    pub fn send_some(&self, body: &Value) -> HttpResponse {
        self.send(body, |place| place % 2 == 1)
    }

    fn send(&self, body: &Value, takes: impl Fn(usize) -> bool) -> HttpResponse {
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        let mut queues = self.queues();
        for (place, entry) in body["Entries"].as_array().into_iter().flatten().enumerate() {
            if !takes(place) {
                failed.push(json!({"Id": entry["Id"], "Code": "InternalError", "SenderFault": false}));
                continue;
            }
            queues.sent += 1;
            let id = queues.sent;
            queues.main.push(Message {
                id,
                body: entry["MessageBody"].as_str().expect("a body").to_owned(),
                receives: 0,
                visible_at: Duration::ZERO,
                sent_at: self.clock.wall.now().as_millis(),
            });
            successful
                .push(json!({"Id": entry["Id"], "MessageId": id.to_string(), "MD5OfMessageBody": "not looked at"}));
        }
        response(200, json!({"Successful": successful, "Failed": failed}).to_string())
    }

    /// Hands out the message of the lane that has waited longest, and hides it. One that was received too often goes to
    /// the dead letters instead.
    pub fn receive(&self, lane: Lane, visibility: Duration) -> Option<Message> {
        let now = self.clock.elapsed();
        let mut queues = self.queues();
        loop {
            let Queues { main, dead, .. } = &mut *queues;
            let messages = if lane == Lane::Main { &mut *main } else { &mut *dead };
            let place = messages.iter().position(|message| message.visible_at <= now)?;
            if lane == Lane::Main && messages[place].receives >= MAX_RECEIVES {
                let mut letter = messages.remove(place);
                letter.visible_at = now;
                dead.push(letter);
                continue;
            }
            let message = &mut messages[place];
            message.receives += 1;
            message.visible_at = now + visibility;
            return Some(message.clone());
        }
    }

    /// Which lane the next message comes from, in the order of [`World::receive`](crate::world::World::receive); none when there is none now.
    pub fn next_lane(&self) -> Option<Lane> {
        let now = self.clock.elapsed();
        let queues = self.queues();
        let visible = |message: &&Message| message.visible_at <= now;
        let mut main = queues.main.iter().filter(visible);
        let is_there = main.clone().next().is_some() || queues.dead.iter().any(|message| visible(&message));
        if main.any(|message| message.receives < MAX_RECEIVES) {
            return Some(Lane::Main);
        }
        is_there.then_some(Lane::Dead)
    }

    /// A consumer is done with the message.
    pub fn delete(&self, lane: Lane, id: usize) {
        let mut queues = self.queues();
        let messages = if lane == Lane::Main { &mut queues.main } else { &mut queues.dead };
        messages.retain(|message| message.id != id);
    }

    /// Moves a message that was received too often to the dead letters, whoever is still at it.
    pub fn give_up(&self, id: usize) {
        let mut queues = self.queues();
        if let Some(place) = queues.main.iter().position(|message| message.id == id) {
            let letter = queues.main.remove(place);
            queues.dead.push(Message { visible_at: Duration::ZERO, ..letter });
        }
    }

    /// Somebody empties the queue.
    pub fn purge(&self) {
        self.queues().main.clear();
    }

    /// When the next message can be received; none when there is none.
    pub fn next_visible(&self) -> Option<Duration> {
        let queues = self.queues();
        queues.main.iter().chain(&queues.dead).map(|message| message.visible_at).min()
    }
}

/// How SQS refuses a whole request.
pub fn sqs_refusal(why: Refusal) -> HttpResponse {
    let (status, code) = match why {
        Refusal::Throttled => (400, "com.amazonaws.sqs#RequestThrottled"),
        Refusal::Conflict | Refusal::ServerError => (500, "com.amazonaws.sqs#InternalError"),
    };
    response(status, json!({"__type": code, "message": "refused"}).to_string())
}

fn response(status: u16, body: String) -> HttpResponse {
    HttpResponse::new(status.try_into().expect("a status"), body.into())
}

struct DatabaseClock(SimulatedClock);

impl dynoxide::storage_backend::Clock for DatabaseClock {
    fn now_unix_secs(&self) -> u64 {
        self.0.wall.now().as_seconds()
    }

    #[expect(clippy::cast_precision_loss, reason = "exact until the year 144,683")]
    fn now_unix_secs_f64(&self) -> f64 {
        self.0.wall.now().as_millis() as f64 / 1_000.0
    }
}
