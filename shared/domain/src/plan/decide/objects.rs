//! What items do to an object record.

use serde_json::{Map, Value};

use super::{Context, Decision, Judging, Step, Write, already_applied, version_of};
use crate::plan::Outcome;
use crate::problem::{Problem, quoted};
use crate::record::applied::AppliedWrite;
use crate::record::{ObjectRecord, RecordId, Row, State};
use crate::request::item::{Item, no_such_id, object_type_not_found, parse_attributes};
use crate::types::indexes::Entries;
use crate::types::{TypeKey, sized};

/// The problem (422) that an external id is in use, in the words that published clients know.
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
            Some(State::Object(_) | State::Tombstone) | None => apply(context, id, step, &mut record, judged),
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
        let mark = AppliedWrite { job: context.job, position: last, at: context.now };
        Write::of(id, row, Some(mark), record.map_or(State::Tombstone, State::Object), Vec::new())
    });
    Decision { outcomes, write }
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
pub(super) fn merge_patch(target: &mut Value, mut patch: Value) {
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
