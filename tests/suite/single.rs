//! Object records one at a time: every row of the contract's table.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, BASE, Client, answer, check_error, text};

use crate::home::Home;

const RECORDS: &str = "/objects/records";

fn gum(external_id: &Value, attributes: &Value) -> Value {
    json!({"data": {"type": "product", "external_id": external_id, "attributes": attributes}})
}

fn patch(attributes: &Value) -> Value {
    json!({"data": {"attributes": attributes}})
}

async fn keyed(agent: &Client, key: &str, method: Method, path: &str, body: &Value) -> Answer {
    answer(agent.request(method, path).header("idempotency-key", key).json(body)).await
}

async fn count(agent: &Client) -> usize {
    agent.get("/objects/records?type=product").await.data(200).as_array().expect("a list").len()
}

fn path_of(record: &Value) -> String {
    format!("{RECORDS}/{}", text(&record["id"]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_made_changed_shown_and_deleted_by_its_id() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let made = agent.post(RECORDS, &gum(&json!("Ab"), &json!({"name": "Gum", "price": 2, "note": null}))).await;
    let record = made.data(201);
    let path = path_of(&record);
    assert_eq!(made.header("location"), Some(format!("{BASE}{path}").as_str()));
    assert_eq!(record["attributes"], json!({"name": "Gum", "price": 2}));
    assert_eq!(
        (&record["type"], &record["external_id"], &record["type_version"]),
        (&json!("product"), &json!("Ab"), &json!(1))
    );
    assert_eq!(record["created_at"], record["updated_at"]);
    assert_eq!(agent.get(&path).await.data(200), record);
    assert_eq!(agent.record("product", "aB").await, record);

    for (method, change, attributes) in [
        (Method::PATCH, json!({"price": null, "note": "n"}), json!({"name": "Gum", "note": "n"})),
        (Method::PUT, json!({"note": null}), json!({"name": "Gum"})),
    ] {
        let changed = answer(agent.request(method, &path).json(&patch(&change))).await;
        assert_eq!((changed.header("location"), &changed.data(200)["attributes"]), (None, &attributes));
        let shown = agent.get(&path).await.data(200);
        assert_eq!(shown, changed.data(200));
        assert_eq!((&shown["created_at"], &shown["external_id"]), (&record["created_at"], &record["external_id"]));
    }

    let deleted = agent.delete(&path).await;
    assert_eq!((deleted.status.as_u16(), deleted.body.as_slice()), (204, b"".as_slice()));
    check_error(&agent.get(&path).await, 404, "NotFound", "Not Found");
    check_error(&agent.delete(&path).await, 404, "NotFound", "Not Found");
    check_error(&agent.patch(&path, &patch(&json!({}))).await, 404, "NotFound", "Not Found");
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_set_and_deleted_by_its_external_id() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let first = agent.patch(RECORDS, &gum(&json!(7), &json!({"name": "Gum"}))).await;
    let record = first.data(201);
    assert_eq!(first.header("location"), Some(format!("{BASE}{}", path_of(&record)).as_str()));
    let second = agent.put(RECORDS, &gum(&json!("7"), &json!({"price": 1}))).await;
    assert_eq!(
        (second.header("location"), &second.data(200)["attributes"]),
        (None, &json!({"name": "Gum", "price": 1}))
    );
    assert_eq!(second.data(200)["id"], record["id"]);
    // What a job makes is changed by a request, and the other way round.
    let item = json!({"type": "product", "external_id": "7", "attributes": {"price": 2}});
    agent.run_job("resources", "external_id_set", json!([item])).await;
    assert_eq!(agent.get(&path_of(&record)).await.data(200)["attributes"]["price"], 2);
    let taken = agent.post(RECORDS, &gum(&json!("7"), &json!({"name": "Gum"}))).await;
    assert_eq!(taken.error(422).1, "External Id is already in use for the Resource Type key: product");
    check_error(&taken, 422, "UnprocessableEntity", "Unprocessable Entity");

    let by_external_id = format!("{RECORDS}?type=product&external_id=7");
    assert_eq!(agent.delete(&by_external_id).await.status, 204);
    check_error(&agent.delete(&by_external_id).await, 404, "NotFound", "Not Found");
    for missing in ["?type=product", "?external_id=7", ""] {
        check_error(&agent.delete(&format!("{RECORDS}{missing}")).await, 400, "BadRequest", "Bad Request");
    }
    // Its id is that of its external id, and comes back with it.
    let again = agent.post(RECORDS, &gum(&json!("7"), &json!({"name": "Gum"}))).await;
    assert_eq!(again.data(201)["id"], record["id"]);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_with_a_key_is_made_once() {
    let home = Home::start().await;
    let (agent, other) = (home.agent().await, home.agent().await);
    agent.define_product().await;
    other.define_product().await;
    let body = gum(&Value::Null, &json!({"name": "Gum"}));
    let answers = join_all((0..6).map(|_| keyed(&agent, "at once", Method::POST, RECORDS, &body))).await;
    let record = answers[0].data(201);
    assert!(answers.iter().all(|answer| answer.data(201) == record), "{answers:?}");
    assert_eq!(count(&agent).await, 1);
    let theirs = keyed(&other, "at once", Method::POST, RECORDS, &body).await.data(201);
    assert_ne!(theirs["id"], record["id"], "another account's key");

    // As it now stands, and not changed again.
    let path = path_of(&record);
    let price = |price: i32| patch(&json!({"price": price}));
    assert_eq!(keyed(&agent, "price", Method::PATCH, &path, &price(1)).await.data(200)["attributes"]["price"], 1);
    assert_eq!(agent.patch(&path, &price(2)).await.data(200)["attributes"]["price"], 2);
    let again = keyed(&agent, "price", Method::PATCH, &path, &price(1)).await;
    assert_eq!(again.data(200)["attributes"]["price"], 2);
    let (code, detail) = keyed(&agent, "price", Method::PATCH, &path, &price(3)).await.error(422);
    assert!(code == "UnprocessableEntity" && detail.contains("Idempotency-Key"), "{code}: {detail}");
    for _ in 0..2 {
        assert_eq!(keyed(&agent, "gone", Method::DELETE, &path, &Value::Null).await.status, 204);
    }
    check_error(&keyed(&agent, "at once", Method::POST, RECORDS, &body).await, 404, "NotFound", "Not Found");
    // Jobs have keys of their own.
    let job = json!({"type": "resources", "action": "delete", "data": ["nothing"]});
    assert_eq!(keyed(&agent, "at once", Method::POST, "/jobs", &job).await.status, 201);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_patches_at_once_each_stands_in_the_end() {
    const WRITERS: usize = 64;
    let home = Home::start().await;
    let agent = home.agent().await;
    let names: Vec<String> = (0..WRITERS).map(|writer| format!("p{writer}")).collect();
    let properties: serde_json::Map<_, _> =
        names.iter().map(|name| (name.clone(), json!({"type": "integer"}))).collect();
    agent.define("product", json!({"properties": properties})).await;
    let path = path_of(&agent.post(RECORDS, &gum(&json!("1"), &json!({}))).await.data(201));
    let patches: Vec<Value> = names.iter().map(|name| patch(&json!({name: 1}))).collect();
    let answers = join_all(patches.iter().map(|patch| agent.patch(&path, patch))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let there = agent.get(&path).await.data(200)["attributes"].clone();
    assert!(names.iter().all(|name| there[name] == 1), "{there}");
    home.stop().await;
}
