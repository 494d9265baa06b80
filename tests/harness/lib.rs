//! The service as a test sees it: a whole local run of its own, and a client with an account of its own, which knows no
//! more of the service than where it is.

mod calls;
pub mod compressed;
mod crash;
mod deliveries;
mod gate;
pub mod refusals;
pub mod runtime;
mod specification;
pub mod throttle;
mod watch;

use std::time::Duration;

use domain::account::{AccountId, Role};
use domain::clock::Clock;
use domain::time::Timestamp;
use local::queue::LocalQueue;
use local::run::{LocalOptions, LocalRun};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::Store;

pub use crate::calls::{CallBook, Calls};
pub use crate::crash::{LastStep, agreed_writes, crash_after};
pub use crate::deliveries::{Deliveries, Delivery};
pub use crate::gate::{Gate, Way};
pub use crate::watch::{start_watching, watch_for, would_tell};

/// Where every route begins.
pub const BASE: &str = "/api/sunshine";

/// How long a test waits for a job before it gives up.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// A local run in memory, whose clock can be moved forward.
pub struct Home {
    pub run: LocalRun,
    http: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null when there is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The `data` member, of an answer that must have this status.
    ///
    /// # Panics
    /// When the status is another one.
    #[must_use]
    #[track_caller]
    pub fn data(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()["data"].clone()
    }

    /// The header's value, if it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first error's `code` and `detail`, of an answer that must have this status and the contract's shape.
    ///
    /// # Panics
    /// When the status is another one or the body is no error of the contract.
    #[must_use]
    #[track_caller]
    pub fn error(&self, status: u16) -> (String, String) {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        let body = self.json();
        let error = &body["errors"][0];
        assert_eq!(error["status"], status.to_string(), "{body}");
        assert!(error["title"].is_string(), "{body}");
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (text("code"), text("detail"))
    }
}

impl Home {
    /// # Panics
    /// When the local run does not start.
    pub async fn start() -> Self {
        Self::start_with(LocalOptions { clock: Clock::shiftable(), ..LocalOptions::in_memory() }).await
    }

    /// A run whose clock stands still until it is advanced.
    ///
    /// # Panics
    /// When the local run does not start.
    pub async fn start_at(millis: u64) -> Self {
        const SEED: u64 = 7;
        let clock = Clock::manual(Timestamp::from_millis(millis), SEED);
        Self::start_with(LocalOptions { clock, ..LocalOptions::in_memory() }).await
    }

    /// # Panics
    /// When the local run does not start.
    pub async fn start_with(options: LocalOptions) -> Self {
        start_watching();
        let run = LocalRun::start(options).await.expect("the local run starts");
        Self { run, http: reqwest::Client::new() }
    }

    /// An agent of this account, which is made unless it is there.
    ///
    /// # Panics
    /// When `account` is no account id.
    pub async fn agent(&self, account: &str) -> Client {
        self.client_of(account, Role::Agent).await
    }

    /// An agent of the account `acme`.
    pub async fn acme(&self) -> Client {
        self.agent("acme").await
    }

    /// An end user of that account: known, but neither agent nor admin.
    ///
    /// # Panics
    /// When `account` is no account id.
    pub async fn end_user(&self, account: &str) -> Client {
        self.client_of(account, Role::EndUser).await
    }

    async fn client_of(&self, account: &str, role: Role) -> Client {
        let account = AccountId::parse(account).expect("an account id");
        let token = token_of(self.run.store(), &account, role).await;
        Client::new(self.run.base_url(), account, token, self.run.store().clone())
    }

    /// The queue of the run.
    ///
    /// # Panics
    /// When the run uses SQS.
    #[must_use]
    pub fn queue(&self) -> &LocalQueue {
        self.run.queue().expect("a queue of its own")
    }

    /// Waits until nothing is in the queue and nothing is being handled.
    ///
    /// # Panics
    /// When that takes too long, or the queue is closed.
    pub async fn quiet(&self) {
        let waiting_since = tokio::time::Instant::now();
        loop {
            let counts = self.queue().counts().await.expect("counts");
            if counts.visible + counts.in_flight == 0 {
                return;
            }
            assert!(waiting_since.elapsed() < PATIENCE, "the queue does not get empty: {counts:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A request without credentials, for tests that add their own.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.run.base_url()))
    }

    /// Moves the clock of everything that runs.
    pub fn advance(&self, time: Duration) {
        self.run.clock().advance(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }
}

/// Reads an answer to its end.
///
/// # Panics
/// When there is none, or one that the specification does not have.
pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.expect("a request");
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    let answer = client.execute(request).await.expect("an answer");
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.expect("a whole answer").to_vec();
    let answer = Answer { status, headers, body };
    specification::check(&method, &path, &answer);
    answer
}

/// Every route, by its path, and the methods it has beside `HEAD`.
pub const ROUTES: [(&str, &[&str]); 18] = [
    ("/jobs", &["GET", "POST"]),
    ("/jobs/{id}", &["GET"]),
    ("/jobs/{id}/results", &["GET"]),
    ("/jobs/{id}/abort", &["POST"]),
    ("/limits", &["GET"]),
    ("/objects/types", &["GET", "POST"]),
    ("/objects/types/{key}", &["DELETE", "GET", "PUT"]),
    ("/objects/records", &["DELETE", "GET", "PATCH", "POST", "PUT"]),
    ("/objects/records/{id}", &["DELETE", "GET", "PATCH", "PUT"]),
    ("/objects/records/{id}/relationships/{type}", &["GET"]),
    ("/objects/records/{id}/related/{type}", &["GET"]),
    ("/objects/query", &["POST"]),
    ("/objects/types/{key}/permissions", &["GET"]),
    ("/relationships/types", &["GET", "POST"]),
    ("/relationships/types/{key}", &["DELETE", "GET"]),
    ("/relationships/types/{key}/permissions", &["GET"]),
    ("/relationships/records", &["GET", "POST"]),
    ("/relationships/records/{id}", &["DELETE", "GET"]),
];

/// A bearer token of a new user of the account, which is made unless it is there. Logs and errors are searched for it.
///
/// # Panics
/// When the database refuses.
pub async fn token_of(store: &Store, account: &AccountId, role: Role) -> String {
    let token = database::token_of(store, account, role).await;
    watch_for(&token);
    token
}

/// One account's agent, wherever the service runs. Paths are given without [`BASE`].
#[derive(Clone)]
pub struct Client {
    base_url: String,
    http: reqwest::Client,
    pub account: AccountId,
    token: String,
    /// The service's database, to look at what no route shows.
    pub store: Store,
}

impl Client {
    /// An agent of `account` with this bearer token, of the service at `base_url` that keeps everything in `store`.
    #[must_use]
    pub fn new(base_url: String, account: AccountId, token: String, store: Store) -> Self {
        Self { base_url, http: reqwest::Client::new(), account, token, store }
    }

    /// A request with the agent's credentials, for tests that add to it.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.at_root(method, &format!("{BASE}{path}"))
    }

    /// As [`request`](Self::request), with the whole path.
    pub fn at_root(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base_url)).bearer_auth(&self.token)
    }

    /// The agent's bearer token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    /// Follows a link that an answer gave, which is relative to the host.
    ///
    /// # Panics
    /// When it is no text.
    pub async fn follow(&self, link: &Value) -> Answer {
        let path = link.as_str().expect("a link");
        answer(self.at_root(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::PATCH, path).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        answer(self.request(Method::DELETE, path)).await
    }

    /// Defines the object type `product`: `name` (string, required), `price` (number, at least 0), `note` (string).
    pub async fn define_product(&self) {
        let schema = json!({
            "properties": {
                "id": {"type": "string"},
                "name": {"type": "string"},
                "price": {"type": "number", "minimum": 0},
                "note": {"type": "string"},
            },
            "required": ["name"],
        });
        self.define("product", schema).await;
    }

    /// Posts a body as it stands, as JSON.
    pub async fn post_text(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        answer(request.body(body)).await
    }

    /// Defines a relationship type. The target is a string for one-to-one, an array of one for one-to-many.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn define_relationship(&self, key: &str, source: &str, target: Value) {
        let body = json!({"data": {"key": key, "source": source, "target": target}});
        let _ = self.post("/relationships/types", &body).await.data(201);
    }

    /// Defines an object type.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn define(&self, key: &str, schema: Value) {
        let answer = self.post("/objects/types", &json!({"data": {"key": key, "schema": schema}})).await;
        let _ = answer.data(201);
    }

    /// Posts a job and answers with what was answered.
    pub async fn create_job(&self, job_type: &str, action: &str, data: Value) -> Answer {
        self.post("/jobs", &json!({"type": job_type, "action": action, "data": data})).await
    }

    /// Posts a job that must be accepted, waits for its end and answers with it.
    ///
    /// # Panics
    /// When it is refused, or does not end in time.
    pub async fn run_job(&self, job_type: &str, action: &str, data: Value) -> Value {
        let job = self.create_job(job_type, action, data).await.data(201);
        self.wait(job["id"].as_str().expect("an id")).await
    }

    /// As [`run_job`](Self::run_job), with each item as the JSON text that is sent.
    ///
    /// # Panics
    /// When it is refused, or does not end in time.
    pub async fn run_items(&self, job_type: &str, action: &str, items: &[String]) -> Value {
        let items = items.join(",");
        let body = format!(r#"{{"type":"{job_type}","action":"{action}","data":[{items}]}}"#);
        let job = self.post_text("/jobs", body).await.data(201);
        self.wait(job["id"].as_str().expect("an id")).await
    }

    /// Creates products with the external ids `stock-0`, `stock-1` and so on, and answers with their ids.
    ///
    /// # Panics
    /// When one is not created.
    pub async fn stock(&self, count: usize) -> Vec<String> {
        let product = |number| json!({"type": "product", "external_id": format!("stock-{number}"), "attributes": {"name": format!("Stock {number}")}});
        let job = self.run_job("resources", "post", (0..count).map(product).collect()).await;
        let id = |result: &Value| result["data"]["id"].as_str().expect("an id").to_owned();
        job["results"].as_array().expect("results").iter().map(id).collect()
    }

    /// The job as it now stands.
    ///
    /// # Panics
    /// When it cannot be shown.
    pub async fn show(&self, job: &Value) -> Value {
        self.get(&format!("/jobs/{}", text(&job["id"]))).await.data(200)
    }

    pub async fn abort(&self, job: &Value) -> Answer {
        answer(self.request(Method::POST, &format!("/jobs/{}/abort", text(&job["id"])))).await
    }

    /// The object record with this id.
    ///
    /// # Panics
    /// When there is none.
    pub async fn record_of(&self, id: &Value) -> Value {
        self.get(&format!("/objects/records/{}", text(id))).await.data(200)
    }

    /// Waits until some of the job's items have results, and answers with it as it then stands.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn wait_for_progress(&self, id: &str) -> Value {
        let waiting_since = tokio::time::Instant::now();
        loop {
            let job = self.get(&format!("/jobs/{id}")).await.data(200);
            if job["progress"]["processed"] != 0 {
                return job;
            }
            assert!(waiting_since.elapsed() < PATIENCE, "nothing of the job is done: {job}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the job is neither queued nor processing.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn wait(&self, id: &str) -> Value {
        let waiting_since = tokio::time::Instant::now();
        loop {
            let job = self.get(&format!("/jobs/{id}")).await.data(200);
            if !matches!(job["job_status"].as_str(), Some("queued" | "processing")) {
                return job;
            }
            assert!(waiting_since.elapsed() < PATIENCE, "the job does not end: {job}");
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    /// The record with this external id, or null.
    ///
    /// # Panics
    /// When the list is refused.
    pub async fn record(&self, object_type: &str, external_id: &str) -> Value {
        let answer = self.get(&format!("/objects/records?type={object_type}&external_id={external_id}")).await;
        answer.data(200)[0].clone()
    }
}

/// An error is nothing but the contract's members, with the code and title of its status.
///
/// # Panics
/// When it has anything else.
#[track_caller]
pub fn check_error(answer: &Answer, status: u16, code: &str, title: &str) {
    let _ = answer.error(status);
    let body = answer.json();
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(body.as_object().expect("an object").len(), 1, "{body}");
    for error in body["errors"].as_array().expect("errors") {
        let members: Vec<_> = error.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["code", "status", "title", "detail", "message"]);
        assert_eq!(error["message"], error["detail"]);
        assert_eq!((text(&error["code"]), text(&error["title"])), (code, title));
        assert!(!text(&error["detail"]).is_empty());
    }
}

/// A JSON string's text.
///
/// # Panics
/// When it is no string.
#[must_use]
#[track_caller]
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string"))
}

/// The `detail` of the first error of each result, or `done`.
///
/// # Panics
/// When a result is neither a success with an id nor a failure with errors of the contract's shape.
#[must_use]
#[track_caller]
pub fn outcomes(job: &Value) -> Vec<String> {
    let results = job["results"].as_array().expect("results");
    let outcome = |result: &Value| {
        if result["success"] == true {
            assert!(result["data"]["id"].is_string(), "{result}");
            return "done".to_owned();
        }
        assert_eq!(result["success"], false, "{result}");
        let error = &result["errors"][0];
        for member in ["code", "status", "title", "detail"] {
            assert!(error[member].is_string(), "{result}");
        }
        format!("{}: {}", error["code"].as_str().unwrap_or_default(), error["detail"].as_str().unwrap_or_default())
    };
    results.iter().map(outcome).collect()
}
