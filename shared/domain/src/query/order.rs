//! The order of the records that a search finds.

use serde_json::Value;

use super::kind_of;
use crate::problem::{Problem, quoted};

/// The direction in which records are sorted by time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

impl Order {
    /// The word for the order on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }

    /// The order that `word` stands for on the wire; `None` for any other word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Ascending, Self::Descending].into_iter().find(|order| order.as_str() == word)
    }
}

/// The time that records are sorted by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SortBy {
    CreatedAt,
    UpdatedAt,
}

impl SortBy {
    /// The name of the time on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreatedAt => "_created_at",
            Self::UpdatedAt => "_updated_at",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        [Self::CreatedAt, Self::UpdatedAt].into_iter().find(|by| by.as_str() == name)
    }
}

/// What records are sorted by, and in which direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sort {
    pub by: SortBy,
    pub order: Order,
}

impl Default for Sort {
    /// Those created last come first.
    fn default() -> Self {
        Self { by: SortBy::CreatedAt, order: Order::Descending }
    }
}

impl Sort {
    /// Reads a `sort_by`: `"_created_at desc"`, `"_updated_at"` (which is `desc`) or `{"_updated_at": "asc"}`. Null is
    /// the default. Blanks around the words do not matter.
    ///
    /// # Errors
    /// 400 saying what it may be and what it is.
    pub fn parse(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Null => Ok(Self::default()),
            Value::String(text) => {
                let mut words = text.split_whitespace();
                let by = words.next().and_then(SortBy::of_name);
                let order = words.next().map_or(Some(Order::Descending), Order::of_word);
                match (by, order, words.next()) {
                    (Some(by), Some(order), None) => Ok(Self { by, order }),
                    _ => Err(unknown(&quoted(text))),
                }
            }
            Value::Object(members) => {
                let mut members = members.iter();
                let (Some((name, direction)), None) = (members.next(), members.next()) else {
                    return Err(Problem::bad_request(
                        "sort_by must have exactly one member, \"_created_at\" or \"_updated_at\"",
                    ));
                };
                let by = SortBy::of_name(name).ok_or_else(|| unknown(&quoted(name)))?;
                let order = direction.as_str().and_then(Order::of_word).ok_or_else(|| {
                    let given = direction.as_str().map_or_else(|| kind_of(direction).to_owned(), quoted);
                    Problem::bad_request(format!("sort_by.{name} must be \"asc\" or \"desc\", not {given}"))
                })?;
                Ok(Self { by, order })
            }
            _ => Err(unknown(kind_of(value))),
        }
    }
}

fn unknown(given: &str) -> Problem {
    Problem::bad_request(format!(
        "sort_by must be \"_created_at\" or \"_updated_at\", with \"asc\" or \"desc\" behind it or not, not {given}"
    ))
}
