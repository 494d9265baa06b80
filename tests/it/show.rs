//! Show Job: whose it is, and for how long.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{Home, outcomes, text};

/// 16:00:06.400: jobs count their day from the whole second.
const START: u64 = 1_509_724_806_400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_not_there_is_the_same_404_whyever() {
    let home = Home::start().await;
    let (acme, other) = (home.acme().await, home.agent("other").await);
    let theirs = other.create_job("resources", "post", json!([{}])).await.data(201);
    let malformed = [
        "1",
        "none",
        "8b72559ae838-c9a0-11e7-abc4-cec278b6b50a6e6",
        "576a0d0d-fb3f-11e9-80f8-65590b274410",
        "%20",
        "%ff",
    ];
    let unknown = "0190163d-8694-7000-8000-000000000000";
    for id in malformed.into_iter().chain([unknown, text(&theirs["id"])]) {
        let (code, detail) = acme.get(&format!("/jobs/{id}")).await.error(404);
        assert_eq!(code, "NotFound");
        assert!(!detail.contains("account") && !detail.contains("expired"), "{detail}");
    }
    let detail_of = async |id: &str| acme.get(&format!("/jobs/{id}")).await.error(404).1.replace(id, "ID");
    assert_eq!(detail_of(unknown).await, detail_of(text(&theirs["id"])).await);
    assert_eq!(detail_of(unknown).await, detail_of("none").await);
    assert_eq!(other.show(&theirs).await["id"], theirs["id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_seen_for_a_day_to_the_second() {
    let home = Home::start_at(START).await;
    let acme = home.acme().await;
    let job = acme.run_job("resources", "post", json!([{}])).await;
    assert_eq!(job["created_at"], "2017-11-03T16:00:06Z");
    let failed =
        tests::answer(acme.request(reqwest::Method::POST, "/jobs").header("content-encoding", "compress").body("x"))
            .await
            .data(201);

    home.advance(Duration::from_secs(86_399));
    assert_eq!(acme.show(&job).await, job);
    home.advance(Duration::from_millis(599));
    assert_eq!(acme.show(&job).await, job);
    let listed = async |path: &str| acme.get(path).await.data(200).as_array().map(Vec::len);
    assert_eq!((listed("/jobs").await, listed("/jobs?status=completed").await), (Some(2), Some(1)));
    assert_eq!(acme.abort(&job).await.status, 409);

    home.advance(Duration::from_millis(1));
    for expired in [&job, &failed] {
        let (code, detail) = acme.get(&format!("/jobs/{}", text(&expired["id"]))).await.error(404);
        assert_eq!((code.as_str(), detail.contains(text(&expired["id"]))), ("NotFound", true));
        assert_eq!(acme.abort(expired).await.error(404).0, "NotFound");
    }
    for path in ["/jobs", "/jobs?order=asc", "/jobs?status=completed", "/jobs?status=failed"] {
        assert_eq!(listed(path).await, Some(0), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_job_of_a_list_expires_at_its_own_time() {
    let home = Home::start_at(START).await;
    let acme = home.acme().await;
    let first = acme.run_job("resources", "post", json!([{}])).await;
    home.advance(Duration::from_secs(2));
    let second = acme.run_job("resources", "post", json!([{}])).await;
    home.advance(Duration::from_millis(86_397_600));
    let ids = async |path: &str| -> Vec<Value> {
        let jobs = acme.get(path).await.data(200);
        jobs.as_array().expect("a list").iter().map(|job| job["id"].clone()).collect()
    };
    for path in ["/jobs", "/jobs?order=asc", "/jobs?per_page=1", "/jobs?status=completed&per_page=1&order=asc"] {
        assert_eq!(ids(path).await, [second["id"].clone()], "{path}");
    }
    assert_eq!(acme.get("/jobs?per_page=1").await.json()["links"], json!({"next": null, "previous": null}));
    assert_eq!(acme.get(&format!("/jobs/{}", text(&first["id"]))).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_stand_at_the_positions_of_their_items() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    // Two chunks, and a failure at every seventh position.
    let item = |number: usize| match number % 7 {
        0 => json!({"type": "product", "attributes": {"price": number}}),
        _ => json!({"type": "product", "external_id": number.to_string(), "attributes": {"name": number.to_string()}}),
    };
    let job = acme.run_job("resources", "post", (0..600).map(item).collect()).await;
    for (number, outcome) in outcomes(&job).iter().enumerate() {
        assert_eq!(outcome == "done", number % 7 != 0, "{number}: {outcome}");
    }
    for number in [1, 249, 250, 251, 499, 500, 501, 599] {
        let id = &job["results"][number]["data"]["id"];
        assert_eq!(acme.record_of(id).await["external_id"], number.to_string());
    }
    let success = &job["results"][1];
    assert_eq!(success, &json!({"success": true, "data": {"id": success["data"]["id"]}}));
    let failure = &job["results"][0];
    assert_eq!(
        failure.as_object().map(|it| it.keys().collect::<Vec<_>>()),
        json!({"success": false, "errors": []}).as_object().map(|it| it.keys().collect())
    );
}
