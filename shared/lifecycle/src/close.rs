//! Closing a chunk that no worker will finish.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::account::AccountId;
use domain::chunk::Chunk;
use domain::job::Job;
use domain::plan::Plan;
use domain::plan::closing::{Standing, agreed_writes, close, standing};
use domain::record::RecordId;
use futures_util::future::try_join_all;
use store::retry::Backoff;
use store::{Jobs, Records, StoreError};

use crate::Postponed;

/// Rounds after which a chunk whose plan or rows keep moving is left to a later try.
const ROUNDS: u32 = 40;

/// Rows that are moved on at the same time.
const ROWS_AT_ONCE: usize = 25;

/// Closes a chunk: finds out which of its items were applied, makes it impossible that any other still is, and answers
/// with the outcome of each. `message` is the chunk, where it is known: without it, items that no worker ever agreed on
/// are missing from the answer.
///
/// Workers of the chunk may be running meanwhile. What they agree on before this is closed is settled here; afterwards
/// they can agree on nothing.
///
/// # Errors
/// When it has to be done again later.
pub async fn close_chunk(
    jobs: &Jobs,
    records: &Records,
    account: &AccountId,
    job: &Job,
    index: u32,
    message: Option<&Chunk<'_>>,
) -> Result<Plan, Postponed> {
    let chunk = job.id.of(account).chunk(index);
    let mut backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(200));
    for round in 0..ROUNDS {
        if round > 0 {
            backoff.wait(jobs.clock()).await;
        }
        let agreed = jobs.plan(chunk).await?;
        if let Some(closed) = agreed.as_ref().filter(|plan| plan.closed) {
            return Ok(closed.clone());
        }
        let standings = match &agreed {
            None => BTreeMap::new(),
            // None of its writes will ever be made, and what is agreed is what came of it.
            Some(plan) if job.options.validate_only => {
                agreed_writes(plan).into_keys().map(|id| (id, Standing::Applied)).collect()
            }
            Some(plan) => match standings(records, account, job, plan).await? {
                Some(standings) => standings,
                None => continue,
            },
        };
        let closed = close(agreed.as_ref(), &standings, message, jobs.clock().now());
        if jobs.agree(chunk, &closed, job.expires_at()).await? {
            return Ok(closed);
        }
    }
    Err(Postponed::Contended)
}

/// How each agreed write stands once none is open any more. `None` when a row moved meanwhile: then it is to be looked at
/// again.
async fn standings(
    records: &Records,
    account: &AccountId,
    job: &Job,
    plan: &Plan,
) -> Result<Option<BTreeMap<RecordId, Standing>>, StoreError> {
    let writes = agreed_writes(plan);
    let rows = records.footprints(account, writes.keys().copied()).await?;
    let now = records.clock().now();
    let mut standings: BTreeMap<RecordId, Standing> =
        writes.iter().map(|(id, base)| (*id, standing(job.id, plan, *base, rows.get(id), now))).collect();
    let open: Vec<(RecordId, u64)> =
        writes.into_iter().filter(|(id, _)| standings.get(id) == Some(&Standing::Open)).collect();
    for some in open.chunks(ROWS_AT_ONCE) {
        let moved = some.iter().map(|(id, base)| records.move_on(account, *id, *base, now));
        if try_join_all(moved).await?.contains(&false) {
            return Ok(None);
        }
        standings.extend(some.iter().map(|(id, _)| (*id, Standing::Impossible)));
    }
    Ok(Some(standings))
}
