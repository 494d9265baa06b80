//! The published examples, sent exactly as they stand there, and every shape of answer as a snapshot.

mod bodies;

use std::io::ErrorKind;
use std::process::Command;

use domain::limits::ITEMS_PER_CHUNK;
use insta::internals::Content;
use insta::{Settings, assert_json_snapshot, dynamic_redaction};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::{Answer, BASE, Home, PATIENCE, outcomes, text};

use self::bodies::{DELETE, DELETE_BY_EXTERNAL_ID, DELETE_RELATIONSHIPS, POST, SET, UPDATE};

/// 2017-11-03T16:00:06.400Z
const START: u64 = 1_509_724_806_400;

/// Ids are replaced where they are ids, so that a snapshot shows that they were. The clock stands still, so times are
/// as they are.
pub(crate) fn check(name: &str, value: &Value) {
    let mut settings = Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    let id = |content: Content, _: insta::internals::ContentPath<'_>| match content.as_str() {
        Some(id) if id.len() == 36 && id.matches('-').count() == 4 => Content::from("[id]"),
        _ => content,
    };
    for selector in [".**.id", ".**.source", ".**.target"] {
        settings.add_redaction(selector, dynamic_redaction(id));
    }
    settings.bind(|| assert_json_snapshot!(name, value));
}

/// An answer whose body is, byte for byte, what its JSON is without spaces: so the snapshots, which are laid out for readers, hold
/// each byte of it but those of ids.
async fn answer(request: RequestBuilder) -> Answer {
    let answer = tests::answer(request).await;
    assert_eq!(String::from_utf8_lossy(&answer.body), answer.json().to_string());
    answer
}

/// A request of the local account's agent, as `curl -d … -H "Content-Type: application/json" -X POST -u …` sends it.
async fn curl(home: &Home, body: &'static str) -> Answer {
    let request = home
        .request(Method::POST, &format!("{BASE}/jobs"))
        .header("user-agent", "curl/8.5.0")
        .header("accept", "*/*")
        .header("content-type", "application/json")
        .basic_auth("agent@example.com", Some("sunshine"));
    answer(request.body(body)).await
}

async fn get(home: &Home, path: &str) -> Answer {
    let request = home.request(Method::GET, &format!("{BASE}{path}"));
    answer(request.basic_auth("agent@example.com/token", Some("sundial_local_token"))).await
}

async fn completed(home: &Home, body: &'static str) -> Value {
    let job = curl(home, body).await.data(201);
    home.quiet().await;
    let job = get(home, &format!("/jobs/{}", text(&job["id"]))).await.data(200);
    assert_eq!(job["job_status"], "completed");
    job
}

/// A run whose local account has the type that the examples speak of.
async fn home() -> Home {
    let home = Home::start_at(START).await;
    let body = json!({"data": {"key": "product", "schema": {
        "properties": {"id": {"type": "string"}, "name": {"type": "string"}}, "required": ["name"],
    }}});
    let define =
        home.request(Method::POST, &format!("{BASE}/objects/types")).bearer_auth("sundial_local_token").json(&body);
    check("object_type_defined", &answer(define).await.json());
    home
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_of_post() {
    let home = home().await;
    home.run.poller().pause();
    let answer = curl(&home, POST).await;
    assert_eq!(answer.status, 201);
    let created = answer.json();
    check("job_created", &created);
    // What is published is there, with the same names in the same order; ours comes between or behind.
    let members: Vec<_> = created["data"].as_object().expect("an object").keys().map(String::as_str).collect();
    let published = ["id", "job_status", "created_at", "updated_at", "completed_at", "results"];
    let kept: Vec<_> = members.into_iter().filter(|member| published.contains(member)).collect();
    assert_eq!(kept, published);

    home.run.poller().resume();
    home.quiet().await;
    let show = format!("/jobs/{}", text(&created["data"]["id"]));
    assert_eq!(outcomes(&get(&home, &show).await.data(200)), ["done", "done"]);
    let records = get(&home, "/objects/records?type=product&order=asc&per_page=1").await;
    assert_eq!(records.status, 200);
    let mut records = records.json();
    let next = records["links"]["next"].take();
    assert!(text(&next).starts_with("/api/sunshine/objects/records?type=product&order=asc&per_page=1&cursor="));
    assert!(["3", "4"].contains(&text(&records["data"][0]["external_id"])));
    let by_external_id = get(&home, "/objects/records?type=product&external_id=3").await;
    check("record_list", &by_external_id.json());
    let id = text(&by_external_id.json()["data"][0]["id"]).to_owned();
    check("record", &get(&home, &format!("/objects/records/{id}")).await.json());
    check("object_type_list", &get(&home, "/objects/types").await.json());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_of_a_completed_job_with_a_success_and_a_failure() {
    let home = home().await;
    completed(&home, r#"{"type":"resources","action":"post","data":[{"type":"product","external_id":"4","attributes":{"name":"Gum"}}]}"#)
        .await;
    let job = completed(&home, POST).await;
    assert_eq!(
        outcomes(&job),
        ["done", "UnprocessableEntity: External Id is already in use for the Resource Type key: product"]
    );
    check("job_completed", &json!({"data": job}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_of_set_and_of_both_deletes() {
    let home = home().await;
    assert_eq!(outcomes(&completed(&home, POST).await), ["done", "done"]);
    assert_eq!(outcomes(&completed(&home, SET).await), ["done", "done"]);
    let decaf = get(&home, "/objects/records?type=product&external_id=4").await.data(200)[0].clone();
    assert_eq!(decaf["attributes"], json!({"id": "4", "name": "Coffee Chewing Gum (decaf)"}));
    let job = completed(&home, DELETE_BY_EXTERNAL_ID).await;
    assert_eq!(outcomes(&job), ["done", "done"]);
    assert_eq!(job["results"][0]["data"]["id"], decaf["id"]);
    check("job_deleted_by_external_id", &json!({"data": job}));
    // The ids of these two are nobody's here.
    check("job_deleted_nothing", &json!({"data": completed(&home, DELETE).await}));
    check("job_deleted_no_relationships", &json!({"data": completed(&home, DELETE_RELATIONSHIPS).await}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_of_update() {
    let home = home().await;
    check("job_updated_nothing", &json!({"data": completed(&home, UPDATE).await}));
    // And with ids that are there.
    let made = completed(&home, POST).await;
    let ids = [0, 1].map(|position| text(&made["results"][position]["data"]["id"]).to_owned());
    let body = UPDATE
        .replace("576a0d0d-fb3f-11e9-80f8-65590b274410", &ids[0])
        .replace("576a5b2e-fb3f-11e9-80f8-f1af99ee4b4c", &ids[1]);
    let job = completed(&home, body.leak()).await;
    assert_eq!(outcomes(&job), ["done", "done"]);
    let patched = get(&home, "/objects/records?type=product&external_id=3").await.data(200)[0].clone();
    assert_eq!(patched["attributes"], json!({"id": "3", "name": "Strawberry Chewing Gum v2"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_and_an_aborted_and_a_processing_job_and_their_list() {
    let home = home().await;
    completed(&home, POST).await;
    home.advance(std::time::Duration::from_secs(10));
    let compressed = home.request(Method::POST, &format!("{BASE}/jobs")).bearer_auth("sundial_local_token");
    let failed = answer(compressed.header("content-encoding", "compress").body("x")).await;
    assert_eq!(failed.status, 201);
    check("job_failed", &failed.json());

    home.advance(std::time::Duration::from_secs(10));
    home.run.poller().pause();
    let queued = curl(&home, POST).await.data(201);
    home.advance(std::time::Duration::from_secs(10));
    let abort = home.request(Method::POST, &format!("{BASE}/jobs/{}/abort", text(&queued["id"])));
    let aborted = answer(abort.bearer_auth("sundial_local_token")).await;
    assert_eq!(aborted.status, 200);
    check("job_aborted", &aborted.json());
    home.run.poller().resume();
    home.quiet().await;

    home.run.poller().pause();
    let items: Vec<_> = (0..=ITEMS_PER_CHUNK).map(|_| json!({})).collect();
    let body = json!({"type": "resources", "action": "external_id_set", "data": items}).to_string();
    let job = curl(&home, body.leak()).await.data(201);
    let show = format!("/jobs/{}", text(&job["id"]));
    assert_eq!(home.queue().receive(1, 1).await.expect("a queue").len(), 1);
    home.run.poller().resume();
    let progress = async {
        while get(&home, &show).await.data(200)["progress"]["processed"] == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, progress).await.expect("some of the job is done in time");
    let mut processing = get(&home, &show).await.json();
    // Which of the two chunks came first is nobody's business.
    let first = |progress: &mut Value| {
        for member in ["processed", "failed"] {
            assert!(progress[member] == ITEMS_PER_CHUNK || progress[member] == 1, "{progress}");
            progress[member] = json!("1 or a whole chunk");
        }
    };
    first(&mut processing["data"]["progress"]);
    check("job_processing", &processing);
    let mut list = get(&home, "/jobs").await.json();
    first(&mut list["data"][0]["progress"]);
    check("job_list", &list);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_body() {
    let home = home().await;
    let job = completed(&home, POST).await;
    let agent =
        |method: Method, path: &str| home.request(method, &format!("{BASE}{path}")).bearer_auth("sundial_local_token");
    let unknown = "/jobs/0190163d-8694-7000-8000-000000000000";
    for (name, status, request) in [
        ("error_400_body", 400, agent(Method::POST, "/jobs").body("{")),
        ("error_400_parameter", 400, agent(Method::GET, "/jobs?status=done")),
        ("error_401", 401, home.request(Method::GET, &format!("{BASE}/jobs"))),
        (
            "error_403",
            403,
            home.request(Method::GET, &format!("{BASE}/jobs")).basic_auth("user@example.com", Some("sunshine")),
        ),
        ("error_404_job", 404, agent(Method::GET, unknown)),
        ("error_404_route", 404, agent(Method::GET, "/nowhere")),
        ("error_405", 405, agent(Method::DELETE, "/jobs")),
        ("error_409", 409, agent(Method::POST, &format!("/jobs/{}/abort", text(&job["id"])))),
        ("error_413", 413, agent(Method::POST, "/jobs").body(" ".repeat(6_000_001))),
        ("error_415", 415, agent(Method::POST, "/jobs").header("content-type", "text/plain").body("x")),
        ("error_422", 422, agent(Method::POST, "/jobs").body(r#"{"type":"resources","action":"post","data":[]}"#)),
    ] {
        let answer = answer(request).await;
        assert_eq!(answer.status, status, "{name}");
        check(name, &answer.json());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relationship_types_and_records() {
    let home = home().await;
    let made = completed(&home, POST).await;
    let agent =
        |method: Method, path: &str| home.request(method, &format!("{BASE}{path}")).bearer_auth("sundial_local_token");
    for (key, target) in [("made_by", json!("zen:organization")), ("goes_with", json!(["product"]))] {
        let body = json!({"data": {"key": key, "source": "product", "target": target}});
        let defined = answer(agent(Method::POST, "/relationships/types").json(&body)).await;
        assert_eq!(defined.status, 201);
        check(&format!("relationship_type_{key}"), &defined.json());
    }
    check("relationship_type_list", &get(&home, "/relationships/types").await.json());
    let ids = [0, 1].map(|position| text(&made["results"][position]["data"]["id"]).to_owned());
    let body = json!({"type": "relationships", "action": "post", "data": [
        {"relationship_type": "made_by", "source": ids[0], "target": "zen:organization:7"},
        {"relationship_type": "goes_with", "source": ids[0], "target": ids[1]},
    ]});
    let job = completed(&home, body.to_string().leak()).await;
    assert_eq!(outcomes(&job), ["done", "done"]);
    for (position, name) in [(0, "relationship_record_elsewhere"), (1, "relationship_record")] {
        let id = text(&job["results"][position]["data"]["id"]).to_owned();
        check(name, &get(&home, &format!("/relationships/records/{id}")).await.json());
    }
    check("relationship_record_list", &get(&home, "/relationships/records?type=goes_with").await.json());
}

/// The published command lines, run by the program itself where there is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_published_command_lines_of_curl() {
    let home = home().await;
    let jobs = format!("{}{BASE}/jobs", home.run.base_url());
    let user = "agent@example.com:sunshine";
    let create = [&jobs, "-d", POST, "-H", "Content-Type: application/json", "-X", "POST", "-v", "-u", user];
    let Some(created) = run_curl(&create).await else { return };
    assert_eq!(created["data"]["job_status"], "queued");
    let show = format!("{jobs}/{}", text(&created["data"]["id"]));
    home.quiet().await;
    let shown = run_curl(&[&show, "-v", "-u", user]).await.expect("curl");
    assert_eq!(outcomes(&shown["data"]), ["done", "done"]);
    let listed = run_curl(&[&jobs, "-v", "-u", user]).await.expect("curl");
    assert_eq!(listed["data"][0]["id"], created["data"]["id"]);
    // As it stands there, the body of the command line is a sketch.
    let sketch = r#"{"type": "resources", "action": "post", "data": [{...}, {...}, ...]}"#;
    let refused = [&jobs, "-d", sketch, "-H", "Content-Type: application/json", "-X", "POST", "-v", "-u", user];
    assert_eq!(run_curl(&refused).await.expect("curl")["errors"][0]["code"], "BadRequest");
}

/// What curl writes to its standard output, as JSON; none when there is no such program.
async fn run_curl(arguments: &[&str]) -> Option<Value> {
    let mut command = Command::new("curl");
    command.arg("--noproxy").arg("*").args(arguments);
    let output = match tokio::task::spawn_blocking(move || command.output()).await.expect("a thread") {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => panic!("{error}"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}
