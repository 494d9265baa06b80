//! Facts that are true of every record that matches a query, by which a planner knows where it need not look.
//!
//! Facts follow from comparisons that hold necessarily: beside each other, in `$and`, and in `$or` when every branch
//! has one. Nothing is concluded from `$not`.

use std::collections::BTreeSet;

use super::Query;
use super::filter::{Condition, Filter, Subject, Test};
use super::value::Scalar;
use crate::record::RecordId;

impl Query {
    /// The only types, in lower case, that a match can have; `None` when it can have any. Empty when nothing matches.
    #[must_use]
    pub fn types(&self) -> Option<BTreeSet<String>> {
        Some(texts(self.one_of(&Subject::Type)?).collect())
    }

    /// The only ids that a match can have; `None` when it can have any. Empty when nothing matches.
    #[must_use]
    pub fn ids(&self) -> Option<BTreeSet<RecordId>> {
        // What is no UUID is the id of no record.
        Some(texts(self.one_of(&Subject::Id)?).filter_map(|id| RecordId::parse(&id)).collect())
    }

    /// The only external ids, in lower case, that a match can have; `None` when it can have any, or none. Empty when
    /// nothing matches.
    #[must_use]
    pub fn external_ids(&self) -> Option<BTreeSet<String>> {
        Some(texts(self.one_of(&Subject::ExternalId)?).collect())
    }

    /// The only values that the attribute at `path` of a match can have (see [`attribute_at`](super::attribute_at));
    /// `None` when it can have any, or none. Empty when nothing matches.
    #[must_use]
    pub fn equalities(&self, path: &str) -> Option<BTreeSet<Scalar>> {
        self.one_of(&Subject::Attribute(path.to_owned()))
    }

    /// The beginning that the attribute at `path` of every match has, once both are [`folded`](super::folded): it is a
    /// text then. `None` when nothing is known. Never empty.
    #[must_use]
    pub fn prefix(&self, path: &str) -> Option<String> {
        prefix(&self.filter.condition, path).filter(|prefix| !prefix.is_empty())
    }

    fn one_of(&self, subject: &Subject) -> Option<BTreeSet<Scalar>> {
        one_of(&self.filter.condition, subject)
    }
}

impl Filter {
    /// Whether the filter compares some attribute, by name, in a way that an index can tell.
    pub(super) fn narrows_attributes(&self) -> bool {
        narrows(&self.condition)
    }
}

fn narrows(condition: &Condition) -> bool {
    match condition {
        Condition::All(conditions) | Condition::Any(conditions) => conditions.iter().any(narrows),
        Condition::Comparison(Subject::Attribute(_), tests) => {
            tests.iter().any(|test| matches!(test, Test::Equal(_) | Test::In(_) | Test::Prefix(_)))
        }
        Condition::Comparison(..) | Condition::Not(_) => false,
    }
}

fn texts(scalars: BTreeSet<Scalar>) -> impl Iterator<Item = String> {
    scalars.into_iter().filter_map(|scalar| match scalar {
        Scalar::Text(text) => Some(text),
        Scalar::Boolean(_) | Scalar::Number(_) => None,
    })
}

fn one_of(condition: &Condition, subject: &Subject) -> Option<BTreeSet<Scalar>> {
    let both = |mut one: BTreeSet<Scalar>, other: BTreeSet<Scalar>| {
        one.retain(|scalar| other.contains(scalar));
        one
    };
    match condition {
        Condition::All(conditions) => conditions.iter().filter_map(|inner| one_of(inner, subject)).reduce(both),
        Condition::Any(conditions) => {
            let mut all = BTreeSet::new();
            for inner in conditions {
                all.append(&mut one_of(inner, subject)?);
            }
            Some(all)
        }
        Condition::Comparison(compared, tests) if compared == subject => {
            let of_test = |test: &Test| match test {
                Test::Equal(value) => Scalar::of(value).map(|scalar| BTreeSet::from([scalar])),
                Test::In(list) if !list.absent => Some(list.values.iter().cloned().collect()),
                _ => None,
            };
            tests.iter().filter_map(of_test).reduce(both)
        }
        Condition::Comparison(..) | Condition::Not(_) => None,
    }
}

fn prefix(condition: &Condition, path: &str) -> Option<String> {
    // Of two that both hold, one begins with the other, or else nothing matches and either will do.
    let longer = |one: String, other: String| if other.len() > one.len() { other } else { one };
    match condition {
        Condition::All(conditions) => conditions.iter().filter_map(|inner| prefix(inner, path)).reduce(longer),
        Condition::Any(conditions) => {
            let mut common: Option<String> = None;
            for inner in conditions {
                let of_inner = prefix(inner, path)?;
                common = Some(common.map_or(of_inner.clone(), |common| in_common(&common, &of_inner)));
            }
            common
        }
        Condition::Comparison(Subject::Attribute(compared), tests) if compared == path => {
            let of_test = |test: &Test| match test {
                Test::Prefix(prefix) => Some(prefix.folded()),
                _ => None,
            };
            tests.iter().filter_map(of_test).reduce(longer)
        }
        Condition::Comparison(..) | Condition::Not(_) => None,
    }
}

/// What both begin with.
fn in_common(one: &str, other: &str) -> String {
    one.chars().zip(other.chars()).take_while(|(one, other)| one == other).map(|(character, _)| character).collect()
}
