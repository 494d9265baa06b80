//! A job starts or is aborted, and ends once; whatever comes for it afterwards has no effect.

use std::time::Duration;

use domain::job::{Job, JobId, JobStatus};
use domain::problem::Problem;
use serde_json::{Value, json};
use store::rows::JobRow;
use tests::{Client, Deliveries, Home, outcomes};

fn product(name: &str) -> Value {
    json!([{"type": "product", "external_id": name, "attributes": {"name": name}}])
}

async fn abort(acme: &Client, id: &str) -> u16 {
    acme.post(&format!("/jobs/{id}/abort"), &Value::Null).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chunk_of_an_expired_job_is_dropped() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let id = acme.accepted("resources", "post", product("late")).await;
    let chunk = deliveries.take_one().await;
    home.advance(Duration::from_hours(24));
    deliveries.deliver(&chunk).await;

    assert!(acme.record("product", "late").await.is_null());
    assert_eq!(acme.get(&format!("/jobs/{id}")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chunk_of_an_aborted_job_is_dropped() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let id = acme.accepted("resources", "post", product("unwanted")).await;
    let chunk = deliveries.take_one().await;
    assert_eq!(abort(&acme, &id).await, 200);
    assert_eq!(acme.active_jobs().await, 0);
    deliveries.deliver(&chunk).await;
    deliveries.deliver(&chunk.again()).await;

    assert!(acme.record("product", "unwanted").await.is_null());
    let job = acme.job(&id).await;
    assert_eq!((&job["job_status"], &job["results"]), (&json!("aborted"), &json!([])));
    assert_eq!(acme.active_jobs().await, 0);
    assert_eq!(abort(&acme, &id).await, 200);
    assert_eq!(acme.active_jobs().await, 0, "a second abort gives no second slot back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_abort_and_a_consumer_exactly_one_wins() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    for turn in 0..60 {
        let name = format!("racer {turn}");
        let id = acme.accepted("resources", "post", product(&name)).await;
        let chunk = deliveries.take_one().await;
        // An abort has the longer way, through HTTP: sometimes it goes first and sometimes it gets a start.
        let ((), answered) = match turn % 3 {
            0 => tokio::join!(deliveries.deliver(&chunk), abort(&acme, &id)),
            1 => {
                let (answered, ()) = tokio::join!(abort(&acme, &id), deliveries.deliver(&chunk));
                ((), answered)
            }
            _ => {
                let late = async {
                    tokio::time::sleep(Duration::from_micros(turn * 100)).await;
                    deliveries.deliver(&chunk).await;
                };
                tokio::join!(late, abort(&acme, &id))
            }
        };
        let job = acme.job(&id).await;
        let record = acme.record("product", &name).await;
        match answered {
            200 => {
                assert_eq!(job["job_status"], "aborted");
                assert!(record.is_null(), "an aborted job wrote {record}");
            }
            202 if job["job_status"] == "failed" => {
                assert_eq!(job["error"]["code"], "Aborted");
                assert!(record.is_null(), "an aborted job wrote {record}");
            }
            202 | 409 => {
                assert_eq!(outcomes(&job), ["done"]);
                assert_eq!(record["attributes"]["name"], name);
            }
            other => panic!("an abort was answered with {other}"),
        }
    }
    assert_eq!(acme.active_jobs().await, 0);
}

/// Closer than HTTP can bring them: the two conditional writes themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_start_and_an_abort_exactly_one_takes_the_job() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    let store = home.run.store();
    for turn in 0..100 {
        let id = acme.accepted("resources", "post", product("racer")).await;
        let id = JobId::parse(&id).expect("a job id");
        let now = store.clock().now();
        let (start, abort) = (store.jobs.start(id.of(&acme.account), now), store.jobs.abort(id.of(&acme.account), now));
        let (started, aborted) = if turn % 2 == 0 {
            tokio::join!(start, abort)
        } else {
            let (aborted, started) = tokio::join!(abort, start);
            (started, aborted)
        };
        let Some(JobRow::Job(started)) = started.expect("the database") else { panic!("the job is gone") };
        let winner = if aborted.expect("the database") { JobStatus::Aborted } else { JobStatus::Processing };
        assert_eq!(started.status, winner, "each sees the same winner");
    }
    let processing = acme.get("/jobs?status=processing").await.data(200);
    assert_eq!(acme.active_jobs().await, processing.as_array().expect("a list").len() as u64);
    deliveries.drain().await;
    assert_eq!(acme.active_jobs().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_ends_many_times_gives_one_slot_back() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let store = home.run.store();
    let waiting = acme.accepted("resources", "post", product("waiting")).await;
    let waiting_chunk = deliveries.take_one().await;
    let id = acme.accepted("resources", "post", product("ended")).await;
    deliveries.drain().await;
    let id = JobId::parse(&id).expect("a job id");
    let now = store.clock().now();
    let Some(JobRow::Job(job)) = store.jobs.find_job_row(id.of(&acme.account)).await.expect("the database") else {
        panic!("the job is gone")
    };
    for job in [Job { growth: 0, ..job.clone() }, job] {
        assert!(!store.jobs.complete(&acme.account, &job, now).await.expect("the database"));
        for from in [JobStatus::Queued, JobStatus::Processing] {
            assert!(
                !store.jobs.fail(&acme.account, &job, from, &Problem::internal(), now).await.expect("the database")
            );
        }
    }
    assert_eq!(acme.active_jobs().await, 1, "the slot of the other job");
    assert_eq!(acme.job(&id.to_string()).await["job_status"], "completed");

    deliveries.deliver(&waiting_chunk).await;
    assert_eq!(acme.job(&waiting).await["job_status"], "completed");
    assert_eq!(acme.active_jobs().await, 0);
}
