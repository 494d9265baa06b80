//! Each function's role in the deployment template allows what the function does, and nothing else.

mod policy;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use access::{Operator, TokenRequest};
use aws_sdk_dynamodb::types::AttributeValue;
use bury::Bury;
use domain::account::{AccountId, Email, Role, TokenKind, User};
use domain::chunk::Chunk;
use domain::clock::Clock;
use domain::job::JobId;
use domain::types::TypeKey;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::access::operator::AccountChange;
use store::clients::{self, AwsSettings};
use store::tables::TableNames;
use store::{Store, keys};
use sweep::Sweep;
use tests::{CallBook, Calls, Client, Deliveries, Delivery, Home, LastStep, crash_after, watch_for};

use self::policy::{Condition, Effect, Permissions, Statement, allows, is_like};
use crate::template::{FUNCTIONS, STACK, Template};

/// Those that answer requests, and so look credentials up. The local run does that in one place for all three, and has
/// its calls noted under the name [`ACCESS`].
const ANSWERING: [&str; 3] = ["accept", "status", "records"];
const ACCESS: &str = "access";

/// Every action on a table that changes rows.
const WRITES: [&str; 7] = [
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:PartiQLDelete",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
];
/// Every action on a table that tells something of rows of one partition.
const READS: [&str; 5] = [
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:GetItem",
    "dynamodb:PartiQLSelect",
    "dynamodb:Query",
];

/// The event-driven functions, each with a store of its own whose calls are noted.
struct Workers {
    home: Home,
    book: CallBook,
}

impl Workers {
    async fn start() -> Self {
        let book = CallBook::default();
        let options = local::run::LocalOptions {
            clock: Clock::shiftable(),
            http_clients: Some(book.clients()),
            ..local::run::LocalOptions::in_memory()
        };
        let home = Home::start_with(options).await;
        Self { home, book }
    }

    fn store(&self, function: &'static str) -> Store {
        let client = (self.book.clients())(function, clients::http_client());
        let dynamodb = clients::dynamodb(&AwsSettings::emulator(&self.home.run.dynamodb_url()), client);
        Store::new(dynamodb, self.home.run.tables().clone(), self.home.run.clock().clone())
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

/// Every way to say who one is, right and wrong. Bearer tokens are what all the other requests come with.
async fn callers(workers: &Workers, acme: &Client) {
    let operator = Operator::new(acme.store.clone());
    let email = Email::parse("caller@acme.test").expect("an address");
    let user = User {
        email: email.clone(),
        name: "A caller".to_owned(),
        role: Role::Agent,
        active: true,
        created_at: acme.store.clock().now(),
    };
    let change = AccountChange { password_access: Some(true), ..AccountChange::default() };
    operator.change_account(&acme.account, change).await.expect("an account");
    operator.create_user(&acme.account, &user).await.expect("a user");
    let password = operator.set_password(&acme.account, &email, None).await.expect("a password").text;
    let request = TokenRequest { kind: TokenKind::Api, label: "roles".to_owned(), expires_at: None };
    let token = operator.create_token(&acme.account, &email, request).await.expect("a token").text;

    watch_for(password.expose_secret());
    watch_for(token.expose_secret());

    let by_token = format!("{email}/token");
    for (user, secret, status) in [
        (email.as_str(), "not the password", 401),
        (email.as_str(), password.expose_secret(), 200),
        (by_token.as_str(), "not the token", 401),
        (by_token.as_str(), token.expose_secret(), 200),
        ("nobody@acme.test", "not a password", 401),
    ] {
        let path = format!("{}/jobs", tests::BASE);
        let request = workers.home.request(Method::GET, &path).basic_auth(user, Some(secret));
        assert_eq!(tests::answer(request).await.status, status, "{user}");
    }
}

/// Everything that a client can ask for.
async fn requests(workers: &Workers, acme: &Client) {
    callers(workers, acme).await;
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
        &format!("/objects/records/{}/relationships/likes", tests::text(&id(0))),
        &format!("/objects/records/{}/related/likes", tests::text(&id(0))),
        "/limits",
        "/objects/types/product/permissions",
        "/relationships/types/likes/permissions",
    ] {
        assert_eq!(acme.get(path).await.status, 200, "{path}");
    }
    let back = json!({"data": {"relationship_type": "likes", "source": id(1), "target": id(0)}});
    let back = acme.post("/relationships/records", &back).await.data(201);
    assert_eq!(acme.delete(&format!("/relationships/records/{}", tests::text(&back["id"]))).await.status, 204);
    workers.run(acme, "relationships", "delete", json!([relationship])).await;
    workers.run(acme, "resources", "delete", json!([id(0)])).await;
    let by_external_id = json!([{"type": "product", "external_id": "b"}]);
    workers.run(acme, "resources", "external_id_delete", by_external_id).await;
    assert_eq!(acme.delete("/relationships/types/likes").await.status, 204);

    single_writes(acme).await;
    indexes(workers, acme).await;
    first_cursors(workers).await;

    // A key that is used again once its job has results, a chain of chunks, and an abort.
    let body = json!({"type": "resources", "action": "post", "data": [product("keyed")]});
    for _ in 0..2 {
        let request = acme.request(Method::POST, "/jobs").header("idempotency-key", "once").json(&body);
        assert_eq!(tests::answer(request).await.status, 201);
        workers.deliveries().drain().await;
    }
    let chain: Vec<Value> = (0..600).map(|_| product("chained")).collect();
    workers.run(acme, "resources", "external_id_set", json!(chain)).await;
    let unwanted = acme.accepted("resources", "post", json!([product("unwanted")])).await;
    // While a job is active, its type is looked for among those that are deleted.
    acme.define("spare", json!({"properties": {"name": {"type": "string"}}})).await;
    assert_eq!(acme.delete("/objects/types/spare").await.status, 204);
    assert_eq!(acme.abort(&json!({"id": unwanted})).await.status, 200);
    workers.deliveries().drain().await;
}

/// A type with an index of each kind, which a search uses, and one that is given its indexes later, which sweep fills.
async fn indexes(workers: &Workers, acme: &Client) {
    let names = ["a", "b", "c", "d", "e"];
    let properties: Value = names.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    let all = json!(["a", "b", "c", "d", "e", "_updated_at"]);
    acme.define("indexed", json!({"properties": properties, "x-indexed": all})).await;
    for name in names {
        let body = json!({"query": {"_type": "indexed", name: "x"}});
        assert_eq!(acme.post("/objects/query", &body).await.status, 200, "{name}");
    }
    let body = json!({"query": {"_type": "indexed"}, "sort_by": "_updated_at"});
    assert_eq!(acme.post("/objects/query", &body).await.status, 200);

    acme.define("later", json!({"properties": properties})).await;
    let records: Vec<Value> = (0..450).map(|_| json!({"type": "later", "attributes": {"a": "x"}})).collect();
    workers.run(acme, "resources", "post", json!(records)).await;
    let schema = json!({"data": {"schema": {"properties": properties, "x-indexed": all}}});
    assert_eq!(acme.put("/objects/types/later", &schema).await.status, 200);
    let sweep = Sweep::new(workers.store("sweep"));
    let key = TypeKey::parse("later").expect("a key");
    // A note of a version that the type has not is made anew.
    acme.store.catalog.note_filling(&acme.account, &key, 9, acme.store.clock().now()).await.expect("the database");
    for filled in [0, 1] {
        workers.home.advance(Duration::from_mins(3));
        let report = sweep.run(Instant::now() + Duration::from_mins(1)).await.expect("the database");
        assert_eq!((report.filled, report.unfilled), (filled, 0));
    }
    let body = json!({"query": {"_type": "later", "a": "x"}});
    let found = acme.post("/objects/query", &body).await.data(200);
    assert_eq!(found.as_array().map(Vec::len), Some(10));
}

/// Records that are written one at a time.
async fn single_writes(acme: &Client) {
    let body = json!({"data": product("single")});
    let made = acme.post("/objects/records", &body).await.data(201);
    let path = format!("/objects/records/{}", tests::text(&made["id"]));
    for (method, path) in [(Method::PATCH, "/objects/records"), (Method::PATCH, &path)] {
        for key in [None, Some(path)] {
            let mut request = acme.request(method.clone(), path).json(&body);
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            assert_eq!(tests::answer(request).await.status, 200, "{method} {path}");
        }
    }
    assert_eq!(acme.delete("/objects/records?type=product&external_id=single").await.status, 204);
    assert_eq!(acme.delete(&path).await.status, 404);
}

/// Either of the functions that have lists may be the first that ever signs a cursor.
async fn first_cursors(workers: &Workers) {
    let dynamodb = clients::dynamodb(&AwsSettings::emulator(&workers.home.run.dynamodb_url()), clients::http_client());
    for function in ["status", "records"] {
        let delete = dynamodb.delete_item().table_name(&workers.home.run.tables().catalog);
        let key = |text: &str| AttributeValue::S(text.to_owned());
        let delete = delete.key("pk", key(keys::deployment())).key("sk", key(keys::cursor_secret()));
        delete.send().await.expect("the database");
        workers.store(function).catalog.cursor_secret().await.expect("a secret");
    }
}

/// Writes of records whose statement never arrives: each row is moved on, so that it cannot arrive later.
async fn unanswered_writes(workers: &Workers, acme: &Client) {
    let there = json!({"data": product("there")});
    acme.patch("/objects/records", &there).await;
    workers.book.leave_unanswered(Some(("records", "BatchExecuteStatement")));
    assert_eq!(acme.patch("/objects/records", &there).await.status, 503);
    let never = json!({"data": product("never there")});
    workers.book.leave_unanswered(Some(("records", "TransactWriteItems")));
    assert_eq!(acme.post("/objects/records", &never).await.status, 503);
    workers.book.leave_unanswered(None);
    assert_eq!(acme.patch("/objects/records", &there).await.status, 200);
    assert_eq!(acme.delete("/objects/records?type=product&external_id=never+there").await.status, 404);
    assert_eq!(acme.delete("/objects/records?type=product&external_id=there").await.status, 204);
}

/// What happens when things go wrong.
async fn mishaps(workers: &Workers, acme: &Client) {
    unanswered_writes(workers, acme).await;
    let store = &acme.store;
    // A redelivery, and a chunk whose job was never committed.
    acme.accepted("resources", "post", json!([product("again")])).await;
    let chunk = workers.deliveries().take().await.remove(0);
    crash_after(LastStep::Written, store, &chunk).await;
    workers.deliveries().deliver(&chunk.again()).await;
    let past = Clock::manual(store.clock().now().minus_millis(90_000), 7);
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

fn listed(permissions: &Permissions) -> Vec<String> {
    permissions.iter().map(|(action, resource)| format!("{action} on {resource}")).collect()
}

/// Each pattern of what the role allows is there for something that was done.
fn check_patterns(function: &str, role: &[Statement], done: &Calls) {
    for statement in role.iter().filter(|statement| statement.effect == Effect::Allow) {
        let condition = statement.condition.as_ref().filter(|condition| !matches!(condition, Condition::None(_)));
        for pattern in condition.into_iter().flat_map(Condition::patterns) {
            let is_used = done.iter().any(|call| {
                statement.is_about(&call.action, &call.resource, &call.partitions)
                    && call.partitions.iter().any(|partition| is_like(partition, pattern))
            });
            assert!(is_used, "{function} never needs {:?} on {pattern}", statement.actions);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_allows_what_its_function_does_and_nothing_else() {
    let workers = Workers::start().await;
    let acme = workers.home.acme().await;
    requests(&workers, &acme).await;
    mishaps(&workers, &acme).await;

    let template = Template::read();
    for function in FUNCTIONS {
        let mut done = workers.book.calls_of(function);
        if ANSWERING.contains(&function) {
            done.extend(workers.book.calls_of(ACCESS));
        }
        done.retain(|call| !is_of_making_tables(&call.action));
        let needed: Permissions = done.iter().map(|call| (call.action.clone(), call.resource.clone())).collect();
        assert_eq!(listed(&needed), listed(&template.database_actions(function)), "{function}");

        let role = template.statements(function);
        for call in &done {
            assert!(allows(&role, &call.action, &call.resource, &call.partitions), "{function}: {call:?}");
        }
        check_patterns(function, &role, &done);
    }
    workers.home.run.stop().await;
}

/// The partitions that only the operator writes: alone, and in a request with others.
fn requests_for_credentials() -> Vec<BTreeSet<String>> {
    let acme = AccountId::parse("acme").expect("an account id");
    let email = Email::parse("agent@acme.test").expect("an address");
    let credentials = [keys::access(&acme), keys::accounts().to_owned(), keys::login(&email)];
    let alone = credentials.iter().map(|partition| BTreeSet::from([partition.clone()]));
    let others = [keys::account(&acme), keys::rate_limits(&acme), keys::last_uses(&acme), keys::guard("ab12")];
    let among_others = credentials.iter().map(|partition| others.iter().chain([partition]).cloned().collect());
    alone.chain(among_others).collect()
}

#[test]
fn no_function_writes_credentials_and_those_that_answer_nobody_do_not_read_them() {
    let template = Template::read();
    let catalog = TableNames::with_prefix(STACK).catalog;
    for function in FUNCTIONS {
        let role = template.statements(function);
        let reads = READS.iter().filter(|_| !ANSWERING.contains(&function));
        for action in WRITES.iter().chain(reads) {
            for named in requests_for_credentials() {
                assert!(!allows(&role, action, &catalog, &named), "{function}: {action} in {named:?}");
            }
        }
    }
}

/// Of the catalog, a function reaches what it works with and nothing beside it: the cursor secret, failed passwords, other counts.
#[test]
fn no_function_reaches_what_is_not_its_own_in_the_catalog() {
    let template = Template::read();
    let catalog = TableNames::with_prefix(STACK).catalog;
    let acme = AccountId::parse("acme").expect("an account id");
    let partitions = [
        keys::account(&acme),
        keys::rate_limits(&acme),
        keys::last_uses(&acme),
        keys::guard("ab12"),
        keys::deployment().to_owned(),
        keys::fillings().to_owned(),
        "acme#ELSE".to_owned(),
        "SYSTEM#ELSE".to_owned(),
    ];
    let reached = |function: &str, actions: &[&str]| -> BTreeSet<String> {
        let role = template.statements(function);
        let is_reached = |partition: &&String| {
            let named = BTreeSet::from([(*partition).clone()]);
            actions.iter().any(|action| allows(&role, action, &catalog, &named))
        };
        partitions.iter().filter(is_reached).cloned().collect()
    };
    let set = |partitions: &[&str]| partitions.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<_>>();
    let noted = ["acme#RATE", "acme#USE", "SYSTEM#GUARD#ab12"];
    for (function, read, written) in [
        ("accept", &["SYSTEM#GUARD#ab12"][..], noted.to_vec()),
        // Status counts types, which stand among them.
        ("status", &["acme", "SYSTEM#GUARD#ab12", "SYSTEM"], [&noted[..], &["SYSTEM"]].concat()),
        (
            "records",
            &["acme", "SYSTEM#GUARD#ab12", "SYSTEM"],
            [&noted[..], &["SYSTEM", "acme", "SYSTEM#FILLING"]].concat(),
        ),
        ("consume", &["acme"], Vec::new()),
        ("bury", &[], Vec::new()),
        ("sweep", &["acme", "SYSTEM#FILLING"], vec!["acme", "SYSTEM#FILLING"]),
    ] {
        assert_eq!(reached(function, &READS), set(read), "{function} reads");
        assert_eq!(reached(function, &WRITES), set(&written), "{function} writes");
    }
}

#[test]
fn credentials_stay_denied_whatever_else_a_role_will_be_allowed_on_the_catalog() {
    let template = Template::read();
    let catalog = TableNames::with_prefix(STACK).catalog;
    let denied =
        [("accept", &WRITES[..]), ("status", &WRITES), ("records", &WRITES), ("consume", &READS), ("sweep", &WRITES)];
    for (function, actions) in denied {
        let role = template.statements(function);
        for action in actions {
            for named in requests_for_credentials() {
                let mut denials = role.iter().filter(|statement| statement.effect == Effect::Deny);
                let is_denied = denials.any(|denial| denial.is_about(action, &catalog, &named));
                assert!(is_denied, "{function}: {action} in {named:?}");
            }
        }
    }
    // Bury has nothing to do with the catalog.
    assert!(template.database_actions("bury").iter().all(|(_, table)| *table != catalog));
}

#[test]
fn patterns_are_read_as_iam_reads_them() {
    for (text, pattern, expected) in [
        ("acme#ACCESS", "*#ACCESS", true),
        ("acme#ACCESS", "*#ACCESS*", true),
        ("SYSTEM#ACCESS#a@b", "*#ACCESS*", true),
        ("SYSTEM#ACCESS#a@b", "*#ACCESS", false),
        ("acme", "*#ACCESS*", false),
        ("SYSTEM", "SYSTEM", true),
        ("SYSTEM#GUARD#1", "SYSTEM", false),
        ("SYSTEM#GUARD#1", "SYSTEM#GUARD#*", true),
        ("ö#ACCESS", "*#*", true),
        ("", "*", true),
    ] {
        assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
    }
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
