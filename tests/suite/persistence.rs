//! A client that does what the contract tells it to when an answer does not come or says that something is down.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tests::{Answer, Client, text};

/// How long it goes on at the most.
const PATIENCE: Duration = Duration::from_mins(5);

/// How long it waits before it asks again.
const PAUSE: Duration = Duration::from_millis(300);

/// Posts a job once. None when no answer came.
pub async fn post_once(agent: &Client, key: &str, body: &Value) -> Option<Answer> {
    let request = agent.request(Method::POST, "/jobs").header("idempotency-key", key).json(body);
    let answer = request.timeout(Duration::from_mins(1)).send().await.ok()?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.ok()?.to_vec();
    Some(Answer { status, headers, body })
}

/// Posts a job with the same key until it is accepted, and answers with its id.
pub async fn post_until_accepted(agent: &Client, key: &str, body: &Value) -> String {
    let trying_since = Instant::now();
    loop {
        let answer = post_once(agent, key, body).await;
        match &answer {
            Some(answer) if answer.status == 201 => return text(&answer.json()["data"]["id"]).to_owned(),
            Some(answer) => assert!(answer.status.is_server_error(), "{answer:?}"),
            None => {}
        }
        assert!(trying_since.elapsed() < PATIENCE, "never accepted: {answer:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks until the answer is a 200, and answers with its `data`.
pub async fn get_until_answered(agent: &Client, path: &str) -> Value {
    let trying_since = Instant::now();
    loop {
        let request = agent.request(Method::GET, path).timeout(Duration::from_mins(1));
        if let Ok(answer) = request.send().await
            && answer.status() == 200
            && let Ok(body) = answer.json::<Value>().await
        {
            return body["data"].clone();
        }
        assert!(trying_since.elapsed() < PATIENCE, "never answered: {path}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks until the job has ended, and answers with it.
pub async fn ended(agent: &Client, id: &str) -> Value {
    let waiting_since = Instant::now();
    loop {
        let job = get_until_answered(agent, &format!("/jobs/{id}")).await;
        if job["completed_at"].is_string() {
            return job;
        }
        assert!(waiting_since.elapsed() < PATIENCE, "the job does not end: {job}");
        tokio::time::sleep(PAUSE).await;
    }
}
