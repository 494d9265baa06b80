//! Matching a record against a filter.

use std::cmp::Ordering;

use serde_json::Value;

use super::filter::{Condition, Filter, List, Relation, Subject, Test};
use super::text::lower;
use super::value::{Borrowed, equal};

/// A record that may match.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'record> {
    /// The key of its type, in whichever case.
    pub object_type: &'record str,
    pub external_id: Option<&'record str>,
    /// A UUID in lower case, with hyphens.
    pub id: &'record str,
    /// The attributes, a JSON object.
    pub attributes: &'record Value,
}

impl Filter {
    /// Whether the record matches. What it costs is in the documentation of the [module](super).
    #[must_use]
    pub fn matches(&self, record: &Candidate<'_>) -> bool {
        holds(&self.condition, record)
    }
}

/// The attribute that a path leads to, as a filter reads the path; `None` when there is none, or when it holds null.
///
/// A path is the names of members with dots between them. A name may hold dots itself, so in each object the member
/// goes first whose name is the longest beginning of what is left of the path: `a.b.c` is the member `a.b.c`, else `c`
/// in the member `a.b`, else what `b.c` is in the member `a`. There is no way back from a member that leads no further,
/// and none into arrays.
#[must_use]
pub fn attribute_at<'record>(attributes: &'record Value, path: &str) -> Option<&'record Value> {
    let (mut object, mut path) = (attributes.as_object()?, path);
    loop {
        // Each object is passed over once, so that a path of many dots costs no more than one of few.
        let (name, value) = if path.contains('.') {
            let leading = object.iter().filter(|(name, _)| {
                path.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            leading.max_by_key(|(name, _)| name.len())?
        } else {
            object.get_key_value(path)?
        };
        if name.len() == path.len() {
            return Some(value).filter(|value| !value.is_null());
        }
        path = &path[name.len() + 1..];
        object = value.as_object()?;
    }
}

fn holds(condition: &Condition, record: &Candidate<'_>) -> bool {
    match condition {
        Condition::All(conditions) => conditions.iter().all(|condition| holds(condition, record)),
        Condition::Any(conditions) => conditions.iter().any(|condition| holds(condition, record)),
        Condition::Not(condition) => !holds(condition, record),
        Condition::Comparison(subject, tests) => {
            let all_hold = |found: Option<Found<'_>>| tests.iter().all(|test| test.holds(found));
            match subject {
                Subject::Type => all_hold(Some(Found::Text(&lower(record.object_type)))),
                Subject::ExternalId => all_hold(record.external_id.map(lower).as_deref().map(Found::Text)),
                Subject::Id => all_hold(Some(Found::Text(record.id))),
                Subject::Attribute(path) => all_hold(attribute_at(record.attributes, path).map(Found::Json)),
                Subject::Anywhere => holds_anywhere(tests, record.attributes),
            }
        }
    }
}

/// Whether a comparison holds under `*`: `$ne` when no value at any depth is equal, `$exists` when there is a value at
/// all or is none, and all the others together for one value, or for none where there are no values.
///
/// The values are those of the members of objects and the elements of arrays, but for nulls.
fn holds_anywhere(tests: &[Test], attributes: &Value) -> bool {
    let exists = any_inside(attributes, &|_| true);
    let of_one = |test: &&Test| !matches!(test, Test::NotEqual(_) | Test::Exists(_));
    let of_all_hold = tests.iter().all(|test| match test {
        Test::NotEqual(value) => !any_inside(attributes, &|found| equal(found, value)),
        Test::Exists(wanted) => exists == *wanted,
        _ => true,
    });
    let all_hold = |found: Option<Found<'_>>| tests.iter().filter(of_one).all(|test| test.holds(found));
    of_all_hold
        && if exists { any_inside(attributes, &|value| all_hold(Some(Found::Json(value)))) } else { all_hold(None) }
}

fn any_inside(value: &Value, holds: &impl Fn(&Value) -> bool) -> bool {
    let any = |value: &Value| !value.is_null() && (holds(value) || any_inside(value, holds));
    match value {
        Value::Array(elements) => elements.iter().any(any),
        Value::Object(members) => members.values().any(any),
        _ => false,
    }
}

/// What a subject is of a record.
#[derive(Clone, Copy)]
enum Found<'record> {
    Text(&'record str),
    /// Not null.
    Json(&'record Value),
}

impl<'record> Found<'record> {
    fn scalar(self) -> Option<Borrowed<'record>> {
        match self {
            Self::Text(text) => Some(Borrowed::Text(text)),
            Self::Json(value) => Borrowed::of(value),
        }
    }

    fn text(self) -> Option<&'record str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Json(value) => value.as_str(),
        }
    }

    fn is(self, value: &Value) -> bool {
        match self {
            Self::Text(text) => value.as_str() == Some(text),
            Self::Json(found) => equal(found, value),
        }
    }
}

impl Test {
    fn holds(&self, found: Option<Found<'_>>) -> bool {
        match (self, found) {
            (Self::Exists(wanted), found) => found.is_some() == *wanted,
            (Self::NotEqual(value), found) => !found.is_some_and(|found| found.is(value)),
            (Self::In(list), None) => list.absent,
            (_, None) => false,
            (Self::Equal(value), Some(found)) => found.is(value),
            (Self::Ordered(relation, bound), Some(found)) => found
                .scalar()
                .and_then(|found| found.compare_alike(bound.borrowed()))
                .is_some_and(|ordering| relation.is(ordering)),
            (Self::In(list), Some(found)) => found.scalar().is_some_and(|found| list.has(found)),
            (Self::Contains { element, part }, Some(found)) => match (found, part) {
                (Found::Json(Value::Array(elements)), _) => elements.iter().any(|value| equal(value, element)),
                (found, Some(part)) => found.text().is_some_and(|text| part.is_in(text)),
                (_, None) => false,
            },
            (Self::Prefix(prefix), Some(found)) => found.text().is_some_and(|text| prefix.begins(text)),
        }
    }
}

impl Relation {
    const fn is(self, ordering: Ordering) -> bool {
        match self {
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
        }
    }
}

impl List {
    fn has(&self, found: Borrowed<'_>) -> bool {
        self.values.binary_search_by(|value| value.borrowed().cmp(&found)).is_ok()
    }
}
