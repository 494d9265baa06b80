//! Object types and relationship types: the rules that records follow.

pub mod indexes;
mod relationships;
mod schema;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::value::RawValue;

pub use self::indexes::Indexes;
pub use self::relationships::{Cardinality, EndType, RelationshipType};
pub use self::schema::{Schema, oversized, sized};
use crate::clock::Clock;
use crate::problem::{Problem, quoted};
use crate::time::Timestamp;
use crate::{limits, timing};

/// The key of an object type or relationship type: 2–32 letters, digits, `_` and `-`, starting with a letter or a
/// digit. Kept as given, compared without regard to case.
#[derive(Clone, Debug)]
pub struct TypeKey {
    given: Arc<str>,
    folded: Arc<str>,
}

impl TypeKey {
    /// Reads the key of a type.
    ///
    /// # Errors
    /// When `text` breaks the rule above.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let begins = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        if !begins || !(2..=32).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err(Problem::unprocessable(format!(
                "key must be 2 to 32 letters, digits, \"_\" and \"-\", starting with a letter or a digit, not {}",
                quoted(text)
            )));
        }
        let given: Arc<str> = text.into();
        let folded = if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            text.to_ascii_lowercase().into()
        } else {
            Arc::clone(&given)
        };
        Ok(Self { given, folded })
    }

    /// The key as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// The key in lower case, in which keys of the database spell it.
    #[must_use]
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

impl PartialEq for TypeKey {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}

impl Eq for TypeKey {}

impl std::hash::Hash for TypeKey {
    fn hash<Hasher: std::hash::Hasher>(&self, state: &mut Hasher) {
        self.folded.hash(state);
    }
}

impl fmt::Display for TypeKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.given)
    }
}

/// The types whose records a job may make, as its items name them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TypesMade {
    /// In lower case. At most as many as an account may have types of a kind.
    keys: BTreeSet<String>,
    /// Whether items name more than that.
    others: bool,
}

impl TypesMade {
    const OTHERS: &'static str = "*";

    /// Notes a type that an item names.
    pub fn note(&mut self, key: &TypeKey) {
        if self.keys.contains(key.folded()) {
            return;
        }
        if self.keys.len() as u64 >= limits::TYPES_PER_ACCOUNT {
            self.others = true;
        } else {
            self.keys.insert(key.folded().to_owned());
        }
    }

    /// Whether the job may make a record of this type. Where no type was noted, it may be any: so it is for a job of an
    /// earlier release.
    #[must_use]
    pub fn may_be_of(&self, key: &TypeKey) -> bool {
        self.others || self.keys.is_empty() || self.keys.contains(key.folded())
    }

    /// The texts in which it is stored: keys in lower case, and `*`, which is no key, where items name more types than
    /// are kept.
    #[must_use]
    pub fn to_texts(&self) -> Vec<String> {
        self.keys.iter().cloned().chain(self.others.then(|| Self::OTHERS.to_owned())).collect()
    }

    /// Reads the texts that [`to_texts`](Self::to_texts) made.
    #[must_use]
    pub fn of_texts(texts: &[String]) -> Self {
        let (others, keys): (Vec<String>, Vec<String>) = texts.iter().cloned().partition(|text| text == Self::OTHERS);
        Self { keys: keys.into_iter().collect(), others: !others.is_empty() }
    }
}

/// The mark on a type that is being deleted: a time, and a random number that tells it from other marks. Whoever is
/// about to make a record of the type waits until the mark is gone, or the type; and a deletion that finds its own mark
/// gone deletes nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeletionMark(String);

impl DeletionMark {
    /// A new mark, different from all others.
    #[must_use]
    pub fn new(clock: &Clock) -> Self {
        Self(format!("{:013}#{}", clock.now().as_millis(), u64::from_le_bytes(clock.random())))
    }

    /// The mark that was stored as `text`.
    #[must_use]
    pub const fn kept(text: String) -> Self {
        Self(text)
    }

    /// The text in which the mark is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether its deletion may still be going on. A deletion is one request, which a function ends within half a minute, so a mark that
    /// is older was left by one that died: see [`timing::DELETION`].
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        let made_at = self.0.split('#').next().and_then(|millis| millis.parse().ok()).unwrap_or(0);
        let lapses = Timestamp::from_millis(made_at).plus_millis(timing::DELETION.as_secs() * 1_000);
        now < lapses
    }
}

/// A named JSON schema that object records follow.
#[derive(Clone, Debug)]
pub struct ObjectType {
    pub key: TypeKey,
    pub schema: Schema,
    /// 1 when defined, and one more with each new schema.
    pub version: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// An object type as it was defined and is shown: with its schema as text, which is not compiled.
#[derive(Clone, Debug)]
pub struct ObjectTypeDefinition {
    pub key: TypeKey,
    /// As compact JSON.
    pub schema: String,
    /// 1 when defined, and one more with each new schema.
    pub version: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The mark of the deletion that is under way; `None` where there is none.
    pub deletion: Option<DeletionMark>,
    /// The indexes that its schema asks for: whoever writes a record of it writes their entries.
    pub indexes: Indexes,
    /// The indexes that have an entry of each record, so that a search may rely on them.
    pub filled: Indexes,
}

impl ObjectTypeDefinition {
    /// A type that is defined now. It has no records yet, so all its indexes are filled.
    #[must_use]
    pub fn new(key: TypeKey, schema: &Schema, now: Timestamp) -> Self {
        let indexes = schema.indexes().clone();
        Self {
            key,
            schema: schema.as_str().to_owned(),
            version: 1,
            created_at: now,
            updated_at: now,
            deletion: None,
            filled: indexes.clone(),
            indexes,
        }
    }

    /// The type with its schema compiled.
    #[must_use]
    pub fn with(&self, schema: Schema) -> ObjectType {
        let Self { version, created_at, updated_at, .. } = *self;
        ObjectType { key: self.key.clone(), schema, version, created_at, updated_at }
    }
}

impl Serialize for ObjectTypeDefinition {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = schema::shown(&self.schema);
        let schema: &RawValue = serde_json::from_str(&shown).map_err(serde::ser::Error::custom)?;
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("key", self.key.as_str())?;
        members.serialize_entry("schema", schema)?;
        members.serialize_entry("version", &self.version)?;
        members.serialize_entry("created_at", &format_args!("{}", self.created_at.in_millis()))?;
        members.serialize_entry("updated_at", &format_args!("{}", self.updated_at.in_millis()))?;
        // Clients that know no indexes never see the member.
        if !self.indexes.is_empty() {
            members.serialize_entry("indexes", &self.indexes.shown(&self.filled))?;
        }
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_keeps_its_case_and_is_compared_without() {
        let key = TypeKey::parse("Product-2_x").unwrap();
        assert_eq!((key.as_str(), key.folded()), ("Product-2_x", "product-2_x"));
        assert_eq!(key, TypeKey::parse("PRODUCT-2_X").unwrap());
        assert_ne!(key, TypeKey::parse("product-2_y").unwrap());
        let hash = |key: &TypeKey| std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::new().hash_one(key);
        assert_eq!(hash(&key), hash(&TypeKey::parse("PRODUCT-2_X").unwrap()));
        assert_ne!(hash(&key), hash(&TypeKey::parse("product-2_y").unwrap()), "or all keys would be in one bucket");
        for bad in ["", "a", "-ab", "_ab", "a b", "aä", "a#b", &"a".repeat(33)] {
            assert!(TypeKey::parse(bad).is_err(), "{bad}");
        }
        // As published.
        assert_eq!(TypeKey::parse("2019-car").unwrap().as_str(), "2019-car");
    }

    #[test]
    fn an_object_type_shows_its_indexes_where_it_has_any() {
        let defined = |indexed: serde_json::Value| {
            let schema = json!({"properties": {"name": {"type": "string"}}, "x-indexed": indexed});
            let schema = Schema::parse(&schema).unwrap();
            ObjectTypeDefinition::new(TypeKey::parse("product").unwrap(), &schema, Timestamp::default())
        };
        let plain = serde_json::to_value(defined(json!([]))).unwrap();
        assert!(plain.get("indexes").is_none(), "{plain}");
        let indexed = serde_json::to_value(defined(json!(["name"]))).unwrap();
        assert_eq!(indexed["indexes"], json!([{"name": "name", "ready": true}]));
        assert_eq!((&indexed["key"], &indexed["version"]), (&json!("product"), &json!(1)));
    }

    #[test]
    fn the_brackets_around_the_ends_are_the_cardinality_and_are_given_back() {
        let parse = |data| RelationshipType::parse(&data, Timestamp::default());
        let (user, users, product, products) =
            (json!("zen:user"), json!(["zen:user"]), json!("Product"), json!(["Product"]));
        for (source, target, cardinality) in [
            (&user, &product, Cardinality::OneToOne),
            (&user, &products, Cardinality::OneToMany),
            (&users, &product, Cardinality::ManyToOne),
            (&users, &products, Cardinality::ManyToMany),
        ] {
            let defined = parse(json!({"key": "owns", "source": source, "target": target})).unwrap();
            assert_eq!(defined.cardinality, cardinality);
            let shown = serde_json::to_value(&defined).unwrap();
            assert_eq!((&shown["source"], &shown["target"]), (source, target));
        }
        let names = [Cardinality::OneToOne, Cardinality::OneToMany, Cardinality::ManyToOne, Cardinality::ManyToMany];
        assert_eq!(names.map(|name| name.to_string()), ["one-to-one", "one-to-many", "many-to-one", "many-to-many"]);
        for (data, word) in [
            (json!({"key": "owns", "source": [], "target": "ab"}), "source"),
            (json!({"key": "owns", "source": ["ab", "ab"], "target": "ab"}), "source"),
            (json!({"key": "owns", "source": [1], "target": "ab"}), "source"),
            (json!({"key": "owns", "source": {}, "target": "ab"}), "source"),
            (json!({"source": "ab", "target": "ab"}), "key"),
            (json!({"key": "owns", "target": "ab"}), "source"),
            (json!({"key": "owns", "source": "ab"}), "target"),
            (json!({"key": "owns", "source": "ab", "target": []}), "target"),
            (json!({"key": "owns", "source": "ab", "target": ["ab", "cd"]}), "target"),
            (json!({"key": "owns", "source": "zen:", "target": "ab"}), "source"),
            (json!({"key": "owns", "source": "ab", "target": "a b"}), "target"),
        ] {
            let detail = parse(data).unwrap_err().detail;
            assert!(detail.contains(word), "{detail:?} names {word:?}");
        }
    }

    #[test]
    fn the_types_that_a_job_may_make_are_noted_up_to_a_bound_and_read_back() {
        let key = |text: &str| TypeKey::parse(text).unwrap();
        let mut made = TypesMade::default();
        assert!(made.may_be_of(&key("product")), "of a job that noted nothing");
        for text in ["Product", "PRODUCT", "shop"] {
            made.note(&key(text));
        }
        assert_eq!(made.to_texts(), ["product", "shop"]);
        assert!(made.may_be_of(&key("pRoduct")) && !made.may_be_of(&key("user")));
        assert_eq!(TypesMade::of_texts(&made.to_texts()), made);
        for number in 0..60 {
            made.note(&key(&format!("type{number}")));
        }
        assert_eq!(made.to_texts().len(), 51);
        assert!(made.may_be_of(&key("user")), "it may be among the others");
        assert_eq!(TypesMade::of_texts(&made.to_texts()), made);
    }

    #[test]
    fn a_mark_lapses_when_its_deletion_cannot_be_going_on_any_more() {
        let clock = Clock::manual(Timestamp::from_millis(1_509_724_806_123), 1);
        let mark = DeletionMark::new(&clock);
        assert_ne!(mark, DeletionMark::new(&clock));
        assert!(DeletionMark::kept(mark.as_str().to_owned()).is_in_force(clock.now()));
        clock.advance(timing::DELETION.as_secs() * 1_000 - 1);
        assert!(mark.is_in_force(clock.now()));
        clock.advance(1);
        assert!(!mark.is_in_force(clock.now()));
        assert!(!DeletionMark::kept("of nobody".to_owned()).is_in_force(clock.now()));
    }

    #[test]
    fn an_id_kept_elsewhere_belongs_to_its_kind() {
        let longest = format!("zen:{}", "u".repeat(32));
        assert_eq!(EndType::parse("source", &longest), Ok(EndType::Elsewhere(longest.clone())));
        assert_eq!(EndType::parse("source", "zen:help_desk"), Ok(EndType::Elsewhere("zen:help_desk".to_owned())));
        for bad in ["zen:", "zen:User", "zen:user1", "zen:u:v", &(longest + "u")] {
            assert!(EndType::parse("source", bad).is_err(), "{bad}");
        }
        let user = EndType::parse("source", "zen:user").unwrap();
        assert!(user.owns_elsewhere("zen:user:123"));
        for other in ["zen:user:", "zen:user", "zen:users:1", "zen:ticket:1", "zen:user:a b"] {
            assert!(!user.owns_elsewhere(other), "{other}");
        }
    }
}
