//! A job that nothing ends is ended an hour before it expires, and its slot is given back.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::job::JobId;
use serde_json::{Value, json};
use store::keys;
use sweep::{Report, Sweep};
use tests::{Deliveries, Home, LastStep, crash_after, outcomes};

const NOT_APPLIED: &str = "InternalServerError: An unexpected error occurred: this item was not applied";

const OVERDUE: Duration = Duration::from_hours(23);

fn product(name: &str) -> Value {
    json!({"type": "product", "external_id": name, "attributes": {"name": name}})
}

async fn sweep(home: &Home) -> Report {
    let sweep = Sweep::new(home.run.store().clone());
    sweep.run(Instant::now() + Duration::from_mins(1)).await.expect("the database")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_job_fails_after_twenty_three_hours_and_not_before() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let id = acme.accepted("resources", "post", json!([product("forgotten"), product("too")])).await;
    let chunk = deliveries.take_one().await;
    home.advance(OVERDUE.saturating_sub(Duration::from_mins(1)));
    assert_eq!(sweep(&home).await, Report { accounts: 1, ended: 0, left: 0, ..Report::default() });
    assert_eq!(acme.job(&id).await["job_status"], "queued");

    home.advance(Duration::from_mins(2));
    let younger = acme.accepted("resources", "post", json!([product("younger")])).await;
    assert_eq!(sweep(&home).await, Report { accounts: 1, ended: 1, left: 0, ..Report::default() });
    let job = acme.job(&id).await;
    assert_eq!(job["job_status"], "failed");
    assert_eq!(job["error"]["detail"], "The job was not started within 23 hours: none of its items was applied");
    assert_eq!(outcomes(&job), [NOT_APPLIED; 2]);
    assert_eq!(job["progress"], json!({"total": 2, "processed": 2, "succeeded": 0, "failed": 2}));
    assert_eq!(acme.active_jobs().await, 1);
    assert_eq!(acme.get("/jobs?status=failed").await.data(200)[0]["id"], id);

    // Its message arrives after all.
    deliveries.deliver(&chunk).await;
    assert!(acme.record("product", "forgotten").await.is_null());
    deliveries.drain().await;
    assert_eq!(acme.job(&younger).await["job_status"], "completed");
    assert_eq!(sweep(&home).await, Report::default(), "an account without active jobs costs nothing more");
    home.run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_under_way_keeps_what_was_done() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let items: Vec<Value> = (0..2_200).map(|number| product(&format!("gum-{number}"))).collect();
    let id = acme.accepted("resources", "post", json!(items)).await;
    let mut chunks = deliveries.take().await;
    chunks.sort_by_key(|delivery| delivery.chunk().index);
    // One chunk is done, one was written by a worker that died, one was agreed on, and two were never seen.
    deliveries.deliver(&chunks[0]).await;
    crash_after(LastStep::Written, &acme.store, &chunks[1]).await;
    crash_after(LastStep::Agreed, &acme.store, &chunks[2]).await;
    home.advance(OVERDUE + Duration::from_mins(1));
    assert_eq!(sweep(&home).await, Report { accounts: 1, ended: 1, left: 0, ..Report::default() });

    let job = acme.job(&id).await;
    assert_eq!(job["job_status"], "failed");
    let outcomes = outcomes(&job);
    let done = outcomes.iter().take_while(|outcome| *outcome == "done").count();
    let not_applied = outcomes[done..].iter().filter(|outcome| *outcome == NOT_APPLIED).count();
    // After 23 hours a record has forgotten by whom it was written: unless nothing else wrote it since.
    assert_eq!((done, not_applied), (1_000, 1_200));
    assert_eq!(job["progress"], json!({"total": 2_200, "processed": 2_200, "succeeded": 1_000, "failed": 1_200}));
    assert_eq!(acme.active_jobs().await, 0);
    for chunk in &chunks[2..] {
        deliveries.deliver(chunk).await;
    }
    for (name, is_there) in [("gum-0", true), ("gum-999", true), ("gum-1000", false), ("gum-2199", false)] {
        assert_eq!(acme.record("product", name).await.is_object(), is_there, "{name}");
    }
    assert_eq!(acme.job(&id).await, job);
    home.run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_last_step_got_lost_is_completed() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let id = acme.accepted("resources", "post", json!([product("gum")])).await;
    crash_after(LastStep::Recorded, &acme.store, &deliveries.take_one().await).await;
    home.advance(OVERDUE + Duration::from_mins(1));
    assert_eq!(sweep(&home).await, Report { accounts: 1, ended: 1, left: 0, ..Report::default() });
    assert_eq!(outcomes(&acme.job(&id).await), ["done"]);
    assert_eq!(acme.job(&id).await["job_status"], "completed");
    assert_eq!(acme.active_jobs().await, 0);
    home.run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_account_is_swept_and_slots_come_back_exactly() {
    let home = Home::start().await;
    let deliveries = Deliveries::of(&home);
    let clients = [home.agent("one").await, home.agent("two").await, home.agent("three").await];
    let mut jobs = Vec::new();
    for client in &clients {
        client.define_product().await;
        for number in 0..5 {
            let id = client.accepted("resources", "post", json!([product(&format!("{number}"))])).await;
            jobs.push((client, id));
        }
    }
    drop(deliveries.take().await);
    home.advance(OVERDUE + Duration::from_mins(1));
    // Two at once, as when a sweep takes longer than its period.
    let (first, second) = tokio::join!(sweep(&home), sweep(&home));
    assert_eq!((first.left, second.left), (0, 0));
    for (client, id) in jobs {
        assert_eq!(client.job(&id).await["job_status"], "failed");
        assert!(JobId::parse(&id).is_some());
        assert_eq!(client.active_jobs().await, 0);
    }
    home.run.stop().await;
}

/// Jobs are swept one by one, the oldest first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_row_is_damaged_hides_no_other() {
    let home = Home::start().await;
    let (_deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let damaged = acme.accepted("resources", "post", json!([product("damaged")])).await;
    home.advance(Duration::from_secs(5));
    let sound = acme.accepted("resources", "post", json!([product("sound")])).await;
    let client = store::clients::dynamodb(
        &store::clients::AwsSettings::emulator(&home.run.dynamodb_url()),
        store::clients::http_client(),
    );
    let id = JobId::parse(&damaged).expect("an id");
    let update = client
        .update_item()
        .table_name(&home.run.tables().jobs)
        .key("pk", AttributeValue::S(keys::account(&acme.account)))
        .key("sk", AttributeValue::S(keys::job(id)))
        .condition_expression("attribute_exists(pk)")
        .update_expression("SET #total = :spoiled")
        .expression_attribute_names("#total", "total")
        .expression_attribute_values(":spoiled", AttributeValue::S("not a number".to_owned()));
    update.send().await.expect("the row is spoiled");
    home.advance(OVERDUE + Duration::from_mins(1));

    assert_eq!(sweep(&home).await, Report { accounts: 1, ended: 1, left: 1, ..Report::default() });
    assert_eq!(acme.job(&sound).await["job_status"], "failed");
    assert_eq!(acme.active_jobs().await, 1, "the damaged one keeps its slot");
}
