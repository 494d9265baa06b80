//! What an ordinary agent's token can do to everybody else: nothing that they would notice.
//!
//! The program itself, small requests that each once stopped it, and a request of somebody else beside them.
#![cfg(target_os = "linux")]

mod program;

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::program::Program;

const AT_ONCE: usize = 20;

/// What the program may take, whatever twenty requests at once are.
const MOST_MEBIBYTES: u64 = 512;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

fn job(items: &[Value]) -> Vec<u8> {
    json!({"type": "resources", "action": "post", "data": items}).to_string().into_bytes()
}

async fn define(program: &Program, key: &str, properties: Value) -> u16 {
    let body = json!({"data": {"key": key, "schema": {"properties": properties}}});
    let request = program.request(Method::POST, "/objects/types").json(&body);
    request.send().await.expect("an answer").status().as_u16()
}

async fn post(program: &Program, encoding: &str, body: Vec<u8>) -> (u16, Value) {
    let request = program.request(Method::POST, "/jobs").header("content-type", "application/json");
    let answer = request.header("content-encoding", encoding).body(body).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn ended(program: &Program, job: &Value) -> Value {
    let path = format!("/jobs/{}", job["data"]["id"].as_str().expect("an id"));
    loop {
        let answer = program.request(Method::GET, &path).send().await.expect("an answer");
        let shown: Value = answer.json().await.expect("JSON");
        if shown["data"]["completed_at"].is_string() {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Sends this while somebody else asks one thing after the other, who must be answered so often before it is done.
async fn beside<Answer>(program: &Program, what: &str, least: usize, work: impl Future<Output = Answer>) -> Answer {
    let (is_done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let working = async {
        let answer = work.await;
        is_done.store(true, Ordering::Relaxed);
        answer
    };
    let asking = async {
        while !is_done.load(Ordering::Relaxed) {
            let answer = program.request(Method::GET, "/objects/types").send().await.expect("an answer");
            assert_eq!(answer.status(), 200);
            if !is_done.load(Ordering::Relaxed) {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let (answer, ()) = join(working, asking).await;
    let answered = answered.into_inner();
    eprintln!("{what}: {answered} answers beside it, peak {} MiB", program.peak());
    assert!(answered >= least, "{what}: {answered} answers");
    answer
}

/// Lists of numbers for lists of texts, in an item and in many; and many attributes that are all wrong.
async fn floods_of_errors(program: &Program) {
    assert_eq!(define(program, "lists", json!({"a": {"type": "array", "items": {"type": "string"}}})).await, 201);
    let names: Vec<String> = (0..60).map(|number| format!("a{number}")).collect();
    let texts: Map<String, Value> = names.iter().map(|name| (name.clone(), json!({"type": "string"}))).collect();
    assert_eq!(define(program, "texts", texts.into()).await, 201);
    let numbers: Map<String, Value> = names.iter().map(|name| (name.clone(), json!(1))).collect();

    let item = json!({"type": "lists", "attributes": {"a": vec![1; 16_000]}});
    let work = async { ended(program, &post(program, "identity", job(&[item])).await.1).await };
    let shown = beside(program, "a list of 16,000 numbers", 1, work).await;
    let errors = shown["data"]["results"][0]["errors"].as_array().expect("errors");
    let last = errors.last().expect("at least one")["detail"].as_str().expect("a text");
    assert!(last.ends_with(&format!(", and {} more", 16_000 - errors.len())), "{last}");

    let items = vec![json!({"type": "texts", "attributes": numbers}); 10_000];
    let body = gzip(&job(&items));
    assert!(body.len() < 60_000, "{}", body.len());
    let work = async { ended(program, &post(program, "gzip", body).await.1).await };
    let shown = beside(program, "10,000 items with 60 wrong attributes", 10, work).await;
    assert_eq!(shown["data"]["progress"]["failed"], 10_000);
}

async fn schemas_without_end(program: &Program) {
    let classes: Map<String, Value> = (0..600)
        .map(|number| (format!("a{number}"), json!({"type": "string", "pattern": format!("\\p{{L}}{{90}}{number}")})))
        .collect();
    let rules = json!({"type": "array", "items": {"type": "integer", "allOf": vec![json!({"not": {}}); 2_700]}});
    for (key, properties) in [("classes", Value::Object(classes)), ("rules", json!({"a": rules}))] {
        // Refused in no more time than it takes to read them.
        let definitions = (0..AT_ONCE).map(|_| define(program, key, properties.clone()));
        let statuses = beside(program, key, 0, join_all(definitions)).await;
        assert!(statuses.iter().all(|status| *status == 422), "{key}: {statuses:?}");
    }
}

async fn bodies_without_contents(program: &Program) {
    let members = gzip(b"").repeat(1_677_721);
    let nested = gzip(&gzip(&members));
    assert!(nested.len() < 1_000, "{}", nested.len());
    let posts = (0..AT_ONCE).map(|_| post(program, "gzip, gzip, gzip", nested.clone()));
    for (status, _) in beside(program, "nested members with nothing in them", 0, join_all(posts)).await {
        // Three codings are more than are read: the job fails at once.
        assert_eq!(status, 201);
    }
    let once = gzip(&gzip(b"").repeat(200_000));
    let posts = (0..AT_ONCE).map(|_| post(program, "gzip, gzip", once.clone()));
    for (status, answer) in beside(program, "members with nothing in them", 1, join_all(posts)).await {
        assert_eq!(status, 400, "{answer}");
    }
}

/// Jobs of 32 MiB each, from 53 KB: their type is defined nowhere, so they are not stored.
async fn bodies_that_unfold(program: &Program) {
    let item = json!({"type": "nothing", "attributes": {"text": "x".repeat(3_250)}});
    let body = job(&vec![item; 10_000]);
    assert!((32_000_000..33_554_432).contains(&body.len()), "{}", body.len());
    let body = gzip(&body);
    assert!(body.len() < 200_000, "{}", body.len());
    let posts = (0..AT_ONCE).map(|_| async {
        loop {
            let (status, answer) = post(program, "gzip", body.clone()).await;
            // Whoever is told to come back does.
            if status != 503 {
                assert_eq!(status, 201, "{answer}");
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let work = async {
        for made in join_all(posts).await {
            let shown = ended(program, &made).await;
            assert_eq!(shown["data"]["progress"]["failed"], 10_000);
        }
    };
    beside(program, "20 jobs of 32 MiB", 100, work).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_sends_keeps_nobody_else_waiting_and_takes_little_memory() {
    let program = Program::start(&["--memory"]);
    floods_of_errors(&program).await;
    schemas_without_end(&program).await;
    bodies_without_contents(&program).await;
    bodies_that_unfold(&program).await;
    let peak = program.peak();
    assert!(peak < MOST_MEBIBYTES, "{peak} MiB");
}
