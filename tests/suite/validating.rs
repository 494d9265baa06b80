//! Jobs that validate: every check is made, nothing is written, and the results are those of the real run.

use serde_json::{Value, json};
use tests::{Client, outcomes, text};

use crate::home::Home;

async fn validated(agent: &Client, body: &Value) -> Value {
    let job = agent.post("/jobs?validate_only=true", body).await.data(201);
    assert_eq!(job["validate_only"], true);
    agent.wait(text(&job["id"])).await
}

/// Everything that an account has.
async fn everything(agent: &Client) -> Vec<Value> {
    let mut all = Vec::new();
    for list in ["/objects/records?type=product", "/relationships/records?type=goes_with", "/limits"] {
        all.push(agent.get(list).await.data(200));
    }
    all
}

/// A job that validates says what the job then does, and changes nothing. Answers with the outcomes.
async fn check(agent: &Client, job_type: &str, action: &str, data: Value) -> Vec<String> {
    let before = everything(agent).await;
    let body = json!({"type": job_type, "action": action, "data": data});
    let said = validated(agent, &body).await;
    assert_eq!(everything(agent).await, before, "{job_type} {action}");
    let real = agent.run_job(job_type, action, data.clone()).await;
    let mut expected = real["results"].clone();
    for (item, result) in data.as_array().expect("items").iter().zip(expected.as_array_mut().expect("results")) {
        // The id of a record without an external id is not known before it is made.
        if action == "post" && job_type == "resources" && result["success"] == true && item.get("external_id").is_none()
        {
            result["data"] = json!({});
        }
    }
    assert_eq!(said["results"], expected, "{job_type} {action}");
    for member in ["job_status", "type", "action", "progress"] {
        assert_eq!(said[member], real[member], "{member}");
    }
    assert!(real.get("validate_only").is_none(), "{real}");
    outcomes(&real)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_action_says_what_it_would_do_and_does_nothing() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    agent.define_relationship("goes_with", "product", json!(["product"])).await;
    let product = |external_id: &str, name: Value| json!({"type": "product", "external_id": external_id, "attributes": {"name": name}});
    let outcomes = check(
        &agent,
        "resources",
        "post",
        json!([
            product("1", json!("Gum")),
            product("1", json!("Other")),
            product("2", json!(7)),
            {"type": "product", "attributes": {"name": "No name of its own"}},
            {"type": "nothing", "attributes": {}},
            product("3", json!("Mint")),
            7,
        ]),
    )
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "done").count(), 3, "{outcomes:?}");
    // Several changes of one record are judged one after the other.
    check(
        &agent,
        "resources",
        "external_id_set",
        json!([product("1", json!("A")), product("4", json!("B")), product("4", json!(0)), product("4", Value::Null)]),
    )
    .await;
    let (gum, mint) =
        (agent.record("product", "1").await["id"].clone(), agent.record("product", "3").await["id"].clone());
    let update = |id: &Value, price: Value| json!({"id": id, "attributes": {"price": price}});
    check(
        &agent,
        "resources",
        "update",
        json!([update(&gum, json!(1)), update(&mint, json!(-1)), update(&json!("x"), json!(1))]),
    )
    .await;
    let link =
        |source: &Value, target: &Value| json!({"relationship_type": "goes_with", "source": source, "target": target});
    let related = json!([link(&gum, &mint), link(&gum, &mint), link(&mint, &gum), link(&gum, &json!("x"))]);
    check(&agent, "relationships", "post", related).await;
    check(&agent, "resources", "delete", json!([gum, mint, "x"])).await;
    let records = agent.get("/relationships/records?type=goes_with").await.data(200);
    check(&agent, "relationships", "delete", json!([records[0]["id"], records[0]["id"], "x"])).await;
    check(&agent, "relationships", "delete", json!([records[1]["id"]])).await;
    let by_external_id = |external_id: &str| json!({"type": "product", "external_id": external_id});
    let deletes = json!([by_external_id("1"), by_external_id("1"), by_external_id("none")]);
    check(&agent, "resources", "external_id_delete", deletes).await;
    home.stop().await;
}

/// The chunks of such a job follow one another, and each begins with what the one before leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_changes_of_one_record_than_a_chunk_holds_are_validated_one_after_the_other() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    agent.define_relationship("goes_with", "product", json!(["product"])).await;
    // The first item of the second chunk can only succeed on what the first chunk leaves: a record with a name.
    let change = |number: u64| {
        let attributes = if number == 0 { json!({"name": "Gum"}) } else { json!({"price": number}) };
        json!({"type": "product", "external_id": "1", "attributes": attributes})
    };
    assert_eq!(
        check(&agent, "resources", "external_id_set", (0..1_100).map(change).collect()).await,
        vec!["done"; 1_100]
    );
    let id = agent.record("product", "1").await["id"].clone();
    // Of the same relationships in each chunk, those of the first are made.
    let link = |number: u64| json!({"relationship_type": "goes_with", "source": id, "target": id, "number": number});
    let outcomes = check(&agent, "relationships", "post", (0..1_100).map(link).collect()).await;
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "done").count(), 1);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_validated_is_asked_for_in_the_query_and_is_another_request() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let body =
        json!({"type": "resources", "action": "post", "data": [{"type": "product", "attributes": {"name": "Gum"}}]});
    let (code, detail) = agent.post("/jobs?validate_only=yes", &body).await.error(400);
    assert_eq!((code.as_str(), detail.as_str()), ("BadRequest", "`validate_only` must be true or false, not \"yes\""));
    let keyed = async |path: &str| {
        let request = agent.request(reqwest::Method::POST, path).header("idempotency-key", "import 7").json(&body);
        tests::answer(request).await
    };
    let first = keyed("/jobs?validate_only=true").await.data(201);
    assert_eq!(keyed("/jobs?validate_only=true").await.data(201)["id"], first["id"]);
    assert_eq!(keyed("/jobs").await.error(422).0, "UnprocessableEntity", "the same key for what is something else");
    let plain = agent.post("/jobs?validate_only=false", &body).await.data(201);
    assert!(plain.get("validate_only").is_none());
    assert_eq!(outcomes(&agent.wait(text(&plain["id"])).await), ["done"]);
    home.stop().await;
}
