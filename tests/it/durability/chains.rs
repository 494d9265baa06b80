//! More items of one record than fit one chunk: chunks that follow each other, however they are delivered.

use domain::limits::ITEMS_PER_CHUNK;
use serde_json::{Value, json};
use tests::{Client, Deliveries, Delivery, Home, LastStep, crash_after, outcomes};

/// Enough for three chunks.
const ITEMS: usize = 2 * ITEMS_PER_CHUNK + 100;

/// A job that sets one record so many times, and the message of the first of its three chunks.
async fn accepted_chain(deliveries: &Deliveries<'_>, acme: &Client) -> (String, Delivery) {
    acme.define_product().await;
    let set = |number: usize| {
        let attributes = json!({"name": "gum", "price": number});
        json!({"type": "product", "external_id": "gum", "attributes": attributes})
    };
    let items: Vec<Value> = (0..ITEMS).map(set).collect();
    let id = acme.accepted("resources", "external_id_set", json!(items)).await;
    (id, deliveries.take_one().await)
}

async fn assert_applied_once(acme: &Client, id: &str) {
    let job = acme.job(id).await;
    assert_eq!(job["job_status"], "completed");
    assert_eq!(outcomes(&job), vec!["done"; ITEMS]);
    assert_eq!(job["progress"]["succeeded"], ITEMS);
    assert_eq!(acme.record("product", "gum").await["attributes"]["price"], ITEMS - 1);
    let record = acme.record("product", "gum").await["id"].as_str().and_then(domain::record::RecordId::parse);
    let row = acme.store.records.record(&acme.account, record.expect("an id")).await.expect("the database");
    assert_eq!(row.expect("a row").version, 3, "it was written once for each chunk");
    assert_eq!(acme.active_jobs().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_is_sent_twice_is_applied_once() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    let (id, first) = accepted_chain(&deliveries, &acme).await;
    deliveries.deliver(&first).await;
    deliveries.deliver(&first.again()).await;
    let copies = deliveries.take().await;
    assert_eq!(copies.len(), 2, "each delivery of the first sends the second");
    assert_eq!(copies[0], copies[1]);

    tokio::join!(deliveries.deliver(&copies[0]), deliveries.deliver(&copies[1]));
    deliveries.drain().await;
    assert_applied_once(&acme, &id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_chunk_is_sent_by_the_redelivery_when_the_worker_died_before_sending_it() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    let (id, first) = accepted_chain(&deliveries, &acme).await;
    crash_after(LastStep::Recorded, home.run.store(), &first).await;
    assert!(deliveries.take().await.is_empty());

    deliveries.deliver(&first.again()).await;
    deliveries.drain().await;
    assert_applied_once(&acme, &id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_chunk_that_comes_back_late_does_not_undo_the_later_ones() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    let (id, first) = accepted_chain(&deliveries, &acme).await;
    deliveries.deliver(&first).await;
    let second = deliveries.take_one().await;
    deliveries.deliver(&second).await;
    deliveries.deliver(&first.again()).await;
    deliveries.drain().await;
    deliveries.deliver(&second.again()).await;
    deliveries.drain().await;
    assert_applied_once(&acme, &id).await;
}
