//! `Idempotency-Key`: a request may be sent again, and is not run again.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tests::{Answer, Client, answer, outcomes, text};

use crate::home::Home;

/// One item without an external id: a job that ran twice would leave two records.
fn body(name: &str) -> String {
    json!({"type": "resources", "action": "post", "data": [{"type": "product", "attributes": {"name": name}}]})
        .to_string()
}

async fn post(agent: &Client, key: &str, body: &str) -> Answer {
    answer(agent.request(Method::POST, "/jobs").header("idempotency-key", key).body(body.to_owned())).await
}

async fn count(agent: &Client, list: &str) -> usize {
    agent.get(list).await.data(200).as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_again_is_the_same_job_and_another_body_a_422() {
    let home = Home::start().await;
    let (agent, other) = (home.agent().await, home.agent().await);
    agent.define_product().await;
    let first = post(&agent, "import 7", &body("Gum")).await;
    let job = first.data(201);
    assert_eq!(job["job_status"], "queued");
    let ended = agent.wait(text(&job["id"])).await;
    assert_eq!(outcomes(&ended), ["done"]);

    let again = post(&agent, "import 7", &body("Gum")).await;
    assert_eq!(again.data(201), ended, "as it now stands");
    assert_eq!(again.header("location"), first.header("location"));
    let (code, detail) = post(&agent, "import 7", &body("Other")).await.error(422);
    assert!(code == "UnprocessableEntity" && detail.contains("Idempotency-Key"), "{code}: {detail}");
    assert_ne!(post(&other, "import 7", &body("Other")).await.data(201)["id"], job["id"], "another account's key");
    assert_eq!((count(&agent, "/jobs").await, count(&agent, "/objects/records?type=product").await), (1, 1));
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_many_times_at_once_is_one_job() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let body = body("Gum");
    let answers = join_all((0..6).map(|_| post(&agent, "at once", &body))).await;
    let ids: Vec<_> = answers.iter().map(|answer| answer.data(201)["id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(outcomes(&agent.wait(text(&ids[0])).await), ["done"]);
    assert_eq!((count(&agent, "/jobs").await, count(&agent, "/objects/records?type=product").await), (1, 1));
    assert_eq!(agent.active_jobs().await, 0);
    home.stop().await;
}
