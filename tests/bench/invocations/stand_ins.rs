//! What a function calls: a database, a queue and Lambda's runtime.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use domain::account::{AccountId, Role};
use domain::ambient::Ambient;
use serde_json::{Value, json};
use store::Store;
use store::clients::{self, AwsSettings};
use store::tables::{self, TableNames};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::Failure;
use crate::events::Caller;

const TABLES: &str = "bench";

/// Database and queue, and the programs that use them.
pub struct World {
    programs: PathBuf,
    database: String,
    queue: String,
    store: Store,
    sent: Sent,
}

/// The bodies of messages that are in the queue, with their trace.
type Sent = Arc<Mutex<Vec<String>>>;

impl World {
    pub async fn start(programs: PathBuf) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let database = format!("http://{}", listener.local_addr()?);
        let engine = dynoxide::Database::memory()?;
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, engine, std::future::pending()));
        let client = clients::dynamodb(&AwsSettings::emulator(&database), clients::http_client());
        let names = TableNames::with_prefix(TABLES);
        tables::create_missing(&client, &names).await?;
        let store = Store::new(client, names, Ambient::system());
        let sent = Sent::default();
        let queue = serve(Router::new().fallback(take_messages).with_state(sent.clone())).await?;
        Ok(Self { programs, database, queue: format!("http://{queue}"), store, sent })
    }

    /// An agent of an account.
    pub async fn caller(&self, account: &str) -> Result<Caller, Failure> {
        let account = AccountId::parse(account).map_err(|_| "no account id")?;
        let token = tests::token_of(&self.store, &account, Role::Agent).await;
        Ok(Caller::new(&token))
    }

    /// Where the program of this name is.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name).join("bootstrap")
    }

    /// The messages that were sent since this was asked last.
    pub fn messages(&self) -> Vec<String> {
        std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What Lambda and the template put into a function's environment.
    pub fn environment(&self) -> HashMap<&'static str, String> {
        let names = TableNames::with_prefix(TABLES);
        let given = |text: &str| text.to_owned();
        HashMap::from([
            ("AWS_LAMBDA_FUNCTION_NAME", given("bench")),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", given("512")),
            ("AWS_LAMBDA_FUNCTION_VERSION", given("$LATEST")),
            ("AWS_LAMBDA_LOG_STREAM_NAME", given("bench")),
            ("AWS_LAMBDA_LOG_GROUP_NAME", given("bench")),
            ("AWS_REGION", given("us-east-1")),
            ("AWS_ACCESS_KEY_ID", given("bench")),
            ("AWS_SECRET_ACCESS_KEY", given("bench")),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.database.clone()),
            ("AWS_ENDPOINT_URL_SQS", self.queue.clone()),
            ("QUEUE_URL", format!("{}/000000000000/bench", self.queue)),
            ("TABLE_JOBS", names.jobs),
            ("TABLE_RECORDS", names.records),
            ("TABLE_CATALOG", names.catalog),
            // Between two measures nobody asks again.
            ("ACCESS_CACHE_SECONDS", given("300")),
            ("REQUESTS_PER_MINUTE", given("1000000")),
            ("METRICS_NAMESPACE", given("bench")),
            ("RUST_LOG", given("info")),
        ])
    }
}

/// Serves routes on a port of this machine, and says where.
async fn serve(router: Router) -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move { axum::serve(listener, router.layer(DefaultBodyLimit::disable())).await });
    Ok(address)
}

/// Keeps the messages of a `SendMessageBatch`, which is all that a queue is asked for.
async fn take_messages(State(sent): State<Sent>, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let entries = request["Entries"].as_array().cloned().unwrap_or_default();
    let bodies = entries.iter().filter_map(|entry| Some(entry["MessageBody"].as_str()?.to_owned()));
    sent.lock().unwrap_or_else(PoisonError::into_inner).extend(bodies);
    let successful: Vec<Value> = entries
        .iter()
        .map(|entry| json!({"Id": entry["Id"], "MessageId": "00000000-0000-0000-0000-000000000000", "MD5OfMessageBody": ""}))
        .collect();
    axum::Json(json!({"Successful": successful, "Failed": []})).into_response()
}

/// Stands in for Lambda's runtime: hands one event out at a time.
pub struct Runtime {
    address: String,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Handed>,
}

struct Shared {
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Handed>>,
    answer: Mutex<Option<oneshot::Sender<Result<Bytes, String>>>>,
    asked: Notify,
}

struct Handed {
    event: Vec<u8>,
    answer: oneshot::Sender<Result<Bytes, String>>,
}

impl Runtime {
    pub async fn start() -> Result<Self, Failure> {
        let (events, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { waiting: waiting.into(), answer: Mutex::default(), asked: Notify::new() });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .with_state(Arc::clone(&shared));
        Ok(Self { address: serve(router).await?, shared, events })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until the function asks for an event.
    pub async fn asked(&self) {
        self.shared.asked.notified().await;
    }

    /// Hands an event out once the function asks for one, and waits for the answer.
    pub async fn invoke(&self, event: &Value) -> Result<Value, Failure> {
        self.asked().await;
        let (answer, answered) = oneshot::channel();
        self.events.send(Handed { event: serde_json::to_vec(event)?, answer })?;
        Ok(serde_json::from_slice(&answered.await??)?)
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.asked.notify_one();
    let Some(handed) = shared.waiting.lock().await.recv().await else {
        return std::future::pending().await;
    };
    *shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(handed.answer);
    let deadline = SystemTime::now() + Duration::from_mins(5);
    let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().to_string();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
        ("lambda-runtime-deadline-ms", deadline.as_str()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:bench"),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0"),
        ("content-type", "application/json"),
    ] {
        headers.extend(value.parse().ok().map(|value| (axum::http::HeaderName::from_static(name), value)));
    }
    (headers, handed.event).into_response()
}

async fn answered(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    give(&shared, Ok(body))
}

async fn failed(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    give(&shared, Err(String::from_utf8_lossy(&body).into_owned()))
}

fn give(shared: &Shared, answer: Result<Bytes, String>) -> Response {
    if let Some(waiting) = shared.answer.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // Whoever waited may have given up.
        let _ = waiting.send(answer);
    }
    axum::http::StatusCode::ACCEPTED.into_response()
}
