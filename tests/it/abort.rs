//! Abort, and the slots of active jobs.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{Home, answer, outcomes, text};

const START: u64 = 1_509_724_806_400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_job_is_aborted_and_nothing_of_it_ever_applied() {
    let home = Home::start_at(START).await;
    let acme = home.acme().await;
    acme.define_product().await;
    home.run.poller().pause();
    let items = |name: &str| json!([{"type": "product", "external_id": "1", "attributes": {"name": name}}]);
    let job = acme.create_job("resources", "external_id_set", items("Never")).await.data(201);
    assert_eq!(acme.active_jobs().await, 1);
    home.advance(Duration::from_secs(3));

    let aborted = acme.abort(&job).await.data(200);
    let mut expected = job.clone();
    expected["job_status"] = json!("aborted");
    expected["updated_at"] = json!("2017-11-03T16:00:09Z");
    expected["completed_at"] = json!("2017-11-03T16:00:09Z");
    assert_eq!(aborted, expected);
    assert_eq!(acme.active_jobs().await, 0, "its slot is given back");

    home.run.poller().resume();
    home.quiet().await;
    assert!(acme.record("product", "1").await.is_null());
    assert_eq!(acme.show(&job).await, aborted);
    // The next job on the same record knows nothing of it.
    assert_eq!(outcomes(&acme.run_job("resources", "post", items("Ours")).await), ["done"]);
    home.advance(Duration::from_secs(3));
    assert_eq!(acme.abort(&job).await.data(200), aborted, "aborted already: the same answer");
    assert_eq!(acme.active_jobs().await, 0, "and the slot is given back once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_past_queued_is_not_aborted() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let completed = acme.run_job("resources", "post", json!([{}])).await;
    let unreadable = acme.request(reqwest::Method::POST, "/jobs").header("content-encoding", "compress").body("x");
    let failed = answer(unreadable).await.data(201);
    for (job, state) in [(&completed, "completed"), (&failed, "failed")] {
        let (code, detail) = acme.abort(job).await.error(409);
        assert_eq!(code, "Conflict");
        assert!(detail.contains(state), "{detail}");
        assert_eq!(&acme.show(job).await, job);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_not_there_is_not_aborted() {
    let home = Home::start().await;
    let (acme, other) = (home.acme().await, home.agent("other").await);
    home.run.poller().pause();
    let theirs = other.create_job("resources", "post", json!([{}])).await.data(201);
    for id in ["none", "0190163d-8694-7000-8000-000000000000", text(&theirs["id"])] {
        assert_eq!(acme.abort(&json!({"id": id})).await.error(404).0, "NotFound");
    }
    assert_eq!(other.show(&theirs).await["job_status"], "queued");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abort_and_consumer_race_and_exactly_one_wins() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let mut made = 0;
    for round in 0..30 {
        let items: Vec<Value> = (0..3)
            .map(|number| json!({"type": "product", "attributes": {"name": format!("{round} {number}")}}))
            .collect();
        let job = acme.create_job("resources", "post", json!(items)).await.data(201);
        tokio::time::sleep(Duration::from_micros(300 * (round % 10))).await;
        let answer = acme.abort(&job).await;
        let ended = acme.wait(text(&job["id"])).await;
        let status = text(&ended["job_status"]);
        match answer.status.as_u16() {
            200 => assert_eq!((status, &ended["results"]), ("aborted", &json!([]))),
            // Its only chunk was begun, or it was not.
            202 if status == "completed" => assert_eq!(outcomes(&ended), vec!["done".to_owned(); 3]),
            202 => {
                assert_eq!((status, text(&ended["error"]["code"])), ("failed", "Aborted"));
                assert!(outcomes(&ended).iter().all(|outcome| outcome.starts_with("NotProcessed: ")), "{ended}");
            }
            409 => assert_eq!((status, outcomes(&ended)), ("completed", vec!["done".to_owned(); 3])),
            other => panic!("{other}"),
        }
        made += if status == "completed" { 3 } else { 0 };
    }
    home.quiet().await;
    assert_eq!(acme.get("/objects/records?type=product").await.data(200).as_array().map(Vec::len), Some(made));
    assert_eq!(acme.active_jobs().await, 0);
}
