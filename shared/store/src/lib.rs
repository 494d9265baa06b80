//! The tables and the queue: the only crate that knows DynamoDB and SQS.
//!
//! The database is seen through rooms, each with what its callers need and no more: [`Jobs`], [`Records`], [`Usages`], [`Catalog`]
//! and [`AccessRows`]. A [`Store`] has one of each. Their methods are named after what a caller wants, not after the SDK's calls, and SDK types
//! stay in here. There is no trait over the database: tests run against a real local engine.

pub mod access;
#[cfg(test)]
mod answering;
mod attributes;
pub mod catalog;
pub mod clients;
#[cfg(test)]
mod commit_tests;
mod conditional;
mod database;
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

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::SharedHttpClient;
use domain::clock::Clock;

use crate::clients::AwsSettings;
use crate::database::Database;
pub use crate::error::StoreError;
use crate::meter::Meter;
use crate::tables::TableNames;

/// Declares a room: a part of what the database holds, with the methods that its module gives it. Cheap to clone.
macro_rules! room {
    ($(#[$what:meta])* $name:ident) => {
        $(#[$what])*
        #[derive(Clone, Debug)]
        pub struct $name {
            database: Arc<Database>,
        }

        impl $name {
            pub(crate) fn of(database: &Arc<Database>) -> Self {
                Self { database: Arc::clone(database) }
            }

            /// The clock and the randomness that everything around this database goes by.
            #[must_use]
            pub fn clock(&self) -> &Clock {
                &self.database.clock
            }
        }
    };
}

room!(
    /// Jobs, their chunks and plans, and an account's slots: see [`jobs`].
    Jobs
);
room!(
    /// Records and their links, written on condition and listed: see [`records`].
    Records
);
room!(
    /// How many records, types and jobs an account has and may have: see [`usage`].
    Usages
);
room!(
    /// Types, and what filling their indexes has come to: see [`catalog`].
    Catalog
);
room!(
    /// Accounts, users, tokens and what guards them: see [`access`].
    AccessRows
);

/// The database, as the functions see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub jobs: Jobs,
    pub records: Records,
    pub usages: Usages,
    pub catalog: Catalog,
    pub access: AccessRows,
    database: Arc<Database>,
}

impl Store {
    /// With a client of its own: what a function that is about to start has to do least for.
    #[must_use]
    pub fn open(aws: &AwsSettings, http_client: SharedHttpClient, tables: TableNames, clock: Clock) -> Self {
        let meter = Meter::default();
        let client = meter.watching(clients::dynamodb_config(aws, http_client));
        Self::over(Database { client, tables, clock, meter })
    }

    /// With the settings of a client that is there already.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "nothing but the store asks the database")]
    pub fn new(client: Client, tables: TableNames, clock: Clock) -> Self {
        let meter = Meter::default();
        Self::over(Database { client: meter.watching(client.config().to_builder()), tables, clock, meter })
    }

    fn over(database: Database) -> Self {
        let database = Arc::new(database);
        Self {
            jobs: Jobs::of(&database),
            records: Records::of(&database),
            usages: Usages::of(&database),
            catalog: Catalog::of(&database),
            access: AccessRows::of(&database),
            database,
        }
    }

    /// The same database by another way: calls of the one count with those of the other.
    #[must_use]
    pub fn through(&self, http_client: SharedHttpClient) -> Self {
        let config = self.database.client.config().to_builder().http_client(http_client).build();
        Self::over(Database { client: Client::from_conf(config), ..Database::clone(&self.database) })
    }

    /// The clock and the randomness that everything around this store goes by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.database.clock
    }

    /// What this store's calls have consumed so far.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.database.meter
    }
}
