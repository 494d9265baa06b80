//! What another account has does not exist: no answer of any route tells it from what never was.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, Client, Home, answer, text};

/// Cases of the property. Each asks for one thing of acme, and for one that never was.
const CASES: u32 = 600;

/// What acme has, and an id of the same shape that nobody has.
#[derive(Clone, Debug)]
struct Thing {
    kind: &'static str,
    id: String,
    never: String,
}

/// An account that has one of everything.
async fn everything(acme: &Client) -> Vec<Thing> {
    acme.define_product().await;
    acme.define("secret-type", json!({"properties": {"name": {"type": "string"}}})).await;
    acme.define_relationship("likes", "product", json!(["product"])).await;
    let ids = acme.stock(2).await;
    let likes = json!([{"relationship_type": "likes", "source": ids[0], "target": ids[1]}]);
    let related = acme.run_job("relationships", "post", likes).await;
    let failed = acme.run_job("resources", "post", json!([{"type": "nothing", "attributes": {}}])).await;
    let thing = |kind, id: &str, never: &str| Thing { kind, id: id.to_owned(), never: never.to_owned() };
    let uuid = "0190163d-8694-8000-8000-00000000000";
    vec![
        thing("job", text(&related["id"]), "0190163d-8694-7000-8000-000000000000"),
        thing("job", text(&failed["id"]), "0190163d-8694-7000-8000-000000000001"),
        thing("record", &ids[0], &format!("{uuid}0")),
        thing("record", &ids[1], &format!("{uuid}1")),
        thing("relationship", text(&related["results"][0]["data"]["id"]), &format!("{uuid}2")),
        thing("object type", "secret-type", "unseen-type"),
        thing("object type", "product", "produce"),
        thing("relationship type", "likes", "lakes"),
        thing("external id", "stock-0", "stocc-0"),
    ]
}

/// A request that names an id, wherever an id can be named.
#[derive(Clone, Copy, Debug)]
struct Naming {
    method: &'static str,
    /// `<id>` is the id.
    path: &'static str,
    body: Option<&'static str>,
}

const NAMINGS: [Naming; 44] = {
    const fn at(method: &'static str, path: &'static str) -> Naming {
        Naming { method, path, body: None }
    }
    const fn with(method: &'static str, path: &'static str, body: &'static str) -> Naming {
        Naming { method, path, body: Some(body) }
    }
    [
        at("GET", "/jobs/<id>"),
        at("POST", "/jobs/<id>/abort"),
        at("GET", "/objects/types/<id>"),
        with("PUT", "/objects/types/<id>", r#"{"data":{"schema":{"properties":{"a":{"type":"string"}}}}}"#),
        at("DELETE", "/objects/types/<id>"),
        at("GET", "/objects/records/<id>"),
        at("GET", "/objects/records?ids=<id>"),
        at("GET", "/objects/records?type=<id>"),
        at("GET", "/objects/records?type=product&external_id=<id>"),
        at("GET", "/objects/records?type=product&external_ids=<id>"),
        with("POST", "/objects/records", r#"{"data":{"type":"<id>","attributes":{}}}"#),
        with("PATCH", "/objects/records", r#"{"data":{"type":"<id>","external_id":"x","attributes":{}}}"#),
        with("PATCH", "/objects/records/<id>", r#"{"data":{"attributes":{"name":"theirs"}}}"#),
        with("PUT", "/objects/records/<id>", r#"{"data":{"attributes":{}}}"#),
        at("DELETE", "/objects/records/<id>"),
        at("DELETE", "/objects/records?type=<id>&external_id=x"),
        at("DELETE", "/objects/records?type=product&external_id=<id>"),
        at("GET", "/relationships/types/<id>"),
        at("DELETE", "/relationships/types/<id>"),
        at("GET", "/relationships/records/<id>"),
        at("GET", "/relationships/records?type=<id>"),
        at("GET", "/jobs?cursor=<id>"),
        at("GET", "/objects/types?cursor=<id>"),
        with("POST", "/relationships/types", r#"{"data":{"key":"mine","source":"<id>","target":"<id>"}}"#),
        with("POST", "/jobs", r#"{"type":"resources","action":"post","data":[{"type":"<id>","attributes":{}}]}"#),
        with("POST", "/jobs", r#"{"type":"resources","action":"update","data":[{"id":"<id>","attributes":{"a":1}}]}"#),
        with("POST", "/jobs", r#"{"type":"resources","action":"delete","data":["<id>"]}"#),
        with(
            "POST",
            "/jobs",
            r#"{"type":"resources","action":"external_id_delete","data":[{"type":"product","external_id":"<id>"}]}"#,
        ),
        with(
            "POST",
            "/jobs",
            r#"{"type":"resources","action":"external_id_set","data":[{"type":"<id>","external_id":"x","attributes":{}}]}"#,
        ),
        with("POST", "/jobs", r#"{"type":"relationships","action":"delete","data":["<id>"]}"#),
        with(
            "POST",
            "/jobs",
            r#"{"type":"relationships","action":"post","data":[{"relationship_type":"<id>","source":"x","target":"y"}]}"#,
        ),
        with(
            "POST",
            "/jobs",
            r#"{"type":"relationships","action":"post","data":[{"relationship_type":"own","source":"<id>","target":"<id>"}]}"#,
        ),
        at("GET", "/objects/records/<id>/relationships/likes"),
        at("GET", "/objects/records/<id>/related/likes"),
        at("GET", "/objects/records/<id>/relationships/own"),
        at("GET", "/objects/records/<id>/related/own"),
        at("GET", "/objects/records/zen:user:1/related/<id>"),
        at("GET", "/objects/types/<id>/permissions"),
        at("GET", "/relationships/types/<id>/permissions"),
        at("DELETE", "/relationships/records/<id>"),
        with(
            "POST",
            "/relationships/records",
            r#"{"data":{"relationship_type":"<id>","source":"zen:user:1","target":"x"}}"#,
        ),
        with(
            "POST",
            "/relationships/records",
            r#"{"data":{"relationship_type":"own","source":"<id>","target":"<id>"}}"#,
        ),
        at("GET", "/jobs/<id>/abort"),
        at("DELETE", "/jobs/<id>"),
    ]
};

/// A number that no two answers share, and everything else.
fn comparable(answer: &Answer, id: &str) -> (u16, BTreeMap<String, String>, String) {
    let own = ["x-request-id", "date", "x-rate-limit-remaining", "content-length"];
    let headers = answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
    (answer.status.as_u16(), headers.collect(), String::from_utf8_lossy(&answer.body).replace(id, "<id>"))
}

/// What is answered, and where a job is made of it, what comes of the job.
async fn asked(client: &Client, naming: Naming, id: &str) -> (u16, BTreeMap<String, String>, String) {
    let method: Method = naming.method.parse().expect("a method");
    let mut request = client.request(method, &naming.path.replace("<id>", id));
    if let Some(body) = naming.body {
        request = request.header("content-type", "application/json").body(body.replace("<id>", id));
    }
    let first = answer(request).await;
    if first.status != 201 || naming.path != "/jobs" {
        return comparable(&first, id);
    }
    let job = client.wait(text(&first.json()["data"]["id"])).await;
    // Its own id and times are its own.
    let outcome = json!([job["job_status"], job["progress"], job["results"]]);
    (201, BTreeMap::new(), outcome.to_string().replace(id, "<id>"))
}

async fn rows_of(acme: &Client, things: &[Thing]) -> Value {
    let mut seen = Vec::new();
    for path in ["/jobs", "/objects/types", "/relationships/types", "/objects/records?type=product"] {
        seen.push(acme.get(path).await.data(200));
    }
    for thing in things.iter().filter(|thing| thing.kind == "relationship") {
        seen.push(acme.get(&format!("/relationships/records/{}", thing.id)).await.data(200));
    }
    json!(seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_account_has_is_answered_like_what_never_was() {
    let home = Home::start().await;
    let (acme, other) = (home.acme().await, home.agent("other").await);
    let mut things = everything(&acme).await;
    let next = acme.get("/jobs?per_page=1").await.json()["links"]["next"].clone();
    let cursor = text(&next).rsplit_once("cursor=").expect("a cursor").1.to_owned();
    // One that never was, of the same length, and the same at its beginning, which is as much as an answer repeats.
    let (start, end) = cursor.split_at(cursor.len() - 2);
    let never = format!(
        "{start}{}",
        end.to_uppercase().chars().rev().map(|it| if it == 'A' { 'B' } else { 'A' }).collect::<String>()
    );
    things.push(Thing { kind: "cursor", id: cursor, never });
    // The other account has types of its own, so that what names them gets as far as it can.
    other.define_product().await;
    other.define_relationship("own", "product", json!(["product"])).await;
    let before = rows_of(&acme, &things).await;

    let cases = (prop::sample::select(things.clone()), prop::sample::select(NAMINGS.to_vec()));
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let handle = tokio::runtime::Handle::current();
    #[expect(clippy::result_large_err, reason = "it is the case that failed")]
    let run = tokio::task::block_in_place(|| {
        runner.run(&cases, |(thing, naming)| {
            // The other account has a type of this name too; that is its own.
            prop_assume!(thing.id != "product");
            let theirs = handle.block_on(asked(&other, naming, &thing.id));
            let nobodys = handle.block_on(asked(&other, naming, &thing.never));
            prop_assert_eq!(theirs, nobodys, "{} {} with the {} {}", naming.method, naming.path, thing.kind, thing.id);
            Ok(())
        })
    });
    run.expect("the same answers");
    assert_eq!(rows_of(&acme, &things).await, before, "nothing of acme's was changed");
}

/// One key in two accounts is two keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_is_of_one_account() {
    let home = Home::start().await;
    let mut ids = Vec::new();
    for account in ["acme", "other"] {
        let client = home.agent(account).await;
        let body = json!({"type": "resources", "action": "delete", "data": [account]});
        let request = client.request(Method::POST, "/jobs").header("idempotency-key", "the same").json(&body);
        ids.push(answer(request).await.data(201)["id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
}
