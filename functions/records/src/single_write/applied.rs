//! The outcome of a write of one record, and its answer.

use axum::response::{IntoResponse, Response};
use domain::plan::decide::Write;
use domain::record::{ObjectRecord, RelationshipRecord, State};
use http::StatusCode;
use http::header::LOCATION;
use wire::{BASE, Data};

/// A record of either kind, as an answer shows it.
pub(super) enum Record {
    Object(ObjectRecord),
    Relationship(RelationshipRecord),
}

impl Record {
    pub(super) fn of(state: State) -> Option<Self> {
        match state {
            State::Object(record) => Some(Self::Object(record)),
            State::Relationship(record) => Some(Self::Relationship(record)),
            State::Tombstone => None,
        }
    }
}

/// The write that a request has made, now or when it was sent before.
pub(super) struct Applied {
    /// The record as it was written; `None` when it was deleted.
    pub(super) record: Option<Record>,
    pub(super) created: bool,
}

impl Applied {
    pub(super) fn by(write: Write) -> Self {
        Self { created: write.makes(), record: Record::of(write.row.state) }
    }
}

impl IntoResponse for Applied {
    fn into_response(self) -> Response {
        let Some(record) = self.record else { return StatusCode::NO_CONTENT.into_response() };
        let status = if self.created { StatusCode::CREATED } else { StatusCode::OK };
        let (location, mut response) = match record {
            Record::Object(record) => {
                (format!("{BASE}/objects/records/{}", record.id), Data(status, record).into_response())
            }
            Record::Relationship(record) => {
                (format!("{BASE}/relationships/records/{}", record.id), Data(status, record).into_response())
            }
        };
        if self.created
            && let Ok(location) = location.try_into()
        {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}
