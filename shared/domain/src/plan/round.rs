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

mod deciding;

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub use self::deciding::{Decided, Deciding, Planned, Target, left};
use super::decide::{Agreed, Context, Ends, Types};
use super::groups::{Group, Items, Refused, Stray, group};
use super::{Budget, Entry, Outcome, Plan};
use crate::chunk::Chunk;
use crate::job::{Job, Operation};
use crate::problem::Problem;
use crate::record::applied::AppliedWrites;
use crate::record::{RecordId, Row};
use crate::request::item::Item;
use crate::time::Timestamp;
use crate::types::TypeKey;

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

    /// Takes over a plan of this worker's own: none of its writes was made by somebody else.
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

    /// The context in which the chunk's items are decided.
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

    /// The entries of a chunk that is not begun any more: each item fails as not processed, but those in `refused` fail
    /// for their own reason.
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

    /// The rows that were read, in the form in which groups are decided by them.
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

    /// The object types that have to be read before these groups can be decided, and are known only now that records
    /// were read.
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
        Deciding::begin(self, context, open, rows, refused, stray)
    }

    /// The plan with these entries, to be agreed on in place of the one that is known.
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
    /// The rows for items that do not depend on the ends of relationships.
    #[must_use]
    pub fn of(rows: HashMap<RecordId, Row>) -> Self {
        Self { rows, ends: Ends::new() }
    }
}

#[cfg(test)]
mod tests;
