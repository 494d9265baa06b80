//! The functions, put together: the one place that knows all of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use accept::Accept;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use axum::Router;
use consume::Consumer;
use domain::ambient::Ambient;
use records::Records;
use status::Status;
use store::clients::{self, AwsSettings};
use store::queue::Queue;
use store::tables::{self, TableNames};
use store::{Store, StoreError};
use wire::CursorKey;

/// What the local run's tables start with.
const TABLE_PREFIX: &str = "sundial";

/// What the functions are made of.
pub(crate) struct Parts {
    /// Where DynamoDB is served.
    pub(crate) dynamodb_url: String,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) cursor_key: [u8; 32],
    pub(crate) ambient: Ambient,
}

/// A consumer's answer, on its way.
pub(crate) type Answer = Pin<Box<dyn Future<Output = SqsBatchResponse> + Send>>;

/// Every function of the service, with its tables made.
pub(crate) struct Functions {
    pub(crate) store: Store,
    /// The bare routes of all HTTP functions.
    pub(crate) routes: Router,
    /// The consumer of the queue, which is given a batch and its deadline.
    pub(crate) consume: Arc<dyn Fn(SqsEvent, Instant) -> Answer + Send + Sync>,
}

/// Makes the tables that are missing, and the functions.
///
/// # Errors
/// When DynamoDB does not answer or refuses a table.
pub(crate) async fn assemble(parts: Parts) -> Result<Functions, StoreError> {
    let Parts { dynamodb_url, queue, cursor_key, ambient } = parts;
    let dynamodb = clients::dynamodb(&AwsSettings::emulator(&dynamodb_url), clients::http_client());
    let tables = TableNames::with_prefix(TABLE_PREFIX);
    tables::create_missing(&dynamodb, &tables).await?;
    let store = Store::new(dynamodb, tables, ambient);

    let cursors = CursorKey::new(cursor_key);
    let consumer = Consumer::new(store.clone(), Arc::clone(&queue));
    Ok(Functions {
        routes: accept::routes(Accept::new(store.clone(), queue))
            .merge(status::routes(Status::new(store.clone(), cursors.clone())))
            .merge(records::routes(Records::new(store.clone(), cursors))),
        consume: Arc::new(move |event, deadline| {
            let consumer = consumer.clone();
            Box::pin(async move { consumer.handle(event, deadline).await })
        }),
        store,
    })
}
