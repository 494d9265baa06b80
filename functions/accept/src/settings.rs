//! What the function reads from its environment, once.

use access::TrustedProxy;
use store::clients::AwsSettings;
use store::settings::{SettingError, required};
use store::tables::TableNames;
use wire::AllowedOrigins;

/// Settings of accept.
#[derive(Clone, Debug)]
pub struct Settings {
    pub aws: AwsSettings,
    pub tables: TableNames,
    /// Who may call.
    pub access: access::Settings,
    /// Whose word is taken for where a request comes from.
    pub proxy: TrustedProxy,
    /// Whose pages may call from a browser.
    pub origins: AllowedOrigins,
    /// Where chunks are sent.
    pub queue_url: String,
}

impl Settings {
    /// Reads `QUEUE_URL`, the table names (see [`TableNames::from_environment`]), who may call (see
    /// [`access::Settings::from_environment`], [`TrustedProxy::from_environment`] and [`AllowedOrigins::from_environment`])
    /// and what the SDK needs.
    ///
    /// # Errors
    /// When a variable is missing or cannot be read; the error names it.
    pub fn from_environment() -> Result<Self, SettingError> {
        let (aws, tables) = (AwsSettings::from_environment()?, TableNames::from_environment()?);
        let access = access::Settings::from_environment()?;
        let proxy = TrustedProxy::from_environment()?;
        let origins = AllowedOrigins::from_environment()?;
        Ok(Self { aws, tables, access, proxy, origins, queue_url: required("QUEUE_URL")? })
    }
}
