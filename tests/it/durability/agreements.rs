//! The conditions that exactly-once stands on, asked of the store one by one: each closes a race that hardly ever comes.

use domain::job::{Job, JobId, Operation};
use domain::plan::decide::{Before, LinkChange, Write};
use domain::plan::{Entry, Outcome, Plan};
use domain::problem::Problem;
use domain::record::applied::AppliedWrites;
use domain::record::{End, RecordId, RelationshipRecord, Row, State};
use domain::types::TypeKey;
use serde_json::json;
use store::Store;
use store::records::Written;
use tests::{Client, Home, text};

fn plan(store: &Store, revision: u64, closed: bool, entries: Vec<Entry>) -> Plan {
    Plan { revision, made_at: store.clock().now(), closed, entries }
}

fn failing(detail: &'static str) -> Vec<Entry> {
    vec![Entry::new(0, Outcome::failure(Problem::unprocessable(detail)), 0)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_agreement_goes_over_the_one_before_and_nothing_over_the_last() {
    let home = Home::start().await;
    let (acme, store) = (home.acme().await, home.run.store());
    let id = JobId::new(store.clock());
    let expires_at = Job::queued(id, Operation::SetObjects, 1, 1).expires_at();
    for (revision, closed, detail, taken) in [
        (1, false, "first", true),
        (1, false, "first of another", false),
        (2, false, "second", true),
        (2, false, "second of another", false),
        (4, false, "without a third", false),
        (3, true, "third and last", true),
        (3, true, "third of another", false),
        (4, false, "after the last", false),
        (4, true, "after the last", false),
    ] {
        let plan = plan(store, revision, closed, failing(detail));
        let agreed = store.jobs.agree(id.of(&acme.account).chunk(0), &plan, expires_at).await.expect("the database");
        assert_eq!(agreed, taken, "{revision} {detail}");
        if taken {
            let there = store.jobs.plan(id.of(&acme.account).chunk(0)).await.expect("the database").expect("a plan");
            assert_eq!((there.revision, there.closed, there.entries), (revision, closed, plan.entries));
        }
    }
}

/// A query answers with a megabyte at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_of_more_than_a_megabyte_are_read_to_their_end() {
    const CHUNKS: u32 = 4;
    const ITEMS: u32 = 18_000;
    let home = Home::start().await;
    let (acme, store) = (home.acme().await, home.run.store());
    let id = JobId::new(store.clock());
    let expires_at = Job::queued(id, Operation::CreateObjects, CHUNKS * ITEMS, CHUNKS).expires_at();
    for chunk in 0..CHUNKS {
        // Ids are hashes, which no compression makes smaller: 342 KB a row.
        let positions = chunk * ITEMS..(chunk + 1) * ITEMS;
        let entry = |at| Entry::new(at, Outcome::Success(RecordId::of_item(&acme.account, id, at)), 0);
        let plan = plan(store, 1, false, positions.map(entry).collect());
        assert!(store.jobs.agree(id.of(&acme.account).chunk(chunk), &plan, expires_at).await.expect("the database"));
    }
    let results = store.jobs.results(id.of(&acme.account)).await.expect("the database");
    let items: Vec<usize> = results.iter().map(|plan| plan.entries.len()).collect();
    assert_eq!(items, [ITEMS as usize; CHUNKS as usize]);
}

async fn record(acme: &Client, action: &str, name: &str) -> RecordId {
    let item = json!({"type": "product", "external_id": "gum", "attributes": {"name": name}});
    let job = acme.run_job("resources", action, json!([item])).await;
    RecordId::parse(text(&job["results"][0]["data"]["id"])).expect("an id")
}

async fn version(acme: &Client, id: RecordId) -> Option<u64> {
    acme.store.records.records(&acme.account, [id]).await.expect("the database").get(&id).map(|row| row.version)
}

/// Whoever closes a chunk moves rows on, so that a worker's write can no longer be made. A row that has gone on by itself stays
/// as it is: moved on again, it would spoil the write of somebody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_is_moved_on_from_the_very_version_that_was_seen() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let id = record(&acme, "post", "gum").await;
    assert_eq!(record(&acme, "external_id_set", "chewing gum").await, id);
    assert_eq!(version(&acme, id).await, Some(2));
    let now = acme.store.clock().now();
    for (base, moved, after) in [(1, false, 2), (0, false, 2), (3, false, 2), (2, true, 3), (2, false, 3)] {
        let done = acme.store.records.move_on(&acme.account, id, base, now).await.expect("the database");
        assert_eq!((done, version(&acme, id).await), (moved, Some(after)), "from {base}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relationship_is_not_written_when_an_end_is_gone_meanwhile() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let deleted = record(&acme, "post", "gum").await;
    let deletion = acme.run_job("resources", "delete", json!([deleted.to_string()])).await;
    assert_eq!(tests::outcomes(&deletion), ["done"]);
    let left = version(&acme, deleted).await;
    for end in [deleted, RecordId::from_bytes([9; 16])] {
        let id = RecordId::from_bytes([7; 16]);
        let relationship = RelationshipRecord {
            id,
            relationship_type: TypeKey::parse("likes").expect("a key"),
            source: End::Elsewhere("zen:user:1".to_owned()),
            target: End::Object(end),
            created_at: acme.store.clock().now(),
            position: Some(0),
        };
        let row = Row { version: 1, applied: AppliedWrites::default(), state: State::Relationship(relationship) };
        let links = vec![LinkChange { end, change: 1 }];
        let write = Write { id, base: 0, before: Before::Nothing, row, links };
        let now = acme.store.clock().now();
        let written = acme.store.records.write_relationships(&acme.account, &[write], now).await.expect("the database");
        assert_eq!(written, [Written::Lost]);
        assert_eq!(version(&acme, id).await, None, "the relationship dangles");
    }
    assert_eq!(version(&acme, deleted).await, left, "the tombstone was written to");
    assert_eq!(version(&acme, RecordId::from_bytes([9; 16])).await, None, "an end was made of nothing");
}
