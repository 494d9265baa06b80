//! Opening of a local run's storage: the data directory, the queue and the database.

use std::path::PathBuf;

use domain::clock::Clock;
use store::clients::{self, Roots};

use super::StartError;
use super::options::{QueueHome, Storage};
use crate::assembly::{DynamodbClients, SendingTo};
use crate::data_directory::DataDirectory;
use crate::database::{Asker, LocalDatabase};
use crate::queue::LocalQueue;

/// The storage that is opened before the functions can start.
pub(super) struct Opened {
    pub(super) data: Option<DataDirectory>,
    pub(super) queue: SendingTo,
    pub(super) dynamodb: Dynamodb,
}

pub(super) enum Dynamodb {
    Own(LocalDatabase),
    Elsewhere(String),
}

impl Dynamodb {
    pub(super) fn url(&self) -> String {
        match self {
            Self::Own(database) => database.endpoint_url(),
            Self::Elsewhere(url) => url.clone(),
        }
    }

    /// HTTP clients for the database.
    pub(super) fn http_clients(&self) -> DynamodbClients {
        match self {
            Self::Own(database) => DynamodbClients {
                answering: database.http_client(Asker::Person),
                working: database.http_client(Asker::Worker),
            },
            Self::Elsewhere(_) => {
                let client = clients::http_client_with(&Roots::System);
                DynamodbClients { answering: client.clone(), working: client }
            }
        }
    }
}

pub(super) fn open(
    storage: &Storage,
    endpoint_url: Option<String>,
    queue: QueueHome,
    clock: &Clock,
) -> Result<Opened, StartError> {
    let elsewhere = endpoint_url.map(Dynamodb::Elsewhere).ok_or(());
    let open_queue = |path: Option<PathBuf>| match queue {
        QueueHome::Sqs(options) => Ok(SendingTo::Sqs(options)),
        QueueHome::Own(options) => match path {
            None => LocalQueue::in_memory(options, clock.clone()),
            Some(path) => LocalQueue::open(&path, options, clock.clone()),
        }
        .map(SendingTo::Own),
    };
    match storage {
        Storage::Memory => Ok(Opened {
            data: None,
            queue: open_queue(None)?,
            dynamodb: elsewhere.or_else(|()| LocalDatabase::in_memory(clock.clone()).map(Dynamodb::Own))?,
        }),
        Storage::Temporary => Ok(Opened {
            data: None,
            queue: open_queue(None)?,
            dynamodb: elsewhere.or_else(|()| LocalDatabase::temporary().map(Dynamodb::Own))?,
        }),
        Storage::Directory(path) => {
            let data = DataDirectory::lock(path)?;
            Ok(Opened {
                queue: open_queue(Some(data.queue()))?,
                dynamodb: elsewhere.or_else(|()| LocalDatabase::open(&data.database()).map(Dynamodb::Own))?,
                data: Some(data),
            })
        }
    }
}
