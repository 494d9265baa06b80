//! The states of a job in their order, its counters and its times.

use std::time::Duration;

use domain::limits::ITEMS_PER_CHUNK;
use serde_json::{Value, json};
use tests::{Home, outcomes, text};

const START: u64 = 1_509_724_806_400;

/// Items of a job of two chunks.
const TOTAL: usize = ITEMS_PER_CHUNK + 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_goes_from_queued_through_processing_to_completed() {
    let home = Home::start_at(START).await;
    let acme = home.acme().await;
    acme.define_product().await;
    // Two chunks; every tenth item is wrong.
    let item = |number: usize| match number % 10 {
        9 => json!({"type": "product", "attributes": {}}),
        _ => json!({"type": "product", "attributes": {"name": number.to_string()}}),
    };
    home.run.poller().pause();
    let queued = acme.create_job("resources", "post", (0..TOTAL).map(item).collect()).await.data(201);
    assert_eq!(queued["job_status"], "queued");
    assert_eq!(queued["progress"], json!({"total": TOTAL, "processed": 0, "succeeded": 0, "failed": 0}));
    assert_eq!(acme.show(&queued).await, queued);

    // One chunk is held back until its visibility ends.
    home.advance(Duration::from_secs(2));
    assert_eq!(home.queue().receive(1, 1).await.expect("a queue").len(), 1);
    home.run.poller().resume();
    let processing = acme.wait_for_progress(text(&queued["id"])).await;
    assert_eq!(processing["job_status"], "processing");
    assert_eq!((&processing["results"], &processing["completed_at"]), (&json!([]), &Value::Null));
    assert_eq!(
        (&processing["created_at"], &processing["updated_at"]),
        (&queued["created_at"], &json!("2017-11-03T16:00:08Z"))
    );
    let count = |name: &str| processing["progress"][name].as_u64().expect("a number");
    assert_eq!(count("total"), TOTAL as u64);
    assert!([50, ITEMS_PER_CHUNK as u64].contains(&count("processed")), "{processing}");
    assert_eq!(count("processed"), count("succeeded") + count("failed"));
    assert_eq!(count("failed") * 10, count("processed"));
    assert_eq!(acme.active_jobs().await, 1);

    home.advance(Duration::from_secs(30));
    let completed = acme.wait(text(&queued["id"])).await;
    assert_eq!(completed["job_status"], "completed");
    assert_eq!(
        completed["progress"],
        json!({"total": TOTAL, "processed": TOTAL, "succeeded": TOTAL / 10 * 9, "failed": TOTAL / 10})
    );
    assert_eq!(completed["created_at"], queued["created_at"]);
    for member in ["updated_at", "completed_at"] {
        assert_eq!(completed[member], "2017-11-03T16:00:38Z", "{member}");
    }
    assert_eq!(outcomes(&completed).iter().filter(|outcome| *outcome == "done").count(), TOTAL / 10 * 9);
    assert_eq!(acme.active_jobs().await, 0);
    // It stays as it is.
    home.advance(Duration::from_mins(1));
    assert_eq!(acme.show(&queued).await, completed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_items_all_fail_is_completed() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let job = acme.run_job("resources", "delete", json!(["1", "2"])).await;
    assert_eq!(job["job_status"], "completed");
    assert_eq!(job["progress"], json!({"total": 2, "processed": 2, "succeeded": 0, "failed": 2}));
    assert_eq!(job.get("error"), None);
}
