//! Reads of several rows against answers that a database in good health hardly ever gives: an index behind its table, and a
//! batch that is answered in part.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::AccountId;
use domain::clock::Clock;
use domain::job::{Job, JobId, JobStatus, Operation};
use domain::record::applied::AppliedWrites;
use domain::record::{ObjectRecord, RecordId, Row, State};
use domain::time::Timestamp;
use domain::types::TypeKey;
use serde_json::{Map, Value, json};

use crate::answering::answering;
use crate::attributes::{Attributes, text};
use crate::jobs::JobFilter;
use crate::keys::{self, TypeKind};
use crate::page::PageQuery;
use crate::rows::{job_to_row, record_to_row};

const FIRST_PAGE: PageQuery = PageQuery { from: None, backwards: false, descending: true, limit: 10 };

fn acme() -> AccountId {
    AccountId::parse("acme").unwrap()
}

/// A row as the database sends it.
fn sent(row: &Attributes) -> Value {
    let members = row.iter().map(|(name, value)| {
        let value = match value {
            AttributeValue::S(text) => json!({"S": text}),
            AttributeValue::N(number) => json!({"N": number}),
            AttributeValue::Null(is_null) => json!({"NULL": is_null}),
            // No row here has bytes in it.
            AttributeValue::B(_) => json!({"B": ""}),
            other => panic!("{other:?}"),
        };
        (name.clone(), value)
    });
    Value::Object(members.collect::<Map<_, _>>())
}

fn rows_of(table: &str, rows: &[&Attributes]) -> (u16, String) {
    (200, json!({"Responses": {table: rows.iter().map(|row| sent(row)).collect::<Vec<_>>()}}).to_string())
}

#[tokio::test]
async fn a_list_of_jobs_shows_what_is_so_now_and_not_what_the_index_still_says() {
    let now = Timestamp::from_seconds(1_700_000_000);
    let job = |seed, status| {
        let id = JobId::new(&Clock::manual(now, seed));
        Job { status, ..Job::queued(id, Operation::SetObjects, 1, 1) }
    };
    // Given an index that has three queued jobs, of which one has been aborted since and one is gone,
    let (queued, aborted, gone) = (job(1, JobStatus::Queued), job(2, JobStatus::Aborted), job(3, JobStatus::Queued));
    let entry = |job: &Job| json!({"sk": {"S": keys::job(job.id)}});
    let index = json!({"Items": [entry(&queued), entry(&aborted), entry(&gone)]}).to_string();
    let rows = [&queued, &aborted].map(|job| job_to_row(&acme(), job));
    let table = rows_of("test-jobs", &[&rows[0], &rows[1]]);
    let store = answering([(200, index), table]).await;
    // then the list has the one that is queued.
    let page =
        store.jobs.list_jobs(&acme(), &JobFilter::of_status(Some(JobStatus::Queued)), &FIRST_PAGE, now).await.unwrap();
    assert_eq!(page.page.items, [queued]);
}

#[tokio::test]
async fn a_list_of_records_shows_none_where_the_index_still_has_it() {
    let at = Timestamp::from_millis(1_700_000_000_000);
    let record = |id: u8, created_at| {
        let record = ObjectRecord {
            id: RecordId::from_bytes([id; 16]),
            object_type: TypeKey::parse("product").unwrap(),
            external_id: None,
            attributes: "{}".to_owned(),
            created_at,
            position: None,
            updated_at: created_at,
            type_version: 1,
            links: 0,
            entries: None,
        };
        (record.id, Row { version: 1, applied: AppliedWrites::default(), state: State::Object(record) })
    };
    let as_row = |(id, row): &(RecordId, Row)| {
        let mut attributes: Attributes =
            record_to_row(&acme(), row, at).into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        attributes.insert("pk".to_owned(), text(keys::record(&acme(), *id)));
        attributes
    };
    // Given an index that has four records of the same moment, of which one was deleted since, one was deleted and made again,
    // and one is gone altogether,
    let (there, deleted) = (record(1, at), (RecordId::from_bytes([2; 16]), State::Tombstone));
    let again = record(3, at.plus_millis(5));
    let deleted = (deleted.0, Row { version: 2, applied: AppliedWrites::default(), state: deleted.1 });
    let entries: Vec<Value> = (1..=4)
        .map(|id| json!({"listed_at": {"S": keys::listed_at(at, None, RecordId::from_bytes([id; 16]))}}))
        .collect();
    let mut answers = vec![(200, json!({"Items": entries}).to_string())];
    answers.extend((1..keys::SHARDS).map(|_| (200, json!({"Items": []}).to_string())));
    answers.push(rows_of("test-records", &[&as_row(&there), &as_row(&deleted), &as_row(&again)]));
    let store = answering(answers).await;
    // then the list has the one that stands where the index says.
    let product = TypeKey::parse("product").unwrap();
    let page = store.records.list_records(&acme(), TypeKind::Object, &product, &FIRST_PAGE, usize::MAX).await.unwrap();
    assert_eq!(page.items, [there.1]);
}

#[tokio::test]
async fn rows_that_came_before_the_rest_of_a_batch_are_kept() {
    let row = |id: u8| {
        let row = Row { version: u64::from(id), applied: AppliedWrites::default(), state: State::Tombstone };
        let mut attributes: Attributes = record_to_row(&acme(), &row, Timestamp::default())
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        attributes.insert("pk".to_owned(), text(keys::record(&acme(), RecordId::from_bytes([id; 16]))));
        attributes
    };
    let (first, second) = (row(1), row(2));
    let in_part = json!({
        "Responses": {"test-records": [sent(&first)]},
        "UnprocessedKeys": {"test-records": {"Keys": [{"pk": sent(&second)["pk"]}]}},
    });
    let store = answering([(200, in_part.to_string()), rows_of("test-records", &[&second])]).await;
    let records = store.records.records(&acme(), [1, 2].map(|id| RecordId::from_bytes([id; 16]))).await.unwrap();
    let mut versions: Vec<u64> = records.values().map(|row| row.version).collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2]);
}
