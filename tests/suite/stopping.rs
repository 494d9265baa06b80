//! Jobs that are stopped: by an abort while they are processing, and by too many failures.

use serde_json::{Value, json};
use tests::{Client, outcomes, text};

use crate::home::Home;

const LEFT: &str = "NotProcessed: The job was stopped before it came to this item: it was not applied";

/// Changes of one record, in chunks that follow one another: each sets `price` to its own number.
fn changes(count: usize) -> Value {
    let change =
        |number| json!({"type": "product", "external_id": "1", "attributes": {"name": "Gum", "price": number}});
    (0..count).map(change).collect()
}

/// The job has ended as stopped: so many items were done, in order, and the others were not come to.
async fn check_stopped(agent: &Client, job: &Value, code: &str) -> usize {
    assert_eq!((text(&job["job_status"]), text(&job["error"]["code"])), ("failed", code), "{}", job["error"]);
    let outcomes = outcomes(job);
    let done = outcomes.iter().take_while(|outcome| *outcome == "done").count();
    assert!(outcomes[done..].iter().all(|outcome| outcome == LEFT), "nothing is begun after what was left");
    let left = outcomes.len() - done;
    let total = outcomes.len();
    assert_eq!(job["progress"], json!({"total": total, "processed": total, "succeeded": done, "failed": left}));
    // What the results say is what the record is.
    let record = agent.record("product", "1").await;
    match done.checked_sub(1) {
        Some(last) => assert_eq!(record["attributes"]["price"], last),
        None => assert!(record.is_null(), "{record}"),
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_aborted_while_it_is_processing_finishes_what_it_has_begun_and_nothing_else() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let job = agent.create_job("resources", "external_id_set", changes(10_000)).await.data(201);
    agent.wait_for_progress(text(&job["id"])).await;
    let aborted = agent.abort(&job).await;
    let stopping = aborted.data(202);
    assert_eq!((text(&stopping["job_status"]), &stopping["results"]), ("processing", &json!([])));
    assert_eq!(agent.abort(&job).await.status.as_u16() / 100, 2, "asked again while it is stopping, or has stopped");
    let ended = agent.wait(text(&job["id"])).await;
    let done = check_stopped(&agent, &ended, "Aborted").await;
    assert!((500..10_000).contains(&done), "{done}");
    assert_eq!(agent.abort(&job).await.data(200), ended, "asked again once it has ended");
    // Its slot is free, and who sends again what was left gets the rest.
    let limits = agent.get("/limits").await.data(200);
    assert_eq!(limits[4], json!({"key": "jobs", "limit": 1_000, "count": 0}));
    home.stop().await;
}

/// The `error` of a job that allows 49 failures, from the documentation.
fn documented() -> Value {
    let page = include_str!("../../docs/api.md");
    let (_, after) = page.split_once("`\"max_failures\": 49`").expect("the example");
    let (_, block) = after.split_once("```json\n").expect("its beginning");
    serde_json::from_str(block.split_once("```").expect("its end").0).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_stops_once_more_items_have_failed_than_it_allows() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    // Given changes of one record, every tenth of which is wrong,
    let wrong = |number: usize| number % 10 == 9;
    let change = |number| {
        let price = if wrong(number) { json!("free") } else { json!(number) };
        json!({"type": "product", "external_id": "1", "attributes": {"name": "Gum", "price": price}})
    };
    let items: Value = (0..1_500).map(change).collect();
    let run = async |max_failures: Value| {
        let body =
            json!({"type": "resources", "action": "external_id_set", "data": items, "max_failures": max_failures});
        let job = agent.post("/jobs", &body).await.data(201);
        agent.wait(text(&job["id"])).await
    };
    // when 49 failures are allowed, it stops after the first chunk, which has 50;
    let stopped = run(json!(49)).await;
    assert_eq!(stopped["job_status"], "failed");
    assert_eq!(stopped["error"], documented(), "as docs/api.md shows it");
    let came = outcomes(&stopped);
    let left = came.iter().position(|outcome| outcome == LEFT).expect("items that were left");
    assert_eq!(left, 500, "a chunk that was begun is finished");
    assert!(came[left..].iter().all(|outcome| outcome == LEFT));
    assert!((0..500).all(|number| (came[number] == "done") != wrong(number)), "{came:?}");
    assert_eq!(agent.record("product", "1").await["attributes"]["price"], 498);
    // when as many are allowed as there are, or there is no limit, it completes.
    for enough in [json!(150), json!(4_294_967_296_u64), Value::Null] {
        let completed = run(enough).await;
        assert_eq!((text(&completed["job_status"]), &completed["progress"]["failed"]), ("completed", &json!(150)));
    }
    for (wrong, shown) in [(json!(-1), "-1"), (json!(1.5), "1.5"), (json!("3"), "a string"), (json!([]), "an array")] {
        let body = json!({"type": "resources", "action": "post", "data": [{}], "max_failures": wrong});
        let (code, detail) = agent.post("/jobs", &body).await.error(422);
        assert_eq!(code, "UnprocessableEntity");
        assert_eq!(detail, format!("max_failures must be a whole number of at least 0, not {shown}"));
    }
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_last_items_fail_has_nothing_left_to_stop() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let body = json!({"type": "resources", "action": "post", "data": [{}, {}], "max_failures": 0});
    let job = agent.post("/jobs", &body).await.data(201);
    let ended = agent.wait(text(&job["id"])).await;
    assert_eq!((text(&ended["job_status"]), ended.get("error")), ("completed", None));
    assert_eq!(agent.abort(&job).await.error(409).0, "Conflict");
    home.stop().await;
}
