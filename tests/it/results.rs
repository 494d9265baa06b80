//! Pages of the results of jobs that end between one page and the next.

use domain::job::JobStatus;
use domain::problem::Problem;
use reqwest::Method;
use serde_json::{Value, json};
use store::rows::JobRow;
use tests::compressed::gzip;
use tests::{Client, Deliveries, Home, text};

/// Follows `link` from a page to the last one beside it in that direction, and answers with the pages' items and how many pages they are.
async fn walk(acme: &Client, mut page: Value, direction: &str) -> (Vec<Vec<Value>>, usize) {
    let mut pages = Vec::new();
    loop {
        pages.push(page["data"].as_array().expect("a list").clone());
        assert!(pages.len() < 1_000, "the results do not end");
        match &page["links"][direction] {
            Value::Null => break,
            link => page = acme.follow(link).await.json(),
        }
    }
    let count = pages.len();
    (pages, count)
}

fn positions<'page>(pages: impl IntoIterator<Item = &'page Vec<Value>>) -> Vec<u64> {
    pages.into_iter().flatten().map(|entry| entry["position"].as_u64().expect("a position")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_from_page_to_page_while_a_job_is_stopped_sees_each_item_once() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    // Given a job whose first item and last are about one record, and stand in the first chunk,
    let set = |number: u32| json!({"type": "product", "external_id": (number % 9_999).to_string(), "attributes": {"name": "Gum"}});
    let id = acme.accepted("resources", "external_id_set", (0..10_000).map(set).collect()).await;
    let mut chunks = deliveries.take().await;
    chunks.sort_by_key(|delivery| delivery.chunk().index);
    for chunk in &chunks[..2] {
        deliveries.deliver(chunk).await;
    }
    // when it is stopped after the first page was read,
    let path = format!("/jobs/{id}/results?per_page=500");
    let first = acme.get(&path).await.json();
    assert_eq!(first["data"][499]["position"], 9_999);
    assert!(first["links"]["next"].is_string());
    let _ = acme.abort(&json!({"id": id})).await.data(202);
    for chunk in &chunks[2..] {
        deliveries.deliver(chunk).await;
    }
    assert_eq!(acme.job(&id).await["job_status"], "failed");
    // then the pages after it have every other item.
    let (pages, count) = walk(&acme, first, "next").await;
    let expected: Vec<u64> = (0..499).chain([9_999]).chain(499..9_999).collect();
    assert_eq!(positions(&pages), expected);
    assert_eq!(count, 20, "none is empty");
    let reversed = walk(&acme, acme.get(&format!("{path}&order=desc")).await.json(), "next").await.0;
    assert!(positions(&reversed).into_iter().rev().eq(expected));
}

/// As when the messages of a job are lost, and it is swept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_that_nobody_came_to_stand_at_the_end_and_are_shown_once() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let set = |number: u32| json!({"type": "product", "external_id": (number % 1_999).to_string(), "attributes": {"name": "Gum"}});
    let id = acme.accepted("resources", "external_id_set", (0..2_000).map(set).collect()).await;
    let mut chunks = deliveries.take().await;
    chunks.sort_by_key(|delivery| delivery.chunk().index);
    // Given a job of four chunks, of which the first and the third are done, and whose second page was read,
    for chunk in [&chunks[0], &chunks[2]] {
        deliveries.deliver(chunk).await;
    }
    let path = format!("/jobs/{id}/results?per_page=300");
    let first = acme.get(&path).await.json();
    let second = acme.follow(&first["links"]["next"]).await.json();
    // when it fails,
    let job = chunks[0].chunk().job;
    let Some(JobRow::Job(job)) = acme.store.jobs.find_job_row(job.of(&acme.account)).await.expect("the database")
    else {
        panic!("the job is gone");
    };
    let now = acme.store.clock().now();
    let failed = acme.store.jobs.fail(&acme.account, &job, JobStatus::Processing, &Problem::internal(), now).await;
    assert!(failed.expect("the database"));
    // then the pages after it have what was done and, at the end, the rest.
    let expected: Vec<u64> = (0..499).chain([1_999]).chain(999..1_499).chain(499..999).chain(1_499..1_999).collect();
    let (rest, _) = walk(&acme, second, "next").await;
    let pages: Vec<Vec<Value>> = [first["data"].as_array().expect("a list").clone()].into_iter().chain(rest).collect();
    assert_eq!(positions(&pages), expected);
    // So they stand for whoever reads them now, from either side,
    let (forward, count) = walk(&acme, acme.get(&path).await.json(), "next").await;
    assert_eq!((positions(&forward), count), (expected.clone(), 7));
    let reversed = walk(&acme, acme.get(&format!("{path}&order=desc")).await.json(), "next").await.0;
    assert!(positions(&reversed).into_iter().rev().eq(expected.iter().copied()));
    let mut last = acme.get(&path).await.json();
    while !last["links"]["next"].is_null() {
        last = acme.follow(&last["links"]["next"]).await.json();
    }
    let backwards = walk(&acme, last, "previous").await.0;
    assert_eq!(positions(backwards.iter().rev()), expected);
    // and whichever are wanted.
    for (success, wanted) in [(true, &expected[..1_000]), (false, &expected[1_000..])] {
        let some = walk(&acme, acme.get(&format!("{path}&success={success}")).await.json(), "next").await.0;
        assert_eq!(positions(&some), wanted, "{success}");
        assert!(some.iter().flatten().all(|entry| entry["success"] == success));
    }
    assert_eq!(text(&acme.job(&id).await["job_status"]), "failed");
}

/// Runs a job whose body is larger than may be sent as it is, and answers with its id.
async fn run_compressed(acme: &Client, body: &str) -> String {
    let request = acme.request(Method::POST, "/jobs").header("content-type", "application/json");
    let request = request.header("content-encoding", "gzip").body(gzip(body.as_bytes()));
    let job = tests::answer(request).await.data(201);
    let job = acme.wait(text(&job["id"])).await;
    assert_eq!(job["job_status"], "completed");
    text(&job["id"]).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_looks_through_so_many_chunks_for_the_few_that_are_wanted_and_goes_on_from_there() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    // Given a job of some sixty chunks, of which the last has the one item that fails,
    let note = "x".repeat(30_000);
    let product = |number: u32| json!({"type": "product", "external_id": number.to_string(), "attributes": {"name": "Gum", "note": note}});
    let items: Vec<Value> = (0..450).map(product).chain([json!({"type": "product"})]).collect();
    let id = run_compressed(&acme, &json!({"type": "resources", "action": "post", "data": items}).to_string()).await;
    // when those that failed are asked for,
    let mut page = acme.get(&format!("/jobs/{id}/results?success=false")).await.json();
    let (mut pages, mut reads) = (1, 0);
    while page["data"].as_array().is_some_and(Vec::is_empty) {
        let before = acme.store.meter().read();
        page = acme.follow(&page["links"]["next"]).await.json();
        reads = reads.max((acme.store.meter().read() - before).reads.requests);
        pages += 1;
    }
    // then each page says how to go on, the last has it, and none has read more than 24 chunks,
    assert_eq!(positions([page["data"].as_array().expect("a list")]), [450]);
    assert!((2..=4).contains(&pages), "{pages} pages");
    assert!(reads <= 24 + 4, "{reads} reads");
    // and from the other side it is found at once.
    let page = acme.get(&format!("/jobs/{id}/results?success=false&order=desc")).await.json();
    assert_eq!(positions([page["data"].as_array().expect("a list")]), [450]);
}
