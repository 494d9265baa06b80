//! Accounts share the tables and the queue, and nothing else.

use serde_json::{Value, json};
use tests::{Client, Home, outcomes};

fn products(owner: &str) -> Value {
    let product = |number: u32| json!({"type": "product", "external_id": number.to_string(), "attributes": {"name": format!("{owner} {number}")}});
    (0..300).map(product).collect()
}

async fn names(client: &Client) -> Vec<String> {
    let listed = client.get("/objects/records?type=product").await.data(200);
    let listed = listed.as_array().expect("a list").iter();
    let mut names: Vec<String> =
        listed.map(|record| record["attributes"]["name"].as_str().expect("a name").to_owned()).collect();
    names.sort_unstable();
    names
}

fn expected_names(owner: &str) -> Vec<String> {
    let mut names: Vec<_> = (0..300).map(|number| format!("{owner} {number}")).collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_external_ids_in_two_accounts_are_different_records() {
    let home = Home::start().await;
    let (acme, umbrella) = (home.agent("acme").await, home.agent("umbrella").await);
    tokio::join!(acme.define_product(), umbrella.define_product());
    let (ours, theirs) = tokio::join!(
        acme.run_job("resources", "post", products("acme")),
        umbrella.run_job("resources", "post", products("umbrella")),
    );
    assert_eq!(outcomes(&ours), vec!["done"; 300]);
    assert_eq!(outcomes(&theirs), vec!["done"; 300]);
    assert_eq!(names(&acme).await, expected_names("acme"));
    assert_eq!(names(&umbrella).await, expected_names("umbrella"));

    // Ids of another account lead nowhere, and say no more than ids that nobody has.
    let id = &theirs["results"][7]["data"]["id"];
    let nobody = json!("00000000-0000-8000-8000-000000000000");
    let job = acme.run_job("resources", "delete", json!([id, nobody])).await;
    let said: Vec<_> = outcomes(&job)
        .iter()
        .zip([id, &nobody])
        .map(|(outcome, id)| outcome.replace(id.as_str().expect("an id"), "ID"))
        .collect();
    assert_eq!(said[0], said[1]);
    assert!(said[0].starts_with("NotFound: "), "{said:?}");
    let update = acme.run_job("resources", "update", json!([{"id": id, "attributes": {"name": "stolen"}}])).await;
    assert!(outcomes(&update)[0].starts_with("NotFound: "));
    let deleted =
        acme.run_job("resources", "external_id_delete", json!([{"type": "product", "external_id": "7"}])).await;
    assert_eq!(outcomes(&deleted), ["done"]);
    assert_eq!(names(&umbrella).await, expected_names("umbrella"));

    for path in [
        format!("/jobs/{}", theirs["id"].as_str().expect("an id")),
        format!("/objects/records/{}", id.as_str().expect("an id")),
    ] {
        assert_eq!(acme.get(&path).await.status, 404, "{path}");
        assert_eq!(umbrella.get(&path).await.status, 200, "{path}");
    }
    let abort = format!("/jobs/{}/abort", theirs["id"].as_str().expect("an id"));
    assert_eq!(acme.post(&abort, &Value::Null).await.status, 404);
    let listed = umbrella.get("/jobs").await.data(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    home.run.stop().await;
}

/// The slots are each account's own, and so is an idempotency key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_idempotency_key_in_two_accounts_makes_two_jobs() {
    let home = Home::start().await;
    home.run.poller().pause();
    let mut ids = Vec::new();
    for client in [home.agent("acme").await, home.agent("umbrella").await] {
        let body = json!({"type": "resources", "action": "delete", "data": ["x"]});
        let request = client.request(reqwest::Method::POST, "/jobs").header("Idempotency-Key", "one").json(&body);
        ids.push(tests::answer(request).await.data(201)["id"].clone());
        assert_eq!(client.active_jobs().await, 1);
    }
    assert_ne!(ids[0], ids[1]);
    home.run.stop().await;
}
