//! Many requests that wait for jobs at the same time.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tests::{Home, text};

/// Waiters, of which each takes a connection, with an end here and one at the service.
const WAITERS: usize = 1_000;

/// How many connections this process may have besides what else it has open.
fn connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let open_files = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = open_files.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    soft.map_or(WAITERS, |soft: usize| soft.saturating_sub(200) / 2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_waiters_keep_nobody_else_waiting() {
    let waiters = connections().min(WAITERS);
    if waiters < WAITERS {
        eprintln!("only {waiters} waiters: this process may not have more files open");
    }
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    // Given a job that nobody starts, and a thousand who wait for its end,
    home.run.poller().pause();
    let job = acme.create_job("resources", "post", json!([{"type": "product", "attributes": {"name": "Gum"}}])).await;
    let job = job.data(201);
    let path = format!("/jobs/{}?wait=20", text(&job["id"]));
    let waiting = tokio::spawn({
        let (acme, path) = (acme.clone(), path.clone());
        async move { join_all((0..waiters).map(|_| acme.get(&path))).await }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!waiting.is_finished());
    // then another's requests are answered as ever, and its job runs while they wait.
    let other = home.agent("other").await;
    for _ in 0..20 {
        let asked = tokio::time::timeout(Duration::from_secs(10), other.get("/jobs")).await.expect("an answer");
        assert_eq!(asked.data(200), json!([]));
    }
    assert!(!waiting.is_finished(), "the others were answered while the thousand waited");
    // When the job runs, each of them is told.
    home.run.poller().resume();
    let answers = waiting.await.expect("answers");
    let early = answers.iter().filter(|answer| answer.data(200)["job_status"] != "completed").count();
    assert_eq!((answers.len(), early), (waiters, 0));
    home.run.stop().await;
}
