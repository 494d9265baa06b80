//! The judgement at the end of a run: every record, result and count against the model.
//!
//! The network has seen every change of every row in the order in which they happened. So it need not be guessed in which
//! order concurrent writers came: each change of a record is repeated in the model, on the state in which it happened.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use domain::job::JobId;
use domain::plan::{Entry, Outcome};
use domain::problem::{Code, Problem};
use domain::record::RecordId;
use serde_json::Value;

use crate::model::{Item, State, held};
use crate::watch::{CATALOG, Change, JOBS, Mark, RECORDS, new_marks, number, text};
use crate::world::{Posted, World};

/// What may have happened to a job besides being done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Allowed {
    /// It may end as failed, with items that say that they were not applied.
    pub given_up: bool,
    /// An item may say that nobody knows what came of it.
    pub unknown: bool,
    /// A job may have been stopped, with this code, and then items say that it did not come to them.
    pub stopped: Option<Code>,
    /// So many jobs of nobody stay active.
    pub idle: u64,
}

/// Finds everything that is wrong with what the jobs left behind. `posted` is every job that a client asked for.
pub async fn judge(world: &World, posted: &[Posted], allowed: Allowed) -> Vec<String> {
    let mut judge = Judge::new(world, posted, allowed);
    judge.found.append(&mut world.services.watch().violations.clone());
    judge.check_nobody_else_is_touched();
    judge.check_nothing_is_twice();
    for posted in posted {
        if let Some(id) = posted.id {
            judge.check_job(posted, id).await;
        }
    }
    judge.check_jobs_are_known();
    judge.check_slots_are_free();
    judge.check_expiry().await;
    judge.found
}

struct Judge<'run> {
    world: &'run World,
    allowed: Allowed,
    changes: Vec<Change>,
    /// The state before each step, and at the end.
    states: Vec<State>,
    posted: &'run [Posted],
    found: Vec<String>,
}

impl<'run> Judge<'run> {
    fn new(world: &'run World, posted: &'run [Posted], allowed: Allowed) -> Self {
        let watch = world.services.watch();
        let changes = watch.changes.clone();
        let mut states = vec![State::default(); watch.steps() + 1];
        drop(watch);
        let mut state = State::default();
        let mut step = 0;
        for change in &changes {
            while step < change.step {
                step += 1;
                states[step] = state.clone();
            }
            state.follow(&world.account, change);
        }
        for after in &mut states[step + 1..] {
            *after = state.clone();
        }
        Self { world, allowed, changes, states, posted, found: Vec::new() }
    }

    fn found(&mut self, what: impl Into<String>) {
        self.found.push(what.into());
    }

    /// Changes of records by marks, in the order in which they happened.
    fn writes(&self) -> Vec<(RecordId, Mark, &Change)> {
        let of = |change: &'_ Change| {
            let (_, id) = change.place.1.split_once('#')?;
            let mark = *new_marks(change.before.as_ref(), change.after.as_ref()?).first()?;
            Some((RecordId::parse(id)?, mark))
        };
        let records = self.changes.iter().filter(|change| change.place.0 == RECORDS);
        records.filter_map(|change| of(change).map(|(id, mark)| (id, mark, change))).collect()
    }

    /// Invariant 6, as far as rows tell: each that changes begins with the account.
    fn check_nobody_else_is_touched(&mut self) {
        let of_account = |partition: &str| partition.split('#').next() == Some(self.world.account.as_str());
        let changes = self.changes[self.world.furniture..].iter().filter(|change| change.place.0 != CATALOG);
        let others: Vec<_> =
            changes.filter(|change| !of_account(&change.place.1)).map(|change| &change.place).collect();
        if !others.is_empty() {
            self.found.push(format!("rows of others changed: {others:?}"));
        }
    }

    /// No write happens twice.
    fn check_nothing_is_twice(&mut self) {
        let mut seen = BTreeSet::new();
        let mut twice = Vec::new();
        for (id, mark, _) in self.writes() {
            if !seen.insert((id, mark)) {
                twice.push(format!("{id} was written twice for {mark:?}"));
            }
        }
        self.found.extend(twice);
    }

    /// The steps during which a job was there and had not ended.
    fn span(&self, id: JobId) -> std::ops::RangeInclusive<usize> {
        let sort = format!("JOB#{id}");
        let of_job = || self.changes.iter().filter(|change| change.place.0 == JOBS && change.place.2 == sort);
        let first = of_job().next().map_or(0, |change| change.step);
        let last = of_job().next_back().map_or(0, |change| change.step);
        first..=last + 1
    }

    /// Moments of the job, one for each time that the types were others.
    fn type_states(&self, id: JobId) -> Vec<&State> {
        let span = self.span(id);
        let mut moments: Vec<&State> = Vec::new();
        for state in &self.states[*span.start()..=(*span.end()).min(self.states.len() - 1)] {
            if moments.last().is_none_or(|last| !last.has_types_of(state)) {
                moments.push(state);
            }
        }
        moments
    }

    async fn check_job(&mut self, posted: &Posted, id: JobId) {
        let shown = self.world.show(id).await;
        if shown.status != 200 {
            return self.found(format!("job {id} was accepted and is {}: {}", shown.status, shown.body));
        }
        let job = &shown.body["data"];
        let status = job["job_status"].as_str().unwrap_or_default();
        let results: &[Value] = job["results"].as_array().map_or(&[], Vec::as_slice);
        match status {
            "completed" => {}
            "failed" if self.allowed.given_up => {}
            "failed" if self.allowed.stopped.is_some() => self.check_stop(posted, id, job),
            "aborted" => {
                if self.writes().iter().any(|(_, (job, _), _)| *job == id) {
                    self.found(format!("job {id} is aborted and was applied"));
                }
                return;
            }
            _ => return self.found(format!("job {id} ends as {status}: {}", shown.body)),
        }
        self.check_left(posted, id).await;
        if status == "completed" && results.iter().any(is_left) {
            self.found(format!("job {id} is completed and did not come to all of its items"));
        }
        let succeeded = results.iter().filter(|result| result["success"] == true).count();
        let progress = &job["progress"];
        let told = [&progress["total"], &progress["processed"], &progress["succeeded"], &progress["failed"]];
        let (all, failed) = (posted.items.len(), posted.items.len() - succeeded.min(posted.items.len()));
        if results.len() != all || told != [all, all, succeeded, failed] {
            self.found(format!("job {id} of {all} items has {} results and progress {progress}", results.len()));
            return;
        }
        if posted.validate_only {
            if self.writes().iter().any(|(_, (job, _), _)| *job == id) {
                self.found(format!("job {id} only validates, and wrote"));
            }
            return;
        }
        self.check_items(posted, id, results);
    }

    /// A job that was stopped says why, was left with something to do, and was stopped for a reason.
    fn check_stop(&mut self, posted: &Posted, id: JobId, job: &Value) {
        let results: &[Value] = job["results"].as_array().map_or(&[], Vec::as_slice);
        let left = results.iter().filter(|result| is_left(result)).count();
        let failed = results.iter().filter(|result| result["success"] == false).count() - left;
        if left == 0 {
            self.found(format!("job {id} is stopped, and nothing was left to do: {job}"));
        }
        let code = job["error"]["code"].as_str();
        let is_reason = match self.allowed.stopped {
            Some(Code::TooManyFailures) => posted.max_failures.is_some_and(|most| failed > most as usize),
            Some(_) | None => posted.max_failures.is_none(),
        };
        if !is_reason || code != self.allowed.stopped.map(Code::name) {
            self.found(format!("job {id} is stopped for no reason, or another: {job}"));
        }
    }

    /// What nobody had begun when the job was stopped is left as it is: a worker that finds the stop, and agrees on something before any other worker of the
    /// chunk, agrees that none of it is processed.
    async fn check_left(&mut self, posted: &Posted, id: JobId) {
        let begun = self.world.services.watch().begun_after_stop(id);
        for chunk in begun {
            let plan = self.world.store.jobs.plan(id.of(&posted.account).chunk(chunk)).await.expect("the database");
            let entries = plan.map(|plan| plan.entries).unwrap_or_default();
            // What nobody can read fails for that.
            let is_readable = |position: u32| {
                let json = &posted.items[position as usize];
                let (account, operation) = (&posted.account, posted.operation);
                Item { account, job: id, operation, position, json }.record().is_some()
            };
            let is_left = |entry: &Entry| match &entry.outcome {
                Outcome::Failure(problems) => {
                    let code = problems.first().map(|problem| problem.code);
                    code == Some(Code::NotProcessed) || !is_readable(entry.position)
                }
                Outcome::Success(_) | Outcome::WouldMake => false,
            };
            if entries.is_empty() || !entries.iter().all(is_left) {
                self.found(format!("chunk {chunk} of {id} was begun after the job was stopped: {entries:?}"));
            }
        }
    }

    fn check_items(&mut self, posted: &Posted, id: JobId, results: &[Value]) {
        let items: Vec<Item<'_>> = (0..)
            .zip(&posted.items)
            .map(|(position, json)| Item {
                account: &posted.account,
                job: id,
                operation: posted.operation,
                position,
                json,
            })
            .collect();
        let success = |position: u32| results[position as usize]["success"] == true;
        // Of which nobody knows, or may say so. Where the network has seen its write, it was applied.
        let unknown = |position: u32| self.allowed.unknown && is_unknown(&results[position as usize]);
        let mut found = Vec::new();
        // Each write, by record, as the items that it applied.
        let mut applied: BTreeMap<u32, usize> = BTreeMap::new();
        for (record, (job, last), change) in self.writes() {
            if job != id {
                continue;
            }
            let before = self
                .writes()
                .into_iter()
                .filter(|(of, (job, position), _)| *of == record && *job == id && *position < last);
            let from = before.map(|(_, (_, position), _)| position + 1).max().unwrap_or(0);
            let mut state = self.states[change.step].clone();
            for item in items.iter().filter(|item| item.record() == Some(record)) {
                let may_be_applied = success(item.position) || unknown(item.position);
                if !(from..=last).contains(&item.position) || !may_be_applied {
                    continue;
                }
                *applied.entry(item.position).or_default() += 1;
                // A worker knows the types before it writes: those of some moment of the job count.
                let typed = self.type_states(id).into_iter().map(|types| state.under_types_of(types));
                let applied = typed.map(|mut state| state.apply(item).map(|_| state));
                match applied.reduce(Result::or).expect("a moment") {
                    Ok(after) => state = after,
                    Err(failing) => {
                        let position = item.position;
                        found.push(format!("item {position} of {id} succeeded, where the model says {failing}"));
                    }
                }
            }
            let after = change.after.as_ref().and_then(held);
            if state.records.get(&record) != after.as_ref() {
                found.push(format!("{id} left {record} as {after:?}, the model as {:?}", state.records.get(&record)));
            }
        }
        for item in &items {
            let result = &results[item.position as usize];
            let position = item.position;
            if success(position) {
                if applied.get(&position) != Some(&1) {
                    found.push(format!(
                        "item {position} of {id} succeeded and was applied {:?} times",
                        applied.get(&position)
                    ));
                }
                let told = result["data"]["id"].as_str();
                if told.and_then(RecordId::parse) != item.record() {
                    found.push(format!("item {position} of {id} names another record: {result}"));
                }
            } else if let Err(why) = self.check_failure(&items, item, result, &applied, results) {
                found.push(format!("item {position} of {id} failed, {why}: {result}"));
            }
        }
        self.found.extend(found);
    }

    /// A failure is true when at some moment of its job the model fails in the same way, by itself or after the items of its
    /// record that came before it.
    fn check_failure(
        &self,
        items: &[Item<'_>],
        item: &Item<'_>,
        result: &Value,
        applied: &BTreeMap<u32, usize>,
        results: &[Value],
    ) -> Result<(), &'static str> {
        let error = &result["errors"][0];
        let status = error["status"].as_str().unwrap_or_default();
        if is_left(result) {
            let may_be = self.allowed.stopped.is_some() && applied.get(&item.position).is_none();
            return if may_be { Ok(()) } else { Err("as one that the job did not come to") };
        }
        if status == "500" {
            return match is_unknown(result) {
                true if self.allowed.unknown => Ok(()),
                false if self.allowed.given_up && applied.get(&item.position).is_none() => Ok(()),
                _ => Err("where nothing of the kind may happen"),
            };
        }
        let success = |position: u32| results[position as usize]["success"] == true;
        let span = self.span(item.job);
        let moments = &self.states[*span.start()..=(*span.end()).min(self.states.len() - 1)];
        for (records, types) in
            moments.iter().flat_map(|records| self.type_states(item.job).into_iter().map(move |types| (records, types)))
        {
            let state = records.under_types_of(types);
            let fails_so = |mut state: State| state.apply(item).is_err_and(|failing| failing == status);
            if fails_so(state.clone()) {
                return Ok(());
            }
            let mut after = state;
            let before = items.iter().filter(|other| {
                other.position < item.position && other.record() == item.record() && success(other.position)
            });
            for other in before {
                let _ = after.apply(other);
                if fails_so(after.clone()) {
                    return Ok(());
                }
            }
        }
        Err("where the model never does")
    }

    /// There is no job but those that the clients know of: one key, one job, however often it was asked for.
    fn check_jobs_are_known(&mut self) {
        if let Some(id) = self.world.unknown_job(self.posted) {
            self.found(format!("job {id} is there, and nobody was told of it"));
        }
    }

    /// Everything has ended, so no slot is taken.
    fn check_slots_are_free(&mut self) {
        let watch = self.world.services.watch();
        let slots = (JOBS.to_owned(), self.world.account.to_string(), "SLOTS".to_owned());
        let active = watch.rows.get(&slots).map_or(0, |row| number(row, "active"));
        let open: Vec<String> = watch
            .rows
            .iter()
            .filter(|(place, row)| place.0 == JOBS && matches!(text(row, "status"), "queued" | "processing"))
            .map(|(place, _)| place.2.clone())
            .collect();
        drop(watch);
        if !self.allowed.unknown {
            let miscounted = self.world.services.watch().miscounted();
            for wrong in miscounted {
                self.found(wrong);
            }
        }
        if active != self.allowed.idle || open.len() as u64 != self.allowed.idle {
            self.found(format!("{active} slots are taken at the end, and {open:?} have not ended"));
        }
    }

    /// A day later no job is visible, and the database may delete every row of it.
    async fn check_expiry(&mut self) {
        let a_day = std::time::Duration::from_secs(domain::limits::JOB_LIFETIME_SECONDS);
        self.world.clock.pass(a_day).await;
        for posted in self.posted {
            if let Some(id) = posted.id
                && self.world.show(id).await.status != 404
            {
                self.found(format!("job {id} is visible after a day"));
            }
        }
        let list = self.world.request(None, Method::GET, "/jobs", None, None).await.expect("an answer");
        if list.status != 200 || list.body["data"].as_array().is_none_or(|jobs| !jobs.is_empty()) {
            self.found(format!("jobs are listed after a day: {} {}", list.status, list.body));
        }
        let now = self.world.clock.wall.now().as_seconds();
        let watch = self.world.services.watch();
        let left: Vec<_> = watch
            .rows
            .iter()
            .filter(|((table, account, sort), row)| {
                table == JOBS
                    && table != CATALOG
                    && !account.is_empty()
                    && sort != "SLOTS"
                    && number(row, "expires_at") > now
            })
            .map(|(place, _)| format!("{place:?}"))
            .collect();
        drop(watch);
        if !left.is_empty() {
            self.found(format!("rows of jobs outlive a day: {left:?}"));
        }
    }
}

/// Whether a result says that the job did not come to its item.
fn is_left(result: &Value) -> bool {
    result["errors"][0]["code"] == "NotProcessed"
}

/// Whether a result says that nobody knows what came of its item.
fn is_unknown(result: &Value) -> bool {
    result["errors"][0]["detail"] == Problem::outcome_unknown().detail.as_ref()
}
