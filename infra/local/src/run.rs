//! The local run: everything, started in one process and stopped again.

mod opening;
mod options;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use access::{OperatorError, open_local_account};
use axum::middleware::map_request;
use domain::clock::Clock;
use store::clients::{self, Roots};
use store::queue::Queue;
use store::tables::TableNames;
use store::{Store, StoreError};
use sweep::{Report, Sweep};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use wire::Route;

use self::opening::{Dynamodb, Opened, open};
pub use self::options::{LocalOptions, QueueHome, Storage};
pub use crate::assembly::HttpClients;
use crate::assembly::{BatchFunction, Functions, Parts, SendingTo, assemble};
use crate::data_directory::{DataDirectory, DataDirectoryError};
use crate::database::{DatabaseError, LocalDatabase};
use crate::drain;
use crate::poller::{Poller, Polling, consume_from};
use crate::queue::{LocalQueue, OpenError};
use crate::server::{self, Patience};
use crate::source::sqs::{SqsOptions, SqsSource};

/// How long requests and handlers that are running may hold up the end. With the database's own time the whole stays
/// under five seconds.
const GRACE: Duration = Duration::from_millis(3_500);

/// How often overdue jobs are looked for, as the deployed schedule does it.
const SWEEP_EVERY: Duration = Duration::from_mins(5);

/// How long one sweep may take.
const SWEEP_TIME: Duration = Duration::from_mins(1);

/// The reason why the local run could not be started. Each text is one line for the person who started it.
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
    #[error("cannot make the account: {0}")]
    Account(#[from] OperatorError),
    #[error("cannot make the tables: {0}")]
    Tables(#[from] StoreError),
    #[error("cannot start: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// A running service. Stop it with [`stop`](Self::stop).
pub struct LocalRun {
    address: SocketAddr,
    clock: Clock,
    routes: Vec<Route>,
    store: Store,
    tables: TableNames,
    sender: Arc<dyn Queue>,
    /// None when SQS is used.
    queue: Option<LocalQueue>,
    dynamodb: Dynamodb,
    pollers: Pollers,
    sweep: Sweep,
    /// Dropping it ends the sweeps.
    sweeping: JoinSet<()>,
    server: JoinHandle<()>,
    /// Dropping it tells the server to stop.
    stop_serving: oneshot::Sender<()>,
    /// Held until everything is closed.
    data: Option<DataDirectory>,
}

struct Pollers {
    chunks: Poller,
    /// None when SQS is used and its dead letters are not named.
    dead_letters: Option<Poller>,
}

impl LocalRun {
    /// Starts the service; when this returns, requests are answered.
    ///
    /// # Errors
    /// When the address is taken, the data directory is in use or damaged, or the tables cannot be made.
    pub async fn start(options: LocalOptions) -> Result<Self, StartError> {
        let LocalOptions { listen, storage, endpoint_url, queue, polling, access, origins, clock, http_clients } =
            options;
        let listener = bind(&listen).await?;
        let address = listener.local_addr().map_err(|source| StartError::Listen { address: listen, source })?;

        let shared = clock.clone();
        let opening = tokio::task::spawn_blocking(move || open(&storage, endpoint_url, queue, &shared));
        let Opened { data, queue, dynamodb } = opening.await??;

        let parts = Parts {
            dynamodb_url: dynamodb.url(),
            dynamodb_clients: dynamodb.http_clients(),
            makes_type_indexes_later: matches!(dynamodb, Dynamodb::Own(_)),
            queue: queue.clone(),
            clock: clock.clone(),
            access,
            http_clients,
        };
        let Functions { store, tables, sender, access, routes, consume, bury, sweep } = assemble(parts).await?;
        open_local_account(&store).await?;

        let pollers = Pollers::start(&queue, polling, consume, bury);
        let mut sweeping = JoinSet::new();
        sweeping.spawn(sweep_for_ever(sweep.clone()));
        let table = routes.table().to_vec();
        let api = wire::with_middleware(routes, access, origins, clock.clone());
        let router = status::pages::in_front_of(api).layer(map_request(drain::to_the_end));
        let (stop_serving, stopping) = oneshot::channel::<()>();
        let stopped = async move { drop(stopping.await) };
        let server = tokio::spawn(server::serve(listener, router, Patience::default(), stopped));
        let queue = match queue {
            SendingTo::Own(queue) => Some(queue),
            SendingTo::Sqs(_) => None,
        };
        Ok(Self {
            address,
            clock,
            routes: table,
            store,
            tables,
            sender,
            queue,
            dynamodb,
            pollers,
            sweep,
            sweeping,
            server,
            stop_serving,
            data,
        })
    }

    /// The URL at which requests are answered: `http://ADDRESS:PORT`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The clock of all parts of this run.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Lists every route of the service.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// A store on the run's database, with the meter of what the functions consumed.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The names of this run's tables.
    #[must_use]
    pub fn tables(&self) -> &TableNames {
        &self.tables
    }

    /// The queue to which `accept` sends.
    #[must_use]
    pub fn sender(&self) -> &Arc<dyn Queue> {
        &self.sender
    }

    /// The queue of this run; `None` when it uses SQS.
    #[must_use]
    pub fn queue(&self) -> Option<&LocalQueue> {
        self.queue.as_ref()
    }

    /// The poller that consumes the queue; it may be paused.
    #[must_use]
    pub fn poller(&self) -> &Poller {
        &self.pollers.chunks
    }

    /// The poller that buries the dead letters, which may be paused; `None` when SQS is used and its dead-letter queue
    /// is not named.
    #[must_use]
    pub fn dead_letter_poller(&self) -> Option<&Poller> {
        self.pollers.dead_letters.as_ref()
    }

    /// Ends the jobs that are overdue now. This also happens by itself every five minutes.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sweep(&self) -> Result<Report, StoreError> {
        self.sweep.run(Instant::now() + SWEEP_TIME).await
    }

    /// The database of this run; `None` when it uses another one.
    #[must_use]
    pub fn database(&self) -> Option<&LocalDatabase> {
        match &self.dynamodb {
            Dynamodb::Own(database) => Some(database),
            Dynamodb::Elsewhere(_) => None,
        }
    }

    /// The URL at which DynamoDB is served, for an SDK client.
    #[must_use]
    pub fn dynamodb_url(&self) -> String {
        self.dynamodb.url()
    }

    /// Stops the service: takes no new requests and messages, lets the running ones finish, and closes the files, in
    /// less than five seconds. Messages that are left in the queue are handled by the next run on the same data.
    pub async fn stop(self) {
        let Self { queue, dynamodb, pollers, mut sweeping, server, stop_serving, data, .. } = self;
        drop(stop_serving);
        // A sweep takes jobs one by one: what it leaves is found by the next.
        sweeping.abort_all();
        let (served, ()) = tokio::join!(tokio::time::timeout(GRACE, server), pollers.stop());
        if served.is_err() {
            tracing::warn!("requests were still running at the end of the grace time");
        }
        if let Dynamodb::Own(database) = dynamodb {
            database.stop().await;
        }
        if let Some(queue) = queue
            && let Err(error) = queue.close().await
        {
            tracing::warn!(%error, "the queue was not closed");
        }
        drop(data);
    }
}

impl Pollers {
    fn start(queue: &SendingTo, polling: Polling, consume: BatchFunction, bury: BatchFunction) -> Self {
        let consume = move |event, deadline| consume(event, deadline);
        let bury = move |event, deadline| bury(event, deadline);
        // Dead letters are rare: one receiver is enough, and disturbs nobody.
        let dead_letter_polling = Polling { receivers: 1, ..polling };
        match queue {
            SendingTo::Own(queue) => Self {
                chunks: consume_from(queue, polling, consume),
                dead_letters: Some(consume_from(&queue.dead_letters(), dead_letter_polling, bury)),
            },
            SendingTo::Sqs(SqsOptions { aws, url, dead_letters_url }) => {
                let source = |url: &String| {
                    let client = clients::sqs(aws, clients::http_client_with(&Roots::System));
                    SqsSource::new(client, url.clone(), aws.region.clone())
                };
                let dead_letters = dead_letters_url.as_ref().map(source);
                Self {
                    chunks: consume_from(&source(url), polling, consume),
                    dead_letters: dead_letters.map(|letters| consume_from(&letters, dead_letter_polling, bury)),
                }
            }
        }
    }

    async fn stop(self) {
        let Self { chunks, dead_letters } = self;
        let dead_letters = async {
            if let Some(poller) = dead_letters {
                poller.stop(GRACE).await;
            }
        };
        tokio::join!(chunks.stop(GRACE), dead_letters);
    }
}

/// Sweeps at once, since the run may have been away for hours, and then by the wall clock.
async fn sweep_for_ever(sweep: Sweep) {
    loop {
        match sweep.run(Instant::now() + SWEEP_TIME).await {
            Ok(Report { ended: 0, left: 0, filled: 0, unfilled: 0, .. }) => {}
            Ok(Report { ended, left, filled, unfilled, .. }) => {
                tracing::info!(ended, left, filled, unfilled, "overdue jobs were swept, and indexes filled");
            }
            Err(error) => tracing::error!(%error, "overdue jobs could not be looked for"),
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

async fn bind(listen: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(listen).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => StartError::AddressInUse { address: listen.into() },
        _ => StartError::Listen { address: listen.into(), source },
    })
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
    async fn each_function_has_an_http_client_of_its_own_when_that_is_asked_for() {
        let named = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
        let names = Arc::clone(&named);
        let http_clients: HttpClients = Arc::new(move |function, client| {
            names.lock().unwrap().insert(function);
            client
        });
        let options = LocalOptions { http_clients: Some(http_clients), ..LocalOptions::in_memory() };
        LocalRun::start(options).await.unwrap().stop().await;
        let named: Vec<_> = named.lock().unwrap().iter().copied().collect();
        assert_eq!(named, ["accept", "access", "bury", "consume", "records", "status", "sweep"]);
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
        ] {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join(file), "neither a database nor a key".repeat(100)).unwrap();
            let found = refusal(in_directory(directory.path())).await;
            assert!(found.starts_with(message) && found.lines().count() == 1, "{found}");
        }
    }
}
