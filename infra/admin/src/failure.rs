//! Failures of a command: their texts and exit codes.

use std::fmt::Write as _;
use std::time::Duration;

use access::OperatorError;
use domain::account::AccountId;
use serde_json::json;
use store::StoreError;

/// The reason why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error("there is no table {table} {place}: say --stack or --catalog-table when it is another, and --region")]
    NoTable { table: String, place: String },
    #[error("something of account {account} was under way for all of {} s: nothing was changed; try again, or give more --wait", waited.as_secs())]
    Busy { account: AccountId, waited: Duration },
    #[error("no AWS region is set: say --region, or set AWS_REGION or the region of the profile")]
    NoRegion,
    #[error("no AWS credentials are found: {0}")]
    NoCredentials(String),
    #[error("--stdin is for a pipe or a file: a terminal would show what is typed")]
    StdinIsTerminal,
    #[error("the password on stdin is not UTF-8")]
    PasswordNotText,
    #[error("stdin cannot be read: {0}")]
    Stdin(std::io::Error),
    #[error("it was done, but stdout cannot be written to: {0}")]
    Stdout(std::io::Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Operator(error.into())
    }
}

impl Failure {
    /// The program's exit code; [`crate`] says what each number means.
    pub(crate) const fn exit_code(&self) -> u8 {
        self.code().1
    }

    /// A word for programs, and what the program exits with.
    const fn code(&self) -> (&'static str, u8) {
        match self {
            Self::Operator(error) => match error {
                OperatorError::NoAccount(_) => ("no_account", 3),
                OperatorError::NoUser { .. } => ("no_user", 3),
                OperatorError::NoToken { .. } => ("no_token", 3),
                OperatorError::AccountTaken(_) => ("account_taken", 4),
                OperatorError::UserTaken { .. } => ("user_taken", 4),
                OperatorError::Ambiguous { .. } => ("ambiguous", 4),
                OperatorError::Revoked(_) => ("revoked", 4),
                OperatorError::UnfitPassword => ("unfit_password", 2),
                OperatorError::Store(StoreError::Unavailable { .. }) => ("unavailable", 1),
                OperatorError::Store(StoreError::Refused { .. }) => ("refused", 1),
                OperatorError::Store(StoreError::UnreadableRow(_)) | OperatorError::Hash(_) => ("unexpected", 1),
            },
            Self::NoTable { .. } => ("no_table", 1),
            Self::Busy { .. } => ("busy", 1),
            Self::NoRegion => ("no_region", 1),
            Self::NoCredentials(_) => ("no_credentials", 1),
            Self::PasswordNotText => ("unfit_password", 2),
            Self::StdinIsTerminal => ("stdin_is_a_terminal", 2),
            Self::Stdin(_) => ("stdin", 1),
            Self::Stdout(_) => ("stdout", 1),
        }
    }

    /// The failure as one line for a person.
    pub(crate) fn to_text(&self) -> String {
        format!("sundial-admin: {}", on_one_line(&self.to_string()))
    }

    /// The failure as one line of JSON for a program.
    pub(crate) fn to_json(&self) -> String {
        json!({"error": {"code": self.code().0, "message": self.to_string()}}).to_string()
    }
}

/// The texts of an error and its causes, without those that repeat an earlier one.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            let _ = write!(text, ": {said}");
        }
        source = cause.source();
    }
    // Some are lists.
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text on one line, without characters that a terminal takes for commands.
pub(crate) fn on_one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_for_people_and_one_for_programs() {
        let failure = Failure::from(OperatorError::NoAccount(AccountId::parse("acme").unwrap()));
        assert_eq!(failure.to_text(), "sundial-admin: there is no account acme");
        assert_eq!(failure.to_json(), r#"{"error":{"code":"no_account","message":"there is no account acme"}}"#);
        assert_eq!(failure.exit_code(), 3);
        let refused = StoreError::Refused { call: "Query", reason: "two\nlines \u{1b}[31m".to_owned() };
        let failure = Failure::from(OperatorError::from(refused));
        assert_eq!(failure.to_text(), "sundial-admin: Query failed: two lines  [31m");
        assert!(!failure.to_json().contains('\n'));
    }
}
