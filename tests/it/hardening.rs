//! What is sent to break things: every route asked by strangers, heads that are too large, paths that look like other paths,
//! JSON that nests without end, and members that stand twice.

use std::collections::BTreeSet;
use std::fmt::Write;

use domain::limits;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{BASE, Client, Home, ROUTES, answer, outcomes, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const UNKNOWN: &str = "0190163d-8694-7000-8000-000000000000";

/// An answer to a request that was sent byte by byte, because no client would spell it so.
struct Raw {
    status: u16,
    body: Value,
}

impl Raw {
    fn detail(&self) -> &str {
        self.body["errors"][0]["detail"].as_str().unwrap_or_default()
    }
}

/// Sends a request with this target and these header lines, as this agent, and reads the answer.
async fn send(home: &Home, agent: &Client, method: &str, target: &[u8], headers: &str) -> Raw {
    let address = home.run.base_url();
    let address = address.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let end = format!(
        " HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\nconnection: close\r\n{headers}\r\n",
        agent.token(),
    );
    let request = [method.as_bytes(), b" ", target, end.as_bytes()].concat();
    // A server that has seen enough may close before it has read everything.
    drop(stream.write_all(&request).await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Raw { status, body: serde_json::from_str(body).unwrap_or_default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_there_is_asks_who_is_calling_and_for_the_role() {
    let home = Home::start().await;
    let (acme, end_user) = (home.acme().await, home.end_user("acme").await);
    let routes = home.run.routes();
    let names: BTreeSet<String> = routes.iter().map(ToString::to_string).collect();
    let known =
        ROUTES.iter().flat_map(|(path, methods)| methods.iter().map(move |method| format!("{method} {BASE}{path}")));
    assert_eq!(names, known.collect(), "what other tests take for all routes");
    for route in routes {
        let path: Vec<&str> =
            route.path.split('/').map(|piece| if piece.starts_with('{') { UNKNOWN } else { piece }).collect();
        let path = path.join("/");
        // Neither the body nor the path's id is looked at before.
        let body = |request: reqwest::RequestBuilder| request.header("content-type", "text/plain").body("{");
        let stranger = answer(body(home.request(route.method.clone(), &path))).await;
        assert_eq!(stranger.status, 401, "{route}");
        let beneath = path.strip_prefix(BASE).expect("a path beneath the base");
        let refused = answer(body(end_user.request(route.method.clone(), beneath))).await;
        assert_eq!(refused.error(403).1, "Only agents and admins may do this", "{route}");
        let known = answer(body(acme.request(route.method.clone(), beneath))).await;
        assert!(![401, 403, 405, 500].contains(&known.status.as_u16()), "{route}: {}", known.status);
        assert!(!known.json()["errors"][0]["detail"].to_string().contains("no such route"), "{route}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_tells_browsers_and_caches_to_leave_it_alone() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let stranger = answer(home.request(Method::GET, &format!("{BASE}/jobs"))).await;
    for answer in [stranger, acme.get("/jobs").await, acme.get("/nowhere").await, acme.post_text("/jobs", "{").await] {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
            ("strict-transport-security", "max-age=63072000; includeSubDomains"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{}", answer.status);
            assert_eq!(answer.headers.get_all(name).iter().count(), 1, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_too_large_is_told_the_limit_and_its_size() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let jobs = format!("{BASE}/jobs");
    let small = send(&home, &acme, "GET", jobs.as_bytes(), "").await;
    assert_eq!(small.status, 200);
    let many: String = (0..90).fold(String::new(), |mut lines, number| {
        let _ = write!(lines, "x-{number}: {}\r\n", "y".repeat(120));
        lines
    });
    for headers in [format!("x: {}\r\n", "y".repeat(10_240)), format!("x: {}\r\n", "y".repeat(100_000)), many] {
        let refused = send(&home, &acme, "GET", jobs.as_bytes(), &headers).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["code"]), (400, &json!("BadRequest")));
        assert!(refused.detail().starts_with("The headers must take at most 10240 bytes"), "{}", refused.body);
    }
    // As many as there may be within that limit.
    assert_eq!(send(&home, &acme, "GET", jobs.as_bytes(), &"x: y\r\n".repeat(300)).await.status, 200);
    // What the server itself refuses.
    for headers in [format!("x: {}\r\n", "y".repeat(1_000_000)), "x: y\r\n".repeat(100_000)] {
        let refused = send(&home, &acme, "GET", jobs.as_bytes(), &headers).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["code"]), (400, &json!("BadRequest")));
        assert_eq!(refused.detail(), "The head is too large: it has at most 131072 bytes and 1000 headers");
    }
    for (bytes, status, detail) in [
        (8_192, 200, ""),
        (8_193, 400, "The query must be at most 8192 bytes, not 8193"),
        (65_000, 400, "The query must be at most 8192 bytes, not 65000"),
        (65_536, 400, "The path and the query are too long: a head has at most 131072 bytes"),
    ] {
        let target = format!("{jobs}?{}", "x".repeat(bytes));
        let answer = send(&home, &acme, "GET", target.as_bytes(), "").await;
        assert_eq!((answer.status, answer.detail()), (status, detail));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_has_one_spelling() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let job = acme.create_job("resources", "delete", json!(["x"])).await.data(201);
    let id = text(&job["id"]);
    assert_eq!(send(&home, &acme, "GET", format!("{BASE}/jobs/{id}").as_bytes(), "").await.status, 200);
    let upper = id.to_uppercase();
    for path in [
        "//jobs",
        "/jobs//",
        "/./jobs",
        "/jobs/.",
        "/jobs/..",
        "/jobs/../jobs",
        "/objects/../jobs",
        "/%2e/jobs",
        "/%2e%2e/sunshine/jobs",
        "/jobs/%2e%2e/jobs",
        "/jobs/%2e%2e%2fjobs",
        "%2Fjobs",
        "/%6aobs",
        "/JOBS",
        "/jobs%20",
        "/jobs%00",
        "/jobs;a=b",
        "/jobs/%00",
        "/jobs/%ff",
        "/jobs/%",
        "/jobs/%zz",
        "/jobs/\u{e4}",
        &format!("/jobs/{id}//"),
        &format!("//jobs/{id}"),
        &format!("/jobs%2F{id}"),
        &format!("/jobs/%2F{id}"),
        &format!("/jobs/{id}%2F"),
        &format!("/jobs/{id}%00"),
        &format!("/jobs/{id}%2Fabort"),
        &format!("/jobs/x/../{id}"),
        &format!("/jobs/x%2F..%2F{id}"),
        &format!("/jobs/{id}/abort/../../{id}"),
        &format!("/Jobs/{upper}"),
        "/objects/types/product//",
        "/objects/types/pro%00duct",
        "/objects/types/product%2F",
        "/objects/types/%ff",
        "/objects/types/..%2Fjobs",
        "/objects/records/%ff",
        "/relationships/types/%c3%28",
        "/relationships/records/%00",
    ] {
        let answer = send(&home, &acme, "GET", format!("{BASE}{path}").as_bytes(), "").await;
        assert_eq!((answer.status, &answer.body["errors"][0]["code"]), (404, &json!("NotFound")), "{path}");
    }
    // What begins elsewhere, and what is not beneath the base at all.
    for target in ["*", "/", "/api/sunshine", "/api/sunshine/", "/api//sunshine/jobs", "/jobs"] {
        assert_eq!(send(&home, &acme, "GET", target.as_bytes(), "").await.status, 404, "{target}");
    }
    // What is no request at all never comes as far as the service.
    for target in [&b"/api/sunshine/jobs/\xff"[..], b"/api/sunshine/jobs/\x00", b"api/sunshine/jobs", b"/a b", b""] {
        assert_eq!(send(&home, &acme, "GET", target, "").await.status, 400, "{}", target.escape_ascii());
    }
}

/// `[[[…]]]` of so many levels.
fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

/// Levels that are refused, from one too many to as many as make a program that goes down with them run out of stack.
const TOO_DEEP: [usize; 6] = [limits::JSON_LEVELS + 1, 127, 128, 129, 10_000, 1_000_000];

const REFUSED_AS_DEEP: &str = "UnprocessableEntity: attributes cannot be read: at most 100 levels may be nested";

/// Defines the object type `free`, whose attributes `any` and `other` may be anything made of arrays and objects.
async fn define_free(client: &Client) {
    let anything = json!({"type": ["array", "object", "null"]});
    client.define("free", json!({"properties": {"any": anything, "other": anything}})).await;
}

/// Runs one job of the deep items with a good one before and behind each: only the deep ones fail.
async fn check_deep(client: &Client, action: &str, item: impl Fn(usize, &str) -> String) {
    let mut items = vec![item(0, "[]")];
    for (number, levels) in (1..).zip(TOO_DEEP) {
        items.push(item(2 * number - 1, &nested(levels - 1)));
        items.push(item(2 * number, "[]"));
    }
    let job = client.run_items("resources", action, &items).await;
    for (position, outcome) in outcomes(&job).into_iter().enumerate() {
        assert_eq!(outcome, if position % 2 == 0 { "done" } else { REFUSED_AS_DEEP }, "{action} {position}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_that_nest_too_deep_fail_alone_in_every_action() {
    let home = Home::start().await;
    let acme = home.acme().await;
    define_free(&acme).await;
    let named = |number: usize, any: &str| {
        format!(r#"{{"type":"free","external_id":"{number}","attributes":{{"any":{any}}}}}"#)
    };
    check_deep(&acme, "post", |_, any| format!(r#"{{"type":"free","attributes":{{"any":{any}}}}}"#)).await;
    check_deep(&acme, "external_id_set", named).await;
    let id = acme.record("free", "0").await["id"].clone();
    check_deep(&acme, "update", |_, any| format!(r#"{{"id":{id},"attributes":{{"any":{any}}}}}"#)).await;
    // What is no item at all.
    let items = TOO_DEEP.map(nested);
    let job = acme.run_items("resources", "post", &items).await;
    let wrong = "UnprocessableEntity: item must be an object, not an array";
    assert!(outcomes(&job).iter().all(|outcome| outcome == wrong), "{job}");
    let job = acme.run_items("resources", "delete", &items).await;
    let wrong = "UnprocessableEntity: item must be a string, not an array";
    assert!(outcomes(&job).iter().all(|outcome| outcome == wrong), "{job}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_that_nest_as_deep_as_they_may_are_read_listed_and_patched() {
    let home = Home::start().await;
    let acme = home.acme().await;
    define_free(&acme).await;
    let arrays: Value = serde_json::from_str(&nested(limits::JSON_LEVELS - 1)).expect("JSON");
    let objects = (2..limits::JSON_LEVELS).fold(json!({}), |inner, _| json!({"a": inner}));
    let deep = json!({"type": "free", "external_id": "deep", "attributes": {"any": arrays}});
    assert_eq!(outcomes(&acme.run_job("resources", "post", json!([deep])).await), ["done"]);
    let record = acme.record("free", "deep").await;
    assert_eq!(record["attributes"], json!({"any": arrays}));
    let patches = [
        ("update", json!({"id": record["id"], "attributes": {"other": objects}})),
        ("external_id_set", json!({"type": "free", "external_id": "deep", "attributes": {"other": objects}})),
    ];
    for (action, patch) in patches {
        assert_eq!(outcomes(&acme.run_job("resources", action, json!([patch])).await), ["done"], "{action}");
        assert_eq!(acme.record_of(&record["id"]).await["attributes"], json!({"any": arrays, "other": objects}));
    }
    let patch = json!({"id": record["id"], "attributes": {"any": null, "other": {"a": null}}});
    assert_eq!(outcomes(&acme.run_job("resources", "update", json!([patch])).await), ["done"]);
    assert_eq!(acme.get("/objects/records?type=free").await.data(200)[0]["attributes"], json!({"other": {}}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nests_around_the_items_is_refused_or_passed_over() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    for levels in [100, 127, 128, 129, 10_000, 1_000_000] {
        let deep = nested(levels);
        assert_eq!(acme.post_text("/jobs", deep.clone()).await.error(400).0, "BadRequest");
        let cut = format!(r#"{{"data":{}"#, &deep[..deep.len() - 1]);
        assert_eq!(acme.post_text("/jobs", cut).await.error(400).1, "The body is not JSON: it ends too early");
        for name in ["type", "action"] {
            let detail = acme.post_text("/jobs", format!(r#"{{"type":"resources","data":[],"{name}":{deep}}}"#)).await;
            assert!([400, 422].contains(&detail.status.as_u16()), "{levels} {name}: {}", detail.status);
        }
        // Nobody reads what nobody wants, on the first request as on the second.
        let item = format!(r#"{{"type":"product","attributes":{{"name":"Gum"}},"x":{deep}}}"#);
        let body = format!(r#"{{"type":"resources","action":"post","data":[{item}],"x":{deep}}}"#);
        let key = format!("deep-{levels}");
        let keyed = async || {
            answer(acme.request(Method::POST, "/jobs").header("idempotency-key", &key).body(body.clone()))
                .await
                .data(201)
        };
        let first = keyed().await;
        assert_eq!(outcomes(&acme.wait(text(&first["id"])).await), ["done"], "{levels}");
        assert_eq!(keyed().await["id"], first["id"]);
        if levels <= 100_000 {
            for path in ["/objects/types", "/relationships/types"] {
                assert_eq!(acme.post_text(path, deep.clone()).await.error(400).0, "BadRequest");
                let data = format!(r#"{{"data":{{"key":"other","x":{deep},"schema":{deep}}}}}"#);
                assert_eq!(acme.post_text(path, data).await.error(422).0, "UnprocessableEntity");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_a_request_that_stands_twice_is_a_400_that_names_it() {
    let home = Home::start().await;
    let acme = home.acme().await;
    for (name, again) in [("type", "type"), ("action", "action"), ("data", "data"), ("data", "d\\u0061ta")] {
        let body = format!(r#"{{"type":"resources","action":"post","data":[{{}}],"{again}":"resources"}}"#);
        let refused = acme.post_text("/jobs", body).await.error(400);
        assert_eq!(refused, ("BadRequest".to_owned(), format!("{name} is given more than once")));
    }
    let ignored = r#"{"x":1,"x":2,"type":"resources","action":"post","data":[{}]}"#;
    assert_eq!(acme.post_text("/jobs", ignored).await.status, 201);
    for path in ["/objects/types", "/relationships/types"] {
        let refused = acme.post_text(path, r#"{"data":{},"data":{}}"#).await.error(400);
        assert_eq!(refused, ("BadRequest".to_owned(), "`data` is given more than once".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_with_a_member_twice_fails_alone_and_nothing_of_it_is_kept() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    define_free(&acme).await;
    let id = acme.stock(1).await.remove(0);
    // Long enough to be rewritten on its way.
    let long = "x".repeat(limits::PLAIN_ITEM_BYTES);
    let twice = |name: &str| format!("UnprocessableEntity: {name} is given more than once");
    let inside = |name: &str| {
        format!("UnprocessableEntity: attributes cannot be read: the member \"{name}\" is given more than once")
    };
    let attributes = [
        (r#"{"name":1,"name":"x"}"#.to_owned(), inside("name")),
        (r#"{"name":"x","n\u0061me":"x"}"#.to_owned(), inside("name")),
        (format!(r#"{{"name":"x","note":"{long}","name":"x"}}"#), inside("name")),
        (r#"{"any":[{"deep":{"a":1,"b":2,"a":1}}]}"#.to_owned(), inside("a")),
    ];
    for action in ["post", "update", "external_id_set"] {
        let named = if action == "update" {
            format!(r#""id":"{id}""#)
        } else {
            r#""type":"product","external_id":"e""#.to_owned()
        };
        let mut wrong: Vec<_> = attributes
            .iter()
            .map(|(attributes, outcome)| (format!(r#"{{{named},"attributes":{attributes}}}"#), outcome.clone()))
            .collect();
        let again = r#"{"name":"x"}"#;
        wrong.push((format!(r#"{{{named},"attributes":{again},"attributes":{again}}}"#), twice("attributes")));
        let first = if action == "update" { "id" } else { "type" };
        wrong.push((format!(r#"{{{named},{named},"attributes":{again}}}"#), twice(first)));
        let good = format!(r#"{{{named},"attributes":{{"name":"Good"}},"x":1,"x":{{"y":1,"y":2}}}}"#);
        wrong.push((good, "done".to_owned()));
        let (items, expected): (Vec<String>, Vec<String>) = wrong.into_iter().unzip();
        assert_eq!(outcomes(&acme.run_items("resources", action, &items).await), expected, "{action}");
        let external_id = if action == "update" { "stock-0" } else { "e" };
        assert_eq!(acme.record("product", external_id).await["attributes"], json!({"name": "Good"}));
    }
    let items =
        [r#"{"type":"product","external_id":"e","external_id":"f"}"#, r#"{"type":"product","external_id":"e"}"#];
    let job = acme.run_items("resources", "external_id_delete", &items.map(str::to_owned)).await;
    assert_eq!(outcomes(&job), [twice("external_id"), "done".to_owned()]);
    acme.define_relationship("owns", "zen:user", json!(["product"])).await;
    let item = |rest: &str| format!(r#"{{"relationship_type":"owns","source":"zen:user:1","target":"{id}"{rest}}}"#);
    let items = [item(r#","target":"x""#), item(r#","source":"zen:user:2""#), item("")];
    let job = acme.run_items("relationships", "post", &items).await;
    assert_eq!(outcomes(&job), [twice("target"), twice("source"), "done".to_owned()]);
}
