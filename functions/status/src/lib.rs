//! Status: shows a job with its results, and lists jobs.

mod list;
pub mod settings;
mod show;

use axum::Router;
use axum::routing::get;
use store::Store;
use wire::{BASE, CursorKey};

/// What the function works with. One per process; cheap to clone.
#[derive(Clone)]
pub struct Status {
    store: Store,
    cursors: CursorKey,
}

impl Status {
    #[must_use]
    pub const fn new(store: Store, cursors: CursorKey) -> Self {
        Self { store, cursors }
    }
}

/// `GET /jobs/{id}` and `GET /jobs`, without the conventions around them.
pub fn routes(status: Status) -> Router {
    Router::new()
        .route(&format!("{BASE}/jobs"), get(list::list))
        .route(&format!("{BASE}/jobs/{{id}}"), get(show::show))
        .with_state(status)
}
