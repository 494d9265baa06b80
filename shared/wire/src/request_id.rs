//! The name of one request, which its answer and its log lines share.

use std::fmt;

use domain::clock::Clock;
use http::{HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries the request's id on every answer.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Ours, never the client's. Every request has it in its extensions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestId(Uuid);

impl RequestId {
    pub(crate) fn random(clock: &Clock) -> Self {
        Self(uuid::Builder::from_random_bytes(clock.random()).into_uuid())
    }

    /// As the value of [`X_REQUEST_ID`].
    pub(crate) fn header(self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.to_string()).ok()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(formatter)
    }
}
