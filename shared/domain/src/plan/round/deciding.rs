//! The decisions of one round.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Round, Rows};
use crate::account::usage::RecordKind;
use crate::job::Operation;
use crate::plan::decide::{
    Agreed, Context, Decision, RelationshipDecision, Write, decide_object, decide_relationship, version_of,
};
use crate::plan::groups::{Group, Refused, Stray};
use crate::plan::{Entry, Outcome};
use crate::problem::Problem;

/// Items that are decided before others have their turn. Those of one record are decided at once, however many they are.
const STEPS_AT_A_TIME: usize = 16;

/// A write, and the group that it is for.
#[derive(Debug)]
pub struct Planned {
    pub target: Target,
    pub write: Write,
}

/// The group that a write is for, and whether the write is only a fence.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The place of the group among those that were decided.
    pub group: usize,
    /// Whether it only moves the row on: the group is still to be decided.
    fence: bool,
}

/// The result of deciding a round: the entries of the plan, and the writes to be made.
#[derive(Debug)]
pub struct Decided {
    pub entries: Vec<Entry>,
    pub writes: Vec<Planned>,
    /// Whether the entries have to be agreed on before anything is written.
    pub must_agree: bool,
    /// Whether others may have agreed on a plan that is not known here, and then made the writes that were found on the
    /// rows.
    pub may_be_outdated: bool,
}

/// The groups that are still to be decided after the writes for `targets`: those whose write was a fence, or was `lost`
/// because the row had moved on.
#[must_use]
pub fn left(
    open: Vec<Group<'_>>,
    targets: impl IntoIterator<Item = Target>,
    lost: impl IntoIterator<Item = bool>,
) -> Vec<Group<'_>> {
    let left = targets.into_iter().zip(lost).filter(|(target, is_lost)| target.fence || *is_lost);
    let left: HashSet<usize> = left.map(|(target, _)| target.group).collect();
    open.into_iter().enumerate().filter(|(place, _)| left.contains(place)).map(|(_, group)| group).collect()
}

/// The decisions of one round, some at a time: checking attributes may take milliseconds an item, and whoever decides may
/// have others to look after, and a deadline.
#[derive(Debug)]
pub struct Deciding<'round, 'chunk> {
    round: &'round Round<'chunk>,
    context: Context<'round>,
    open: &'round mut [Group<'chunk>],
    /// The group that is next.
    place: usize,
    rows: &'round Rows,
    known: HashMap<u32, &'round Entry>,
    entries: BTreeMap<u32, Entry>,
    writes: Vec<Planned>,
    room: u64,
    may_be_outdated: bool,
}

impl<'round, 'chunk> Deciding<'round, 'chunk> {
    pub(super) fn begin(
        round: &'round Round<'chunk>,
        context: Context<'round>,
        open: &'round mut [Group<'chunk>],
        rows: &'round Rows,
        refused: &Refused,
        stray: &Stray<'_>,
    ) -> Self {
        let known: HashMap<u32, &Entry> =
            round.plan.iter().flat_map(|plan| &plan.entries).map(|entry| (entry.position, entry)).collect();
        let mut entries: BTreeMap<u32, Entry> =
            known.iter().map(|(position, entry)| (*position, (*entry).clone())).collect();
        for (position, outcome) in refused {
            entries.entry(*position).or_insert_with(|| round.entry(*position, outcome.clone(), 0, None));
        }
        for (position, _, problem) in stray {
            let outcome = Outcome::failure(problem.clone());
            entries.entry(*position).or_insert_with(|| round.entry(*position, outcome, 0, None));
        }
        let room = round.room.saturating_sub(known.values().filter(|entry| entry.makes).count() as u64);
        let writes = Vec::with_capacity(open.len());
        Self { round, context, open, place: 0, rows, known, entries, writes, room, may_be_outdated: false }
    }

    /// Decides the next groups. Answers whether there are more.
    pub fn go_on(&mut self) -> bool {
        let mut steps = 0;
        while let Some(group) = self.open.get(self.place) {
            if steps >= STEPS_AT_A_TIME {
                return true;
            }
            steps += group.steps.len();
            self.decide_next();
            self.place += 1;
        }
        false
    }

    /// The decisions, once nothing is left to [go on](Self::go_on) with.
    #[must_use]
    pub fn done(self) -> Decided {
        debug_assert_eq!(self.place, self.open.len(), "all of it is decided");
        let entries: Vec<Entry> = self.entries.into_values().collect();
        let changed = self.round.plan.as_ref().is_none_or(|plan| plan.entries != entries);
        Decided {
            must_agree: changed || self.writes.iter().any(|planned| !planned.target.fence),
            entries,
            writes: self.writes,
            may_be_outdated: self.may_be_outdated,
        }
    }

    fn decide_next(&mut self) {
        let (context, round) = (self.context, self.round);
        let group = &mut self.open[self.place];
        for step in &mut group.steps {
            step.agreed = self.known.get(&step.position).map_or(Agreed::Nothing, |entry| match entry.outcome {
                Outcome::Success(_) => Agreed::Success { base: entry.base },
                Outcome::Failure(_) if entry.relies_on.is_some() => Agreed::FailureAfter,
                // The one that nobody writes is of a job that writes nothing.
                Outcome::WouldMake | Outcome::Failure(_) => Agreed::Failure,
            });
        }
        let group = &*group;
        let row = self.rows.rows.get(&group.id);
        let decision = if round.is_lost_track_of(context, group, row) {
            unknown(group)
        } else {
            match round.chunk.operation.kind() {
                RecordKind::Object => decide_object(context, group.id, &group.steps, row),
                RecordKind::Relationship => {
                    match decide_relationship(context, group.id, &group.steps, row, &self.rows.ends) {
                        RelationshipDecision::Decided(decision) => decision,
                        RelationshipDecision::Fence(write) => {
                            self.writes.push(Planned { target: Target { group: self.place, fence: true }, write });
                            return;
                        }
                    }
                }
            }
        };
        let decision = within(&mut self.room, decision, group, round.chunk.operation);
        let base = version_of(row);
        // It was written, and not on the version that this worker's plan names; or others have written it since. In the first case there
        // is another plan, which says otherwise what the write made.
        self.may_be_outdated |= decision.write.is_none()
            && group
                .steps
                .iter()
                .any(|step| matches!(step.agreed, Agreed::Success { base: agreed } if agreed + 1 != base));
        let mut after = None;
        let mut makes = decision.write.as_ref().is_some_and(Write::makes);
        for (position, outcome) in decision.outcomes {
            let is_success = outcome.is_success();
            let is_settled = decision.write.is_none() && is_success;
            if !(is_settled && self.entries.contains_key(&position)) {
                let makes = is_success && std::mem::take(&mut makes);
                self.entries.insert(position, Entry { makes, ..round.entry(position, outcome, base, after) });
            }
            if is_success {
                after = Some(position);
            }
        }
        if let Some(write) = decision.write {
            self.writes.push(Planned { target: Target { group: self.place, fence: false }, write });
        }
    }
}

/// What is decided where the account has room for so many records more. What workers have agreed to make has its room.
fn within(room: &mut u64, decision: Decision, group: &Group<'_>, operation: Operation) -> Decision {
    let is_agreed = group.steps.iter().any(|step| matches!(step.agreed, Agreed::Success { .. }));
    if is_agreed || !decision.write.as_ref().is_some_and(Write::makes) {
        return decision;
    }
    match room.checked_sub(1) {
        Some(left) => {
            *room = left;
            decision
        }
        None => decision.without_room(operation.kind()),
    }
}

/// Beyond what a record remembers, nothing is applied a second time. Nor are failures known to be true that were judged after
/// what may have been applied; but those items were not.
fn unknown(group: &Group<'_>) -> Decision {
    let first = group.steps.iter().position(|step| !step.agreed.is_failure()).unwrap_or(group.steps.len());
    let outcomes = group.steps[first..].iter().map(|step| {
        let problem = if step.agreed.is_failure() { Problem::not_applied() } else { Problem::outcome_unknown() };
        (step.position, Outcome::failure(problem))
    });
    Decision { outcomes: outcomes.collect(), write: None }
}
