//! Assembly of all functions in one process: the one place that knows them all.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use accept::Accept;
use access::Access;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use aws_sdk_sqs::config::SharedHttpClient;
use bury::Bury;
use consume::Consumer;
use domain::clock::Clock;
use records::Records;
use status::Status;
use store::clients::{self, AwsSettings, Roots};
use store::queue::Queue;
use store::sqs::SqsQueue;
use store::tables::{self, TableNames};
use store::{Store, StoreError};
use sweep::Sweep;
use wire::Routes;

use crate::database::TABLE_PREFIX;
use crate::queue::LocalQueue;
use crate::source::sqs::SqsOptions;

/// Makes the HTTP client beneath a function's SDK clients, by the function's name: the client that it is handed, or one
/// wrapped around it.
pub type HttpClients = Arc<dyn Fn(&'static str, SharedHttpClient) -> SharedHttpClient + Send + Sync>;

/// The queue that chunks are sent to.
#[derive(Clone, Debug)]
pub(crate) enum SendingTo {
    Own(LocalQueue),
    Sqs(SqsOptions),
}

/// HTTP clients for the database: requests of persons may go before those of background work.
#[derive(Clone)]
pub(crate) struct DynamodbClients {
    /// For the functions that answer requests.
    pub(crate) answering: SharedHttpClient,
    /// For the functions that consume a queue, and for `sweep`.
    pub(crate) working: SharedHttpClient,
}

/// The things that the functions are made of.
pub(crate) struct Parts {
    /// The URL at which DynamoDB is served.
    pub(crate) dynamodb_url: String,
    /// The HTTP clients by which the database is reached.
    pub(crate) dynamodb_clients: DynamodbClients,
    /// Whether the database makes the indexes that types ask for when the first type does.
    pub(crate) makes_type_indexes_later: bool,
    pub(crate) queue: SendingTo,
    pub(crate) clock: Clock,
    pub(crate) access: access::Settings,
    /// Makes an HTTP client for each function; without it all share one client of each service.
    pub(crate) http_clients: Option<HttpClients>,
}

/// The future of a consumer's answer.
pub(crate) type Answer = Pin<Box<dyn Future<Output = SqsBatchResponse> + Send>>;

/// A function that consumes a queue: it takes a batch and its deadline.
pub(crate) type BatchFunction = Arc<dyn Fn(SqsEvent, Instant) -> Answer + Send + Sync>;

/// All functions of the service, over existing tables.
pub(crate) struct Functions {
    /// The database, for callers that are none of the functions.
    pub(crate) store: Store,
    pub(crate) tables: TableNames,
    /// The queue that `accept` sends to.
    pub(crate) sender: Arc<dyn Queue>,
    /// Authentication in front of all routes; deployed, each HTTP function has its own.
    pub(crate) access: Access,
    /// The routes of all HTTP functions.
    pub(crate) routes: Routes,
    /// The function that consumes the queue.
    pub(crate) consume: BatchFunction,
    /// The function that consumes the dead letters.
    pub(crate) bury: BatchFunction,
    pub(crate) sweep: Sweep,
}

/// Makes the tables that are missing, and the functions.
///
/// # Errors
/// When DynamoDB does not answer or refuses a table.
pub(crate) async fn assemble(parts: Parts) -> Result<Functions, StoreError> {
    let aws = AwsSettings::emulator(&parts.dynamodb_url);
    let tables = TableNames::with_prefix(TABLE_PREFIX);
    let dynamodb = clients::dynamodb(&aws, parts.dynamodb_clients.answering.clone());
    if parts.makes_type_indexes_later {
        tables::create_missing_but_type_indexes(&dynamodb, &tables).await?;
    } else {
        tables::create_missing(&dynamodb, &tables).await?;
    }
    let store = Store::new(dynamodb, tables.clone(), parts.clock.clone());
    let wiring = Wiring { parts, aws, tables, store, sqs_client: OnceLock::new() };

    let sender = wiring.queue("accept");
    let consumer = Consumer::new(wiring.working_store("consume"), wiring.queue("consume"));
    let bury = Bury::new(wiring.working_store("bury"), wiring.queue("bury"));
    Ok(Functions {
        routes: accept::routes(Accept::new(wiring.store("accept"), Arc::clone(&sender)))
            .merge(status::routes(Status::new(wiring.store("status"))))
            .merge(records::routes(Records::new(wiring.store("records")).with_exact_indexes())),
        consume: Arc::new(move |event, deadline| {
            let consumer = consumer.clone();
            Box::pin(async move { consumer.handle_apart(event, deadline).await })
        }),
        bury: Arc::new(move |event, deadline| {
            let bury = bury.clone();
            Box::pin(async move { bury.handle(event, deadline).await })
        }),
        access: Access::new(
            wiring.own_store("access", &wiring.parts.dynamodb_clients.answering),
            wiring.parts.access.clone(),
        ),
        sweep: Sweep::new(wiring.working_store("sweep")),
        sender,
        store: wiring.store,
        tables: wiring.tables,
    })
}

/// What gives each function its clients.
struct Wiring {
    parts: Parts,
    aws: AwsSettings,
    tables: TableNames,
    /// Shared by every function, unless each has an HTTP client of its own.
    store: Store,
    /// Made at the first use: it reads the system's roots, for which nobody without SQS has a use.
    sqs_client: OnceLock<SharedHttpClient>,
}

impl Wiring {
    /// The function's own client around `shared`, where each has one.
    fn http_client(&self, function: &'static str, shared: SharedHttpClient) -> SharedHttpClient {
        self.parts.http_clients.as_ref().map_or(shared.clone(), |wrap| wrap(function, shared))
    }

    fn store(&self, function: &'static str) -> Store {
        if self.parts.http_clients.is_none() {
            return self.store.clone();
        }
        self.own_store(function, &self.parts.dynamodb_clients.answering)
    }

    /// The same of a function that nobody waits for.
    fn working_store(&self, function: &'static str) -> Store {
        let client = &self.parts.dynamodb_clients.working;
        if self.parts.http_clients.is_none() {
            return self.store.through(client.clone());
        }
        self.own_store(function, client)
    }

    /// One whose meter nobody else counts on.
    fn own_store(&self, function: &'static str, client: &SharedHttpClient) -> Store {
        let dynamodb = clients::dynamodb(&self.aws, self.http_client(function, client.clone()));
        Store::new(dynamodb, self.tables.clone(), self.parts.clock.clone())
    }

    fn queue(&self, function: &'static str) -> Arc<dyn Queue> {
        match &self.parts.queue {
            SendingTo::Own(queue) => Arc::new(queue.clone()),
            SendingTo::Sqs(options) => {
                let shared = self.sqs_client.get_or_init(|| clients::http_client_with(&Roots::System));
                let client = clients::sqs(&options.aws, self.http_client(function, shared.clone()));
                Arc::new(SqsQueue::new(client, options.url.clone()))
            }
        }
    }
}
