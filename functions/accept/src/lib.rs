//! The function `accept`: puts a job's chunks on the queue, and only then commits the job. It also aborts jobs.
//!
//! It sends first and commits last: whatever goes wrong before the commit leaves at most messages of a job that does
//! not exist, which the consumer drops. So there is no half-accepted job to repair.

mod abort;
mod create;
pub mod encoding;
mod workbench;

use std::sync::Arc;

use domain::chunk::Packing;
use store::queue::Queue;
use store::{Jobs, Store};
use wire::{Routes, post};

use crate::workbench::Workbench;

/// The function's state. One per process; cheap to clone.
#[derive(Clone)]
pub struct Accept {
    jobs: Jobs,
    queue: Arc<dyn Queue>,
    packing: Packing,
    workbench: Workbench,
}

impl Accept {
    #[must_use]
    pub fn new(store: Store, queue: Arc<dyn Queue>) -> Self {
        Self { jobs: store.jobs, queue, packing: Packing::default(), workbench: Workbench::new() }
    }

    /// Uses chunks of another size, so that a test can have many of them in a small job.
    #[must_use]
    pub fn packing(self, packing: Packing) -> Self {
        Self { packing, ..self }
    }
}

/// The routes `POST /jobs` and `POST /jobs/{id}/abort`, without the middleware around them.
pub fn routes(accept: Accept) -> Routes {
    Routes::new().route("/jobs", post(create::create)).route("/jobs/{id}/abort", post(abort::abort)).with_state(accept)
}
