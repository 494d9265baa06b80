//! Everything, started in one process and stopped again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::middleware::map_request;
use axum::serve::ListenerExt;
use domain::ambient::Ambient;
use store::{Store, StoreError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wire::Directory;

use crate::assembly::{Functions, Parts, assemble};
use crate::data_directory::{DataDirectory, DataDirectoryError};
use crate::database::{DatabaseError, LocalDatabase};
use crate::drain;
use crate::poller::{Poller, Polling, consume_from};
use crate::queue::{LocalQueue, OpenError, QueueOptions};

/// How long requests and handlers that are running may hold up the end. With the database's own time the whole stays
/// under five seconds.
const GRACE: Duration = Duration::from_millis(3_500);

/// What a local run is started with.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// `ADDRESS:PORT`; port 0 picks a free one.
    pub listen: String,
    pub storage: Storage,
    /// Where another DynamoDB is served, to be used instead of the local one.
    pub endpoint_url: Option<String>,
    pub queue: QueueOptions,
    pub polling: Polling,
    /// Who may call.
    pub directory: Directory,
    pub ambient: Ambient,
}

/// Where everything is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Storage {
    /// In this process, and gone with it.
    Memory,
    /// In files of this directory, which no other process may use meanwhile.
    Directory(PathBuf),
}

impl LocalOptions {
    /// In memory, on a free port, with the local account.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            listen: "127.0.0.1:0".into(),
            storage: Storage::Memory,
            endpoint_url: None,
            queue: QueueOptions::default(),
            polling: Polling::default(),
            directory: Directory::local(),
            ambient: Ambient::system(),
        }
    }
}

/// The local run could not be started. Each reads as one line for the person who started it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{address} is already in use; choose another address with --listen")]
    AddressInUse { address: String },
    #[error("cannot listen on {address}: {source}")]
    Listen { address: String, source: std::io::Error },
    #[error("cannot use the data directory: {0}")]
    Data(#[from] DataDirectoryError),
    #[error("cannot open the queue: {0}")]
    Queue(#[from] OpenError),
    #[error("cannot open the database: {0}")]
    Database(#[from] DatabaseError),
    #[error("cannot make the tables: {0}")]
    Tables(#[from] StoreError),
    #[error("cannot start: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// The whole service, running. Stop it with [`stop`](Self::stop).
pub struct LocalRun {
    address: SocketAddr,
    ambient: Ambient,
    directory: Directory,
    store: Store,
    queue: LocalQueue,
    dynamodb: Dynamodb,
    poller: Poller,
    server: JoinHandle<()>,
    /// Dropping it tells the server to stop.
    stop_serving: oneshot::Sender<()>,
    /// Held until everything is closed.
    data: Option<DataDirectory>,
}

/// What is opened before the functions can start.
struct Opened {
    data: Option<DataDirectory>,
    cursor_key: [u8; 32],
    queue: LocalQueue,
    dynamodb: Dynamodb,
}

enum Dynamodb {
    Own(LocalDatabase),
    Elsewhere(String),
}

impl Dynamodb {
    fn url(&self) -> String {
        match self {
            Self::Own(database) => database.endpoint_url(),
            Self::Elsewhere(url) => url.clone(),
        }
    }
}

impl LocalRun {
    /// Starts everything; when it returns, requests are answered.
    ///
    /// # Errors
    /// When the address is taken, the data directory is in use or damaged, or the tables cannot be made.
    pub async fn start(options: LocalOptions) -> Result<Self, StartError> {
        let LocalOptions { listen, storage, endpoint_url, queue, polling, directory, ambient } = options;
        let listener = bind(&listen).await?;
        let address = listener.local_addr().map_err(|source| StartError::Listen { address: listen, source })?;

        let clock = ambient.clone();
        let opening = tokio::task::spawn_blocking(move || open(&storage, endpoint_url, queue, &clock));
        let Opened { data, cursor_key, queue, dynamodb } = opening.await??;

        let parts = Parts {
            dynamodb_url: dynamodb.url(),
            queue: Arc::new(queue.clone()),
            cursor_key,
            ambient: ambient.clone(),
        };
        let Functions { store, routes, consume } = assemble(parts).await?;

        let poller = consume_from(&queue, polling, move |event, deadline| consume(event, deadline));
        let routes =
            wire::conventions(routes, directory.clone(), ambient.clone()).layer(map_request(drain::to_the_end));
        let (stop_serving, stopping) = oneshot::channel::<()>();
        // Small answers would otherwise wait for the client's acknowledgement of the one before.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let server = tokio::spawn(async move {
            let stopped = async move { drop(stopping.await) };
            if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "requests are no longer answered");
            }
        });
        Ok(Self { address, ambient, directory, store, queue, dynamodb, poller, server, stop_serving, data })
    }

    /// Where requests are answered: `http://ADDRESS:PORT`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The clock of everything that runs here.
    #[must_use]
    pub fn ambient(&self) -> &Ambient {
        &self.ambient
    }

    /// Who may call; users may be added while it runs.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The database as the functions see it, with the meter of what they consumed.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    #[must_use]
    pub fn queue(&self) -> &LocalQueue {
        &self.queue
    }

    /// What consumes the queue; it may be paused.
    #[must_use]
    pub fn poller(&self) -> &Poller {
        &self.poller
    }

    /// The database of this run; none when it uses another one.
    #[must_use]
    pub fn database(&self) -> Option<&LocalDatabase> {
        match &self.dynamodb {
            Dynamodb::Own(database) => Some(database),
            Dynamodb::Elsewhere(_) => None,
        }
    }

    /// Where DynamoDB is served, as the SDK wants it.
    #[must_use]
    pub fn dynamodb_url(&self) -> String {
        self.dynamodb.url()
    }

    /// Takes no new requests and messages, lets the running ones finish, and closes the files: in less than five seconds.
    /// What is left in the queue is handled by the next run on the same data.
    pub async fn stop(self) {
        let Self { queue, dynamodb, poller, server, stop_serving, data, .. } = self;
        drop(stop_serving);
        let (served, ()) = tokio::join!(tokio::time::timeout(GRACE, server), poller.stop(GRACE));
        if served.is_err() {
            tracing::warn!("requests were still running at the end of the grace time");
        }
        if let Dynamodb::Own(database) = dynamodb {
            database.stop().await;
        }
        if let Err(error) = queue.close().await {
            tracing::warn!(%error, "the queue was not closed");
        }
        drop(data);
    }
}

async fn bind(listen: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(listen).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => StartError::AddressInUse { address: listen.into() },
        _ => StartError::Listen { address: listen.into(), source },
    })
}

fn open(
    storage: &Storage,
    endpoint_url: Option<String>,
    options: QueueOptions,
    ambient: &Ambient,
) -> Result<Opened, StartError> {
    let elsewhere = endpoint_url.map(Dynamodb::Elsewhere).ok_or(());
    match storage {
        Storage::Memory => Ok(Opened {
            data: None,
            cursor_key: ambient.random(),
            queue: LocalQueue::in_memory(options, ambient.clone())?,
            dynamodb: elsewhere.or_else(|()| LocalDatabase::in_memory(ambient.clone()).map(Dynamodb::Own))?,
        }),
        Storage::Directory(path) => {
            let data = DataDirectory::lock(path)?;
            Ok(Opened {
                cursor_key: data.cursor_key(ambient)?,
                queue: LocalQueue::open(&data.queue(), options, ambient.clone())?,
                dynamodb: elsewhere.or_else(|()| LocalDatabase::open(&data.database()).map(Dynamodb::Own))?,
                data: Some(data),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_directory(path: &std::path::Path) -> LocalOptions {
        LocalOptions { storage: Storage::Directory(path.into()), ..LocalOptions::in_memory() }
    }

    async fn refusal(options: LocalOptions) -> String {
        match LocalRun::start(options).await {
            Ok(_) => panic!("it started"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn it_answers_until_it_is_stopped() {
        let run = LocalRun::start(LocalOptions::in_memory()).await.unwrap();
        let url = format!("{}/api/sunshine/jobs", run.base_url());
        assert_eq!(reqwest::get(&url).await.unwrap().status(), 401);
        run.stop().await;
        assert!(reqwest::get(&url).await.is_err());
    }

    #[tokio::test]
    async fn a_taken_address_and_a_bad_one_are_named() {
        let run = LocalRun::start(LocalOptions::in_memory()).await.unwrap();
        let taken = run.address.to_string();
        let message = refusal(LocalOptions { listen: taken.clone(), ..LocalOptions::in_memory() }).await;
        assert_eq!(message, format!("{taken} is already in use; choose another address with --listen"));
        let message = refusal(LocalOptions { listen: "nowhere".into(), ..LocalOptions::in_memory() }).await;
        assert!(message.starts_with("cannot listen on nowhere: "), "{message}");
        run.stop().await;
    }

    #[tokio::test]
    async fn one_run_at_a_time_uses_a_data_directory_and_the_next_may_start_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let run = LocalRun::start(in_directory(directory.path())).await.unwrap();
        let message = refusal(in_directory(directory.path())).await;
        assert!(message.ends_with("is in use by another sundial-local"), "{message}");
        run.stop().await;
        LocalRun::start(in_directory(directory.path())).await.unwrap().stop().await;
    }

    #[tokio::test]
    async fn damaged_files_are_a_message_and_not_a_panic() {
        for (file, message) in [
            ("queue.db", "cannot open the queue: file is not a database"),
            ("database.db", "cannot open the database: "),
            ("cursor.key", "cannot use the data directory: "),
        ] {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join(file), "neither a database nor a key".repeat(100)).unwrap();
            let found = refusal(in_directory(directory.path())).await;
            assert!(found.starts_with(message) && found.lines().count() == 1, "{found}");
        }
    }
}
