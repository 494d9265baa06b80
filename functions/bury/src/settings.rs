//! What the function reads from its environment, once.

use store::clients::AwsSettings;
use store::settings::{SettingError, required};
use store::tables::TableNames;

/// Settings of bury.
#[derive(Clone, Debug)]
pub struct Settings {
    pub aws: AwsSettings,
    pub tables: TableNames,
    /// Where the chunks of a chain are sent on.
    pub queue_url: String,
}

impl Settings {
    /// Reads `QUEUE_URL`, the table names (see [`TableNames::from_environment`]) and what the SDK needs.
    ///
    /// # Errors
    /// When a variable is missing; the error names it.
    pub fn from_environment() -> Result<Self, SettingError> {
        let (aws, tables) = (AwsSettings::from_environment()?, TableNames::from_environment()?);
        Ok(Self { aws, tables, queue_url: required("QUEUE_URL")? })
    }
}
