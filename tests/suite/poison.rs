//! A chunk that cannot be processed ends among the dead letters, and its job with it, but not the job's other items.

use std::time::Instant;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::limits::ITEMS_PER_CHUNK;
use futures_util::future::join_all;
use serde_json::{Value, json};
use store::keys;
use tests::{Client, outcomes, text};

use crate::home::{Home, IMPATIENT, LONG_PATIENCE, product_id};

const ITEMS: usize = 1_200;

/// The item that names the record that nobody can read: one of the second chunk's.
const POISONED: usize = ITEMS_PER_CHUNK + 200;

/// Spoils a record's row, as no code of this service does.
async fn spoil(home: &Home, agent: &Client, external_id: &str) {
    let key = keys::record(&agent.account, product_id(agent, external_id));
    let update = home
        .dynamodb()
        .update_item()
        .table_name(home.tables().records)
        .key("pk", AttributeValue::S(key))
        .condition_expression("attribute_exists(pk)")
        .update_expression("SET version = :spoiled")
        .expression_attribute_values(":spoiled", AttributeValue::S("not a number".to_owned()));
    update.send().await.expect("the row is spoiled");
}

async fn ended(agent: &Client, job: &Value) -> Value {
    let waiting_since = Instant::now();
    loop {
        let job = agent.show(job).await;
        if job["completed_at"].is_string() {
            return job;
        }
        assert!(waiting_since.elapsed() < LONG_PATIENCE, "the job does not end: {job}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_is_received_too_often_is_buried_and_the_job_fails_with_everything_else_done() {
    let home = Home::start_with(IMPATIENT).await;
    let agent = home.agent().await;
    agent.define_product().await;
    let product = |external_id: String| {
        let name = format!("product {external_id}");
        json!({"type": "product", "external_id": external_id, "attributes": {"name": name}})
    };
    let made = agent.run_job("resources", "post", json!([product(POISONED.to_string())])).await;
    assert_eq!(outcomes(&made), ["done"]);
    spoil(&home, &agent, &POISONED.to_string()).await;

    let items: Vec<Value> = (0..ITEMS).map(|number| product(number.to_string())).collect();
    let job = agent.create_job("resources", "external_id_set", json!(items)).await.data(201);
    let job = ended(&agent, &job).await;

    assert_eq!(job["job_status"], "failed");
    assert_eq!((&job["error"]["code"], &job["error"]["status"]), (&json!("InternalServerError"), &json!("500")));
    assert!(!text(&job["error"]["detail"]).is_empty());
    let poisoned = ITEMS_PER_CHUNK..2 * ITEMS_PER_CHUNK;
    let done = ITEMS - poisoned.len();
    assert_eq!(
        job["progress"],
        json!({"total": ITEMS, "processed": ITEMS, "succeeded": done, "failed": poisoned.len()})
    );
    for (number, outcome) in outcomes(&job).iter().enumerate() {
        if poisoned.contains(&number) {
            assert!(outcome.starts_with("InternalServerError: "), "{number}: {outcome}");
        } else {
            assert_eq!(outcome, "done", "{number}");
        }
    }
    // What is said to have failed was not applied, and what is said to be done was.
    for (number, is_there) in [(0, true), (ITEMS_PER_CHUNK, false), (2 * ITEMS_PER_CHUNK - 1, false), (ITEMS - 1, true)]
    {
        assert_eq!(agent.record("product", &number.to_string()).await.is_object(), is_there, "{number}");
    }
    assert_eq!(agent.active_jobs().await, 0, "the slot is given back");
    let waiting_since = Instant::now();
    while home.dead_letters().await.is_some_and(|count| count > 0) {
        assert!(waiting_since.elapsed() < LONG_PATIENCE, "a letter that is buried stays among the dead letters");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    home.stop().await;
}

/// Of a batch, only what cannot be handled comes back: chunks of others beside it are done before it is given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_cannot_be_processed_takes_no_other_of_its_batch_with_it() {
    const HEALTHY: usize = 4;
    let home = Home::start_with(IMPATIENT).await;
    let product = |external_id: &str| json!({"type": "product", "external_id": external_id, "attributes": {"name": format!("product {external_id}")}});
    let unlucky = home.agent().await;
    unlucky.define_product().await;
    let made = unlucky.run_job("resources", "post", json!([product("spoiled")])).await;
    assert_eq!(outcomes(&made), ["done"]);
    spoil(&home, &unlucky, "spoiled").await;
    let mut others = Vec::new();
    for _ in 0..HEALTHY {
        let agent = home.agent().await;
        agent.define_product().await;
        others.push(agent);
    }

    // When all of them are sent within moments,
    let poisoned = unlucky.create_job("resources", "external_id_set", json!([product("spoiled")]));
    let healthy = others.iter().map(|agent| {
        let items: Vec<Value> = (0..100).map(|number| product(&number.to_string())).collect();
        agent.create_job("resources", "external_id_set", json!(items))
    });
    let (poisoned, healthy) = futures_util::future::join(poisoned, join_all(healthy)).await;
    let poisoned = poisoned.data(201);
    // then those of others are completed,
    for (agent, job) in others.iter().zip(healthy) {
        let job = ended(agent, &job.data(201)).await;
        assert_eq!((&job["job_status"], &job["progress"]["succeeded"]), (&json!("completed"), &json!(100)));
    }
    // while the one that cannot be handled has not used up its deliveries.
    let shown = unlucky.show(&poisoned).await;
    assert!(shown["completed_at"].is_null(), "{shown}");
    assert_eq!(ended(&unlucky, &poisoned).await["job_status"], "failed");
    home.stop().await;
}
