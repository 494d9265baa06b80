//! How many of each thing an account has and may have.

use domain::account::usage::PerKind;
use serde_json::{Value, json};
use tests::{Client, check_error, outcomes, text};

use crate::home::Home;

/// The counts that `GET /limits` shows, after it was checked for its shape and for these limits of records.
async fn counts(agent: &Client, records: [u64; 2]) -> [u64; 5] {
    let limits = agent.get("/limits").await.data(200);
    let limits = limits.as_array().expect("a list");
    let keys: Vec<&str> = limits.iter().map(|limit| text(&limit["key"])).collect();
    assert_eq!(keys, ["resources", "relationships", "resource_types", "relationship_types", "jobs"]);
    let number = |place: usize, name: &str| limits[place][name].as_u64().expect("a number");
    assert_eq!([0, 1, 2, 3, 4].map(|place| number(place, "limit")), [records[0], records[1], 50, 50, 1_000]);
    [0, 1, 2, 3, 4].map(|place| number(place, "count"))
}

const USUAL: [u64; 2] = [1_000_000, 1_000_000];

fn item(external_id: &str) -> Value {
    json!({"type": "product", "external_id": external_id, "attributes": {"name": "Gum"}})
}

fn named(external_id: &str) -> Value {
    json!({"type": "product", "external_id": external_id})
}

fn link(source: &str, target: &str) -> Value {
    json!({"relationship_type": "goes_with", "source": named(source), "target": named(target)})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_jobs_and_requests_make_and_delete_is_counted() {
    let home = Home::start().await;
    let agent = home.agent().await;
    assert_eq!(counts(&agent, USUAL).await, [0, 0, 0, 0, 0]);
    agent.define_product().await;
    agent.define_relationship("goes_with", "product", json!(["product"])).await;
    assert_eq!(counts(&agent, USUAL).await, [0, 0, 1, 1, 0]);

    // The second is taken, the third is not valid.
    let wrong = json!({"type": "product", "attributes": {"name": 7}});
    agent.run_job("resources", "post", json!([item("a"), item("A"), wrong, item("b"), item("c")])).await;
    assert_eq!(counts(&agent, USUAL).await, [3, 0, 1, 1, 0]);
    // One that is there, one that is not, twice.
    agent.run_job("resources", "external_id_set", json!([item("a"), item("d"), item("d")])).await;
    assert_eq!(counts(&agent, USUAL).await[0], 4);
    agent
        .run_job("resources", "update", json!([{"id": agent.record("product", "a").await["id"], "attributes": {}}]))
        .await;
    assert_eq!(counts(&agent, USUAL).await[0], 4);
    agent.run_job("resources", "external_id_delete", json!([named("d"), named("d")])).await;
    let made = agent.post("/objects/records", &json!({"data": item("e")})).await.data(201);
    assert_eq!(counts(&agent, USUAL).await[0], 4);
    agent.run_job("resources", "delete", json!([made["id"], made["id"], "nobody"])).await;
    assert_eq!(counts(&agent, USUAL).await[0], 3);

    let related = agent.run_job("relationships", "post", json!([link("a", "b"), link("a", "b"), link("b", "c")])).await;
    let back = agent.post("/relationships/records", &json!({"data": link("c", "a")})).await.data(201);
    assert_eq!(counts(&agent, USUAL).await, [3, 3, 1, 1, 0]);
    agent.run_job("relationships", "delete", json!([related["results"][0]["data"]["id"]])).await;
    assert_eq!(agent.delete(&format!("/relationships/records/{}", text(&back["id"]))).await.status, 204);
    assert_eq!(agent.delete("/objects/records?type=product&external_id=a").await.status, 204);
    assert_eq!(counts(&agent, USUAL).await, [2, 1, 1, 1, 0]);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_limit_is_a_429_on_a_route_and_on_an_item_until_there_is_room() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    agent.define_relationship("goes_with", "product", json!(["product"])).await;
    let limits = PerKind { objects: Some(Some(4)), relationships: Some(Some(1)) };
    agent.store.usages.change_limits(&agent.account, limits).await.expect("the database");
    assert_eq!(counts(&agent, [4, 1]).await, [0, 0, 1, 1, 0]);

    let job = agent.run_job("resources", "post", json!([item("a"), item("b"), item("A"), item("c")])).await;
    assert_eq!(outcomes(&job)[3], "done");
    let words = "TooManyRequests: You have exceeded the maximum number of resources for this account";
    // Of the sets one makes a record, for which there is room, and one would make one too many. What is there is changed all the same.
    let sets = json!([item("a"), item("d"), item("e"), item("E"), item("b")]);
    let job = agent.run_job("resources", "external_id_set", sets).await;
    assert_eq!(outcomes(&job), ["done", "done", words, words, "done"]);
    assert_eq!(job["results"][2]["errors"][0]["status"], "429");
    let job =
        agent.run_job("resources", "post", json!([item("f"), {"type": "product", "attributes": {"name": 1}}])).await;
    assert_eq!(outcomes(&job)[0], words);
    assert!(outcomes(&job)[1].starts_with("UnprocessableEntity"), "its own mistake: {job}");
    let refused = agent.post("/objects/records", &json!({"data": item("f")})).await;
    check_error(&refused, 429, "TooManyRequests", "Too Many Requests");
    assert_eq!(refused.error(429).1, "You have exceeded the maximum number of resources for this account");
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(counts(&agent, [4, 1]).await, [4, 0, 1, 1, 0]);

    let job = agent.run_job("relationships", "post", json!([link("a", "b"), link("b", "a")])).await;
    let mut done = outcomes(&job);
    done.sort();
    let words = "TooManyRequests: You have exceeded the maximum number of relationships for this account";
    assert_eq!(done, [words, "done"]);
    let refused = agent.post("/relationships/records", &json!({"data": link("c", "a")})).await;
    assert_eq!(refused.error(429).1, "You have exceeded the maximum number of relationships for this account");

    assert_eq!(agent.delete("/objects/records?type=product&external_id=d").await.status, 204);
    assert_eq!(agent.post("/objects/records", &json!({"data": item("f")})).await.status, 201);
    // Raised by the operator, and at once.
    let limits = PerKind { objects: Some(Some(5)), relationships: Some(None) };
    agent.store.usages.change_limits(&agent.account, limits).await.expect("the database");
    let job = agent.run_job("resources", "post", json!([item("g")])).await;
    assert_eq!(outcomes(&job), ["done"]);
    assert_eq!(counts(&agent, [5, 1_000_000]).await, [5, 1, 1, 1, 0]);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_under_way_is_counted_among_the_jobs_and_when_it_ends_among_the_records() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let items: Vec<Value> = (0..1_200).map(|number| item(&number.to_string())).collect();
    let job = agent.create_job("resources", "post", items.into()).await.data(201);
    let [.., jobs] = counts(&agent, USUAL).await;
    assert!(jobs <= 1, "{jobs}");
    agent.wait(text(&job["id"])).await;
    assert_eq!(counts(&agent, USUAL).await, [1_200, 0, 1, 0, 0]);
    home.stop().await;
}
