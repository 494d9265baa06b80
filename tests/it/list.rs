//! List Jobs.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, Client, Home, text};

const START: u64 = 1_509_724_806_400;

/// Makes so many jobs in one and the same millisecond.
async fn jobs_of_one_moment(client: &Client, count: usize) {
    for _ in 0..count {
        let _ = client.create_job("resources", "post", json!([{}])).await.data(201);
    }
}

fn ids(answer: &Answer) -> Vec<String> {
    answer.data(200).as_array().expect("a list").iter().map(|job| text(&job["id"]).to_owned()).collect()
}

/// Every page of the list from this one on, in the direction of `link`.
async fn pages(client: &Client, first: Answer, link: &str) -> Vec<Vec<String>> {
    let mut pages = vec![ids(&first)];
    let mut next = first.json()["links"][link].clone();
    while !next.is_null() {
        let page = client.follow(&next).await;
        next = page.json()["links"][link].clone();
        pages.push(ids(&page));
        assert!(pages.len() < 100, "the list does not end");
    }
    pages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_job_comes_first_and_none_shows_results() {
    let home = Home::start_at(START).await;
    let acme = home.acme().await;
    let mut made = Vec::new();
    for _ in 0..4 {
        home.advance(Duration::from_millis(300));
        made.push(acme.run_job("resources", "post", json!([{}])).await);
    }
    made.reverse();
    let listed = acme.get("/jobs").await;
    assert_eq!(listed.json()["links"], json!({"next": null, "previous": null}));
    let expected: Vec<Value> = made
        .iter()
        .map(|job| {
            let mut job = job.clone();
            job.as_object_mut().expect("an object").shift_remove("results").expect("results");
            job
        })
        .collect();
    assert_eq!(listed.data(200), json!(expected));
    let oldest_first: Vec<_> = expected.into_iter().rev().collect();
    assert_eq!(acme.get("/jobs?order=asc").await.data(200), json!(oldest_first));
    assert_eq!(acme.get("/jobs?order=desc").await.data(200), listed.data(200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_without_jobs_has_an_empty_list() {
    let home = Home::start().await;
    let empty = json!({"data": [], "links": {"next": null, "previous": null}});
    for path in ["/jobs", "/jobs?status=aborted", "/jobs?order=asc&per_page=5"] {
        assert_eq!(home.acme().await.get(path).await.json(), empty);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_turn_forward_and_back_among_jobs_of_one_second() {
    let home = Home::start_at(START).await;
    let acme = home.acme().await;
    jobs_of_one_moment(&acme, 5).await;
    home.advance(Duration::from_millis(100));
    jobs_of_one_moment(&acme, 6).await;
    home.quiet().await;

    for filter in ["", "&status=completed"] {
        let all = ids(&acme.get(&format!("/jobs?order=desc{filter}")).await);
        assert_eq!(all.len(), 11);
        let mut reversed = all.clone();
        reversed.reverse();
        for (order, whole) in [("desc", &all), ("asc", &reversed)] {
            let first = acme.get(&format!("/jobs?per_page=3&order={order}{filter}")).await;
            assert_eq!(first.json()["links"]["previous"], Value::Null);
            let forward = pages(&acme, first.clone(), "next").await;
            assert_eq!(forward.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3, 2]);
            assert_eq!(&forward.concat(), whole, "{order}{filter}");

            let mut last = first;
            for _ in 0..3 {
                last = acme.follow(&last.json()["links"]["next"]).await;
            }
            let mut backward = pages(&acme, last, "previous").await;
            backward.reverse();
            assert_eq!(backward, forward, "{order}{filter}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_goes_on_where_it_was_when_jobs_are_added() {
    let home = Home::start_at(START).await;
    let acme = home.acme().await;
    jobs_of_one_moment(&acme, 4).await;
    let first = acme.get("/jobs?per_page=2").await;
    let rest = ids(&acme.get("/jobs").await)[2..].to_vec();
    home.advance(Duration::from_millis(1));
    jobs_of_one_moment(&acme, 2).await;
    let second = acme.follow(&first.json()["links"]["next"]).await;
    assert_eq!(ids(&second), rest);
    let back = acme.follow(&second.json()["links"]["previous"]).await;
    assert_eq!(ids(&back), ids(&first));
    let newest = acme.follow(&back.json()["links"]["previous"]).await;
    assert_eq!(ids(&newest).len(), 2);
    assert_eq!(newest.json()["links"]["previous"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_selects_the_jobs_that_have_it_now() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let completed = acme.run_job("resources", "post", json!([{}])).await;
    let unreadable = acme.request(Method::POST, "/jobs").header("content-encoding", "compress").body("x");
    let failed = tests::answer(unreadable).await.data(201);
    home.quiet().await;
    // Of two chunks one is held back, so that the job stays under way.
    home.run.poller().pause();
    let processing = acme
        .create_job("resources", "post", json!(vec![json!({}); domain::limits::ITEMS_PER_CHUNK + 1]))
        .await
        .data(201);
    let held = home.queue().receive(1, 1).await.expect("a queue");
    assert_eq!(held.len(), 1);
    home.run.poller().resume();
    acme.wait_for_progress(text(&processing["id"])).await;
    home.run.poller().pause();
    let queued = acme.create_job("resources", "post", json!([{}])).await.data(201);
    let aborted = acme.create_job("resources", "post", json!([{}])).await.data(201);
    assert_eq!(acme.abort(&aborted).await.status, 200);

    for (status, job) in [
        ("queued", &queued),
        ("processing", &processing),
        ("completed", &completed),
        ("failed", &failed),
        ("aborted", &aborted),
    ] {
        let listed = acme.get(&format!("/jobs?status={status}")).await.data(200);
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{status}");
        assert_eq!((&listed[0]["id"], &listed[0]["job_status"]), (&job["id"], &json!(status)));
        let mut shown = acme.show(job).await;
        shown.as_object_mut().expect("an object").shift_remove("results");
        assert_eq!(listed[0], shown);
    }
    assert_eq!(acme.get("/jobs").await.data(200).as_array().map(Vec::len), Some(5));
    assert_eq!(acme.active_jobs().await, 2);

    home.advance(Duration::from_secs(31));
    home.run.poller().resume();
    for job in [&queued, &processing] {
        assert_eq!(acme.wait(text(&job["id"])).await["job_status"], "completed");
    }
    assert_eq!(acme.get("/jobs?status=completed").await.data(200).as_array().map(Vec::len), Some(3));
    for none in ["queued", "processing"] {
        assert_eq!(acme.get(&format!("/jobs?status={none}")).await.data(200), json!([]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_there_is_not_is_a_400_that_names_the_five() {
    let home = Home::start().await;
    for wrong in ["done", "Queued", "queued,failed", "queued%20"] {
        let (code, detail) = home.acme().await.get(&format!("/jobs?status={wrong}")).await.error(400);
        assert_eq!(code, "BadRequest");
        for word in ["status", "queued", "processing", "completed", "failed", "aborted"] {
            assert!(detail.contains(word), "{detail}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jobs_of_other_accounts_are_never_listed() {
    let home = Home::start().await;
    // Names of which one begins with the other.
    let (acme, other) = (home.acme().await, home.agent("acme-2").await);
    jobs_of_one_moment(&acme, 2).await;
    jobs_of_one_moment(&other, 3).await;
    let (ours, theirs) = (ids(&acme.get("/jobs").await), ids(&other.get("/jobs").await));
    assert_eq!((ours.len(), theirs.len()), (2, 3));
    assert!(ours.iter().all(|id| !theirs.contains(id)));
    home.quiet().await;
    assert_eq!(ids(&acme.get("/jobs?status=completed&order=asc").await).len(), 2);
}

/// A list that is filtered by what stands in the jobs themselves looks at 5,000 of them a page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_looks_for_few_among_many_ends_its_page_and_goes_on_from_there() {
    let home = Home::start().await;
    let acme = home.acme().await;
    // Given one job of relationships, and after it more than 5,000 others, which have ended,
    let wanted = acme.run_job("relationships", "post", json!([{}])).await;
    let unreadable = || async {
        let request = acme.request(Method::POST, "/jobs").header("content-encoding", "unknown").body("{}");
        assert_eq!(tests::answer(request).await.data(201)["job_status"], "failed");
    };
    for _ in 0..325 {
        join_all((0..16).map(|_| unreadable())).await;
    }
    // when jobs of relationships are listed,
    let before = acme.store.meter().read();
    let first = acme.get("/jobs?type=relationships").await;
    let requests = (acme.store.meter().read() - before).requests();
    // then the first page has none, for it has looked at 5,000 in steps of 200, and the next has it.
    assert_eq!(ids(&first), Vec::<String>::new());
    assert!((25..=30).contains(&requests), "{requests} requests");
    let pages = pages(&acme, first, "next").await;
    assert_eq!(pages, [vec![], vec![text(&wanted["id"]).to_owned()]]);
    // And so from the other side: it is on the first page, and none on the last.
    let pages = self::pages(&acme, acme.get("/jobs?type=relationships&order=asc").await, "next").await;
    assert_eq!(pages.concat(), [text(&wanted["id"])]);
}
