//! The order in which requests reach the database.
//!
//! SQLite lets one in at a time, and a job of 10,000 items brings hundreds. So requests of persons who wait for an
//! answer go first, then small requests of chunks, then batches of records: a person's request waits for no more than
//! the one that is running, and a small job of one account is not kept waiting by a large one of another.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use axum::body::Bytes;
use dynoxide::Database;
use tokio::sync::oneshot;

use super::log::Log;
use super::type_indexes::TypeIndexes;
use super::{answer, writes};

/// SQLite lets one request in at a time; the second thread reads and writes JSON meanwhile.
const THREADS: usize = 2;

/// Of so many turns at least one is of those who are not persons: they are never kept waiting for ever.
const LEAST_SHARE: u32 = 16;

/// A batch of records: requests with more bytes than this. One statement and what belongs to it have some hundred.
const BATCH_BYTES: usize = 4 * 1024;

/// On whose behalf a request is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asker {
    /// A person, who waits for an answer.
    Person,
    /// A function that consumes a queue, or runs by a schedule.
    Worker,
}

/// One request, with where its answer goes.
struct Request {
    target: String,
    body: Bytes,
    to: oneshot::Sender<(u16, String)>,
}

/// An answer that is ready, with where it goes.
pub(super) struct Answer {
    status: u16,
    body: String,
    to: oneshot::Sender<(u16, String)>,
}

impl Answer {
    #[cfg(test)]
    pub(super) fn new(status: u16, body: &str) -> (Self, oneshot::Receiver<(u16, String)>) {
        let (to, given) = oneshot::channel();
        (Self { status, body: body.to_owned(), to }, given)
    }

    /// Gives the answer; who asked may have gone.
    pub(super) fn give(self) {
        drop(self.to.send((self.status, self.body)));
    }

    /// Gives, in its place, the answer that the outcome of the request is not known.
    pub(super) fn refuse(self) {
        drop(self.to.send((500, r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}"#.to_owned())));
    }
}

#[derive(Default)]
struct Lines {
    persons: VecDeque<Request>,
    small: VecDeque<Request>,
    batches: VecDeque<Request>,
    /// Turns since the last that was kept for those who are not persons.
    turns: u32,
    /// Whether it was for batches, and not for what is small.
    batches_had_it: bool,
    is_over: bool,
}

impl Lines {
    fn next(&mut self) -> Option<Request> {
        self.turns += 1;
        if self.turns >= LEAST_SHARE {
            self.turns = 0;
            // By turns, or of the two the one that is longer would keep the other waiting.
            self.batches_had_it = !self.batches_had_it;
            let (first, second) = if self.batches_had_it {
                (&mut self.batches, &mut self.small)
            } else {
                (&mut self.small, &mut self.batches)
            };
            if let Some(request) = first.pop_front().or_else(|| second.pop_front()) {
                return Some(request);
            }
        }
        self.persons.pop_front().or_else(|| self.small.pop_front()).or_else(|| self.batches.pop_front())
    }
}

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    arrived: Condvar,
}

/// The threads that ask the database, and the requests that wait for them. The threads end when this is dropped, or at
/// [`end`](Self::end).
pub(super) struct Turns {
    shared: Arc<Shared>,
}

impl Turns {
    /// Starts the threads. With a log, no answer is given before it is safe from a power cut.
    ///
    /// # Errors
    /// When there can be no threads.
    pub(super) fn of(database: &Database, log: Option<Log>, type_indexes: TypeIndexes) -> io::Result<Self> {
        let (shared, log, type_indexes) = (Arc::<Shared>::default(), log.map(Arc::new), Arc::new(type_indexes));
        for _ in 0..THREADS {
            let (shared, database) = (Arc::clone(&shared), database.clone());
            let (log, type_indexes) = (log.clone(), Arc::clone(&type_indexes));
            std::thread::Builder::new()
                .name("database".into())
                .spawn(move || shared.answer_for_ever(&database, log.as_deref(), &type_indexes))?;
        }
        Ok(Self { shared })
    }

    /// Carries out a request in its turn, and answers with a status and a body; `None` when the database has ended.
    pub(super) async fn ask(&self, asker: Asker, target: String, body: Bytes) -> Option<(u16, String)> {
        let (to, answered) = oneshot::channel();
        let is_batch = body.len() > BATCH_BYTES;
        {
            let mut lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.is_over {
                return None;
            }
            let line = match asker {
                Asker::Person => &mut lines.persons,
                Asker::Worker if is_batch => &mut lines.batches,
                Asker::Worker => &mut lines.small,
            };
            line.push_back(Request { target, body, to });
        }
        self.shared.arrived.notify_one();
        answered.await.ok()
    }

    /// Ends the threads after the requests that they are at. Requests that wait, or come later, are told that the
    /// database has ended.
    pub(super) fn end(&self) {
        let mut lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        *lines = Lines { is_over: true, ..Lines::default() };
        self.shared.arrived.notify_all();
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn answer_for_ever(&self, database: &Database, log: Option<&Log>, type_indexes: &TypeIndexes) {
        loop {
            let request = {
                let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
                loop {
                    if lines.is_over {
                        return;
                    }
                    match lines.next() {
                        Some(request) => break request,
                        None => lines = self.arrived.wait(lines).unwrap_or_else(PoisonError::into_inner),
                    }
                }
            };
            let Request { target, body, to } = request;
            // Nobody waits for it any more: it was given up before it began.
            if to.is_closed() {
                continue;
            }
            let writing = log.filter(|_| writes(&target)).map(Log::writing);
            let answered = catch_unwind(AssertUnwindSafe(|| match type_indexes.before(database, &target, &body) {
                Ok(()) => answer(database, &target, &body),
                Err(error) => (error.status_code(), error.to_json()),
            }));
            drop(writing);
            // The panic itself was printed where it happened.
            let Ok((status, body)) = answered else {
                Answer { status: 500, body: String::new(), to }.refuse();
                continue;
            };
            let answer = Answer { status, body, to };
            match log {
                None => answer.give(),
                Some(log) => log.answer(answer),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str) -> Request {
        Request { target: target.to_owned(), body: Bytes::new(), to: oneshot::channel().0 }
    }

    /// The targets in the order of their turns.
    fn order(lines: &mut Lines) -> Vec<String> {
        std::iter::from_fn(|| lines.next().map(|request| request.target)).collect()
    }

    #[test]
    fn who_waits_for_an_answer_goes_first_and_batches_go_last() {
        let mut lines = Lines::default();
        lines.batches.extend([request("batch 1"), request("batch 2")]);
        lines.small.push_back(request("small"));
        lines.persons.extend([request("person 1"), request("person 2")]);
        assert_eq!(order(&mut lines), ["person 1", "person 2", "small", "batch 1", "batch 2"]);
    }

    #[test]
    fn what_nobody_waits_for_has_its_turns_however_many_persons_come() {
        let mut lines = Lines::default();
        lines.batches.extend((0..50).map(|_| request("batch")));
        lines.small.extend((0..50).map(|_| request("small")));
        lines.persons.extend((0..1_000).map(|_| request("person")));
        let order = order(&mut lines);
        let share = LEAST_SHARE as usize;
        for line in ["batch", "small"] {
            let turns: Vec<usize> = (0..10 * share).filter(|turn| order[*turn] == line).collect();
            assert_eq!(turns.len(), 5, "{line}: {turns:?}");
            assert!(turns.windows(2).all(|pair| pair[1] - pair[0] <= 2 * share), "{line}: {turns:?}");
        }
        assert_eq!(order.len(), 1_100);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_database_that_has_ended() {
        let turns = Turns::of(&Database::memory().unwrap(), None, TypeIndexes::of("records".to_owned())).unwrap();
        turns.end();
        assert_eq!(turns.ask(Asker::Person, "DynamoDB.Scan".to_owned(), Bytes::from_static(b"{}")).await, None);
    }

    #[tokio::test]
    async fn what_the_database_refuses_is_answered() {
        let turns = Turns::of(&Database::memory().unwrap(), None, TypeIndexes::of("records".to_owned())).unwrap();
        for _ in 0..10 {
            let answer = turns.ask(Asker::Person, "DynamoDB.Nothing".to_owned(), Bytes::from_static(b"{}")).await;
            assert_eq!(answer.unwrap().0, 400);
        }
    }
}
