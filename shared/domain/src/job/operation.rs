//! The operation of a job: what it does with its items, as its `type` and `action` say.

use crate::account::usage::RecordKind;
use crate::problem::{Problem, quoted};

/// The pairs of `type` and `action` that a job may have: all that the API has, one variant each.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Operation {
    /// `resources` `post`
    CreateObjects,
    /// `resources` `update`
    UpdateObjects,
    /// `resources` `external_id_set`
    SetObjects,
    /// `resources` `delete`
    DeleteObjects,
    /// `resources` `external_id_delete`
    DeleteObjectsByExternalId,
    /// `relationships` `post`
    CreateRelationships,
    /// `relationships` `delete`
    DeleteRelationships,
}

impl Operation {
    pub const ALL: [Self; 7] = [
        Self::CreateObjects,
        Self::UpdateObjects,
        Self::SetObjects,
        Self::DeleteObjects,
        Self::DeleteObjectsByExternalId,
        Self::CreateRelationships,
        Self::DeleteRelationships,
    ];

    /// The operation of a job with this `type` and `action`.
    ///
    /// # Errors
    /// When the pair is not in the table; the problem names what is allowed.
    pub fn of(job_type: &str, action: &str) -> Result<Self, Problem> {
        if let Some(operation) = Self::ALL.into_iter().find(|it| it.job_type() == job_type && it.action() == action) {
            return Ok(operation);
        }
        let actions: Vec<_> = Self::ALL.iter().filter(|it| it.job_type() == job_type).map(|it| it.action()).collect();
        Err(Problem::unprocessable(if actions.is_empty() {
            format!("type must be \"resources\" or \"relationships\", not {}", quoted(job_type))
        } else {
            format!("action of type \"{job_type}\" must be one of {}, not {}", actions.join(", "), quoted(action))
        }))
    }

    /// The kind of record that the operation acts on.
    #[must_use]
    pub const fn kind(self) -> RecordKind {
        match self {
            Self::CreateObjects
            | Self::UpdateObjects
            | Self::SetObjects
            | Self::DeleteObjects
            | Self::DeleteObjectsByExternalId => RecordKind::Object,
            Self::CreateRelationships | Self::DeleteRelationships => RecordKind::Relationship,
        }
    }

    /// Whether an item of the operation may make a record.
    #[must_use]
    pub const fn may_make(self) -> bool {
        match self {
            Self::CreateObjects | Self::SetObjects | Self::CreateRelationships => true,
            Self::UpdateObjects | Self::DeleteObjects | Self::DeleteObjectsByExternalId | Self::DeleteRelationships => {
                false
            }
        }
    }

    /// The `type` member of a job with this operation.
    #[must_use]
    pub const fn job_type(self) -> &'static str {
        self.kind().plural()
    }

    /// The `action` member of a job with this operation.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::CreateObjects | Self::CreateRelationships => "post",
            Self::UpdateObjects => "update",
            Self::SetObjects => "external_id_set",
            Self::DeleteObjects | Self::DeleteRelationships => "delete",
            Self::DeleteObjectsByExternalId => "external_id_delete",
        }
    }
}
