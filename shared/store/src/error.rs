//! Errors of the database and the queue.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// A call to the database failed. The text is for the log and never for a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Throttled, timed out, unreachable or answering 5xx: the call may or may not have had its effect, and is worth
    /// repeating.
    #[error("{call} is unavailable: {reason}")]
    Unavailable { call: &'static str, reason: String },
    /// The call was refused for a reason that repeating does not mend.
    #[error("{call} failed: {reason}")]
    Refused { call: &'static str, reason: String },
    /// A row is not as this code writes it.
    #[error("a row cannot be read: {0}")]
    UnreadableRow(String),
}

impl StoreError {
    /// Whether the same call may succeed when it is made again.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    pub(crate) fn of<Error, Raw>(call: &'static str, error: &SdkError<Error, Raw>) -> Self
    where
        Error: ProvideErrorMetadata + std::error::Error + 'static,
        Raw: std::fmt::Debug,
    {
        match error {
            SdkError::ServiceError(context) => {
                let code = context.err().code().unwrap_or("unknown");
                let reason = format!("{code}: {}", context.err().message().unwrap_or_default());
                if is_passing(code) { Self::Unavailable { call, reason } } else { Self::Refused { call, reason } }
            }
            SdkError::ConstructionFailure(_) => Self::Refused { call, reason: format!("{error:?}") },
            _ => Self::Unavailable { call, reason: format!("{error}: {}", source_text(error)) },
        }
    }
}

/// Error codes that pass by themselves, of whole requests and of single statements of a batch.
pub(crate) fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "ProvisionedThroughputExceeded"
            | "ThrottlingException"
            | "ThrottlingError"
            | "RequestLimitExceeded"
            | "InternalServerError"
            | "InternalServerErrorException"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
            | "TransactionConflict"
            | "TransactionConflictException"
            | "TransactionInProgressException"
            | "ReplicatedWriteConflictException"
    )
}

fn source_text(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(&inner.to_string());
        text.push_str("; ");
        source = inner.source();
    }
    text
}

/// A condition of a write did not hold.
pub(crate) fn is_condition_failure<Error, Raw>(error: &SdkError<Error, Raw>) -> bool
where
    Error: ProvideErrorMetadata,
{
    matches!(error, SdkError::ServiceError(context) if context.err().code() == Some("ConditionalCheckFailedException"))
}
