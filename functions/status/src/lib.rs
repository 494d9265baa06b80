//! Status: shows a job with its results, and lists jobs.

mod list;
pub mod settings;
mod show;

use axum::Router;
use axum::routing::{get, post};
use store::Store;
use wire::{BASE, CursorKeys, Failure};

/// What the function works with. One per process; cheap to clone.
#[derive(Clone)]
pub struct Status {
    store: Store,
    cursors: CursorKeys,
}

impl Status {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { cursors: CursorKeys::of(store.clone()), store }
    }
}

/// What the gateway leads to accept.
///
/// Deployed, status is given every request that no other function answers. So it is here that a path with another method is
/// refused, and these make it say all the methods that the path has.
pub fn routes_of_accept() -> Router {
    let misled = async || Failure::internal("the gateway led a request for accept to status");
    Router::new().route(&format!("{BASE}/jobs"), post(misled)).route(&format!("{BASE}/jobs/{{id}}/abort"), post(misled))
}

/// `GET /jobs/{id}` and `GET /jobs`, without the conventions around them.
pub fn routes(status: Status) -> Router {
    Router::new()
        .route(&format!("{BASE}/jobs"), get(list::list))
        .route(&format!("{BASE}/jobs/{{id}}"), get(show::show))
        .with_state(status)
}
