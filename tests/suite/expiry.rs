//! Jobs of long ago: those whose day is over, and those that nobody ever finished.

use std::time::{Duration, Instant};

use domain::clock::Clock;
use domain::job::{Job, JobId, Operation};
use serde_json::json;
use store::jobs::Commit;
use tests::{Client, check_error, outcomes};

use crate::home::Home;

/// How long a home takes at the most to delete a row whose time to live has passed.
const DELETED_WITHIN: Duration = Duration::from_mins(3);

/// A job that was accepted so long ago, and whose messages were lost.
async fn accepted_ago(home: &Home, agent: &Client, ago: Duration) -> Job {
    let millis = u64::try_from(ago.as_millis()).expect("not that long ago");
    // The clock stands still, which is no matter; its randomness makes the job's id.
    let seed = u64::from_le_bytes(Clock::system().random());
    let past = home.store_at(Clock::manual(Clock::system().now().minus_millis(millis), seed));
    let job = Job::queued(JobId::new(past.clock()), Operation::CreateObjects, 2, 1);
    let committed = past.jobs.commit(&agent.account, &job, None, past.clock().now()).await;
    assert_eq!(committed.expect("the database"), Commit::Done);
    job
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_day_is_over_is_not_shown_any_more_and_is_soon_deleted() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let young = accepted_ago(&home, &agent, Duration::from_mins(24 * 60 - 10)).await;
    let old = accepted_ago(&home, &agent, Duration::from_mins(24 * 60 + 10)).await;
    check_error(&agent.get(&format!("/jobs/{}", old.id)).await, 404, "NotFound", "Not Found");
    check_error(&agent.abort(&json!({"id": old.id.to_string()})).await, 404, "NotFound", "Not Found");
    let listed = agent.get("/jobs").await.data(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed[0]["id"], young.id.to_string());

    let waiting_since = Instant::now();
    while agent.store.jobs.find_job_row(old.id.of(&agent.account)).await.expect("the database").is_some() {
        assert!(waiting_since.elapsed() < DELETED_WITHIN, "its row is still there");
        home.delete_expired().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(agent.store.jobs.find_job_row(young.id.of(&agent.account)).await.expect("the database").is_some());
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_nobody_finished_is_ended_before_its_day_is_over() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let overdue = accepted_ago(&home, &agent, Duration::from_mins(23 * 60 + 30)).await;
    let patient = accepted_ago(&home, &agent, Duration::from_hours(22)).await;
    // The home sweeps by itself too, and may have been first.
    home.sweep().await;

    let ended = agent.show(&json!({"id": overdue.id.to_string()})).await;
    assert_eq!((&ended["job_status"], &ended["error"]["code"]), (&json!("failed"), &json!("InternalServerError")));
    assert_eq!(ended["progress"], json!({"total": 2, "processed": 2, "succeeded": 0, "failed": 2}));
    assert!(outcomes(&ended).iter().all(|outcome| outcome.starts_with("InternalServerError: ")), "{ended}");
    let left_alone = agent.show(&json!({"id": patient.id.to_string()})).await;
    assert_eq!(left_alone["job_status"], "queued");
    assert_eq!(agent.active_jobs().await, 1, "one slot is given back");

    home.sweep().await;
    assert_eq!(agent.show(&json!({"id": overdue.id.to_string()})).await, ended, "ended once");
    assert_eq!(agent.active_jobs().await, 1);
    home.stop().await;
}
