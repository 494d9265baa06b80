//! Each function's role in the deployment template allows what the function does, and nothing else.

mod template;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bury::Bury;
use domain::ambient::Ambient;
use domain::chunk::Chunk;
use domain::job::JobId;
use serde_json::{Value, json};
use store::Store;
use store::clients::{self, AwsSettings};
use sweep::Sweep;
use tests::{CallBook, Calls, Client, Deliveries, Delivery, Home, LastStep, crash_after};

use self::template::Template;

const FUNCTIONS: [&str; 6] = ["accept", "consume", "status", "records", "bury", "sweep"];

/// The event-driven functions, each with a store of its own whose calls are noted.
struct Workers {
    home: Home,
    book: CallBook,
}

impl Workers {
    async fn start() -> Self {
        let book = CallBook::default();
        let options = local::run::LocalOptions {
            ambient: Ambient::shiftable(),
            http_clients: Some(book.clients()),
            ..local::run::LocalOptions::in_memory()
        };
        let home = Home::start_with(options).await;
        Self { home, book }
    }

    fn store(&self, function: &'static str) -> Store {
        let client = (self.book.clients())(function, clients::http_client());
        let dynamodb = clients::dynamodb(&AwsSettings::emulator(&self.home.run.dynamodb_url()), client);
        Store::new(dynamodb, self.home.run.tables().clone(), self.home.run.ambient().clone())
    }

    fn deliveries(&self) -> Deliveries<'_> {
        Deliveries::to_consumer_with(&self.home, self.store("consume"))
    }

    async fn bury(&self, delivery: &Delivery) {
        let bury = Bury::new(self.store("bury"), Arc::clone(self.home.run.sender()));
        let response = bury.handle(delivery.event(), Instant::now() + Duration::from_mins(1)).await;
        assert!(response.batch_item_failures.is_empty(), "{}", delivery.body);
    }

    async fn run(&self, client: &Client, job_type: &str, action: &str, data: Value) -> Value {
        self.deliveries().run_job(client, job_type, action, data).await
    }
}

fn product(name: &str) -> Value {
    json!({"type": "product", "external_id": name, "attributes": {"name": name}})
}

/// Everything that a client can ask for.
async fn requests(workers: &Workers, acme: &Client) {
    acme.define_product().await;
    acme.define_relationship("likes", "product", json!(["product"])).await;
    let schema = json!({"properties": {"name": {"type": "string"}}});
    acme.define("spare", schema.clone()).await;
    let schema = json!({"data": {"schema": schema}});
    assert_eq!(acme.put("/objects/types/spare", &schema).await.status, 200);
    assert_eq!(acme.delete("/objects/types/spare").await.status, 204);

    let made = workers.run(acme, "resources", "post", json!([product("a"), product("b")])).await;
    let id = |place: usize| made["results"][place]["data"]["id"].clone();
    let set = json!({"type": "product", "external_id": "a", "attributes": {"price": 1}});
    workers.run(acme, "resources", "external_id_set", json!([set, product("c")])).await;
    workers.run(acme, "resources", "update", json!([{"id": id(0), "attributes": {"price": 2}}])).await;
    let likes = json!({"relationship_type": "likes", "source": id(0), "target": id(1)});
    let related = workers.run(acme, "relationships", "post", json!([likes])).await;
    let relationship = related["results"][0]["data"]["id"].clone();
    for path in [
        "/jobs",
        "/jobs?status=completed",
        "/objects/types",
        "/objects/types/product",
        "/objects/records?type=product",
        "/objects/records?type=product&external_id=a",
        &format!("/objects/records/{}", tests::text(&id(0))),
        &format!("/objects/records?ids={}", tests::text(&id(0))),
        "/relationships/types",
        "/relationships/types/likes",
        "/relationships/records?type=likes",
        &format!("/relationships/records/{}", tests::text(&relationship)),
    ] {
        assert_eq!(acme.get(path).await.status, 200, "{path}");
    }
    workers.run(acme, "relationships", "delete", json!([relationship])).await;
    workers.run(acme, "resources", "delete", json!([id(0)])).await;
    let by_external_id = json!([{"type": "product", "external_id": "b"}]);
    workers.run(acme, "resources", "external_id_delete", by_external_id).await;
    assert_eq!(acme.delete("/relationships/types/likes").await.status, 204);

    // A key that is used again once its job has results, a chain of chunks, and an abort.
    let body = json!({"type": "resources", "action": "post", "data": [product("keyed")]});
    for _ in 0..2 {
        let request = acme.request(reqwest::Method::POST, "/jobs").header("idempotency-key", "once").json(&body);
        assert_eq!(tests::answer(request).await.status, 201);
        workers.deliveries().drain().await;
    }
    let chain: Vec<Value> = (0..600).map(|_| product("chained")).collect();
    workers.run(acme, "resources", "external_id_set", json!(chain)).await;
    let unwanted = acme.accepted("resources", "post", json!([product("unwanted")])).await;
    assert_eq!(acme.abort(&json!({"id": unwanted})).await.status, 200);
    workers.deliveries().drain().await;
}

/// What happens when things go wrong.
async fn mishaps(workers: &Workers, acme: &Client) {
    let store = &acme.store;
    // A redelivery, and a chunk whose job was never committed.
    acme.accepted("resources", "post", json!([product("again")])).await;
    let chunk = workers.deliveries().take().await.remove(0);
    crash_after(LastStep::Written, store, &chunk).await;
    workers.deliveries().deliver(&chunk.again()).await;
    let past = Ambient::manual(store.ambient().now().minus_millis(90_000), 7);
    let stray = Chunk { job: JobId::new(&past), ..chunk.chunk() };
    workers.deliveries().deliver(&Delivery { body: stray.to_message(), receives: 1 }).await;

    // A chunk that was agreed on, on a record that is there and on one that is not, and nobody finished; one that is the
    // first of a chain; and one of a job that was never committed.
    workers.run(acme, "resources", "post", json!([product("there")])).await;
    let sets = json!([product("there"), product("not there")]);
    acme.accepted("resources", "external_id_set", sets.clone()).await;
    let chunk = workers.deliveries().take().await.remove(0);
    crash_after(LastStep::Agreed, store, &chunk).await;
    workers.bury(&chunk).await;
    let chain: Vec<Value> = (0..600).map(|_| product("chained")).collect();
    acme.accepted("resources", "external_id_set", json!(chain)).await;
    workers.bury(&workers.deliveries().take().await.remove(0)).await;
    workers.deliveries().drain().await;
    workers.bury(&Delivery { body: stray.to_message(), receives: 1 }).await;

    // One job that nobody started, and one that nobody finished.
    acme.accepted("resources", "post", json!([product("forgotten")])).await;
    workers.deliveries().take().await;
    acme.accepted("resources", "external_id_set", json!([product("there"), product("nor there")])).await;
    crash_after(LastStep::Agreed, store, &workers.deliveries().take().await.remove(0)).await;
    workers.home.advance(Duration::from_hours(23) + Duration::from_mins(1));
    let report = Sweep::new(workers.store("sweep")).run(Instant::now() + Duration::from_mins(1)).await;
    let report = report.expect("the database");
    assert_eq!((report.ended, report.left), (2, 0));
}

fn listed(calls: &Calls) -> Vec<String> {
    calls.iter().map(|(action, resource)| format!("{action} on {resource}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_allows_what_its_function_does_and_nothing_else() {
    let workers = Workers::start().await;
    let acme = workers.home.acme();
    requests(&workers, &acme).await;
    mishaps(&workers, &acme).await;

    let template = Template::read();
    for function in FUNCTIONS {
        let done = workers.book.calls_of(function);
        let done: Calls = done.into_iter().filter(|(action, _)| !is_of_making_tables(action)).collect();
        assert_eq!(listed(&done), listed(&template.database_actions(function)), "{function}");
    }
    workers.home.run.stop().await;
}

/// The local run makes its tables itself; deployed, the template does.
fn is_of_making_tables(action: &str) -> bool {
    ["CreateTable", "DescribeTimeToLive", "UpdateTimeToLive"].iter().any(|name| action.ends_with(name))
}

#[test]
fn of_the_queues_each_role_may_use_only_what_its_function_is_for() {
    let template = Template::read();
    let consuming = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"];
    let on = |queue: &str, actions: &[&str]| -> Vec<String> {
        actions.iter().map(|action| format!("{action} on {queue}")).collect()
    };
    let jobs_and_send = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"];
    let expected = [
        ("accept", on("JobsQueue", &["sqs:SendMessage"])),
        ("consume", on("JobsQueue", &jobs_and_send)),
        ("status", Vec::new()),
        ("records", Vec::new()),
        ("bury", [on("DeadLetters", &consuming), on("JobsQueue", &["sqs:SendMessage"])].concat()),
        ("sweep", Vec::new()),
    ];
    for (function, expected) in expected {
        let mut actions = listed(&template.queue_actions(function));
        actions.sort_by_key(|action| action.split(" on ").nth(1).map(str::to_owned));
        assert_eq!(actions, expected, "{function}");
    }
}

#[test]
fn no_role_has_a_wildcard_or_a_managed_policy() {
    let template = Template::read();
    for function in FUNCTIONS {
        for statement in template.statements(function) {
            for action in &statement.actions {
                assert!(!action.contains('*'), "{function}: {action}");
            }
            let traces = statement.actions.iter().all(|action| action.starts_with("xray:"));
            assert!(traces || !statement.resource.contains('*'), "{function}: {}", statement.resource);
        }
        assert!(!template.has_managed_policies(function), "{function}");
    }
}
