//! What a function calls: a database and a queue.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use database::TestDatabase;
use domain::account::{AccountId, Role};
use domain::clock::Clock;
use domain::job::JobId;
use serde_json::{Value, json};
use store::Store;
use store::tables::TableNames;
use tokio::net::TcpListener;

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
        let database = TestDatabase::start(TABLES).await;
        let store = database.store(Clock::system());
        let database = database.endpoint;
        let sent = Sent::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let queue = format!("http://{}", listener.local_addr()?);
        let routes = Router::new().fallback(take_messages).layer(DefaultBodyLimit::disable()).with_state(sent.clone());
        tokio::spawn(axum::serve(listener, routes).into_future());
        Ok(Self { programs, database, queue, store, sent })
    }

    /// An agent of an account.
    pub async fn caller(&self, account: &str) -> Result<Caller, Failure> {
        let account = account_id(account)?;
        let token = tests::token_of(&self.store, &account, Role::Agent).await;
        Ok(Caller::new(&token))
    }

    /// How many items of a job have succeeded.
    pub async fn succeeded(&self, account: &str, id: &str) -> Result<u64, Failure> {
        let id = JobId::parse(id).ok_or("no job id")?;
        let job = self.store.jobs.find_job(id.of(&account_id(account)?), self.store.clock().now()).await?;
        Ok(job.ok_or("no such job")?.succeeded.into())
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

fn account_id(account: &str) -> Result<AccountId, Failure> {
    AccountId::parse(account).map_err(|_| "no account id".into())
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
