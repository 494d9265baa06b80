//! A worker that dies at a given step of a chunk.
//!
//! It takes the steps of a consumer that gets the chunk for the first time and meets nobody, with the consumer's own
//! functions, so that a test can say exactly what was done and what was not.

use domain::chunk::Chunk;
use domain::job::{Job, Operation};
use domain::plan::Plan;
use domain::plan::decide::{Types, Write};
use domain::plan::groups::items;
use domain::plan::round::Round;
use domain::request::item::Item;
use store::Store;
use store::catalog::compiled;
use store::jobs::Results;
use store::rows::JobRow;

use crate::Delivery;

/// The last thing that a worker did.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum LastStep {
    /// Took the job from `queued` to `processing`.
    Started,
    /// Agreed on the results.
    Agreed,
    /// Wrote the records.
    Written,
    /// Recorded the chunk in the job.
    Recorded,
}

impl LastStep {
    pub const ALL: [Self; 4] = [Self::Started, Self::Agreed, Self::Written, Self::Recorded];
}

/// Works on the chunk until `last`, and no further.
///
/// # Panics
/// When the database does not answer, or somebody else is at work on the chunk.
pub async fn crash_after(last: LastStep, store: &Store, delivery: &Delivery) {
    let chunk = delivery.chunk();
    let job = start(store, &chunk).await;
    if last == LastStep::Started {
        return;
    }
    let (plan, writes) = agree(store, &chunk, &job).await;
    if last == LastStep::Agreed {
        return;
    }
    let now = store.clock().now();
    let written = match chunk.operation {
        Operation::CreateRelationships | Operation::DeleteRelationships => {
            store.records.write_relationships(&chunk.account, &writes, now).await
        }
        _ => store.records.write_objects(&chunk.account, &writes, now).await,
    };
    assert!(written.expect("the database").iter().all(|written| *written == store::records::Written::Done));
    if last == LastStep::Written {
        return;
    }
    let results = Results { plan: &plan, growth: plan.growth(chunk.operation), trouble: None };
    let recorded = store.jobs.record_chunk(chunk.key(), results, now).await;
    assert!(recorded.expect("the database").counted, "another worker was first");
}

/// Works on the chunk until it is agreed, and answers with the writes that it would go on to make.
///
/// # Panics
/// When the database does not answer, or somebody else is at work on the chunk.
pub async fn agreed_writes(store: &Store, delivery: &Delivery) -> Vec<Write> {
    let chunk = delivery.chunk();
    let job = start(store, &chunk).await;
    agree(store, &chunk, &job).await.1
}

async fn agree(store: &Store, chunk: &Chunk<'_>, job: &Job) -> (Plan, Vec<Write>) {
    let (plan, writes) = plan(store, chunk, job).await;
    let agreed = store.jobs.agree(chunk.key(), &plan, job.expires_at()).await;
    assert!(agreed.expect("the database"), "another worker was first");
    (plan, writes)
}

async fn start(store: &Store, chunk: &Chunk<'_>) -> Job {
    let mut row = store.jobs.start(chunk.job_key(), store.clock().now()).await.expect("the database");
    let Some(JobRow::Job(job)) = row.take() else { panic!("the job is gone") };
    job
}

/// What a worker that meets nobody agrees on and writes.
async fn plan(store: &Store, chunk: &Chunk<'_>, job: &Job) -> (Plan, Vec<Write>) {
    let (round, (items, refused)) = (Round::new(chunk, job), items(chunk));
    let types = types(store, chunk, &items).await;
    let context = round.context(&types, store.clock().now());
    let (mut open, stray) = round.group(context, items);
    // A create, too, is judged by what is there: so none of the writes is lost.
    let mut wanted = round.to_read(&open);
    wanted.extend(open.iter().map(|group| group.id));
    let rows = round.rows(store.records.records(&chunk.account, wanted).await.expect("the database"));
    let mut deciding = round.decide(context, &mut open, &rows, &refused, &stray);
    while deciding.go_on() {}
    let decided = deciding.done();
    let writes = decided.writes.into_iter().map(|planned| planned.write).collect();
    (round.proposal(decided.entries, context.now), writes)
}

async fn types(store: &Store, chunk: &Chunk<'_>, items: &[(u32, Item<'_>)]) -> Types {
    let mut types = Types::default();
    for defined in store.catalog.object_types(&chunk.account).await.expect("the database") {
        let schema = compiled(&defined.schema).expect("it did when it was defined");
        types.objects.insert(defined.key.clone(), defined.with(schema));
    }
    for (_, item) in items {
        if let Item::Relate { relationship_type, .. } = item
            && let Some(defined) =
                store.catalog.relationship_type(&chunk.account, relationship_type).await.expect("the database")
        {
            types.relationships.insert(relationship_type.clone(), defined);
        }
    }
    types
}
