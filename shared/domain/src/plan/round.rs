//! The rounds of one delivery of a chunk: what a worker decides and agrees on, as functions of what it has read.
//!
//! # Why each item is applied exactly once, and its result is true
//!
//! A worker goes in rounds. In each it (1) knows the chunk's plan, (2) reads the rows, (3) decides, (4) *agrees*: puts
//! the decided outcomes, and the row version that each success depends on, over the plan it knew, by compare-and-set,
//! (5) writes each row on condition that it still stands at that version. Rows that have moved on go into the next
//! round. When every success is written, the plan is the chunk's results.
//!
//! - *Not twice*: a write leaves its mark on the row. A worker that finds the mark writes nothing.
//! - *Not lost*: a chunk is recorded only when each success of its plan is written by this worker or its mark was seen.
//! - *The result is true*: suppose a worker turns a success into a failure while another worker of the same chunk still
//!   has the write under way. The first knew the plan, then read the row, then agreed. If the other had agreed in between,
//!   the first one's compare-and-set fails. If the other agreed before, its write depends on the version that the plan
//!   names, and the first found the row elsewhere (at that version it repeats what was agreed, without judging again).
//!   Versions only grow, so that write can no longer happen. If the other agrees later, it finds the failure, which is
//!   final. The one failure that is not is one that was judged after a success of the same record: it hangs on that
//!   success, and is decided anew with it, when no worker can have made that write.
//!
//! A chunk that nobody finishes is closed from outside (see [`super::closing`]): its last plan is agreed on in the same way,
//! and a worker that finds it closed has nothing to do any more.
//!
//! # A job that is stopped
//!
//! Whether a job is stopped stands on its row, which a worker reads first of all. One that finds it so, and no plan, agrees on a plan in which
//! every item fails as not processed; a chunk that has a plan is finished as agreed. So what is agreed first counts, as ever: a
//! worker that saw no stop and is slower finds the other plan, whose failures are final.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::decide::{
    Agreed, Context, Decision, Ends, RelationshipDecision, Types, Write, decide_object, decide_relationship, version_of,
};
use super::groups::{Group, Items, Refused, Stray, group};
use super::{Budget, Entry, Outcome, Plan};
use crate::account::usage::RecordKind;
use crate::chunk::Chunk;
use crate::job::{Job, Operation};
use crate::problem::Problem;
use crate::record::applied::AppliedWrites;
use crate::record::{RecordId, Row};
use crate::request::item::Item;
use crate::time::Timestamp;
use crate::types::TypeKey;

/// Items that are decided before others have their turn. Those of one record are decided at once, however many they are.
const STEPS_AT_A_TIME: usize = 16;

/// One delivery of a chunk: what its worker knows of what is agreed, and what follows from it.
#[derive(Debug)]
pub struct Round<'chunk> {
    chunk: &'chunk Chunk<'chunk>,
    /// Of its items, in order.
    positions: Vec<u32>,
    /// The names that its client gave to items.
    refs: HashMap<u32, &'chunk str>,
    budget: Budget,
    /// How many records the account has room for, as it was when the delivery began.
    room: u64,
    /// What is agreed, as far as this worker knows.
    plan: Option<Plan>,
    /// Whether what is agreed was agreed by an earlier delivery or another worker: then its writes may be done, and so
    /// long ago that their marks are gone.
    adopted: bool,
}

impl<'chunk> Round<'chunk> {
    /// The beginning of a delivery of a chunk of `job`, whose worker knows of no plan. The chunk's items are ordered by position, as
    /// [`Chunk::from_message`] leaves them.
    #[must_use]
    pub fn new(chunk: &'chunk Chunk<'chunk>, job: &Job) -> Self {
        let refs = chunk.items.iter().filter_map(|item| Some((item.position, item.client_ref.as_deref()?)));
        let budget = if job.options.has_refs { Budget::beside_refs } else { Budget::of_job };
        Self {
            chunk,
            positions: chunk.items.iter().map(|item| item.position).collect(),
            refs: refs.collect(),
            budget: budget(chunk.total),
            room: u64::MAX,
            plan: None,
            adopted: false,
        }
    }

    #[must_use]
    pub const fn chunk(&self) -> &'chunk Chunk<'chunk> {
        self.chunk
    }

    /// What is agreed, as far as this worker knows.
    #[must_use]
    pub const fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// Takes the plan away: the next round knows of none.
    pub const fn take_plan(&mut self) -> Option<Plan> {
        self.plan.take()
    }

    /// Takes over what other workers of the chunk have agreed, or an earlier delivery.
    pub fn adopt(&mut self, plan: Option<Plan>) {
        self.adopted = plan.is_some();
        self.plan = plan;
    }

    /// Knows a plan as its own: none of its writes was made by somebody else.
    pub fn know(&mut self, plan: Plan) {
        self.plan = Some(plan);
    }

    /// Bounds how many records may be made: nothing bounds them before.
    pub const fn bound_room(&mut self, room: u64) {
        self.room = room;
    }

    /// Whether somebody else has closed the plan, so that nothing of the chunk may be written any more.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.closed)
    }

    /// What the items are decided against.
    #[must_use]
    pub fn context<'round>(&'round self, types: &'round Types, now: Timestamp) -> Context<'round> {
        Context {
            account: &self.chunk.account,
            job: self.chunk.job,
            now,
            types,
            positions: &self.positions,
            budget: self.budget,
        }
    }

    /// The items by the record that each touches, and those that touch none.
    #[must_use]
    pub fn group(&self, context: Context<'_>, items: Items<'chunk>) -> (Vec<Group<'chunk>>, Stray<'chunk>) {
        group(context, items, self.plan.as_ref())
    }

    /// What comes of the items of a chunk that is not begun any more: those that would have failed whatever the records are, fail for that.
    #[must_use]
    pub fn not_processed(&self, refused: &Refused) -> Vec<Entry> {
        let mut outcomes: BTreeMap<u32, Outcome> =
            self.positions.iter().map(|position| (*position, Outcome::failure(Problem::not_processed()))).collect();
        outcomes.extend(refused.iter().cloned());
        outcomes.into_iter().map(|(position, outcome)| self.entry(position, outcome, 0, None)).collect()
    }

    /// The records that have to be read before these groups can be decided.
    #[must_use]
    pub fn to_read(&self, open: &[Group<'_>]) -> BTreeSet<RecordId> {
        // A create needs no read: that its key is free is its condition.
        if self.chunk.operation == Operation::CreateObjects && self.plan.is_none() {
            return BTreeSet::new();
        }
        let mut wanted: BTreeSet<RecordId> = open.iter().map(|group| group.id).collect();
        if self.chunk.operation == Operation::CreateRelationships {
            for step in open.iter().flat_map(|group| &group.steps) {
                if let Item::Relate { source, target, .. } = &step.item {
                    let ends = [source, target].into_iter().filter_map(|end| end.of(&self.chunk.account).object());
                    wanted.extend(ends);
                }
            }
        }
        wanted
    }

    /// What was read, for these groups to be decided by.
    #[must_use]
    pub fn rows(&self, rows: HashMap<RecordId, Row>) -> Rows {
        let ends = match self.chunk.operation {
            Operation::CreateRelationships => {
                rows.iter().filter_map(|(id, row)| Some((*id, row.object()?.clone()))).collect()
            }
            Operation::CreateObjects
            | Operation::UpdateObjects
            | Operation::SetObjects
            | Operation::DeleteObjects
            | Operation::DeleteObjectsByExternalId
            | Operation::DeleteRelationships => Ends::new(),
        };
        Rows { rows, ends }
    }

    /// The types of objects that are known only now that records were read.
    #[must_use]
    pub fn types_to_read<'read>(&self, open: &'read [Group<'_>], rows: &'read Rows) -> Vec<&'read TypeKey> {
        match self.chunk.operation {
            Operation::UpdateObjects => rows.rows.values().filter_map(|row| Some(&row.object()?.object_type)).collect(),
            // Only to say of a record that is not there, or no longer after the step before, what is missing: it or its
            // type.
            Operation::DeleteObjectsByExternalId => {
                let is_there = |group: &&Group<'_>| rows.rows.get(&group.id).and_then(Row::object).is_some();
                let missing = open.iter().filter(|group| group.steps.len() > 1 || !is_there(group));
                missing.flat_map(|group| &group.steps).filter_map(|step| step.item.object_type()).collect()
            }
            Operation::CreateObjects
            | Operation::SetObjects
            | Operation::DeleteObjects
            | Operation::CreateRelationships
            | Operation::DeleteRelationships => Vec::new(),
        }
    }

    /// Begins to decide these groups by what was read.
    #[must_use]
    pub fn decide<'round>(
        &'round self,
        context: Context<'round>,
        open: &'round mut [Group<'chunk>],
        rows: &'round Rows,
        refused: &Refused,
        stray: &Stray<'_>,
    ) -> Deciding<'round, 'chunk> {
        let known: HashMap<u32, &Entry> =
            self.plan.iter().flat_map(|plan| &plan.entries).map(|entry| (entry.position, entry)).collect();
        let mut entries: BTreeMap<u32, Entry> =
            known.iter().map(|(position, entry)| (*position, (*entry).clone())).collect();
        for (position, outcome) in refused {
            entries.entry(*position).or_insert_with(|| self.entry(*position, outcome.clone(), 0, None));
        }
        for (position, _, problem) in stray {
            let outcome = Outcome::failure(problem.clone());
            entries.entry(*position).or_insert_with(|| self.entry(*position, outcome, 0, None));
        }
        let room = self.room.saturating_sub(known.values().filter(|entry| entry.makes).count() as u64);
        let writes = Vec::with_capacity(open.len());
        Deciding { round: self, context, open, place: 0, rows, known, entries, writes, room, may_be_outdated: false }
    }

    /// The plan that says these entries, to be put over the one that is known.
    #[must_use]
    pub fn proposal(&self, entries: Vec<Entry>, now: Timestamp) -> Plan {
        match &self.plan {
            None => Plan { revision: 1, made_at: now, closed: false, entries },
            Some(plan) => Plan { revision: plan.revision + 1, made_at: plan.made_at, closed: false, entries },
        }
    }

    /// `after` is the success of the same record that the item was judged after.
    fn entry(&self, position: u32, outcome: Outcome, base: u64, after: Option<u32>) -> Entry {
        let (base, relies_on) = if outcome.is_success() { (base, None) } else { (0, after) };
        let client_ref = self.refs.get(&position).map(|client_ref| Box::from(*client_ref));
        Entry { relies_on, client_ref, ..Entry::new(position, self.budget.fit(outcome), base) }
    }

    /// Whether an earlier delivery may have written the row so long or so many writes ago that its mark is gone.
    fn is_lost_track_of(&self, context: Context<'_>, group: &Group<'_>, row: Option<&Row>) -> bool {
        let (true, Some(plan), Some(row)) = (self.adopted, &self.plan, row) else { return false };
        if context.has_applied(row) {
            return false;
        }
        group.steps.iter().any(|step| match step.agreed {
            Agreed::Success { base } => {
                row.version > base && AppliedWrites::may_have_dropped(base + 1, row.version, plan.made_at, context.now)
            }
            Agreed::Failure | Agreed::FailureAfter | Agreed::Nothing => false,
        })
    }
}

/// The rows that groups are decided by.
#[derive(Debug, Default)]
pub struct Rows {
    pub rows: HashMap<RecordId, Row>,
    ends: Ends,
}

impl Rows {
    /// Rows of items that have no ends.
    #[must_use]
    pub fn of(rows: HashMap<RecordId, Row>) -> Self {
        Self { rows, ends: Ends::new() }
    }
}

/// A write, and what it is for.
#[derive(Debug)]
pub struct Planned {
    pub target: Target,
    pub write: Write,
}

/// What a write is for.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The place of the group among those that were decided.
    pub group: usize,
    /// Whether it only moves the row on: the group is still to be decided.
    fence: bool,
}

/// What comes of a round.
#[derive(Debug)]
pub struct Decided {
    pub entries: Vec<Entry>,
    pub writes: Vec<Planned>,
    /// Whether the entries have to be agreed on before anything is written.
    pub must_agree: bool,
    /// Whether others may have agreed on another plan before they wrote what is found to be written.
    pub may_be_outdated: bool,
}

/// The groups that are still to be decided after these writes, some of which were lost, because the row had moved on.
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

impl Deciding<'_, '_> {
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

    /// What was decided, once nothing is left to [go on](Self::go_on) with.
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

#[cfg(test)]
mod tests;
