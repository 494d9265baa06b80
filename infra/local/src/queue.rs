//! The local run's queue: the behaviour of SQS, in this process and in one file.
//!
//! - At least once: a message that was received and not deleted comes back when its visibility ends, or at once when the
//!   process starts again.
//! - Durable: a send returns after its commit, and a receive is counted before the message is handed out.
//! - Dead letters: a message that was received [`QueueOptions::max_receives`] times and would be received again is moved
//!   aside instead. Where SQS counts every receive, here one that ended with the process does not count: it may have been
//!   its neighbour's fault, or a `kill -9`. What was in flight then is handed out alone, and only what keeps dying so is moved aside
//!   too, so that a message which kills the process cannot do so for ever.
//! - Fair: the account with the fewest messages in flight is served first, as SQS serves message groups on a standard
//!   queue. No order is promised.

mod index;
mod rows;
mod suspects;
mod thread;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::mpsc;
use std::time::Duration;

use domain::clock::Clock;
use domain::time::Timestamp;
use store::queue::{Outgoing, Queue, QueueUnavailable, SendFuture};
use tokio::sync::{oneshot, watch};

use self::index::RowId;
use self::thread::{Command, Lanes, Outlooks, QueueThread, Reply};

/// The most messages that one receive hands out, as in SQS.
pub const MOST_PER_RECEIVE: usize = 10;

/// How often somebody who waits for a message to come back looks at the clock, which a test may move.
const CLOCK_CHECK: Duration = Duration::from_millis(50);

/// Settings of a queue, as SQS has them among its attributes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QueueOptions {
    /// The visibility timeout: how long a received message stays hidden.
    pub visibility: Duration,
    /// Receives after which a message goes to the dead letters instead of being received again (`maxReceiveCount`).
    pub max_receives: u32,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self { visibility: Duration::from_secs(30), max_receives: 5 }
    }
}

impl QueueOptions {
    fn visibility_millis(&self) -> u64 {
        u64::try_from(self.visibility.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The reason why the queue's file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    File(#[from] rusqlite::Error),
    /// The file was written by another version of this program.
    #[error("its layout is {found}, which this version does not know")]
    OtherLayout { found: i64 },
    #[error("its thread could not be started: {0}")]
    Thread(std::io::Error),
}

/// A message handed out by [`LocalQueue::receive`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    /// The message's id, the same at every receive: a lower-case UUID.
    pub message_id: String,
    /// The receipt that deletes the message, until it is received again.
    pub receipt: Receipt,
    /// The account whose message it is (`MessageGroupId`).
    pub account: String,
    pub body: String,
    /// How often the message has been handed out, this time included (`ApproximateReceiveCount`).
    pub receives: u32,
    pub sent_at: Timestamp,
    pub first_received_at: Timestamp,
    /// The trace that its sender gave it (`AWSTraceHeader`).
    pub trace: Option<String>,
}

/// A handle of one receive of one message (`ReceiptHandle`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Receipt {
    row: RowId,
    receives: u32,
}

/// The error for a text that is not a receipt of this queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a receipt of this queue")]
pub struct NotAReceipt;

impl fmt::Display for Receipt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.row.0, self.receives)
    }
}

impl FromStr for Receipt {
    type Err = NotAReceipt;

    fn from_str(text: &str) -> Result<Self, NotAReceipt> {
        let (row, receives) = text.split_once('.').ok_or(NotAReceipt)?;
        Ok(Self {
            row: RowId(row.parse().map_err(|_| NotAReceipt)?),
            receives: receives.parse().map_err(|_| NotAReceipt)?,
        })
    }
}

/// Numbers of messages in the queue.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Messages that wait to be received.
    pub visible: usize,
    /// Messages that were received, and neither deleted nor come back.
    pub in_flight: usize,
    /// Messages among the dead letters.
    pub dead: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lane {
    Main,
    Dead,
}

/// The prospects of a receiver that waits for a message of one lane.
#[derive(Clone, Copy, Debug, Default)]
struct Outlook {
    waiting: bool,
    next_return: Option<Timestamp>,
}

/// A queue, or its dead letters. Clones are the same queue; it works until [`close`](Self::close), or until the last
/// clone is dropped.
#[derive(Clone, Debug)]
pub struct LocalQueue {
    lane: Lane,
    commands: mpsc::Sender<Command>,
    main: watch::Receiver<Outlook>,
    dead: watch::Receiver<Outlook>,
    clock: Clock,
}

impl LocalQueue {
    /// Opens the queue in the file at `path`, and makes it if there is none. Messages that were in flight when its last
    /// process ended are handed out again.
    ///
    /// # Errors
    /// When the file cannot be opened, or is no queue of this version.
    pub fn open(path: &Path, options: QueueOptions, clock: Clock) -> Result<Self, OpenError> {
        Self::start(Some(path), options, clock)
    }

    /// Makes a queue in memory, which ends with this process.
    ///
    /// # Errors
    /// When the system has no memory or no thread for it.
    pub fn in_memory(options: QueueOptions, clock: Clock) -> Result<Self, OpenError> {
        Self::start(None, options, clock)
    }

    fn start(path: Option<&Path>, options: QueueOptions, clock: Clock) -> Result<Self, OpenError> {
        let connection = rows::open(path)?;
        let lanes = Lanes::load(rows::all(&connection)?, clock.now());
        let (main_outlook, main) = watch::channel(Outlook::default());
        let (dead_outlook, dead) = watch::channel(Outlook::default());
        let outlooks = Outlooks { main: main_outlook, dead: dead_outlook };
        let queue_thread = QueueThread { connection, lanes, outlooks, options, clock: clock.clone() };
        let (commands, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new().name("queue".into());
        thread.spawn(move || queue_thread.run(&inbox)).map_err(OpenError::Thread)?;
        Ok(Self { lane: Lane::Main, commands, main, dead, clock })
    }

    /// The queue of dead letters: they are received and deleted like any message, but never moved anywhere.
    #[must_use]
    pub fn dead_letters(&self) -> Self {
        Self { lane: Lane::Dead, ..self.clone() }
    }

    /// Receives messages that are waiting: at most `at_most`, at most ten, and none when nothing is waiting. When
    /// `sharers` receivers wait for this queue, each gets its share of what is there, so that none takes ten and leaves
    /// the others idle.
    ///
    /// # Errors
    /// When the file cannot be written, or the queue is closed.
    pub async fn receive(&self, at_most: usize, sharers: usize) -> Result<Vec<Received>, QueueUnavailable> {
        let at_most = at_most.min(MOST_PER_RECEIVE);
        self.ask(|reply| Command::Receive { lane: self.lane, at_most, sharers, reply }).await
    }

    /// Deletes received messages, and answers with how many there were. The receipt of a message that was received
    /// again, or deleted before, deletes nothing.
    ///
    /// # Errors
    /// When the file cannot be written, or the queue is closed.
    pub async fn delete(&self, receipts: Vec<Receipt>) -> Result<usize, QueueUnavailable> {
        self.ask(|reply| Command::Delete { lane: self.lane, receipts, reply }).await
    }

    /// Counts the messages of the queue.
    ///
    /// # Errors
    /// When the queue is closed.
    pub async fn counts(&self) -> Result<Counts, QueueUnavailable> {
        self.ask(|reply| Command::Count { reply }).await
    }

    /// Waits until there may be something to receive, or the queue is closed.
    pub async fn arrival(&self) {
        let mut outlook = match self.lane {
            Lane::Main => self.main.clone(),
            Lane::Dead => self.dead.clone(),
        };
        loop {
            let Outlook { waiting, next_return } = *outlook.borrow_and_update();
            let now = self.clock.now();
            if waiting || next_return.is_some_and(|at| at <= now) {
                return;
            }
            let open = match next_return {
                None => outlook.changed().await.is_ok(),
                Some(at) => {
                    let nap = Duration::from_millis(at.as_millis() - now.as_millis()).min(CLOCK_CHECK);
                    tokio::time::timeout(nap, outlook.changed()).await.is_ok_and(|changed| changed.is_ok())
                        || outlook.has_changed().is_ok()
                }
            };
            if !open {
                return;
            }
        }
    }

    /// Finishes what was asked for before, closes the file, and returns when that is done. Later calls fail.
    ///
    /// # Errors
    /// When the file cannot be closed, or the queue is closed already.
    pub async fn close(&self) -> Result<(), QueueUnavailable> {
        self.ask(|reply| Command::Close { reply }).await
    }

    async fn ask<Answer>(&self, command: impl FnOnce(Reply<Answer>) -> Command) -> Result<Answer, QueueUnavailable> {
        let closed = || QueueUnavailable("it is closed".into());
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl Queue for LocalQueue {
    fn send(&self, messages: Vec<Outgoing>) -> SendFuture<'_> {
        Box::pin(self.ask(|reply| Command::Send { messages, reply }))
    }
}

#[cfg(test)]
mod tests;
