//! The bound of "exactly once": a record remembers the last 32 operations of the last hour. Where the mark of an item
//! may be gone, its result says that nobody knows, and it is not applied a second time.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{Client, Deliveries, Home, LastStep, crash_after, outcomes};

const UNKNOWN: &str = "InternalServerError: An unexpected error occurred: whether this item was applied is not known, \
                       read the record to see";

/// Writes the record `gum` so many times, each by a job of its own.
async fn other_jobs(deliveries: &Deliveries<'_>, acme: &Client, count: u32) {
    for price in 0..count {
        let set = json!({"type": "product", "external_id": "gum", "attributes": {"price": price}});
        let job = deliveries.run_job(acme, "resources", "external_id_set", json!([set])).await;
        assert_eq!(outcomes(&job), ["done"]);
    }
}

/// What the redelivery of an item says that was applied before so many other writes, and how the record then stands
/// against how the last of them left it.
async fn after_other_writes(action: &str, item: Value, count: u32) -> (String, Value, Value) {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    if action == "update" {
        let gum = json!({"type": "product", "external_id": "gum", "attributes": {"name": "gum"}});
        deliveries.run_job(&acme, "resources", "post", json!([gum])).await;
    }
    let mut item = item;
    if item["id"].is_null() && action == "update" {
        item["id"] = acme.record("product", "gum").await["id"].clone();
    }
    let id = acme.accepted("resources", action, json!([item])).await;
    let chunk = deliveries.take_one().await;
    crash_after(LastStep::Written, home.run.store(), &chunk).await;
    other_jobs(&deliveries, &acme, count).await;
    let before = acme.record("product", "gum").await;

    deliveries.deliver(&chunk.again()).await;
    let job = acme.job(&id).await;
    assert_eq!(job["job_status"], "completed");
    assert_eq!(acme.active_jobs().await, 0);
    (outcomes(&job).remove(0), before, acme.record("product", "gum").await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_thirty_one_other_writes_the_item_is_known() {
    let create = json!({"type": "product", "external_id": "gum", "attributes": {"name": "gum"}});
    let (outcome, before, after) = after_other_writes("post", create, 31).await;
    assert_eq!(outcome, "done");
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_thirty_two_other_writes_a_create_is_unknown_and_not_applied_again() {
    let create = json!({"type": "product", "external_id": "gum", "attributes": {"name": "gum"}});
    let (outcome, before, after) = after_other_writes("post", create, 32).await;
    assert_eq!(outcome, UNKNOWN);
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_forty_other_writes_an_update_is_unknown_and_not_applied_again() {
    let (outcome, before, after) = after_other_writes("update", json!({"attributes": {"price": 99}}), 40).await;
    assert_eq!(outcome, UNKNOWN);
    assert_eq!(after, before);
    assert_eq!(after["attributes"]["price"], 39);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_hour_an_item_is_known_only_where_nothing_was_written_since() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let gums =
        ["gum", "other"].map(|name| json!({"type": "product", "external_id": name, "attributes": {"name": name}}));
    let id = acme.accepted("resources", "post", json!(gums)).await;
    let chunk = deliveries.take_one().await;
    crash_after(LastStep::Written, home.run.store(), &chunk).await;
    home.advance(Duration::from_secs(3_601));
    other_jobs(&deliveries, &acme, 1).await;

    deliveries.deliver(&chunk.again()).await;
    assert_eq!(outcomes(&acme.job(&id).await), [UNKNOWN, "done"]);
    assert_eq!(acme.record("product", "gum").await["attributes"], json!({"name": "gum", "price": 0}));
}
