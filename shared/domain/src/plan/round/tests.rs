//! Several workers of one chunk, another writer, and deaths, in any order: no database, one step at a time.

use serde_json::{Value, json};

use super::*;
use crate::account::AccountId;
use crate::chunk::{Packing, pack};
use crate::clock::Clock;
use crate::job::JobId;
use crate::limits;
use crate::plan::decide::{Step, Write, version_of};
use crate::plan::groups::items;
use crate::record::applied::AppliedWrite;
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

/// The groups of a chunk that is begun.
fn grouped<'chunk>(round: &Round<'chunk>) -> Vec<Group<'chunk>> {
    round.group(round.context(&types(), NOW), items(round.chunk()).0).0
}

fn objects(ids: &[&str]) -> BTreeSet<RecordId> {
    ids.iter().map(|external_id| id_of(external_id)).collect()
}

#[test]
fn what_is_read_is_each_record_and_its_ends_and_nothing_for_a_first_create() {
    let create = json!([{"type": "product", "external_id": "a", "attributes": {}}]);
    delivered(Operation::CreateObjects, &create, |mut round| {
        let open = grouped(&round);
        assert_eq!(round.to_read(&open), objects(&[]));
        round.adopt(Some(Plan::empty(NOW)));
        assert_eq!(round.to_read(&open), objects(&["a"]), "another worker may have made it");
    });
    delivered(Operation::SetObjects, &json!(wanted(Operation::SetObjects)), |round| {
        assert_eq!(round.to_read(&grouped(&round)), objects(&["a", "b", "new"]));
    });
    let [a, b] = ["a", "b"].map(|external_id| id_of(external_id).to_string());
    let relate = |source: &str, target: &str| json!({"relationship_type": "owns", "source": source, "target": target});
    let link = RecordId::from_bytes([9; 16]);
    let read_for = |round: &Round<'_>, source: &str, target: &str| {
        let text = relate(source, target).to_string();
        let item = Item::parse(Operation::CreateRelationships, &text).unwrap();
        round.to_read(&[Group { id: link, steps: vec![Step { position: 0, item, agreed: Agreed::Nothing }] }])
    };
    delivered(Operation::CreateRelationships, &json!([relate(&a, &b)]), |round| {
        let with_link = |ends: &[&str]| objects(ends).into_iter().chain([link]).collect::<BTreeSet<_>>();
        assert_eq!(read_for(&round, &a, &b), with_link(&["a", "b"]));
        assert_eq!(read_for(&round, &a, &a), with_link(&["a"]));
        assert_eq!(read_for(&round, "zen:user:1", &b), with_link(&["b"]), "what is kept elsewhere is not looked up");
    });
}

#[test]
fn the_types_that_are_read_late_are_those_of_updated_records_and_of_missing_ones() {
    let there = || HashMap::from([record("a")]);
    let types_of = |operation: Operation, data: Value| {
        let mut read = Vec::new();
        delivered(operation, &data, |round| {
            let rows = round.rows(there());
            read = round.types_to_read(&grouped(&round), &rows).into_iter().cloned().collect();
        });
        read
    };
    let delete = |external_id: &str| json!({"type": "product", "external_id": external_id});
    let update =
        json!([{"id": id_of("a").to_string(), "attributes": {}}, {"id": id_of("b").to_string(), "attributes": {}}]);
    assert_eq!(types_of(Operation::UpdateObjects, update), [key()], "of the one that is there");
    let by_external_id = Operation::DeleteObjectsByExternalId;
    assert_eq!(types_of(by_external_id, json!([delete("a")])), []);
    assert_eq!(types_of(by_external_id, json!([delete("b")])), [key()], "to say which of the two is missing");
    assert_eq!(types_of(by_external_id, json!([delete("a"), delete("a")])), [key(), key()], "the second finds none");
    assert_eq!(types_of(Operation::SetObjects, json!(wanted(Operation::SetObjects))), []);
    assert_eq!(types_of(Operation::DeleteObjects, json!([id_of("a").to_string()])), []);
}

#[test]
fn an_entry_relies_on_what_it_was_judged_after_only_where_it_fails() {
    delivered(Operation::SetObjects, &json!(wanted(Operation::SetObjects)), |round| {
        let failure = || Outcome::failure(Problem::unprocessable("no"));
        let entry = |outcome, after| round.entry(4, outcome, 7, after);
        assert_eq!(entry(failure(), Some(2)), Entry { relies_on: Some(2), ..Entry::new(4, failure(), 0) });
        assert_eq!(entry(failure(), None), Entry::new(4, failure(), 0));
        let success = || Outcome::Success(id_of("a"));
        assert_eq!(entry(success(), Some(2)), Entry::new(4, success(), 7));
    });
}

#[test]
fn track_is_lost_of_a_write_whose_mark_may_be_gone() {
    let kept = limits::APPLIED_WRITES_KEPT as u64;
    let long = NOW.plus_millis(1_000 * limits::APPLIED_WRITES_KEPT_SECONDS);
    delivered(Operation::SetObjects, &json!(wanted(Operation::SetObjects)), |mut round| {
        let lost = |round: &Round<'_>, agreed, version, is_marked: bool, now| {
            let item = Item::parse(Operation::DeleteObjects, "\"40e83a4e-8438-8bb9-8f6f-51124535ce9f\"").unwrap();
            let group = Group { id: id_of("a"), steps: vec![Step { position: 2, item, agreed }] };
            let mut row = record("a").1;
            row.version = version;
            if is_marked {
                row.applied = row.applied.with(AppliedWrite { job: round.chunk().job, position: 2, at: now });
            }
            round.is_lost_track_of(round.context(&types(), now), &group, Some(&row))
        };
        let agreed = Agreed::Success { base: 5 };
        assert!(!lost(&round, agreed, 5 + 1 + kept, false, long), "nothing was agreed before this worker");
        round.adopt(Some(Plan::empty(NOW)));
        assert!(lost(&round, agreed, 5 + 1 + kept, false, NOW), "as many writes later as there are marks");
        assert!(!lost(&round, agreed, 5 + kept, false, NOW));
        assert!(!lost(&round, agreed, 5 + 1, false, NOW), "another's write: this one's was not made");
        assert!(lost(&round, agreed, 5 + 1, false, long), "so long after the agreement that marks are dropped");
        assert!(!lost(&round, agreed, 5, false, long), "the row stands where the write has still to be made");
        assert!(!lost(&round, agreed, 5 + 1 + kept, true, NOW), "the mark is there");
        for other in [Agreed::Nothing, Agreed::Failure, Agreed::FailureAfter] {
            assert!(!lost(&round, other, 5 + 1 + kept, false, long), "{other:?}");
        }
        let group = Group { id: id_of("a"), steps: Vec::new() };
        assert!(!round.is_lost_track_of(round.context(&types(), long), &group, None));
    });
}

#[test]
fn rows_without_ends_are_the_rows() {
    let rows = Rows::of(HashMap::from([record("a")]));
    assert_eq!((rows.rows.len(), rows.ends.len()), (1, 0));
    assert!(rows.rows.contains_key(&id_of("a")));
}

/// A job that sets the attributes of these records, in the order of the items.
fn setting(external_ids: &[&str], look: impl FnOnce(Round<'_>)) {
    let set = |external_id: &&str| json!({"type": "product", "external_id": external_id, "attributes": {"price": 2}});
    delivered(Operation::SetObjects, &external_ids.iter().map(set).collect(), look);
}

/// What is decided of a whole chunk by these rows.
fn decided(round: &Round<'_>, rows: &[(RecordId, Row)], now: Timestamp) -> Decided {
    let types = types();
    let (all, refused) = items(round.chunk());
    let (mut open, stray) = round.group(round.context(&types, now), all);
    let rows = round.rows(rows.iter().cloned().collect());
    let mut deciding = round.decide(round.context(&types, now), &mut open, &rows, &refused, &stray);
    while deciding.go_on() {}
    deciding.done()
}

/// The record at a version, with the mark of this job's write that ended with the item at `position`.
fn at_version(round: &Round<'_>, external_id: &str, version: u64, position: Option<u32>) -> (RecordId, Row) {
    let (id, mut row) = record(external_id);
    row.version = version;
    if let Some(position) = position {
        row.applied = row.applied.with(AppliedWrite { job: round.chunk().job, position, at: NOW });
    }
    (id, row)
}

fn agreed(entries: Vec<Entry>) -> Plan {
    Plan { revision: 1, made_at: NOW, closed: false, entries }
}

fn successes(decided: &Decided) -> Vec<(bool, u64, bool)> {
    decided.entries.iter().map(|entry| (entry.outcome.is_success(), entry.base, entry.makes)).collect()
}

#[test]
fn deciding_makes_way_for_others_after_some_steps() {
    let ids: Vec<String> = (0..100).map(|number| format!("r{number}")).collect();
    setting(&ids.iter().map(String::as_str).collect::<Vec<_>>(), |round| {
        let types = types();
        let (all, refused) = items(round.chunk());
        let (mut open, stray) = round.group(round.context(&types, NOW), all);
        let rows = Rows::default();
        let mut deciding = round.decide(round.context(&types, NOW), &mut open, &rows, &refused, &stray);
        let times = (0..1_000).take_while(|_| deciding.go_on()).count();
        assert!((3..100).contains(&times), "{times}");
        assert_eq!(deciding.done().writes.len(), ids.len());
    });
}

#[test]
fn what_makes_a_record_is_said_and_what_changes_one_is_not() {
    setting(&["new", "a"], |round| {
        let decided = decided(&round, &[record("a")], NOW);
        assert_eq!(successes(&decided), [(true, 0, true), (true, 1, false)]);
        assert!(decided.must_agree && !decided.may_be_outdated);
    });
}

#[test]
fn an_agreed_write_that_is_still_to_be_made_is_agreed_on_once_more_and_one_that_was_made_is_not() {
    let entry = |base| Entry::new(0, Outcome::Success(id_of("a")), base);
    setting(&["a"], |mut round| {
        round.adopt(Some(agreed(vec![entry(5)])));
        let open = decided(&round, &[at_version(&round, "a", 5, None)], NOW);
        assert_eq!((open.must_agree, open.writes.len(), open.may_be_outdated), (true, 1, false));
        assert_eq!(open.entries, [entry(5)]);

        let made = decided(&round, &[at_version(&round, "a", 6, Some(0))], NOW);
        assert_eq!((made.must_agree, made.writes.len(), made.may_be_outdated), (false, 0, false));

        let elsewhere = decided(&round, &[at_version(&round, "a", 9, Some(0))], NOW);
        assert_eq!((elsewhere.must_agree, elsewhere.writes.len(), elsewhere.may_be_outdated), (false, 0, true));

        let moved = decided(&round, &[at_version(&round, "a", 7, None)], NOW);
        assert_eq!((moved.must_agree, moved.writes.len()), (true, 1), "another has written: decided anew");
        assert_eq!(moved.entries, [entry(7)]);
    });
    // One that may be outdated is not forgotten for those that are not.
    setting(&["a", "b"], |mut round| {
        round.adopt(Some(agreed(vec![entry(5), Entry::new(1, Outcome::Success(id_of("b")), 5)])));
        for (first, second) in [(9, 6), (6, 9)] {
            let rows = [at_version(&round, "a", first, Some(0)), at_version(&round, "b", second, Some(1))];
            assert!(decided(&round, &rows, NOW).may_be_outdated);
        }
    });
}

#[test]
fn an_agreed_failure_stays_unless_what_it_was_judged_after_is_decided_anew() {
    let failure = || Outcome::failure(Problem::unprocessable("as it was"));
    setting(&["a", "a"], |mut round| {
        round.adopt(Some(agreed(vec![Entry::new(0, failure(), 0), Entry::new(1, failure(), 0)])));
        let stays = decided(&round, &[record("a")], NOW);
        assert_eq!((successes(&stays), stays.writes.len()), (vec![(false, 0, false); 2], 0));

        let first = Entry::new(0, Outcome::Success(id_of("a")), 5);
        round.adopt(Some(agreed(vec![first.clone(), Entry { relies_on: Some(0), ..Entry::new(1, failure(), 0) }])));
        let anew = decided(&round, &[at_version(&round, "a", 7, None)], NOW);
        assert_eq!(successes(&anew), [(true, 7, false); 2], "both by the record as it now is");
        round.adopt(Some(agreed(vec![first, Entry::new(1, failure(), 0)])));
        let first_anew = decided(&round, &[at_version(&round, "a", 7, None)], NOW);
        assert_eq!(successes(&first_anew), [(true, 7, false), (false, 0, false)]);
    });
}

#[test]
fn an_item_whose_mark_may_be_gone_has_an_unknown_outcome_and_what_follows_it_is_not_applied() {
    let kept = limits::APPLIED_WRITES_KEPT as u64;
    let failure = || Outcome::failure(Problem::unprocessable("as it was"));
    setting(&["a", "a", "a"], |mut round| {
        let after = Entry { relies_on: Some(1), ..Entry::new(2, failure(), 0) };
        round.adopt(Some(agreed(vec![
            Entry::new(0, failure(), 0),
            Entry::new(1, Outcome::Success(id_of("a")), 5),
            after,
        ])));
        let lost = decided(&round, &[at_version(&round, "a", 6 + kept, None)], NOW);
        let outcomes: Vec<&Outcome> = lost.entries.iter().map(|entry| &entry.outcome).collect();
        let expected =
            [failure(), Outcome::failure(Problem::outcome_unknown()), Outcome::failure(Problem::not_applied())];
        assert_eq!(outcomes, expected.iter().collect::<Vec<_>>());
        assert!(lost.must_agree && lost.writes.is_empty());
    });
}
