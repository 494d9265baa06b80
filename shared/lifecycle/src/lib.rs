//! Transitions of a job: its start, the recording of its chunks, and its end.
//!
//! ```text
//! queued ──start──▶ processing ──conclude──▶ completed
//!    │                  │  ▲                  failed, when a chunk was given up
//!    │                  └──┘ close:  a chunk that nobody will finish
//!    └──────────────────────▶ failed, when nothing started it within 23 hours
//! ```
//!
//! The consumer takes the upper way; `bury` and `sweep` take the others. Each step may be taken by several workers at
//! once, and again after a crash.

mod batch;
mod close;
mod conclude;
mod start;
#[cfg(test)]
mod tests;

use store::StoreError;
use store::queue::QueueUnavailable;

pub use crate::batch::{Unfinished, apart, each, receives_of, trace_of};
pub use crate::close::close_chunk;
pub use crate::conclude::{conclude, end, record};
pub use crate::start::{Started, start};

/// The reason why a step has to be taken again later.
#[derive(Debug, thiserror::Error)]
pub enum Postponed {
    #[error("its job is not committed yet")]
    NotCommitted,
    #[error("the records of its items keep moving")]
    Contended,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueUnavailable),
}
