//! Pages in a real browser, of an origin that the operator allows and of one that is not.
//!
//! `.ci/run` installs a browser and runs these; by hand: `cargo test -p local --test browser -- --ignored`, with
//! `chromium-headless-shell`, `chromium` or `google-chrome` on the PATH, or at `CHROMIUM`.

use std::process::{Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use local::run::{LocalOptions, LocalRun};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use wire::AllowedOrigins;

/// What it says is in its text when the page is done.
const PAGE: &str = r#"<!doctype html><title>A page</title><pre id="said"></pre><script type="module">
const api = "API/api/sunshine", said = {};
async function call(name, method, path, headers = {}, body = undefined, mode = "cors") {
  try {
    const request = {method, mode, headers: {authorization: "Bearer sundial_local_token", ...headers}, body};
    if (mode === "no-cors") delete request.headers.authorization;
    const answer = await fetch(api + path, request);
    said[name] = {type: answer.type, status: answer.status, body: await answer.text(),
      location: answer.headers.get("location"), remaining: answer.headers.get("x-rate-limit-remaining"),
      retry: answer.headers.get("retry-after")};
  } catch (error) {
    said[name] = String(error.name);
  }
}
const json = {"content-type": "application/json"}, form = {"content-type": "application/x-www-form-urlencoded"};
const record = JSON.stringify({data: {type: "product", external_id: "KEY", attributes: {name: "from a page"}}});
await call("define", "POST", "/objects/types", json, JSON.stringify({data: {key: "product", schema: {properties: {name: {type: "string"}}}}}));
await call("create", "POST", "/objects/records", {...json, "idempotency-key": "KEY"}, record);
await call("form", "PATCH", "/objects/records", form, record);
await call("list", "GET", "/objects/records?type=product");
await call("missing", "GET", "/jobs/none");
await call("unknown", "GET", "/jobs", {authorization: "Bearer wrong"});
await call("delete", "DELETE", "/objects/records?type=product&external_id=KEY");
await call("blind", "POST", "/objects/records", form, record, "no-cors");
document.getElementById("said").textContent = JSON.stringify(said);
document.title = "done";
</script>"#;

fn browser() -> String {
    if let Ok(path) = std::env::var("CHROMIUM") {
        return path;
    }
    let is_there = |name: &&str| Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok();
    let known = ["chromium-headless-shell", "chromium", "google-chrome"];
    known.into_iter().find(is_there).expect("a browser on the PATH, or at CHROMIUM").to_owned()
}

/// What the page says in the browser.
async fn visit(url: &str) -> Value {
    let (browser, url) = (browser(), url.to_owned());
    let visiting = tokio::task::spawn_blocking(move || {
        let profile = tempfile::tempdir().expect("a directory");
        // The sandbox cannot be had in a container; what is visited is our own page.
        let output = Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--timeout=20000"])
            .arg("--virtual-time-budget=15000")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--dump-dom", &url])
            .stderr(Stdio::null())
            .output()
            .expect("the browser runs");
        String::from_utf8(output.stdout).expect("text")
    });
    let dom = tokio::time::timeout(Duration::from_mins(1), visiting).await.expect("in time").expect("no panic");
    assert!(dom.contains("<title>done</title>"), "{dom}");
    let (_, rest) = dom.split_once(r#"<pre id="said">"#).expect("what it said");
    let said = rest.split_once("</pre>").expect("its end").0;
    let said = said.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// A site that has the page, for an API at `api`; its address.
fn site(listener: TcpListener, api: &str, key: &str) -> String {
    let address = listener.local_addr().expect("an address");
    let page = PAGE.replace("API", api).replace("KEY", key);
    let router = Router::new().route("/", get(move || async move { Html(page) }));
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a browser"]
async fn pages_of_an_allowed_origin_may_call_and_others_learn_and_do_nothing() {
    let [ours, theirs] = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0"));
    let (ours, theirs) = (ours.await.expect("a port"), theirs.await.expect("a port"));
    let allowed = format!("http://{}", ours.local_addr().expect("an address"));
    let origins = AllowedOrigins::parse(&allowed).expect("an origin");
    let run = LocalRun::start(LocalOptions { origins, ..LocalOptions::in_memory() }).await.expect("the local run");
    let api = run.base_url();
    let ours = site(ours, &api, "ours");
    assert_eq!(ours, allowed);

    // What needs a preflight and what does not, and the errors among the answers, are all there to be read.
    let said = visit(&ours).await;
    let statuses = ["define", "create", "form", "list", "missing", "unknown", "delete", "blind"]
        .map(|name| (name, said[name]["status"].as_u64().unwrap_or_default()));
    let expected = [
        ("define", 201),
        ("create", 201),
        ("form", 200),
        ("list", 200),
        ("missing", 404),
        ("unknown", 401),
        ("delete", 204),
        // Without credentials, which such a call cannot have, and not to be read either.
        ("blind", 0),
    ];
    assert_eq!(statuses, expected, "{said:#}");
    assert!(said["create"]["location"].as_str().is_some_and(|path| path.starts_with("/api/sunshine/objects/records/")));
    assert!(said["list"]["remaining"].is_string(), "{said:#}");
    let body = |name: &str| serde_json::from_str::<Value>(said[name]["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(body("list")["data"][0]["attributes"], json!({"name": "from a page"}));
    assert_eq!(body("missing")["errors"][0]["code"], "NotFound");
    assert_eq!(body("unknown")["error"], "Couldn't authenticate you");

    // Another page is told nothing, and changes nothing: not by a call that asks first, nor by one that does not.
    let theirs = site(theirs, &api, "theirs");
    let said = visit(&theirs).await;
    for name in ["define", "create", "form", "list", "missing", "unknown", "delete"] {
        assert_eq!(said[name], "TypeError", "{name}: {said:#}");
    }
    assert_eq!(said["blind"]["type"], "opaque", "{said:#}");
    let list = format!("{api}/api/sunshine/objects/records?type=product");
    let there = reqwest::Client::new().get(list).bearer_auth("sundial_local_token").send().await.expect("an answer");
    assert_eq!(there.json::<Value>().await.expect("JSON")["data"], json!([]));
    run.stop().await;
}
