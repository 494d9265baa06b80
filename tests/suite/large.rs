//! Large jobs, with a result for each item in its place.

use std::collections::HashSet;

use domain::job::JobId;
use reqwest::Method;
use serde_json::{Value, json};
use store::rows::JobRow;
use tests::compressed::gzip;
use tests::{Client, answer, outcomes, text};

use crate::home::Home;

/// Every hundredth item is wrong, so that a result in the wrong place shows.
fn is_wrong(number: usize) -> bool {
    number % 100 == 99
}

fn product(number: usize) -> Value {
    let name = if is_wrong(number) { json!(number) } else { json!(format!("product {number}")) };
    json!({"type": "product", "external_id": number.to_string(), "attributes": {"name": name}})
}

/// Waits for the end of a job, which may go through its states in their order only, and answers with those that were seen.
async fn watch(agent: &Client, job: &Value) -> Vec<String> {
    const ORDER: [&str; 3] = ["queued", "processing", "completed"];
    let mut seen = vec![text(&job["job_status"]).to_owned()];
    let mut processed = 0;
    loop {
        let job = agent.show(job).await;
        let status = text(&job["job_status"]).to_owned();
        let now = job["progress"]["processed"].as_u64().expect("a number");
        assert!(now >= processed, "{now} after {processed}");
        processed = now;
        assert_eq!(job["results"] == json!([]), status != "completed", "results are shown at the end, and not before");
        if seen.last() != Some(&status) {
            seen.push(status);
        }
        let place =
            |status: &String| ORDER.iter().position(|known| known == status).expect("a state of a job that goes well");
        assert!(seen.iter().map(place).is_sorted(), "{seen:?}");
        if job["completed_at"].is_string() {
            return seen;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn runs_to_its_end(items: usize) {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let queued = agent.create_job("resources", "external_id_set", (0..items).map(product).collect()).await.data(201);
    let states = watch(&agent, &queued).await;
    assert_eq!(
        (states.first().map(String::as_str), states.last().map(String::as_str)),
        (Some("queued"), Some("completed"))
    );
    if items > 5_000 {
        assert_eq!(states, ["queued", "processing", "completed"], "it takes long enough to be seen at it");
    }

    let job = agent.show(&queued).await;
    let wrong = items / 100;
    assert_eq!(
        job["progress"],
        json!({"total": items, "processed": items, "succeeded": items - wrong, "failed": wrong})
    );
    let outcomes = outcomes(&job);
    assert_eq!(outcomes.len(), items);
    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome == "done", !is_wrong(number), "{number}: {outcome}");
    }
    let ids: Vec<String> = (0..items)
        .filter(|number| !is_wrong(*number))
        .map(|number| text(&job["results"][number]["data"]["id"]).to_owned())
        .collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), items - wrong, "each is another record");
    let expected: HashSet<String> =
        (0..items).filter(|number| !is_wrong(*number)).map(|number| number.to_string()).collect();
    assert_eq!(external_ids(&agent).await, expected);
    assert_eq!(agent.active_jobs().await, 0);
    home.stop().await;
}

/// The external id of every product, each of which may be listed once.
async fn external_ids(agent: &Client) -> HashSet<String> {
    let mut found = HashSet::new();
    let mut page = agent.get("/objects/records?type=product").await;
    loop {
        for record in page.data(200).as_array().expect("a list") {
            assert!(found.insert(text(&record["external_id"]).to_owned()), "listed twice: {record}");
        }
        let next = page.json()["links"]["next"].clone();
        if next.is_null() {
            return found;
        }
        page = agent.follow(&next).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_a_thousand_items_runs_to_its_end() {
    runs_to_its_end(1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_ten_thousand_items_goes_from_queued_through_processing_to_completed() {
    runs_to_its_end(10_000).await;
}

/// Longer than the loop of one function that AWS stops unless it is told that it is meant.
const CHAINED_CHUNKS: u32 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_forty_chunks_runs_to_its_end() {
    // Eight of them are a chunk, and all are about one record, so each chunk waits for the one before.
    const ITEMS: usize = 330;
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let name = |number: usize| format!("{number} {}", "x".repeat(30_000));
    let items: Vec<Value> = (0..ITEMS)
        .map(|number| json!({"type": "product", "external_id": "one", "attributes": {"name": name(number)}}))
        .collect();
    let body = json!({"type": "resources", "action": "external_id_set", "data": items}).to_string();
    let request = agent.request(Method::POST, "/jobs").header("content-encoding", "gzip").body(gzip(body.as_bytes()));
    let id = text(&answer(request).await.data(201)["id"]).to_owned();
    let job = agent.wait(&id).await;
    assert_eq!(outcomes(&job), ["done"; ITEMS]);
    let row = agent.store.jobs.find_job_row(JobId::parse(&id).expect("a job id").of(&agent.account)).await;
    let Ok(Some(JobRow::Job(row))) = row else { panic!("{row:?}") };
    assert!(row.chunks >= CHAINED_CHUNKS, "{} chunks", row.chunks);
    assert_eq!(agent.record("product", "one").await["attributes"]["name"], name(ITEMS - 1));
    home.stop().await;
}
