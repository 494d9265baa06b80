//! No secret is ever logged. That the whole log of every test is watched is the harness's work; this shows that it sees.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::json;
use tests::{Home, answer, would_tell};

#[test]
fn a_secret_is_seen_in_whatever_way_it_is_sent() {
    const SECRET: &str = "correct horse battery";
    for user in ["a@b", "aa@b", "aaa@b", "agent@example.com/token", ""] {
        let basic = STANDARD.encode(format!("{user}:{SECRET}"));
        assert!(would_tell(&format!("authorization: Basic {basic}"), SECRET), "{user}");
    }
    assert!(would_tell("Bearer correct horse battery", SECRET));
    assert!(!would_tell("the request is answered", SECRET));
}

/// Secrets in all the wrong places: whoever sends them there gets them back at the most, and the log does not get them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_in_the_wrong_place_is_not_logged_either() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let secret = "sundial_acme_not-a-token-but-as-secret";
    tests::watch_for(secret);
    for (method, path, body) in [
        (Method::GET, format!("/api/sunshine/jobs?status={secret}"), String::new()),
        (Method::GET, format!("/api/sunshine/objects/records?type=product&external_id={secret}"), String::new()),
        (Method::POST, "/api/sunshine/jobs".to_owned(), secret.to_owned()),
        (Method::POST, "/api/sunshine/jobs".to_owned(), json!({"type": secret}).to_string()),
        (Method::POST, "/api/sunshine/objects/types".to_owned(), json!({"data": {"key": secret}}).to_string()),
    ] {
        for request in [
            home.request(method.clone(), &path).header("authorization", secret),
            home.request(method.clone(), &path).basic_auth("agent@acme.test", Some(secret)),
            home.request(method.clone(), &path).basic_auth("agent@acme.test/token", Some(secret)),
            home.request(method.clone(), &path).bearer_auth(secret),
            acme.at_root(method.clone(), &path).header("content-encoding", secret).header("x-api-key", secret),
            acme.at_root(method.clone(), &path).header("idempotency-key", secret),
        ] {
            let status = answer(request.body(body.clone())).await.status;
            assert!(!status.is_server_error(), "{status}: {method} {path}");
        }
    }
    let items = json!([{"type": "product", "external_id": secret, "attributes": {"name": secret}}, {"id": secret}]);
    acme.run_job("resources", "post", items).await;
}
