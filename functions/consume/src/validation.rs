//! Chunks of a job that only validates: every check is made against the present records, and no record is written.
//!
//! The plan that is agreed on is the results, and nothing follows from it: no write depends on it, no record has a mark of it. A worker that
//! finds one has nothing more to do with the chunk.
//!
//! A chain (see [`domain::chunk::Chunk::then`]) goes on from what the chunk before would have left, which nothing but the worker knows. So the
//! chunks of a chain are not sent one after the other: whoever is given the first goes through all of them. One delivery is enough for the largest
//! chain, 10,000 changes of one record: it takes no writes but two for each chunk. Where it is cut short, the next delivery begins with the first
//! chunk again, but repeats what is agreed instead of judging it: what was agreed to succeed is made in memory without a look at its schema, what was
//! agreed to fail is not even read, and no room is taken a second time. So each delivery comes further than the one before. When there
//! have been too many, bury closes the chunk at which the chain stands and sends the first one again.

use std::collections::{HashMap, HashSet};

use domain::chunk::Chunk;
use domain::job::{Job, Operation};
use domain::plan::decide::version_of;
use domain::plan::groups::{Group, Refused, Stray, items};
use domain::plan::round::{Planned, Rows};
use domain::plan::{Entry, Outcome, Plan};
use domain::record::{RecordId, Row};
use domain::request::item::Item;
use lifecycle::{conclude, record};
use store::StoreError;

use crate::Consumer;
use crate::processing::{ChunkEnd, ChunkError, Delivery, Worker};

/// Rows as the chunks of a chain that came before would have left them.
type Left = HashMap<RecordId, Row>;

/// Validates a chunk and those that follow it on the same record.
///
/// # Errors
/// When it has to be delivered again.
pub(crate) async fn process(
    consumer: &Consumer,
    chunk: &Chunk<'_>,
    delivery: Delivery,
    job: Job,
) -> Result<ChunkEnd, ChunkError> {
    let mut left = Left::new();
    let Some(mut job) = step(consumer, chunk, delivery, job, &mut left).await? else {
        return Ok(ChunkEnd::Dropped("its job has ended, or it was given up"));
    };
    let mut then = chunk.then;
    while let Some(index) = then {
        let stashed = consumer.jobs.stashed(chunk.job_key().chunk(index)).await?;
        let message =
            stashed.ok_or_else(|| StoreError::UnreadableRow(format!("chunk {index} of a chain is missing")))?;
        let next = Chunk::from_message(&message)?;
        match step(consumer, &next, delivery, job, &mut left).await? {
            Some(after) => job = after,
            None => return Ok(ChunkEnd::Dropped("its job has ended, or it was given up")),
        }
        then = next.then;
    }
    // What follows was recorded here: only the end of the job is left to do.
    conclude(&consumer.jobs, &*consumer.queue, &chunk.account, &job, None, delivery.trace).await?;
    Ok(ChunkEnd::Recorded)
}

/// Records what would come of one chunk, and answers with the job as it then stands; `None` when nothing of it counts any more.
async fn step(
    consumer: &Consumer,
    chunk: &Chunk<'_>,
    delivery: Delivery,
    job: Job,
    left: &mut Left,
) -> Result<Option<Job>, ChunkError> {
    let is_recorded = job.done.contains(&chunk.index);
    if is_recorded && chunk.then.is_none() {
        return Ok(Some(job));
    }
    let mut worker = Worker::new(consumer, chunk, &job);
    if is_recorded || delivery.receives > 1 || job.stop().is_some() {
        worker.adopt().await?;
    }
    if worker.round.is_given_up() && !is_recorded {
        return Ok(None);
    }
    let Some(plan) = plan(&mut worker, &job, left).await? else { return Ok(None) };
    if is_recorded {
        return Ok(Some(job));
    }
    Ok(record(&consumer.jobs, &chunk.account, &job, chunk.index, &plan, None).await?)
}

/// Reads or makes the agreed plan of the chunk, and takes `left` on to what the chunk would leave.
async fn plan<'consumer, 'chunk: 'consumer>(
    worker: &mut Worker<'consumer, 'chunk>,
    job: &Job,
    left: &mut Left,
) -> Result<Option<Plan>, ChunkError> {
    if let Some(agreed) = worker.round.take_plan() {
        return repeated(worker, agreed, left).await.map(Some);
    }
    let (items, refused) = items(worker.round.chunk());
    if job.stop().is_some() {
        let entries = worker.round.not_processed(&refused);
        return Ok(agree(worker, entries).await?.map(|(agreed, _)| agreed));
    }
    let makes_unnamed = unnamed(&items);
    worker.prepare(&items).await?;
    let (open, stray) = worker.round.group(worker.context(), items);
    let (entries, writes) = decided(worker, open, left, &refused, &stray).await?;
    let entries = entries.into_iter().map(|entry| {
        let is_unnamed = entry.outcome.is_success() && makes_unnamed.binary_search(&entry.position).is_ok();
        let outcome = if is_unnamed { Outcome::WouldMake } else { entry.outcome };
        // Nothing depends on the version that it was decided on.
        Entry { base: 0, outcome, ..entry }
    });
    let entries = entries.collect();
    match agree(worker, entries).await? {
        Some((agreed, true)) => {
            leave(left, writes);
            Ok(Some(agreed))
        }
        Some((others, false)) => repeated(worker, others, left).await.map(Some),
        None => Ok(None),
    }
}

/// Takes `left` on to what a chunk with an agreed plan would leave. Items that succeed are applied again and not
/// judged, so that all who go through the chain go on from the same, and what was checked once takes no such time
/// again.
async fn repeated<'consumer, 'chunk: 'consumer>(
    worker: &mut Worker<'consumer, 'chunk>,
    agreed: Plan,
    left: &mut Left,
) -> Result<Plan, ChunkError> {
    let made: HashSet<u32> =
        agreed.entries.iter().filter(|entry| entry.outcome.is_success()).map(|entry| entry.position).collect();
    // Nothing follows the last one. And what failed may be what ended the worker: it is not looked at again.
    if worker.round.chunk().then.is_none() || made.is_empty() {
        return Ok(agreed);
    }
    let (mut items, _) = items(worker.round.chunk());
    items.retain(|(position, _)| made.contains(position));
    worker.load_named_types(&items).await?;
    worker.round.know(agreed.clone());
    let (mut open, stray) = worker.round.group(worker.context(), items);
    let mut rows = worker.read(&open).await?;
    rows.rows.extend(left.iter().map(|(id, row)| (*id, row.clone())));
    // A success is repeated on the row that it was agreed on. To this chunk, that is the one that stands there.
    let bases: HashMap<u32, u64> = open
        .iter()
        .flat_map(|group| group.steps.iter().map(|step| (step.position, version_of(rows.rows.get(&group.id)))))
        .collect();
    let rebased = agreed.entries.iter().map(|entry| {
        let base = bases.get(&entry.position).copied().unwrap_or(entry.base);
        Entry { base, ..entry.clone() }
    });
    worker.round.know(Plan { entries: rebased.collect(), ..agreed });
    let decided = worker.decide(&mut open, &rows, &Refused::new(), &stray).await?;
    worker.round.take_plan();
    leave(left, decided.writes);
    Ok(agreed)
}

fn leave(left: &mut Left, writes: Vec<Planned>) {
    left.extend(writes.into_iter().map(|planned| (planned.write.id, planned.write.row)));
}

/// Decides the items on the present records, as the chunks before would have left them; answers with the outcomes and
/// what they would write.
///
/// A create reads nothing: whether its key is taken shows when it is written, and only then is it judged with what is there. So what is wrong with an
/// item in itself is told first, here as in a real run.
async fn decided<'consumer, 'chunk: 'consumer>(
    worker: &mut Worker<'consumer, 'chunk>,
    mut open: Vec<Group<'chunk>>,
    left: &Left,
    refused: &Refused,
    stray: &Stray<'_>,
) -> Result<(Vec<Entry>, Vec<Planned>), ChunkError> {
    let before = || left.iter().map(|(id, row)| (*id, row.clone()));
    let mut rows = worker.read(&open).await?;
    let chunk = worker.round.chunk();
    if chunk.operation != Operation::CreateObjects {
        rows.rows.extend(before());
        let decided = worker.decide(&mut open, &rows, refused, stray).await?;
        return Ok((decided.entries, decided.writes));
    }
    let alone = worker.decide(&mut open, &rows, refused, stray).await?;
    let ids: HashSet<RecordId> = alone.writes.iter().map(|planned| planned.write.id).collect();
    let mut there = Rows::of(worker.consumer.records.records(&chunk.account, ids).await?);
    there.rows.extend(before());
    let (lost, mut writes): (Vec<_>, Vec<_>) =
        alone.writes.into_iter().partition(|planned| there.rows.contains_key(&planned.write.id));
    if lost.is_empty() {
        return Ok((alone.entries, writes));
    }
    let places: HashSet<usize> = lost.iter().map(|planned| planned.target.group).collect();
    let mut place = 0..;
    open.retain(|_| place.next().is_some_and(|place| places.contains(&place)));
    worker.round.know(Plan { entries: alone.entries, ..Plan::empty(worker.context().now) });
    let again = worker.decide(&mut open, &there, refused, stray).await?;
    worker.round.take_plan();
    writes.extend(again.writes);
    Ok((again.entries, writes))
}

/// The positions, in order, of items that would make a record of which nobody knows the id before.
fn unnamed(items: &[(u32, Item<'_>)]) -> Vec<u32> {
    let is_unnamed = |item: &Item<'_>| matches!(item, Item::Create { external_id: None, .. });
    items.iter().filter(|(_, item)| is_unnamed(item)).map(|(position, _)| *position).collect()
}

/// Agrees on these entries, and answers with the agreed plan and whether it is theirs and not another worker's; `None`
/// when the chunk was closed.
async fn agree<'consumer, 'chunk: 'consumer>(
    worker: &mut Worker<'consumer, 'chunk>,
    entries: Vec<Entry>,
) -> Result<Option<(Plan, bool)>, StoreError> {
    let is_ours = worker.agree(entries).await?;
    Ok(worker.round.take_plan().filter(|plan| !plan.closed).map(|plan| (plan, is_ours)))
}
