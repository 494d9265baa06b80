//! What is refused, and how: each status of the contract, in its shape.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use tests::compressed::{gzip, zlib, zstd};
use tests::{BASE, Client, ROUTES, answer, check_error, text};

use crate::home::{Home, fresh_name};

/// Every route, with ids that lead nowhere, and the methods it has.
fn routes() -> Vec<(String, BTreeSet<&'static str>)> {
    let filled = |path: &str| path.replace("{id}", "00000000-0000-8000-8000-000000000000").replace("{key}", "nothing");
    let methods = |methods: &'static [&'static str]| {
        let head = methods.contains(&"GET").then_some("HEAD");
        methods.iter().copied().chain(head).collect()
    };
    ROUTES.into_iter().map(|(path, known)| (filled(path).replace("{type}", "nothing"), methods(known))).collect()
}

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// 32 MiB, which a body may have once it is decompressed.
const MOST_DECOMPRESSED: usize = 32 * 1024 * 1024;

fn method(name: &str) -> Method {
    name.parse().expect("a method")
}

async fn assert_no_job(agent: &Client) {
    assert_eq!(agent.get("/jobs").await.data(200), json!([]));
    assert_eq!(agent.active_jobs().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_job_is_a_400_or_a_422_and_leaves_no_trace() {
    let home = Home::start().await;
    let agent = home.agent().await;
    for body in ["", "{", "[]", "nonsense"] {
        check_error(&agent.post_text("/jobs", body).await, 400, "BadRequest", "Bad Request");
    }
    for path in ["/jobs?status=done", "/jobs?per_page=0", "/jobs?cursor=nonsense", "/objects/records"] {
        check_error(&agent.get(path).await, 400, "BadRequest", "Bad Request");
    }
    for body in [
        json!({}),
        json!({"type": "resources", "action": "post", "data": []}),
        json!({"type": "relationships", "action": "update", "data": [{}]}),
        json!({"type": "resources", "action": "delete", "data": vec!["x"; 10_001]}),
    ] {
        check_error(&agent.post("/jobs", &body).await, 422, "UnprocessableEntity", "Unprocessable Entity");
    }
    assert_no_job(&agent).await;
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_known_gets_the_same_401_everywhere() {
    let home = Home::start().await;
    for credentials in [None, Some("Bearer wrong"), Some("Basic"), Some("nonsense")] {
        for (route, _) in routes().into_iter().chain([("/nowhere".to_owned(), BTreeSet::new())]) {
            let request = home.request(Method::GET, &format!("{BASE}{route}"));
            let request = match credentials {
                // Somebody else each time: nobody's password is tried often.
                Some("Basic") => request.basic_auth(format!("{}@example.com", fresh_name("nobody")), Some("wrong")),
                _ => credentials.into_iter().fold(request, |request, it| request.header("authorization", it)),
            };
            let answer = answer(request).await;
            assert_eq!(answer.status, 401, "{credentials:?} {route}");
            assert_eq!(answer.body, br#"{"error":"Couldn't authenticate you"}"#, "{credentials:?} {route}");
            assert_eq!(answer.header("www-authenticate"), Some("Basic"), "{credentials:?} {route}");
            assert_eq!(
                answer.header("content-type"),
                Some("application/json; charset=utf-8"),
                "{credentials:?} {route}"
            );
        }
    }
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_a_404_whoever_else_has_it() {
    let home = Home::start().await;
    let (agent, other) = (home.agent().await, home.agent().await);
    other.define_product().await;
    let theirs = other.run_job("resources", "post", json!([{"type": "product", "attributes": {"name": "Gum"}}])).await;
    let (job, record) = (text(&theirs["id"]), text(&theirs["results"][0]["data"]["id"]));
    for path in [
        "/nowhere".to_owned(),
        "/jobs//".to_owned(),
        "/jobs/none".to_owned(),
        "/objects/types/product".to_owned(),
        "/relationships/records/none".to_owned(),
        format!("/jobs/{job}"),
        format!("/objects/records/{record}"),
    ] {
        check_error(&agent.get(&path).await, 404, "NotFound", "Not Found");
    }
    check_error(&agent.abort(&theirs).await, 404, "NotFound", "Not Found");
    assert_eq!(other.show(&theirs).await, theirs);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_a_route_does_not_have_is_a_405_that_says_exactly_which_it_has() {
    let home = Home::start().await;
    let agent = home.agent().await;
    for (route, allowed) in routes() {
        for verb in METHODS.into_iter().filter(|verb| !allowed.contains(verb)) {
            let answer = answer(agent.request(method(verb), &route)).await;
            assert_eq!(answer.status, 405, "{verb} {route}: {}", String::from_utf8_lossy(&answer.body));
            check_error(&answer, 405, "MethodNotAllowed", "Method Not Allowed");
            let said: BTreeSet<&str> = answer.header("allow").expect("Allow").split(',').map(str::trim).collect();
            assert_eq!(said, allowed, "{verb} {route}");
        }
    }
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_has_ended_is_not_aborted() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let job = agent.run_job("resources", "post", json!([{}])).await;
    check_error(&agent.abort(&job).await, 409, "Conflict", "Conflict");
    assert_eq!(agent.show(&job).await, job);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_a_413_that_names_the_limit() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let large = agent.post_text("/jobs", " ".repeat(6_000_001)).await;
    check_error(&large, 413, "PayloadTooLarge", "Payload Too Large");
    assert!(large.error(413).1.contains("6000000"), "{}", large.error(413).1);
    let bomb = vec![b' '; MOST_DECOMPRESSED + 1];
    for (encoding, body) in [("gzip", gzip(&bomb)), ("deflate", zlib(&bomb)), ("zstd", zstd(&bomb))] {
        let answer = answer(agent.request(Method::POST, "/jobs").header("content-encoding", encoding).body(body)).await;
        check_error(&answer, 413, "PayloadTooLarge", "Payload Too Large");
        assert!(answer.error(413).1.contains("33554432"), "{encoding}: {}", answer.error(413).1);
    }
    assert_no_job(&agent).await;
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_not_said_to_be_json_is_a_415() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let body = json!({"type": "resources", "action": "post", "data": [{}]}).to_string();
    for content_type in ["text/plain", "application/octet-stream", "multipart/form-data"] {
        let request = agent.request(Method::POST, "/jobs").header("content-type", content_type).body(body.clone());
        check_error(&answer(request).await, 415, "UnsupportedMediaType", "Unsupported Media Type");
    }
    assert_no_job(&agent).await;
    for content_type in ["application/json; charset=utf-8", "application/merge-patch+json"] {
        let request = agent.request(Method::POST, "/jobs").header("content-type", content_type).body(body.clone());
        assert_eq!(answer(request).await.status, 201, "{content_type}");
    }
    home.stop().await;
}
