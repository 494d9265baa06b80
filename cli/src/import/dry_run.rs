//! `sundial import --dry-run`: what each row would do, asked of the service, which changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::batches::Batch;
use super::items::{Converter, Target};
use super::job::{self, Order, Outcome};
use super::report::described;
use super::rows::{Layout, Rows};
use super::source::Source;
use super::{Import, SHOWN, check, key, random};
use crate::arguments::Action;
use crate::failure::{Failure, Verdict};
use crate::output::write_json;
use crate::progress::Progress;
use crate::text::{grouped, printable, rows as count_rows};

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

impl Import<'_> {
    /// Asks the service what each row would do, and changes nothing there nor here.
    pub(crate) async fn dry_run(&self, source: &Source, layout: Layout) -> Result<Verdict, Failure> {
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
