//! What the function reads from its environment, once.

use store::clients::AwsSettings;
use store::settings::SettingError;
use store::tables::TableNames;

/// Settings of sweep.
#[derive(Clone, Debug)]
pub struct Settings {
    pub aws: AwsSettings,
    pub tables: TableNames,
}

impl Settings {
    /// Reads the table names (see [`TableNames::from_environment`]) and what the SDK needs.
    ///
    /// # Errors
    /// When a variable is missing; the error names it.
    pub fn from_environment() -> Result<Self, SettingError> {
        Ok(Self { aws: AwsSettings::from_environment()?, tables: TableNames::from_environment()? })
    }
}
