//! The local run's DynamoDB: dynoxide, in a file or in memory.
//!
//! The functions reach it within the process, in an order of its own (`turns`); in a file, no answer leaves it before
//! the disk has what the answer tells of (`log`). It is also served on a free port of the loopback interface, for the
//! operator's program alone, at an address with a secret in it: a page in a browser can call any port of its machine,
//! and could read and write everything otherwise.

mod log;
mod turns;
mod type_indexes;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use domain::clock::Clock;
use dynoxide::storage_backend::Clock as DatabaseClock;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::tables::TableNames;
use tokio::sync::oneshot;

use self::log::Log;
pub(crate) use self::turns::Asker;
use self::turns::Turns;
use self::type_indexes::TypeIndexes;

/// How often rows whose time to live has passed are deleted. DynamoDB promises days; nothing may depend on it.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// How long a request that is running may hold up the end.
const GRACE: Duration = Duration::from_millis(500);

/// One request: DynamoDB takes 16 MB.
const REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// The prefix of the names of the local run's tables.
pub(crate) const TABLE_PREFIX: &str = "sundial";

/// What DynamoDB calls its JSON.
const AMZ_JSON: &str = "application/x-amz-json-1.0";

/// The reason why the database could not be started or cleaned up.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("{0}")]
    Open(String),
    #[error("its path is not UTF-8")]
    Path,
    #[error("it cannot be served on the loopback interface: {0}")]
    Serve(#[from] std::io::Error),
    #[error("no temporary file can be made for it: {0}")]
    Temporary(#[source] std::io::Error),
}

/// The folder for files that nobody has to find again: in the system's memory where that has room for a million records, else on
/// the disk.
fn memory_folder() -> PathBuf {
    const SHARED_MEMORY: &str = "/dev/shm";
    /// A small record takes about 1.7 kB with its index entries.
    const ROOM: u64 = 2 * 1024 * 1024 * 1024;
    let has_room = rustix::fs::statvfs(SHARED_MEMORY).is_ok_and(|shared| shared.f_bavail * shared.f_frsize >= ROOM);
    if has_room { SHARED_MEMORY.into() } else { std::env::temp_dir() }
}

/// A running database. It ends with [`stop`](Self::stop), or when it is dropped.
///
/// It has its own threads: a worker of the program's runtime never waits for SQLite.
pub struct LocalDatabase {
    address: SocketAddr,
    /// The path that it is served at.
    secret: String,
    database: Database,
    turns: Arc<Turns>,
    /// Dropping it tells the server to stop.
    stop: oneshot::Sender<()>,
    /// Ends when the server has.
    ended: oneshot::Receiver<()>,
}

impl LocalDatabase {
    /// Opens the database in the file at `path`, makes it if there is none, and serves it.
    ///
    /// # Errors
    /// When the file is no database of this version, or no port is free.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let database = Self::in_file(path)?;
        Self::serve(database, Some(Log::of(path)?))
    }

    /// Serves a database in a file that has no name any more once this returns: it ends with this process, however that ends.
    ///
    /// A database in SQLite's own memory looks through all its pages with every sixth commit, and so slows down with the rows that
    /// are there: see PERFORMANCE.md. This one does not.
    ///
    /// # Errors
    /// When the file cannot be made, or no port is free.
    pub fn temporary() -> Result<Self, DatabaseError> {
        Self::unnamed_in(&memory_folder())
    }

    fn unnamed_in(parent: &Path) -> Result<Self, DatabaseError> {
        // Deletes itself and what is in it when it is dropped.
        let folder = tempfile::tempdir_in(parent).map_err(DatabaseError::Temporary)?;
        Self::serve(Self::in_file(&folder.path().join("database"))?, None)
    }

    fn in_file(path: &Path) -> Result<Database, DatabaseError> {
        let name = path.to_str().ok_or(DatabaseError::Path)?;
        let refused = |error: DynoxideError| DatabaseError::Open(error.to_string());
        let database = Database::new(name).map_err(refused)?;
        // What it is called after is one of its effects. The one that counts here is that SQLite no longer makes the disk write out
        // each commit: where it has to be, the log does, once for all that wait.
        database.disable_bulk_loading().map_err(refused)?;
        Ok(database)
    }

    /// Serves a database that ends with this process; its rows expire by `clock`.
    ///
    /// # Errors
    /// When the system has no memory or no port for it.
    pub fn in_memory(clock: Clock) -> Result<Self, DatabaseError> {
        let clock = Arc::new(EngineClock(clock));
        Self::serve(Database::memory_with_clock(clock).map_err(|error| DatabaseError::Open(error.to_string()))?, None)
    }

    fn serve(database: Database, log: Option<Log>) -> Result<Self, DatabaseError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let type_indexes = TypeIndexes::of(TableNames::with_prefix(TABLE_PREFIX).records);
        let turns = Arc::new(Turns::of(&database, log, type_indexes)?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let secret = hex::encode(Clock::system().random::<16>());
        let router = Router::new()
            .route(&format!("/{secret}/"), post(serve_one))
            .route(&format!("/{secret}"), post(serve_one))
            .layer(DefaultBodyLimit::max(REQUEST_BYTES))
            .with_state(Arc::clone(&turns));
        let (stop, stopping) = oneshot::channel();
        let (ending, ended) = oneshot::channel::<()>();
        let served = database.clone();
        std::thread::Builder::new().name("database server".into()).spawn(move || {
            let _ending = ending;
            if let Err(error) = runtime.block_on(serve(listener, router, served, stopping)) {
                tracing::error!(%error, "the database is no longer served");
            }
            runtime.shutdown_timeout(GRACE);
        })?;
        Ok(Self { address, secret, database, turns, stop, ended })
    }

    /// The URL at which the database is served, for an SDK client. Whoever has it may read and write everything.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://{}/{}", self.address, self.secret)
    }

    /// An HTTP client for SDK clients of this process: their calls reach the database without a socket.
    #[must_use]
    pub(crate) fn http_client(&self, asker: Asker) -> SharedHttpClient {
        SharedHttpClient::new(InProcess { turns: Arc::clone(&self.turns), asker })
    }

    /// Deletes the rows whose time to live has passed, and answers with their number. This also happens by itself about
    /// once a minute.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_expired(&self) -> Result<usize, DatabaseError> {
        let database = self.database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(swept) => swept.map_err(|error| DatabaseError::Open(error.to_string())),
            Err(error) => Err(DatabaseError::Open(error.to_string())),
        }
    }

    /// Lets running requests finish, for a moment, and closes the file.
    pub async fn stop(self) {
        self.turns.end();
        drop((self.stop, self.turns, self.database));
        // An error means that the thread has ended, which is what is waited for.
        let _ = self.ended.await;
    }
}

async fn serve(
    listener: TcpListener,
    router: Router,
    database: Database,
    stopping: oneshot::Receiver<()>,
) -> Result<(), std::io::Error> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (stop_serving, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let mut server = tokio::spawn(serving.into_future());
    tokio::select! {
        ended = &mut server => return ended?,
        () = sweep_for_ever(database) => {}
        _ = stopping => {}
    }
    drop(stop_serving);
    match tokio::time::timeout(GRACE, server).await {
        Ok(ended) => ended?,
        // A client that keeps a request open is left behind.
        Err(_) => Ok(()),
    }
}

async fn sweep_for_ever(database: Database) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(rows)) => tracing::debug!(rows, "expired rows were deleted"),
            Ok(Err(error)) => tracing::warn!(%error, "expired rows could not be deleted"),
            Err(error) => tracing::warn!(%error, "expired rows could not be deleted"),
        }
    }
}

/// The operator's program, which knows the path. No browser's page does, and what one sends says where it comes from.
async fn serve_one(State(turns): State<Arc<Turns>>, headers: HeaderMap, body: Bytes) -> Response {
    if headers.contains_key(ORIGIN) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let Some((status, body)) = turns.ask(Asker::Person, target.to_owned(), body).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, AMZ_JSON)], body).into_response()
}

/// DynamoDB's answer to one request: its status and its body.
fn answer(database: &Database, target: &str, body: &[u8]) -> (u16, String) {
    let operation = target.rsplit('.').next().unwrap_or_default();
    match ask(database, operation, body) {
        Ok(answer) => (200, answer),
        Err(error) => (error.status_code(), error.to_json()),
    }
}

/// Whether a request of this target may write.
fn writes(target: &str) -> bool {
    let operation = target.rsplit('.').next().unwrap_or_default();
    !matches!(operation, "BatchGetItem" | "DescribeTable" | "DescribeTimeToLive" | "GetItem" | "Query" | "Scan")
}

/// Carries out one request: `operation` is the name of an operation of DynamoDB, `body` the request's JSON. Answers
/// with the answer's JSON.
///
/// # Errors
/// What DynamoDB refuses, and each operation that this service does not use.
pub fn ask(database: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    fn run<Request: DeserializeOwned, Answer: Serialize>(
        body: &[u8],
        run: impl FnOnce(Request) -> Result<Answer, DynoxideError>,
    ) -> Result<String, DynoxideError> {
        let request = serde_json::from_slice(body);
        let request = request.map_err(|error| DynoxideError::ValidationException(error.to_string()))?;
        let answer = serde_json::to_string(&run(request)?);
        answer.map_err(|error| DynoxideError::InternalServerError(error.to_string()))
    }
    match operation {
        "BatchExecuteStatement" => run(body, |request| database.batch_execute_statement(request)),
        "BatchGetItem" => run(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => run(body, |request| database.batch_write_item(request)),
        "CreateTable" => run(body, |request| database.create_table(request)),
        "DeleteItem" => run(body, |request| database.delete_item(request)),
        "DescribeTable" => run(body, |request| database.describe_table(request)),
        "DescribeTimeToLive" => run(body, |request| database.describe_time_to_live(request)),
        "GetItem" => run(body, |request| database.get_item(request)),
        "PutItem" => run(body, |request| database.put_item(request)),
        "Query" => run(body, |request| database.query(request)),
        "Scan" => run(body, |request| database.scan(request)),
        "TransactWriteItems" => run(body, |request| database.transact_write_items(request)),
        "UpdateTable" => run(body, |request| database.update_table(request)),
        "UpdateItem" => run(body, |request| database.update_item(request)),
        "UpdateTimeToLive" => run(body, |request| database.update_time_to_live(request)),
        other => Err(DynoxideError::ValidationException(format!("{other} is not an operation of this database"))),
    }
}

/// The connector of SDK clients that call the database within the process.
#[derive(Clone)]
struct InProcess {
    turns: Arc<Turns>,
    asker: Asker,
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("InProcess")
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (turns, asker) = (Arc::clone(&self.turns), self.asker);
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let body = Bytes::copy_from_slice(request.body().bytes().unwrap_or_default());
        HttpConnectorFuture::new(async move {
            let answered = turns.ask(asker, target, body).await;
            let (status, body) = answered.ok_or_else(|| ConnectorError::io("the database has ended".into()))?;
            let status = status.try_into().map_err(|error| ConnectorError::other(Box::new(error), None))?;
            let mut response = HttpResponse::new(status, body.into());
            response.headers_mut().insert("content-type", AMZ_JSON);
            Ok(response)
        })
    }
}

/// The program's clock as dynoxide reads it.
struct EngineClock(Clock);

impl DatabaseClock for EngineClock {
    fn now_unix_secs(&self) -> u64 {
        self.0.now().as_seconds()
    }

    // Milliseconds since the epoch need 41 bits and have 52.
    #[expect(clippy::cast_precision_loss, reason = "exact until the year 144,683")]
    fn now_unix_secs_f64(&self) -> f64 {
        self.0.now().as_millis() as f64 / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use domain::account::AccountId;
    use domain::time::Timestamp;
    use domain::types::{ObjectTypeDefinition, Schema, TypeKey};
    use serde_json::{Value, json};
    use store::Store;
    use store::clients::{self, AwsSettings};

    use super::*;

    /// Calls DynamoDB without an SDK, which is not what is tested here.
    async fn call(database: &LocalDatabase, operation: &str, body: Value) -> Value {
        let answer = reqwest::Client::new()
            .post(database.endpoint_url())
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20231114T221320Z")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=x/20231114/local/dynamodb/aws4_request, SignedHeaders=host, Signature=x",
            )
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let body = answer.json().await.unwrap();
        assert!(status.is_success(), "{operation}: {status} {body}");
        body
    }

    async fn create_table(database: &LocalDatabase) {
        let table = json!({
            "TableName": "jobs",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        });
        call(database, "CreateTable", table).await;
        let time_to_live = json!({
            "TableName": "jobs",
            "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": true},
        });
        call(database, "UpdateTimeToLive", time_to_live).await;
    }

    async fn put(database: &LocalDatabase, key: &str, expires_at: u64) {
        let item = json!({"pk": {"S": key}, "expires_at": {"N": expires_at.to_string()}});
        call(database, "PutItem", json!({"TableName": "jobs", "Item": item})).await;
    }

    async fn keys(database: &LocalDatabase) -> Vec<String> {
        let rows = call(database, "Scan", json!({"TableName": "jobs"})).await;
        rows["Items"].as_array().unwrap().iter().map(|item| item["pk"]["S"].as_str().unwrap().into()).collect()
    }

    #[tokio::test]
    async fn in_memory_a_row_expires_by_the_clock_of_the_program() {
        let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000), 1);
        let database = LocalDatabase::in_memory(clock.clone()).unwrap();
        create_table(&database).await;
        put(&database, "short", 1_700_000_060).await;
        put(&database, "long", 1_700_086_400).await;
        assert_eq!(database.delete_expired().await.unwrap(), 0);
        clock.advance(61_000);
        assert_eq!(database.delete_expired().await.unwrap(), 1);
        assert_eq!(keys(&database).await, ["long"]);
        database.stop().await;
    }

    #[tokio::test]
    async fn in_a_file_rows_outlive_the_process_that_wrote_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("database.db");
        let database = LocalDatabase::open(&path).unwrap();
        create_table(&database).await;
        put(&database, "row", 4_000_000_000).await;
        let endpoint_url = database.endpoint_url();
        assert!(reqwest::get(&endpoint_url).await.is_ok(), "it is served");
        database.stop().await;
        assert!(reqwest::get(endpoint_url).await.is_err(), "it is no longer served");

        let database = LocalDatabase::open(&path).unwrap();
        assert_eq!(keys(&database).await, ["row"]);
    }

    #[tokio::test]
    async fn an_idle_connection_does_not_hold_up_the_end() {
        let database = LocalDatabase::in_memory(Clock::system()).unwrap();
        let _idle = tokio::net::TcpStream::connect(database.address).await.unwrap();
        tokio::time::timeout(GRACE * 4, database.stop()).await.expect("it stops in time");
    }

    #[tokio::test]
    async fn a_temporary_database_has_no_file_that_anybody_finds() {
        let parent = tempfile::tempdir().unwrap();
        let database = LocalDatabase::unnamed_in(parent.path()).unwrap();
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
        create_table(&database).await;
        database.stop().await;
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
        assert!(matches!(LocalDatabase::unnamed_in(&parent.path().join("nowhere")), Err(DatabaseError::Temporary(_))));
    }

    /// A page of any site can send all of these to a port of the machine that it is shown on.
    #[tokio::test]
    async fn nobody_gets_in_without_the_secret_of_its_address_and_no_page_at_all() {
        let database = LocalDatabase::in_memory(Clock::system()).unwrap();
        create_table(&database).await;
        let root = format!("http://{}", database.address);
        let scan = async |method: &str, url: &str, origin: Option<&str>| {
            let mut request = reqwest::Client::new()
                .request(method.parse().unwrap(), url)
                .header("x-amz-target", "DynamoDB_20120810.Scan")
                .body(json!({"TableName": "jobs"}).to_string());
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let answer = request.send().await.unwrap();
            let names = answer.headers().keys().map(|name| name.as_str().to_owned()).collect::<Vec<_>>();
            assert!(!names.iter().any(|name| name.starts_with("access-control")), "{names:?}");
            let status = answer.status().as_u16();
            assert!(status == 200 || answer.bytes().await.unwrap().is_empty(), "{method} {url}");
            status
        };
        let secret = database.endpoint_url();
        assert_eq!(scan("POST", &secret, None).await, 200);
        assert_eq!(scan("POST", &format!("{secret}/"), None).await, 200, "as the SDK sends it");
        assert_eq!(scan("POST", &secret, Some("http://localhost:3000")).await, 403);
        for method in ["OPTIONS", "GET", "POST"] {
            for url in [&root, &format!("{root}/"), &format!("{root}/{}", "0".repeat(32))] {
                assert_eq!(scan(method, url, None).await, 404, "{method} {url}");
            }
        }
        assert_eq!(scan("OPTIONS", &secret, Some("http://localhost:3000")).await, 405);
        database.stop().await;
    }

    #[test]
    fn what_is_no_database_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("database.db");
        std::fs::write(&path, "not a database, but long enough to be taken for one".repeat(40)).unwrap();
        let Err(error) = LocalDatabase::open(&path) else { panic!("it was opened") };
        assert!(error.to_string().contains("not a valid SQLite database"), "{error}");
    }

    async fn indexes(database: &LocalDatabase) -> Vec<String> {
        let described = call(database, "DescribeTable", json!({"TableName": "sundial-records"})).await;
        let indexes = described["Table"]["GlobalSecondaryIndexes"].as_array().unwrap();
        indexes.iter().map(|index| index["IndexName"].as_str().unwrap().to_owned()).collect()
    }

    fn settings(database: &LocalDatabase) -> (AwsSettings, TableNames) {
        (AwsSettings::emulator(&database.endpoint_url()), TableNames::with_prefix(TABLE_PREFIX))
    }

    /// Each is made with the first type that asks for it, however it comes to ask.
    #[tokio::test]
    async fn indexes_that_nobody_asks_for_are_not_there() {
        let acme = AccountId::parse("acme").unwrap();
        let schema = |indexed: Value| {
            let property = json!({"type": "string"});
            let schema = json!({"properties": {"name": property, "x_indexes": property}, "x-indexed": indexed});
            Schema::parse(&schema).unwrap()
        };
        let database = LocalDatabase::in_memory(Clock::system()).unwrap();
        let (aws, tables) = settings(&database);
        let client = clients::dynamodb(&aws, database.http_client(Asker::Person));
        store::tables::create_missing_but_type_indexes(&client, &tables).await.unwrap();
        let store = Store::new(client, tables, Clock::system());
        let now = store.clock().now();
        let key = |text: &str| TypeKey::parse(text).unwrap();
        let define = async |name: &str, indexed: Value| {
            let defined = ObjectTypeDefinition::new(key(name), &schema(indexed), now);
            store.catalog.define_object_type(&acme, &defined).await.unwrap();
        };
        let replace = async |name: &str, indexed: Value| {
            store.catalog.replace_schema(&acme, &key(name), &schema(indexed), now).await.unwrap();
        };
        define("plain", json!([])).await;
        replace("plain", json!([])).await;
        let none = vec!["by_type", "by_source", "by_target"];
        assert_eq!(indexes(&database).await, none);
        replace("plain", json!(["_updated_at"])).await;
        assert_eq!(indexes(&database).await, [&none[..], &["by_update"]].concat());
        define("indexed", json!(["name", "x_indexes"])).await;
        let three = [&none[..], &["by_update", "by_x1", "by_x2"]].concat();
        assert_eq!(indexes(&database).await, three);
        define("another", json!(["x_indexes", "_updated_at"])).await;
        assert_eq!(indexes(&database).await, three);
        database.stop().await;
    }

    /// Tables that an earlier release made are given what this one needs.
    #[tokio::test]
    async fn tables_of_before_are_given_the_indexes_of_today() {
        let database = LocalDatabase::in_memory(Clock::system()).unwrap();
        let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
        let of_before = json!({
            "TableName": "sundial-records",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [attribute("pk"), attribute("type_shard"), attribute("listed_at")],
            "GlobalSecondaryIndexes": [{
                "IndexName": "by_type",
                "KeySchema": [
                    {"AttributeName": "type_shard", "KeyType": "HASH"}, {"AttributeName": "listed_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }],
        });
        call(&database, "CreateTable", of_before).await;
        let (aws, tables) = settings(&database);
        let client = clients::dynamodb(&aws, database.http_client(Asker::Person));
        store::tables::create_missing_but_type_indexes(&client, &tables).await.unwrap();
        assert_eq!(indexes(&database).await.len(), 3);
        store::tables::create_missing(&client, &tables).await.unwrap();
        assert_eq!(indexes(&database).await.len(), 9);
        database.stop().await;
    }
}
