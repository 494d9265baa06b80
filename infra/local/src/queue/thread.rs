//! The thread that keeps the queue: it alone holds the file and the index, so nothing needs a lock, no worker of the
//! async runtime ever waits for a disk, and whatever was asked for meanwhile goes into one transaction.

use std::sync::mpsc;

use domain::clock::Clock;
use domain::time::Timestamp;
use rusqlite::{Connection, Transaction};
use store::queue::{Outgoing, QueueUnavailable};
use tokio::sync::{oneshot, watch};

use super::index::{Entry, Index, RowId};
use super::rows::{self, Kept};
use super::suspects::{MOST_DEATHS, Suspects, Turn};
use super::{Counts, Lane, Outlook, QueueOptions, Receipt, Received};

/// At most so many commands share one transaction, so that the first of them is not kept waiting for long.
const COMMANDS_PER_TRANSACTION: usize = 64;

pub(super) type Reply<Answer> = oneshot::Sender<Result<Answer, QueueUnavailable>>;

/// A request to the queue's thread. It is answered once it is committed.
pub(super) enum Command {
    Send { messages: Vec<Outgoing>, reply: Reply<()> },
    Receive { lane: Lane, at_most: usize, sharers: usize, reply: Reply<Vec<Received>> },
    Delete { lane: Lane, receipts: Vec<Receipt>, reply: Reply<usize> },
    Count { reply: Reply<Counts> },
    Close { reply: Reply<()> },
}

/// What one command changed, before it is committed: how to finish it, and how to undo it.
#[derive(Default)]
struct Change {
    /// New rows, which join the index once they are committed.
    added: Vec<(RowId, Entry)>,
    /// Messages the index already counts as in flight.
    taken: Vec<RowId>,
    /// The suspect that is already handed out alone.
    taken_alone: Option<RowId>,
    /// Messages that already left the index.
    removed: Vec<(RowId, Entry)>,
    /// Messages that already left the main lane and join the dead letters once that is committed.
    buried: Vec<Buried>,
    received: Vec<Received>,
}

struct Buried {
    row: RowId,
    entry: Entry,
    message_id: String,
}

/// The two lanes of the queue: its messages and its dead letters.
pub(super) struct Lanes {
    main: Index,
    /// Of the main lane.
    suspects: Suspects,
    dead: Index,
}

impl Lanes {
    pub(super) fn load(kept: Vec<Kept>, now: Timestamp) -> Self {
        let mut lanes = Self { main: Index::default(), suspects: Suspects::default(), dead: Index::default() };
        for Kept { row, lane, account, receives, deaths, is_suspect } in kept {
            let entry = Entry::waiting(account, receives).after_deaths(deaths);
            if is_suspect {
                lanes.suspects.add(row, entry, now);
            } else {
                lanes.of(lane).add(row, entry);
            }
        }
        lanes
    }

    /// Lets every message whose visibility has ended wait again, and names those of the main lane.
    fn bring_back(&mut self, now: Timestamp) -> Vec<RowId> {
        self.dead.bring_back(now);
        let mut back = self.main.bring_back(now);
        if let Some((row, entry)) = self.suspects.bring_back(now) {
            self.main.add(row, entry);
            back.push(row);
        }
        back
    }

    /// Who may be handed out of a lane next.
    fn turn(&self, lane: Lane, now: Timestamp) -> Turn {
        match lane {
            Lane::Main => self.suspects.turn(now, self.main.in_flight()),
            Lane::Dead => Turn::Others,
        }
    }

    fn outlook(&self, lane: Lane, now: Timestamp) -> Outlook {
        let waiting = match (lane, self.turn(lane, now)) {
            (_, Turn::Suspect(_)) => true,
            (_, Turn::Nobody) => false,
            (Lane::Main, Turn::Others) => self.main.waiting() > 0,
            (Lane::Dead, Turn::Others) => self.dead.waiting() > 0,
        };
        let next_return = match lane {
            Lane::Main => self.main.next_return().into_iter().chain(self.suspects.next_change(now)).min(),
            Lane::Dead => self.dead.next_return(),
        };
        Outlook { waiting, next_return }
    }

    fn of(&mut self, lane: Lane) -> &mut Index {
        match lane {
            Lane::Main => &mut self.main,
            Lane::Dead => &mut self.dead,
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            visible: self.main.waiting() + self.suspects.waiting(),
            in_flight: self.main.in_flight() + self.suspects.in_flight(),
            dead: self.dead.waiting() + self.dead.in_flight(),
        }
    }
}

/// The prospects of receivers that wait for a message, by lane.
pub(super) struct Outlooks {
    pub(super) main: watch::Sender<Outlook>,
    pub(super) dead: watch::Sender<Outlook>,
}

pub(super) struct QueueThread {
    pub(super) connection: Connection,
    pub(super) lanes: Lanes,
    pub(super) outlooks: Outlooks,
    pub(super) options: QueueOptions,
    pub(super) clock: Clock,
}

impl QueueThread {
    /// Carries out commands until it is told to close, or until nobody is left to send any.
    pub(super) fn run(mut self, commands: &mpsc::Receiver<Command>) {
        self.publish();
        while let Ok(first) = commands.recv() {
            let mut closing = None;
            let mut batch = Vec::new();
            for command in std::iter::once(first).chain(commands.try_iter()).take(COMMANDS_PER_TRANSACTION) {
                if let Command::Close { reply } = command {
                    closing = Some(reply);
                    break;
                }
                batch.push(command);
            }
            self.carry_out(batch);
            if let Some(reply) = closing {
                let closed = self.connection.close().map_err(|(_, error)| unavailable(&error));
                // Whoever asked may be gone; the file is closed all the same.
                let _ = reply.send(closed);
                return;
            }
        }
    }

    fn carry_out(&mut self, batch: Vec<Command>) {
        let now = self.clock.now();
        let back = self.lanes.bring_back(now);
        let mut changes = Vec::with_capacity(batch.len());
        match self.write(&batch, &back, now, &mut changes) {
            Ok(()) => {
                for change in &mut changes {
                    self.finish(change);
                }
                // Before the answers: whoever gets an empty one looks here next.
                self.publish();
                for (command, change) in batch.into_iter().zip(changes) {
                    self.answer(command, change);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the queue's file could not be written");
                // In reverse, so that each finds what it left. A command that was not reached left nothing.
                for (command, change) in batch.iter().zip(changes).rev() {
                    self.undo(command, change, now);
                }
                self.publish();
                for command in batch {
                    refuse(command, &error);
                }
            }
        }
    }

    /// Writes the whole batch in one transaction. On failure nothing of it is in the file, and `changes` says what of it
    /// is in the index.
    fn write(
        &mut self,
        batch: &[Command],
        back: &[RowId],
        now: Timestamp,
        changes: &mut Vec<Change>,
    ) -> rusqlite::Result<()> {
        let Self { connection, lanes, options, clock, .. } = self;
        let transaction = connection.transaction()?;
        for row in back {
            rows::let_go(&transaction, *row)?;
        }
        for command in batch {
            let mut change = Change::default();
            let written = match command {
                Command::Send { messages, .. } => send(&transaction, clock, now, messages, &mut change),
                Command::Receive { lane, at_most, sharers, .. } => {
                    let until = now.plus_millis(options.visibility_millis());
                    let waiting = lanes.of(*lane).waiting();
                    let share = waiting.div_ceil((*sharers).max(1)).clamp(1, (*at_most).max(1));
                    // The dead letters are where a message stays until somebody deletes it.
                    let max_receives = if *lane == Lane::Main { options.max_receives } else { u32::MAX };
                    match lanes.turn(*lane, now) {
                        Turn::Nobody => Ok(()),
                        Turn::Suspect(row) => {
                            receive_alone(&transaction, &mut lanes.suspects, row, now, until, max_receives, &mut change)
                        }
                        Turn::Others => {
                            receive(&transaction, lanes.of(*lane), now, until, share, max_receives, &mut change)
                        }
                    }
                }
                Command::Delete { lane, receipts, .. } => delete(&transaction, lanes, *lane, receipts, &mut change),
                Command::Count { .. } | Command::Close { .. } => Ok(()),
            };
            changes.push(change);
            written?;
        }
        transaction.commit()
    }

    fn finish(&mut self, change: &mut Change) {
        for (row, entry) in change.added.drain(..) {
            self.lanes.main.add(row, entry);
        }
        for Buried { row, entry, message_id } in change.buried.drain(..) {
            tracing::warn!(
                message.id = message_id,
                account.id = &*entry.group,
                message.receives = entry.receives,
                "a message was moved to the dead letters"
            );
            self.lanes.dead.add(row, entry);
        }
    }

    fn undo(&mut self, command: &Command, change: Change, now: Timestamp) {
        let lane = match command {
            Command::Receive { lane, .. } | Command::Delete { lane, .. } => *lane,
            Command::Send { .. } | Command::Count { .. } | Command::Close { .. } => return,
        };
        if let Some(row) = change.taken_alone {
            self.lanes.suspects.release(row, now);
        }
        let index = self.lanes.of(lane);
        for row in change.taken {
            index.release(row);
        }
        let buried = change.buried.into_iter().map(|buried| (buried.row, buried.entry));
        for (row, entry) in buried.chain(change.removed) {
            index.add(row, entry);
        }
    }

    // An answer that nobody waits for any more is no failure: a message that was received so comes back by itself.
    fn answer(&self, command: Command, change: Change) {
        match command {
            Command::Send { reply, .. } | Command::Close { reply } => drop(reply.send(Ok(()))),
            Command::Receive { reply, .. } => drop(reply.send(Ok(change.received))),
            Command::Delete { reply, .. } => drop(reply.send(Ok(change.removed.len()))),
            Command::Count { reply } => drop(reply.send(Ok(self.lanes.counts()))),
        }
    }

    fn publish(&self) {
        let now = self.clock.now();
        for (lane, outlook) in [(Lane::Main, &self.outlooks.main), (Lane::Dead, &self.outlooks.dead)] {
            let new = self.lanes.outlook(lane, now);
            outlook.send_if_modified(|old| {
                // Those who wait look at the time themselves, so a later time alone is no reason to wake them.
                let news = old.waiting != new.waiting || old.next_return.is_some() != new.next_return.is_some();
                *old = new;
                news
            });
        }
    }
}

fn send(
    transaction: &Transaction<'_>,
    clock: &Clock,
    now: Timestamp,
    messages: &[Outgoing],
    change: &mut Change,
) -> rusqlite::Result<()> {
    for message in messages {
        let message_id = uuid::Builder::from_random_bytes(clock.random()).into_uuid().to_string();
        let row = rows::insert(transaction, &message_id, message, now)?;
        change.added.push((row, Entry::waiting(message.account.as_str().into(), 0)));
    }
    Ok(())
}

fn receive(
    transaction: &Transaction<'_>,
    index: &mut Index,
    now: Timestamp,
    until: Timestamp,
    share: usize,
    max_receives: u32,
    change: &mut Change,
) -> rusqlite::Result<()> {
    while change.received.len() < share
        && let Some(row) = index.take(until)
    {
        // As SQS does it: the receive after the last allowed one finds the message gone to the dead letters.
        if index.get(row).is_some_and(|entry| entry.failures() > max_receives) {
            index.release(row);
            bury(transaction, row, index.remove(row), change)?;
        } else {
            change.taken.push(row);
            change.received.extend(rows::receive(transaction, row, now)?);
        }
    }
    Ok(())
}

/// Moves a message, which has left the main lane in memory, to the dead letters.
fn bury(transaction: &Transaction<'_>, row: RowId, entry: Option<Entry>, change: &mut Change) -> rusqlite::Result<()> {
    let message_id = rows::bury(transaction, row);
    if let Some(entry) = entry {
        let known = message_id.as_ref().ok().cloned().flatten().unwrap_or_default();
        change.buried.push(Buried { row, entry, message_id: known });
    }
    message_id.map(drop)
}

/// Hands out a message that was in flight when the process died, and nothing beside it.
fn receive_alone(
    transaction: &Transaction<'_>,
    suspects: &mut Suspects,
    row: RowId,
    now: Timestamp,
    until: Timestamp,
    max_receives: u32,
    change: &mut Change,
) -> rusqlite::Result<()> {
    let Some(entry) = suspects.get(row) else { return Ok(()) };
    if entry.failures() >= max_receives || entry.deaths > MOST_DEATHS {
        return bury(transaction, row, suspects.remove(row), change);
    }
    suspects.take(row, until);
    change.taken_alone = Some(row);
    change.received.extend(rows::receive(transaction, row, now)?);
    Ok(())
}

fn delete(
    transaction: &Transaction<'_>,
    lanes: &mut Lanes,
    lane: Lane,
    receipts: &[Receipt],
    change: &mut Change,
) -> rusqlite::Result<()> {
    for receipt in receipts {
        // Only the latest receive may delete: an earlier one lost its message to it.
        let is_latest = |entry: &Entry| entry.receives == receipt.receives;
        let removed = if lane == Lane::Main && lanes.suspects.get(receipt.row).is_some_and(is_latest) {
            lanes.suspects.remove(receipt.row)
        } else if lanes.of(lane).get(receipt.row).is_some_and(is_latest) {
            lanes.of(lane).remove(receipt.row)
        } else {
            None
        };
        if let Some(entry) = removed {
            change.removed.push((receipt.row, entry));
            rows::delete(transaction, receipt.row)?;
        }
    }
    Ok(())
}

fn refuse(command: Command, error: &rusqlite::Error) {
    match command {
        Command::Send { reply, .. } | Command::Close { reply } => drop(reply.send(Err(unavailable(error)))),
        Command::Receive { reply, .. } => drop(reply.send(Err(unavailable(error)))),
        Command::Delete { reply, .. } => drop(reply.send(Err(unavailable(error)))),
        Command::Count { reply } => drop(reply.send(Err(unavailable(error)))),
    }
}

fn unavailable(error: &rusqlite::Error) -> QueueUnavailable {
    QueueUnavailable(error.to_string())
}
