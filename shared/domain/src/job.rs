//! A job: what was asked for, what state it is in, and how far it has come.

mod key;
mod operation;
pub mod render;
mod status;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde::ser::SerializeMap;
use uuid::Uuid;

pub use self::key::{ChunkKey, JobKey};
pub use self::operation::Operation;
pub use self::status::JobStatus;
use crate::account::usage::RecordKind;
use crate::clock::Clock;
use crate::limits;
use crate::problem::{Code, Problem};
use crate::time::Timestamp;
use crate::types::{TypeKey, TypesMade};

/// A job's id: a `UUIDv7`, so that sorting by id is sorting by creation.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct JobId(Uuid);

impl JobId {
    /// A new id that holds the present time.
    #[must_use]
    pub fn new(clock: &Clock) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(clock.now().as_millis(), &clock.random()).into_uuid())
    }

    /// The id that `text` spells, in any of the usual spellings of a UUID; `None` for anything that is no job id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?;
        (id.get_version_num() == 7).then_some(Self(id))
    }

    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// When the id was made, to the millisecond.
    #[must_use]
    pub fn made_at(&self) -> Timestamp {
        let bytes = self.0.as_bytes();
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&bytes[..6]);
        Timestamp::from_millis(u64::from_be_bytes(millis))
    }

    /// The lowest id that can have been made at `at`: every id made before sorts before it.
    #[must_use]
    pub fn lowest_at(at: Timestamp) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(at.as_millis(), &[0; 10]).into_uuid())
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(formatter)
    }
}

/// Counts of a job's items. They grow by a whole chunk when its results are recorded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Progress {
    pub total: u32,
    pub processed: u32,
    pub succeeded: u32,
    pub failed: u32,
}

/// Options that a client gave a job besides its operation and its items. By default none is set.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct JobOptions {
    /// Most items that may fail: once more have failed, the chunks that are left are not begun.
    pub max_failures: Option<u32>,
    /// Whether every check is made and nothing is written: the results are those that the job would have without it.
    pub validate_only: bool,
    /// Whether some of its items have a `client_ref`, which takes room in the results.
    pub has_refs: bool,
}

/// The reason why the chunks that are left of a job are not begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// A client asked to abort the job.
    Aborted,
    /// More items have failed than `max_failures` allows.
    TooManyFailures { most: u32 },
}

impl Stop {
    /// The error of a job that ends `failed` because the stop kept some of its items from being done.
    #[must_use]
    pub fn problem(self) -> Problem {
        match self {
            Self::Aborted => Problem::new(
                Code::Aborted,
                "The job was aborted while it was processing: the results say which items were applied",
            ),
            Self::TooManyFailures { most } => Problem::new(
                Code::TooManyFailures,
                format!(
                    "More items failed than max_failures allows, which is {most}: the results say which were applied"
                ),
            ),
        }
    }
}

/// A job as it is stored, without its results.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Job {
    pub id: JobId,
    /// `None` when the request could not be read (an unsupported `Content-Encoding`).
    pub operation: Option<Operation>,
    pub status: JobStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub completed_at: Option<Timestamp>,
    /// Items in the job.
    pub total: u32,
    /// Chunks in the job. Their indexes are `0..chunks`.
    pub chunks: u32,
    /// Indexes of the chunks whose results are recorded.
    pub done: BTreeSet<u32>,
    pub succeeded: u32,
    pub failed: u32,
    /// Growth of the account through the recorded chunks of the job, in records of its kind; negative where it shrank.
    pub growth: i64,
    /// The types whose records it may make.
    pub makes: TypesMade,
    /// Why the job failed as a whole.
    pub error: Option<Problem>,
    pub options: JobOptions,
    /// Whether a client asked to abort the job while it was processing, so that the chunks that are left are not begun.
    pub abort_requested: bool,
}

impl Job {
    /// A job that was just accepted.
    #[must_use]
    pub fn queued(id: JobId, operation: Operation, total: u32, chunks: u32) -> Self {
        let created_at = Timestamp::from_seconds(id.made_at().as_seconds());
        Self {
            id,
            operation: Some(operation),
            status: JobStatus::Queued,
            created_at,
            updated_at: created_at,
            completed_at: None,
            total,
            chunks,
            done: BTreeSet::new(),
            succeeded: 0,
            failed: 0,
            growth: 0,
            makes: TypesMade::default(),
            error: None,
            options: JobOptions::default(),
            abort_requested: false,
        }
    }

    /// A job that failed before any of it could be read.
    #[must_use]
    pub fn unreadable(id: JobId, error: Problem) -> Self {
        let created_at = Timestamp::from_seconds(id.made_at().as_seconds());
        Self {
            operation: None,
            status: JobStatus::Failed,
            completed_at: Some(created_at),
            error: Some(error),
            ..Self::queued(id, Operation::CreateObjects, 0, 0)
        }
    }

    /// Whether the job may be making a record of this type now, or may have made one a moment ago.
    #[must_use]
    pub fn may_be_making(&self, kind: RecordKind, key: &TypeKey) -> bool {
        let may_make = self.operation.is_some_and(|operation| operation.may_make() && operation.kind() == kind);
        may_make && self.status == JobStatus::Processing && self.makes.may_be_of(key)
    }

    /// The second from which the job can no longer be seen.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.created_at.as_seconds() + limits::JOB_LIFETIME_SECONDS)
    }

    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at()
    }

    #[must_use]
    pub const fn progress(&self) -> Progress {
        Progress {
            total: self.total,
            processed: self.succeeded + self.failed,
            succeeded: self.succeeded,
            failed: self.failed,
        }
    }

    /// The reason why the chunks that are left are not to be begun; `None` where they are. It rests on values that only
    /// grow, so a job that is stopped stays so, whoever asks and whenever.
    #[must_use]
    pub const fn stop(&self) -> Option<Stop> {
        match self.options.max_failures {
            _ if self.abort_requested => Some(Stop::Aborted),
            Some(most) if self.failed > most => Some(Stop::TooManyFailures { most }),
            Some(_) | None => None,
        }
    }

    /// Whether every chunk's results are recorded.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.done.len() == self.chunks as usize
    }
}

/// The job object of the API without its `results`: what a list shows.
impl Serialize for Job {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("id", &format_args!("{}", self.id))?;
        members.serialize_entry("job_status", self.status.as_str())?;
        members.serialize_entry("created_at", &format_args!("{}", self.created_at.in_seconds()))?;
        members.serialize_entry("updated_at", &format_args!("{}", self.updated_at.in_seconds()))?;
        members.serialize_entry("completed_at", &self.completed_at.map(|at| at.in_seconds().to_string()))?;
        members.serialize_entry("type", &self.operation.map(Operation::job_type))?;
        members.serialize_entry("action", &self.operation.map(Operation::action))?;
        members.serialize_entry("progress", &self.progress())?;
        if self.options.validate_only {
            members.serialize_entry("validate_only", &true)?;
        }
        if let Some(error) = &self.error {
            members.serialize_entry("error", error)?;
        }
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::manual(Timestamp::from_millis(1_509_724_806_999), 1)
    }

    #[test]
    fn ids_sort_by_creation_and_know_their_time() {
        let clock = clock();
        let first = JobId::new(&clock);
        clock.advance(1);
        let second = JobId::new(&clock);
        assert!(first < second);
        assert_eq!(first.made_at(), Timestamp::from_millis(1_509_724_806_999));
        assert!(JobId::lowest_at(second.made_at()) > first && JobId::lowest_at(second.made_at()) <= second);
    }

    #[test]
    fn an_id_is_read_back_and_anything_else_is_none() {
        let id = JobId::new(&clock());
        assert_eq!(JobId::parse(&id.to_string()), Some(id));
        assert_eq!(JobId::parse(&id.to_string().to_uppercase()), Some(id));
        for other in ["", "x", "8b72559ae838-c9a0-11e7-abc4-cec278b6b50a6e6", "576a0d0d-fb3f-11e9-80f8-65590b274410"] {
            assert_eq!(JobId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_table_of_operations_is_closed() {
        for operation in Operation::ALL {
            assert_eq!(Operation::of(operation.job_type(), operation.action()), Ok(operation));
        }
        let detail = |job_type, action| Operation::of(job_type, action).unwrap_err().detail;
        assert_eq!(detail("things", "post"), r#"type must be "resources" or "relationships", not "things""#);
        assert_eq!(
            detail("relationships", "update"),
            r#"action of type "relationships" must be one of post, delete, not "update""#
        );
    }

    #[test]
    fn only_what_makes_records_may_be_making_one_and_only_of_a_type_that_it_names() {
        let (product, shop) = (TypeKey::parse("product").unwrap(), TypeKey::parse("shop").unwrap());
        for operation in Operation::ALL {
            use Operation::{CreateObjects, CreateRelationships, SetObjects};
            let makes = matches!(operation, CreateObjects | SetObjects | CreateRelationships);
            assert_eq!(operation.may_make(), makes, "{operation:?}");
            for status in JobStatus::ALL {
                let mut job = Job { status, ..Job::queued(JobId::new(&clock()), operation, 1, 1) };
                job.makes.note(&product);
                for (kind, key) in [RecordKind::Object, RecordKind::Relationship]
                    .into_iter()
                    .flat_map(|kind| [(kind, &product), (kind, &shop)])
                {
                    let expected =
                        makes && kind == operation.kind() && status == JobStatus::Processing && *key == product;
                    assert_eq!(job.may_be_making(kind, key), expected, "{operation:?} {status:?} {kind:?} {key}");
                }
            }
        }
    }

    #[test]
    fn a_status_is_read_back_and_two_of_them_hold_a_slot() {
        for status in JobStatus::ALL {
            assert_eq!(JobStatus::parse(status.as_str()), Some(status));
            assert_eq!(status.is_active(), ["queued", "processing"].contains(&status.as_str()));
        }
        assert_eq!(JobStatus::parse("done"), None);
    }

    #[test]
    fn a_request_that_cannot_be_read_is_a_failed_job_of_no_operation() {
        let id = JobId::new(&clock());
        let job = Job::unreadable(id, Problem::internal());
        let at = Timestamp::from_seconds(1_509_724_806);
        assert_eq!((job.id, job.operation, job.status, job.completed_at), (id, None, JobStatus::Failed, Some(at)));
        assert_eq!((job.error.as_ref(), job.total, job.chunks), (Some(&Problem::internal()), 0, 0));
    }

    #[test]
    fn counts_say_how_far_a_job_is_when_it_is_done_and_when_it_has_failed_too_often() {
        let mut job = Job::queued(JobId::new(&clock()), Operation::SetObjects, 9, 2);
        (job.succeeded, job.failed) = (5, 3);
        assert_eq!(job.progress(), Progress { total: 9, processed: 8, succeeded: 5, failed: 3 });
        for (done, is_finished) in [(&[][..], false), (&[1], false), (&[0, 1], true)] {
            job.done = done.iter().copied().collect();
            assert_eq!(job.is_finished(), is_finished, "{done:?}");
        }
        for (max_failures, abort_requested, stop) in [
            (None, false, None),
            (Some(2), false, Some(Stop::TooManyFailures { most: 2 })),
            (Some(3), false, None),
            (Some(4), false, None),
            (Some(2), true, Some(Stop::Aborted)),
            (None, true, Some(Stop::Aborted)),
        ] {
            job.options.max_failures = max_failures;
            job.abort_requested = abort_requested;
            assert_eq!(job.stop(), stop, "{max_failures:?} {abort_requested}");
        }
    }

    #[test]
    fn a_job_expires_a_day_after_its_creation_to_the_second() {
        let job = Job::queued(JobId::new(&clock()), Operation::SetObjects, 1, 1);
        let created_at = Timestamp::from_seconds(1_509_724_806);
        assert_eq!(job.created_at, created_at);
        assert!(!job.is_expired(created_at.plus_millis(86_400_000 - 1)));
        assert!(job.is_expired(created_at.plus_millis(86_400_000)));
    }
}
