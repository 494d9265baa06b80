//! Records and the rows that hold them.

pub mod applied;

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::account::AccountId;
use crate::job::JobId;
use crate::problem::{Problem, quoted};
use crate::record::applied::AppliedWrites;
use crate::time::Timestamp;
use crate::types::indexes::Entries;
use crate::types::{Cardinality, EndType, TypeKey};

/// A record's id. It follows from what must be unique about the record, so that the database's own "this key does not
/// exist yet" is the uniqueness check.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecordId(Uuid);

impl RecordId {
    /// The id of the object record with this external id.
    #[must_use]
    pub fn of_external_id(account: &AccountId, object_type: &TypeKey, external_id: &str) -> Self {
        Self::of(["object", account.as_str(), object_type.folded(), &folded_external_id(external_id)])
    }

    /// The id of an object record without an external id: the same item of the same job always makes the same one.
    #[must_use]
    pub fn of_item(account: &AccountId, job: JobId, position: u32) -> Self {
        Self::of(["item", account.as_str(), &job.to_string(), &position.to_string()])
    }

    /// The id of a relationship record: of its source alone where a source has one target, else of the pair.
    #[must_use]
    pub fn of_relationship(
        account: &AccountId,
        relationship_type: &TypeKey,
        cardinality: Cardinality,
        source: &str,
        target: &str,
    ) -> Self {
        let account = account.as_str();
        // Stored records depend on both words.
        if cardinality.many_targets() {
            Self::of(["one-to-many", account, relationship_type.folded(), source, target])
        } else {
            Self::of(["one-to-one", account, relationship_type.folded(), source])
        }
    }

    /// The id that `text` spells; `None` when it spells no UUID.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// Appends the id as text, without the machinery of formatting: half of the time in which the results of a job are written went there.
    pub(crate) fn append_to(self, json: &mut Vec<u8>) {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        json.extend_from_slice(self.0.as_hyphenated().encode_lower(&mut text).as_bytes());
    }

    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Each part goes in with its length before it, so that no two lists of parts read the same.
    fn of<const N: usize>(parts: [&str; N]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// An external id as it is compared: in Unicode lower case.
pub(crate) fn folded_external_id(external_id: &str) -> String {
    external_id.to_lowercase()
}

impl fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(formatter)
    }
}

/// An object record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObjectRecord {
    pub id: RecordId,
    pub object_type: TypeKey,
    /// As the client gave it; never changed by an update.
    pub external_id: Option<String>,
    /// Compact JSON of an object.
    pub attributes: String,
    pub created_at: Timestamp,
    /// The position of the item that made it; `None` for a record made before positions were kept.
    pub position: Option<u32>,
    pub updated_at: Timestamp,
    /// The version of its type that its attributes were last checked against.
    pub type_version: u64,
    /// How many relationship records have it as an end. A relationship is written in one transaction with the counts
    /// of its ends, and a record that has any is not deleted: so no relationship ever dangles.
    pub links: u64,
    /// Its entries in the indexes of its type; `None` where the type has no index, as most have none.
    pub entries: Option<Box<Entries>>,
}

impl Serialize for ObjectRecord {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attributes: &RawValue = serde_json::from_str(&self.attributes).map_err(serde::ser::Error::custom)?;
        let mut members = serializer.serialize_map(Some(7))?;
        members.serialize_entry("type", self.object_type.as_str())?;
        members.serialize_entry("id", &format_args!("{}", self.id))?;
        members.serialize_entry("external_id", &self.external_id)?;
        members.serialize_entry("attributes", attributes)?;
        members.serialize_entry("created_at", &format_args!("{}", self.created_at.in_millis()))?;
        members.serialize_entry("updated_at", &format_args!("{}", self.updated_at.in_millis()))?;
        members.serialize_entry("type_version", &self.type_version)?;
        members.end()
    }
}

/// A relationship record: one link from a source to a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RelationshipRecord {
    pub id: RecordId,
    pub relationship_type: TypeKey,
    pub source: End,
    pub target: End,
    pub created_at: Timestamp,
    /// The position of the item that made it; `None` for a record made before positions were kept.
    pub position: Option<u32>,
}

impl Serialize for RelationshipRecord {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(Some(5))?;
        members.serialize_entry("id", &format_args!("{}", self.id))?;
        members.serialize_entry("relationship_type", self.relationship_type.as_str())?;
        members.serialize_entry("source", &format_args!("{}", self.source))?;
        members.serialize_entry("target", &format_args!("{}", self.target))?;
        members.serialize_entry("created_at", &format_args!("{}", self.created_at.in_millis()))?;
        members.end()
    }
}

/// One end of a relationship record: its source or its target.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum End {
    /// An object record of this account.
    Object(RecordId),
    /// The id of something kept elsewhere, such as `zen:user:123`: it is not looked up.
    Elsewhere(String),
}

impl End {
    /// The end that `text` spells. A text that is neither a UUID nor starts with `zen:` is the id of no record.
    ///
    /// # Errors
    /// When it is neither, or too long; the problem names the `member`.
    pub fn parse(member: &str, text: &str) -> Result<Self, Problem> {
        const LONGEST: usize = 200;
        if text.starts_with("zen:") && text.len() <= LONGEST {
            return Ok(Self::Elsewhere(text.to_owned()));
        }
        RecordId::parse(text).map(Self::Object).ok_or_else(|| missing_end(member, text))
    }

    /// The id of the object record that has to exist; `None` for an end that is kept elsewhere.
    #[must_use]
    pub const fn object(&self) -> Option<RecordId> {
        match self {
            Self::Object(id) => Some(*id),
            Self::Elsewhere(_) => None,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(id) => id.fmt(formatter),
            Self::Elsewhere(id) => formatter.write_str(id),
        }
    }
}

/// An end of a relationship as an item names it: by its id, or by the type and the external id of a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EndName<'json> {
    Given(End),
    /// The object record of this type with this external id.
    ByExternalId {
        object_type: TypeKey,
        external_id: Cow<'json, str>,
    },
}

impl EndName<'_> {
    /// The end that it names in this account. Nothing is looked up: an external id leads to one id.
    #[must_use]
    pub fn of(&self, account: &AccountId) -> End {
        match self {
            Self::Given(end) => end.clone(),
            Self::ByExternalId { object_type, external_id } => {
                End::Object(RecordId::of_external_id(account, object_type, external_id))
            }
        }
    }

    /// The problem (422) that there is no such record.
    #[must_use]
    pub fn missing(&self, member: &str) -> Problem {
        match self {
            Self::Given(end) => missing_end(member, &end.to_string()),
            Self::ByExternalId { object_type, external_id } => Problem::unprocessable(format!(
                "{member} does not exist: no record of type {object_type} has the external id {}",
                quoted(external_id)
            )),
        }
    }

    /// The problem (422) that the end is not of the type that the relationship type wants there.
    #[must_use]
    pub fn wrong(&self, member: &str, wanted: &EndType) -> Problem {
        Problem::unprocessable(match self {
            Self::Given(end) => {
                format!("{member} {} is not of type {wanted}", quoted(&end.to_string()))
            }
            Self::ByExternalId { object_type, .. } => {
                format!("{member} is of type {object_type}, not of type {wanted}")
            }
        })
    }
}

/// The problem (422) that an end is no record of the account.
#[must_use]
pub fn missing_end(member: &str, id: &str) -> Problem {
    Problem::unprocessable(format!("{member} {} does not exist", quoted(id)))
}

/// A row of the records table: what it holds now, how often it was written, and the marks of its latest writes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// Counts the writes of this key, tombstones and changes of `links` included: it only grows while the row lives,
    /// and every write is conditional on the version that its writer read.
    pub version: u64,
    pub applied: AppliedWrites,
    pub state: State,
}

/// What a row holds: a record, or the tombstone of one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    Object(ObjectRecord),
    Relationship(RelationshipRecord),
    /// Deleted: reads treat it as absent, a create may overwrite it, and it keeps the marks of what was applied.
    Tombstone,
}

impl Row {
    /// The object record that the row holds, if it holds one.
    #[must_use]
    pub const fn object(&self) -> Option<&ObjectRecord> {
        match &self.state {
            State::Object(record) => Some(record),
            State::Relationship(_) | State::Tombstone => None,
        }
    }

    /// The relationship record that the row holds, if it holds one.
    #[must_use]
    pub const fn relationship(&self) -> Option<&RelationshipRecord> {
        match &self.state {
            State::Relationship(record) => Some(record),
            State::Object(_) | State::Tombstone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str) -> AccountId {
        AccountId::parse(id).unwrap()
    }

    fn key(text: &str) -> TypeKey {
        TypeKey::parse(text).unwrap()
    }

    #[test]
    fn an_external_id_leads_to_one_id_whatever_its_case() {
        let id = |account_id, object_type, external_id| {
            RecordId::of_external_id(&account(account_id), &key(object_type), external_id)
        };
        assert_eq!(id("a", "product", "Straße-Ü"), id("a", "Product", "straße-ü"));
        assert_ne!(id("a", "product", "3"), id("b", "product", "3"));
        assert_ne!(id("a", "product", "3"), id("a", "products", "3"));
        assert_ne!(id("a", "product", "3"), id("a", "product", "03"));
        // A sigma is small in one way at the end of a word and in another elsewhere, and a large one becomes either: the two
        // small ones differ. Whatever one thinks of it, it stays so: stored records depend on it.
        assert_eq!(id("a", "product", "ΑΣ"), id("a", "product", "ας"));
        assert_ne!(id("a", "product", "ΑΣ"), id("a", "product", "ασ"));
        // Stored records depend on it: this value must never change.
        assert_eq!(id("local", "product", "3").to_string(), "40e83a4e-8438-8bb9-8f6f-51124535ce9f");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(RecordId::of(["ab", "c"]), RecordId::of(["a", "bc"]));
    }

    #[test]
    fn a_relationship_to_one_target_is_its_source_and_one_of_many_its_pair() {
        let id = |cardinality, target| {
            RecordId::of_relationship(&account("a"), &key("owns"), cardinality, "zen:user:1", target)
        };
        for one in [Cardinality::OneToOne, Cardinality::ManyToOne] {
            assert_eq!(id(one, "zen:ticket:1"), id(one, "zen:ticket:2"));
        }
        for many in [Cardinality::OneToMany, Cardinality::ManyToMany] {
            assert_ne!(id(many, "zen:ticket:1"), id(many, "zen:ticket:2"));
        }
    }

    const UUID: &str = "40e83a4e-8438-8bb9-8f6f-51124535ce9f";

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = RecordId::parse(UUID).unwrap();
        assert_eq!(id, RecordId::of_external_id(&account("local"), &key("product"), "3"));
        assert_eq!(id.to_string(), UUID);
        let mut json = Vec::new();
        id.append_to(&mut json);
        assert_eq!(json, UUID.as_bytes());
        for text in ["", "3", "zen:user:1", &UUID[1..]] {
            assert_eq!(RecordId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_end_is_a_record_or_something_kept_elsewhere_of_at_most_200_bytes() {
        let record = End::parse("source", UUID).unwrap();
        assert_eq!(record, End::Object(RecordId::parse(UUID).unwrap()));
        assert_eq!(record.object(), RecordId::parse(UUID));
        assert_eq!(record.to_string(), UUID);

        let longest = format!("zen:{}", "x".repeat(196));
        let elsewhere = End::parse("source", &longest).unwrap();
        assert_eq!(elsewhere, End::Elsewhere(longest.clone()));
        assert_eq!(elsewhere.object(), None);
        assert_eq!(elsewhere.to_string(), longest);

        for text in [&format!("{longest}x"), "zem:user:1", "user 1", ""] {
            let problem = End::parse("target", text).unwrap_err();
            assert_eq!(problem, missing_end("target", text));
            assert!(problem.detail.starts_with("target "), "{}", problem.detail);
        }
    }

    #[test]
    fn a_row_gives_the_record_that_it_holds_and_no_other() {
        let (id, at) = (RecordId::parse(UUID).unwrap(), Timestamp::default());
        let object = ObjectRecord {
            id,
            object_type: key("product"),
            external_id: None,
            attributes: "{}".to_owned(),
            created_at: at,
            position: None,
            updated_at: at,
            type_version: 1,
            links: 0,
            entries: None,
        };
        let relationship = RelationshipRecord {
            id,
            relationship_type: key("owns"),
            source: End::Object(id),
            target: End::Elsewhere("zen:user:1".to_owned()),
            created_at: at,
            position: None,
        };
        let row = |state| Row { version: 1, applied: AppliedWrites::default(), state };
        let held = row(State::Object(object.clone()));
        assert_eq!((held.object(), held.relationship()), (Some(&object), None));
        let held = row(State::Relationship(relationship.clone()));
        assert_eq!((held.object(), held.relationship()), (None, Some(&relationship)));
        let held = row(State::Tombstone);
        assert_eq!((held.object(), held.relationship()), (None, None));
    }
}
