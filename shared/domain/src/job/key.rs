//! Keys that name a job or a chunk wherever it is stored, sent or asked for.

use crate::account::AccountId;
use crate::job::JobId;

/// The key of a job: its account and its id, so that no account can name the job of another.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct JobKey<'account> {
    pub account: &'account AccountId,
    pub id: JobId,
}

/// The key of a chunk: its job and its index.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ChunkKey<'account> {
    pub job: JobKey<'account>,
    /// Its place among the job's chunks, from 0.
    pub index: u32,
}

impl JobId {
    /// The key of the job that has this id in `account`.
    #[must_use]
    pub const fn of(self, account: &AccountId) -> JobKey<'_> {
        JobKey { account, id: self }
    }
}

impl<'account> JobKey<'account> {
    /// The key of the chunk at `index`.
    #[must_use]
    pub const fn chunk(self, index: u32) -> ChunkKey<'account> {
        ChunkKey { job: self, index }
    }
}
