//! Create Job: what makes a job, and what does not.

use std::convert::Infallible;

use http_body::Frame;
use http_body_util::StreamBody;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Client, Home, answer, outcomes, text};

/// The contract's table of types and actions.
const OPERATIONS: [(&str, &str); 7] = [
    ("resources", "post"),
    ("resources", "update"),
    ("resources", "external_id_set"),
    ("resources", "delete"),
    ("resources", "external_id_delete"),
    ("relationships", "post"),
    ("relationships", "delete"),
];

async fn check_refused(client: &Client, body: impl Into<reqwest::Body>, status: u16, words: &[&str]) {
    let (code, detail) = client.post_text("/jobs", body).await.error(status);
    assert_eq!(code, if status == 400 { "BadRequest" } else { "UnprocessableEntity" });
    for word in words {
        assert!(detail.contains(word), "{detail:?} says {word:?}");
    }
}

/// Neither a job nor a message came of what was refused.
async fn check_no_trace(home: &Home, client: &Client) {
    assert_eq!(client.get("/jobs").await.data(200), json!([]));
    assert_eq!(client.active_jobs().await, 0);
    let counts = home.queue().counts().await.expect("counts");
    assert_eq!(counts.visible + counts.in_flight + counts.dead, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_json_object_is_a_400() {
    let home = Home::start().await;
    let acme = home.acme().await;
    for body in [
        "",
        " ",
        "{",
        "nonsense",
        "{\"type\":\"resources\"",
        "{'type':'resources'}",
        "{} {}",
        "\u{feff}",
        "\u{feff}\u{feff}{}",
        " \u{feff}{}",
    ] {
        check_refused(&acme, body, 400, &["not JSON"]).await;
    }
    check_refused(&acme, &b"{\"type\":\"\xff\"}"[..], 400, &["UTF-8"]).await;
    for (body, kind) in [("[]", "an array"), ("null", "null"), ("7", "a number"), ("\"x\"", "a string")] {
        check_refused(&acme, body, 400, &["object", kind]).await;
    }
    check_no_trace(&home, &acme).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn type_action_and_data_have_to_be_there_and_of_the_right_kind() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let whole = json!({"type": "resources", "action": "post", "data": [{}]});
    for member in ["type", "action", "data"] {
        let mut without = whole.clone();
        without.as_object_mut().expect("an object").shift_remove(member);
        check_refused(&acme, without.to_string(), 422, &[member, "required"]).await;
        for wrong in [json!(null), json!(7), json!(true), json!({}), json!({"length": 1})] {
            let mut with = whole.clone();
            with[member] = wrong;
            check_refused(&acme, with.to_string(), 422, &[member]).await;
        }
    }
    for (member, wrong) in [("type", json!(["resources"])), ("action", json!(["post"])), ("data", json!("[]"))] {
        let mut with = whole.clone();
        with[member] = wrong;
        check_refused(&acme, with.to_string(), 422, &[member]).await;
    }
    check_refused(&acme, "{}", 422, &["required"]).await;
    let mut empty = whole;
    empty["data"] = json!([]);
    check_refused(&acme, empty.to_string(), 422, &["data", "at least one"]).await;
    check_no_trace(&home, &acme).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_outside_the_table_is_refused_and_each_pair_inside_makes_a_job() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let body = |job_type: &str, action: &str| json!({"type": job_type, "action": action, "data": [{}]}).to_string();
    for job_type in ["resources", "relationships", "Resources", "resource", "records", ""] {
        for action in ["post", "update", "external_id_set", "delete", "external_id_delete", "patch", "POST", ""] {
            if !OPERATIONS.contains(&(job_type, action)) {
                check_refused(&acme, body(job_type, action), 422, &[]).await;
            }
        }
    }
    check_no_trace(&home, &acme).await;
    for (job_type, action) in OPERATIONS {
        let job = acme.post_text("/jobs", body(job_type, action)).await.data(201);
        assert_eq!((text(&job["type"]), text(&job["action"])), (job_type, action));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_nobody_uses_are_ignored() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let body = r#" {"ignored": {"deep": [1, {}]}, "\ud800": "no text", "data" : [
        {"attributes": {"name": "Gum"}, "type": "product", "id": 7, "created_at": [], "\udc00": 1, "external_id": null}
    ], "job_status": "completed", "action": "post", "type": "resources"} "#;
    let job = acme.post_text("/jobs", body).await.data(201);
    let job = acme.wait(text(&job["id"])).await;
    assert_eq!(outcomes(&job), ["done"]);
    let record = acme.record_of(&job["results"][0]["data"]["id"]).await;
    assert_eq!(record["external_id"], Value::Null);
    assert_ne!(record["id"], json!(7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_is_the_queued_job_and_says_where_it_is() {
    let home = Home::start().await;
    let acme = home.acme().await;
    home.run.poller().pause();
    let answer = acme.create_job("resources", "post", json!([{}, {}])).await;
    let job = answer.data(201);
    assert_eq!(job["job_status"], "queued");
    assert_eq!(job["results"], json!([]));
    assert_eq!(job["completed_at"], Value::Null);
    assert_eq!(job["updated_at"], job["created_at"]);
    assert_eq!(job["progress"], json!({"total": 2, "processed": 0, "succeeded": 0, "failed": 0}));
    let location = answer.header("location").expect("Location");
    assert_eq!(location, format!("/api/sunshine/jobs/{}", text(&job["id"])));
    assert_eq!(acme.follow(&json!(location)).await.data(200), job);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_has_at_most_10000_items() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let of = |count: usize| json!({"type": "resources", "action": "post", "data": vec![json!({}); count]}).to_string();
    check_refused(&acme, of(10_001), 422, &["10000", "10001"]).await;
    check_no_trace(&home, &acme).await;

    let job = acme.post_text("/jobs", of(10_000)).await.data(201);
    let job = acme.wait(text(&job["id"])).await;
    assert_eq!(job["progress"], json!({"total": 10_000, "processed": 10_000, "succeeded": 0, "failed": 10_000}));
    let outcomes = outcomes(&job);
    assert_eq!(outcomes.len(), 10_000);
    assert!(outcomes.iter().all(|outcome| outcome.starts_with("UnprocessableEntity: type is required")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_has_at_most_6000000_bytes() {
    static PIECE: [u8; 100_000] = [b' '; 100_000];

    let home = Home::start().await;
    let acme = home.acme().await;
    let body = json!({"type": "resources", "action": "post", "data": [{}]}).to_string();
    let padded = |bytes: usize| format!("{body}{}", " ".repeat(bytes - body.len()));

    let (code, detail) = acme.post_text("/jobs", padded(6_000_001)).await.error(413);
    assert_eq!(code, "PayloadTooLarge");
    assert!(detail.contains("6000000"), "{detail}");
    // The same when its length is not said beforehand.
    let pieces = futures_util::stream::iter((0..61).map(|_| Ok::<_, Infallible>(Frame::data(&PIECE[..]))));
    let stream = reqwest::Body::wrap(StreamBody::new(pieces));
    let detail = answer(acme.request(Method::POST, "/jobs").body(stream)).await.error(413).1;
    assert!(detail.contains("6000000"), "{detail}");
    check_no_trace(&home, &acme).await;

    assert_eq!(acme.post_text("/jobs", padded(6_000_000)).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_item_never_fails_the_request() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let anything = [
        "null",
        "true",
        "7",
        "1e400",
        "\"\"",
        "[]",
        "{}",
        "[[[]]]",
        "\"\\ud800\"",
        r#"{"\ud800":{}}"#,
        r#"{"type":"product","type":7}"#,
    ]
    .map(str::to_owned);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let items: Vec<_> = anything.into_iter().chain([deep]).collect();
    for (job_type, action) in OPERATIONS {
        let job = acme.run_items(job_type, action, &items).await;
        assert_eq!(job["job_status"], "completed");
        let outcomes = outcomes(&job);
        assert_eq!(outcomes.len(), items.len());
        for (item, outcome) in items.iter().zip(outcomes) {
            let expected = ["UnprocessableEntity: ", "NotFound: "];
            assert!(expected.iter().any(|code| outcome.starts_with(code)), "{action} {item:.80}: {outcome}");
        }
    }
}
