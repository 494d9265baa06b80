//! Requests that wait for the end of a job.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tests::{answer, text};

use crate::home::Home;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_answered_when_its_job_has_ended_or_its_time_is_up() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    // A job whose chunks follow one another takes its time.
    let change =
        |number| json!({"type": "product", "external_id": "1", "attributes": {"name": "Gum", "price": number}});
    let job = agent.create_job("resources", "external_id_set", (0..10_000).map(change).collect()).await.data(201);
    let path = format!("/jobs/{}", text(&job["id"]));
    let asked = Instant::now();
    let early = agent.get(&format!("{path}?wait=1")).await.data(200);
    if early["job_status"] != "completed" {
        assert!(asked.elapsed() >= Duration::from_millis(900), "{:?}", asked.elapsed());
    }
    let mut ended = early;
    while ended["job_status"] != "completed" {
        let waited = answer(agent.request(Method::GET, &path).header("prefer", "respond-async, wait=10")).await;
        assert_eq!(waited.header("preference-applied"), Some("wait=10"));
        ended = waited.data(200);
        assert!(asked.elapsed() < Duration::from_mins(2), "{ended}");
    }
    assert_eq!(ended["results"].as_array().map(Vec::len), Some(10_000));
    let asked = Instant::now();
    let _ = agent.get(&format!("{path}?wait=20")).await.data(200);
    assert!(asked.elapsed() < Duration::from_secs(5), "a job that has ended is not waited for");
    for wrong in ["21", "-1", "1.5", "soon", "99999999999999999999"] {
        let (code, detail) = agent.get(&format!("{path}?wait={wrong}")).await.error(400);
        let expected = format!("`wait` must be a whole number of seconds from 0 to 20, not {wrong:?}");
        assert_eq!((code.as_str(), detail), ("BadRequest", expected));
    }
    // A preference is no command: what cannot be met is not.
    let unmet = answer(agent.request(Method::GET, &path).header("prefer", "wait=soon")).await;
    assert_eq!((unmet.status.as_u16(), unmet.header("preference-applied")), (200, None));
    assert_eq!(agent.get("/jobs/none?wait=20").await.error(404).0, "NotFound");
    home.stop().await;
}
