//! The local run's DynamoDB: dynoxide, in a file or in memory, on a free port of the loopback interface.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::ambient::Ambient;
use dynoxide::Database;
use dynoxide::storage_backend::Clock;
use tokio::sync::oneshot;

/// How often rows whose time to live has passed are deleted. DynamoDB promises days; nothing may depend on it.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// SQLite lets one request in at a time; the second thread reads and writes JSON meanwhile.
const THREADS: usize = 2;

/// How long a request that is running may hold up the end.
const GRACE: Duration = Duration::from_millis(500);

/// The database could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("{0}")]
    Open(String),
    #[error("its path is not UTF-8")]
    Path,
    #[error("it cannot be served on the loopback interface: {0}")]
    Serve(#[from] std::io::Error),
}

/// A running database. It ends with [`stop`](Self::stop), or when it is dropped.
///
/// It has its own threads: a worker of the program's runtime never waits for SQLite.
pub struct LocalDatabase {
    address: SocketAddr,
    database: Database,
    /// Dropping it tells the server to stop.
    stop: oneshot::Sender<()>,
    /// Ends when the server has.
    ended: oneshot::Receiver<()>,
}

impl LocalDatabase {
    /// Opens the file at `path`, which is made when it is not there, and serves it.
    ///
    /// # Errors
    /// When the file is no database of this version, or no port is free.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let path = path.to_str().ok_or(DatabaseError::Path)?;
        Self::serve(Database::new(path).map_err(|error| DatabaseError::Open(error.to_string()))?)
    }

    /// Serves a database that ends with this process, and whose rows expire by the clock of `ambient`.
    ///
    /// # Errors
    /// When the system has no memory or no port for it.
    pub fn in_memory(ambient: Ambient) -> Result<Self, DatabaseError> {
        let clock = Arc::new(AmbientClock(ambient));
        Self::serve(Database::memory_with_clock(clock).map_err(|error| DatabaseError::Open(error.to_string()))?)
    }

    fn serve(database: Database) -> Result<Self, DatabaseError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("database")
            .enable_all()
            .build()?;
        let (stop, stopping) = oneshot::channel();
        let (ending, ended) = oneshot::channel::<()>();
        let served = database.clone();
        std::thread::Builder::new().name("database".into()).spawn(move || {
            let _ending = ending;
            if let Err(error) = runtime.block_on(serve(listener, served, stopping)) {
                tracing::error!(error, "the database is no longer served");
            }
            runtime.shutdown_timeout(GRACE);
        })?;
        Ok(Self { address, database, stop, ended })
    }

    /// Where it is served, as the SDK wants it.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Deletes the rows whose time to live has passed, and says how many that were. Happens by itself about once a
    /// minute.
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

    /// Lets running requests finish, briefly, and closes the file.
    pub async fn stop(self) {
        drop((self.stop, self.database));
        // An error means that the thread has ended, which is what is waited for.
        let _ = self.ended.await;
    }
}

async fn serve(listener: TcpListener, database: Database, stopping: oneshot::Receiver<()>) -> Result<(), String> {
    let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| error.to_string())?;
    let (stop_serving, stopped) = oneshot::channel::<()>();
    let mut server = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database.clone(), async {
        let _ = stopped.await;
    }));
    tokio::select! {
        ended = &mut server => return ended.map_err(|error| error.to_string())?,
        () = sweep_for_ever(database) => {}
        _ = stopping => {}
    }
    drop(stop_serving);
    match tokio::time::timeout(GRACE, server).await {
        Ok(ended) => ended.map_err(|error| error.to_string())?,
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

/// The program's clock as dynoxide reads it.
struct AmbientClock(Ambient);

impl Clock for AmbientClock {
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
    use domain::time::Timestamp;
    use serde_json::{Value, json};

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
        let ambient = Ambient::manual(Timestamp::from_seconds(1_700_000_000), 1);
        let database = LocalDatabase::in_memory(ambient.clone()).unwrap();
        create_table(&database).await;
        put(&database, "short", 1_700_000_060).await;
        put(&database, "long", 1_700_086_400).await;
        assert_eq!(database.delete_expired().await.unwrap(), 0);
        ambient.advance(61_000);
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
        database.stop().await;
        assert!(reqwest::get(endpoint_url).await.is_err(), "it is no longer served");

        let database = LocalDatabase::open(&path).unwrap();
        assert_eq!(keys(&database).await, ["row"]);
    }

    #[tokio::test]
    async fn an_idle_connection_does_not_hold_up_the_end() {
        let database = LocalDatabase::in_memory(Ambient::system()).unwrap();
        let _idle = tokio::net::TcpStream::connect(database.address).await.unwrap();
        tokio::time::timeout(GRACE * 4, database.stop()).await.expect("it stops in time");
    }

    #[test]
    fn what_is_no_database_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("database.db");
        std::fs::write(&path, "not a database, but long enough to be taken for one".repeat(40)).unwrap();
        let Err(error) = LocalDatabase::open(&path) else { panic!("it was opened") };
        assert!(error.to_string().contains("not a valid SQLite database"), "{error}");
    }
}
