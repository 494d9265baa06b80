//! One chunk, from delivery to recorded results.
//!
//! # Why each item is applied exactly once, and its result is true
//!
//! A worker goes in rounds. In each it (1) knows the chunk's plan, (2) reads the rows, (3) decides, (4) *agrees*: puts
//! the decided outcomes, and the row version that each success depends on, over the plan it knew, by compare-and-set,
//! (5) writes each row on condition that it still stands at that version. Rows that have moved on go into the next
//! round. When every success is written, the plan is the chunk's results.
//!
//! - *Not twice*: a write leaves the operation's mark on the row. A worker that finds the mark writes nothing.
//! - *Not lost*: a chunk is recorded only when each success of its plan is written by this worker or its mark was seen.
//! - *The result is true*: suppose a worker turns a success into a failure while another worker of the same chunk still
//!   has the write under way. The first knew the plan, then read the row, then agreed. If the other had agreed in between,
//!   the first one's compare-and-set fails. If the other agreed before, its write depends on the version that the plan
//!   names, and the first found the row elsewhere (at that version it repeats what was agreed, without judging again).
//!   Versions only grow, so that write can no longer happen. If the other agrees later, it finds the failure, which is
//!   final. The one failure that is not is one that was judged after a success of the same record: it hangs on that
//!   success, and is decided anew with it, when no worker can have made that write.
//!
//! A chunk that nobody finishes is closed from outside, by `lifecycle::settle`: its last plan is agreed on in the same way,
//! and a worker that finds it closed has nothing to do any more.
//!
//! The first worker of a first delivery does not read the plan: that its compare-and-set finds none is the same.
//!
//! # A job that is stopped
//!
//! Whether a job is stopped stands on its row, which a worker reads first of all. One that finds it so, and no plan, agrees on a plan in which
//! every item fails as not processed; a chunk that has a plan is finished as agreed. So what is agreed first counts, as ever: a
//! worker that saw no stop and is slower finds the other plan, whose failures are final.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use domain::chunk::{Chunk, UnreadableChunk};
use domain::job::{Job, Operation};
use domain::plan::decide::{
    Agreed, Context, Decision, Ends, RelationshipDecision, Write, decide_object, decide_relationship, version_of,
};
use domain::plan::{Budget, Entry, Outcome, Plan};
use domain::problem::Problem;
use domain::record::applied::AppliedWrites;
use domain::record::{RecordId, Row};
use domain::request::item::Item;
use lifecycle::{Postponed, Started, Unfinished, conclude, record, start};
use store::records::Written;
use store::retry::Backoff;
use store::types::TypeLoader;
use store::usage::UsageCache;
use store::{Store, StoreError};
use telemetry::TraceContext;

use crate::groups::{Group, Refused, Stray, group, items, ungroup};
use crate::{Consumer, validation};

/// How a delivery ends when the message can be deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChunkEnd {
    /// Its results are recorded.
    Recorded,
    /// It has no effect and never will have, for this reason.
    Dropped(&'static str),
}

/// Why a message has to be delivered again.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    #[error(transparent)]
    Unreadable(#[from] UnreadableChunk),
    #[error(transparent)]
    Postponed(#[from] Postponed),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("its records are written by others too often")]
    Contended,
    #[error(transparent)]
    Unfinished(#[from] Unfinished),
}

impl ChunkError {
    /// Whether it is part of ordinary work rather than a sign of trouble.
    #[must_use]
    pub const fn is_expected(&self) -> bool {
        matches!(self, Self::Postponed(Postponed::NotCommitted))
    }
}

/// Rounds after which a chunk whose rows keep moving is left to a later delivery.
const ROUNDS: u32 = 40;

/// Items that are decided before others have their turn. Those of one record are decided at once, however many they are.
const STEPS_AT_A_TIME: usize = 16;

/// A message as the queue delivers it, besides its body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// How often it was received, this time included.
    pub receives: u32,
    /// The trace of the request that the chunk came with.
    pub trace: Option<TraceContext>,
}

/// Applies a chunk.
///
/// # Errors
/// When it has to be delivered again.
pub async fn process(consumer: &Consumer, chunk: &Chunk<'_>, delivery: Delivery) -> Result<ChunkEnd, ChunkError> {
    let (store, queue) = (&consumer.store, &*consumer.queue);
    let job = match start(store, &chunk.account, chunk.job).await? {
        Started::Processing(job) => job,
        Started::Drop(why) => return Ok(ChunkEnd::Dropped(why)),
    };
    if chunk.validate_only {
        return validation::process(consumer, chunk, delivery, job).await;
    }
    if job.done.contains(&chunk.index) {
        conclude(store, queue, &chunk.account, &job, chunk.then, delivery.trace).await?;
        return Ok(ChunkEnd::Recorded);
    }
    let Some(plan) = Round::new(consumer, chunk, &job).run(delivery.receives, &job).await? else {
        return Ok(ChunkEnd::Dropped("it was given up"));
    };
    match record(store, &chunk.account, &job, chunk.index, &plan, None).await? {
        Some(job) => {
            conclude(store, queue, &chunk.account, &job, chunk.then, delivery.trace).await?;
            Ok(ChunkEnd::Recorded)
        }
        None => Ok(ChunkEnd::Dropped("its job has ended")),
    }
}

/// The rounds of one delivery.
pub(crate) struct Round<'consumer, 'chunk> {
    pub(crate) store: &'consumer Store,
    usage: &'consumer UsageCache,
    chunk: &'chunk Chunk<'chunk>,
    /// Of its items, in order.
    positions: Vec<u32>,
    /// The names that its client gave to items.
    refs: HashMap<u32, &'chunk str>,
    loader: TypeLoader<'consumer>,
    budget: Budget,
    /// How many records the account has room for, as it was when the delivery began; nothing is asked where none can be made.
    room: u64,
    /// What is agreed, as far as this worker knows.
    pub(crate) plan: Option<Plan>,
    /// Whether what is agreed was agreed by an earlier delivery or another worker: then its writes may be done, and so
    /// long ago that their marks are gone.
    adopted: bool,
}

impl<'consumer, 'chunk> Round<'consumer, 'chunk>
where
    'chunk: 'consumer,
{
    pub(crate) fn new(consumer: &'consumer Consumer, chunk: &'chunk Chunk<'chunk>, job: &Job) -> Self {
        let refs = chunk.items.iter().filter_map(|item| Some((item.position, item.client_ref.as_deref()?)));
        let budget = if job.options.has_refs { Budget::beside_refs } else { Budget::of_job };
        Self {
            store: &consumer.store,
            usage: &consumer.usage,
            chunk,
            positions: chunk.items.iter().map(|item| item.position).collect(),
            refs: refs.collect(),
            loader: TypeLoader::new(&consumer.store, &consumer.schemas, &chunk.account, chunk.operation),
            budget: budget(chunk.total),
            room: u64::MAX,
            plan: None,
            adopted: false,
        }
    }

    /// Goes on until every success that is agreed is written, and answers with what is agreed; `None` when the chunk was
    /// given up meanwhile, so that nothing of it may be written any more.
    async fn run(mut self, receives: u32, job: &Job) -> Result<Option<Plan>, ChunkError> {
        let (all, refused) = items(self.chunk);
        if receives > 1 || job.stop().is_some() {
            self.adopt().await?;
        }
        if job.stop().is_some() && self.plan.is_none() && self.agree(self.not_processed(&refused), job).await? {
            return Ok(self.plan);
        }
        if self.is_given_up() {
            return Ok(None);
        }
        self.prepare(&all, job).await?;
        let (mut open, mut stray) = group(self.context(), all, self.plan.as_ref());
        let mut backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(200));
        for round in 0..ROUNDS {
            if round > 0 {
                backoff.wait(self.store.clock()).await;
            }
            let rows = self.read(&open).await?;
            let decided = self.decide(&mut open, &rows, &refused, &stray).await?;
            if decided.must_agree && !self.agree(decided.entries, job).await? {
                if self.is_given_up() {
                    return Ok(None);
                }
                (open, stray) = group(self.context(), ungroup(open, stray), self.plan.as_ref());
                continue;
            }
            open = self.write(open, decided.writes).await?;
            if open.is_empty() {
                if !(decided.may_be_outdated && self.catch_up().await?) {
                    return self.plan.map(Some).ok_or(ChunkError::Contended);
                }
                if self.is_given_up() {
                    return Ok(None);
                }
                // Not everything that is agreed now need be written.
                (open, stray) = group(self.context(), items(self.chunk).0, self.plan.as_ref());
            }
        }
        Err(ChunkError::Contended)
    }

    /// Reads what the items are decided by, besides the records.
    pub(crate) async fn prepare(&mut self, items: &[(u32, Item<'_>)], job: &Job) -> Result<(), StoreError> {
        self.load_named_types(items).await?;
        if self.chunk.operation.may_make() {
            let usage = self.usage.read(self.store, &self.chunk.account).await?;
            let room = usage.room(self.chunk.operation.kind());
            // What this job has made so far is counted when it ends.
            self.room = room.saturating_sub(u64::try_from(job.growth).unwrap_or(0));
        }
        Ok(())
    }

    /// What comes of the items of a chunk that is not begun any more: those that would have failed whatever the records are, fail for that.
    pub(crate) fn not_processed(&self, refused: &Refused) -> Vec<Entry> {
        let mut outcomes: BTreeMap<u32, Outcome> =
            self.positions.iter().map(|position| (*position, Outcome::failure(Problem::not_processed()))).collect();
        outcomes.extend(refused.iter().cloned());
        outcomes.into_iter().map(|(position, outcome)| self.entry(position, outcome, 0, None)).collect()
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.closed)
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            account: &self.chunk.account,
            job: self.chunk.job,
            now: self.store.clock().now(),
            types: self.loader.types(),
            positions: &self.positions,
            budget: self.budget,
        }
    }

    pub(crate) async fn load_named_types(&mut self, items: &[(u32, Item<'_>)]) -> Result<(), StoreError> {
        if self.chunk.operation != Operation::DeleteObjectsByExternalId {
            self.loader.load_objects(items.iter().filter_map(|(_, item)| item.object_type())).await?;
        }
        let relationship_types = items.iter().filter_map(|(_, item)| match item {
            Item::Relate { relationship_type, .. } => Some(relationship_type),
            _ => None,
        });
        self.loader.load_relationships(relationship_types).await
    }

    /// Takes over what other workers of this chunk have agreed.
    pub(crate) async fn adopt(&mut self) -> Result<(), StoreError> {
        self.plan = self.store.plan(&self.chunk.account, self.chunk.job, self.chunk.index).await?;
        self.adopted = self.plan.is_some();
        Ok(())
    }

    /// Reads the plan once more. Answers whether others have agreed on another one meanwhile.
    async fn catch_up(&mut self) -> Result<bool, StoreError> {
        let known = self.plan.as_ref().map(|plan| plan.revision);
        self.adopt().await?;
        Ok(self.plan.as_ref().map(|plan| plan.revision) != known)
    }

    pub(crate) async fn read(&self, open: &[Group<'_>]) -> Result<Rows, StoreError> {
        let account = &self.chunk.account;
        // A create needs no read: that its key is free is its condition.
        if self.chunk.operation == Operation::CreateObjects && self.plan.is_none() {
            return Ok(Rows::default());
        }
        let mut wanted: BTreeSet<RecordId> = open.iter().map(|group| group.id).collect();
        if self.chunk.operation == Operation::CreateRelationships {
            for step in open.iter().flat_map(|group| &group.steps) {
                if let Item::Relate { source, target, .. } = &step.item {
                    wanted.extend([source, target].into_iter().filter_map(|end| end.of(account).object()));
                }
            }
        }
        let rows = self.store.records(account, wanted).await?;
        let ends = match self.chunk.operation {
            Operation::CreateRelationships => {
                rows.iter().filter_map(|(id, row)| Some((*id, row.object()?.clone()))).collect()
            }
            _ => Ends::new(),
        };
        Ok(Rows { rows, ends })
    }

    pub(crate) async fn decide(
        &mut self,
        open: &mut [Group<'_>],
        rows: &Rows,
        refused: &Refused,
        stray: &Stray<'_>,
    ) -> Result<Decided, ChunkError> {
        match self.chunk.operation {
            Operation::UpdateObjects => {
                let types = rows.rows.values().filter_map(|row| Some(&row.object()?.object_type));
                self.loader.load_objects(types).await?;
            }
            // Only to say of a record that is not there, or no longer after the step before, what is missing: it or its
            // type.
            Operation::DeleteObjectsByExternalId => {
                let is_there = |group: &&Group<'_>| rows.rows.get(&group.id).and_then(Row::object).is_some();
                let missing = open.iter().filter(|group| group.steps.len() > 1 || !is_there(group));
                let steps = missing.flat_map(|group| &group.steps);
                self.loader.load_objects(steps.filter_map(|step| step.item.object_type())).await?;
            }
            _ => {}
        }
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
        let mut writes = Vec::with_capacity(open.len());
        let mut room = self.room.saturating_sub(known.values().filter(|entry| entry.makes).count() as u64);
        let mut steps = 0;
        let mut may_be_outdated = false;
        for (place, group) in open.iter_mut().enumerate() {
            // Checking attributes may take milliseconds an item. Others may wait for the thread, and the deadline has to be seen.
            steps += group.steps.len();
            if steps >= STEPS_AT_A_TIME {
                steps = 0;
                tokio::task::yield_now().await;
            }
            for step in &mut group.steps {
                step.agreed = known.get(&step.position).map_or(Agreed::Nothing, |entry| match entry.outcome {
                    Outcome::Success(_) => Agreed::Success { base: entry.base },
                    Outcome::Failure(_) if entry.relies_on.is_some() => Agreed::FailureAfter,
                    // The one that nobody writes is of a job that writes nothing.
                    Outcome::WouldMake | Outcome::Failure(_) => Agreed::Failure,
                });
            }
            let row = rows.rows.get(&group.id);
            let decision = if self.is_lost_track_of(group, row) {
                unknown(group)
            } else if matches!(self.chunk.operation, Operation::CreateRelationships | Operation::DeleteRelationships) {
                match decide_relationship(self.context(), group.id, &group.steps, row, &rows.ends) {
                    RelationshipDecision::Decided(decision) => decision,
                    RelationshipDecision::Fence(write) => {
                        writes.push(Planned { place, write, fence: true });
                        continue;
                    }
                }
            } else {
                decide_object(self.context(), group.id, &group.steps, row)
            };
            let decision = self.within(&mut room, decision, group);
            let base = version_of(row);
            // It was written, and not on the version that this worker's plan names; or others have written it since. In the first case there
            // is another plan, which says otherwise what the write made.
            may_be_outdated |= decision.write.is_none()
                && group
                    .steps
                    .iter()
                    .any(|step| matches!(step.agreed, Agreed::Success { base: agreed } if agreed + 1 != base));
            let mut after = None;
            let mut makes = decision.write.as_ref().is_some_and(Write::makes);
            for (position, outcome) in decision.outcomes {
                let is_success = outcome.is_success();
                let is_settled = decision.write.is_none() && is_success;
                if !(is_settled && entries.contains_key(&position)) {
                    let makes = is_success && std::mem::take(&mut makes);
                    entries.insert(position, Entry { makes, ..self.entry(position, outcome, base, after) });
                }
                if is_success {
                    after = Some(position);
                }
            }
            if let Some(write) = decision.write {
                writes.push(Planned { place, write, fence: false });
            }
        }
        let entries: Vec<Entry> = entries.into_values().collect();
        let changed = self.plan.as_ref().is_none_or(|plan| plan.entries != entries);
        Ok(Decided {
            must_agree: changed || writes.iter().any(|planned| !planned.fence),
            entries,
            writes,
            may_be_outdated,
        })
    }

    /// `after` is the success of the same record that the item was judged after.
    fn entry(&self, position: u32, outcome: Outcome, base: u64, after: Option<u32>) -> Entry {
        let (base, relies_on) = if outcome.is_success() { (base, None) } else { (0, after) };
        let client_ref = self.refs.get(&position).map(|client_ref| Box::from(*client_ref));
        Entry { relies_on, client_ref, ..Entry::new(position, self.budget.fit(outcome), base) }
    }

    /// What is decided where the account has room for so many records more. What workers have agreed to make has its room.
    fn within(&self, room: &mut u64, decision: Decision, group: &Group<'_>) -> Decision {
        let is_agreed = group.steps.iter().any(|step| matches!(step.agreed, Agreed::Success { .. }));
        if is_agreed || !decision.write.as_ref().is_some_and(Write::makes) {
            return decision;
        }
        match room.checked_sub(1) {
            Some(left) => {
                *room = left;
                decision
            }
            None => decision.without_room(self.chunk.operation.kind()),
        }
    }

    /// Whether an earlier delivery may have written the row so long or so many writes ago that its mark is gone.
    fn is_lost_track_of(&self, group: &Group<'_>, row: Option<&Row>) -> bool {
        let (true, Some(plan), Some(row)) = (self.adopted, &self.plan, row) else { return false };
        if self.context().has_applied(row) {
            return false;
        }
        let now = self.store.clock().now();
        group.steps.iter().any(|step| match step.agreed {
            Agreed::Success { base } => {
                row.version > base && AppliedWrites::may_have_dropped(base + 1, row.version, plan.made_at, now)
            }
            Agreed::Failure | Agreed::FailureAfter | Agreed::Nothing => false,
        })
    }

    /// Agrees on these entries. When another worker was first, takes over what it agreed and answers `false`.
    pub(crate) async fn agree(&mut self, entries: Vec<Entry>, job: &Job) -> Result<bool, StoreError> {
        let plan = match &self.plan {
            None => Plan { revision: 1, made_at: self.store.clock().now(), closed: false, entries },
            Some(plan) => Plan { revision: plan.revision + 1, made_at: plan.made_at, closed: false, entries },
        };
        let (account, id, index) = (&self.chunk.account, self.chunk.job, self.chunk.index);
        if self.store.agree(account, id, index, &plan, job.expires_at()).await? {
            self.plan = Some(plan);
            return Ok(true);
        }
        self.adopt().await?;
        Ok(false)
    }

    /// Writes what is agreed. Answers with the groups that have to be decided anew.
    async fn write(&self, open: Vec<Group<'chunk>>, planned: Vec<Planned>) -> Result<Vec<Group<'chunk>>, StoreError> {
        let (account, now) = (&self.chunk.account, self.store.clock().now());
        let (places, writes): (Vec<_>, Vec<_>) =
            planned.into_iter().map(|planned| ((planned.place, planned.fence), planned.write)).unzip();
        let written = match self.chunk.operation {
            Operation::CreateRelationships | Operation::DeleteRelationships => {
                self.store.write_relationships(account, &writes, now).await?
            }
            _ => self.store.write_objects(account, &writes, now).await?,
        };
        // A fence only moves the row on: its group is still to be decided.
        let unfinished: HashSet<usize> = places
            .into_iter()
            .zip(written)
            .filter(|((_, fence), written)| *fence || *written == Written::Lost)
            .map(|((place, _), _)| place)
            .collect();
        Ok(open
            .into_iter()
            .enumerate()
            .filter(|(place, _)| unfinished.contains(place))
            .map(|(_, group)| group)
            .collect())
    }
}

#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) rows: HashMap<RecordId, Row>,
    ends: Ends,
}

impl Rows {
    /// Rows of items that have no ends.
    pub(crate) fn of(rows: HashMap<RecordId, Row>) -> Self {
        Self { rows, ends: Ends::new() }
    }
}

/// A write, and which of the open groups it is for.
pub(crate) struct Planned {
    pub(crate) place: usize,
    pub(crate) write: Write,
    fence: bool,
}

pub(crate) struct Decided {
    pub(crate) entries: Vec<Entry>,
    pub(crate) writes: Vec<Planned>,
    must_agree: bool,
    /// Whether others may have agreed on another plan before they wrote what is found to be written.
    may_be_outdated: bool,
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
