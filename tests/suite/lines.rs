//! Jobs whose body has an item on each line.

use reqwest::Method;
use tests::{Answer, Client, answer, outcomes, text};

use crate::home::Home;

async fn post(agent: &Client, query: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = agent.request(Method::POST, &format!("/jobs{query}")).header("content-type", "application/x-ndjson");
    answer(request.body(body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_lines_is_a_job() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let line =
        |number: usize| format!(r#"{{"type":"product","external_id":"{number}","attributes":{{"name":"Gum"}}}}"#);
    let lines: Vec<String> = (0..700).map(line).collect();
    let job = post(&agent, "?type=resources&action=post", lines.join("\n")).await.data(201);
    assert_eq!((text(&job["type"]), text(&job["action"])), ("resources", "post"));
    assert_eq!(outcomes(&agent.wait(text(&job["id"])).await), vec!["done"; 700]);
    // Line ends of Windows, blank lines, and a wrong item, which fails alone.
    let body = format!("\u{feff}{}\r\n\r\n  \n7\r\n", line(701));
    let job = post(&agent, "?type=resources&action=external_id_set&max_failures=0", body).await.data(201);
    let ended = agent.wait(text(&job["id"])).await;
    let item = "UnprocessableEntity: item must be an object, not a number";
    assert_eq!(outcomes(&ended), ["done", item]);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_make_no_job_are_named() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let check = async |query: &str, body: String, status: u16, words: &str| {
        let (_, detail) = post(&agent, query, body).await.error(status);
        assert!(detail.contains(words), "{query}: {detail}");
    };
    let known = "?type=resources&action=post";
    check("", "{}".to_owned(), 422, "type is required").await;
    check("?type=resources", "{}".to_owned(), 422, "action is required").await;
    check("?type=resources&action=upsert", "{}".to_owned(), 422, "\"upsert\"").await;
    check(&format!("{known}&max_failures=-1"), "{}".to_owned(), 422, "max_failures must be a whole number").await;
    check(known, String::new(), 422, "must hold at least one item").await;
    check(known, "\n\n".to_owned(), 422, "must hold at least one item").await;
    check(known, "{}\n{}\n{\"type\":".to_owned(), 400, "Line 3 of the body is not JSON: it ends too early").await;
    check(known, "{}\n\n[1] x".to_owned(), 400, "Line 3 of the body is not JSON: see column 5").await;
    check(known, "{}\n".repeat(10_001), 422, "at most 10000 items, not 10001").await;
    assert_eq!(agent.get("/jobs").await.data(200).as_array().map(Vec::len), Some(0));
    // On other routes such a body is none.
    let request = agent.request(Method::POST, "/objects/records").header("content-type", "application/x-ndjson");
    assert_eq!(answer(request.body("{}")).await.error(415).0, "UnsupportedMediaType");
    home.stop().await;
}
