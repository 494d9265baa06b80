//! The examples of `docs/api.md` and `docs/search.md`, each sent as it stands there.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::account::AccountId;
use domain::job::JobId;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, BASE, Deliveries, Home, ROUTES, answer};

use super::{read, root};

/// 2017-11-03T16:00:06.400Z
const START: u64 = 1_509_724_806_400;

/// What stands in an example for a text that is another each time.
const ANY: &str = "…";

/// A request and its answer.
struct Example<'page> {
    method: &'page str,
    path: &'page str,
    headers: Vec<(&'page str, &'page str)>,
    body: &'page str,
    status: u16,
    answer: &'page str,
}

impl<'page> Example<'page> {
    /// A request line, headers and a body; an empty line; a status and a body.
    fn parse(block: &'page str) -> Self {
        let (request, answered) = block.split_once("\n\n").unwrap_or_else(|| panic!("no answer:\n{block}"));
        let (line, rest) = request.split_once('\n').unwrap_or((request, ""));
        let (method, path) = line.split_once(' ').unwrap_or_else(|| panic!("no request:\n{block}"));
        let (head, body) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
        let headers = head.lines().map(|line| line.split_once(": ").unwrap_or_else(|| panic!("no header: {line}")));
        let (status, answer) = answered.split_once('\n').unwrap_or((answered, ""));
        let status = status.trim().parse().unwrap_or_else(|_| panic!("no status:\n{block}"));
        Self { method, path, headers: headers.collect(), body, status, answer: answer.trim() }
    }

    async fn send(&self, home: &Home, id: &str) -> Answer {
        let method: Method = self.method.parse().expect("a method");
        let mut request = home.request(method, &self.path.replace("{id}", id)).bearer_auth("sundial_local_token");
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        if !self.body.is_empty() {
            if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                request = request.header("content-type", "application/json");
            }
            request = request.body(self.body.to_owned());
        }
        answer(request).await
    }

    /// Whether it asks for something else than one JSON document.
    fn wants_text(&self) -> bool {
        self.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("accept") && !value.ends_with("/json"))
    }

    /// The route that it is an example of, and its method.
    fn route(&self) -> (&'static str, &'page str) {
        let path = self.path.strip_prefix(BASE).expect("a path beneath the base").split('?').next().unwrap_or_default();
        let pieces: Vec<&str> = path.split('/').collect();
        let is_it = |route: &str| {
            let names: Vec<&str> = route.split('/').collect();
            names.len() == pieces.len()
                && names.iter().zip(&pieces).all(|(name, piece)| name == piece || name.starts_with('{'))
        };
        let (route, _) =
            ROUTES.into_iter().find(|(route, _)| is_it(route)).unwrap_or_else(|| panic!("no route {path}"));
        (route, self.method)
    }
}

/// Whether it is what the example shows. Members may come in any order.
fn fits(shown: &Value, actual: &Value) -> bool {
    match (shown, actual) {
        (Value::String(shown), Value::String(_)) if shown == ANY => true,
        (Value::Array(shown), Value::Array(actual)) => {
            shown.len() == actual.len() && shown.iter().zip(actual).all(|(shown, actual)| fits(shown, actual))
        }
        (Value::Object(shown), Value::Object(actual)) => {
            shown.len() == actual.len()
                && shown.iter().all(|(name, shown)| actual.get(name).is_some_and(|actual| fits(shown, actual)))
        }
        _ => shown == actual,
    }
}

fn blocks(page: &str) -> Vec<&str> {
    page.split("```http\n").skip(1).map(|rest| rest.split_once("\n```").expect("its end").0).collect()
}

/// The pages that have examples of requests. Those of one are sent one after the other, to a service of its own.
const PAGES: [&str; 2] = ["docs/api.md", "docs/search.md"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_answered_as_it_says() {
    for page in PAGES {
        check_examples(&read(&root().join(page))).await;
    }
}

async fn check_examples(page: &str) {
    let examples: Vec<Example<'_>> = blocks(page).into_iter().map(Example::parse).collect();
    let home = Home::start_at(START).await;
    let deliveries = Deliveries::of(&home);
    let properties = json!({"name": {"type": "string"}, "price": {"type": "number"}});
    let product = json!({"data": {"key": "product", "schema": {"properties": properties, "required": ["name"]}}});
    let define = home.request(Method::POST, &format!("{BASE}/objects/types")).bearer_auth("sundial_local_token");
    assert_eq!(answer(define.json(&product)).await.status, 201);

    let (mut id, mut wrong) = (String::new(), Vec::new());
    for (place, example) in examples.iter().enumerate() {
        // A job that is told to stop while it is processing has been begun, and none of its chunks has.
        if example.path.ends_with("/abort") && example.status == 202 {
            let (store, job) = (home.run.store(), JobId::parse(&id).expect("a job"));
            let account = AccountId::parse("local").expect("an account");
            let _ = store.jobs.start(job.of(&account), store.clock().now()).await.expect("the database");
        }
        let answer = example.send(&home, &id).await;
        // Tables and lines are shown as they are, and come from a job that is there already: no time goes by.
        if example.wants_text() {
            let text = String::from_utf8_lossy(&answer.body).replace("\r\n", "\n");
            if answer.status != example.status || text.trim_end() != example.answer {
                wrong.push(format!("{} {}\n{}\n{text}", example.method, example.path, answer.status.as_u16()));
            }
            continue;
        }
        let actual = answer.json();
        let shown =
            if example.answer.is_empty() { Value::Null } else { serde_json::from_str(example.answer).expect("JSON") };
        if answer.status != example.status || !fits(&shown, &actual) {
            wrong.push(format!("{} {}\n{}\n{actual}", example.method, example.path, answer.status.as_u16()));
        }
        if let Some(Value::String(answered)) = actual["data"].get("id") {
            id.clone_from(answered);
        }
        // What is aborted next is not begun.
        if !examples.get(place + 1).is_some_and(|next| next.path.ends_with("/abort")) {
            deliveries.drain().await;
        }
        home.advance(Duration::from_secs(1));
    }
    assert!(wrong.is_empty(), "{} examples are answered otherwise:\n{}", wrong.len(), wrong.join("\n\n"));
    home.run.stop().await;
}

/// `PUT` of a record does what `PATCH` does, and is said to.
#[test]
fn each_route_has_one() {
    let page = PAGES.map(|page| read(&root().join(page))).concat();
    let shown: BTreeSet<(&str, &str)> = blocks(&page).into_iter().map(|block| Example::parse(block).route()).collect();
    let routes = ROUTES.into_iter().flat_map(|(route, methods)| methods.iter().map(move |method| (route, *method)));
    let missing: Vec<_> = routes
        .filter(|route| !shown.contains(route))
        .filter(|(route, method)| *method != "PUT" || !shown.contains(&(*route, "PATCH")))
        .collect();
    assert!(missing.is_empty(), "without an example: {missing:?}");
    assert!(page.contains("`PUT` does the same as `PATCH`"));
}
