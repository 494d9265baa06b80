use domain::account::AccountId;
use domain::job::{Job, JobId, Operation};
use domain::plan::decide::{Before, Write};
use domain::record::applied::AppliedWrites;
use domain::record::{RecordId, Row, State};

use crate::Store;
use crate::answering::answering;
use crate::database::Database;
use crate::records::Written;

const THROTTLED: (u16, &str) =
    (400, r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow"}"#);

fn acme() -> AccountId {
    AccountId::parse("acme").unwrap()
}

fn write(id: u8) -> Write {
    let row = Row { version: 1, applied: AppliedWrites::default(), state: State::Tombstone };
    Write { id: RecordId::from_bytes([id; 16]), base: 0, before: Before::Nothing, row, links: Vec::new() }
}

#[tokio::test]
async fn an_attempt_that_is_throttled_counts_though_the_next_succeeds() {
    let store = answering([THROTTLED, (200, r#"{"ConsumedCapacity":{"CapacityUnits":1.0}}"#)]).await;
    let id = JobId::new(store.clock());
    assert_eq!(store.jobs.find_job_row(id.of(&acme())).await.unwrap(), None);
    let reading = store.meter().read();
    assert_eq!((reading.throttles, reading.reads.requests, reading.reads.table_units), (1, 1, 1.0));
}

#[tokio::test]
async fn it_counts_with_a_client_that_was_there_before_too() {
    let Database { client, tables, clock, .. } = Database::clone(&answering([THROTTLED, (200, "{}")]).await.database);
    let store = Store::new(client, tables, clock);
    let id = JobId::new(store.clock());
    assert_eq!(store.jobs.find_job_row(id.of(&acme())).await.unwrap(), None);
    assert_eq!(store.meter().read().throttles, 1);
}

#[tokio::test]
async fn other_errors_are_not_throttles() {
    let refused = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"no"}"#;
    let store = answering([(503, "<html>"), (400, refused), (200, "{}")]).await;
    let id = JobId::new(store.clock());
    assert_eq!(store.jobs.start(id.of(&acme()), store.clock().now()).await.unwrap(), None);
    assert_eq!(store.meter().read().throttles, 0);
}

#[tokio::test]
async fn each_statement_of_a_batch_that_is_throttled_counts() {
    let store = answering([
        (
            200,
            r#"{"Responses":[
                {"Error":{"Code":"ThrottlingError","Message":"slow"}},
                {},
                {"Error":{"Code":"ProvisionedThroughputExceeded","Message":"slow"}},
                {"Error":{"Code":"TransactionConflict","Message":"busy"}}
            ]}"#,
        ),
        (200, r#"{"Responses":[{},{},{"Error":{"Code":"DuplicateItem","Message":"there"}}]}"#),
    ])
    .await;
    let written = store.records.write_objects(&acme(), &[0, 1, 2, 3].map(write), store.clock().now()).await.unwrap();
    assert_eq!(written, [Written::Done, Written::Done, Written::Done, Written::Lost]);
    assert_eq!(store.meter().read().throttles, 2);
}

#[tokio::test]
async fn rows_that_a_batch_left_out_count() {
    let store = answering([
        (200, r#"{"Responses":{},"UnprocessedKeys":{"test-records":{"Keys":[{"pk":{"S":"a"}},{"pk":{"S":"b"}}]}}}"#),
        (200, r#"{"Responses":{}}"#),
        (200, r#"{"UnprocessedItems":{"test-jobs":[{"PutRequest":{"Item":{"pk":{"S":"a"},"sk":{"S":"b"}}}}]}}"#),
        (200, "{}"),
    ])
    .await;
    let records = store.records.records(&acme(), [1, 2].map(|id| RecordId::from_bytes([id; 16]))).await.unwrap();
    assert!(records.is_empty());
    assert_eq!(store.meter().read().throttles, 2);
    let (id, now) = (JobId::new(store.clock()), store.clock().now());
    store.jobs.stash(id.of(&acme()), vec![(1, "chunk".to_owned())], now).await.unwrap();
    assert_eq!(store.meter().read().throttles, 3);
}

#[tokio::test]
async fn a_transaction_counts_what_was_throttled_in_it() {
    let cancelled = r#"{
        "__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message":"cancelled",
        "CancellationReasons":[{"Code":"ThrottlingError"},{"Code":"TransactionConflict"}]
    }"#;
    let store = answering([(400, cancelled), THROTTLED, (200, "{}")]).await;
    let job = Job::queued(JobId::new(store.clock()), Operation::CreateObjects, 1, 1);
    store.jobs.commit(&acme(), &job, None, store.clock().now()).await.unwrap();
    assert_eq!(store.meter().read().throttles, 2);
}
