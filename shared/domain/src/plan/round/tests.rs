//! Several workers of one chunk, another writer, and deaths, in any order: no database, one step at a time.

use serde_json::{Value, json};

use super::*;
use crate::account::AccountId;
use crate::chunk::{Packing, pack};
use crate::clock::Clock;
use crate::job::JobId;
use crate::plan::decide::{Write, version_of};
use crate::plan::groups::items;
use crate::record::{ObjectRecord, State};
use crate::request::JobRequest;
use crate::types::{ObjectType, Schema};

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

fn account() -> AccountId {
    AccountId::parse("acme").unwrap()
}

fn key() -> TypeKey {
    TypeKey::parse("product").unwrap()
}

fn id_of(external_id: &str) -> RecordId {
    RecordId::of_external_id(&account(), &key(), external_id)
}

fn types() -> Types {
    let schema = json!({"properties": {"price": {"type": "integer", "maximum": 9}, "note": {"type": "string"}}});
    let schema = Schema::parse(&schema).unwrap();
    let mut types = Types::default();
    types.objects.insert(key(), ObjectType { key: key(), schema, version: 1, created_at: NOW, updated_at: NOW });
    types
}

/// A record and its place in the tables, and how often the job has written it.
#[derive(Clone, Debug, Default)]
struct Database {
    plan: Option<Plan>,
    rows: HashMap<RecordId, Row>,
    /// What the job's write of a record found there, and what it left.
    written: HashMap<RecordId, Vec<(Option<Row>, Row)>>,
}

impl Database {
    /// Puts a plan over the one before it, as long as nobody was first.
    fn agree(&mut self, plan: &Plan) -> bool {
        let stands = self.plan.as_ref().map_or(0, |plan| plan.revision);
        let is_next = plan.revision == stands + 1 && !self.plan.as_ref().is_some_and(|plan| plan.closed);
        if is_next {
            self.plan = Some(plan.clone());
        }
        is_next
    }

    /// Writes a row as long as it still stands at the version that the write depends on.
    fn write(&mut self, write: &Write) -> bool {
        let before = self.rows.get(&write.id).cloned();
        if version_of(before.as_ref()) != write.base {
            return false;
        }
        self.rows.insert(write.id, write.row.clone());
        self.written.entry(write.id).or_default().push((before, write.row.clone()));
        true
    }

    /// Another job's change of a record: it sets the note, or deletes the record.
    fn disturb(&mut self, id: RecordId, deletes: bool) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        let State::Object(record) = &mut row.state else { return };
        row.version += 1;
        if deletes {
            row.state = State::Tombstone;
        } else {
            record.attributes = r#"{"price":1,"note":"of another"}"#.to_owned();
        }
    }
}

fn record(external_id: &str) -> (RecordId, Row) {
    let id = id_of(external_id);
    let record = ObjectRecord {
        id,
        object_type: key(),
        external_id: Some(external_id.to_owned()),
        attributes: r#"{"price":1}"#.to_owned(),
        created_at: NOW,
        position: None,
        updated_at: NOW,
        type_version: 1,
        links: 0,
        entries: None,
    };
    (id, Row { version: 1, applied: AppliedWrites::default(), state: State::Object(record) })
}

/// Where a worker stands between two of its calls.
enum Worker<'chunk> {
    /// It has to read the rows of these groups.
    Reads(Round<'chunk>, Vec<Group<'chunk>>, Stray<'chunk>),
    /// It has read them, and has to agree on what it makes of them.
    Agrees(Round<'chunk>, Vec<Group<'chunk>>, Stray<'chunk>, Rows),
    /// It has agreed, and writes: so many are done, of which some were lost.
    Writes(Round<'chunk>, Vec<Group<'chunk>>, Stray<'chunk>, Decided, Vec<bool>),
    /// It has written what is agreed, and has to see whether that still is the plan.
    LooksAgain(Round<'chunk>),
    /// These are the results.
    Done(Plan),
}

impl<'chunk> Worker<'chunk> {
    /// One that is given the chunk for the first time, or once more.
    fn start(chunk: &'chunk Chunk<'chunk>, job: &Job, types: &Types, database: &Database, again: bool) -> Self {
        let mut round = Round::new(chunk, job);
        if again {
            round.adopt(database.plan.clone());
        }
        Self::open(round, types)
    }

    fn open(round: Round<'chunk>, types: &Types) -> Self {
        let (open, stray) = round.group(round.context(types, NOW), items(round.chunk()).0);
        Self::Reads(round, open, stray)
    }

    /// What it does up to its next call, and that call.
    fn go_on(self, types: &Types, database: &mut Database) -> Self {
        match self {
            Self::Reads(round, open, stray) => {
                let found =
                    round.to_read(&open).into_iter().filter_map(|id| Some((id, database.rows.get(&id)?.clone())));
                let rows = round.rows(found.collect());
                Self::Agrees(round, open, stray, rows)
            }
            Self::Agrees(mut round, mut open, stray, rows) => {
                let (_, refused) = items(round.chunk());
                let mut deciding = round.decide(round.context(types, NOW), &mut open, &rows, &refused, &stray);
                while deciding.go_on() {}
                let decided = deciding.done();
                if decided.must_agree {
                    let proposal = round.proposal(decided.entries.clone(), NOW);
                    if !database.agree(&proposal) {
                        round.adopt(database.plan.clone());
                        return Self::open(round, types);
                    }
                    round.know(proposal);
                }
                Self::Writes(round, open, stray, decided, Vec::new())
            }
            Self::Writes(round, open, stray, decided, mut lost) => {
                if let Some(planned) = decided.writes.get(lost.len()) {
                    lost.push(!database.write(&planned.write));
                    return Self::Writes(round, open, stray, decided, lost);
                }
                let open = left(open, decided.writes.iter().map(|planned| planned.target), lost);
                match (open.is_empty(), decided.may_be_outdated) {
                    (false, _) => Self::Reads(round, open, stray),
                    (true, true) => Self::LooksAgain(round),
                    (true, false) => Self::Done(round.plan().expect("a plan").clone()),
                }
            }
            Self::LooksAgain(mut round) => {
                let known = round.plan().map(|plan| plan.revision);
                round.adopt(database.plan.clone());
                if round.plan().map(|plan| plan.revision) == known {
                    Self::Done(round.plan().expect("a plan").clone())
                } else {
                    Self::open(round, types)
                }
            }
            Self::Done(plan) => Self::Done(plan),
        }
    }

    /// Alone, to its end.
    fn finish(mut self, types: &Types, database: &mut Database) -> Plan {
        for _ in 0..1_000 {
            self = match self {
                Self::Done(plan) => return plan,
                worker => worker.go_on(types, database),
            }
        }
        panic!("a worker that nobody disturbs comes to an end");
    }
}

/// What a job of these items, one after the other, makes of what was there: the model.
fn applied(before: Option<&Row>, items: &[Value], plan: &Plan, id: RecordId) -> Option<Value> {
    let attributes = before.and_then(Row::object).map(|record| serde_json::from_str(&record.attributes).unwrap());
    let mut attributes: Option<Value> = attributes;
    for (item, entry) in items.iter().zip(&plan.entries) {
        if entry.outcome != Outcome::Success(id) {
            continue;
        }
        match item.get("attributes") {
            Some(patch) => {
                let merged = attributes.get_or_insert_with(|| json!({}));
                for (name, value) in patch.as_object().unwrap() {
                    merged[name.as_str()] = value.clone();
                }
            }
            None => attributes = None,
        }
    }
    attributes
}

/// A job whose items share records, some of which break the type's rules.
fn wanted(operation: Operation) -> Vec<Value> {
    let patch = |external_id: &str, attributes: Value| match operation {
        Operation::UpdateObjects => json!({"id": id_of(external_id).to_string(), "attributes": attributes}),
        Operation::DeleteObjectsByExternalId => json!({"type": "product", "external_id": external_id}),
        _ => json!({"type": "product", "external_id": external_id, "attributes": attributes}),
    };
    vec![
        patch("a", json!({"price": 2})),
        patch("b", json!({"price": 10})),
        patch("a", json!({"note": "second"})),
        patch("new", json!({"price": 3})),
        patch("a", json!({"price": 11})),
        patch("b", json!({"note": "after a failure"})),
    ]
}

/// Any number of workers, in any order, some of which die, beside another writer: in the end each success was applied exactly once, on
/// the row as it then was, no failure was, and every worker that came to an end says the same.
#[test]
fn each_item_is_applied_once_whoever_comes_first() {
    let types = types();
    let operations = [
        Operation::CreateObjects,
        Operation::UpdateObjects,
        Operation::SetObjects,
        Operation::DeleteObjectsByExternalId,
    ];
    let (mut disturbed, mut contended) = (0, 0);
    for seed in 0..4_000_u64 {
        let clock = Clock::manual(NOW, seed);
        let random = |below: u64| u64::from_be_bytes(clock.random()) % below;
        let operation = operations[usize::try_from(random(4)).unwrap()];
        let data = wanted(operation);
        let body = json!({"type": operation.job_type(), "action": operation.action(), "data": data}).to_string();
        let request = JobRequest::parse(body.as_bytes()).unwrap();
        let job = Job::queued(JobId::new(&clock), operation, 6, 1);
        let packed = pack(&account(), job.id, &request, Packing::default());
        let [chunk] = packed.chunks.as_slice() else { panic!("one chunk") };
        let message = chunk.to_message();
        let chunk = &Chunk::from_message(&message).unwrap();

        let mut database = Database { rows: HashMap::from([record("a"), record("b")]), ..Database::default() };
        let mut workers: Vec<Worker<'_>> = Vec::new();
        let mut results: Vec<Plan> = Vec::new();
        for turn in 0..random(60) {
            match random(12) {
                0 => {
                    database.disturb(id_of(["a", "b"][usize::try_from(random(2)).unwrap()]), random(3) == 0);
                    disturbed += 1;
                }
                // It dies where it stands.
                1 if !workers.is_empty() => drop(workers.remove(usize::try_from(turn).unwrap() % workers.len())),
                _ if workers.len() < 2 => {
                    workers.push(Worker::start(chunk, &job, &types, &database, random(2) == 0));
                }
                _ => {
                    let worker = workers.remove(usize::try_from(random(workers.len() as u64)).unwrap());
                    match worker.go_on(&types, &mut database) {
                        Worker::Done(plan) => results.push(plan),
                        worker => workers.push(worker),
                    }
                }
            }
        }
        contended += u64::from(database.plan.as_ref().is_some_and(|plan| plan.revision > 1));
        // Those that are still there come to an end one after the other, and then one that is given the chunk once more.
        for worker in workers {
            results.push(worker.finish(&types, &mut database));
        }
        results.push(Worker::start(chunk, &job, &types, &database, true).finish(&types, &mut database));

        let last = results.last().unwrap().clone();
        for other in &results {
            let outcomes = |plan: &Plan| plan.entries.iter().map(|entry| entry.outcome.clone()).collect::<Vec<_>>();
            assert_eq!(outcomes(other), outcomes(&last), "{operation:?} {seed}: two say otherwise");
        }
        let succeeded: BTreeSet<RecordId> = last
            .entries
            .iter()
            .filter_map(|entry| match entry.outcome {
                Outcome::Success(id) => Some(id),
                Outcome::WouldMake | Outcome::Failure(_) => None,
            })
            .collect();
        let written: BTreeSet<RecordId> = database.written.keys().copied().collect();
        assert_eq!(written, succeeded, "{operation:?} {seed}: {last:?}");
        for (id, writes) in &database.written {
            let [(before, after)] = writes.as_slice() else {
                panic!("{operation:?} {seed}: {id} was written {writes:?}")
            };
            let after = after.object().map(|record| serde_json::from_str::<Value>(&record.attributes).unwrap());
            assert_eq!(after, applied(before.as_ref(), &data, &last, *id), "{operation:?} {seed}: {id}");
        }
    }
    assert!(
        disturbed > 1_000 && contended > 100,
        "{disturbed} changes by another, {contended} plans of several agreements"
    );
}

/// What a worker finds of a job that is stopped: no plan, and then each item fails for that; or a plan, which is finished as agreed.
#[test]
fn what_nobody_began_is_not_processed_and_what_is_refused_stays_so() {
    let clock = Clock::manual(NOW, 1);
    let body = r#"{"type":"resources","action":"delete","data":["one",{"id":1},"x"]}"#;
    let request = JobRequest::parse(body.as_bytes()).unwrap();
    let job = Job::queued(JobId::new(&clock), Operation::DeleteObjects, 3, 1);
    let packed = pack(&account(), job.id, &request, Packing::default());
    let round = Round::new(&packed.chunks[0], &job);
    let (_, refused) = items(round.chunk());
    let entries = round.not_processed(&refused);
    assert_eq!(entries.iter().map(|entry| entry.position).collect::<Vec<_>>(), [0, 1, 2]);
    for entry in &entries {
        let Outcome::Failure(problems) = &entry.outcome else { panic!("{entry:?}") };
        let is_refused = refused.iter().any(|(position, _)| *position == entry.position);
        assert_eq!(problems[0] == Problem::not_processed(), !is_refused, "{problems:?}");
    }
}

/// A job of these items in one chunk, as its message says it, handed to `look` with the beginning of a delivery.
fn delivered(operation: Operation, data: &Value, look: impl FnOnce(Round<'_>)) {
    let clock = Clock::manual(NOW, 1);
    let body = json!({"type": operation.job_type(), "action": operation.action(), "data": data}).to_string();
    let request = JobRequest::parse(body.as_bytes()).unwrap();
    let job = Job::queued(JobId::new(&clock), operation, 2, 1);
    let message = pack(&account(), job.id, &request, Packing::default()).chunks[0].to_message();
    look(Round::new(&Chunk::from_message(&message).unwrap(), &job));
}

#[test]
fn a_chunk_whose_plan_is_closed_is_given_up() {
    delivered(Operation::SetObjects, &json!(wanted(Operation::SetObjects)), |mut round| {
        assert!(!round.is_given_up(), "nothing is agreed");
        let open = Plan { revision: 3, made_at: NOW, closed: false, entries: Vec::new() };
        round.adopt(Some(open.clone()));
        assert!(!round.is_given_up());
        let closed = Plan { closed: true, ..open };
        round.adopt(Some(closed.clone()));
        assert!(round.is_given_up());
        assert_eq!((round.take_plan(), round.take_plan()), (Some(closed), None));
    });
}

#[test]
fn no_more_is_made_than_there_is_room_for_and_what_is_there_takes_none() {
    let set = |external_id: &str| json!({"type": "product", "external_id": external_id, "attributes": {"price": 1}});
    let (types, data) = (types(), json!([set("first"), set("a"), set("second")]));
    for (room, made) in [(0, [false, true, false]), (1, [true, true, false]), (2, [true, true, true])] {
        delivered(Operation::SetObjects, &data, |mut round| {
            round.bound_room(room);
            let (all, refused) = items(round.chunk());
            let (mut open, stray) = round.group(round.context(&types, NOW), all);
            let rows = round.rows(HashMap::from([record("a")]));
            let mut deciding = round.decide(round.context(&types, NOW), &mut open, &rows, &refused, &stray);
            while deciding.go_on() {}
            let decided = deciding.done();
            let succeeds: Vec<bool> = decided.entries.iter().map(|entry| entry.outcome.is_success()).collect();
            assert_eq!(succeeds, made, "room for {room}");
            assert_eq!(decided.writes.len(), made.iter().filter(|made| **made).count());
        });
    }
}
