//! The function `status`: shows a job, with its results or in pages of them; lists jobs; and tells an account's numbers
//! and limits.

mod limits;
mod list;
pub mod pages;
mod results;
mod show;

use store::{Jobs, Store, Usages};
use wire::{Agent, CursorKeys, Failure, Routes, get, post};

/// The function's state. One per process; cheap to clone.
#[derive(Clone)]
pub struct Status {
    jobs: Jobs,
    usages: Usages,
    cursors: CursorKeys,
}

impl Status {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { jobs: store.jobs, usages: store.usages, cursors: CursorKeys::of(store.catalog) }
    }
}

/// Routes that belong to `accept`, for the methods that a refusal names.
///
/// Deployed, status is given every request that no other function answers. So it refuses a path with another method,
/// and with these routes its refusal names all the methods that the path has.
pub fn routes_of_accept() -> Routes {
    let misled = async |_: Agent| Failure::internal("the gateway led a request for accept to status");
    Routes::new().route("/jobs", post(misled)).route("/jobs/{id}/abort", post(misled))
}

/// The routes `GET /jobs/{id}`, `GET /jobs/{id}/results`, `GET /jobs` and `GET /limits`, without the middleware around
/// them.
pub fn routes(status: Status) -> Routes {
    Routes::new()
        .route("/jobs", get(list::list))
        .route("/jobs/{id}", get(show::show))
        .route("/jobs/{id}/results", get(results::results))
        .route("/limits", get(limits::show))
        .with_state(status)
}
