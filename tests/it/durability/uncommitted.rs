//! Chunks are sent before their job is committed: what of them is never committed never runs.

use std::slice::from_ref;
use std::time::Duration;

use domain::chunk::{Packing, pack};
use domain::job::{Job, JobId};
use domain::request::JobRequest;
use serde_json::json;
use store::jobs::{Commit, Fenced};
use tests::{Client, Deliveries, Delivery, Home, outcomes};

/// A chunk as accept sends it, and the job as accept would commit it.
fn sent(acme: &Client) -> (Delivery, Job) {
    let item = json!({"type": "product", "external_id": "gum", "attributes": {"name": "gum"}});
    let body = json!({"type": "resources", "action": "post", "data": [item]}).to_string();
    let request = JobRequest::parse(body.as_bytes()).expect("a request");
    let id = JobId::new(acme.store.clock());
    let chunks = pack(&acme.account, id, &request, Packing::default()).chunks;
    let delivery = Delivery { body: chunks[0].to_message(), receives: 1 };
    (delivery, Job::queued(id, request.operation, 1, 1))
}

async fn commit(acme: &Client, job: &Job) -> Commit {
    let store = &acme.store;
    store.jobs.commit(&acme.account, job, None, store.clock().now()).await.expect("the database")
}

async fn assert_no_trace(acme: &Client, job: &Job) {
    assert_eq!(acme.get(&format!("/jobs/{}", job.id)).await.status, 404);
    assert_eq!(acme.get("/jobs").await.data(200), json!([]));
    assert!(acme.record("product", "gum").await.is_null());
    assert_eq!(acme.active_jobs().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_a_minute_a_chunk_without_its_job_comes_back_and_runs_once_the_job_is_there() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let (chunk, job) = sent(&acme);
    home.advance(Duration::from_secs(50));
    assert_eq!(deliveries.hand_over(from_ref(&chunk)).await, [0]);
    assert_no_trace(&acme, &job).await;

    assert_eq!(commit(&acme, &job).await, Commit::Done);
    deliveries.deliver(&chunk.again()).await;
    assert_eq!(outcomes(&acme.job(&job.id.to_string()).await), ["done"]);
    assert_eq!(acme.active_jobs().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_meets_its_commit_on_the_way_runs_at_once() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let (chunk, job) = sent(&acme);
    let late_commit = async {
        // The consumer has looked for the job by then, and found none.
        tokio::time::sleep(Duration::from_millis(100)).await;
        commit(&acme, &job).await
    };
    let ((), committed) = tokio::join!(deliveries.deliver(&chunk), late_commit);
    assert_eq!(committed, Commit::Done);
    assert_eq!(outcomes(&acme.job(&job.id.to_string()).await), ["done"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_minute_a_chunk_without_its_job_is_dropped_and_its_commit_comes_too_late() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let (chunk, job) = sent(&acme);
    home.advance(Duration::from_mins(1));
    deliveries.deliver(&chunk).await;

    assert_eq!(commit(&acme, &job).await, Commit::AlreadyThere);
    deliveries.deliver(&chunk.again()).await;
    assert_no_trace(&acme, &job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_and_a_commit_exclude_each_other() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let store = home.run.store();
    for turn in 0..40 {
        let (_, job) = sent(&acme);
        let fence = store.jobs.fence(job.id.of(&acme.account));
        let (committed, fenced) = if turn % 2 == 0 {
            tokio::join!(commit(&acme, &job), fence)
        } else {
            let (fenced, committed) = tokio::join!(fence, commit(&acme, &job));
            (committed, fenced)
        };
        match (committed, fenced.expect("the database")) {
            (Commit::Done, Fenced::Committed(there)) => assert_eq!(there, job),
            (Commit::AlreadyThere, Fenced::Never) => {
                assert_eq!(acme.get(&format!("/jobs/{}", job.id)).await.status, 404);
            }
            both => panic!("{both:?}"),
        }
    }
    let listed = acme.get("/jobs").await.data(200);
    assert_eq!(acme.active_jobs().await, listed.as_array().expect("a list").len() as u64);
}
