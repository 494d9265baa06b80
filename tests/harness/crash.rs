//! A worker that dies at a given step of a chunk.
//!
//! It takes the steps of a consumer that gets the chunk for the first time and meets nobody, with the consumer's own
//! functions, so that a test can say exactly what was done and what was not.

use domain::chunk::Chunk;
use domain::job::{Job, Operation};
use domain::plan::decide::{
    Context, Decision, Ends, RelationshipDecision, Types, Write, decide_object, decide_relationship, version_of,
};
use domain::plan::{Budget, Entry, Outcome, Plan};
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
    let recorded = store.jobs.record_chunk(&chunk.account, chunk.job, chunk.index, results, now).await;
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
    let (plan, writes) = plan(store, chunk).await;
    let agreed = store.jobs.agree(&chunk.account, chunk.job, chunk.index, &plan, job.expires_at()).await;
    assert!(agreed.expect("the database"), "another worker was first");
    (plan, writes)
}

async fn start(store: &Store, chunk: &Chunk<'_>) -> Job {
    let mut row = store.jobs.start(&chunk.account, chunk.job, store.clock().now()).await.expect("the database");
    let Some(JobRow::Job(job)) = row.take() else { panic!("the job is gone") };
    job
}

/// What a worker that meets nobody agrees on and writes.
async fn plan(store: &Store, chunk: &Chunk<'_>) -> (Plan, Vec<Write>) {
    let (items, mut refused) = domain::plan::groups::items(chunk);
    let types = types(store, chunk, &items).await;
    let now = store.clock().now();
    let budget = Budget::of_job(chunk.total);
    let positions: Vec<u32> = chunk.items.iter().map(|item| item.position).collect();
    let context =
        Context { account: &chunk.account, job: chunk.job, now, types: &types, positions: &positions, budget };
    let (groups, stray) = domain::plan::groups::group(context, items, None);
    refused.extend(stray.into_iter().map(|(position, _, problem)| (position, Outcome::failure(problem))));
    let ends_named = groups.iter().flat_map(|group| &group.steps).flat_map(|step| match &step.item {
        Item::Relate { source, target, .. } => vec![source, target],
        _ => Vec::new(),
    });
    let ids = groups.iter().map(|group| group.id).chain(ends_named.filter_map(|end| end.of(&chunk.account).object()));
    let ids: std::collections::HashSet<_> = ids.collect();
    let rows = store.records.records(&chunk.account, ids).await.expect("the database");
    let ends: Ends = rows.iter().filter_map(|(id, row)| Some((*id, row.object()?.clone()))).collect();

    let mut entries: Vec<Entry> =
        refused.into_iter().map(|(position, outcome)| Entry::new(position, outcome, 0)).collect();
    let mut writes = Vec::new();
    for group in &groups {
        let row = rows.get(&group.id);
        let Decision { outcomes, write } = match chunk.operation {
            Operation::CreateRelationships | Operation::DeleteRelationships => {
                match decide_relationship(context, group.id, &group.steps, row, &ends) {
                    RelationshipDecision::Decided(decision) => decision,
                    RelationshipDecision::Fence(_) => panic!("nothing was agreed before"),
                }
            }
            _ => decide_object(context, group.id, &group.steps, row),
        };
        let mut after = None;
        let mut makes = write.as_ref().is_some_and(Write::makes);
        for (position, outcome) in outcomes {
            if outcome.is_success() {
                after = Some(position);
                let makes = std::mem::take(&mut makes);
                entries.push(Entry { makes, ..Entry::new(position, outcome, version_of(row)) });
            } else {
                entries.push(Entry { relies_on: after, ..Entry::new(position, outcome, 0) });
            }
        }
        writes.extend(write);
    }
    entries.sort_by_key(|entry| entry.position);
    (Plan { revision: 1, made_at: now, closed: false, entries }, writes)
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
