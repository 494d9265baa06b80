//! Options of a local run.

use std::path::PathBuf;

use domain::clock::Clock;
use wire::AllowedOrigins;

use crate::assembly::HttpClients;
use crate::poller::Polling;
use crate::queue::QueueOptions;
use crate::source::sqs::SqsOptions;

/// Options of a local run.
#[derive(Clone)]
pub struct LocalOptions {
    /// The address to listen at, `ADDRESS:PORT`; port 0 picks a free one.
    pub listen: String,
    pub storage: Storage,
    /// The URL of another DynamoDB, to be used instead of the local one.
    pub endpoint_url: Option<String>,
    pub queue: QueueHome,
    pub polling: Polling,
    /// The settings of authentication and rate limits.
    pub access: access::Settings,
    /// The origins whose pages may call from a browser.
    pub origins: AllowedOrigins,
    pub clock: Clock,
    /// Wraps the HTTP client of each function (`accept`, `consume`, `status`, `records`, `bury`, `sweep`) and of
    /// authentication (`access`), so that a test can see or disturb what that one asks of AWS. Without it all share one
    /// client.
    pub http_clients: Option<HttpClients>,
}

/// The queue that the chunks of jobs go through.
#[derive(Clone, Debug)]
pub enum QueueHome {
    /// A queue in this process, kept where everything else is kept.
    Own(QueueOptions),
    /// SQS, or an emulator of it. It has its own visibility timeout and counts of receives.
    Sqs(SqsOptions),
}

/// The place where all data is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Storage {
    /// In this process, and lost when it ends. Rows expire by [`LocalOptions::clock`].
    Memory,
    /// In a file without a name, and lost when this process ends: for many records. Rows expire by the system's clock.
    Temporary,
    /// In files of this directory, which no other process may use meanwhile.
    Directory(PathBuf),
}

impl LocalOptions {
    /// Options for a run in memory, on a free port, with the local account.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            listen: "127.0.0.1:0".into(),
            storage: Storage::Memory,
            endpoint_url: None,
            queue: QueueHome::Own(QueueOptions::default()),
            polling: Polling::default(),
            // A test may ask as often as it likes.
            access: access::Settings { requests_per_minute: 1_000_000, ..access::Settings::default() },
            origins: AllowedOrigins::default(),
            clock: Clock::system(),
            http_clients: None,
        }
    }
}
