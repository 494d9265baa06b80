//! What the function reads from its environment, once.

use store::clients::{AwsSettings, MissingVariable};
use store::tables::TableNames;
use wire::CursorKey;

/// Settings of status.
#[derive(Clone)]
pub struct Settings {
    pub aws: AwsSettings,
    pub tables: TableNames,
    /// What cursors are signed with, the same for every function of a deployment.
    pub cursor_key: CursorKey,
}

/// A variable is missing or cannot be read. Names the variable, never its value.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error(transparent)]
    Missing(#[from] MissingVariable),
    #[error("the environment variable CURSOR_KEY is not 32 bytes in base64")]
    CursorKey,
}

impl Settings {
    /// Reads `CURSOR_KEY`, the table names (see [`TableNames::from_environment`]) and what the SDK needs.
    ///
    /// # Errors
    /// When a variable is missing or cannot be read; the error names it.
    pub fn from_environment() -> Result<Self, SettingsError> {
        let cursor_key = std::env::var("CURSOR_KEY").map_err(|_| MissingVariable("CURSOR_KEY"))?;
        Ok(Self {
            aws: AwsSettings::from_environment()?,
            tables: TableNames::from_environment()?,
            cursor_key: CursorKey::from_base64(&cursor_key).ok_or(SettingsError::CursorKey)?,
        })
    }
}
