//! The id of a request, which its answer and its log lines share.

use std::fmt;

use domain::clock::Clock;
use http::{HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries the request's id on every answer.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, made by the service and never taken from the client. Every request has it in its extensions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestId(Uuid);

impl RequestId {
    pub(crate) fn random(clock: &Clock) -> Self {
        Self(uuid::Builder::from_random_bytes(clock.random()).into_uuid())
    }

    /// The id as the value of the header [`X_REQUEST_ID`].
    pub(crate) fn header(self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.to_string()).ok()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(formatter)
    }
}
