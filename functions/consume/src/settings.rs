//! What the function reads from its environment, once.

use store::clients::{AwsSettings, MissingVariable};
use store::tables::TableNames;

/// Settings of the consumer.
#[derive(Clone, Debug)]
pub struct Settings {
    pub aws: AwsSettings,
    pub tables: TableNames,
    /// Where chunks of a chain are sent on.
    pub queue_url: String,
}

impl Settings {
    /// Reads `QUEUE_URL`, the table names (see [`TableNames::from_environment`]) and what the SDK needs.
    ///
    /// # Errors
    /// When a variable is missing; the error names it.
    pub fn from_environment() -> Result<Self, MissingVariable> {
        Ok(Self {
            aws: AwsSettings::from_environment()?,
            tables: TableNames::from_environment()?,
            queue_url: std::env::var("QUEUE_URL").map_err(|_| MissingVariable("QUEUE_URL"))?,
        })
    }
}
