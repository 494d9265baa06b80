//! `infra/smoke`, which tries what an operator has deployed, tries each home.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tests::BASE;
use tokio::process::Command;

use crate::home::{Home, Kind, not_here};

/// More than it gives itself for anything that this test has it do.
const PATIENCE: Duration = Duration::from_mins(3);

/// What MiniStack's gateway does otherwise than Amazon's.
const NOT_IN_MINISTACK: [(&str, &str); 3] = [
    ("a browser that asks first is answered", "MiniStack answers OPTIONS by itself"),
    ("a job with a gzip body", "MiniStack hands compressed bodies over damaged"),
    ("the records are read", "that of the gzip body is not there"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_has_deployed_holds_what_it_tries() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/smoke");
    let run = Command::new("python3")
        .arg(script)
        .args(["--url", &format!("{}{BASE}", home.base_url()), "--wait", "60"])
        .env("SUNDIAL_TOKEN", agent.token())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let run = tokio::time::timeout(PATIENCE, run).await.expect("an end").expect("python3");
    let table = String::from_utf8_lossy(&run.stdout);
    let rows: Vec<&str> = table.lines().collect();
    let failed: Vec<&str> = rows.iter().copied().filter(|row| !row.starts_with("held ")).collect();
    let known = if Kind::chosen() == Kind::MiniStack { &NOT_IN_MINISTACK[..] } else { &[] };
    for (row, why) in known {
        not_here(row, why);
    }
    let unknown: Vec<&&str> = failed.iter().filter(|row| !known.iter().any(|(name, _)| row.contains(name))).collect();
    assert!(rows.len() >= 9 && unknown.is_empty(), "{table}{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(run.status.code(), Some(i32::from(!failed.is_empty())), "{table}");
    // It left nothing behind.
    assert_eq!(agent.get("/objects/types").await.data(200).as_array().map(Vec::len), Some(0));
    home.stop().await;
}
