//! The database or the queue is away for a while, under load: who was told that a job is accepted finds it done, and who
//! was told that it is not finds nothing of it.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::clock::Clock;
use futures_util::future::join_all;
use local::database::LocalDatabase;
use local::queue::QueueOptions;
use serde_json::{Value, json};
use tests::{Answer, Client, Gate, Way, outcomes, text};

use crate::home::{Home, Kind, not_here, product_id};
use crate::persistence::{ended, get_until_answered, post_once};

const CLIENTS: usize = 12;
const ITEMS: usize = 15;

/// So long it goes well, then it is closed for so long, and then it goes well again.
const BEFORE: Duration = Duration::from_secs(1);
const CLOSED: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(2);

/// What is unfinished comes back soon, and is given up late.
const QUEUE: QueueOptions = QueueOptions { visibility: Duration::from_secs(10), max_receives: 50 };

/// What the clients were told in the end, by idempotency key.
#[derive(Default)]
struct Told {
    /// The job's id.
    accepted: BTreeMap<String, String>,
    /// By a 503, and not sent again.
    refused: Vec<String>,
    /// How often an answer said that the outcome is not known.
    unknown: usize,
}

fn external_id(key: &str, item: usize) -> String {
    format!("{key}-{item}")
}

fn job(key: &str) -> Value {
    let product = |item| json!({"type": "product", "external_id": external_id(key, item), "attributes": {"name": key}});
    let items: Vec<Value> = (0..ITEMS).map(product).collect();
    json!({"type": "resources", "action": "external_id_set", "data": items})
}

/// A 503 says when to come back, and a 500 by which id the log knows it.
fn check_answer(answer: &Answer) {
    match answer.status.as_u16() {
        201 => {}
        503 => {
            assert_eq!(answer.error(503).0, "ServiceUnavailable");
            let wait = answer.header("retry-after").expect("Retry-After");
            assert!(wait.parse::<u32>().is_ok_and(|seconds| seconds > 0), "{wait}");
        }
        500 => {
            assert_eq!(answer.error(500).0, "InternalServerError");
            assert!(answer.header("x-request-id").is_some());
        }
        other => panic!("{other}: {}", String::from_utf8_lossy(&answer.body)),
    }
}

/// Posts one job after the other. A 503 is believed; after a 500 the same request is sent until its outcome is known.
async fn work(agent: &Client, client: usize, until: Instant, told: &mut Told) {
    for number in 0.. {
        if Instant::now() >= until {
            return;
        }
        let key = format!("{client}-{number}");
        let mut is_unknown = false;
        loop {
            let answer = post_once(agent, &key, &job(&key)).await.expect("the service itself is never away");
            check_answer(&answer);
            match answer.status.as_u16() {
                201 => {
                    told.accepted.insert(key, text(&answer.json()["data"]["id"]).to_owned());
                    break;
                }
                503 if !is_unknown => {
                    told.refused.push(key);
                    break;
                }
                500 => {
                    is_unknown = true;
                    told.unknown += 1;
                }
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn is_survived(home: &Home, gate: &Gate, way: Way) {
    let agent = home.agent().await;
    agent.define_product().await;
    let until = Instant::now() + BEFORE + CLOSED + AFTER;
    let while_closed = AtomicUsize::new(0);
    let outage = async {
        tokio::time::sleep(BEFORE).await;
        gate.set(way);
        tokio::time::sleep(CLOSED).await;
        gate.set(Way::Open);
    };
    let clients = (0..CLIENTS).map(|client| {
        let (agent, while_closed) = (&agent, &while_closed);
        async move {
            let mut told = Told::default();
            work(agent, client, until, &mut told).await;
            while_closed.fetch_add(told.refused.len() + told.unknown, Ordering::Relaxed);
            told
        }
    });
    let (all, ()) = tokio::join!(join_all(clients), outage);
    let mut told = Told::default();
    for one in all {
        told.accepted.extend(one.accepted);
        told.refused.extend(one.refused);
        told.unknown += one.unknown;
    }
    eprintln!(
        "{way:?}: {} jobs accepted, {} refused, {} answers lost",
        told.accepted.len(),
        told.refused.len(),
        told.unknown
    );
    assert!(told.accepted.len() > CLIENTS, "it went well before and after");
    assert!(while_closed.load(Ordering::Relaxed) > 0, "the outage was noticed");

    let mut ids = Vec::new();
    for (key, id) in &told.accepted {
        let job = ended(&agent, id).await;
        assert_eq!(job["job_status"], "completed", "{key}: {job}");
        assert_eq!(outcomes(&job), vec!["done"; ITEMS], "{key}");
        ids.extend((0..ITEMS).map(|item| product_id(&agent, &external_id(key, item))));
    }
    let rows = agent.store.records.records(&agent.account, ids.iter().copied()).await.expect("the database");
    assert_eq!(rows.len(), ids.len());
    assert!(rows.values().all(|row| row.version == 1), "each row was written once");

    let listed = get_until_answered(&agent, "/jobs").await;
    let listed: HashSet<&str> = listed.as_array().expect("a list").iter().map(|job| text(&job["id"])).collect();
    let accepted: HashSet<&str> = told.accepted.values().map(String::as_str).collect();
    let (strange, missing) = (listed.difference(&accepted), accepted.difference(&listed));
    let (strange, missing): (Vec<_>, Vec<_>) = (strange.collect(), missing.collect());
    assert!(strange.is_empty() && missing.is_empty(), "never accepted: {strange:?}, not listed: {missing:?}");
    let refused =
        told.refused.iter().flat_map(|key| (0..ITEMS).map(|item| product_id(&agent, &external_id(key, item))));
    let refused =
        agent.store.records.records(&agent.account, refused.collect::<HashSet<_>>()).await.expect("the database");
    assert!(refused.is_empty(), "{} items of refused jobs were applied", refused.len());
    assert_eq!(agent.active_jobs().await, 0);
}

async fn the_database_goes_away(way: Way) {
    if Kind::chosen() == Kind::MiniStack {
        return not_here("the database goes away", "a deployed stack is led to its database by its own settings");
    }
    let database = LocalDatabase::in_memory(Clock::system()).expect("a database");
    let gate = Gate::before(&database.endpoint_url()).await;
    let sqs = (Kind::chosen() == Kind::LocalStack).then(sqs_url);
    let home = Home::behind(Some(gate.url()), sqs, QUEUE).await;
    is_survived(&home, &gate, way).await;
    home.stop().await;
    drop(gate);
    database.stop().await;
}

async fn the_queue_goes_away(way: Way) {
    if Kind::chosen() != Kind::LocalStack {
        return not_here(
            "the queue goes away",
            "only the home localstack has a queue that is reached by a network of ours",
        );
    }
    let gate = Gate::before(&sqs_url()).await;
    let home = Home::behind(None, Some(gate.url()), QUEUE).await;
    is_survived(&home, &gate, way).await;
    home.stop().await;
}

fn sqs_url() -> String {
    std::env::var("AWS_ENDPOINT_URL_SQS").expect("AWS_ENDPOINT_URL_SQS, for the home localstack")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_refuses_connections_is_survived() {
    the_database_goes_away(Way::Refusing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_answer_and_then_answers_late_is_survived() {
    the_database_goes_away(Way::Hanging).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_refuses_connections_is_survived() {
    the_queue_goes_away(Way::Refusing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_does_not_answer_and_then_answers_late_is_survived() {
    the_queue_goes_away(Way::Hanging).await;
}
