//! What an item does to a record: every rule about items, as functions of the row that is there.
//!
//! A job's items and the single-record routes go through the same functions. Items of one chunk that touch one record
//! form a group; they are decided one after the other on a copy of the row, and written once.

mod objects;
mod relationships;

use std::collections::HashMap;

pub use self::objects::{decide_object, external_id_taken};
pub use self::relationships::{Ends, RelationshipDecision, decide_relationship, relationship_of};
use crate::account::AccountId;
use crate::account::usage::RecordKind;
use crate::job::JobId;
use crate::plan::{Budget, Outcome};
use crate::record::applied::{AppliedWrite, AppliedWrites};
use crate::record::{RecordId, Row, State};
use crate::request::item::Item;
use crate::time::Timestamp;
use crate::types::indexes::{Entries, Held};
use crate::types::{ObjectType, RelationshipType, TypeKey};

/// The inputs, besides rows, by which the items of a job are decided.
#[derive(Clone, Copy, Debug)]
pub struct Context<'types> {
    pub account: &'types AccountId,
    pub job: JobId,
    pub now: Timestamp,
    pub types: &'types Types,
    /// The positions of all items that are handled together, the job's chunk, in order.
    pub positions: &'types [u32],
    /// How many bytes the result of one item may take.
    pub budget: Budget,
}

impl Context<'_> {
    /// Whether the row carries the mark of a write that was made for these items. A chunk makes one write of a record. Its
    /// mark has the position of the last item that was about the record then; which that is may be seen otherwise by now,
    /// when a type was deleted or defined anew.
    #[must_use]
    pub fn has_applied(&self, row: &Row) -> bool {
        row.applied.positions_of(self.job).any(|position| self.positions.binary_search(&position).is_ok())
    }
}

/// The types that a chunk's items name, as they are now. A key that is not here is not defined.
#[derive(Debug, Default)]
pub struct Types {
    pub objects: HashMap<TypeKey, ObjectType>,
    pub relationships: HashMap<TypeKey, RelationshipType>,
}

/// One item of a group.
#[derive(Clone, Debug)]
pub struct Step<'json> {
    pub position: u32,
    pub item: Item<'json>,
    /// What the chunk's workers have agreed for it.
    pub agreed: Agreed,
}

/// The outcome that workers have agreed on for an item, if any.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Agreed {
    /// No worker has decided it.
    Nothing,
    /// The item fails: final.
    Failure,
    /// The item fails, judged on its record as an earlier item leaves it, which succeeds. Where that one is decided
    /// anew, so is this.
    FailureAfter,
    /// The item succeeds by a write that depends on this version. While the row stands there, the write may be under
    /// way.
    Success { base: u64 },
}

impl Agreed {
    /// Whether workers have agreed that it fails.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failure | Self::FailureAfter)
    }
}

/// The decision on a group: the outcomes of its items, and the write that applies them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    /// The outcomes of the items, by position, without those whose agreed failure stands.
    pub outcomes: Vec<(u32, Outcome)>,
    /// The one write that applies all its successes; `None` when there is nothing (more) to write.
    pub write: Option<Write>,
}

/// A conditional write of one row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Write {
    pub id: RecordId,
    /// The version that the row must have: 0 for no row at all.
    pub base: u64,
    /// What the write replaces.
    pub before: Before,
    pub row: Row,
    /// Changes to how many relationships the ends have, to be made together with the write.
    pub links: Vec<LinkChange>,
}

impl Write {
    /// The write that takes `row` to `state`, with the mark of what it is made for.
    fn of(id: RecordId, row: Option<&Row>, mark: Option<AppliedWrite>, state: State, links: Vec<LinkChange>) -> Self {
        let base = version_of(row);
        let applied = row.map_or_else(AppliedWrites::default, |row| row.applied.clone());
        let applied = mark.map_or_else(|| applied.clone(), |mark| applied.with(mark));
        Self { id, base, before: Before::of(row), row: Row { version: base + 1, applied, state }, links }
    }
}

impl Write {
    /// Whether it makes a record, rather than change or delete one.
    #[must_use]
    pub const fn makes(&self) -> bool {
        match self.row.state {
            State::Object(_) => !matches!(self.before, Before::Object(_)),
            State::Relationship(_) => !matches!(self.before, Before::Relationship),
            State::Tombstone => false,
        }
    }

    /// The write that takes back a record that this one has made.
    #[must_use]
    pub fn undone(&self) -> Self {
        let before = Before::state(&self.row.state);
        let links = self.links.iter().map(|link| LinkChange { end: link.end, change: -link.change });
        let row = Row { version: self.row.version + 1, applied: self.row.applied.clone(), state: State::Tombstone };
        Self { id: self.id, base: self.row.version, before, row, links: links.collect() }
    }

    /// Growth of the account through the write: 1, 0 or -1 records.
    #[must_use]
    pub const fn growth(&self) -> i64 {
        match (&self.row.state, self.before) {
            (State::Tombstone, Before::Object(_) | Before::Relationship) => -1,
            (_, _) if self.makes() => 1,
            (_, _) => 0,
        }
    }
}

impl Decision {
    /// The decision where the account has no room for the record that this one would make: what would have succeeded
    /// fails for that, and so does what was judged after it.
    #[must_use]
    pub fn without_room(self, kind: RecordKind) -> Self {
        let first = self.outcomes.iter().position(|(_, outcome)| outcome.is_success()).unwrap_or(self.outcomes.len());
        let fitted = |(place, (position, outcome))| {
            (position, if place < first { outcome } else { Outcome::failure(kind.over_limit()) })
        };
        Self { outcomes: self.outcomes.into_iter().enumerate().map(fitted).collect(), write: None }
    }
}

/// What kind of row a write replaces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Before {
    Nothing,
    /// An object record, and in which indexes of its type it stands, where the type had any.
    Object(Option<Held>),
    Relationship,
    Tombstone,
}

impl Before {
    fn state(state: &State) -> Self {
        match state {
            State::Object(record) => Self::Object(record.entries.as_deref().map(Entries::held)),
            State::Relationship(_) => Self::Relationship,
            State::Tombstone => Self::Tombstone,
        }
    }

    fn of(row: Option<&Row>) -> Self {
        row.map_or(Self::Nothing, |row| Self::state(&row.state))
    }
}

/// A change of how many relationship records have one record as an end, when one of them is made or deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkChange {
    pub end: RecordId,
    /// 1 or -1.
    pub change: i64,
}

/// The version of a row, 0 when there is none.
#[must_use]
pub fn version_of(row: Option<&Row>) -> u64 {
    row.map_or(0, |row| row.version)
}

/// Which steps are judged: not those that were agreed to succeed by a write on the row as it stands, nor those that were
/// agreed to fail. But where a success has to be decided anew, so have the failures that were judged after it: the record that
/// they were judged on never was. No worker has finished with them, since none has made that write.
struct Judging {
    base: u64,
    anew: bool,
}

impl Judging {
    const fn on(row_version: u64) -> Self {
        Self { base: row_version, anew: false }
    }

    /// Whether the next step is judged; `None` when its failure stands.
    fn next(&mut self, step: &Step<'_>) -> Option<bool> {
        match step.agreed {
            Agreed::Failure => None,
            Agreed::FailureAfter => self.anew.then_some(true),
            Agreed::Nothing => Some(true),
            Agreed::Success { base } => {
                let judged = base != self.base;
                self.anew |= judged;
                Some(judged)
            }
        }
    }
}

/// The row carries the mark of these steps: whatever was agreed to succeed is done.
fn already_applied(id: RecordId, steps: &[Step<'_>]) -> Decision {
    let successes = steps.iter().filter(|step| !step.agreed.is_failure());
    Decision { outcomes: successes.map(|step| (step.position, Outcome::Success(id))).collect(), write: None }
}

#[cfg(test)]
mod tests;
