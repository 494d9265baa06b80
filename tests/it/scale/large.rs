//! The largest job.

use std::collections::HashSet;

use serde_json::{Value, json};
use tests::{Client, Home, outcomes};

const ITEMS: usize = 10_000;

/// Every external id of the type, each of which may be listed once.
async fn external_ids(client: &Client, per_page: usize) -> HashSet<String> {
    let mut ids = HashSet::new();
    let mut page = client.get(&format!("/objects/records?type=product&per_page={per_page}")).await;
    loop {
        for record in page.data(200).as_array().expect("a list") {
            let id = record["external_id"].as_str().expect("an external id").to_owned();
            assert!(ids.insert(id), "listed twice: {record}");
        }
        let next = &page.json()["links"]["next"];
        if next.is_null() {
            return ids;
        }
        page = client.follow(next).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_ten_thousand_items_has_a_result_for_each_in_its_place() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    // Every hundredth item is wrong, so that a result in the wrong place shows.
    let product = |number: usize| {
        let name = if number % 100 == 99 { json!(number) } else { json!(format!("product {number}")) };
        json!({"type": "product", "external_id": number.to_string(), "attributes": {"name": name}})
    };
    let items: Vec<Value> = (0..ITEMS).map(product).collect();
    let job = acme.run_job("resources", "external_id_set", json!(items)).await;
    assert_eq!(job["job_status"], "completed");
    assert_eq!(job["progress"], json!({"total": ITEMS, "processed": ITEMS, "succeeded": 9_900, "failed": 100}));
    for (number, outcome) in outcomes(&job).iter().enumerate() {
        assert_eq!(outcome == "done", number % 100 != 99, "{number}: {outcome}");
    }
    let ids: HashSet<_> =
        job["results"].as_array().expect("results").iter().map(|result| &result["data"]["id"]).collect();
    assert_eq!(ids.len(), 9_900 + 1, "an id for each success, and null");

    let expected: HashSet<_> =
        (0..ITEMS).filter(|number| number % 100 != 99).map(|number| number.to_string()).collect();
    assert_eq!(external_ids(&acme, 1_000).await, expected);
    assert_eq!(acme.active_jobs().await, 0);
    home.run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_item_more_is_refused_and_leaves_no_trace() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let answer = acme.create_job("resources", "delete", json!(vec!["x"; ITEMS + 1])).await;
    let (code, detail) = answer.error(422);
    assert_eq!(code, "UnprocessableEntity");
    assert!(detail.contains("10000") || detail.contains("10,000"), "{detail}");
    assert!(detail.contains("10001") || detail.contains("10,001"), "{detail}");
    assert_eq!(acme.get("/jobs").await.data(200), json!([]));
    assert_eq!(home.queue().counts().await.expect("the queue").visible, 0);
    home.run.stop().await;
}
