//! What the function reads from its environment, once.

use store::clients::AwsSettings;
use store::settings::SettingError;
use store::tables::TableNames;
use wire::CursorKey;

/// Settings of records.
#[derive(Clone, Debug)]
pub struct Settings {
    pub aws: AwsSettings,
    pub tables: TableNames,
    /// What cursors are signed with, the same for every function of a deployment.
    pub cursor_key: CursorKey,
}

impl Settings {
    /// Reads the cursor key (see [`CursorKey::from_environment`]), the table names (see
    /// [`TableNames::from_environment`]) and what the SDK needs.
    ///
    /// # Errors
    /// When a variable is missing or cannot be read; the error names it.
    pub fn from_environment() -> Result<Self, SettingError> {
        let (aws, tables) = (AwsSettings::from_environment()?, TableNames::from_environment()?);
        Ok(Self { aws, tables, cursor_key: CursorKey::from_environment()? })
    }
}
