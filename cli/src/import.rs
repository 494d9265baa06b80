//! `sundial import`: the rows of a file, each sent once, and what came of it.

mod batches;
mod dry_run;
mod items;
mod job;
mod ledger;
mod report;
mod rows;
mod send;
mod source;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::thread;

use futures_util::{Stream, stream};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::arguments::ImportArguments;
use crate::client::{Client, Request, escape};
use crate::failure::{Failure, Verdict};
use crate::output::{Output, write_json};
use crate::text::{grouped, printable, rows as count_rows};
use batches::{Batch, Batches};
use items::Converter;
use ledger::{Done, Header, Ledger};
use report::beside;
use rows::{BEGINNING, Layout, Rows};
use source::Source;

/// How many mistakes and reasons are shown.
const SHOWN: usize = 20;

/// Imports the files one after the other.
pub(crate) async fn run(options: &ImportArguments, client: &Client, output: &Output) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::Succeeded;
    for file in &options.files {
        let path = if options.retry_failed && !file.to_string_lossy().ends_with(".failed.csv") {
            beside(file, ".failed.csv")
        } else {
            file.clone()
        };
        if options.files.len() > 1 {
            output.line(&format!("{}:", printable(&path.display().to_string())))?;
        }
        verdict = verdict.max(Import { path, options, client, output }.run().await?);
    }
    Ok(verdict)
}

/// The import of one file.
struct Import<'a> {
    path: PathBuf,
    options: &'a ImportArguments,
    client: &'a Client,
    output: &'a Output,
}

impl Import<'_> {
    async fn run(&self) -> Result<Verdict, Failure> {
        let source = Source::open(&self.path, self.options.encoding.as_deref())?;
        let layout = Layout::find(&source.beginning(BEGINNING)?, self.options.format, self.options.separator)?;
        if source.is_guessed {
            eprintln!("The file is not UTF-8 and is read as {}: --encoding says otherwise.", source.encoding());
        }
        if self.options.dry_run {
            return self.dry_run(&source, layout).await;
        }
        let fingerprint = self.fingerprint(&source, layout);
        let mut ledger = Ledger::open(&beside(&self.reports_path(), ".sundial-import"))?;
        match self.prepare(&source, layout, fingerprint, &mut ledger).await {
            Ok(None) => {}
            Ok(Some(verdict)) => {
                ledger.discard_if_empty();
                return Ok(verdict);
            }
            Err(failure) => {
                ledger.discard_if_empty();
                return Err(failure);
            }
        }
        self.send(&source, layout, ledger).await
    }

    /// Where the ledger and the reports are: beside the file, or here.
    fn reports_path(&self) -> PathBuf {
        if self.path.as_os_str() == "-" { PathBuf::from("stdin") } else { self.path.clone() }
    }

    /// Checks the file and begins the ledger, unless both was done before. Returns a verdict when there is nothing to send.
    async fn prepare(
        &self,
        source: &Source,
        layout: Layout,
        fingerprint: String,
        ledger: &mut Ledger,
    ) -> Result<Option<Verdict>, Failure> {
        if let Some(header) = ledger.header.as_ref().filter(|_| !self.options.again) {
            let is_same = header.fingerprint == fingerprint;
            if is_same && ledger.is_finished {
                let done = ledger.done;
                self.output.line("This import was finished before: nothing was sent. --again sends the file anew.")?;
                self.summarize(&done, header.rows, true)?;
                return Ok(Some(verdict(&done, header.rows)));
            }
            if is_same {
                eprintln!("Going on behind {} of {} that are done.", count_rows(ledger.done.end), grouped(header.rows));
                return Ok(None);
            }
            if !ledger.is_finished {
                return Err(Failure::Usage(
                    "an import of this file is unfinished, and it had other contents, options or another service: start \
                     that one again to finish it, or begin anew with --again"
                        .to_owned(),
                ));
            }
        }
        if self.options.resume {
            return Err(Failure::Usage(
                "there is no unfinished import to resume: start it without --resume".to_owned(),
            ));
        }
        let schema = self.schema().await?;
        let rows = Rows::new(source.text()?, layout)?;
        let converter = Converter::new(self.options, &schema, rows.columns())?;
        let (count, invalid) = check(rows, &converter)?;
        if count == 0 && self.options.retry_failed {
            self.output.line("No row failed: there is nothing to send.")?;
            return Ok(Some(Verdict::Succeeded));
        }
        if count == 0 {
            return Err(Failure::NotDone("the file has no rows".to_owned()));
        }
        if invalid > 0 && !self.options.skip_invalid {
            eprintln!(
                "{} of {} do not fit the type {}. Nothing was sent: mend them, or send the others with --skip-invalid.",
                grouped(invalid),
                count_rows(count),
                printable(&self.options.object_type)
            );
            return Ok(Some(Verdict::Incomplete));
        }
        let again = if self.options.again { Some(random()?) } else { None };
        ledger.begin(Header { fingerprint, schema, rows: count, again })?;
        Ok(None)
    }

    async fn schema(&self) -> Result<Value, Failure> {
        let request = Request::get(&format!("/objects/types/{}", escape(&self.options.object_type)));
        let mut answer = self.client.send(request).await?;
        Ok(answer["data"]["schema"].take())
    }

    /// What tells this import from another: the bytes of the file, what is done with them, and where.
    fn fingerprint(&self, source: &Source, layout: Layout) -> String {
        let options = self.options;
        let text = json!({
            "version": 1, "file": hex::encode(source.hash), "url": self.client.origin(), "type": options.object_type,
            "action": options.action.name(), "id": options.id, "external_id": options.external_id, "maps": options.maps,
            "sets": options.sets, "ignored": options.ignored, "layout": layout.name(), "encoding": source.encoding(),
            "skip_invalid": options.skip_invalid, "job_size": options.job_size,
        });
        hex::encode(Sha256::digest(text.to_string()))
    }

    /// The batches behind the rows that are done, read by a thread that is never far ahead.
    fn batches(
        &self,
        source: &Source,
        layout: Layout,
        schema: &Value,
        done: u64,
    ) -> Result<impl Stream<Item = Result<Batch, Failure>> + use<>, Failure> {
        let rows = Rows::new(source.text()?, layout)?;
        let converter = Converter::new(self.options, schema, rows.columns())?;
        let mut batches = Batches::new(rows, converter, usize::from(self.options.job_size), done)?;
        let (sender, receiver) = mpsc::channel(1);
        thread::spawn(move || {
            while let Some(batch) = batches.next().transpose() {
                let is_last = batch.is_err();
                // Nobody receives any more when the import has stopped.
                if sender.blocking_send(batch).is_err() || is_last {
                    return;
                }
            }
        });
        Ok(stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|batch| (batch, receiver)) }))
    }

    fn summarize(&self, done: &Done, rows: u64, is_finished: bool) -> Result<(), Failure> {
        let path = self.reports_path();
        let succeeded = beside(&path, ".succeeded.csv");
        let failed = beside(&path, ".failed.csv");
        if self.output.is_json() {
            return write_json(&json!({
                "rows": rows, "succeeded": done.succeeded, "failed": done.failed, "unknown": done.unknown,
                "left": rows - done.end.min(rows), "finished": is_finished, "succeeded_file": succeeded, "failed_file": failed,
            }));
        }
        let mut text = format!("{} succeeded, {} failed", count_rows(done.succeeded), grouped(done.failed));
        if done.unknown > 0 {
            let _ = write!(
                text,
                ", {} were accepted more than a day ago, so that nobody can tell what came of them",
                grouped(done.unknown)
            );
        }
        if done.end < rows {
            let _ = write!(text, ", {} not done yet", grouped(rows - done.end));
        }
        let _ = write!(text, "\nids:      {}", printable(&succeeded.display().to_string()));
        if done.failed > 0 {
            let _ = write!(
                text,
                "\nfailures: {}\nMend that file and send it with --retry-failed.",
                printable(&failed.display().to_string())
            );
        }
        self.output.line(&text)
    }
}

/// Reads all rows and shows the first that do not fit. Returns how many there are, and how many do not fit.
fn check(mut rows: Rows, converter: &Converter) -> Result<(u64, u64), Failure> {
    let (mut count, mut invalid, mut shown) = (0, 0, 0);
    let mut hidden = 0u64;
    while let Some(row) = rows.next()? {
        count += 1;
        let Err(problems) = converter.item(&row) else { continue };
        invalid += 1;
        for problem in problems {
            if shown < SHOWN {
                shown += 1;
                let column =
                    if problem.column.is_empty() { String::new() } else { format!(", column {}", problem.column) };
                eprintln!("{}", printable(&format!("row {}{column}: {}", row.number, problem.text)));
            } else {
                hidden += 1;
            }
        }
    }
    if hidden > 0 {
        eprintln!("… and {} more", grouped(hidden));
    }
    Ok((count, invalid))
}

fn verdict(done: &Done, rows: u64) -> Verdict {
    if done.unknown > 0 || done.end < rows {
        Verdict::Incomplete
    } else if done.failed > 0 {
        Verdict::RowsFailed
    } else {
        Verdict::Succeeded
    }
}

/// The same for the same rows of the same import, whichever process sends them.
fn key(seed: &str, batch: &Batch) -> String {
    let digest = hex::encode(Sha256::digest(format!("{seed} {} {}", batch.first, batch.end)));
    format!("sundial-import-{}", &digest[..40])
}

fn random() -> Result<String, Failure> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::NotDone(format!("no random bytes: {error}")))?;
    Ok(hex::encode(bytes))
}
