//! A stand-in for Lambda's runtime: it hands a function's program one event at a time, and takes its answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};

/// What a program answered to an event; or the error that it failed with, which Lambda counts as one of `Errors`.
pub type Answered = Result<Value, Value>;

/// The part of the runtime API that a program of this workspace uses, for one program.
pub struct Runtime {
    address: String,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Event>,
}

struct Shared {
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    under_way: Mutex<Option<oneshot::Sender<Answered>>>,
    asked: Notify,
}

struct Event {
    text: String,
    timeout: Duration,
    answer: oneshot::Sender<Answered>,
}

impl Runtime {
    /// Serves on a free port of this machine.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let (events, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { waiting: waiting.into(), under_way: Mutex::default(), asked: Notify::new() });
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{end}", post(end))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        tokio::spawn(axum::serve(listener, routes).into_future());
        Self { address, shared, events }
    }

    /// What the program finds in `AWS_LAMBDA_RUNTIME_API`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until the program asks for an event: once for each time that it does.
    pub async fn asked(&self) {
        self.shared.asked.notified().await;
    }

    /// Hands an event out, which the program has so much time for, by what it is told. The channel has its answer.
    ///
    /// # Panics
    /// Never: the other end of the channel is this one's.
    #[must_use]
    pub fn hand_out(&self, event: &Value, timeout: Duration) -> oneshot::Receiver<Answered> {
        let (answer, answered) = oneshot::channel();
        let event = Event { text: event.to_string(), timeout, answer };
        assert!(self.events.send(event).is_ok(), "nobody hands events out");
        answered
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.asked.notify_one();
    let Some(event) = shared.waiting.lock().await.recv().await else {
        return std::future::pending().await;
    };
    *shared.under_way.lock().unwrap_or_else(PoisonError::into_inner) = Some(event.answer);
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") + event.timeout;
    let headers = [
        (header::CONTENT_TYPE.as_str(), "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", "the-invocation".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-central-1:000000000000:function:any".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-67891233-abcdef012345678912345678;Sampled=0".to_owned()),
    ];
    (headers, event.text).into_response()
}

async fn end(State(shared): State<Arc<Shared>>, Path((_, end)): Path<(String, String)>, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap_or(Value::String(body));
    let answer = if end == "response" { Ok(body) } else { Err(body) };
    if let Some(waiting) = shared.under_way.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // Whoever waited may have given up.
        let _ = waiting.send(answer);
    }
    StatusCode::ACCEPTED.into_response()
}
