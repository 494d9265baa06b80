//! A database for a test: DynamoDB's stand-in in this process, behind its own HTTP, with the tables in it.

use std::future::pending;

use domain::clock::Clock;
use store::Store;
use store::clients::{self, AwsSettings};
use store::tables::{self, TableNames};
use tokio::net::TcpListener;

/// A database that holds nothing but empty tables.
#[derive(Clone, Debug)]
pub struct TestDatabase {
    /// `http://ADDRESS:PORT`.
    pub endpoint: String,
    names: TableNames,
}

impl TestDatabase {
    /// Starts one whose tables have names that begin so. It ends with the runtime.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start(prefix: &str) -> Self {
        Self::start_until(prefix, pending()).await
    }

    /// As [`start`](Self::start), to be ended before its runtime: it goes when `ended` is done.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start_until(prefix: &str, ended: impl Future<Output = ()> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let engine = dynoxide::Database::memory().expect("a database in memory");
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, engine, ended));
        let names = TableNames::with_prefix(prefix);
        let client = clients::dynamodb(&AwsSettings::emulator(&endpoint), clients::http_client());
        tables::create_missing(&client, &names).await.expect("the tables");
        Self { endpoint, names }
    }

    /// A store on it, with a client of its own.
    #[must_use]
    pub fn store(&self, clock: Clock) -> Store {
        let aws = AwsSettings::emulator(&self.endpoint);
        Store::open(&aws, clients::http_client(), self.names.clone(), clock)
    }
}
