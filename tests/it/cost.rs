//! What a job costs: capacity units as the database itself reports them, and requests as they are made.
//!
//! The targets are per item. Requests to the queue are counted at their worst: each message received and deleted by
//! itself. `cargo test -p tests cost -- --nocapture` shows the tables.

use serde_json::{Value, json};
use store::meter::Reading;
use tests::{Client, Deliveries, Delivery, Home, outcomes};

/// Write units of all tables for one created record: the record itself, and its share of the results and the job.
const MOST_WRITE_UNITS: f64 = 1.05;
/// Requests to the database for one item of a large job. A job asks four times for itself, and four times for each
/// chunk, which a job of 1,000 items has to share among fewer.
const MOST_REQUESTS: f64 = 0.06;
const MOST_REQUESTS_OF_A_THOUSAND: f64 = 0.066;

/// What one job took.
struct Bill {
    action: String,
    items: usize,
    database: Reading,
    queue_requests: usize,
}

impl Bill {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn per_item(&self, all: f64) -> f64 {
        all / self.items as f64
    }

    fn write_units(&self) -> f64 {
        self.per_item(self.database.writes.table_units)
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn requests(&self) -> f64 {
        self.per_item(self.database.requests() as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn show(&self) {
        eprintln!(
            "{:28} {:>6} items: {:.4} write units, {:.4} of indexes, {:.4} read units, {:.4} requests, {:.4} to the queue",
            self.action,
            self.items,
            self.write_units(),
            self.per_item(self.database.writes.index_units),
            self.per_item(self.database.reads.table_units + self.database.reads.index_units),
            self.requests(),
            self.per_item(self.queue_requests as f64),
        );
    }

    fn assert_within_targets(&self, most_requests: f64) {
        assert!(self.write_units() <= MOST_WRITE_UNITS, "{}: {} write units", self.action, self.write_units());
        assert!(self.requests() <= most_requests, "{}: {} requests", self.action, self.requests());
    }
}

/// Requests for messages that are sent together as far as SQS allows it.
fn queue_requests(messages: &[Delivery]) -> usize {
    const MESSAGES_PER_SEND: usize = 10;
    const BYTES_PER_SEND: usize = 1024 * 1024;
    let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
    let sends = messages.len().div_ceil(MESSAGES_PER_SEND).max(bytes.div_ceil(BYTES_PER_SEND));
    sends + messages.len() * 2
}

/// Runs a job in which every item succeeds: its bill, and the ids of the records.
async fn bill(
    deliveries: &Deliveries<'_>,
    acme: &Client,
    what: &str,
    action: &str,
    data: Vec<Value>,
) -> (Bill, Vec<Value>) {
    let meter = acme.store.meter();
    let items = data.len();
    let before = meter.read();
    let id = acme.accepted("resources", action, json!(data)).await;
    let messages = deliveries.take().await;
    // One starts the job. Chunks that arrive together may each try to, which adds up to two requests a chunk.
    let (first, others) = messages.split_at(1);
    for messages in [first, others] {
        assert!(deliveries.hand_over(messages).await.is_empty());
    }
    let database = meter.read() - before;
    let job = acme.job(&id).await;
    assert!(outcomes(&job).iter().all(|outcome| outcome == "done"), "{what}");
    let bill = Bill { action: what.to_owned(), items, database, queue_requests: queue_requests(&messages) };
    bill.show();
    let results = job["results"].as_array().expect("results");
    (bill, results.iter().map(|result| result["data"]["id"].clone()).collect())
}

/// The small product of the published examples, with or without an external id.
fn product(external_id: &Value) -> Value {
    json!({"type": "product", "external_id": external_id, "attributes": {"id": "3", "name": "Strawberry Chewing Gum"}})
}

async fn jobs_stay_within_the_targets(items: usize, most_requests: f64) {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let products = |kind: &str| (0..items).map(|number| product(&json!(format!("{kind}-{number}")))).collect();
    let patches: Vec<Value> = (0..items)
        .map(|number| json!({"type": "product", "external_id": format!("posted-{number}"), "attributes": {"price": 2}}))
        .collect();
    let bill = async |what, action, data| bill(&deliveries, &acme, what, action, data).await;

    let (post, ids) = bill("post", "post", products("posted")).await;
    let nameless = vec![product(&Value::Null); items];
    let (post_nameless, nameless) = bill("post without external id", "post", nameless).await;
    let (set_new, _) = bill("external_id_set, new", "external_id_set", products("set")).await;
    let (set, _) = bill("external_id_set, existing", "external_id_set", patches.clone()).await;
    let updates = ids.iter().map(|id| json!({"id": id, "attributes": {"price": 3}})).collect();
    let (update, _) = bill("update", "update", updates).await;
    let (delete, _) = bill("delete", "delete", nameless).await;
    let (delete_by_external_id, _) = bill("external_id_delete", "external_id_delete", patches).await;

    for bill in [post, post_nameless, set_new, set, update, delete, delete_by_external_id] {
        bill.assert_within_targets(most_requests);
    }
    home.run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_thousand_items_stay_within_the_targets() {
    jobs_stay_within_the_targets(1_000, MOST_REQUESTS_OF_A_THOUSAND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_ten_thousand_items_stay_within_the_targets() {
    jobs_stay_within_the_targets(10_000, MOST_REQUESTS).await;
}

/// Whatever comes before it, and in either direction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_results_costs_the_same_at_the_end_as_at_the_start() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let product =
        |number| json!({"type": "product", "external_id": format!("{number}"), "attributes": {"name": "Gum"}});
    let job = acme.run_job("resources", "post", (0..10_000).map(product).collect()).await;
    let meter = acme.store.meter();
    let path = format!("/jobs/{}/results?per_page=1000", job["id"].as_str().expect("an id"));
    // What cursors are signed with is read once.
    let _ = acme.get(&format!("{path}&success=true")).await.data(200);
    for order in ["asc", "desc"] {
        let mut page = acme.get("/limits").await;
        let mut costs = Vec::new();
        loop {
            let before = meter.read();
            page = match page.json()["links"]["next"].as_str() {
                Some(next) => acme.follow(&json!(next)).await,
                None if costs.is_empty() => acme.get(&format!("{path}&order={order}")).await,
                None => break,
            };
            let reads = (meter.read() - before).reads;
            assert_eq!(page.data(200).as_array().map(Vec::len), Some(1_000));
            costs.push(reads.table_units + reads.index_units);
        }
        assert_eq!(costs.len(), 10);
        let (least, most) = (costs.iter().copied().fold(f64::MAX, f64::min), costs.iter().copied().fold(0.0, f64::max));
        eprintln!("a page of 1,000 of 10,000 results, {order}: {least} to {most} read units");
        // The job, and two chunks of ten kilobytes.
        assert!(most - least <= 1.0 && most <= 9.0, "{costs:?}");
    }
    home.run.stop().await;
}
