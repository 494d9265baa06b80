//! A chunk in the dead-letter queue: what of it was applied is done, nothing else of it ever will be, and its job ends.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::slice::from_ref;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bury::Bury;
use domain::chunk::ChunkItem;
use domain::job::Operation;
use domain::plan::{Entry, Outcome, Plan};
use domain::problem::Problem;
use domain::record::RecordId;
use domain::types::TypeKey;
use serde_json::{Value, json};
use store::records::Written;
use tests::{Client, Deliveries, Delivery, Home, LastStep, agreed_writes, crash_after, outcomes};

use super::scene::{Scene, Size, define_types};

pub(super) const NOT_APPLIED: &str = "InternalServerError: An unexpected error occurred: this item was not applied";

/// Hands a message to bury, which must be done with it.
pub(super) async fn bury(home: &Home, delivery: &Delivery) {
    let bury = Bury::new(home.run.store().clone(), Arc::new(home.queue().clone()));
    let response = bury.handle(delivery.event(), Instant::now() + Duration::from_mins(1)).await;
    assert!(response.batch_item_failures.is_empty(), "it is not buried: {}", delivery.body);
}

/// Polls `slow` so many times, lets `meanwhile` happen, and then lets `slow` go on to its end.
async fn pausing<Slow: Future>(polls: usize, slow: Slow, meanwhile: impl Future<Output = ()>) -> Slow::Output {
    let mut slow = pin!(slow);
    let mut left = polls;
    let early = poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        slow.as_mut().poll(context).map(Some)
    })
    .await;
    meanwhile.await;
    match early {
        Some(done) => done,
        None => slow.await,
    }
}

async fn undisturbed(
    acme: &Client,
    deliveries: &Deliveries<'_>,
    operation: Operation,
) -> (Vec<String>, super::scene::Traces) {
    let tag = format!("{operation:?} undisturbed");
    let scene = Scene::set(acme, deliveries, &tag, operation, Size::OneChunk).await;
    let before = scene.traces().await.contents();
    deliveries.deliver(&scene.chunks[0]).await;
    (before, scene.traces().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_dead_worker_did_is_told_and_stays() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    define_types(&acme).await;
    for operation in Operation::ALL {
        let (before, undisturbed) = undisturbed(&acme, &deliveries, operation).await;
        for last in [None].into_iter().chain(LastStep::ALL.map(Some)) {
            let tag = format!("{operation:?} {last:?}");
            let scene = Scene::set(&acme, &deliveries, &tag, operation, Size::OneChunk).await;
            if let Some(last) = last {
                crash_after(last, home.run.store(), &scene.chunks[0]).await;
            }
            bury(&home, &scene.chunks[0]).await;

            let buried = scene.traces().await;
            assert_eq!(buried.active_jobs, 0, "{tag}");
            let (written, recorded) = (last >= Some(LastStep::Written), last == Some(LastStep::Recorded));
            assert_eq!(buried.status, if recorded { "completed" } else { "failed" }, "{tag}");
            if written {
                assert_eq!(buried.outcomes, undisturbed.outcomes, "{tag}");
                assert_eq!(buried.contents(), undisturbed.contents(), "{tag}");
            } else {
                assert_eq!(buried.successes(), [""; 0], "{tag}");
                assert_eq!(buried.contents(), before, "{tag}");
            }
            assert_eq!(buried.progress["processed"], buried.progress["total"], "{tag}");

            // The message was copied, or its deletion got lost: nothing more comes of it.
            deliveries.deliver(&scene.chunks[0].again()).await;
            bury(&home, &scene.chunks[0].again()).await;
            assert_eq!(scene.traces().await, buried, "{tag}");
        }
    }
    home.run.stop().await;
}

/// The worker is not dead but slow: it stops at every step it takes, is buried, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_worker_applies_nothing_that_was_told_to_have_failed() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    define_types(&acme).await;
    let mut told = [0, 0];
    for operation in Operation::ALL {
        let (before, undisturbed) = undisturbed(&acme, &deliveries, operation).await;
        for wakes in 0.. {
            let tag = format!("{operation:?} {wakes}");
            let scene = Scene::set(&acme, &deliveries, &tag, operation, Size::OneChunk).await;
            let chunk = &scene.chunks[0];
            let unfinished = pausing(wakes, deliveries.hand_over(from_ref(chunk)), bury(&home, chunk)).await;
            assert!(unfinished.is_empty(), "{tag}");

            let traces = scene.traces().await;
            assert_eq!(traces.active_jobs, 0, "{tag}");
            if traces.successes().is_empty() {
                assert_eq!(traces.contents(), before, "{tag}");
            } else {
                // An item that would have failed may not have been judged yet; it has failed all the same.
                assert_eq!(traces.successes(), undisturbed.successes(), "{tag}");
                assert_eq!(traces.contents(), undisturbed.contents(), "{tag}");
            }
            told[usize::from(!traces.successes().is_empty())] += 1;
            if traces.status == "completed" {
                break;
            }
            assert_eq!(traces.status, "failed", "{tag}");
        }
    }
    assert!(told.iter().all(|times| *times > 5), "both ways were taken: {told:?}");
    home.run.stop().await;
}

fn product(name: &str) -> Value {
    json!({"type": "product", "external_id": name, "attributes": {"name": name}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_chunks_of_the_job_are_done_before_and_after() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let items: Vec<Value> = (0..1_200).map(|number| product(&format!("gum-{number}"))).collect();
    let id = acme.accepted("resources", "post", json!(items)).await;
    let mut chunks = deliveries.take().await;
    chunks.sort_by_key(|delivery| delivery.chunk().index);
    let [first, second, third] = chunks.as_slice() else { panic!("{} chunks", chunks.len()) };

    deliveries.deliver(first).await;
    bury(&home, second).await;
    let job = acme.job(&id).await;
    assert_eq!((&job["job_status"], &job["results"]), (&json!("processing"), &json!([])));
    assert_eq!(job["progress"], json!({"total": 1_200, "processed": 1_000, "succeeded": 500, "failed": 500}));
    deliveries.deliver(third).await;

    let job = acme.job(&id).await;
    assert_eq!(job["job_status"], "failed");
    assert_eq!(job["error"]["code"], "InternalServerError");
    assert_eq!(job["error"]["detail"], "An unexpected error kept some items from being applied: the results say which");
    assert!(job["completed_at"].is_string());
    let outcomes = outcomes(&job);
    assert!(outcomes[..500].iter().chain(&outcomes[1_000..]).all(|outcome| outcome == "done"));
    assert!(outcomes[500..1_000].iter().all(|outcome| outcome == NOT_APPLIED), "{:?}", outcomes[500]);
    assert_eq!(job["progress"], json!({"total": 1_200, "processed": 1_200, "succeeded": 700, "failed": 500}));
    assert!(acme.record("product", "gum-700").await.is_null());
    assert_eq!(acme.record("product", "gum-1100").await["attributes"]["name"], "gum-1100");
    assert_eq!(acme.active_jobs().await, 0);

    // What was kept from being applied can be sent again.
    let again = deliveries.run_job(&acme, "resources", "post", json!([product("gum-700")])).await;
    assert_eq!(tests::outcomes(&again), ["done"]);
    home.run.stop().await;
}

/// Items of one record that are too many for one chunk make a chain. The chunk after a buried one is still sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_goes_on_behind_a_buried_chunk() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let set =
        |price: u32| json!({"type": "product", "external_id": "gum", "attributes": {"name": "gum", "price": price}});
    let items: Vec<Value> = (0..600).map(set).collect();
    let id = acme.accepted("resources", "external_id_set", json!(items)).await;
    let first = deliveries.take_one().await;
    bury(&home, &first).await;
    assert_eq!(acme.job(&id).await["job_status"], "processing");
    deliveries.drain().await;

    let job = acme.job(&id).await;
    assert_eq!(job["job_status"], "failed");
    let outcomes = outcomes(&job);
    assert!(outcomes[..500].iter().all(|outcome| outcome == NOT_APPLIED));
    assert!(outcomes[500..].iter().all(|outcome| outcome == "done"));
    assert_eq!(acme.record("product", "gum").await["attributes"]["price"], 599);
    home.run.stop().await;
}

/// A worker that found a stop and agreed on it may die before it has noted that. Nothing unexpected kept the items of that chunk from being applied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_stopped_chunk_is_buried_says_that_it_was_stopped() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let wrong = json!({"type": "product", "attributes": {}});
    for (max_failures, code) in [(Value::Null, "Aborted"), (json!(0), "TooManyFailures")] {
        // Given a job of two chunks that is stopped once the first is done,
        let mut data: Vec<Value> = (0..600).map(|number| product(&format!("{code}-{number}"))).collect();
        data[0] = wrong.clone();
        let body = json!({"type": "resources", "action": "post", "data": data, "max_failures": max_failures});
        let job = acme.post("/jobs", &body).await.data(201);
        let mut chunks = deliveries.take().await;
        chunks.sort_by_key(|delivery| delivery.chunk().index);
        deliveries.deliver(&chunks[0]).await;
        if code == "Aborted" {
            let _ = acme.abort(&job).await.data(202);
        }
        // when the worker of the second dies once it has agreed not to begin it, and it is buried,
        let second = chunks[1].chunk();
        let left = |item: &ChunkItem<'_>| Entry::new(item.position, Outcome::failure(Problem::not_processed()), 0);
        let now = home.run.clock().now();
        let plan = Plan { revision: 1, made_at: now, closed: false, entries: second.items.iter().map(left).collect() };
        let agreed =
            acme.store.jobs.agree(second.job.of(&acme.account).chunk(1), &plan, now.plus_millis(86_400_000)).await;
        assert!(agreed.expect("the database"));
        bury(&home, &chunks[1]).await;
        // then the job failed because it was stopped.
        let job = acme.show(&job).await;
        assert_eq!((&job["job_status"], &job["error"]["code"]), (&json!("failed"), &json!(code)), "{}", job["error"]);
        assert!(outcomes(&job)[500..].iter().all(|outcome| outcome.starts_with("NotProcessed")), "{code}");
        assert_eq!(acme.active_jobs().await, 0);
    }
    home.run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_no_running_job_is_buried_without_a_trace() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let id = acme.accepted("resources", "post", json!([product("unwanted")])).await;
    let chunk = deliveries.take_one().await;
    let _ = acme.abort(&json!({"id": id})).await.data(200);
    bury(&home, &chunk).await;
    assert_eq!(acme.job(&id).await["job_status"], "aborted");
    assert!(acme.record("product", "unwanted").await.is_null());
    assert_eq!(acme.active_jobs().await, 0);
    home.run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_read_stays_a_dead_letter() {
    let home = Home::start().await;
    let bury = Bury::new(home.run.store().clone(), Arc::new(home.queue().clone()));
    let poison = Delivery { body: "not a chunk".to_owned(), receives: 1 };
    let response = bury.handle(poison.event(), Instant::now() + Duration::from_mins(1)).await;
    assert_eq!(response.batch_item_failures.len(), 1);
    home.run.stop().await;
}

/// A dead letter whose chunk is recorded says nothing more of it: by now its records may have forgotten that it was applied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_stays_whatever_a_late_dead_letter_finds() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let gum = |name: &str| json!({"type": "product", "external_id": "gum", "attributes": {"name": name}});
    let id = acme.accepted("resources", "post", json!([gum("gum")])).await;
    let chunk = deliveries.take_one().await;
    crash_after(LastStep::Recorded, home.run.store(), &chunk).await;
    home.advance(Duration::from_hours(1) + Duration::from_secs(1));
    let later = deliveries.run_job(&acme, "resources", "external_id_set", json!([gum("chewing gum")])).await;
    assert_eq!(outcomes(&later), ["done"]);

    bury(&home, &chunk).await;
    let job = acme.job(&id).await;
    assert_eq!((job["job_status"].as_str(), outcomes(&job)), (Some("completed"), vec!["done".to_owned()]));
}

/// A worker that died after it agreed may still have its writes on the way. None of them is made once the chunk is buried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_worker_still_has_on_the_way_comes_too_late() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    define_types(&acme).await;
    let store = home.run.store();
    for operation in Operation::ALL {
        let scene = Scene::set(&acme, &deliveries, &format!("{operation:?}"), operation, Size::OneChunk).await;
        let before = scene.traces().await.contents();
        let writes = agreed_writes(store, &scene.chunks[0]).await;
        assert!(!writes.is_empty(), "{operation:?}");
        bury(&home, &scene.chunks[0]).await;
        let now = store.clock().now();
        let written = match operation {
            Operation::CreateRelationships | Operation::DeleteRelationships => {
                store.records.write_relationships(&acme.account, &writes, now).await
            }
            _ => store.records.write_objects(&acme.account, &writes, now).await,
        };
        assert_eq!(written.expect("the database"), vec![Written::Lost; writes.len()], "{operation:?}");
        assert_eq!(scene.traces().await.contents(), before, "{operation:?}");
    }
}

/// Bury moves the row of each agreed write on, so that the write can never follow. Of a job that validates none follows, and no row is touched,
/// wherever its worker died.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn burying_what_only_validates_touches_no_row() {
    /// Where a worker is after so many wakes hangs on what else this machine does: it is tried until one has died where it matters.
    const SWEEPS: usize = 20;
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let item =
        |external_id: &str| json!({"type": "product", "external_id": external_id, "attributes": {"name": "Gum"}});
    deliveries.run_job(&acme, "resources", "post", json!([item("there")])).await;
    let id = |external_id: &str| {
        RecordId::of_external_id(&acme.account, &TypeKey::parse("product").expect("a key"), external_id)
    };
    let row = async |external_id: &str| {
        home.run.store().records.record(&acme.account, id(external_id)).await.expect("an answer")
    };
    let before = row("there").await;
    let mut told = 0;
    for _ in 0..SWEEPS {
        for wakes in 0..500 {
            let body = json!({"type": "resources", "action": "external_id_set", "data": [item("there"), item("new")]});
            let job = acme.post("/jobs?validate_only=true", &body).await.data(201);
            let chunk = deliveries.take_one().await;
            let finished = deliveries.deliver_to_mortal(&chunk, wakes).await;
            if !finished {
                bury(&home, &chunk).await;
            }
            assert_eq!((row("there").await, row("new").await), (before.clone(), None), "after {wakes} wakes");
            let ended = acme.show(&job).await;
            let outcomes = outcomes(&ended);
            // What was agreed is what a real run would have done.
            told += usize::from(ended["job_status"] == "failed" && outcomes == ["done", "done"]);
            assert!(outcomes == ["done", "done"] || outcomes == [NOT_APPLIED, NOT_APPLIED], "{ended}");
            assert!(!finished || ended["job_status"] == "completed", "{ended}");
            if finished {
                break;
            }
        }
        if told > 0 {
            break;
        }
    }
    assert!(told > 0, "no worker died between its agreement and its record");
    assert_eq!(acme.active_jobs().await, 0);
}
