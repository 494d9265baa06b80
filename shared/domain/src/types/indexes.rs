//! Indexes that an object type asks for in its schema's `x-indexed`, and where a record stands in them.
//!
//! A type may have indexes of [`INDEXED_ATTRIBUTES`](limits::INDEXED_ATTRIBUTES) attributes and one of the last update. Each attribute has a
//! *slot*, its position in the list: slots are what the database has indexes of, and a slot's entries say which attribute they are of,
//! so that what an earlier list left in a slot is never taken for what a later one means by it.
//!
//! An entry holds the value as a search compares it without regard to case, cut to [`VALUE_BYTES`]: it leads to every record that
//! may match, and to some that do not. The search looks at the records themselves.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::limits;
use crate::problem::{Problem, quoted};
use crate::query::{Scalar, attribute_at, folded};

/// How many attributes a type may have indexes of: as many indexes as the records table has for them.
pub const SLOTS: usize = limits::INDEXED_ATTRIBUTES;

/// Most bytes of a value that an entry holds. With the attribute's name and the record's place it stays within the
/// 1,024 bytes that the database takes for a sort key: 255 + 1 + 1 + 512 + 1 + 56 = 826.
pub const VALUE_BYTES: usize = 512;

/// Bytes of the path of an attribute that can be indexed.
const PATH_BYTES: usize = 255;

/// The name by which a type asks for the index of the last update.
pub const UPDATED_AT: &str = "_updated_at";

/// The member of a schema that names what is to be indexed.
const MEMBER: &str = "x-indexed";

/// What parts an entry. Values hold it in no place: there it is written as the character before it.
const SEPARATOR: char = '\u{1f}';

/// The indexes of an object type.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Indexes {
    /// The path of the attribute that each slot is of.
    slots: [Option<String>; SLOTS],
    /// Whether there is one of the last update.
    updated_at: bool,
}

impl Indexes {
    /// Reads `x-indexed` of a schema: a list of properties, of paths that begin with one (`address.city`), and of `_updated_at`.
    ///
    /// # Errors
    /// When it is no such list, names anything twice, or more attributes than a type may index.
    pub fn of_schema(schema: &Map<String, Value>) -> Result<Self, Problem> {
        let names = match schema.get(MEMBER) {
            None => return Ok(Self::default()),
            Some(Value::Array(names)) => names,
            Some(_) => return Err(Problem::unprocessable(format!("schema.{MEMBER} must be an array of strings"))),
        };
        let mut indexes = Self::default();
        let mut used = 0;
        for name in names {
            let Value::String(name) = name else {
                return Err(Problem::unprocessable(format!("schema.{MEMBER} must be an array of strings")));
            };
            if indexes.slot(name).is_some() || (name == UPDATED_AT && indexes.updated_at) {
                return Err(Problem::unprocessable(format!("schema.{MEMBER} names {} twice", quoted(name))));
            }
            if name == UPDATED_AT {
                indexes.updated_at = true;
                continue;
            }
            let property = |name: &str| schema.get("properties").and_then(|properties| properties.get(name)).is_some();
            // A property's own name may have dots in it.
            let mut beginnings = name.match_indices('.').map(|(dot, _)| &name[..dot]);
            if !property(name) && !beginnings.any(property) {
                return Err(Problem::unprocessable(format!(
                    "schema.{MEMBER} names {}, which schema.properties does not define",
                    quoted(name)
                )));
            }
            if name.len() > PATH_BYTES || name.contains(SEPARATOR) {
                return Err(Problem::unprocessable(format!(
                    "schema.{MEMBER} names {}: a name may have at most {PATH_BYTES} bytes and no control character",
                    quoted(name)
                )));
            }
            if used == SLOTS {
                return Err(Problem::unprocessable(format!(
                    "schema.{MEMBER} may name at most {SLOTS} attributes, beside {UPDATED_AT}"
                )));
            }
            indexes.slots[used] = Some(name.clone());
            used += 1;
        }
        Ok(indexes)
    }

    /// The text in which the indexes are stored: JSON.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the text that [`to_text`](Self::to_text) made; `None` for any other.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether the type has no index.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the type has an index of the last update.
    #[must_use]
    pub const fn has_updated_at(&self) -> bool {
        self.updated_at
    }

    /// The slot of the attribute at `path`; `None` where it has no index.
    #[must_use]
    pub fn slot(&self, path: &str) -> Option<usize> {
        self.slots.iter().position(|slot| slot.as_deref() == Some(path))
    }

    /// The paths of the attributes that have an index.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().flatten().map(String::as_str)
    }

    /// The indexes as a type shows them, each with whether searches use it, which they do once it is among the
    /// `filled`.
    #[must_use]
    pub(super) fn shown(&self, filled: &Self) -> Vec<ShownIndex<'_>> {
        let attributes =
            self.paths().map(|path| ShownIndex { name: path, ready: self.slot(path) == filled.slot(path) });
        let updated_at = self.updated_at.then_some(ShownIndex { name: UPDATED_AT, ready: filled.updated_at });
        attributes.chain(updated_at).collect()
    }

    /// The indexes that `wanted` has, too, and in the same slot.
    #[must_use]
    pub fn kept_by(&self, wanted: &Self) -> Self {
        let mut kept = self.clone();
        for (slot, wanted) in kept.slots.iter_mut().zip(&wanted.slots) {
            if slot != wanted {
                *slot = None;
            }
        }
        kept.updated_at &= wanted.updated_at;
        kept
    }

    /// The entries of a record with these attributes.
    #[must_use]
    pub fn entries_of(&self, attributes: &Value) -> Entries {
        let entry = |slot: &Option<String>| {
            let path = slot.as_deref()?;
            Some(value_key(path, &Scalar::of(attribute_at(attributes, path)?)?))
        };
        Entries { slots: self.slots.each_ref().map(entry), updated_at: self.updated_at, are_stale: false }
    }
}

/// An index as a type shows it.
#[derive(Serialize)]
pub(super) struct ShownIndex<'type_> {
    name: &'type_ str,
    ready: bool,
}

/// A record's entries in the indexes of its type.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Entries {
    /// The beginning of the entry in each slot: the attribute and its value. `None` where the attribute has no value,
    /// or an array or an object.
    pub slots: [Option<String>; SLOTS],
    /// Whether the record has an entry in the index of the last update.
    pub updated_at: bool,
    /// Whether one of the entries, as they were read from a row, leads to another place than the record's. Such entries
    /// never equal those that a record is to have.
    pub are_stale: bool,
}

impl Entries {
    /// The indexes in which the record has an entry.
    #[must_use]
    pub fn held(&self) -> Held {
        Held { slots: self.slots.each_ref().map(Option::is_some), updated_at: self.updated_at }
    }
}

/// The indexes in which a record has an entry, as a flag for each.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Held {
    pub slots: [bool; SLOTS],
    pub updated_at: bool,
}

/// The beginning of each entry of a record whose attribute at `path` has this value. It ends where the record's place
/// begins, and other values share it only where they differ by case alone, or behind [`VALUE_BYTES`].
#[must_use]
pub fn value_key(path: &str, value: &Scalar) -> String {
    let mut key = match value.to_value() {
        Value::String(text) => text_key(path, &folded(&text)),
        other => format!("{path}{SEPARATOR}{}{other}", if other.is_boolean() { 'b' } else { 'n' }),
    };
    key.push(SEPARATOR);
    key
}

/// The beginning of each entry of a record whose attribute at `path` is a text that, once folded, begins with `folded`.
#[must_use]
pub fn text_key(path: &str, folded: &str) -> String {
    let cut = &folded[..folded.floor_char_boundary(VALUE_BYTES)];
    // Nothing that a client sends can end a value before its end.
    format!("{path}{SEPARATOR}t{}", cut.replace(SEPARATOR, "\u{1e}"))
}

/// The place that an entry gives its record in the list of its type; `None` where `entry` is no entry.
#[must_use]
pub fn place_of_entry(entry: &str) -> Option<&str> {
    entry.rsplit_once(SEPARATOR).map(|(_, place)| place)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn indexes(names: &Value) -> Result<Indexes, Problem> {
        let schema = json!({
            "properties": {"name": {}, "size": {}, "a.b": {}, "address": {}, "c": {}, "d": {}, "e": {}},
            "x-indexed": names,
        });
        Indexes::of_schema(schema.as_object().unwrap())
    }

    #[test]
    fn what_a_type_has_indexes_of_is_read_and_kept() {
        let read = indexes(&json!(["name", "_updated_at", "address.city", "a.b"])).unwrap();
        assert_eq!(read.paths().collect::<Vec<_>>(), ["name", "address.city", "a.b"]);
        assert_eq!((read.slot("address.city"), read.slot("size"), read.has_updated_at()), (Some(1), None, true));
        assert_eq!(Indexes::of_text(&read.to_text()), Some(read));
        assert!(Indexes::of_schema(&Map::new()).unwrap().is_empty() && indexes(&json!([])).unwrap().is_empty());
        for some in [json!(["name"]), json!(["_updated_at"])] {
            assert!(!indexes(&some).unwrap().is_empty(), "{some}");
        }
        assert!(!indexes(&json!(["name"])).unwrap().has_updated_at());
    }

    #[test]
    fn an_index_is_shown_as_ready_once_it_is_filled_in_its_slot() {
        let wanted = indexes(&json!(["name", "size", "_updated_at"])).unwrap();
        let shown = |filled: &Value| {
            let filled = indexes(filled).unwrap();
            serde_json::to_value(wanted.shown(&filled)).unwrap()
        };
        let all = |name, size, updated_at| json!([{"name": "name", "ready": name}, {"name": "size", "ready": size}, {"name": "_updated_at", "ready": updated_at}]);
        assert_eq!(shown(&json!([])), all(false, false, false));
        assert_eq!(shown(&json!(["name", "_updated_at"])), all(true, false, true));
        assert_eq!(shown(&json!(["size", "name"])), all(false, false, false), "in other slots");
        assert_eq!(shown(&json!(["name", "size"])), all(true, true, false));
    }

    #[test]
    fn a_record_holds_entries_where_its_attributes_have_values() {
        let indexes = indexes(&json!(["name", "size", "_updated_at"])).unwrap();
        let held = indexes.entries_of(&json!({"size": 1})).held();
        assert_eq!(held, Held { slots: [false, true, false, false, false], updated_at: true });
        assert_eq!(Entries::default().held(), Held::default());
    }

    #[test]
    fn a_list_that_cannot_be_indexed_is_refused_with_the_name() {
        for (names, words) in [
            (json!("name"), "x-indexed must be an array of strings"),
            (json!([1]), "x-indexed must be an array of strings"),
            (json!(["name", "name"]), "names \"name\" twice"),
            (json!(["_updated_at", "_updated_at"]), "names \"_updated_at\" twice"),
            (json!(["colour"]), "names \"colour\", which schema.properties does not define"),
            (json!(["_created_at"]), "names \"_created_at\", which"),
            (json!(["colour.name.a.b"]), "names \"colour.name.a.b\", which"),
            (json!(["colour.name"]), "names \"colour.name\", which"),
            (json!([format!("address.{}", "x".repeat(300))]), "at most 255 bytes"),
            (json!(["address.\u{1f}"]), "no control character"),
            (json!(["name", "size", "a.b", "address", "c", "d"]), "at most 5 attributes"),
        ] {
            let problem = indexes(&names).unwrap_err();
            assert!(problem.detail.contains(words), "{names}: {}", problem.detail);
        }
        assert!(indexes(&json!(["name", "size", "a.b.c", "address", "c", "_updated_at"])).is_ok());
        let longest = format!("address.{}", "x".repeat(255 - "address.".len()));
        assert!(indexes(&json!([longest])).is_ok() && indexes(&json!([longest + "x"])).is_err());
    }

    #[test]
    fn an_index_that_moves_to_another_slot_is_another_index() {
        let three = indexes(&json!(["name", "size", "c", "_updated_at"])).unwrap();
        for (wanted, kept) in [
            (json!(["name", "size", "c", "_updated_at"]), json!(["name", "size", "c", true])),
            (json!(["name", "c"]), json!(["name", null, null, false])),
            (json!(["size", "name", "c", "d"]), json!([null, null, "c", false])),
        ] {
            let wanted = indexes(&wanted).unwrap();
            let is = three.kept_by(&wanted);
            let found = json!([is.slots[0], is.slots[1], is.slots[2], is.updated_at]);
            let kept = kept.as_array().unwrap();
            let expected: Vec<Value> = (0..3).map(|at| kept.get(at).cloned().unwrap_or_default()).collect();
            assert_eq!(found, json!([expected[0], expected[1], expected[2], kept.last()]));
        }
    }

    #[test]
    fn entries_tell_kinds_apart_and_texts_without_regard_to_case() {
        let type_of = indexes(&json!(["name", "size", "address.city", "a.b"])).unwrap();
        let entries = type_of.entries_of(&json!({
            "name": "Ab\u{1f}C", "size": 1.0, "address": {"city": true}, "a.b": [1], "c": "no",
        }));
        assert_eq!(entries.slots[0].as_deref(), Some("name\u{1f}tab\u{1e}c\u{1f}"));
        assert_eq!(entries.slots[1].as_deref(), Some("size\u{1f}n1\u{1f}"));
        assert_eq!(entries.slots[2].as_deref(), Some("address.city\u{1f}btrue\u{1f}"));
        assert_eq!((&entries.slots[3], &entries.slots[4], entries.updated_at), (&None, &None, false));
        assert_eq!(place_of_entry("name\u{1f}tab\u{1f}0001#x"), Some("0001#x"));
        assert_ne!(value_key("a", &Scalar::of(&json!("1")).unwrap()), value_key("a", &Scalar::of(&json!(1)).unwrap()));
    }

    #[test]
    fn a_long_value_is_cut_between_characters_and_stays_within_a_sort_key() {
        for text in ["ä".repeat(600), "x".repeat(513), format!("{}ä", "x".repeat(511))] {
            let key = value_key("name", &Scalar::of(&json!(text)).unwrap());
            assert!(key.len() <= "name".len() + VALUE_BYTES + 3, "{}", key.len());
            assert!(key.starts_with(text_key("name", &folded(&text[..510])).as_str()));
        }
    }
}
