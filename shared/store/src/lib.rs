//! The store: reads and writes of the tables, and sending to the queue. The only crate that knows DynamoDB and SQS.
//!
//! It has a part for each subject, with the methods that its callers need and no more: [`Jobs`], [`Records`],
//! [`Usages`], [`Catalog`] and [`AccessRows`]. A [`Store`] has one of each. Methods are named after what a caller
//! wants, not after the SDK's calls, and SDK types stay in here. There is no trait over the database: tests run against
//! a real local engine.

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
use crate::jobs::ends::Ends;
use crate::meter::Meter;
use crate::tables::TableNames;

/// Declares a part of the store, with the methods that its module gives it. Cheap to clone.
macro_rules! part {
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

            /// The clock and the source of randomness that this store uses.
            #[must_use]
            pub fn clock(&self) -> &Clock {
                &self.database.clock
            }
        }
    };
}

part!(
    /// Jobs, their chunks and plans, and an account's slots: see [`jobs`].
    Jobs
);
part!(
    /// Object records and relationship records: conditional writes, reads and lists: see [`records`].
    Records
);
part!(
    /// Numbers of records, types and jobs that an account has and may have: see [`usage`].
    Usages
);
part!(
    /// Definitions of types, and the progress of filling their indexes: see [`catalog`].
    Catalog
);
part!(
    /// Accounts, users and tokens, with counts of failed passwords and of granted requests: see [`access`].
    AccessRows
);

/// A client of the database, with all its parts. Cheap to clone.
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
    /// Opens a store with an SDK client of its own, configured by `aws` alone, which keeps the start of a function
    /// short.
    #[must_use]
    pub fn open(aws: &AwsSettings, http_client: SharedHttpClient, tables: TableNames, clock: Clock) -> Self {
        let meter = Meter::default();
        let client = meter.watching(clients::dynamodb_config(aws, http_client));
        Self::over(Database { client, tables, clock, meter, ends: Ends::default() })
    }

    /// Makes a store with the configuration of an existing client.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "nothing but the store asks the database")]
    pub fn new(client: Client, tables: TableNames, clock: Clock) -> Self {
        let meter = Meter::default();
        let client = meter.watching(client.config().to_builder());
        Self::over(Database { client, tables, clock, meter, ends: Ends::default() })
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

    /// Makes a store for the same database over another HTTP client; both count their calls in one [`Meter`], and each hears of the jobs
    /// that the other ends.
    #[must_use]
    pub fn through(&self, http_client: SharedHttpClient) -> Self {
        let config = self.database.client.config().to_builder().http_client(http_client).build();
        Self::over(Database { client: Client::from_conf(config), ..Database::clone(&self.database) })
    }

    /// The clock and the source of randomness that this store uses.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.database.clock
    }

    /// Counts what this store's calls have consumed so far.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.database.meter
    }
}
