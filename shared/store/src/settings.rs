//! Reading a function's environment. An error names the variable, and never its value.

/// A variable is missing, or has a value that cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettingError {
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    #[error("the environment variable {name} is not {expected}")]
    Unreadable { name: &'static str, expected: &'static str },
}

/// Reads a variable that has to be set.
///
/// # Errors
/// When it is not, or is not Unicode.
pub fn required(name: &'static str) -> Result<String, SettingError> {
    std::env::var(name).map_err(|_| SettingError::Missing(name))
}
