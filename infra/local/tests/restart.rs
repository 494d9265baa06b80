//! The program itself, killed in the middle of its work and started again on the same data.
#![cfg(unix)]

mod program;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::program::Program;

/// Seconds of work, so that it can be killed in the middle.
const JOBS: usize = 10;
const ITEMS: usize = 1_000;
/// How often it is tried to see one in the middle.
const ROUNDS: usize = 5;
const PATIENCE: Duration = Duration::from_mins(2);

/// A client of the program, which may be killed and started again under it.
struct Client<'test> {
    program: Program,
    data: &'test Path,
}

impl<'test> Client<'test> {
    fn start(data: &'test Path) -> Self {
        Self { program: start(data), data }
    }

    /// `kill -9`, and once more as soon as it is up again, while what was in flight is being redelivered.
    fn kill_twice_and_start(self) -> Self {
        drop(self.program);
        drop(start(self.data));
        Self::start(self.data)
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None, 200).await
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.call(Method::POST, path, Some(body), 201).await
    }

    /// As a client that heeds a 503: on a busy machine the database may answer too late, and then nothing was done.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>, status: u16) -> Value {
        let since = Instant::now();
        loop {
            let mut request = self.program.request(method.clone(), path);
            if let Some(body) = body {
                request = request.json(body);
            }
            let answer = request.send().await.expect("an answer");
            if answer.status() == 503 && since.elapsed() < PATIENCE {
                assert!(answer.headers().contains_key("retry-after"), "{path}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            assert_eq!(answer.status(), status, "{path}");
            return answer.json().await.expect("JSON");
        }
    }

    async fn job(&self, id: &str) -> Value {
        self.get(&format!("/jobs/{id}")).await["data"].clone()
    }

    async fn accepted(&self, action: &str, items: &[Value]) -> String {
        let body = json!({"type": "resources", "action": action, "data": items});
        self.post("/jobs", &body).await["data"]["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until some of these jobs' items are recorded. Whether others are not, as far as it saw: a machine may be so
    /// fast, or this test so slow on it, that the middle went by unseen.
    async fn is_in_the_middle_of(&self, ids: &[String]) -> bool {
        let since = Instant::now();
        loop {
            let mut processed = 0;
            for status in ["processing", "completed"] {
                let jobs = self.get(&format!("/jobs?status={status}")).await;
                let jobs = jobs["data"].as_array().expect("a list");
                let ours = jobs.iter().filter(|job| ids.iter().any(|id| job["id"] == **id));
                processed += ours.filter_map(|job| job["progress"]["processed"].as_u64()).sum::<u64>();
            }
            if processed > 0 {
                return processed < (JOBS * ITEMS) as u64;
            }
            assert!(since.elapsed() < PATIENCE, "nothing is processed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for the end of every job, in which every item must have succeeded.
    async fn assert_all_succeed(&self, ids: &[String]) {
        let since = Instant::now();
        for id in ids {
            loop {
                let job = self.job(id).await;
                if job["completed_at"].is_string() {
                    assert_eq!(job["job_status"], "completed", "{job}");
                    assert_eq!(job["progress"]["succeeded"], ITEMS);
                    let results = job["results"].as_array().expect("results");
                    assert_eq!(results.len(), ITEMS);
                    let failed = results.iter().find(|result| result["success"] != true);
                    assert!(failed.is_none(), "{failed:?}");
                    break;
                }
                assert!(since.elapsed() < PATIENCE, "the job does not end: {}", job["progress"]);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// The external ids and ids of every record, each of which may be listed once.
    async fn records(&self) -> HashSet<(String, String)> {
        let mut records = HashSet::new();
        let mut path = "/objects/records?type=product".to_owned();
        loop {
            let page = self.get(&path).await;
            for record in page["data"].as_array().expect("a list") {
                let text = |member: &str| record[member].as_str().expect("text").to_owned();
                assert!(records.insert((text("external_id"), text("id"))), "listed twice: {record}");
            }
            match page["links"]["next"].as_str().and_then(|next| next.strip_prefix("/api/sunshine")) {
                Some(next) => next.clone_into(&mut path),
                None => return records,
            }
        }
    }
}

fn start(data: &Path) -> Program {
    Program::start(&["--data", data.to_str().expect("UTF-8")])
}

/// Jobs that create, and then jobs that delete, are killed in the middle twice each. A create that was applied a second
/// time would find its external id taken, and a delete would find nothing: every item says that it succeeded once.
#[tokio::test]
async fn what_was_accepted_before_a_kill_runs_once_to_its_end() {
    let data = tempfile::tempdir().expect("a directory");
    let mut client = Client::start(data.path());
    let schema = json!({"properties": {"name": {"type": "string"}}, "required": ["name"]});
    client.post("/objects/types", &json!({"data": {"key": "product", "schema": schema}})).await;

    // A delete ignores the attributes.
    let item =
        |external_id: &str| json!({"type": "product", "external_id": external_id, "attributes": {"name": "gum"}});
    let actions = [("post", JOBS * ITEMS), ("external_id_delete", 0)];
    let mut killed_in_the_middle = HashSet::new();
    for _ in 0..ROUNDS {
        for (action, left) in actions {
            let jobs = (0..JOBS).map(|job| {
                let items: Vec<Value> = (0..ITEMS).map(|number| item(&format!("{job}-{number}"))).collect();
                let client = &client;
                async move { client.accepted(action, &items).await }
            });
            let ids = join_all(jobs).await;
            if client.is_in_the_middle_of(&ids).await {
                client = client.kill_twice_and_start();
                killed_in_the_middle.insert(action);
            }
            client.assert_all_succeed(&ids).await;
            assert_eq!(client.records().await.len(), left);
            assert_eq!(client.get("/limits").await["data"][0]["count"], left);
        }
        if killed_in_the_middle.len() == actions.len() {
            break;
        }
    }
    assert_eq!(killed_in_the_middle.len(), actions.len(), "it was never seen in the middle: {killed_in_the_middle:?}");
    assert_eq!(client.get("/jobs?status=processing").await["data"], json!([]));
    let (status, _, _) = client.program.end_with("TERM");
    assert_eq!(status.code(), Some(0));
}

/// A restart counts nothing: whoever is killed again and again with healthy work in flight loses none of it to the dead letters,
/// where five receives that failed would have brought it.
#[tokio::test]
async fn forty_kills_at_any_moment_end_no_healthy_job_as_failed() {
    const KILLS: u64 = 40;
    let data = tempfile::tempdir().expect("a directory");
    let mut client = Client::start(data.path());
    let schema = json!({"properties": {"name": {"type": "string"}}});
    client.post("/objects/types", &json!({"data": {"key": "product", "schema": schema}})).await;
    let items: Vec<Value> = (0..ITEMS).map(|_| json!({"type": "product", "attributes": {"name": "gum"}})).collect();
    let mut ids = Vec::new();
    for kill in 0..KILLS {
        for _ in 0..2 {
            ids.push(client.accepted("post", &items).await);
        }
        // From none to 1.6 s, in no order.
        tokio::time::sleep(Duration::from_millis(kill * 617 % KILLS * 40)).await;
        drop(client.program);
        client = Client::start(data.path());
    }
    client.assert_all_succeed(&ids).await;
    assert_eq!(client.get("/jobs?status=failed").await["data"], json!([]));
    // What is counted of the records is what there is.
    assert_eq!(client.get("/limits").await["data"][0]["count"], ids.len() * ITEMS);
}

#[tokio::test]
async fn a_signal_ends_it_in_time_even_at_work_and_it_says_once_that_it_is_ready() {
    for signal in ["TERM", "INT"] {
        let data = tempfile::tempdir().expect("a directory");
        let client = Client::start(data.path());
        let items = vec![json!({"type": "product", "attributes": {}}); 1_000];
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(client.accepted("post", &items).await);
        }
        let (status, time, output) = client.program.end_with(signal);
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(time < Duration::from_secs(5), "{signal}: {time:?}");
        assert!(!output.iter().any(|line| line.starts_with("ready on ")), "{output:?}");
        assert!(output.iter().any(|line| line.starts_with("curl ")), "{output:?}");

        // What it left behind is finished by the next run.
        let client = Client::start(data.path());
        for id in &ids {
            while client.job(id).await["completed_at"].is_null() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(client.job(id).await["progress"]["failed"], 1_000);
        }
    }
}
