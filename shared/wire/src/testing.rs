//! Helpers for the tests of this crate, which send requests to a router.

use std::sync::{LazyLock, mpsc};

use access::{Access, Settings, open_local_account};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use database::TestDatabase;
use domain::clock::Clock;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// A database with the local account, for all tests of the process: served by a thread that outlives each of them.
static DATABASE: LazyLock<TestDatabase> = LazyLock::new(|| {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let database = TestDatabase::start("test").await;
            open_local_account(&database.store(Clock::system())).await.unwrap();
            send.send(database).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receive.recv().unwrap()
});

/// Lets the users of the account `local` in.
pub(crate) fn local_access(clock: &Clock) -> Access {
    let settings = Settings { requests_per_minute: 1_000_000, ..Settings::default() };
    Access::new(DATABASE.store(clock.clone()), settings)
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
