//! Items: elements of a job's `data`, read as its operation wants them; and the same read from a request about one
//! record, which names its record in the path or the query.
//!
//! Reading is shallow: the attributes stay raw JSON until a rule needs them. Accept reads items to group them by
//! record, consume reads them again to apply them.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::account::AccountId;
use crate::job::{JobId, Operation};
use crate::limits;
use crate::problem::{Problem, quoted};
use crate::record::{End, EndName, RecordId, folded_external_id};
use crate::request::json;
use crate::request::members::{NoMembers, kind_of, members};
use crate::types::{Cardinality, TypeKey, oversized};

/// An item whose members are there and of the right kind.
#[derive(Clone, Debug)]
pub enum Item<'json> {
    Create { object_type: TypeKey, external_id: Option<Cow<'json, str>>, attributes: &'json RawValue },
    Update { id: RecordId, attributes: &'json RawValue },
    Set { object_type: TypeKey, external_id: Cow<'json, str>, attributes: &'json RawValue },
    Delete { id: RecordId },
    DeleteByExternalId { object_type: TypeKey, external_id: Cow<'json, str> },
    Relate { relationship_type: TypeKey, source: EndName<'json>, target: EndName<'json> },
    Unrelate { id: RecordId },
}

/// The key that keeps the items of one job in order: see [`Item::ordering_key`].
///
/// An external id stands here as it is, folded, and not as the id that follows from it: that takes a cryptographic hash, which was a
/// fifth of what it took to accept a job. The items of one job name their object records in one of these two ways.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum OrderingKey {
    Record(RecordId),
    ExternalId(String),
}

impl OrderingKey {
    fn of_external_id(object_type: &TypeKey, external_id: &str) -> Self {
        // No type key has this letter in it.
        Self::ExternalId([object_type.folded(), "#", &folded_external_id(external_id)].concat())
    }
}

impl<'json> Item<'json> {
    /// Reads an item as `operation` wants it.
    ///
    /// # Errors
    /// When a member is missing, given twice or of the wrong kind, or when what it names cannot exist.
    pub fn parse(operation: Operation, raw: &'json str) -> Result<Self, Problem> {
        Ok(match operation {
            Operation::CreateObjects => {
                let [object_type, external_id, attributes] = object(raw, ["type", "external_id", "attributes"])?;
                Self::Create {
                    object_type: object_type_key(object_type)?,
                    external_id: match external_id {
                        None => None,
                        Some(raw) if raw.get() == "null" => None,
                        given => Some(external_id_of(given)?),
                    },
                    attributes: attributes_of(attributes)?,
                }
            }
            Operation::UpdateObjects => {
                let [id, attributes] = object(raw, ["id", "attributes"])?;
                Self::Update { id: object_id(&string("id", id)?)?, attributes: attributes_of(attributes)? }
            }
            Operation::SetObjects => {
                let [object_type, external_id, attributes] = object(raw, ["type", "external_id", "attributes"])?;
                Self::Set {
                    object_type: object_type_key(object_type)?,
                    external_id: external_id_of(external_id)?,
                    attributes: attributes_of(attributes)?,
                }
            }
            Operation::DeleteObjects => Self::delete(&bare_id(raw)?)?,
            Operation::DeleteObjectsByExternalId => {
                let [object_type, external_id] = object(raw, ["type", "external_id"])?;
                Self::DeleteByExternalId {
                    object_type: object_type_key(object_type)?,
                    external_id: external_id_of(external_id)?,
                }
            }
            Operation::CreateRelationships => {
                let [key, source, target] = object(raw, ["relationship_type", "source", "target"])?;
                let key = string("relationship_type", key)?;
                Self::Relate {
                    relationship_type: TypeKey::parse(&key).map_err(|_| relationship_type_not_found(&key))?,
                    source: end_of("source", source)?,
                    target: end_of("target", target)?,
                }
            }
            Operation::DeleteRelationships => Self::unrelate(&bare_id(raw)?)?,
        })
    }

    /// An update of the record `id` by the member `attributes` of `raw`, an object.
    ///
    /// # Errors
    /// As [`parse`](Self::parse) of [`Operation::UpdateObjects`].
    pub fn update(id: &str, raw: &'json str) -> Result<Self, Problem> {
        let [attributes] = object(raw, ["attributes"])?;
        Ok(Self::Update { id: object_id(id)?, attributes: attributes_of(attributes)? })
    }

    /// A deletion of the record `id`.
    ///
    /// # Errors
    /// When it is the id of no record.
    pub fn delete(id: &str) -> Result<Self, Problem> {
        object_id(id).map(|id| Self::Delete { id })
    }

    /// A deletion of the record of this type that has this external id.
    ///
    /// # Errors
    /// When no type can have the key `object_type`, or no record the external id.
    pub fn delete_by_external_id(object_type: &str, external_id: &'json str) -> Result<Self, Problem> {
        Ok(Self::DeleteByExternalId {
            object_type: parse_object_type(object_type)?,
            external_id: checked_external_id(external_id.into())?,
        })
    }

    /// A deletion of the relationship record `id`.
    ///
    /// # Errors
    /// When it is the id of no record.
    pub fn unrelate(id: &str) -> Result<Self, Problem> {
        let id = RecordId::parse(id).ok_or_else(|| no_such_id("relationship record", id))?;
        Ok(Self::Unrelate { id })
    }

    /// The key that orders items: those of one job with the same key apply one after the other, in the order given.
    ///
    /// It stands for the record that the item touches; for relationships for the source, which a one-to-one type makes
    /// unique. `None` for an item that touches a record of its own.
    #[must_use]
    pub fn ordering_key(&self, account: &AccountId) -> Option<OrderingKey> {
        match self {
            Self::Create { external_id: None, .. } => None,
            Self::Create { object_type, external_id: Some(external_id), .. }
            | Self::Set { object_type, external_id, .. }
            | Self::DeleteByExternalId { object_type, external_id } => {
                Some(OrderingKey::of_external_id(object_type, external_id))
            }
            Self::Update { id, .. } | Self::Delete { id } | Self::Unrelate { id } => Some(OrderingKey::Record(*id)),
            Self::Relate { relationship_type, source, .. } => {
                let source = source.of(account).to_string();
                let cardinality = Cardinality::OneToOne;
                let id = RecordId::of_relationship(account, relationship_type, cardinality, &source, "");
                Some(OrderingKey::Record(id))
            }
        }
    }

    /// The object record that the item is about; `None` for items about relationships.
    #[must_use]
    pub fn object_id(&self, account: &AccountId, job: JobId, position: u32) -> Option<RecordId> {
        match self {
            Self::Create { external_id: None, .. } => Some(RecordId::of_item(account, job, position)),
            Self::Create { object_type, external_id: Some(external_id), .. }
            | Self::Set { object_type, external_id, .. }
            | Self::DeleteByExternalId { object_type, external_id } => {
                Some(RecordId::of_external_id(account, object_type, external_id))
            }
            Self::Update { id, .. } | Self::Delete { id } => Some(*id),
            Self::Relate { .. } | Self::Unrelate { .. } => None,
        }
    }

    /// The object type that the item names, if its operation has it name one.
    #[must_use]
    pub const fn object_type(&self) -> Option<&TypeKey> {
        match self {
            Self::Create { object_type, .. }
            | Self::Set { object_type, .. }
            | Self::DeleteByExternalId { object_type, .. } => Some(object_type),
            Self::Update { .. } | Self::Delete { .. } | Self::Relate { .. } | Self::Unrelate { .. } => None,
        }
    }

    /// The type that the item names, of objects or of relationships, if its operation has it name one.
    #[must_use]
    pub const fn type_key(&self) -> Option<&TypeKey> {
        match self {
            Self::Relate { relationship_type, .. } => Some(relationship_type),
            _ => self.object_type(),
        }
    }

    /// The item as compact JSON with only the members that its operation uses, and its `client_ref`: at most 32 KiB of attributes
    /// and a few hundred bytes around them.
    ///
    /// # Errors
    /// When the attributes are over their limit, or are no JSON that can be kept.
    pub fn rewritten(&self, client_ref: Option<&str>) -> Result<String, Problem> {
        let compact = |attributes: &RawValue| {
            let attributes = parse_attributes(attributes)?;
            let bytes = attributes.to_string().len();
            if bytes > limits::ATTRIBUTES_BYTES { Err(oversized(bytes)) } else { Ok(attributes) }
        };
        let mut item = match self {
            Self::Create { object_type, external_id, attributes } => serde_json::json!({
                "type": object_type.as_str(), "external_id": external_id, "attributes": compact(attributes)?
            }),
            Self::Update { id, attributes } => {
                serde_json::json!({"id": id.to_string(), "attributes": compact(attributes)?})
            }
            Self::Set { object_type, external_id, attributes } => serde_json::json!({
                "type": object_type.as_str(), "external_id": external_id, "attributes": compact(attributes)?
            }),
            Self::DeleteByExternalId { object_type, external_id } => {
                serde_json::json!({"type": object_type.as_str(), "external_id": external_id})
            }
            Self::Relate { relationship_type, source, target } => serde_json::json!({
                "relationship_type": relationship_type.as_str(),
                "source": rewritten_end(source),
                "target": rewritten_end(target),
            }),
            Self::Delete { id } | Self::Unrelate { id } => serde_json::json!({"id": id.to_string()}),
        };
        if let (Value::Object(members), Some(client_ref)) = (&mut item, client_ref) {
            members.insert("client_ref".to_owned(), client_ref.into());
        }
        Ok(item.to_string())
    }
}

/// Reads attributes that [`Item::parse`] found to be an object.
///
/// # Errors
/// When no value can be made of them: see [`json::read`].
pub fn parse_attributes(raw: &RawValue) -> Result<Value, Problem> {
    json::read("attributes", raw)
}

/// The problem (404) that no object type has this key.
#[must_use]
pub fn object_type_not_found(key: &str) -> Problem {
    Problem::not_found(format!("Object type {} is not defined", quoted(key)))
}

/// The problem (404) that no relationship type has this key.
#[must_use]
pub fn relationship_type_not_found(key: &str) -> Problem {
    Problem::not_found(format!("Relationship type {} is not defined", quoted(key)))
}

/// The problem (404) that no `thing` has this id.
#[must_use]
pub fn no_such_id(thing: &str, id: &str) -> Problem {
    Problem::not_found(format!("No {thing} has the id {}", quoted(id)))
}

fn object<'json, const N: usize>(raw: &'json str, names: [&str; N]) -> Result<[Option<&'json RawValue>; N], Problem> {
    members(raw, names).map_err(|error| match error {
        NoMembers::Twice(_) => Problem::unprocessable(error.to_string()),
        NoMembers::NotAnObject => {
            let kind = serde_json::from_str::<&RawValue>(raw).map_or("not JSON", kind_of);
            Problem::unprocessable(format!("item must be an object, not {kind}"))
        }
    })
}

fn whole(raw: &str) -> Option<&RawValue> {
    serde_json::from_str(raw).ok()
}

/// An item that is nothing but an id: as a string, or as the member `id` of an object, which can have a `client_ref` beside it.
fn bare_id(raw: &str) -> Result<Cow<'_, str>, Problem> {
    if raw.trim_start().starts_with('{') {
        let [id] = object(raw, ["id"])?;
        return string("id", id);
    }
    string("item", whole(raw))
}

/// The client's own name for an item, which its result repeats: the member `client_ref`, where the item is an object that has one.
///
/// # Errors
/// When it is no string, too long, or given more than once.
pub fn client_ref(raw: &str) -> Result<Option<Cow<'_, str>>, Problem> {
    // Hardly any item has one, and none without these letters; but for escapes, by which a name can be spelled in other ways.
    if !raw.contains("client_ref") && !raw.contains("\\u") {
        return Ok(None);
    }
    let given = match members(raw, ["client_ref"]) {
        Ok([given]) => given.filter(|given| given.get() != "null"),
        Err(error @ NoMembers::Twice(_)) => return Err(Problem::unprocessable(error.to_string())),
        Err(NoMembers::NotAnObject) => None,
    };
    if given.is_none() {
        return Ok(None);
    }
    let client_ref = string("client_ref", given)?;
    let characters = client_ref.chars().count();
    if characters > limits::CLIENT_REF_CHARACTERS {
        return Err(Problem::unprocessable(format!(
            "client_ref must be at most {} characters, not {characters}",
            limits::CLIENT_REF_CHARACTERS
        )));
    }
    Ok(Some(client_ref))
}

fn string<'json>(member: &str, raw: Option<&'json RawValue>) -> Result<Cow<'json, str>, Problem> {
    let Some(raw) = raw else {
        return Err(Problem::unprocessable(format!("{member} is required and must be a string")));
    };
    let text = raw.get();
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        None => Err(Problem::unprocessable(format!("{member} must be a string, not {}", kind_of(raw)))),
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        Some(_) => serde_json::from_str(text)
            .map(Cow::Owned)
            .map_err(|_| Problem::unprocessable(format!("{member} must be Unicode text"))),
    }
}

fn object_type_key(raw: Option<&RawValue>) -> Result<TypeKey, Problem> {
    parse_object_type(&string("type", raw)?)
}

/// Reads the key of an object type.
///
/// # Errors
/// 404, as for a type that is not defined, when no type can have this key.
pub fn parse_object_type(key: &str) -> Result<TypeKey, Problem> {
    TypeKey::parse(key).map_err(|_| object_type_not_found(key))
}

/// An end by its id, or by the type and the external id of an object record.
fn end_of<'json>(member: &'static str, raw: Option<&'json RawValue>) -> Result<EndName<'json>, Problem> {
    let Some(named) = raw.filter(|raw| raw.get().starts_with('{')) else {
        return End::parse(member, &string(member, raw)?).map(EndName::Given);
    };
    let within = |problem: Problem| Problem { detail: format!("{member}: {}", problem.detail).into(), ..problem };
    let [object_type, external_id] = object(named.get(), ["type", "external_id"]).map_err(within)?;
    Ok(EndName::ByExternalId {
        object_type: object_type_key(object_type).map_err(within)?,
        external_id: external_id_of(external_id).map_err(within)?,
    })
}

fn rewritten_end(end: &EndName<'_>) -> Value {
    match end {
        EndName::Given(end) => Value::String(end.to_string()),
        EndName::ByExternalId { object_type, external_id } => {
            serde_json::json!({"type": object_type.as_str(), "external_id": external_id})
        }
    }
}

/// An integer is read as its decimal text: published clients send one.
fn external_id_of(raw: Option<&RawValue>) -> Result<Cow<'_, str>, Problem> {
    checked_external_id(match raw.map(RawValue::get) {
        Some(text) if is_integer(text) => Cow::Borrowed(text),
        _ => string("external_id", raw)?,
    })
}

fn checked_external_id(external_id: Cow<'_, str>) -> Result<Cow<'_, str>, Problem> {
    let characters = external_id.chars().count();
    if (1..=limits::EXTERNAL_ID_CHARACTERS).contains(&characters) {
        return Ok(external_id);
    }
    Err(Problem::unprocessable(format!(
        "external_id must be 1 to {} characters, not {characters}",
        limits::EXTERNAL_ID_CHARACTERS
    )))
}

/// Whether a value of JSON is a number without fraction and exponent.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn attributes_of(raw: Option<&RawValue>) -> Result<&RawValue, Problem> {
    match raw {
        Some(raw) if raw.get().starts_with('{') => Ok(raw),
        Some(raw) => Err(Problem::unprocessable(format!("attributes must be an object, not {}", kind_of(raw)))),
        None => Err(Problem::unprocessable("attributes is required and must be an object")),
    }
}

fn object_id(id: &str) -> Result<RecordId, Problem> {
    RecordId::parse(id).ok_or_else(|| no_such_id("record", id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    fn refused(operation: Operation, raw: &str, code: Code, words: &str) {
        let problem = Item::parse(operation, raw).unwrap_err();
        assert_eq!(problem.code, code, "{raw}: {problem:?}");
        assert!(problem.detail.contains(words), "{raw}: {:?} says {words:?}", problem.detail);
    }

    /// An item of each action, with a relationship's ends by external id.
    fn one_of_each() -> [(Operation, String); 7] {
        let id = "576a0d0d-fb3f-81e9-80f8-65590b274410";
        let named = r#"{"type":"product","external_id":"A","attributes":{}}"#;
        let end = r#"{"type":"product","external_id":"A"}"#;
        [
            (Operation::CreateObjects, named.to_owned()),
            (Operation::UpdateObjects, format!(r#"{{"id":"{id}","attributes":{{}}}}"#)),
            (Operation::SetObjects, named.to_owned()),
            (Operation::DeleteObjects, format!("\"{id}\"")),
            (Operation::DeleteObjectsByExternalId, end.to_owned()),
            (
                Operation::CreateRelationships,
                format!(r#"{{"relationship_type":"likes","source":{end},"target":{end}}}"#),
            ),
            (Operation::DeleteRelationships, format!("\"{id}\"")),
        ]
    }

    #[test]
    fn a_clients_name_for_an_item_is_read_however_it_is_spelled() {
        let read = |raw: &str| client_ref(raw).map(|name| name.map(Cow::into_owned)).map_err(|problem| problem.detail);
        let name = |text: &str| Ok(Some(text.to_owned()));
        for (raw, expected) in [
            (r#"{"type":"product","client_ref":"row 7"}"#, name("row 7")),
            (r#"{"\u0063lient_ref":"a"}"#, name("a")),
            (r#"{"client_ref":"\u00e4\n"}"#, name("ä\n")),
            (r#"{"client_ref":null}"#, Ok(None)),
            (r#"{"type":"\u0041"}"#, Ok(None)),
            (r#"{"note":"client_ref"}"#, Ok(None)),
            (r#""client_ref""#, Ok(None)),
            ("{}", Ok(None)),
        ] {
            assert_eq!(read(raw), expected, "{raw}");
        }
        let longest = "ä".repeat(limits::CLIENT_REF_CHARACTERS);
        assert_eq!(read(&format!(r#"{{"client_ref":"{longest}"}}"#)), name(&longest));
        let most = limits::CLIENT_REF_CHARACTERS;
        for (raw, words) in [
            (format!(r#"{{"client_ref":"{longest}x"}}"#), format!("at most {most} characters, not {}", most + 1)),
            (r#"{"client_ref":7}"#.to_owned(), "client_ref must be a string, not a number".to_owned()),
            (r#"{"client_ref":"a","client_ref":"b"}"#.to_owned(), "client_ref".to_owned()),
        ] {
            let refusal = read(&raw).unwrap_err();
            assert!(refusal.contains(&words), "{raw}: {refusal}");
        }
    }

    #[test]
    fn each_item_says_which_record_it_is_about_and_which_type_it_names() {
        let (account, job) = (AccountId::parse("acme").unwrap(), JobId::from_bytes([7; 16]));
        let product = TypeKey::parse("product").unwrap();
        let named = RecordId::of_external_id(&account, &product, "a");
        let by_id = RecordId::parse("576a0d0d-fb3f-81e9-80f8-65590b274410").unwrap();
        for (operation, raw) in one_of_each() {
            let item = Item::parse(operation, &raw).unwrap();
            let (id, object_type, type_key) = match operation {
                Operation::CreateObjects | Operation::SetObjects | Operation::DeleteObjectsByExternalId => {
                    (Some(named), Some("product"), Some("product"))
                }
                Operation::UpdateObjects | Operation::DeleteObjects => (Some(by_id), None, None),
                Operation::CreateRelationships => (None, None, Some("likes")),
                Operation::DeleteRelationships => (None, None, None),
            };
            assert_eq!(item.object_id(&account, job, 3), id, "{raw}");
            assert_eq!(item.object_type().map(TypeKey::as_str), object_type, "{raw}");
            assert_eq!(item.type_key().map(TypeKey::as_str), type_key, "{raw}");
        }
        let unnamed = Item::parse(Operation::CreateObjects, r#"{"type":"product","attributes":{}}"#).unwrap();
        assert_eq!(unnamed.object_id(&account, job, 3), Some(RecordId::of_item(&account, job, 3)));
    }

    #[test]
    fn an_item_is_rewritten_up_to_the_most_that_attributes_may_take() {
        let of = |bytes: usize| {
            let text = "x".repeat(bytes - r#"{"a":""}"#.len());
            format!(r#"{{"type":"product","external_id":"1","attributes":{{"a":"{text}"}}}}"#)
        };
        let most = of(limits::ATTRIBUTES_BYTES);
        let rewritten = Item::parse(Operation::SetObjects, &most).unwrap().rewritten(None).unwrap();
        assert_eq!(rewritten, most);
        let more = of(limits::ATTRIBUTES_BYTES + 1);
        let problem = Item::parse(Operation::SetObjects, &more).unwrap().rewritten(None).unwrap_err();
        assert_eq!(problem, oversized(limits::ATTRIBUTES_BYTES + 1));
    }

    #[test]
    fn a_wrong_member_is_named_in_every_action() {
        use Code::{NotFound, UnprocessableEntity};
        let long = "x".repeat(256);
        for operation in [Operation::CreateObjects, Operation::SetObjects] {
            for (raw, code, words) in [
                ("3", UnprocessableEntity, "item must be an object, not a number"),
                (r#""a""#, UnprocessableEntity, "item must be an object, not a string"),
                (r#"{"external_id":"1","attributes":{}}"#, UnprocessableEntity, "type is required"),
                (
                    r#"{"type":3,"external_id":"1","attributes":{}}"#,
                    UnprocessableEntity,
                    "type must be a string, not a number",
                ),
                (r#"{"type":"no type!","external_id":"1","attributes":{}}"#, NotFound, "\"no type!\""),
                (
                    r#"{"type":"product","external_id":3.0,"attributes":{}}"#,
                    UnprocessableEntity,
                    "external_id must be a string",
                ),
                (
                    r#"{"type":"product","external_id":"","attributes":{}}"#,
                    UnprocessableEntity,
                    "1 to 255 characters, not 0",
                ),
                (
                    &format!(r#"{{"type":"product","external_id":"{long}","attributes":{{}}}}"#),
                    UnprocessableEntity,
                    "not 256",
                ),
                (r#"{"type":"product","external_id":"\ud800","attributes":{}}"#, UnprocessableEntity, "external_id"),
                (r#"{"type":"product","external_id":"1"}"#, UnprocessableEntity, "attributes is required"),
                (
                    r#"{"type":"product","external_id":"1","attributes":[]}"#,
                    UnprocessableEntity,
                    "attributes must be an object, not an array",
                ),
            ] {
                refused(operation, raw, code, words);
            }
        }
        refused(
            Operation::SetObjects,
            r#"{"type":"product","attributes":{}}"#,
            UnprocessableEntity,
            "external_id is required",
        );
        refused(
            Operation::SetObjects,
            r#"{"type":"product","external_id":null,"attributes":{}}"#,
            UnprocessableEntity,
            "external_id",
        );
        refused(
            Operation::DeleteObjectsByExternalId,
            r#"{"type":"product"}"#,
            UnprocessableEntity,
            "external_id is required",
        );
        refused(Operation::UpdateObjects, r#"{"attributes":{}}"#, UnprocessableEntity, "id is required");
        refused(Operation::UpdateObjects, r#"{"id":"7","attributes":{}}"#, NotFound, "No record has the id \"7\"");
        refused(Operation::DeleteObjects, "{}", UnprocessableEntity, "id is required and must be a string");
        refused(Operation::DeleteObjects, "[]", UnprocessableEntity, "item must be a string, not an array");
        refused(Operation::DeleteObjects, r#""7""#, NotFound, "No record has the id \"7\"");
        refused(Operation::DeleteRelationships, r#""7""#, NotFound, "No relationship record has the id \"7\"");
        let relate = Operation::CreateRelationships;
        refused(relate, r#"{"source":"a","target":"b"}"#, UnprocessableEntity, "relationship_type is required");
        refused(relate, r#"{"relationship_type":"x x","source":"a","target":"b"}"#, NotFound, "\"x x\"");
        refused(
            relate,
            r#"{"relationship_type":"owns","source":"a","target":"zen:user:1"}"#,
            UnprocessableEntity,
            "source \"a\" does not exist",
        );
        refused(
            relate,
            r#"{"relationship_type":"owns","source":"zen:user:1"}"#,
            UnprocessableEntity,
            "target is required",
        );
        refused(
            relate,
            r#"{"relationship_type":"owns","source":"zen:user:1","target":{"type":"product","type":"shop","external_id":"1"}}"#,
            UnprocessableEntity,
            "target: type is given more than once",
        );
    }

    #[test]
    fn an_external_id_is_counted_in_characters() {
        let raw = format!(r#"{{"type":"product","external_id":"{}","attributes":{{}}}}"#, "é".repeat(255));
        assert!(Item::parse(Operation::SetObjects, &raw).is_ok());
    }

    #[test]
    fn an_integer_is_an_external_id_as_it_is_written() {
        for (given, external_id) in
            [("0", "0"), ("42", "42"), ("-7", "-7"), ("123456789012345678901", "123456789012345678901")]
        {
            let raw = format!(r#"{{"type":"product","external_id":{given},"attributes":{{}}}}"#);
            let text = format!(r#"{{"type":"product","external_id":"{external_id}","attributes":{{}}}}"#);
            let account = AccountId::parse("acme").unwrap();
            for operation in [Operation::CreateObjects, Operation::SetObjects, Operation::DeleteObjectsByExternalId] {
                let [number, string] = [&raw, &text].map(|raw| Item::parse(operation, raw).unwrap());
                assert_eq!(number.ordering_key(&account), string.ordering_key(&account));
                assert_eq!(number.rewritten(None).unwrap(), string.rewritten(None).unwrap());
            }
        }
        let long = format!(r#"{{"type":"product","external_id":{},"attributes":{{}}}}"#, "1".repeat(256));
        refused(
            Operation::CreateObjects,
            &long,
            Code::UnprocessableEntity,
            "external_id must be 1 to 255 characters, not 256",
        );
        for other in ["1.5", "1e3", "true", "[1]", "{}"] {
            let raw = format!(r#"{{"type":"product","external_id":{other},"attributes":{{}}}}"#);
            refused(Operation::CreateObjects, &raw, Code::UnprocessableEntity, "external_id must be a string");
        }
    }

    #[test]
    fn an_end_by_external_id_is_the_end_by_the_id_that_it_leads_to() {
        let account = AccountId::parse("acme").unwrap();
        let relate = |source: &str| {
            let raw = format!(r#"{{"relationship_type":"owns","source":{source},"target":"zen:user:1"}}"#);
            let item = Item::parse(Operation::CreateRelationships, &raw).unwrap();
            // As it travels when it is too long to travel as it is.
            let rewritten = item.rewritten(None).unwrap();
            let again = Item::parse(Operation::CreateRelationships, &rewritten).unwrap();
            assert_eq!(again.ordering_key(&account), item.ordering_key(&account));
            let Item::Relate { source, .. } = &item else { panic!("{item:?}") };
            (item.ordering_key(&account), source.of(&account))
        };
        let id = RecordId::of_external_id(&account, &TypeKey::parse("product").unwrap(), "3");
        let by_id = relate(&format!("\"{id}\""));
        assert_eq!(relate(r#"{"type":"Product","external_id":"3","x":1}"#), by_id);
        assert_eq!(relate(r#"{"type":"product","external_id":3}"#), by_id);
    }

    #[test]
    fn null_is_no_external_id_and_unused_members_are_ignored() {
        let raw = r#"{"type":"product","external_id":null,"attributes":{},"id":7,"extra":[{}]}"#;
        let item = Item::parse(Operation::CreateObjects, raw).unwrap();
        assert!(matches!(item, Item::Create { external_id: None, .. }));
    }

    #[test]
    fn a_member_that_is_given_twice_is_named_in_every_action() {
        for (operation, used) in [
            (Operation::CreateObjects, &["type", "external_id", "attributes"][..]),
            (Operation::UpdateObjects, &["id", "attributes"]),
            (Operation::SetObjects, &["type", "external_id", "attributes"]),
            (Operation::DeleteObjectsByExternalId, &["type", "external_id"]),
            (Operation::CreateRelationships, &["relationship_type", "source", "target"]),
        ] {
            for name in used {
                let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
                let detail = format!("{name} is given more than once");
                for raw in [format!(r#"{{"{name}":1,"{name}":1}}"#), format!(r#"{{"{escaped}":{{}},"{name}":[]}}"#)] {
                    refused(operation, &raw, Code::UnprocessableEntity, &detail);
                }
            }
        }
        let unused = r#"{"type":"product","attributes":{},"id":1,"id":2,"x":{"y":1,"y":1},"x":0}"#;
        assert!(Item::parse(Operation::CreateObjects, unused).is_ok());
    }

    #[test]
    fn items_of_one_record_share_their_ordering_key() {
        let account = AccountId::parse("a").unwrap();
        let key = |operation, raw: &str| Item::parse(operation, raw).unwrap().ordering_key(&account);
        let set = key(Operation::SetObjects, r#"{"type":"Product","external_id":"AB","attributes":{}}"#);
        assert_eq!(set, key(Operation::DeleteObjectsByExternalId, r#"{"type":"product","external_id":"ab"}"#));
        let umlaut = |text: &str| format!(r#"{{"type":"product","external_id":"{text}","attributes":{{}}}}"#);
        assert_eq!(key(Operation::SetObjects, &umlaut("\u{c4}")), key(Operation::CreateObjects, &umlaut("\u{e4}")));
        for other in [r#"{"type":"product","external_id":"abc"}"#, r#"{"type":"product2","external_id":"ab"}"#] {
            assert_ne!(set, key(Operation::DeleteObjectsByExternalId, other));
        }
        let id = RecordId::from_bytes([0xAB; 16]).to_string();
        let [deleted, shouted] =
            [id.clone(), id.to_uppercase()].map(|id| key(Operation::DeleteObjects, &format!("\"{id}\"")));
        assert_eq!(deleted, shouted);
        assert_eq!(deleted, key(Operation::UpdateObjects, &format!(r#"{{"id":"{id}","attributes":{{}}}}"#)));
        assert_eq!(key(Operation::CreateObjects, r#"{"type":"product","attributes":{}}"#), None);
    }

    #[test]
    fn a_rewritten_item_reads_the_same_and_a_large_one_is_refused_with_its_size() {
        let raw = format!(
            r#"{{ "type" : "product", "external_id": "\u0041", "noise": "{}", "attributes" : {{ "a" : 1.50, "b": null }} }}"#,
            "x".repeat(100_000)
        );
        let rewritten = Item::parse(Operation::CreateObjects, &raw).unwrap().rewritten(None).unwrap();
        assert_eq!(rewritten, r#"{"type":"product","external_id":"A","attributes":{"a":1.5,"b":null}}"#);

        let large = format!(r#"{{"type":"product","attributes":{{"a":"{}"}}}}"#, "x".repeat(40_000));
        let problem = Item::parse(Operation::CreateObjects, &large).unwrap().rewritten(None).unwrap_err();
        assert!(problem.detail.contains("32768") && problem.detail.contains("40008"), "{problem:?}");
    }
}
