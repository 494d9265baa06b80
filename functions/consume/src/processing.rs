//! Processing of one chunk, from delivery to recorded results: asks the domain what to do ([`Round`]), reads, agrees
//! and writes.
//!
//! Why each item is applied exactly once, and its result is true, is explained at [`domain::plan::round`].

use std::time::Duration;

use domain::account::usage::RecordKind;
use domain::chunk::{Chunk, UnreadableChunk};
use domain::job::{Job, Operation};
use domain::plan::decide::Context;
use domain::plan::groups::{Group, Refused, Stray, items, ungroup};
use domain::plan::round::{Decided, Planned, Round, Rows, left};
use domain::plan::{Entry, Plan};
use domain::request::item::Item;
use lifecycle::{Postponed, Started, Unfinished, conclude, record, start};
use store::StoreError;
use store::records::Written;
use store::retry::Backoff;
use store::types::TypeLoader;
use telemetry::TraceContext;

use crate::{Consumer, validation};

/// The outcome of a delivery after which the message can be deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChunkEnd {
    /// The chunk's results are recorded.
    Recorded,
    /// The chunk has no effect and never will have, for this reason.
    Dropped(&'static str),
}

/// The reason why a message has to be delivered again.
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
    /// Whether the error is part of ordinary work rather than a sign of trouble.
    #[must_use]
    pub const fn is_expected(&self) -> bool {
        matches!(self, Self::Postponed(Postponed::NotCommitted))
    }
}

/// Rounds after which a chunk whose rows keep moving is left to a later delivery.
const ROUNDS: u32 = 40;

/// The attributes of a delivered message, besides its body.
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
    let (jobs, queue) = (&consumer.jobs, &*consumer.queue);
    let job = match start(jobs, chunk.job_key()).await? {
        Started::Processing(job) => job,
        Started::Drop(why) => return Ok(ChunkEnd::Dropped(why)),
    };
    if chunk.validate_only {
        return validation::process(consumer, chunk, delivery, job).await;
    }
    if job.done.contains(&chunk.index) {
        conclude(jobs, queue, &chunk.account, &job, chunk.then, delivery.trace).await?;
        return Ok(ChunkEnd::Recorded);
    }
    let Some(plan) = Worker::new(consumer, chunk, &job).run(delivery.receives).await? else {
        return Ok(ChunkEnd::Dropped("it was given up"));
    };
    match record(jobs, &chunk.account, &job, chunk.index, &plan, None).await? {
        Some(job) => {
            conclude(jobs, queue, &chunk.account, &job, chunk.then, delivery.trace).await?;
            Ok(ChunkEnd::Recorded)
        }
        None => Ok(ChunkEnd::Dropped("its job has ended")),
    }
}

/// A worker of one delivery.
pub(crate) struct Worker<'consumer, 'chunk> {
    pub(crate) consumer: &'consumer Consumer,
    loader: TypeLoader<'consumer>,
    job: &'consumer Job,
    pub(crate) round: Round<'chunk>,
}

impl<'consumer, 'chunk: 'consumer> Worker<'consumer, 'chunk> {
    pub(crate) fn new(consumer: &'consumer Consumer, chunk: &'chunk Chunk<'chunk>, job: &'consumer Job) -> Self {
        Self {
            consumer,
            loader: TypeLoader::new(&consumer.catalog, &consumer.schemas, &chunk.account, chunk.operation),
            job,
            round: Round::new(chunk, job),
        }
    }

    /// Runs rounds until every success that is agreed is written, and answers with the agreed plan; `None` when the
    /// chunk was closed meanwhile, so that nothing of it may be written any more.
    async fn run(mut self, receives: u32) -> Result<Option<Plan>, ChunkError> {
        let (all, refused) = items(self.round.chunk());
        // The first worker of a first delivery does not read the plan: that its compare-and-set finds none is the same.
        if receives > 1 || self.job.stop().is_some() {
            self.adopt().await?;
        }
        if self.job.stop().is_some()
            && self.round.plan().is_none()
            && self.agree(self.round.not_processed(&refused)).await?
        {
            return Ok(self.round.take_plan());
        }
        if self.round.is_given_up() {
            return Ok(None);
        }
        self.prepare(&all).await?;
        let (mut open, mut stray) = self.round.group(self.context(), all);
        let mut backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(200));
        for round in 0..ROUNDS {
            if round > 0 {
                backoff.wait(self.consumer.jobs.clock()).await;
            }
            let rows = self.read(&open).await?;
            let decided = self.decide(&mut open, &rows, &refused, &stray).await?;
            if decided.must_agree && !self.agree(decided.entries).await? {
                if self.round.is_given_up() {
                    return Ok(None);
                }
                (open, stray) = self.round.group(self.context(), ungroup(open, stray));
                continue;
            }
            open = self.write(open, decided.writes).await?;
            if open.is_empty() {
                if !(decided.may_be_outdated && self.catch_up().await?) {
                    return self.round.take_plan().map(Some).ok_or(ChunkError::Contended);
                }
                if self.round.is_given_up() {
                    return Ok(None);
                }
                // Not everything that is agreed now need be written.
                (open, stray) = self.round.group(self.context(), items(self.round.chunk()).0);
            }
        }
        Err(ChunkError::Contended)
    }

    pub(crate) fn context(&self) -> Context<'_> {
        self.round.context(self.loader.types(), self.consumer.jobs.clock().now())
    }

    /// Reads the types that the items name and, where records may be made, how many more the account may have.
    pub(crate) async fn prepare(&mut self, items: &[(u32, Item<'_>)]) -> Result<(), StoreError> {
        self.load_named_types(items).await?;
        let operation = self.round.chunk().operation;
        // Nothing is asked where no record can be made.
        if operation.may_make() {
            let usage = self.consumer.usage.read(&self.consumer.usages, &self.round.chunk().account).await?;
            // What this job has made so far is counted when it ends.
            let made = u64::try_from(self.job.growth).unwrap_or(0);
            self.round.bound_room(usage.room(operation.kind()).saturating_sub(made));
        }
        Ok(())
    }

    pub(crate) async fn load_named_types(&mut self, items: &[(u32, Item<'_>)]) -> Result<(), StoreError> {
        if self.round.chunk().operation != Operation::DeleteObjectsByExternalId {
            self.loader.load_objects(items.iter().filter_map(|(_, item)| item.object_type())).await?;
        }
        let relationship_types = items.iter().filter_map(|(_, item)| match item {
            Item::Relate { relationship_type, .. } => Some(relationship_type),
            Item::Create { .. }
            | Item::Update { .. }
            | Item::Set { .. }
            | Item::Delete { .. }
            | Item::DeleteByExternalId { .. }
            | Item::Unrelate { .. } => None,
        });
        self.loader.load_relationships(relationship_types).await
    }

    /// Takes over the plan that other workers of this chunk have agreed on.
    pub(crate) async fn adopt(&mut self) -> Result<(), StoreError> {
        let chunk = self.round.chunk();
        self.round.adopt(self.consumer.jobs.plan(chunk.key()).await?);
        Ok(())
    }

    /// Reads the plan once more. Answers whether others have agreed on another one meanwhile.
    async fn catch_up(&mut self) -> Result<bool, StoreError> {
        let known = self.round.plan().map(|plan| plan.revision);
        self.adopt().await?;
        Ok(self.round.plan().map(|plan| plan.revision) != known)
    }

    pub(crate) async fn read(&self, open: &[Group<'_>]) -> Result<Rows, StoreError> {
        let wanted = self.round.to_read(open);
        if wanted.is_empty() {
            return Ok(Rows::default());
        }
        Ok(self.round.rows(self.consumer.records.records(&self.round.chunk().account, wanted).await?))
    }

    pub(crate) async fn decide(
        &mut self,
        open: &mut [Group<'chunk>],
        rows: &Rows,
        refused: &Refused,
        stray: &Stray<'_>,
    ) -> Result<Decided, StoreError> {
        self.loader.load_objects(self.round.types_to_read(open, rows)).await?;
        let mut deciding = self.round.decide(self.context(), open, rows, refused, stray);
        // Others may wait for the thread, and the deadline has to be seen.
        while deciding.go_on() {
            tokio::task::yield_now().await;
        }
        Ok(deciding.done())
    }

    /// Agrees on these entries. When another worker was first, takes over its plan and answers `false`.
    pub(crate) async fn agree(&mut self, entries: Vec<Entry>) -> Result<bool, StoreError> {
        let chunk = self.round.chunk();
        let plan = self.round.proposal(entries, self.consumer.jobs.clock().now());
        if self.consumer.jobs.agree(chunk.key(), &plan, self.job.expires_at()).await? {
            self.round.know(plan);
            return Ok(true);
        }
        self.adopt().await?;
        Ok(false)
    }

    /// Writes what is agreed. Answers with the groups that have to be decided anew.
    async fn write(&self, open: Vec<Group<'chunk>>, planned: Vec<Planned>) -> Result<Vec<Group<'chunk>>, StoreError> {
        let (chunk, now) = (self.round.chunk(), self.consumer.jobs.clock().now());
        let (targets, writes): (Vec<_>, Vec<_>) =
            planned.into_iter().map(|planned| (planned.target, planned.write)).unzip();
        let written = match chunk.operation.kind() {
            RecordKind::Relationship => self.consumer.records.write_relationships(&chunk.account, &writes, now).await?,
            RecordKind::Object => self.consumer.records.write_objects(&chunk.account, &writes, now).await?,
        };
        Ok(left(open, targets, written.into_iter().map(|written| written == Written::Lost)))
    }
}
