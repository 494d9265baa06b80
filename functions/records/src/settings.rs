//! What the function reads from its environment, once.

use access::TrustedProxy;
use store::clients::AwsSettings;
use store::settings::SettingError;
use store::tables::TableNames;
use wire::AllowedOrigins;

/// Settings of records.
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
}

impl Settings {
    /// Reads the table names (see [`TableNames::from_environment`]), who may call (see
    /// [`access::Settings::from_environment`], [`TrustedProxy::from_environment`] and [`AllowedOrigins::from_environment`])
    /// and what the SDK needs.
    ///
    /// # Errors
    /// When a variable is missing or cannot be read; the error names it.
    pub fn from_environment() -> Result<Self, SettingError> {
        Ok(Self {
            aws: AwsSettings::from_environment()?,
            tables: TableNames::from_environment()?,
            access: access::Settings::from_environment()?,
            proxy: TrustedProxy::from_environment()?,
            origins: AllowedOrigins::from_environment()?,
        })
    }
}
