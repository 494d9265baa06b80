//! At most a thousand active jobs of an account, exactly.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use tests::{Answer, Client, Home, PATIENCE, answer};

const MOST: usize = 1_000;

async fn post(acme: &Client, number: usize) -> Answer {
    let product = json!({"type": "product", "external_id": number.to_string(), "attributes": {"name": "x"}});
    acme.create_job("resources", "post", json!([product])).await
}

/// Posts jobs with these numbers, twenty at a time, and answers with the ids of those that were accepted.
async fn post_all(acme: &Client, numbers: std::ops::Range<usize>) -> (Vec<String>, usize) {
    let answers: Vec<Answer> =
        stream::iter(numbers).map(|number| post(acme, number)).buffer_unordered(20).collect().await;
    let (mut ids, mut refused) = (Vec::new(), 0);
    for answer in answers {
        if answer.status == 201 {
            ids.push(answer.data(201)["id"].as_str().expect("an id").to_owned());
        } else {
            assert_refused(&answer);
            refused += 1;
        }
    }
    (ids, refused)
}

fn assert_refused(answer: &Answer) {
    let (code, detail) = answer.error(429);
    assert_eq!(code, "TooManyRequests");
    assert!(detail.contains("1000") || detail.contains("1,000"), "{detail}");
    assert_eq!(answer.json()["errors"][0]["message"], detail);
    let seconds = answer.headers["retry-after"].to_str().expect("text").parse::<u32>();
    assert!(seconds.expect("seconds") > 0);
}

async fn listed(acme: &Client, path: &str) -> HashSet<String> {
    let listed = acme.get(path).await.data(200);
    let ids = listed.as_array().expect("a list").iter().map(|job| job["id"].as_str().expect("an id").to_owned());
    ids.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_thousand_and_first_job_is_refused_and_the_thousand_others_complete() {
    let home = Home::start().await;
    home.run.poller().pause();
    let (acme, umbrella) = (home.acme().await, home.agent("umbrella").await);
    acme.define_product().await;
    let (mut ids, refused) = post_all(&acme, 0..995).await;
    assert_eq!((ids.len(), refused), (995, 0));

    // Twenty at once for five slots.
    let (last, refused) = post_all(&acme, 995..1_015).await;
    assert_eq!((last.len(), refused), (5, 15));
    ids.extend(last);
    let ids: HashSet<String> = ids.into_iter().collect();
    assert_eq!(acme.active_jobs().await, MOST as u64);
    assert_eq!(listed(&acme, "/jobs?status=queued").await, ids);

    // The next one costs not even a message, and does not use up its idempotency key.
    let messages = home.queue().counts().await.expect("the queue");
    let with_key = || {
        let data = json!([{"type": "product", "external_id": "kept for later", "attributes": {"name": "x"}}]);
        let body = json!({"type": "resources", "action": "post", "data": data});
        answer(acme.request(reqwest::Method::POST, "/jobs").header("Idempotency-Key", "later").json(&body))
    };
    assert_refused(&with_key().await);
    assert_eq!(home.queue().counts().await.expect("the queue"), messages);
    assert_eq!(listed(&acme, "/jobs").await, ids);
    assert_eq!(acme.active_jobs().await, MOST as u64);
    // Another account is not concerned.
    let theirs = post(&umbrella, 1).await.data(201);

    // One ends, one more fits, and no second one.
    let aborted = ids.iter().next().expect("a job");
    assert_eq!(acme.post(&format!("/jobs/{aborted}/abort"), &Value::Null).await.status, 200);
    let later = with_key().await.data(201);
    assert_refused(&post(&acme, 1_015).await);
    assert_eq!(acme.active_jobs().await, MOST as u64);

    home.run.poller().resume();
    for id in ids.iter().filter(|id| *id != aborted).map(String::as_str).chain(later["id"].as_str()) {
        assert_eq!(acme.wait(id).await["progress"]["succeeded"], 1);
    }
    assert_eq!(umbrella.wait(theirs["id"].as_str().expect("an id")).await["job_status"], "completed");
    assert_eq!(listed(&acme, "/jobs?status=completed").await.len(), MOST);
    assert_eq!(listed(&acme, "/jobs?status=aborted").await, [aborted.clone()].into());
    assert_eq!((acme.active_jobs().await, umbrella.active_jobs().await), (0, 0));
    assert_eq!(listed(&acme, "/jobs").await.len(), MOST, "a page");
    assert_no_leftovers(&home, &acme).await;
    home.run.stop().await;
}

/// What was sent for jobs that then found no slot is dropped after a minute.
async fn assert_no_leftovers(home: &Home, acme: &Client) {
    home.advance(Duration::from_secs(61));
    let queue = home.queue();
    let mut counts = queue.counts().await.expect("the queue");
    let waiting_since = tokio::time::Instant::now();
    while counts.visible + counts.in_flight > 0 {
        assert!(waiting_since.elapsed() < PATIENCE, "{counts:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        home.advance(Duration::from_secs(31));
        counts = queue.counts().await.expect("the queue");
    }
    assert_eq!(counts.dead, 0);
    let records = acme.get("/objects/records?type=product").await;
    assert_eq!(records.data(200).as_array().map(Vec::len), Some(MOST));
    assert!(records.json()["links"]["next"].is_null(), "999 of the first thousand, and one more");
}
