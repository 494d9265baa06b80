//! What the function reads from its environment, once.

use store::clients::{AwsSettings, MissingVariable};
use store::tables::TableNames;
use wire::CursorKey;

/// Settings of the function.
#[derive(Clone, Debug)]
pub struct Settings {
    pub aws: AwsSettings,
    pub tables: TableNames,
    /// What cursors are signed with.
    pub cursor_key: CursorKey,
}

/// The environment is not as the function needs it.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error(transparent)]
    Missing(#[from] MissingVariable),
    /// The value is a secret, so it is not said back.
    #[error("the environment variable CURSOR_KEY is not the base64 of 32 bytes")]
    CursorKey,
}

impl Settings {
    /// Reads `CURSOR_KEY`, which is the base64 of 32 bytes, the table names (see [`TableNames::from_environment`]) and
    /// what the SDK needs.
    ///
    /// # Errors
    /// When a variable is missing or wrong; the error names it.
    pub fn from_environment() -> Result<Self, SettingsError> {
        let cursor_key = std::env::var("CURSOR_KEY").map_err(|_| MissingVariable("CURSOR_KEY"))?;
        Ok(Self {
            aws: AwsSettings::from_environment()?,
            tables: TableNames::from_environment()?,
            cursor_key: CursorKey::from_base64(&cursor_key).ok_or(SettingsError::CursorKey)?,
        })
    }
}
