//! Chains of jobs that only validate, whose chunks one worker goes through: however often it dies, the job ends, and what the results say is what the
//! chunks before leave.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::slice::from_ref;
use std::task::Poll;

use domain::account::usage::PerKind;
use domain::job::{Job, JobId};
use domain::limits::ITEMS_PER_CHUNK;
use serde_json::{Value, json};
use store::rows::JobRow;
use tests::{Client, Deliveries, Delivery, Home, LastStep, crash_after, outcomes, text};

use super::buried::{NOT_APPLIED, bury};

/// A change of one record: it can only succeed on what the first one leaves, which has a name.
fn change(number: usize) -> Value {
    let attributes = if number == 0 { json!({"name": "Gum", "price": 0}) } else { json!({"price": number}) };
    json!({"type": "product", "external_id": "gum", "attributes": attributes})
}

/// A job that validates so many of them, and the message of its first chunk.
async fn accepted(deliveries: &Deliveries<'_>, acme: &Client, items: usize) -> (String, Delivery) {
    let data: Vec<Value> = (0..items).map(change).collect();
    let body = json!({"type": "resources", "action": "external_id_set", "data": data});
    let job = acme.post("/jobs?validate_only=true", &body).await.data(201);
    (text(&job["id"]).to_owned(), deliveries.take_one().await)
}

async fn row(acme: &Client, id: &str) -> Job {
    let found =
        acme.store.jobs.find_job_row(JobId::parse(id).expect("an id").of(&acme.account)).await.expect("the database");
    let Some(JobRow::Job(job)) = found else { panic!("the job is gone") };
    job
}

/// As [`accepted`], with a first worker that died as soon as so many chunks were recorded.
async fn died_after(deliveries: &Deliveries<'_>, acme: &Client, items: usize, chunks: usize) -> (String, Delivery) {
    /// A worker that is not looked at for a while may have come further. Then it comes to its end, and another is tried.
    const ATTEMPTS: usize = 20;
    for _ in 0..ATTEMPTS {
        let (id, first) = accepted(deliveries, acme, items).await;
        let delivery = first.clone();
        let mut worker = pin!(deliveries.hand_over(from_ref(&delivery)));
        let mut recorded = 0;
        while recorded < chunks {
            let is_done = poll_fn(|context| Poll::Ready(worker.as_mut().poll(context).is_ready())).await;
            recorded = if is_done { usize::MAX } else { row(acme, &id).await.done.len() };
        }
        if recorded == chunks {
            return (id, first);
        }
        if recorded < usize::MAX {
            assert!(worker.await.is_empty());
        }
    }
    panic!("no worker died where it should");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_whose_workers_die_is_buried_where_it_stands_and_goes_on_behind() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    // Given a chain of five chunks, two of which are recorded whenever its worker dies,
    let (id, first) = died_after(&deliveries, &acme, 4 * ITEMS_PER_CHUNK + 100, 2).await;
    // when its message has been received too often,
    bury(&home, &first).await;
    let job = acme.job(&id).await;
    assert_eq!((text(&job["job_status"]), &job["progress"]["processed"]), ("processing", &json!(3 * ITEMS_PER_CHUNK)));
    // then the third is given up, and the others are gone through as what the first two leave has it.
    deliveries.drain().await;
    let job = acme.job(&id).await;
    assert_eq!((text(&job["job_status"]), text(&job["error"]["code"])), ("failed", "InternalServerError"));
    let (came, [given_up, next]) = (outcomes(&job), [2, 3].map(|chunk| chunk * ITEMS_PER_CHUNK));
    assert!(came[..given_up].iter().chain(&came[next..]).all(|outcome| outcome == "done"), "{:?}", came[next]);
    assert!(came[given_up..next].iter().all(|outcome| outcome == NOT_APPLIED), "{:?}", came[given_up]);
    assert_eq!(acme.active_jobs().await, 0);
    assert!(acme.record("product", "gum").await.is_null());
    // Neither a copy of the dead letter nor one of the message changes anything any more.
    bury(&home, &first.again()).await;
    deliveries.deliver(&first.again()).await;
    assert_eq!(acme.job(&id).await, job);
    assert!(deliveries.take().await.is_empty());
}

/// Wherever it stands: at each burying one chunk more is closed, and with the last the job ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_nobody_can_go_through_ends() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    for recorded in 0..3 {
        let (id, first) = died_after(&deliveries, &acme, 2 * ITEMS_PER_CHUNK + 100, recorded).await;
        let mut letters = vec![first];
        let mut buried = 0;
        while let Some(letter) = letters.pop() {
            bury(&home, &letter).await;
            buried += 1;
            letters = deliveries.take().await;
        }
        assert_eq!(buried, 3 - recorded, "{recorded}");
        let job = acme.job(&id).await;
        assert_eq!(text(&job["job_status"]), "failed", "{recorded}");
        let done = outcomes(&job).iter().filter(|outcome| *outcome == "done").count();
        assert_eq!(done, recorded * ITEMS_PER_CHUNK, "{recorded}");
        assert_eq!(acme.active_jobs().await, 0, "{recorded}");
    }
}

/// What was agreed stands when its chunk is closed, and the chunks behind it go on from that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_closed_chunk_a_chain_goes_on_from_what_was_agreed() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let (id, first) = accepted(&deliveries, &acme, 2 * ITEMS_PER_CHUNK).await;
    crash_after(LastStep::Agreed, home.run.store(), &first).await;
    bury(&home, &first).await;
    deliveries.drain().await;
    let job = acme.job(&id).await;
    assert_eq!(text(&job["job_status"]), "failed");
    assert_eq!(outcomes(&job), vec!["done"; 2 * ITEMS_PER_CHUNK]);
}

/// A redelivery goes on from what is recorded, and does not check it again: by now it may be judged otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_is_not_judged_again() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let (id, first) = died_after(&deliveries, &acme, 3 * ITEMS_PER_CHUNK, 1).await;
    // Given that nothing of the first chunk would be valid any more, but what it leaves would be with any other price,
    let properties = json!({"name": {"type": "string"}, "price": {"type": "number", "minimum": ITEMS_PER_CHUNK}});
    let schema = json!({"properties": properties, "required": ["name"]});
    let _ = acme.put("/objects/types/product", &json!({"data": {"schema": schema}})).await.data(200);
    // when the chain is delivered again,
    deliveries.deliver(&first.again()).await;
    // then the others are valid.
    let job = acme.job(&id).await;
    assert_eq!(text(&job["job_status"]), "completed");
    assert_eq!(outcomes(&job), vec!["done"; 3 * ITEMS_PER_CHUNK]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redelivery_has_the_room_that_its_job_took_before() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    // Given room for one record, which the first chunk would make,
    let limits = PerKind { objects: Some(Some(1)), relationships: None };
    acme.store.usages.change_limits(&acme.account, limits).await.expect("the database");
    let (id, first) = died_after(&deliveries, &acme, 2 * ITEMS_PER_CHUNK, 1).await;
    // when the chain is delivered again,
    deliveries.deliver(&first.again()).await;
    // then the second changes that record, as in a real run.
    let job = acme.job(&id).await;
    assert_eq!(text(&job["job_status"]), "completed");
    assert_eq!(outcomes(&job), vec!["done"; 2 * ITEMS_PER_CHUNK]);
}
