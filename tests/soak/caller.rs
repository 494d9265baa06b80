//! A client that goes on when the service is killed under it.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tests::{Answer, BASE};
use tokio::sync::watch;

/// How long a caller goes on before it gives up: far longer than any outage here lasts.
const PATIENCE: Duration = Duration::from_mins(3);
const PAUSE: Duration = Duration::from_millis(50);
/// The service answers within 30 s, or is dead.
const LONGEST_ANSWER: Duration = Duration::from_secs(40);

/// One account's agent.
#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    token: String,
    address: watch::Receiver<Option<String>>,
}

/// How long somebody has been trying.
pub struct Trying {
    since: Instant,
    what: String,
}

impl Trying {
    pub fn to(what: impl Into<String>) -> Self {
        Self { since: Instant::now(), what: what.into() }
    }

    /// # Panics
    /// When it takes too long.
    pub async fn again_after(&self, pause: Duration) {
        assert!(self.since.elapsed() < PATIENCE, "it takes too long to {}", self.what);
        tokio::time::sleep(pause).await;
    }

    pub async fn again(&self) {
        self.again_after(PAUSE).await;
    }
}

impl Caller {
    pub fn new(token: String, address: watch::Receiver<Option<String>>) -> Self {
        let http = reqwest::Client::builder().timeout(LONGEST_ANSWER).build().expect("a client");
        Self { http, token, address }
    }

    /// Sends a request once. `None` when no whole answer came back: it may have had its effect or not.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
        let mut address = self.address.clone();
        let address =
            address.wait_for(Option::is_some).await.expect("the process is started again each time").clone()?;
        let mut request = self.http.request(method, format!("{address}{BASE}{path}")).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let answer = request.send().await.ok()?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.ok()?.to_vec();
        if status == 503 {
            assert!(headers.contains_key("retry-after"), "a 503 says when to come back: {path}");
        }
        Some(Answer { status, headers, body })
    }

    /// Asks until there is an answer that is not a 503.
    pub async fn settled(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let trying = Trying::to(format!("{method} {path}"));
        loop {
            match self.send(method.clone(), path, headers, body).await {
                Some(answer) if answer.status != 503 => return answer,
                _ => trying.again().await,
            }
        }
    }

    /// The job, when it is neither queued nor processing.
    pub async fn ended(&self, id: &str) -> Value {
        let trying = Trying::to(format!("see the end of job {id}"));
        let mut pause = Duration::from_millis(20);
        loop {
            let job = self.settled(Method::GET, &format!("/jobs/{id}"), &[], "").await.data(200);
            if !matches!(job["job_status"].as_str(), Some("queued" | "processing")) {
                return job;
            }
            trying.again_after(pause).await;
            pause = (pause * 3 / 2).min(Duration::from_millis(300));
        }
    }
}
