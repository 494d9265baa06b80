//! How a command ends: the exit codes, and what is said of a failure.

use std::process::ExitCode;

/// A command that ran to its end.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Verdict {
    /// Everything that was asked for was done.
    Succeeded,
    /// At least one row or item failed, and its error was reported.
    RowsFailed,
    /// Not everything could be sent, or nobody can tell any more what came of it; why was reported.
    Incomplete,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Succeeded => Self::SUCCESS,
            Verdict::RowsFailed => Self::from(1),
            Verdict::Incomplete => Self::from(3),
        }
    }
}

/// A command that could not be carried out. Each text says what the person can do next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line does not make sense.
    #[error("{0}")]
    Usage(String),
    /// The service was not reached or said no, or a file does not fit.
    #[error("{0}")]
    NotDone(String),
    /// The credentials are missing, wrong or not enough.
    #[error("{0}")]
    Refused(String),
    /// A file, or the terminal, cannot be read or written.
    #[error("cannot read or write: {0}")]
    Io(#[from] std::io::Error),
}

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        Self::from(match failure {
            Failure::Usage(_) => 2,
            Failure::NotDone(_) | Failure::Io(_) => 3,
            Failure::Refused(_) => 4,
        })
    }
}
