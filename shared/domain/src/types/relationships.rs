//! Types of relationships: what may stand at each end, and how many.

use std::fmt;

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::Value;

use super::{DeletionMark, TypeKey};
use crate::problem::{Problem, quoted};
use crate::time::Timestamp;

/// The cardinality of a relationship type: one or many sources, and one or many targets, where brackets around an end
/// say many. Only the targets of a source are limited: whether several sources have one target is said and not
/// enforced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cardinality {
    OneToOne,
    OneToMany,
    ManyToOne,
    ManyToMany,
}

impl Cardinality {
    /// The cardinality of a type by which of its ends are named in brackets.
    #[must_use]
    pub const fn of(many_sources: bool, many_targets: bool) -> Self {
        match (many_sources, many_targets) {
            (false, false) => Self::OneToOne,
            (false, true) => Self::OneToMany,
            (true, false) => Self::ManyToOne,
            (true, true) => Self::ManyToMany,
        }
    }

    /// Whether the source is named in brackets.
    #[must_use]
    pub const fn many_sources(self) -> bool {
        matches!(self, Self::ManyToOne | Self::ManyToMany)
    }

    /// Whether the target is named in brackets. Where it is not, a source has at most one target.
    #[must_use]
    pub const fn many_targets(self) -> bool {
        matches!(self, Self::OneToMany | Self::ManyToMany)
    }
}

impl fmt::Display for Cardinality {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::OneToOne => "one-to-one",
            Self::OneToMany => "one-to-many",
            Self::ManyToOne => "many-to-one",
            Self::ManyToMany => "many-to-many",
        })
    }
}

/// The type of one end of a relationship type: what may stand there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EndType {
    /// Records of this object type.
    Object(TypeKey),
    /// Things kept elsewhere, `zen:user`; their ids are `zen:user:123`.
    Elsewhere(String),
}

impl EndType {
    /// Reads the type of an end.
    ///
    /// # Errors
    /// When `text` is neither `zen:` and a name nor an object type key; the problem names the `member`.
    pub fn parse(member: &str, text: &str) -> Result<Self, Problem> {
        if let Some(name) = text.strip_prefix("zen:") {
            let allowed = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            if name.is_empty() || name.len() > 32 || !name.bytes().all(allowed) {
                return Err(Problem::unprocessable(format!(
                    "{member} must be an object type key or \"zen:\" and a name such as \"zen:user\", not {}",
                    quoted(text)
                )));
            }
            return Ok(Self::Elsewhere(text.to_owned()));
        }
        TypeKey::parse(text).map(Self::Object).map_err(|_| {
            Problem::unprocessable(format!(
                "{member} must be an object type key or start with \"zen:\", not {}",
                quoted(text)
            ))
        })
    }

    /// Whether `id` is the id of a thing of this kind that is kept elsewhere.
    #[must_use]
    pub fn owns_elsewhere(&self, id: &str) -> bool {
        match self {
            Self::Object(_) => false,
            Self::Elsewhere(kind) => {
                id.strip_prefix(kind.as_str()).and_then(|rest| rest.strip_prefix(':')).is_some_and(|rest| {
                    (1..=128).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_graphic())
                })
            }
        }
    }
}

impl fmt::Display for EndType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(key) => key.fmt(formatter),
            Self::Elsewhere(kind) => formatter.write_str(kind),
        }
    }
}

/// A relationship type: a named pair of a source type and a target type. It never changes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RelationshipType {
    pub key: TypeKey,
    pub source: EndType,
    pub target: EndType,
    pub cardinality: Cardinality,
    pub created_at: Timestamp,
    /// The mark of the deletion that is under way; `None` where there is none.
    pub deletion: Option<DeletionMark>,
}

impl RelationshipType {
    /// Reads the `data` of a request: `{key, source, target}`. Either end is a string, or an array of one string where there
    /// may be many.
    ///
    /// # Errors
    /// When a member is missing, of the wrong kind or breaks its rule.
    pub fn parse(data: &Value, created_at: Timestamp) -> Result<Self, Problem> {
        let key = data.get("key").and_then(Value::as_str);
        let key = key.ok_or_else(|| Problem::unprocessable("key is required and must be a string"))?;
        let key = TypeKey::parse(key)?;
        let (source, many_sources) = end_type_of(data, "source")?;
        let (target, many_targets) = end_type_of(data, "target")?;
        Ok(Self {
            key,
            source,
            target,
            cardinality: Cardinality::of(many_sources, many_targets),
            created_at,
            deletion: None,
        })
    }
}

/// What stands at one end of a definition, and whether it is in brackets.
fn end_type_of(data: &Value, member: &str) -> Result<(EndType, bool), Problem> {
    let (text, many) = match data.get(member) {
        Some(Value::String(text)) => (text, false),
        Some(Value::Array(texts)) => match texts.as_slice() {
            [Value::String(text)] => (text, true),
            _ => {
                let detail = format!("{member} must be a string or an array of exactly one string");
                return Err(Problem::unprocessable(detail));
            }
        },
        _ => {
            let detail = format!("{member} is required and must be a string or an array of one string");
            return Err(Problem::unprocessable(detail));
        }
    };
    Ok((EndType::parse(member, text)?, many))
}

/// An end of a type as it was defined: in brackets or not.
struct Shown<'end>(&'end EndType, bool);

impl Serialize for Shown<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.1 { [self.0.to_string()].serialize(serializer) } else { serializer.collect_str(self.0) }
    }
}

impl Serialize for RelationshipType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let created_at = self.created_at.in_millis().to_string();
        let mut members = serializer.serialize_map(Some(5))?;
        members.serialize_entry("key", self.key.as_str())?;
        members.serialize_entry("source", &Shown(&self.source, self.cardinality.many_sources()))?;
        members.serialize_entry("target", &Shown(&self.target, self.cardinality.many_targets()))?;
        members.serialize_entry("created_at", &created_at)?;
        // It never changes.
        members.serialize_entry("updated_at", &created_at)?;
        members.end()
    }
}
