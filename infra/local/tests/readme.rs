//! What the README tells a stranger to type, typed: the demo, and one look at a job.
#![cfg(unix)]

mod program;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::program::Program;

const README: &str = include_str!("../../../README.md");

/// How long a job of two items may take on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(30);

/// The one block of shell lines in the README that has `line` in it.
fn block_with(line: &str) -> &'static str {
    let blocks = README.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block);
    let mut found = blocks.filter(|block| block.contains(line));
    let block = found.next().unwrap_or_else(|| panic!("no block with {line:?}"));
    assert!(found.next().is_none(), "two blocks with {line:?}");
    block
}

#[track_caller]
fn output_of(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}: {stdout}{stderr}");
    stdout.into_owned()
}

#[test]
fn the_demo_shows_what_happened_and_what_to_do_next() {
    // Whatever stands before the last word is cargo's way of running this program.
    assert_eq!(block_with("demo"), "cargo run -- demo\n");
    let folder = Path::new(env!("CARGO_BIN_EXE_sundial-local")).parent().expect("a folder");
    let shown = output_of(Command::new(env!("CARGO_BIN_EXE_sundial-local")).arg("demo").current_dir(folder));
    assert!(shown.contains("completed: 1,573 of 1,573 succeeded"), "{shown}");
    let (_, next) = shown.split_once("All as it should be.").unwrap_or_else(|| panic!("{shown}"));
    // As one would type it in the folder that one is in.
    assert!(next.contains("\n  sundial-local  "), "{next}");
    assert!(next.lines().skip(1).count() <= 4, "{next}");
}

#[tokio::test]
async fn one_look_at_a_job_is_as_it_is_told() {
    let block = block_with("curl");
    let elsewhere = "API=http://127.0.0.1:8080/";
    assert!(block.starts_with(elsewhere), "{block}");
    let program = Program::start(&["--memory"]);
    let here = block.replacen(elsewhere, &format!("API={}/", program.base_url()), 1);
    // `curl` says nothing of its progress, and fails on an answer of 400 and above.
    let lines = here.replace("curl ", "curl --silent --show-error --fail-with-body ");
    let said = output_of(Command::new("bash").args(["-e", "-c", &lines]));
    let answers: Vec<Value> =
        serde_json::Deserializer::from_str(&said).into_iter().collect::<Result<_, _>>().expect("answers in JSON");
    let [_, job] = answers.as_slice() else { panic!("two answers instead of {said}") };

    let started = Instant::now();
    let path = format!("/jobs/{}", job["data"]["id"].as_str().expect("an id"));
    let shown = loop {
        let answer = program.request(Method::GET, &path).send().await.expect("an answer");
        let shown: Value = answer.json().await.expect("JSON");
        if shown["data"]["job_status"] == "completed" {
            break shown;
        }
        assert!(started.elapsed() < PATIENCE, "{shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let (_, told) = README.split_once("```json\n").expect("an answer");
    let told: Value = serde_json::from_str(told.split_once("```").expect("its end").0).expect("JSON");
    assert_eq!(shown["data"]["progress"], told["data"]["progress"]);
    assert_eq!(shown["data"]["results"][1], told["data"]["results"][1]);
    // The README shows the beginning of an id.
    assert_eq!(without_id(&shown["data"]["results"][0]), without_id(&told["data"]["results"][0]));
}

fn without_id(result: &Value) -> Value {
    let mut result = result.clone();
    assert!(result["data"]["id"].is_string(), "{result}");
    result["data"]["id"] = json!("");
    result
}
