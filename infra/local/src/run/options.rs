//! What a local run is started with.

use std::path::PathBuf;

use domain::clock::Clock;
use wire::AllowedOrigins;

use crate::assembly::HttpClients;
use crate::poller::Polling;
use crate::queue::QueueOptions;
use crate::source::sqs::SqsOptions;

/// What a local run is started with.
#[derive(Clone)]
pub struct LocalOptions {
    /// `ADDRESS:PORT`; port 0 picks a free one.
    pub listen: String,
    pub storage: Storage,
    /// Where another DynamoDB is served, to be used instead of the local one.
    pub endpoint_url: Option<String>,
    pub queue: QueueHome,
    pub polling: Polling,
    /// Who may call.
    pub access: access::Settings,
    /// Whose pages may call from a browser.
    pub origins: AllowedOrigins,
    pub clock: Clock,
    /// Wraps the HTTP client of each function (`accept`, `consume`, `status`, `records`, `bury`, `sweep`), and of what
    /// stands before the routes (`access`), so that a test can see or disturb what that one asks
    /// of AWS. Without it all share one client.
    pub http_clients: Option<HttpClients>,
}

/// Which queue the chunks of jobs go through.
#[derive(Clone, Debug)]
pub enum QueueHome {
    /// One in this process, kept where everything else is kept.
    Own(QueueOptions),
    /// SQS, or what is served in its place. It keeps its own visibility timeout and counts of receives.
    Sqs(SqsOptions),
}

/// Where everything is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Storage {
    /// In this process, and gone with it.
    Memory,
    /// In files of this directory, which no other process may use meanwhile.
    Directory(PathBuf),
}

impl LocalOptions {
    /// In memory, on a free port, with the local account.
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
