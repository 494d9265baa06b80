//! What the limit of 1,000 active jobs does not hold up. That it is exact is a matter of scale.

use domain::job::{Job, JobId, Operation};
use domain::limits;
use futures_util::{StreamExt, stream};
use reqwest::Method;
use store::jobs::Commit;
use tests::{Client, Home, answer, text};

use crate::examples::check;

const BODY: &str = r#"{"type":"resources","action":"post","data":[{}]}"#;

/// Puts so many queued jobs into the database.
async fn queue_jobs(client: &Client, count: u64) {
    let store = &client.store;
    let commit = async |_| {
        let job = Job::queued(JobId::new(store.clock()), Operation::CreateObjects, 1, 1);
        assert_eq!(
            store.jobs.commit(&client.account, &job, None, store.clock().now()).await.expect("an answer"),
            Commit::Done
        );
    };
    stream::iter(0..count).map(commit).buffer_unordered(16).collect::<Vec<()>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_no_slot_is_answered_when_there_is_none() {
    let home = Home::start().await;
    let (acme, other) = (home.acme().await, home.agent("other").await);
    home.run.poller().pause();
    let keyed = async || answer(acme.request(Method::POST, "/jobs").header("idempotency-key", "k").body(BODY)).await;
    let first = keyed().await.data(201);
    queue_jobs(&acme, limits::ACTIVE_JOBS - 1).await;
    let refused = acme.post_text("/jobs", BODY).await;
    assert_eq!(refused.error(429).0, "TooManyRequests");
    assert!(refused.header("retry-after").is_some());
    check("error_429", &refused.json());

    // The request that was made before, another account's, and one that fails at once. What is no job is no job still.
    assert_eq!(keyed().await.data(201), first);
    assert_eq!(other.post_text("/jobs", BODY).await.status, 201);
    let unreadable = acme.request(Method::POST, "/jobs").header("content-encoding", "compress").body("x");
    assert_eq!(answer(unreadable).await.data(201)["job_status"], "failed");
    assert_eq!(acme.post_text("/jobs", "{").await.status, 400);

    // One that ends in whatever way makes room for one.
    home.run.poller().resume();
    acme.wait(text(&first["id"])).await;
    home.run.poller().pause();
    let second = acme.post_text("/jobs", BODY).await.data(201);
    assert_eq!(acme.post_text("/jobs", BODY).await.status, 429);
    assert_eq!(acme.abort(&second).await.status, 200);
    assert_eq!(acme.post_text("/jobs", BODY).await.status, 201);
    assert_eq!(acme.post_text("/jobs", BODY).await.status, 429);
}
