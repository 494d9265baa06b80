//! Many requests that wait for jobs at the same time.

use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tests::{Deliveries, Home};

/// Waiters, of which each takes a connection, with an end here and one at the service.
const WAITERS: usize = 1_000;

/// Lets this process have as many files open as the waiters take, where fewer are usual.
fn allow_connections() {
    let limits = getrlimit(Resource::Nofile);
    let needed = 2 * WAITERS as u64 + 500;
    if limits.current.is_some_and(|current| current < needed) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(needed), ..limits })
            .unwrap_or_else(|error| panic!("{needed} open files are needed, and the most are {limits:?}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_waiters_keep_nobody_else_waiting() {
    allow_connections();
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    // Given a job that nobody starts, and a thousand who wait for its end,
    let gum = json!([{"type": "product", "attributes": {"name": "Gum"}}]);
    let id = acme.accepted("resources", "post", gum.clone()).await;
    let chunk = deliveries.take_one().await;
    let path = format!("/jobs/{id}?wait=20");
    let waiting = tokio::spawn({
        let (acme, path) = (acme.clone(), path.clone());
        async move { join_all((0..WAITERS).map(|_| acme.get(&path))).await }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!waiting.is_finished());
    // then another's requests are answered as ever, and its job runs while they wait.
    let other = home.agent("other").await;
    for _ in 0..20 {
        let asked = tokio::time::timeout(Duration::from_secs(10), other.get("/jobs")).await.expect("an answer");
        assert_eq!(asked.data(200), json!([]));
    }
    other.define_product().await;
    let theirs = deliveries.run_job(&other, "resources", "post", gum).await;
    assert_eq!(theirs["job_status"], "completed");
    assert!(!waiting.is_finished(), "the others were answered while the thousand waited");
    // When the job runs, each of them is told.
    deliveries.deliver(&chunk).await;
    let answers = waiting.await.expect("answers");
    let early = answers.iter().filter(|answer| answer.data(200)["job_status"] != "completed").count();
    assert_eq!((answers.len(), early), (WAITERS, 0));
    home.run.stop().await;
}
