//! Batches sent as jobs, several at a time, and what came of them put into the ledger and the reports in the order of the file.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;

use super::batches::Batch;
use super::job::{self, Order, Outcome};
use super::ledger::{Done, Entry, Ledger, Posting};
use super::report::Reports;
use super::rows::{Layout, Rows};
use super::source::Source;
use super::{Import, key, verdict};
use crate::arguments::Action;
use crate::client::Client;
use crate::failure::{Failure, Verdict};
use crate::progress::Progress;

/// For how long the API remembers an idempotency key is a day; this leaves an hour for clocks that differ.
const KEY_IS_KNOWN: u64 = 23 * 60 * 60;

impl Import<'_> {
    pub(crate) async fn send(&self, source: &Source, layout: Layout, ledger: Ledger) -> Result<Verdict, Failure> {
        let Some(header) = ledger.header.clone() else {
            return Err(Failure::NotDone("the ledger has no beginning: import with --again".to_owned()));
        };
        let mut done = ledger.done;
        let columns = Rows::new(source.text()?, layout)?.columns().map(<[String]>::to_vec);
        let mut reports = Reports::open(&self.reports_path(), columns.as_deref(), &done)?;
        let progress = Progress::new("rows", header.rows, done.end, done.failed);
        let ledger = Arc::new(Mutex::new(ledger));
        let sender = Sender {
            client: self.client.clone(),
            action: self.options.action,
            max_failures: self.options.max_failures,
            seed: format!("{}{}", header.fingerprint, header.again.as_deref().unwrap_or_default()),
            ledger: Arc::clone(&ledger),
            progress: progress.clone(),
        };
        let batches = self.batches(source, layout, &header.schema, done.end)?;
        // Results come in the order of the file, so that what is done is always a beginning of it.
        let sent = batches
            .map(|batch| async {
                let batch = batch?;
                let outcomes = sender.outcomes(&batch).await?;
                Ok::<_, Failure>((batch, outcomes))
            })
            .buffered(usize::from(self.options.in_flight));
        let mut sent = Box::pin(sent);
        let interrupted = tokio::signal::ctrl_c();
        let mut interrupted = Box::pin(interrupted);
        let is_too_many =
            |done: &Done| self.options.max_failures.is_some_and(|most| done.failed > most) && done.end < header.rows;
        let stopped = loop {
            if is_too_many(&done) {
                break Some(format!("Stopped: more than {} rows failed.", self.options.max_failures.unwrap_or(0)));
            }
            let next = tokio::select! {
                next = sent.next() => next,
                _ = &mut interrupted => break Some("Stopped.".to_owned()),
            };
            match next {
                None => break None,
                Some(Ok((batch, outcomes))) => {
                    report(&batch, &outcomes, &mut reports, &mut done)?;
                    (done.succeeded_bytes, done.failed_bytes) = reports.flush()?;
                    lock(&ledger)?.write(Entry::Done(done))?;
                    progress.done(batch.first, done.end, done.failed);
                }
                Some(Err(failure)) => {
                    progress.clear();
                    self.summarize(&done, header.rows, false)?;
                    return Err(match failure {
                        Failure::NotDone(text) => {
                            Failure::NotDone(format!("{text}\nNothing is lost: start the same command again to go on"))
                        }
                        other => other,
                    });
                }
            }
        };
        progress.clear();
        drop(sent);
        if let Some(reason) = stopped {
            eprintln!("{reason} Start the same command again to go on: nothing is sent twice.");
            self.summarize(&done, header.rows, false)?;
            return Ok(Verdict::Incomplete);
        }
        if done.end != header.rows {
            return Err(Failure::NotDone("the file was changed while it was read: import it with --again".to_owned()));
        }
        let (succeeded_bytes, failed_bytes) = reports.flush()?;
        debug_assert_eq!((succeeded_bytes, failed_bytes), (done.succeeded_bytes, done.failed_bytes));
        lock(&ledger)?.write(Entry::Finished { at: now() })?;
        self.summarize(&done, header.rows, true)?;
        Ok(verdict(&done, header.rows))
    }
}

/// Posts batches as jobs, or finds the jobs that they were posted as.
struct Sender {
    client: Client,
    action: Action,
    max_failures: Option<u64>,
    seed: String,
    ledger: Arc<Mutex<Ledger>>,
    progress: Progress,
}

impl Sender {
    async fn outcomes(&self, batch: &Batch) -> Result<Vec<Outcome>, Failure> {
        if batch.rows.is_empty() {
            return Ok(Vec::new());
        }
        let job = self.job(batch).await?;
        job::outcomes(&self.client, &job, batch.first, batch.rows.len(), &self.progress).await
    }

    /// The job of a batch, which is posted unless it was.
    async fn job(&self, batch: &Batch) -> Result<String, Failure> {
        let (job, posting) = {
            let ledger = lock(&self.ledger)?;
            (ledger.job(batch.first).map(ToOwned::to_owned), ledger.posting(batch.first).cloned())
        };
        if let Some(job) = job {
            return Ok(job);
        }
        let posting = match posting {
            Some(posting) => {
                // Without an external id nothing else keeps a record from being made twice.
                if self.action == Action::Post && now().saturating_sub(posting.at) > KEY_IS_KNOWN {
                    return Err(Failure::NotDone(format!(
                        "whether rows {} to {} of the file were sent is unknown, and the service has forgotten it after a day: look \
                         for their records, remove the rows that are there, and import the rest with --again",
                        posting.first + 1,
                        posting.end
                    )));
                }
                posting
            }
            None => {
                let posting = Posting {
                    first: batch.first,
                    end: batch.end,
                    key: key(&self.seed, batch),
                    max_failures: self.max_failures,
                    at: now(),
                };
                lock(&self.ledger)?.write(Entry::Posting(posting.clone()))?;
                posting
            }
        };
        let order = Order { action: self.action.name(), validate_only: false, max_failures: posting.max_failures };
        let job = job::post(&self.client, &order, &posting.key, job::compressed(&batch.lines)?).await?;
        lock(&self.ledger)?.write(Entry::Posted { first: batch.first, job: job.clone() })?;
        Ok(job)
    }
}

fn report(batch: &Batch, outcomes: &[Outcome], reports: &mut Reports, done: &mut Done) -> Result<(), Failure> {
    for (row, problems) in &batch.invalid {
        reports.invalid(row, problems)?;
        done.failed += 1;
    }
    for (row, outcome) in batch.rows.iter().zip(outcomes) {
        match outcome {
            Outcome::Succeeded { id } => {
                reports.succeeded(row, id)?;
                done.succeeded += 1;
            }
            Outcome::Failed { code, detail } => {
                reports.failed(row, code, detail)?;
                done.failed += 1;
            }
            Outcome::Unknown => done.unknown += 1,
        }
    }
    done.end = batch.end;
    Ok(())
}

fn lock(ledger: &Mutex<Ledger>) -> Result<std::sync::MutexGuard<'_, Ledger>, Failure> {
    ledger
        .lock()
        .map_err(|_| Failure::NotDone("the ledger could not be written: start the same command again".to_owned()))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
