//! How many records an account has, and how many it may have.

use crate::limits;
use crate::problem::{Code, Problem};

/// The two kinds of records: an account has a count and a limit of each.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RecordKind {
    Object,
    Relationship,
}

impl RecordKind {
    pub const ALL: [Self; 2] = [Self::Object, Self::Relationship];

    /// The name of the kind on the wire, in the plural.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Object => "resources",
            Self::Relationship => "relationships",
        }
    }

    /// The problem (429) that an account has as many records of the kind as it may.
    #[must_use]
    pub fn over_limit(self) -> Problem {
        over_limit(self.plural())
    }
}

/// The problem (429) that an account has as many of something as it may, in the published words.
#[must_use]
pub fn over_limit(plural: &str) -> Problem {
    let detail = format!("You have exceeded the maximum number of {plural} for this account");
    Problem::new(Code::TooManyRequests, detail)
}

/// A number for each kind of record.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PerKind<Number> {
    pub objects: Number,
    pub relationships: Number,
}

impl<Number: Copy> PerKind<Number> {
    #[must_use]
    pub const fn of(&self, kind: RecordKind) -> Number {
        match kind {
            RecordKind::Object => self.objects,
            RecordKind::Relationship => self.relationships,
        }
    }

    pub const fn set(&mut self, kind: RecordKind, number: Number) {
        match kind {
            RecordKind::Object => self.objects = number,
            RecordKind::Relationship => self.relationships = number,
        }
    }
}

/// How many records an account has and may have. Jobs that are under way count when they have ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Usage {
    pub counts: PerKind<u64>,
    pub limits: PerKind<u64>,
}

impl Usage {
    /// How many more records of a kind the account may have.
    #[must_use]
    pub const fn room(&self, kind: RecordKind) -> u64 {
        self.limits.of(kind).saturating_sub(self.counts.of(kind))
    }
}

/// The usage of an account without records for which its operator set no limits.
impl Default for Usage {
    fn default() -> Self {
        let limits = PerKind { objects: limits::RECORDS_PER_ACCOUNT, relationships: limits::RECORDS_PER_ACCOUNT };
        Self { counts: PerKind::default(), limits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_is_left_and_never_less_than_nothing() {
        let usage = |objects, limit| Usage {
            counts: PerKind { objects, relationships: 0 },
            limits: PerKind { objects: limit, relationships: 7 },
        };
        assert_eq!(usage(3, 5).room(RecordKind::Object), 2);
        assert_eq!(usage(5, 5).room(RecordKind::Object), 0);
        assert_eq!(usage(9, 5).room(RecordKind::Object), 0);
        assert_eq!(usage(9, 5).room(RecordKind::Relationship), 7);
    }

    #[test]
    fn the_words_are_those_that_are_published() {
        let problem = RecordKind::Object.over_limit();
        assert_eq!(problem.code, Code::TooManyRequests);
        assert_eq!(problem.detail, "You have exceeded the maximum number of resources for this account");
    }

    #[test]
    fn each_kind_has_its_own_number() {
        let mut numbers = PerKind::default();
        numbers.set(RecordKind::Object, 1);
        numbers.set(RecordKind::Relationship, 2);
        assert_eq!(numbers, PerKind { objects: 1, relationships: 2 });
        assert_eq!(RecordKind::ALL.map(|kind| numbers.of(kind)), [1, 2]);
    }
}
