//! The program itself, killed in the middle of its work and started again on the same data.
#![cfg(unix)]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

const JOBS: usize = 8;
const ITEMS: usize = 500;
const PATIENCE: Duration = Duration::from_mins(2);

/// The program, running.
struct Program {
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
    base_url: String,
    http: reqwest::Client,
}

impl Program {
    /// Starts it and waits until it says that it is ready, which is the first thing it says.
    fn start(data: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sundial-local"))
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut output = BufReader::new(process.stdout.take().expect("its output")).lines();
        let first = output.next().expect("a line").expect("text");
        let base_url = first.strip_prefix("ready on ").unwrap_or_else(|| panic!("{first}")).to_owned();
        assert!(base_url.starts_with("http://127.0.0.1:"), "{first}");
        Self { process, output, base_url, http: reqwest::Client::new() }
    }

    /// `kill -9`.
    fn kill(mut self) {
        self.process.kill().expect("a process");
        self.process.wait().expect("its end");
    }

    /// Sends a signal by name, and answers with how the program ended, after how long, and what else it had said.
    fn end_with(mut self, signal: &str) -> (ExitStatus, Duration, Vec<String>) {
        let started = Instant::now();
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.process.id().to_string()]).status();
        assert!(sent.expect("kill").success());
        let status = self.process.wait().expect("its end");
        (status, started.elapsed(), self.output.map(|line| line.expect("text")).collect())
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/api/sunshine{path}", self.base_url);
        let mut request = self.http.request(method, url).bearer_auth("local-token");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.call(Method::POST, path, Some(body)).await;
        assert_eq!(status, 201, "{path}: {body}");
        body
    }

    async fn job(&self, id: &str) -> Value {
        self.get(&format!("/jobs/{id}")).await["data"].clone()
    }

    async fn accepted(&self, action: &str, items: &[Value]) -> String {
        let body = json!({"type": "resources", "action": action, "data": items});
        self.post("/jobs", body).await["data"]["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until some of these jobs' items are recorded and others are not.
    async fn wait_for_the_middle(&self, ids: &[String]) {
        let since = Instant::now();
        loop {
            let mut processed = 0;
            for id in ids {
                processed += self.job(id).await["progress"]["processed"].as_u64().expect("a number");
            }
            assert!(processed < (JOBS * ITEMS) as u64, "it was too fast to be killed in the middle");
            if processed > 0 {
                return;
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

/// Jobs that create, and then jobs that delete, are killed in the middle twice each. A create that was applied a second
/// time would find its external id taken, and a delete would find nothing: every item says that it succeeded once.
#[tokio::test]
async fn what_was_accepted_before_a_kill_runs_once_to_its_end() {
    let data = tempfile::tempdir().expect("a directory");
    let mut program = Program::start(data.path());
    let schema = json!({"properties": {"name": {"type": "string"}}, "required": ["name"]});
    program.post("/objects/types", json!({"data": {"key": "product", "schema": schema}})).await;

    let external_id = |job: usize, number: usize| format!("{job}-{number}");
    let create = |job: usize, number: usize| {
        json!({"type": "product", "external_id": external_id(job, number), "attributes": {"name": "gum"}})
    };
    let delete = |job: usize, number: usize| json!({"type": "product", "external_id": external_id(job, number)});
    let steps: [(&str, &dyn Fn(usize, usize) -> Value, usize); 2] =
        [("post", &create, JOBS * ITEMS), ("external_id_delete", &delete, 0)];
    for (action, item, left) in steps {
        let mut ids = Vec::new();
        for job in 0..JOBS {
            let items: Vec<Value> = (0..ITEMS).map(|number| item(job, number)).collect();
            ids.push(program.accepted(action, &items).await);
        }
        program.wait_for_the_middle(&ids).await;
        program.kill();
        // Killed again as soon as it is up, while what was in flight is being redelivered.
        Program::start(data.path()).kill();
        program = Program::start(data.path());
        program.assert_all_succeed(&ids).await;
        assert_eq!(program.records().await.len(), left);
    }
    let active = program.get("/jobs?status=processing").await;
    assert_eq!(active["data"], json!([]));
    let (status, _, _) = program.end_with("TERM");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_signal_ends_it_in_time_even_at_work_and_it_says_once_that_it_is_ready() {
    for signal in ["TERM", "INT"] {
        let data = tempfile::tempdir().expect("a directory");
        let program = Program::start(data.path());
        let items = vec![json!({"type": "product", "attributes": {}}); 1_000];
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(program.accepted("post", &items).await);
        }
        let (status, time, output) = program.end_with(signal);
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(time < Duration::from_secs(5), "{signal}: {time:?}");
        assert!(!output.iter().any(|line| line.starts_with("ready on ")), "{output:?}");
        assert!(output.iter().any(|line| line.starts_with("curl ")), "{output:?}");

        // What it left behind is finished by the next run.
        let program = Program::start(data.path());
        for id in &ids {
            while program.job(id).await["completed_at"].is_null() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(program.job(id).await["progress"]["failed"], 1_000);
        }
        program.kill();
    }
}
