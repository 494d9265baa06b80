//! What items do to a relationship record.

use std::collections::HashMap;

use super::{Context, Decision, Judging, LinkChange, Step, Write, already_applied, version_of};
use crate::plan::Outcome;
use crate::problem::{Problem, quoted};
use crate::record::applied::AppliedWrite;
use crate::record::{End, ObjectRecord, RecordId, RelationshipRecord, Row, State};
use crate::request::item::{Item, no_such_id, relationship_type_not_found};
use crate::types::{Cardinality, EndType, RelationshipType};

/// The object records that exist among the ends of relationships, by id.
pub type Ends = HashMap<RecordId, ObjectRecord>;

/// The relationship type that an item names and the record that it would make, before anything is read.
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

/// The decision on the items of one relationship record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RelationshipDecision {
    Decided(Decision),
    /// A write that moves the row on, after which the items are decided again. The row is at the version that an agreed
    /// write depends on, and an end of that write is gone: it may be under way, and must not happen any more.
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
        let mark = AppliedWrite { job: context.job, position: last, at: context.now };
        Write::of(id, row, Some(mark), record.map_or(State::Tombstone, State::Relationship), links)
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
