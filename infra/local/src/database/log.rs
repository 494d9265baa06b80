//! Durability of the database: no answer leaves it before what was written is safe from a power cut.
//!
//! SQLite appends each commit to a log, its WAL, and by itself would make the disk write it out each time: once for each record of a batch.
//! Here it does not. Instead no answer leaves the database while the log has anything that the disk may not have: one thread makes the disk
//! write out the log, and lets go of every answer that waited for as much of it, however many requests that was. The answers of
//! reads wait, too, since they may tell of what was written a moment before. The log is safe from its beginning on, so what came before is safe then, too.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::turns::Answer;

/// The log of a database in a file. It ends, with its thread, when it is dropped.
pub(super) struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    /// How many requests that may write are with the database: what they have written may be read before they are done.
    writing: AtomicUsize,
    /// How many are done.
    written: AtomicU64,
    /// How many of them the disk has.
    safe: AtomicU64,
    /// The bytes of the log that the disk has.
    #[cfg(test)]
    safe_bytes: AtomicU64,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    answers: Vec<Answer>,
    is_over: bool,
    /// The disk did not take the log. What it has then nobody knows, so from then on nothing is answered.
    is_broken: bool,
}

impl Log {
    /// Watches the log of the database in the file at `path`.
    ///
    /// # Errors
    /// When there can be no thread for it.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        let shared = Arc::new(Shared {
            path: wal.into(),
            writing: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            safe: AtomicU64::new(0),
            #[cfg(test)]
            safe_bytes: AtomicU64::new(0),
            waiting: Mutex::default(),
            arrived: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new().name("database log".into()).spawn(move || of_thread.write_out_for_ever())?;
        Ok(Self { shared })
    }

    /// Notes that the database is about to carry out a request that may write, until the returned value is dropped.
    pub(super) fn writing(&self) -> Writing<'_> {
        self.shared.writing.fetch_add(1, Ordering::SeqCst);
        Writing(&self.shared)
    }

    /// Gives an answer once the disk has what was written so far.
    pub(super) fn answer(&self, answer: Answer) {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_broken {
            answer.refuse();
        } else if self.shared.is_safe() {
            answer.give();
        } else {
            waiting.answers.push(answer);
            self.shared.arrived.notify_one();
        }
    }
}

/// A note that a request which may write is with the database; it is removed when this is dropped.
pub(super) struct Writing<'log>(&'log Shared);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        // In this order: at no moment may it look as if nothing were left to write out.
        self.0.written.fetch_add(1, Ordering::SeqCst);
        self.0.writing.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.shared.arrived.notify_one();
    }
}

impl Shared {
    /// Whether the disk has everything that a read could have seen by now.
    fn is_safe(&self) -> bool {
        self.writing.load(Ordering::SeqCst) == 0
            && self.safe.load(Ordering::SeqCst) == self.written.load(Ordering::SeqCst)
    }

    fn write_out_for_ever(&self) {
        // Open as long as the database is: another descriptor costs a lookup each time.
        let mut file = None;
        loop {
            let answers = {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                while waiting.answers.is_empty() {
                    if waiting.is_over {
                        return;
                    }
                    waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                }
                std::mem::take(&mut waiting.answers)
            };
            // What these answers tell of was written before now, so it is in the log that is written out.
            let written = self.written.load(Ordering::SeqCst);
            match self.write_out(&mut file) {
                Ok(()) => {
                    self.safe.store(written, Ordering::SeqCst);
                    answers.into_iter().for_each(Answer::give);
                }
                Err(error) => {
                    tracing::error!(%error, "the disk did not take the database's log: nothing is answered until the next start");
                    let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    waiting.is_broken = true;
                    answers.into_iter().chain(waiting.answers.drain(..)).for_each(Answer::refuse);
                }
            }
        }
    }

    fn write_out(&self, file: &mut Option<File>) -> io::Result<()> {
        if let Some(file) = file {
            #[cfg(test)]
            let bytes = file.metadata()?.len();
            file.sync_data()?;
            #[cfg(test)]
            self.safe_bytes.store(bytes, Ordering::SeqCst);
            return Ok(());
        }
        // For writing: some systems write nothing out that was opened for reading.
        let opened = File::options().read(true).write(true).open(&self.path)?;
        opened.sync_all()?;
        // The file's name is safe only with its folder.
        if let Some(folder) = self.path.parent().filter(|_| cfg!(unix)) {
            File::open(folder)?.sync_all()?;
        }
        *file = Some(opened);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dynoxide::Database;
    use serde_json::{Value, json};
    use tokio::sync::oneshot;

    use super::super::turns::{Asker, Turns};
    use super::super::type_indexes::TypeIndexes;
    use super::*;

    fn answer(log: &Log) -> oneshot::Receiver<(u16, String)> {
        let (answer, given) = Answer::new(200, "{}");
        log.answer(answer);
        given
    }

    async fn status(given: oneshot::Receiver<(u16, String)>) -> u16 {
        tokio::time::timeout(Duration::from_secs(10), given).await.unwrap().unwrap().0
    }

    #[tokio::test]
    async fn an_answer_waits_for_what_was_written_before_it_and_for_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("database.db");
        let log = Log::of(&path).unwrap();
        assert_eq!(answer(&log).try_recv().unwrap().0, 200, "nothing was written");
        std::fs::write(folder.path().join("database.db-wal"), "frames").unwrap();
        let writing = log.writing();
        assert!(!log.shared.is_safe(), "what it has written may be read already");
        drop(writing);
        assert!(!log.shared.is_safe());
        assert_eq!(status(answer(&log)).await, 200);
        assert!(log.shared.is_safe());
        assert_eq!(answer(&log).try_recv().unwrap().0, 200, "the disk has it");
    }

    /// A power cut behind an answer: of the log the disk has what was written out by then and no more. What was answered is in it.
    #[tokio::test]
    async fn what_was_answered_survives_a_power_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("database.db");
        let database = Database::new(path.to_str().unwrap()).unwrap();
        database.disable_bulk_loading().unwrap();
        let log = Log::of(&path).unwrap();
        let shared = Arc::clone(&log.shared);
        let turns = Turns::of(&database, Some(log), TypeIndexes::of("records".to_owned())).unwrap();
        let ask = async |target: &str, body: Value| {
            let answer = turns.ask(Asker::Person, format!("DynamoDB.{target}"), body.to_string().into()).await.unwrap();
            assert_eq!(answer.0, 200, "{}", answer.1);
        };
        ask(
            "CreateTable",
            json!({
                "TableName": "records", "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            }),
        )
        .await;
        for number in 0..20 {
            let others = (0..20).map(|other| {
                ask("PutItem", json!({"TableName": "records", "Item": {"pk": {"S": format!("{number}-{other}")}}}))
            });
            // Whoever is answered first, while the others are under way.
            let others: Vec<_> = others.map(Box::pin).collect();
            let ((), first, rest) = futures_util::future::select_all(others).await;
            let bytes = shared.safe_bytes.load(Ordering::SeqCst);
            let cut = tempfile::tempdir().unwrap();
            let copy = cut.path().join("database.db");
            std::fs::copy(&path, &copy).unwrap();
            let log = std::fs::read(folder.path().join("database.db-wal")).unwrap();
            std::fs::write(cut.path().join("database.db-wal"), &log[..usize::try_from(bytes).unwrap()]).unwrap();
            let survived = Database::new(copy.to_str().unwrap()).unwrap();
            for known in
                (0..number).flat_map(|number| (0..20).map(move |other| (number, other))).chain([(number, first)])
            {
                let key = json!({"TableName": "records", "Key": {"pk": {"S": format!("{}-{}", known.0, known.1)}}});
                let found = super::super::ask(&survived, "GetItem", key.to_string().as_bytes()).unwrap();
                assert!(found.contains("Item"), "{known:?} was answered and is gone");
            }
            futures_util::future::join_all(rest).await;
        }
    }

    /// What the disk did not take is not answered, then or later: nobody knows what it has.
    #[tokio::test]
    async fn nothing_is_answered_once_the_disk_did_not_take_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::of(&folder.path().join("database.db")).unwrap();
        drop(log.writing());
        assert_eq!(status(answer(&log)).await, 500, "there is no log");
        std::fs::write(folder.path().join("database.db-wal"), "frames").unwrap();
        assert_eq!(status(answer(&log)).await, 500);
    }
}
