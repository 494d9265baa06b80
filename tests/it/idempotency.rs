//! `Idempotency-Key`: a request may be sent again, and is not run again.

use std::collections::HashSet;
use std::io::Write;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, Client, Home, answer, text};

/// One item without an external id: a job that ran twice would leave two records.
fn body(name: &str) -> String {
    json!({"type": "resources", "action": "post", "data": [{"type": "product", "attributes": {"name": name}}]})
        .to_string()
}

async fn post(client: &Client, key: &[u8], body: &str) -> Answer {
    let key = reqwest::header::HeaderValue::from_bytes(key).expect("a header value");
    answer(client.request(Method::POST, "/jobs").header("idempotency-key", key).body(body.to_owned())).await
}

async fn count(client: &Client, list: &str) -> usize {
    client.get(list).await.data(200).as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_and_body_are_the_same_job_as_it_now_stands() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    home.run.poller().pause();

    let first = post(&acme, b"import 7", &body("Gum")).await;
    let queued = first.data(201);
    let again = post(&acme, b"import 7", &body("Gum")).await;
    assert_eq!(again.data(201), queued);
    assert_eq!(again.header("location"), first.header("location"));

    home.run.poller().resume();
    let completed = acme.wait(text(&queued["id"])).await;
    assert_eq!(completed["job_status"], "completed");
    assert_eq!(post(&acme, b"import 7", &body("Gum")).await.data(201), completed);
    home.quiet().await;
    assert_eq!((count(&acme, "/jobs").await, count(&acme, "/objects/records?type=product").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_with_another_body_is_a_422_and_runs_nothing() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let job = post(&acme, b"k", &body("Gum")).await.data(201);
    acme.wait(text(&job["id"])).await;
    for other in [body("Other"), format!("{} ", body("Gum")), "{".to_owned()] {
        let (code, detail) = post(&acme, b"k", &other).await.error(422);
        assert_eq!(code, "UnprocessableEntity");
        assert!(detail.contains("Idempotency-Key"), "{detail}");
    }
    home.quiet().await;
    assert_eq!((count(&acme, "/jobs").await, count(&acme, "/objects/records?type=product").await), (1, 1));
    // The key of a request that was refused is free.
    assert_eq!(post(&acme, b"l", "{}").await.status, 422);
    assert_eq!(post(&acme, b"l", &body("Gum")).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_content_compressed_in_another_way_is_the_same_job() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let plain = post(&acme, b"k", &body("Gum")).await.data(201);
    for level in [flate2::Compression::none(), flate2::Compression::best()] {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(body("Gum").as_bytes()).expect("memory");
        let packed = encoder.finish().expect("memory");
        let request = acme.request(Method::POST, "/jobs").header("idempotency-key", "k");
        let answer = answer(request.header("content-encoding", "gzip").body(packed)).await;
        assert_eq!(answer.data(201)["id"], plain["id"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_failed_at_once_is_found_again_too() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let send = async |body: &'static str| {
        let request = acme.request(Method::POST, "/jobs").header("idempotency-key", "k");
        answer(request.header("content-encoding", "compress").body(body)).await
    };
    let failed = send("a").await.data(201);
    assert_eq!(failed["job_status"], "failed");
    assert_eq!(send("a").await.data(201), failed);
    assert_eq!(send("b").await.status, 422);
    assert_eq!(count(&acme, "/jobs").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_one_header_of_1_to_255_printable_characters() {
    let home = Home::start().await;
    let acme = home.acme().await;
    for good in [&b"k"[..], b"~ !\"#/\\", &[b'x'; 255]] {
        assert_eq!(post(&acme, good, &body("Gum")).await.status, 201);
    }
    for bad in [&b""[..], b"\tk", "schl\u{fc}ssel".as_bytes(), b"a\tb", &[b'x'; 256]] {
        let answer = post(&acme, bad, &body("Gum")).await;
        // Spaces and tabs around a value are not part of it.
        let expected = if bad == b"\tk" { 201 } else { 400 };
        assert_eq!(answer.status, expected, "{bad:?}");
        assert!(expected == 201 || answer.error(400).1.contains("Idempotency-Key"));
    }
    let twice = acme.request(Method::POST, "/jobs").header("idempotency-key", "a").header("idempotency-key", "b");
    assert_eq!(answer(twice.body(body("Gum"))).await.error(400).0, "BadRequest");
    assert_eq!(count(&acme, "/jobs").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_one_moment_with_one_key_make_one_job() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    for round in 0..5 {
        let key = format!("round {round}");
        let same = (0..6).map(|_| {
            post(
                &acme,
                key.as_bytes(),
                r#"{"type":"resources","action":"post","data":[{"type":"product","attributes":{"name":"Gum"}}]}"#,
            )
        });
        let answers = join_all(same).await;
        let ids: HashSet<String> = answers.iter().map(|it| text(&it.data(201)["id"]).to_owned()).collect();
        assert_eq!(ids.len(), 1);
    }
    for job in acme.get("/jobs").await.data(200).as_array().expect("a list") {
        acme.wait(text(&job["id"])).await;
    }
    assert_eq!((count(&acme, "/jobs").await, count(&acme, "/objects/records?type=product").await), (5, 5));
    assert_eq!(acme.active_jobs().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_bodies_at_one_moment_with_one_key_one_is_refused() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let (gum, other) = (body("Gum"), body("Other"));
    let answers = join_all([post(&acme, b"k", &gum), post(&acme, b"k", &other)]).await;
    let mut statuses: Vec<u16> = answers.iter().map(|it| it.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422]);
    let made = answers.iter().find(|it| it.status == 201).expect("one").data(201);
    acme.wait(text(&made["id"])).await;
    assert_eq!((count(&acme, "/jobs").await, count(&acme, "/objects/records?type=product").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_lives_as_long_as_its_job() {
    let home = Home::start_at(1_509_724_806_400).await;
    let acme = home.acme().await;
    acme.define_product().await;
    let first = post(&acme, b"k", &body("Gum")).await.data(201);
    acme.wait(text(&first["id"])).await;
    // The job was made at 16:00:06.4 and counts from the whole second.
    home.advance(Duration::from_millis(86_399_599));
    assert_eq!(post(&acme, b"k", &body("Gum")).await.data(201)["id"], first["id"]);
    home.advance(Duration::from_millis(1));
    let second = post(&acme, b"k", &body("Other")).await.data(201);
    assert_ne!(second["id"], first["id"]);
    acme.wait(text(&second["id"])).await;
    assert_eq!(count(&acme, "/objects/records?type=product").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_of_another_account_is_another_key() {
    let home = Home::start().await;
    let (acme, other) = (home.acme().await, home.agent("other").await);
    let ours = post(&acme, b"k", &body("Gum")).await.data(201);
    let theirs = post(&other, b"k", &body("Another body")).await.data(201);
    assert_ne!(ours["id"], theirs["id"]);
    assert_eq!(other.get(&format!("/jobs/{}", text(&ours["id"]))).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_each_request_is_a_job() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let [first, second]: [Value; 2] =
        [acme.post_text("/jobs", body("Gum")).await.data(201), acme.post_text("/jobs", body("Gum")).await.data(201)];
    assert_ne!(first["id"], second["id"]);
}
