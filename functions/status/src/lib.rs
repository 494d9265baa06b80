//! Status: shows a job with its results or in pages of them, lists jobs, and says how many of each thing an account has and may have.

mod limits;
mod list;
pub mod pages;
mod results;
mod show;

use store::{Jobs, Store, Usages};
use wire::{Agent, CursorKeys, Failure, Routes, get, post};

/// What the function works with. One per process; cheap to clone.
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

/// What the gateway leads to accept.
///
/// Deployed, status is given every request that no other function answers. So it is here that a path with another method is
/// refused, and these make it say all the methods that the path has.
pub fn routes_of_accept() -> Routes {
    let misled = async |_: Agent| Failure::internal("the gateway led a request for accept to status");
    Routes::new().route("/jobs", post(misled)).route("/jobs/{id}/abort", post(misled))
}

/// `GET /jobs/{id}`, its results, `GET /jobs` and `GET /limits`, without the middleware around them.
pub fn routes(status: Status) -> Routes {
    Routes::new()
        .route("/jobs", get(list::list))
        .route("/jobs/{id}", get(show::show))
        .route("/jobs/{id}/results", get(results::results))
        .route("/limits", get(limits::show))
        .with_state(status)
}
