//! A message of the queue, and what the consumer makes of the chunk in it: everything short of the database.

#![no_main]

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use domain::account::AccountId;
use domain::chunk::{Chunk, Packing, pack};
use domain::job::{JobId, Operation};
use domain::limits;
use domain::plan::decide::{
    Agreed, Context, Decision, Ends, RelationshipDecision, Step, Types, Write, decide_object, decide_relationship,
    version_of,
};
use domain::plan::groups::{Group, group, items, ungroup};
use domain::plan::{Budget, Entry, Outcome, Plan};
use domain::record::applied::AppliedWrites;
use domain::record::{End, ObjectRecord, RecordId, RelationshipRecord, Row, State};
use domain::request::JobRequest;
use domain::request::item::Item;
use domain::time::Timestamp;
use domain::types::{ObjectType, RelationshipType, Schema, TypeKey};
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use serde_json::value::RawValue;
use sundial_fuzz::{BodyRecipe, RECIPE, ValueRecipe, account, as_carried, chosen, is_carried_by_sqs, job};

fuzz_target!(|input: &[u8]| {
    if let Some((&RECIPE, recipe)) = input.split_first() {
        let Ok(recipe) = Recipe::arbitrary_take_rest(Unstructured::new(recipe)) else { return };
        if let Some(message) = recipe.message() {
            check(&message);
        }
    } else {
        let Ok(message) = std::str::from_utf8(input) else { return };
        check(message);
    }
});

/// A message that was sent, with changes.
#[derive(Arbitrary, Debug)]
struct Recipe<'input> {
    changes: Vec<Change<'input>>,
    chunk: u8,
    body: BodyRecipe<'input>,
}

#[derive(Arbitrary, Debug)]
enum Change<'input> {
    Member { name: u8, value: ValueRecipe<'input> },
    Number { name: u8, value: u64 },
    Without { name: u8 },
    Text { at: u16, cut: u8, insert: &'input str },
}

const NAMES: [&str; 11] =
    ["v", "account", "job", "type", "action", "chunk", "total", "then", "positions", "items", "refused"];

impl Recipe<'_> {
    fn message(&self) -> Option<String> {
        let body = self.body.body();
        let request = JobRequest::parse(body.as_bytes()).ok()?;
        let chunks = pack(&account(), job(), &request, Packing::default()).chunks;
        let chunk = chosen(&chunks, self.chunk);
        let message = chunk.to_message();
        if self.changes.is_empty() {
            assert_eq!(Chunk::from_message(&message).expect("it was just written"), as_carried(chunk));
        }
        self.changes.iter().try_fold(message, |message, change| change.of(message))
    }
}

impl Change<'_> {
    fn of(&self, mut message: String) -> Option<String> {
        let (name, value) = match self {
            Self::Member { name, value } => (name, Some(value.json())),
            Self::Number { name, value } => (name, Some(value.to_string())),
            Self::Without { name } => (name, None),
            Self::Text { at, cut, insert } => {
                let start = floor(&message, usize::from(*at));
                let end = floor(&message, start + usize::from(*cut));
                message.replace_range(start..end, insert);
                return Some(message);
            }
        };
        let mut members: Vec<(&str, &RawValue)> = Vec::new();
        let value = value.map(RawValue::from_string).transpose().ok()?;
        let whole: HashMap<String, &RawValue> = serde_json::from_str(&message).ok()?;
        let changed = *chosen(&NAMES, *name);
        for name in NAMES {
            match (&value, whole.get(name)) {
                (Some(value), _) if name == changed => members.push((name, value)),
                (_, Some(there)) if name != changed => members.push((name, there)),
                _ => {}
            }
        }
        let members = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}"));
        Some(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
    }
}

/// Where a character starts, there or before.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

fn check(message: &str) {
    let Ok(chunk) = Chunk::from_message(message) else { return };
    let again = chunk.to_message();
    assert!(is_carried_by_sqs(&again), "the queue refuses a character");
    let read = Chunk::from_message(&again).expect("a chunk is read from its message");
    assert_eq!(read, as_carried(&chunk));
    assert_eq!(read.to_message(), again);
    check_consuming(&chunk);
}

static NOW: Timestamp = Timestamp::from_seconds(1_700_000_100);

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let schema = json!({
        "properties": {
            "name": {"type": ["string", "null"], "maxLength": 40_000},
            "tags": {"type": "array"},
            "at": {"type": "number"},
            "type": {"type": ["string", "object"], "pattern": "^[a-z]*$"},
        },
    });
    let schema = Schema::parse(&schema).expect("this is a schema");
    let product = ObjectType { key: key("product"), schema, version: 3, created_at: NOW, updated_at: NOW };
    let relationship = |name, target| {
        let data = json!({"key": name, "source": "zen:user", "target": target});
        RelationshipType::parse(&data, NOW).expect("this is a relationship type")
    };
    let related = [relationship("owns", json!("product")), relationship("has", json!(["product"]))];
    Types {
        objects: HashMap::from([(product.key.clone(), product)]),
        relationships: related.into_iter().map(|defined| (defined.key.clone(), defined)).collect(),
    }
});

fn key(text: &str) -> TypeKey {
    TypeKey::parse(text).expect("this is a key")
}

/// As the consumer does: items, groups, decisions, results.
fn check_consuming(chunk: &Chunk<'_>) {
    let positions: Vec<u32> = chunk.items.iter().map(|item| item.position).collect();
    let context = Context {
        account: &chunk.account,
        job: chunk.job,
        now: NOW,
        types: &TYPES,
        positions: &positions,
        budget: Budget::of_job(chunk.total),
    };
    let (items, refused) = items(chunk);
    assert_eq!(items.len() + refused.len(), chunk.items.len(), "an item is lost");
    for (_, item) in items.iter().take(LOOKED_AT) {
        check_item(chunk, item);
    }
    let readable = items.len();
    let (groups, stray) = group(context, items, None);
    assert_eq!(groups.iter().map(|group| group.steps.len()).sum::<usize>() + stray.len(), readable);
    assert_eq!(groups.iter().map(|group| group.id).collect::<HashSet<_>>().len(), groups.len());
    // What else is checked is that items are told apart by their positions, which it takes a sender to see to.
    let positions: HashSet<_> = chunk.items.iter().map(|item| item.position).collect();
    if positions.len() < chunk.items.len() {
        return;
    }
    let mut outcomes = refused;
    outcomes.extend(stray.iter().map(|(position, _, problem)| (*position, Outcome::failure(problem.clone()))));
    for (place, group) in groups.iter().enumerate() {
        outcomes.extend(check_group(context, chunk.operation, group, place < LOOKED_AT));
    }
    assert_eq!(outcomes.len(), chunk.items.len(), "an item has no outcome, or two");
    check_results(chunk, outcomes);
    let steps = ungroup(groups, stray);
    assert_eq!(steps.len(), readable);
    assert!(steps.is_sorted_by_key(|(position, _)| *position));
}

/// What is written small is the same item.
fn check_item(chunk: &Chunk<'_>, item: &Item<'_>) {
    let Ok(rewritten) = item.rewritten(None) else { return };
    let read = Item::parse(chunk.operation, &rewritten).expect("an item reads its own text");
    assert_eq!(read.rewritten(None).as_ref(), Ok(&rewritten));
    assert_eq!(read.ordering_key(&chunk.account), item.ordering_key(&chunk.account));
    assert_eq!(read.object_type(), item.object_type());
}

/// Of many items, so many are looked at from all sides.
const LOOKED_AT: usize = 32;

/// What decides the steps of one record.
type Decide<'group> = dyn Fn(Context<'_>, &[Step<'_>], Option<&Row>) -> Decision + 'group;

/// Decides a group where nothing is, and answers with what comes of it; then, if it is `thorough`, on every kind of row.
fn check_group(context: Context<'_>, operation: Operation, group: &Group<'_>, thorough: bool) -> Vec<(u32, Outcome)> {
    let row = |state| Row { version: 3, applied: AppliedWrites::default(), state };
    let there = [
        row(State::Object(object(group.id, 0))),
        row(State::Object(object(group.id, 1))),
        row(State::Relationship(RelationshipRecord {
            id: group.id,
            relationship_type: key("owns"),
            source: End::Elsewhere("zen:user:1".to_owned()),
            target: End::Object(RecordId::from_bytes([1; 16])),
            created_at: NOW,
            position: Some(0),
        })),
        row(State::Tombstone),
    ];
    let decide: &Decide<'_> = match operation {
        Operation::CreateRelationships | Operation::DeleteRelationships => {
            &|context, steps, row| match decide_relationship(
                context,
                group.id,
                steps,
                row,
                &ends(context.account, group),
            ) {
                RelationshipDecision::Decided(decision) => decision,
                RelationshipDecision::Fence(_) => panic!("a fence although its ends are there"),
            }
        }
        _ => &|context, steps, row| decide_object(context, group.id, steps, row),
    };
    let check = |row: Option<&Row>| {
        let decision = decide(context, &group.steps, row);
        let decided: Vec<_> = decision.outcomes.iter().map(|(position, _)| *position).collect();
        assert_eq!(decided, group.steps.iter().map(|step| step.position).collect::<Vec<_>>());
        assert_eq!(decision.write.is_some(), decision.outcomes.iter().any(|(_, outcome)| outcome.is_success()));
        if let Some(write) = &decision.write {
            check_write(context.job, group, row, write);
            check_again(context, decide, group, row, &decision, write);
            check_fence(context, operation, group, row);
        }
        decision.outcomes
    };
    if thorough {
        for row in &there {
            check(Some(row));
        }
    }
    check(None)
}

/// The one write is conditional on the row that was read, leaves its mark, and is of a record that can be kept.
fn check_write(job: JobId, group: &Group<'_>, row: Option<&Row>, write: &Write) {
    assert_eq!(write.id, group.id);
    assert_eq!((write.base, write.row.version), (version_of(row), version_of(row) + 1));
    let last = group.steps.last().map(|step| step.position).expect("a group has a step");
    assert!(write.row.applied.contains(job, last));
    if let Some(record) = write.row.object() {
        assert_eq!(record.id, group.id);
        assert!(record.attributes.len() <= limits::ATTRIBUTES_BYTES);
        let raw: &RawValue = serde_json::from_str(&record.attributes).expect("attributes are JSON");
        let read = domain::request::json::read("attributes", raw).expect("what is kept can be read again");
        assert!(read.is_object());
        assert_eq!(read.to_string(), record.attributes);
    }
    let ends: HashSet<_> = write.links.iter().map(|link| link.end).collect();
    assert!(ends.len() <= 2 && write.links.iter().all(|link| link.change.abs() == 1));
}

/// A later delivery comes to the same, whether the write was made in between or not.
fn check_again(
    context: Context<'_>,
    decide: &Decide<'_>,
    group: &Group<'_>,
    row: Option<&Row>,
    decision: &Decision,
    write: &Write,
) {
    let mut steps = group.steps.clone();
    for (step, (_, outcome)) in steps.iter_mut().zip(&decision.outcomes) {
        step.agreed = if outcome.is_success() { Agreed::Success { base: version_of(row) } } else { Agreed::Failure };
    }
    let successes: Vec<_> = decision.outcomes.iter().filter(|(_, outcome)| outcome.is_success()).cloned().collect();
    let repeated = decide(context, &steps, row);
    assert_eq!((&repeated.outcomes, repeated.write.as_ref()), (&successes, Some(write)));
    let found_done = decide(context, &steps, Some(&write.row));
    assert_eq!((&found_done.outcomes, found_done.write), (&successes, None));
    // Another job finds a record like any other.
    let other = Context { job: JobId::from_bytes([9; 16]), ..context };
    let next = decide(other, &group.steps, Some(&write.row));
    if let Some(next) = next.write {
        check_write(other.job, group, Some(&write.row), &next);
        assert!(next.row.applied.contains(context.job, steps.last().map_or(0, |step| step.position)));
    }
}

/// What was agreed stays so when the types are gone, and relationships move the row on before they change their mind.
fn check_fence(context: Context<'_>, operation: Operation, group: &Group<'_>, row: Option<&Row>) {
    let none = Types::default();
    let context = Context { types: &none, ..context };
    let agreed = Agreed::Success { base: version_of(row) };
    let first = group.steps.first().expect("a group has a step");
    let step = Step { agreed, ..first.clone() };
    let steps = std::slice::from_ref(&step);
    if operation != Operation::CreateRelationships {
        return;
    }
    match decide_relationship(context, group.id, steps, row, &Ends::new()) {
        RelationshipDecision::Fence(write) => {
            assert_eq!((write.base, write.row.version), (version_of(row), version_of(row) + 1));
            assert!(write.links.is_empty() && !write.row.applied.contains(context.job, step.position));
        }
        RelationshipDecision::Decided(decision) => panic!("{decision:?} without a type"),
    }
}

fn object(id: RecordId, links: u64) -> ObjectRecord {
    ObjectRecord {
        id,
        object_type: key("product"),
        external_id: Some("1".to_owned()),
        attributes: r#"{"name":"before","at":1.5}"#.to_owned(),
        created_at: NOW,
        updated_at: NOW,
        type_version: 2,
        position: Some(0),
        links,
        entries: None,
    }
}

/// Every object record that a relationship of the group points at.
fn ends(account: &AccountId, group: &Group<'_>) -> Ends {
    let mut ends = Ends::new();
    for step in &group.steps {
        let Item::Relate { source, target, .. } = &step.item else { continue };
        for id in [source, target].into_iter().filter_map(|end| end.of(account).object()) {
            ends.insert(id, object(id, 0));
        }
    }
    ends
}

/// Results that fit an answer, and come out of their row as they went in.
fn check_results(chunk: &Chunk<'_>, outcomes: Vec<(u32, Outcome)>) {
    let budget = Budget::of_job(chunk.total);
    let mut entries: Vec<_> = outcomes
        .into_iter()
        .map(|(position, outcome)| {
            let base = if outcome.is_success() { 7 } else { 0 };
            Entry::new(position, budget.fit(outcome), base)
        })
        .collect();
    entries.sort_by_key(|entry| entry.position);
    for entry in &entries {
        let mut json = Vec::new();
        entry.outcome.render(&mut json);
        let result: serde_json::Value = serde_json::from_slice(&json).expect("a result is JSON");
        assert_eq!(result["success"], entry.outcome.is_success());
        if matches!(usize::try_from(chunk.total), Ok(1..=limits::ITEMS_PER_JOB)) {
            let total = chunk.total as usize;
            let bytes = json.len() + json.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
            assert!(bytes <= limits::RESULT_BYTES && bytes * total <= limits::ANSWER_BYTES, "{bytes} of {total}");
            assert!(bytes * total.min(limits::ITEMS_PER_CHUNK) <= limits::RESULTS_BYTES, "{bytes} of {total}");
        }
    }
    let plan = Plan { revision: 1, made_at: NOW, closed: false, entries };
    assert_eq!(plan.succeeded() as usize + plan.failed() as usize, plan.entries.len());
    assert_eq!(Plan::unpack(1, false, &plan.pack()).as_ref(), Ok(&plan));
}
