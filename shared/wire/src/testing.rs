//! How the tests of this crate talk to a router.

use std::sync::{LazyLock, mpsc};

use access::{Access, Settings, open_local_account};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use domain::clock::Clock;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use store::Store;
use store::clients::{self, AwsSettings};
use store::tables::{self, TableNames};
use tower::ServiceExt;

/// Where a database with the local account is served, for all tests of the process: by a thread that outlives each of them.
static DATABASE: LazyLock<String> = LazyLock::new(|| {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let endpoint = format!("http://{}", listener.local_addr().unwrap());
            let database = dynoxide::Database::memory().unwrap();
            let server = dynoxide::server::serve_with_shutdown(listener, database, std::future::pending());
            let prepared = async {
                let store = store_at(&endpoint, &Clock::system());
                let client = clients::dynamodb(&AwsSettings::emulator(&endpoint), clients::http_client());
                tables::create_missing(&client, &TableNames::with_prefix("test")).await.unwrap();
                open_local_account(&store).await.unwrap();
                send.send(endpoint.clone()).unwrap();
            };
            let _ = tokio::join!(server, prepared);
        });
    });
    receive.recv().unwrap()
});

fn store_at(endpoint: &str, clock: &Clock) -> Store {
    let client = clients::dynamodb(&AwsSettings::emulator(endpoint), clients::http_client());
    Store::new(client, TableNames::with_prefix("test"), clock.clone())
}

/// Lets the users of the account `local` in.
pub(crate) fn local_access(clock: &Clock) -> Access {
    let settings = Settings { requests_per_minute: 1_000_000, ..Settings::default() };
    Access::new(store_at(&DATABASE, clock), settings)
}

/// An answer, read to its end.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The value of the only header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        assert!(values.next().is_none(), "{name} is given twice");
        Some(value.to_str().unwrap())
    }
}

pub(crate) fn request(method: &str, path: &str) -> Request {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

pub(crate) async fn send(router: &Router, request: Request) -> Reply {
    reply(router.clone().oneshot(request).await.unwrap()).await
}

pub(crate) async fn reply(response: Response) -> Reply {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Reply { status: parts.status, headers: parts.headers, body }
}
