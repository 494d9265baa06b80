//! The tables and the queue: the only crate that knows DynamoDB and SQS.
//!
//! Methods of [`Store`] are named after what a caller wants, not after the SDK's calls, and SDK types stay in here.
//! There is no trait over the database: tests run against a real local engine.

pub mod access;
#[cfg(test)]
mod answering;
mod attributes;
pub mod catalog;
pub mod clients;
#[cfg(test)]
mod commit_tests;
mod conditional;
pub mod error;
pub mod filling;
mod footprints;
pub mod jobs;
pub mod keys;
#[cfg(test)]
mod lists_tests;
pub mod meter;
pub mod once;
pub mod page;
pub mod queue;
mod reading;
pub mod records;
pub mod retry;
pub mod rows;
pub mod settings;
pub mod sqs;
mod statements;
pub mod sweep;
pub mod tables;
mod transaction;
pub mod types;
pub mod usage;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::SharedHttpClient;
use domain::clock::Clock;

use crate::clients::AwsSettings;
pub use crate::error::StoreError;
use crate::meter::Meter;
use crate::tables::TableNames;

/// The database, as the functions see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    tables: TableNames,
    clock: Clock,
    meter: Meter,
}

impl Store {
    /// With a client of its own: what a function that is about to start has to do least for.
    #[must_use]
    pub fn open(aws: &AwsSettings, http_client: SharedHttpClient, tables: TableNames, clock: Clock) -> Self {
        let meter = Meter::default();
        let client = meter.watching(clients::dynamodb_config(aws, http_client));
        Self { client, tables, clock, meter }
    }

    /// With the settings of a client that is there already.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "nothing but the store asks the database")]
    pub fn new(client: Client, tables: TableNames, clock: Clock) -> Self {
        let meter = Meter::default();
        Self { client: meter.watching(client.config().to_builder()), tables, clock, meter }
    }

    /// The same database by another way: calls of the one count with those of the other.
    #[must_use]
    pub fn through(&self, http_client: SharedHttpClient) -> Self {
        let config = self.client.config().to_builder().http_client(http_client).build();
        Self { client: Client::from_conf(config), ..self.clone() }
    }

    /// The clock and the randomness that everything around this store goes by.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What this store's calls have consumed so far.
    #[must_use]
    pub const fn meter(&self) -> &Meter {
        &self.meter
    }
}
