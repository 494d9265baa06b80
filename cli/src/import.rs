//! `sundial import`: the rows of a file, each sent once, and what came of it.

mod batches;
mod items;
mod job;
mod ledger;
mod report;
mod rows;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::arguments::{Action, ImportArguments};
use crate::client::{Client, Request, escape};
use crate::failure::{Failure, Verdict};
use crate::output::{Output, write_json};
use crate::progress::Progress;
use crate::text::{grouped, printable, rows as count_rows};
use batches::{Batch, Batches};
use items::{Converter, Target};
use job::{Order, Outcome};
use ledger::{Done, Entry, Header, Ledger, Posting};
use report::{Reports, beside, described};
use rows::{BEGINNING, Layout, Rows};
use source::Source;

/// How many mistakes and reasons are shown.
const SHOWN: usize = 20;
/// For how long the API remembers an idempotency key is a day; this leaves an hour for clocks that differ.
const KEY_IS_KNOWN: u64 = 23 * 60 * 60;

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

    async fn send(&self, source: &Source, layout: Layout, ledger: Ledger) -> Result<Verdict, Failure> {
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

    /// Asks the service what each row would do, and changes nothing there nor here.
    async fn dry_run(&self, source: &Source, layout: Layout) -> Result<Verdict, Failure> {
        let schema = self.schema().await?;
        let rows = Rows::new(source.text()?, layout)?;
        let converter = Converter::new(self.options, &schema, rows.columns())?;
        if !self.output.is_json() {
            self.show_plan(source, layout, &converter)?;
        }
        let (count, invalid) = check(rows, &converter)?;
        if count == 0 {
            return Err(Failure::NotDone("the file has no rows".to_owned()));
        }
        let progress = Progress::new("rows", count, 0, 0);
        // Whoever asks what each row would do wants to know it of all, however many would fail.
        let order = Order { action: self.options.action.name(), validate_only: true, max_failures: None };
        let seed = random()?;
        let asked = self
            .batches(source, layout, &schema, 0)?
            .map(|batch| async {
                let batch = batch?;
                if batch.rows.is_empty() {
                    return Ok((batch, Vec::new(), Effects::default()));
                }
                // Another key each time: what was true of an earlier run may not be true any more.
                let key = key(&seed, &batch);
                let job = job::post(self.client, &order, &key, job::compressed(&batch.lines)?).await?;
                let outcomes = job::outcomes(self.client, &job, batch.first, batch.rows.len(), &progress).await?;
                let effects = self.effects(&batch, &outcomes, &seed).await?;
                Ok::<_, Failure>((batch, outcomes, effects))
            })
            .buffered(usize::from(self.options.in_flight));
        let mut asked = Box::pin(asked);
        let mut effects = Effects::default();
        let mut end = 0;
        let mut reasons: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        while let Some(result) = asked.next().await {
            let (batch, outcomes, more) = result?;
            effects.add(more);
            let mut fail = |number: u64, reason: String| {
                let (count, _) = reasons.entry(reason).or_insert((0, number));
                *count += 1;
            };
            for (row, problems) in &batch.invalid {
                fail(row.number, described(problems));
            }
            for (row, outcome) in batch.rows.iter().zip(outcomes) {
                effects.unknown += u64::from(outcome.says_nothing());
                if let Outcome::Failed { detail, .. } = outcome {
                    fail(row.number, detail);
                }
            }
            end = batch.end;
            // A report of reasons that are all different would grow with the file.
            if reasons.len() > 10_000 {
                reasons = reasons.into_iter().take(10_000).collect();
            }
            progress.done(batch.first, end, 0);
        }
        progress.clear();
        drop(asked);
        let failed = end - effects.succeeded() - effects.unknown;
        self.show_dry_run(&DryRun { rows: count, effects, failed, invalid }, &reasons)
    }

    /// What the rows of a batch that would succeed would do. Whether an external id is taken is not in the answer to `external_id_set`, but it is
    /// in the answer to whether its record could be deleted, which asks for as many rows at a time.
    async fn effects(&self, batch: &Batch, outcomes: &[Outcome], seed: &str) -> Result<Effects, Failure> {
        let succeeded = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Succeeded { .. })).count() as u64;
        match self.options.action {
            Action::Post => return Ok(Effects { made: succeeded, ..Effects::default() }),
            Action::Update => return Ok(Effects { changed: succeeded, ..Effects::default() }),
            Action::Delete | Action::ExternalIdDelete => {
                return Ok(Effects { deleted: succeeded, ..Effects::default() });
            }
            Action::ExternalIdSet if succeeded == 0 => return Ok(Effects::default()),
            Action::ExternalIdSet => {}
        }
        let (keys, lines) = probe(batch, &self.options.object_type)?;
        let distinct: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        let order = Order { action: Action::ExternalIdDelete.name(), validate_only: true, max_failures: None };
        let key = format!("{}-ids", key(seed, batch));
        let job = job::post(self.client, &order, &key, job::compressed(&lines)?).await?;
        let found = job::outcomes(self.client, &job, batch.first, distinct.len(), &Progress::hidden()).await?;
        let (mut there, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        for (key, outcome) in distinct.iter().zip(&found) {
            match outcome {
                outcome if outcome.says_nothing() => unknown.insert(*key),
                Outcome::Failed { code, .. } if code == "NotFound" => false,
                // One that relationships keep from being deleted is there too.
                _ => there.insert(*key),
            };
        }
        let mut effects = Effects::default();
        for (key, outcome) in keys.iter().zip(outcomes) {
            if matches!(outcome, Outcome::Succeeded { .. }) {
                // What one row makes, a later one of the same external id changes.
                if !there.insert(key) {
                    effects.changed += 1;
                } else if unknown.contains(key.as_str()) {
                    effects.unknown += 1;
                } else {
                    effects.made += 1;
                }
            }
        }
        Ok(effects)
    }

    fn show_plan(&self, source: &Source, layout: Layout, converter: &Converter) -> Result<(), Failure> {
        self.output.line(&format!("The file is {} and encoded in {}.", layout.name(), source.encoding()))?;
        let rows: Vec<Vec<String>> = converter
            .columns()
            .iter()
            .map(|(column, target)| {
                let (meaning, kind) = match target {
                    Target::Nothing => ("(left out)".to_owned(), String::new()),
                    Target::Id => ("id".to_owned(), String::new()),
                    Target::ExternalId => ("external id".to_owned(), String::new()),
                    Target::Attribute { path, rule } => (path.join("."), rule.name()),
                };
                vec![column.clone(), meaning, kind]
            })
            .collect();
        if rows.is_empty() { Ok(()) } else { self.output.table(&["COLUMN", "ATTRIBUTE", "KIND"], &rows) }
    }

    fn show_dry_run(&self, run: &DryRun, reasons: &BTreeMap<String, (u64, u64)>) -> Result<Verdict, Failure> {
        let mut grouped_reasons: Vec<_> = reasons.iter().collect();
        grouped_reasons.sort_by_key(|(_, (count, number))| (std::cmp::Reverse(*count), *number));
        if self.output.is_json() {
            let reasons: Vec<Value> = grouped_reasons
                .iter()
                .map(|(reason, (count, number))| json!({"reason": reason, "rows": count, "first_row": number}))
                .collect();
            write_json(&json!({
                "dry_run": true, "rows": run.rows, "would_succeed": run.effects.succeeded(), "would_make": run.effects.made,
                "would_change": run.effects.changed, "would_delete": run.effects.deleted, "would_fail": run.failed,
                "unknown": run.effects.unknown, "invalid": run.invalid, "reasons": reasons,
            }))?;
        } else {
            let Effects { made, changed, deleted, unknown } = run.effects;
            let what = match self.options.action {
                Action::Post => format!("{} would be made", count_rows(made)),
                Action::Update => format!("{} would be changed", count_rows(changed)),
                Action::ExternalIdSet => {
                    format!("{} would be made, {} would be changed", count_rows(made), grouped(changed))
                }
                Action::Delete | Action::ExternalIdDelete => format!("{} would be deleted", count_rows(deleted)),
            };
            let mut text = format!("{what}, {} would fail.", grouped(run.failed));
            if unknown > 0 {
                let _ = write!(text, " Of {} nobody can tell.", grouped(unknown));
            }
            text.push_str(" Nothing was changed.");
            self.output.line(&text)?;
            for (reason, (count, number)) in grouped_reasons.iter().take(SHOWN) {
                let line = if *count == 1 {
                    format!("row {number}: {reason}")
                } else {
                    format!("{}, the first of them row {number}: {reason}", count_rows(*count))
                };
                self.output.line(&printable(&line))?;
            }
            if grouped_reasons.len() > SHOWN {
                self.output.line(&format!("… and {} other reasons", grouped_reasons.len() - SHOWN))?;
            }
        }
        Ok(match run {
            DryRun { effects: Effects { unknown: 1.., .. }, .. } => Verdict::Incomplete,
            DryRun { failed: 1.., .. } => Verdict::RowsFailed,
            _ => Verdict::Succeeded,
        })
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

/// The external id of each row of a batch, without regard to case, and for each of them once the question whether there is such a record.
/// The questions are in the order of the ids.
fn probe(batch: &Batch, object_type: &str) -> Result<(Vec<String>, Vec<u8>), Failure> {
    #[derive(serde::Deserialize)]
    struct Named {
        external_id: String,
    }
    let lines = batch.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let named = lines.map(|line| serde_json::from_slice(line).map(|named: Named| named.external_id));
    let ids: Vec<String> = named.collect::<Result<_, _>>().map_err(std::io::Error::from)?;
    let keys: Vec<String> = ids.iter().map(|id| id.to_lowercase()).collect();
    let distinct: BTreeMap<&str, &String> = keys.iter().map(String::as_str).zip(&ids).collect();
    let mut questions = Vec::new();
    for id in distinct.values() {
        questions.extend_from_slice(json!({"type": object_type, "external_id": id}).to_string().as_bytes());
        questions.push(b'\n');
    }
    Ok((keys, questions))
}

/// How many rows would do what.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Effects {
    made: u64,
    changed: u64,
    deleted: u64,
    /// Of these nobody can tell.
    unknown: u64,
}

impl Effects {
    fn add(&mut self, more: Self) {
        self.made += more.made;
        self.changed += more.changed;
        self.deleted += more.deleted;
        self.unknown += more.unknown;
    }

    fn succeeded(self) -> u64 {
        self.made + self.changed + self.deleted
    }
}

/// Counts of what rows would do.
struct DryRun {
    rows: u64,
    effects: Effects,
    failed: u64,
    invalid: u64,
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

fn lock(ledger: &Mutex<Ledger>) -> Result<std::sync::MutexGuard<'_, Ledger>, Failure> {
    ledger
        .lock()
        .map_err(|_| Failure::NotDone("the ledger could not be written: start the same command again".to_owned()))
}

fn random() -> Result<String, Failure> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::NotDone(format!("no random bytes: {error}")))?;
    Ok(hex::encode(bytes))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
