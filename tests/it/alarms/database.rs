//! DynamoDB as a function may find it: in trouble, or slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::Value;
use tests::refusals::Refusal;

/// What becomes of the requests to a database.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    None,
    /// The first is throttled.
    ThrottlesOnce,
    /// Each is answered that something broke.
    Broken,
    /// The first is answered so much later.
    SlowOnce(Duration),
}

struct Troubled {
    url: String,
    trouble: Trouble,
    met: AtomicBool,
    http: reqwest::Client,
}

/// A database in this trouble, in front of the one at `url`. Answers with its own URL.
pub async fn in_trouble(url: &str, trouble: Trouble) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let troubled = Troubled { url: url.to_owned(), trouble, met: false.into(), http: reqwest::Client::new() };
    let router = Router::new().fallback(answer).with_state(Arc::new(troubled));
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{address}")
}

async fn answer(State(database): State<Arc<Troubled>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a whole request").to_bytes();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let refuse = |refusal: Refusal| {
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let refused = refusal.answer(target.rsplit('.').next().unwrap_or_default(), &asked);
        let text = refused.body().bytes().unwrap_or_default().to_vec();
        let status = StatusCode::from_u16(refused.status().as_u16()).expect("a status");
        Response::builder().status(status).body(Body::from(text)).expect("an answer")
    };
    match database.trouble {
        Trouble::Broken => return refuse(Refusal::ServerError),
        Trouble::ThrottlesOnce if !database.met.swap(true, Ordering::Relaxed) => return refuse(Refusal::Throttled),
        Trouble::SlowOnce(late) if !database.met.swap(true, Ordering::Relaxed) => tokio::time::sleep(late).await,
        Trouble::None | Trouble::ThrottlesOnce | Trouble::SlowOnce(_) => {}
    }
    let mut headers = parts.headers;
    headers.remove(header::HOST);
    let answer = database.http.post(&database.url).headers(headers).body(body).send().await.expect("the database");
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if ![header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION].contains(name) {
            response = response.header(name, value);
        }
    }
    response.body(Body::from(answer.bytes().await.expect("a whole answer"))).expect("an answer")
}
