//! What an item does to a record: every rule about items, as functions of the row that is there.
//!
//! A job's items and the single-record routes go through the same functions. Items of one chunk that touch one record
//! form a group; they are decided one after the other on a copy of the row, and written once.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::account::AccountId;
use crate::item::{Item, no_such_id, object_type_not_found, parse_attributes, relationship_type_not_found};
use crate::job::{JobId, quoted};
use crate::operations::{Operations, Token};
use crate::outcome::{Budget, Outcome};
use crate::problem::Problem;
use crate::record::{End, ObjectRecord, RecordId, RelationshipRecord, Row, State};
use crate::time::Timestamp;
use crate::types::indexes::{Entries, Held};
use crate::types::{Cardinality, EndType, ObjectType, RelationshipType, TypeKey, sized};
use crate::usage::RecordKind;

/// What the items of a job are decided against.
#[derive(Clone, Copy, Debug)]
pub struct Context<'types> {
    pub account: &'types AccountId,
    pub job: JobId,
    pub now: Timestamp,
    pub types: &'types Types,
    /// The positions of all items that are handled together, the job's chunk, in order.
    pub positions: &'types [u32],
    /// How much of what is wrong with an item its result can hold.
    pub budget: Budget,
}

impl Context<'_> {
    /// Whether the row carries the token of a write that was made for these items. A chunk makes one write of a record. Its
    /// token has the position of the last item that was about the record then; which that is may be seen otherwise by now,
    /// when a type was deleted or defined anew.
    #[must_use]
    pub fn has_applied(&self, row: &Row) -> bool {
        row.operations.positions_of(self.job).any(|position| self.positions.binary_search(&position).is_ok())
    }
}

/// The types that a chunk's items name, as they are now. A key that is not here is not defined.
#[derive(Debug, Default)]
pub struct Types {
    pub objects: HashMap<TypeKey, ObjectType>,
    pub relationships: HashMap<TypeKey, RelationshipType>,
}

/// One item of a group.
#[derive(Clone, Debug)]
pub struct Step<'json> {
    pub position: u32,
    pub item: Item<'json>,
    /// What the chunk's workers have agreed for it.
    pub agreed: Agreed,
}

/// Whether an item's outcome is open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Agreed {
    /// No worker has decided it.
    Nothing,
    /// It fails: final.
    Failure,
    /// It fails as its record was after an item before it, which succeeds. Where that one is decided anew, so is this.
    FailureAfter,
    /// It succeeds by a write that depends on this version. While the row stands there, the write may be under way.
    Success { base: u64 },
}

impl Agreed {
    /// Whether workers have agreed that it fails.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failure | Self::FailureAfter)
    }
}

/// What a group does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    /// The outcome of every item that is not left as it was agreed to fail, by position.
    pub outcomes: Vec<(u32, Outcome)>,
    /// The one write that applies all its successes; `None` when there is nothing (more) to write.
    pub write: Option<Write>,
}

/// A conditional write of one row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Write {
    pub id: RecordId,
    /// The version that must stand there: 0 for no row at all.
    pub base: u64,
    /// What stands there now.
    pub before: Before,
    pub row: Row,
    /// Changes to how many relationships the ends have, to be made together with the write.
    pub links: Vec<LinkChange>,
}

impl Write {
    /// The write that takes `row` to `state`, with the token of what it is made for.
    fn of(id: RecordId, row: Option<&Row>, token: Option<Token>, state: State, links: Vec<LinkChange>) -> Self {
        let base = version_of(row);
        let operations = row.map_or_else(Operations::default, |row| row.operations.clone());
        let operations = token.map_or_else(|| operations.clone(), |token| operations.with(token));
        Self { id, base, before: Before::of(row), row: Row { version: base + 1, operations, state }, links }
    }
}

impl Write {
    /// Whether it makes a record, rather than change or delete one.
    #[must_use]
    pub const fn makes(&self) -> bool {
        match self.row.state {
            State::Object(_) => !matches!(self.before, Before::Object(_)),
            State::Relationship(_) => !matches!(self.before, Before::Relationship),
            State::Tombstone => false,
        }
    }

    /// The write that takes back a record that this one has made.
    #[must_use]
    pub fn undone(&self) -> Self {
        let before = Before::state(&self.row.state);
        let links = self.links.iter().map(|link| LinkChange { end: link.end, change: -link.change });
        let row =
            Row { version: self.row.version + 1, operations: self.row.operations.clone(), state: State::Tombstone };
        Self { id: self.id, base: self.row.version, before, row, links: links.collect() }
    }

    /// By how many records the account grows with it.
    #[must_use]
    pub const fn growth(&self) -> i64 {
        match (&self.row.state, self.before) {
            (State::Tombstone, Before::Object(_) | Before::Relationship) => -1,
            (_, _) if self.makes() => 1,
            (_, _) => 0,
        }
    }
}

impl Decision {
    /// What is decided where the account has no room for the record that this would make: what would have succeeded fails for
    /// that, and so does what was judged after it.
    #[must_use]
    pub fn without_room(self, kind: RecordKind) -> Self {
        let first = self.outcomes.iter().position(|(_, outcome)| outcome.is_success()).unwrap_or(self.outcomes.len());
        let fitted = |(place, (position, outcome))| {
            (position, if place < first { outcome } else { Outcome::failure(kind.over_limit()) })
        };
        Self { outcomes: self.outcomes.into_iter().enumerate().map(fitted).collect(), write: None }
    }
}

/// What kind of row a write replaces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Before {
    Nothing,
    /// An object record, and in which indexes of its type it stands, where the type had any.
    Object(Option<Held>),
    Relationship,
    Tombstone,
}

impl Before {
    fn state(state: &State) -> Self {
        match state {
            State::Object(record) => Self::Object(record.entries.as_deref().map(Entries::held)),
            State::Relationship(_) => Self::Relationship,
            State::Tombstone => Self::Tombstone,
        }
    }

    fn of(row: Option<&Row>) -> Self {
        row.map_or(Self::Nothing, |row| Self::state(&row.state))
    }
}

/// One end of a relationship that is made or deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkChange {
    pub end: RecordId,
    pub change: i64,
}

/// The version of a row, 0 when there is none.
#[must_use]
pub fn version_of(row: Option<&Row>) -> u64 {
    row.map_or(0, |row| row.version)
}

/// External id taken, in the words that published clients know.
#[must_use]
pub fn external_id_taken(object_type: &TypeKey) -> Problem {
    Problem::unprocessable(format!("External Id is already in use for the Resource Type key: {object_type}"))
}

fn in_use(links: u64) -> Problem {
    Problem::unprocessable(format!(
        "The record is an end of {links} relationship record{}: delete {} first",
        if links == 1 { "" } else { "s" },
        if links == 1 { "it" } else { "them" },
    ))
}

/// Which steps are judged: not those that were agreed to succeed by a write on the row as it stands, nor those that were
/// agreed to fail. But where a success has to be decided anew, so have the failures that were judged after it: the record that
/// they were judged on never was. No worker has finished with them, since none has made that write.
struct Judging {
    base: u64,
    anew: bool,
}

impl Judging {
    const fn on(row_version: u64) -> Self {
        Self { base: row_version, anew: false }
    }

    /// Whether the next step is judged; `None` when its failure stands.
    fn next(&mut self, step: &Step<'_>) -> Option<bool> {
        match step.agreed {
            Agreed::Failure => None,
            Agreed::FailureAfter => self.anew.then_some(true),
            Agreed::Nothing => Some(true),
            Agreed::Success { base } => {
                let judged = base != self.base;
                self.anew |= judged;
                Some(judged)
            }
        }
    }
}

/// Decides the items of one object record.
///
/// Where workers have agreed on a success and the row still stands at the version it depends on, the same write may be
/// under way elsewhere: then it is repeated as agreed, without judging the rules again.
#[must_use]
pub fn decide_object(context: Context<'_>, id: RecordId, steps: &[Step<'_>], row: Option<&Row>) -> Decision {
    let base = version_of(row);
    let last = steps.last().map_or(0, |step| step.position);
    if row.is_some_and(|row| context.has_applied(row)) {
        return already_applied(id, steps);
    }
    let mut record = row.and_then(Row::object).cloned();
    let mut outcomes = Vec::with_capacity(steps.len());
    let mut changed = false;
    let mut judging = Judging::on(base);
    for step in steps {
        let Some(judged) = judging.next(step) else { continue };
        let applied = match row.map(|row| &row.state) {
            // The key belongs to a relationship record: for an object it is as if nothing were there.
            Some(State::Relationship(_)) => Err(vec![no_such_id("record", &id.to_string())]),
            _ => apply(context, id, step, &mut record, judged),
        };
        outcomes.push((
            step.position,
            match applied {
                Ok(()) => {
                    changed = true;
                    Outcome::Success(id)
                }
                Err(problems) => Outcome::Failure(problems),
            },
        ));
    }
    let write = changed.then(|| {
        let token = Token { job: context.job, position: last, at: context.now };
        Write::of(id, row, Some(token), record.map_or(State::Tombstone, State::Object), Vec::new())
    });
    Decision { outcomes, write }
}

/// The row carries the token of these steps: whatever was agreed to succeed is done.
fn already_applied(id: RecordId, steps: &[Step<'_>]) -> Decision {
    let successes = steps.iter().filter(|step| !step.agreed.is_failure());
    Decision { outcomes: successes.map(|step| (step.position, Outcome::Success(id))).collect(), write: None }
}

/// The record that an item would make.
#[derive(Clone, Copy)]
struct Made {
    id: RecordId,
    position: u32,
}

/// Applies one item to the record as it stands after the items before it.
///
/// # Errors
/// Every reason why it cannot; then the record is as it was.
fn apply(
    context: Context<'_>,
    id: RecordId,
    step: &Step<'_>,
    record: &mut Option<ObjectRecord>,
    judged: bool,
) -> Result<(), Vec<Problem>> {
    let made = Made { id, position: step.position };
    match &step.item {
        Item::Create { object_type, external_id, attributes } => {
            if let Some(taken) = record {
                return Err(vec![external_id_taken(&taken.object_type)]);
            }
            let patch = parse_attributes(attributes).map_err(|problem| vec![problem])?;
            *record = Some(create(context, made, object_type, external_id.as_deref(), patch, judged)?);
        }
        Item::Set { object_type, external_id, attributes } => {
            let patch = parse_attributes(attributes).map_err(|problem| vec![problem])?;
            match record {
                Some(record) => merge(context, record, patch, judged)?,
                None => *record = Some(create(context, made, object_type, Some(external_id), patch, judged)?),
            }
        }
        Item::Update { attributes, .. } => {
            let Some(record) = record else { return Err(vec![no_such_id("record", &id.to_string())]) };
            let patch = parse_attributes(attributes).map_err(|problem| vec![problem])?;
            merge(context, record, patch, judged)?;
        }
        Item::Delete { .. } => match record {
            None => return Err(vec![no_such_id("record", &id.to_string())]),
            Some(record) if record.links > 0 => return Err(vec![in_use(record.links)]),
            Some(_) => *record = None,
        },
        Item::DeleteByExternalId { object_type, external_id } => match record {
            None => {
                let Some(defined) = context.types.objects.get(object_type) else {
                    return Err(vec![object_type_not_found(object_type.as_str())]);
                };
                return Err(vec![Problem::not_found(format!(
                    "No record of type {} has the external id {}",
                    defined.key,
                    quoted(external_id)
                ))]);
            }
            Some(record) if record.links > 0 => return Err(vec![in_use(record.links)]),
            Some(_) => *record = None,
        },
        Item::Relate { .. } | Item::Unrelate { .. } => return Err(vec![no_such_id("record", &id.to_string())]),
    }
    Ok(())
}

/// Applies a merge patch (RFC 7396). What the patch does not touch keeps its order, which is why no library does this: each
/// takes a member out by putting the last one in its place.
fn merge_patch(target: &mut Value, mut patch: Value) {
    match (target, &mut patch) {
        (Value::Object(members), Value::Object(patch)) if !members.is_empty() => {
            // All in one pass, or taking out many would take the square of their number.
            if patch.values().any(Value::is_null) {
                members.retain(|name, _| patch.get(name) != Some(&Value::Null));
            }
            // As deep as JSON may nest here, see `limits::JSON_LEVELS`.
            for (name, value) in std::mem::take(patch).into_iter().filter(|(_, value)| !value.is_null()) {
                merge_patch(members.entry(name).or_insert(Value::Null), value);
            }
        }
        // Onto nothing a patch is what it holds: most creates get by without another look at their members.
        (target, _) => {
            drop_nulls(&mut patch);
            *target = patch;
        }
    }
}

/// Takes out the members that are null, at any depth. What stands in an array is a value and no patch.
fn drop_nulls(patch: &mut Value) {
    let Value::Object(members) = patch else { return };
    if members.values().any(Value::is_null) {
        members.retain(|_, member| !member.is_null());
    }
    members.values_mut().for_each(drop_nulls);
}

/// Makes a record, whose attributes are a merge patch onto `{}`: importers send nulls for what a row does not have.
fn create(
    context: Context<'_>,
    made: Made,
    object_type: &TypeKey,
    external_id: Option<&str>,
    patch: Value,
    judged: bool,
) -> Result<ObjectRecord, Vec<Problem>> {
    let mut attributes = Value::Object(Map::new());
    merge_patch(&mut attributes, patch);
    let Checked { object_type, type_version, attributes, entries } =
        Checked::of(context, object_type, &attributes, judged)?;
    Ok(ObjectRecord {
        id: made.id,
        object_type,
        external_id: external_id.map(str::to_owned),
        attributes,
        created_at: context.now,
        position: Some(made.position),
        updated_at: context.now,
        type_version,
        links: 0,
        entries,
    })
}

fn merge(context: Context<'_>, record: &mut ObjectRecord, patch: Value, judged: bool) -> Result<(), Vec<Problem>> {
    // What is stored was JSON when it was written.
    let mut attributes: Value = serde_json::from_str(&record.attributes).map_err(|_| vec![Problem::internal()])?;
    merge_patch(&mut attributes, patch);
    let Checked { type_version, attributes, entries, .. } =
        Checked::of(context, &record.object_type, &attributes, judged)?;
    record.attributes = attributes;
    record.type_version = type_version;
    record.entries = entries;
    // Never backwards, whatever the clocks of two machines say.
    record.updated_at = record.updated_at.max(context.now);
    Ok(())
}

/// What a record takes from its type.
struct Checked {
    /// The type's key as defined.
    object_type: TypeKey,
    type_version: u64,
    /// As compact JSON.
    attributes: String,
    entries: Option<Box<Entries>>,
}

impl Checked {
    fn of(context: Context<'_>, object_type: &TypeKey, attributes: &Value, judged: bool) -> Result<Self, Vec<Problem>> {
        let Some(defined) = context.types.objects.get(object_type) else {
            if judged {
                return Err(vec![object_type_not_found(object_type.as_str())]);
            }
            // Its type was deleted between the agreement and now.
            let attributes = sized(attributes).map_err(|problem| vec![problem])?;
            return Ok(Self { object_type: object_type.clone(), type_version: 1, attributes, entries: None });
        };
        let indexes = defined.schema.indexes();
        Ok(Self {
            object_type: defined.key.clone(),
            type_version: defined.version,
            attributes: if judged { defined.schema.check(attributes, context.budget)? } else { attributes.to_string() },
            entries: (!indexes.is_empty()).then(|| Box::new(indexes.entries_of(attributes))),
        })
    }
}

/// What is known of the ends of relationships: the object records among them that exist.
pub type Ends = HashMap<RecordId, ObjectRecord>;

/// The relationship type and the id that an item makes, before anything is read.
///
/// # Errors
/// When its relationship type is not defined, or an end is not of the kind that the type wants.
pub fn relationship_of<'types>(
    context: Context<'types>,
    item: &Item<'_>,
) -> Result<(&'types RelationshipType, RelationshipRecord), Problem> {
    let Item::Relate { relationship_type, source, target } = item else { return Err(Problem::internal()) };
    let defined = context
        .types
        .relationships
        .get(relationship_type)
        .ok_or_else(|| relationship_type_not_found(relationship_type.as_str()))?;
    let [source, target] =
        [("source", source, &defined.source), ("target", target, &defined.target)].map(|(member, name, wanted)| {
            let end = name.of(context.account);
            let fits = match (&end, wanted) {
                (End::Object(_), EndType::Object(_)) => true,
                (End::Elsewhere(id), wanted) => wanted.owns_elsewhere(id),
                (End::Object(_), EndType::Elsewhere(_)) => false,
            };
            if fits { Ok(end) } else { Err(name.wrong(member, wanted)) }
        });
    let (source, target) = (source?, target?);
    let id = RecordId::of_relationship(
        context.account,
        relationship_type,
        defined.cardinality,
        &source.to_string(),
        &target.to_string(),
    );
    let record = RelationshipRecord {
        id,
        relationship_type: defined.key.clone(),
        source,
        target,
        created_at: context.now,
        position: None,
    };
    Ok((defined, record))
}

/// What to do about the items of one relationship record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RelationshipDecision {
    Decided(Decision),
    /// The row stands where a write that may be under way depends on it, but that write can no longer be agreed to
    /// (an end is gone). This write moves the row on, so that the other cannot happen; then decide again.
    Fence(Write),
}

/// Decides the items of one relationship record: those that make it, or those that delete it.
#[must_use]
pub fn decide_relationship(
    context: Context<'_>,
    id: RecordId,
    steps: &[Step<'_>],
    row: Option<&Row>,
    ends: &Ends,
) -> RelationshipDecision {
    let base = version_of(row);
    let last = steps.last().map_or(0, |step| step.position);
    if row.is_some_and(|row| context.has_applied(row)) {
        return RelationshipDecision::Decided(already_applied(id, steps));
    }
    let mut record = row.and_then(Row::relationship).cloned();
    let mut links = Vec::new();
    let mut outcomes = Vec::with_capacity(steps.len());
    let mut changed = false;
    let mut judging = Judging::on(base);
    for step in steps {
        let Some(judged) = judging.next(step) else { continue };
        match relate(context, id, step, row, &mut record, ends) {
            Ok(change) => {
                changed = true;
                links.extend(change);
                outcomes.push((step.position, Outcome::Success(id)));
            }
            Err(_) if !judged => {
                let state = row.map_or(State::Tombstone, |row| row.state.clone());
                return RelationshipDecision::Fence(Write::of(id, row, None, state, Vec::new()));
            }
            Err(problem) => outcomes.push((step.position, Outcome::failure(problem))),
        }
    }
    let write = changed.then(|| {
        let token = Token { job: context.job, position: last, at: context.now };
        Write::of(id, row, Some(token), record.map_or(State::Tombstone, State::Relationship), links)
    });
    RelationshipDecision::Decided(Decision { outcomes, write })
}

fn relate(
    context: Context<'_>,
    id: RecordId,
    step: &Step<'_>,
    row: Option<&Row>,
    record: &mut Option<RelationshipRecord>,
    ends: &Ends,
) -> Result<Vec<LinkChange>, Problem> {
    match &step.item {
        Item::Relate { source, target, .. } => {
            let (defined, made) = relationship_of(context, &step.item)?;
            if made.id != id {
                return Err(Problem::unprocessable(format!(
                    "Relationship type {} was defined anew while the job ran",
                    quoted(defined.key.as_str())
                )));
            }
            if let Some(there) = record {
                return Err(relationship_taken(defined.cardinality, there, &made));
            }
            for (member, name, end, wanted) in
                [("source", source, &made.source, &defined.source), ("target", target, &made.target, &defined.target)]
            {
                let (Some(object), EndType::Object(wanted_type)) = (end.object(), wanted) else { continue };
                match ends.get(&object) {
                    None => return Err(name.missing(member)),
                    Some(found) if found.object_type != *wanted_type => return Err(name.wrong(member, wanted)),
                    Some(_) => {}
                }
            }
            let changes = link_changes(&made, 1);
            *record = Some(RelationshipRecord { position: Some(step.position), ..made });
            Ok(changes)
        }
        _ => match (row.map(|row| &row.state), record.take()) {
            (Some(State::Relationship(_)), Some(deleted)) => Ok(link_changes(&deleted, -1)),
            (_, kept) => {
                *record = kept;
                Err(no_such_id("relationship record", &id.to_string()))
            }
        },
    }
}

fn relationship_taken(cardinality: Cardinality, there: &RelationshipRecord, wanted: &RelationshipRecord) -> Problem {
    let key = &there.relationship_type;
    Problem::unprocessable(if there.target == wanted.target {
        format!(
            "A relationship record of type {key} from {} to {} already exists",
            quoted(&wanted.source.to_string()),
            quoted(&wanted.target.to_string())
        )
    } else {
        format!(
            "The {cardinality} relationship type {key} already relates {} to {}",
            quoted(&there.source.to_string()),
            quoted(&there.target.to_string())
        )
    })
}

/// The counts that a relationship record adds to or takes from its ends. A record related to itself counts it once.
fn link_changes(record: &RelationshipRecord, change: i64) -> Vec<LinkChange> {
    let source = record.source.object();
    let target = record.target.object().filter(|target| Some(*target) != source);
    source.into_iter().chain(target).map(|end| LinkChange { end, change }).collect()
}

#[cfg(test)]
mod tests;
