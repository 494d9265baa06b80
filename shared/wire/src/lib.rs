//! HTTP behaviour that all routes share, so that a function's router holds only its own.
//!
//! A function registers its [`Routes`] and hands them to [`with_middleware`], which authenticates every request, names it,
//! answers what no route answers, and turns a panic into the same 500 that any other unexpected error gives. Handlers take
//! [`Agent`] first, which is what [`Routes`] insists on; then [`Query`], [`PathParameters`] and [`DataBody`]; and answer [`Data`],
//! [`List`], [`Rendered`] or a [`Failure`].
//!
//! Routes of several functions are merged, and only then given their middleware.

mod accept;
mod answer;
mod authentication;
mod body;
mod caller;
mod compression;
mod content_type;
mod cursor;
mod failure;
mod head_limits;
mod idempotency;
mod middleware;
mod old_names;
mod origins;
mod page;
mod path;
mod query;
mod request_id;
mod routes;

#[cfg(test)]
mod testing;

pub use accept::{link_header, preferred};
pub use answer::{Data, Links, List, Rendered, RenderedList};
pub use authentication::Agent;
pub use body::{DataBody, JsonBody, data_member, read_body};
pub use content_type::{BodyForm, body_form, check_content_type};
pub use cursor::{Cursor, CursorKey, CursorKeys, CursorScope, Direction};
pub use domain::query::Order;
pub use failure::Failure;
pub use idempotency::{hashed_key, idempotency_key};
pub use middleware::{for_anybody, with_middleware};
pub use origins::{AllowedOrigins, NoOrigin};
pub use page::PageRequest;
pub use path::PathParameters;
pub use query::{Query, bad_parameter};
pub use request_id::{RequestId, X_REQUEST_ID};
pub use routes::{Caller, ChecksRole, Methods, Route, Routes, delete, get, patch, post, put};
/// The trace of a request, which a handler takes as `Extension<TraceContext>`.
pub use telemetry::TraceContext;

/// The beginning of every route's path.
pub const BASE: &str = "/api/sunshine";
