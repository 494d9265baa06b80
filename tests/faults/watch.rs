//! Looking at the tables after every call that may have changed them.
//!
//! What must hold at every moment is checked at every moment; and what happened to each row is kept, for the judgement at the
//! end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::job::JobId;
use domain::limits;
use dynoxide::Database;
use local::database::ask;
use serde_json::{Value, json};

pub const JOBS: &str = "test-jobs";
pub const RECORDS: &str = "test-records";
pub const CATALOG: &str = "test-catalog";

/// Where a row stands: table, partition, and sort key if the table has one.
pub type Place = (String, String, String);

/// A row as DynamoDB spells it. Nobody changes one, and every run has those that it began with.
pub type RowJson = Arc<Value>;

/// What one call did to one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Counts the calls that changed something. All changes of one call happened at once.
    pub step: usize,
    /// When, in the run's own time.
    pub at: Duration,
    /// Whose call it was: see [`Worker::number`](crate::network::Worker::number). None where it was the test's own.
    pub worker: Option<usize>,
    pub place: Place,
    pub before: Option<RowJson>,
    pub after: Option<RowJson>,
}

/// A mark of a record: which job, and the last position of what was applied.
pub type Mark = (JobId, u32);

/// Everything that has happened so far.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pub rows: BTreeMap<Place, RowJson>,
    pub changes: Vec<Change>,
    /// What must never be, and was.
    pub violations: Vec<String>,
    /// Whether requests write records by themselves in this run. Their marks are of jobs that were never stored.
    pub single_writes: bool,
    /// Whose call is answered.
    pub worker: Option<usize>,
    /// The job as each consumer first found it processing.
    found: BTreeMap<(usize, JobId), RowJson>,
    steps: usize,
}

impl Watch {
    /// How many calls have changed something.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// When the job reached its last state.
    pub fn ended_at(&self, id: JobId) -> Option<Duration> {
        let sort = format!("JOB#{id}");
        let ended = |change: &&Change| {
            let status = change.after.as_ref().map_or("", |row| text(row, "status"));
            change.place.0 == JOBS && change.place.2 == sort && matches!(status, "completed" | "failed" | "aborted")
        };
        self.changes.iter().find(ended).map(|change| change.at)
    }

    /// The most jobs that were active at any moment.
    pub fn most_active(&self) -> u64 {
        let slots = self.changes.iter().filter(|change| change.place.2 == "SLOTS");
        slots.filter_map(|change| change.after.as_ref()).map(|row| number(row, "active")).max().unwrap_or(0)
    }

    /// Notes what a consumer was told of its job.
    pub fn told(&mut self, worker: usize, operation: &str, request: &Value) {
        if !matches!(operation, "GetItem" | "UpdateItem") {
            return;
        }
        let place = place(&request["TableName"], &request["Key"]);
        let job = place.2.strip_prefix("JOB#").and_then(JobId::parse);
        // An update that is refused tells nothing; then it asks, and finds what grows only.
        if let Some(job) = job
            && let Some(row) = self.rows.get(&place).filter(|row| text(row, "status") == "processing")
        {
            self.found.entry((worker, job)).or_insert_with(|| Arc::clone(row));
        }
    }

    /// The chunks of a job whose first plan is of a consumer that had found the job stopped.
    pub fn begun_after_stop(&self, id: JobId) -> Vec<u32> {
        let of_job = format!("#{id}");
        let first = self
            .changes
            .iter()
            .filter(|change| change.place.0 == JOBS && change.place.1.ends_with(&of_job) && change.before.is_none());
        let chunk = |change: &Change| {
            let found = self.found.get(&(change.worker?, id)).filter(|row| is_stopped(row));
            found.and(change.place.2.strip_prefix("RESULT#")?.parse().ok())
        };
        first.filter_map(chunk).collect()
    }

    /// Looks at every row that the request names, after it was answered.
    pub fn look(&mut self, database: &Database, operation: &str, request: &Value, now: Duration) {
        let mut changes = Vec::new();
        for place in places_written(operation, request) {
            let (table, partition, sort) = &place;
            let mut key = json!({"pk": {"S": partition}});
            if table != RECORDS {
                key["sk"] = json!({"S": sort});
            }
            let asked = json!({"TableName": table, "Key": key, "ConsistentRead": true});
            let answer = ask(database, "GetItem", asked.to_string().as_bytes()).expect("the database");
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            let after = answer.get("Item").cloned().map(Arc::new);
            let before = self.rows.get(&place).cloned();
            if before != after {
                match &after {
                    Some(row) => self.rows.insert(place.clone(), row.clone()),
                    None => self.rows.remove(&place),
                };
                changes.push(Change { step: self.steps, at: now, worker: self.worker, place, before, after });
            }
        }
        if changes.is_empty() {
            return;
        }
        self.steps += 1;
        for change in &changes {
            let found = match change.place.0.as_str() {
                JOBS => job_change(change),
                RECORDS => self.record_change(change),
                _ => Ok(()),
            };
            if let Err(violation) = found {
                self.violations.push(format!("{violation}: {change:?}"));
            }
        }
        let touches = |table: &str| changes.iter().any(|change| change.place.0 == table);
        if touches(JOBS) {
            self.check_slots();
        }
        if touches(RECORDS) {
            self.check_links();
        }
        self.changes.extend(changes);
    }

    /// Invariant 3: at every moment the counter of an account is the number of its active jobs, and within the limit.
    fn check_slots(&mut self) {
        let mut active: BTreeMap<&str, u64> = BTreeMap::new();
        let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
        for ((table, account, sort), row) in &self.rows {
            if table == JOBS && sort.starts_with("JOB#") && matches!(text(row, "status"), "queued" | "processing") {
                *active.entry(account).or_default() += 1;
            }
            if table == JOBS && sort == "SLOTS" && number(row, "active") > 0 {
                counted.insert(account, number(row, "active"));
            }
        }
        if active != counted {
            self.violations
                .push(format!("step {}: {active:?} jobs are active, slots taken are {counted:?}", self.steps));
        }
        if let Some((account, taken)) = counted.iter().find(|(_, taken)| **taken > limits::ACTIVE_JOBS) {
            self.violations.push(format!("step {}: {account} has {taken} active jobs", self.steps));
        }
    }

    /// What is wrong with the counts of records: with the growth that is noted on jobs that have not ended they are what is there.
    pub fn miscounted(&self) -> Vec<String> {
        let mut there: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        let mut counted = there.clone();
        for ((table, partition, sort), row) in &self.rows {
            let account = partition.split('#').next().unwrap_or_default();
            if table == JOBS && sort.starts_with("JOB#") && matches!(text(row, "status"), "queued" | "processing") {
                let kind = if text(row, "type") == "resources" { "objects" } else { "relationships" };
                *counted.entry((account, kind)).or_default() += signed(row, "growth");
            } else if table == RECORDS && partition.contains("#COUNT#") {
                for kind in ["objects", "relationships"] {
                    *counted.entry((account, kind)).or_default() += signed(row, kind);
                }
            } else if table == RECORDS && row.get("type").is_some() {
                *there.entry((account, "objects")).or_default() += 1;
            } else if table == RECORDS && row.get("relationship_type").is_some() {
                *there.entry((account, "relationships")).or_default() += 1;
            }
        }
        counted.retain(|_, count| *count != 0);
        if there == counted { Vec::new() } else { vec![format!("there are {there:?}, and {counted:?} are counted")] }
    }

    /// No relationship dangles, and each end knows how many it has.
    fn check_links(&mut self) {
        let mut links: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let mut broken = Vec::new();
        for (account, row) in self.rows.iter().filter_map(live_relationship) {
            for end in BTreeSet::from([text(row, "source"), text(row, "target")]) {
                *links.entry((account, end)).or_default() += 1;
            }
        }
        for ((table, partition, _), row) in &self.rows {
            if table == RECORDS && row.get("type").is_some() {
                let end = partition.split_once('#').expect("an account and an id");
                let (has, knows) = (links.remove(&end).unwrap_or(0), number(row, "links"));
                if has != knows {
                    broken.push(format!("{partition} has {has} links and counts {knows}"));
                }
            }
        }
        broken.extend(links.into_keys().map(|end| format!("{end:?} is an end and is not there")));
        let step = self.steps;
        self.violations.extend(broken.into_iter().map(|broken| format!("step {step}: {broken}")));
    }

    /// Every write takes the version one on. One that changes what a record holds has one mark, of a job that is
    /// processing: so nothing is applied for a job that was refused, is aborted or has ended (invariants 1 and 4).
    fn record_change(&self, change: &Change) -> Result<(), String> {
        if is_key(change) {
            return if self.single_writes && change.before.is_none() {
                Ok(())
            } else {
                Err("an idempotency key of a record was written".to_owned())
            };
        }
        if change.place.1.contains("#COUNT#") {
            return Ok(());
        }
        let Some(after) = &change.after else { return Err("a record's row was deleted".to_owned()) };
        let before = change.before.as_ref();
        let version = before.map_or(0, |row| number(row, "version"));
        if number(after, "version") != version + 1 {
            return Err(format!("version {version} is not followed by the next"));
        }
        let new = new_marks(before, after);
        let [(job, _)] = new.as_slice() else {
            if new.len() > 1 {
                return Err("one write has two marks".to_owned());
            }
            let holds = |row: Option<&RowJson>| row.and_then(held_text);
            return if holds(before) == holds(Some(after)) {
                Ok(())
            } else {
                Err("what it holds changed without a mark".to_owned())
            };
        };
        let account = change.place.1.split('#').next().unwrap_or_default();
        let row = self.rows.get(&(JOBS.to_owned(), account.to_owned(), format!("JOB#{job}")));
        match row.map(|row| text(row, "status")) {
            Some("processing") => Ok(()),
            None if self.single_writes => Ok(()),
            status => Err(format!("it was applied for a job that is {status:?}")),
        }
    }
}

/// Whether a job's row says that what is left of it is not to be begun.
fn is_stopped(row: &RowJson) -> bool {
    let has_failed = row.get("max_failures").is_some() && number(row, "failed") > number(row, "max_failures");
    row.get("stopping").is_some() || has_failed
}

fn signed(row: &RowJson, name: &str) -> i64 {
    row.get(name).and_then(|value| value["N"].as_str()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Whether it is of a row in the records table that is no record: an idempotency key of a write of one.
pub fn is_key(change: &Change) -> bool {
    change.place.0 == RECORDS && change.place.1.contains("#KEY#")
}

/// What an object or a relationship holds, as one text.
fn held_text(row: &RowJson) -> Option<String> {
    let member = |name: &str| text(row, name).to_owned();
    if row.get("type").is_some() {
        Some(member("type") + &member("attributes"))
    } else {
        row.get("relationship_type").map(|_| member("source") + &member("target"))
    }
}

fn live_relationship<'row>((place, row): (&'row Place, &'row RowJson)) -> Option<(&'row str, &'row RowJson)> {
    let (account, _) = place.1.split_once('#')?;
    (place.0 == RECORDS && row.get("relationship_type").is_some()).then_some((account, row))
}

/// A job goes from state to state in one direction only, and its counts only grow; what has ended never changes.
fn job_change(change: &Change) -> Result<(), String> {
    let (_, _, sort) = &change.place;
    let expires = |row: &RowJson| row.get("expires_at").is_some();
    if sort != "SLOTS" && change.after.as_ref().is_some_and(|row| !expires(row)) {
        return Err("a row would outlive its day".to_owned());
    }
    if !sort.starts_with("JOB#") {
        return Ok(());
    }
    let Some(after) = &change.after else { return Err("a job was deleted".to_owned()) };
    let state = |row: Option<&RowJson>| match row {
        None => "none".to_owned(),
        Some(row) if row.get("void").is_some() => "void".to_owned(),
        Some(row) => text(row, "status").to_owned(),
    };
    let (from, to) = (state(change.before.as_ref()), state(Some(after)));
    let known = [
        ("none", "queued"),
        ("none", "failed"),
        ("none", "void"),
        ("queued", "processing"),
        ("queued", "aborted"),
        ("queued", "failed"),
        ("processing", "processing"),
        ("processing", "completed"),
        ("processing", "failed"),
    ];
    if !known.contains(&(from.as_str(), to.as_str())) {
        return Err(format!("a job went from {from} to {to}"));
    }
    if let Some(before) = &change.before {
        let (was, is) = (done(before), done(after));
        if !was.is_subset(&is) || is.len() > was.len() + 1 {
            return Err(format!("chunks {was:?} were done, and then {is:?}"));
        }
        let counted = |row: &RowJson| number(row, "succeeded") + number(row, "failed");
        let ended = to == "failed";
        if was == is && counted(before) != counted(after) && !ended {
            return Err("items were counted without a chunk".to_owned());
        }
    }
    if number(after, "succeeded") + number(after, "failed") > number(after, "total") {
        return Err("more items are counted than there are".to_owned());
    }
    Ok(())
}

fn done(row: &RowJson) -> BTreeSet<String> {
    let numbers = row["done"]["NS"].as_array().into_iter().flatten();
    numbers.map(|number| number.as_str().expect("a number").to_owned()).collect()
}

/// The marks that `after` has and `before` has not.
pub fn new_marks(before: Option<&RowJson>, after: &RowJson) -> Vec<Mark> {
    let had = before.map(marks).unwrap_or_default();
    marks(after).into_iter().filter(|mark| !had.contains(mark)).collect()
}

/// The marks of a record's row: 16 bytes of job, 4 of position, 4 of time.
pub fn marks(row: &RowJson) -> Vec<Mark> {
    let bytes = STANDARD.decode(row["ops"]["B"].as_str().unwrap_or_default()).expect("base64");
    let (marks, rest) = bytes.as_chunks::<24>();
    assert!(rest.is_empty(), "{row}");
    let mark = |bytes: &[u8; 24]| {
        let (job, rest) = bytes.split_first_chunk::<16>().expect("16 bytes");
        let (position, _) = rest.split_first_chunk::<4>().expect("4 bytes");
        (JobId::from_bytes(*job), u32::from_be_bytes(*position))
    };
    marks.iter().map(mark).collect()
}

/// A member that is text; empty where it is not there.
pub fn text<'row>(row: &'row RowJson, name: &str) -> &'row str {
    row[name]["S"].as_str().unwrap_or_default()
}

/// A member that is a number; 0 where it is not there.
pub fn number(row: &RowJson, name: &str) -> u64 {
    row[name]["N"].as_str().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn place(table: &Value, key: &Value) -> Place {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(table), text(&key["pk"]["S"]), text(&key["sk"]["S"]))
}

/// Every row that a request may change.
fn places_written(operation: &str, request: &Value) -> BTreeSet<Place> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    match operation {
        "PutItem" => BTreeSet::from([place(&request["TableName"], &request["Item"])]),
        "UpdateItem" | "DeleteItem" => BTreeSet::from([place(&request["TableName"], &request["Key"])]),
        "TransactWriteItems" => {
            let writes = list(&request["TransactItems"]);
            let of = |write: &Value| {
                let put = write.get("Put").map(|put| place(&put["TableName"], &put["Item"]));
                let keyed = write.get("Update").or_else(|| write.get("Delete"));
                put.or_else(|| keyed.map(|keyed| place(&keyed["TableName"], &keyed["Key"])))
            };
            writes.iter().filter_map(of).collect()
        }
        "BatchWriteItem" => {
            let tables = request["RequestItems"].as_object().cloned().unwrap_or_default();
            let of = |(table, writes): (String, Value)| {
                let table = Value::String(table);
                list(&writes).iter().map(|write| place(&table, &write["PutRequest"]["Item"])).collect::<Vec<_>>()
            };
            tables.into_iter().flat_map(of).collect()
        }
        "BatchExecuteStatement" => list(&request["Statements"])
            .iter()
            .map(|statement| {
                let told = statement["Statement"].as_str().expect("a statement");
                let table = told.split('"').nth(1).expect("a table").to_owned();
                let parameters = list(&statement["Parameters"]);
                // An insert begins with its key, an update ends with its key and the version.
                let key = if told.starts_with("INSERT") { 0 } else { parameters.len() - 2 };
                (table, parameters[key]["S"].as_str().expect("a key").to_owned(), String::new())
            })
            .collect(),
        "GetItem" | "BatchGetItem" | "Query" | "CreateTable" | "DescribeTable" | "UpdateTimeToLive"
        | "DescribeTimeToLive" => BTreeSet::new(),
        _ => panic!("nobody knows what {operation} writes"),
    }
}
