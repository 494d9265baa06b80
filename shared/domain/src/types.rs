//! Object types and relationship types: the rules that records follow.

use std::fmt;
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::job::quoted;
use crate::limits;
use crate::problem::Problem;
use crate::time::Timestamp;

/// The key of an object type or relationship type: 2–32 letters, digits, `_` and `-`, starting with a letter. Kept as
/// given, compared without regard to case.
#[derive(Clone, Debug)]
pub struct TypeKey {
    given: Arc<str>,
    folded: Arc<str>,
}

impl TypeKey {
    /// # Errors
    /// When `text` breaks the rule above.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let starts_with_letter = text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
        if !starts_with_letter || !(2..=32).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err(Problem::unprocessable(format!(
                "key must be 2 to 32 letters, digits, \"_\" and \"-\", starting with a letter, not {}",
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

    /// As it was defined.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// In lower case: what keys are spelled with.
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

impl Serialize for ObjectType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let schema: &RawValue = serde_json::from_str(self.schema.as_str()).map_err(serde::ser::Error::custom)?;
        let mut members = serializer.serialize_map(Some(5))?;
        members.serialize_entry("key", self.key.as_str())?;
        members.serialize_entry("schema", schema)?;
        members.serialize_entry("version", &self.version)?;
        members.serialize_entry("created_at", &format_args!("{}", self.created_at.in_millis()))?;
        members.serialize_entry("updated_at", &format_args!("{}", self.updated_at.in_millis()))?;
        members.end()
    }
}

/// A schema that was accepted, as compact JSON, and what it compiles to.
#[derive(Clone, Debug)]
pub struct Schema {
    text: Arc<str>,
    validator: Arc<Validator>,
}

impl Schema {
    /// # Errors
    /// When the schema is outside the subset of JSON Schema that the contract allows.
    pub fn parse(schema: &Value) -> Result<Self, Problem> {
        let Value::Object(members) = schema else {
            return Err(Problem::unprocessable("schema must be an object"));
        };
        let text = schema.to_string();
        if text.len() > limits::SCHEMA_BYTES {
            return Err(Problem::unprocessable(format!(
                "schema must be at most {} bytes as compact JSON, not {}",
                limits::SCHEMA_BYTES,
                text.len()
            )));
        }
        check_subset(members)?;
        jsonschema::draft202012::meta::validate(schema).map_err(|error| refused(&error))?;
        let effective = effective(members);
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            // A tenant's pattern runs in linear time, whatever it is.
            .with_pattern_options(PatternOptions::regex())
            .offline()
            .build(&effective)
            .map_err(|error| refused(&error))?;
        Ok(Self { text: text.into(), validator: Arc::new(validator) })
    }

    /// Compact JSON, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The attributes as compact JSON, if they keep every rule.
    ///
    /// # Errors
    /// Every broken rule, or the size over the limit.
    pub fn check(&self, attributes: &Value) -> Result<String, Vec<Problem>> {
        let broken: Vec<_> = self.validator.iter_errors(attributes).flat_map(|error| broken_rules(&error)).collect();
        if broken.is_empty() { sized(attributes).map_err(|problem| vec![problem]) } else { Err(broken) }
    }
}

/// The attributes as compact JSON, if they are not too large.
///
/// # Errors
/// When they are over [`limits::ATTRIBUTES_BYTES`].
pub fn sized(attributes: &Value) -> Result<String, Problem> {
    let text = attributes.to_string();
    if text.len() > limits::ATTRIBUTES_BYTES { Err(oversized(text.len())) } else { Ok(text) }
}

/// The problem of attributes that take `bytes` as compact JSON.
#[must_use]
pub fn oversized(bytes: usize) -> Problem {
    Problem::unprocessable(format!(
        "attributes must be at most {} bytes as compact JSON, not {bytes}",
        limits::ATTRIBUTES_BYTES
    ))
}

fn check_subset(members: &Map<String, Value>) -> Result<(), Problem> {
    for refused in ["$schema", "patternProperties"] {
        if members.contains_key(refused) {
            return Err(Problem::unprocessable(format!("schema must not have the member \"{refused}\"")));
        }
    }
    if members.get("additionalProperties").is_some_and(|value| *value != Value::Bool(false)) {
        return Err(Problem::unprocessable("schema.additionalProperties can only be false"));
    }
    if members.get("type").is_some_and(|value| value != "object") {
        return Err(Problem::unprocessable("schema.type can only be \"object\""));
    }
    let Some(Value::Object(properties)) = members.get("properties") else {
        return Err(Problem::unprocessable("schema.properties is required and must be an object"));
    };
    if properties.is_empty() {
        return Err(Problem::unprocessable("schema.properties must define at least one property"));
    }
    for (name, property) in properties {
        if name.is_empty() || name.starts_with('_') || name == "*" || name.chars().any(char::is_control) {
            return Err(Problem::unprocessable(format!(
                "schema.properties: the name {} may not be empty, start with \"_\", be \"*\" or hold a control character",
                quoted(name)
            )));
        }
        if property.get("type").is_none() {
            return Err(Problem::unprocessable(format!("schema.properties: {} must have a type", quoted(name))));
        }
    }
    if let Some(required) = members.get("required") {
        let names = required.as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some(unknown) = names.iter().filter_map(Value::as_str).find(|name| !properties.contains_key(*name)) {
            return Err(Problem::unprocessable(format!(
                "schema.required names {}, which schema.properties does not define",
                quoted(unknown)
            )));
        }
    }
    match find_reference(&Value::Object(members.clone())) {
        Some(keyword) => Err(Problem::unprocessable(format!("schema must not use \"{keyword}\""))),
        None => Ok(()),
    }
}

/// A keyword that leads to another schema. One that leads back to itself would never come to an end, and one that
/// leads to another server has no place here.
fn find_reference(schema: &Value) -> Option<&'static str> {
    const REFERENCES: [&str; 4] = ["$ref", "$dynamicRef", "$recursiveRef", "$id"];
    const NAMED_SCHEMAS: [&str; 5] = ["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"];
    const DATA: [&str; 4] = ["enum", "const", "default", "examples"];
    match schema {
        Value::Array(schemas) => schemas.iter().find_map(find_reference),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            if let Some(reference) = REFERENCES.into_iter().find(|reference| reference == name) {
                return Some(reference);
            }
            match value {
                _ if DATA.contains(&name.as_str()) => None,
                // Here the names are the client's own, and only what stands under them is a schema.
                Value::Object(named) if NAMED_SCHEMAS.contains(&name.as_str()) => {
                    named.values().find_map(find_reference)
                }
                other => find_reference(other),
            }
        }),
        _ => None,
    }
}

/// The schema with what the contract adds: the attributes are an object with no other properties.
fn effective(members: &Map<String, Value>) -> Value {
    let mut effective = members.clone();
    effective.insert("type".to_owned(), "object".into());
    effective.insert("additionalProperties".to_owned(), false.into());
    Value::Object(effective)
}

fn refused(error: &ValidationError<'_>) -> Problem {
    let place = error.instance_path().as_str().replace('/', ".");
    Problem::unprocessable(format!("schema{place} is not valid: {}", shortened(&error.to_string())))
}

fn broken_rules(error: &ValidationError<'_>) -> Vec<Problem> {
    let place = format!("attributes{}", error.instance_path().as_str().replace('/', "."));
    let broken = |place: &str, rule: &str, why: &str| {
        Problem::unprocessable(format!("{} breaks the rule \"{rule}\": {}", shortened(place), shortened(why)))
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|name| broken(&format!("{place}.{name}"), "additionalProperties", "the type has no such attribute"))
            .collect(),
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![broken(&format!("{place}.{name}"), "required", "the attribute is missing")]
        }
        kind => vec![broken(&place, kind.keyword(), &error.to_string())],
    }
}

/// A long text cut to what a person reads.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 240;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// How many targets one source may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cardinality {
    OneToOne,
    OneToMany,
}

/// What stands at one end of a relationship type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EndType {
    /// Records of this object type.
    Object(TypeKey),
    /// Things kept elsewhere, `zen:user`; their ids are `zen:user:123`.
    Elsewhere(String),
}

impl EndType {
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

/// A named pair of source and target. Immutable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RelationshipType {
    pub key: TypeKey,
    pub source: EndType,
    pub target: EndType,
    pub cardinality: Cardinality,
    pub created_at: Timestamp,
}

impl RelationshipType {
    /// Reads the `data` of a request: `{key, source, target}`. `target` is a string for one-to-one, and an array of
    /// one string for one-to-many.
    ///
    /// # Errors
    /// When a member is missing, of the wrong kind or breaks its rule.
    pub fn parse(data: &Value, created_at: Timestamp) -> Result<Self, Problem> {
        let string = |member: &str| {
            data.get(member)
                .and_then(Value::as_str)
                .ok_or_else(|| Problem::unprocessable(format!("{member} is required and must be a string")))
        };
        let key = TypeKey::parse(string("key")?)?;
        let source = EndType::parse("source", string("source")?)?;
        let (target, cardinality) = match data.get("target") {
            Some(Value::String(target)) => (target, Cardinality::OneToOne),
            Some(Value::Array(targets)) => match targets.as_slice() {
                [Value::String(target)] => (target, Cardinality::OneToMany),
                _ => return Err(Problem::unprocessable("target must be a string or an array of exactly one string")),
            },
            _ => {
                return Err(Problem::unprocessable(
                    "target is required and must be a string or an array of one string",
                ));
            }
        };
        let target = EndType::parse("target", target)?;
        Ok(Self { key, source, target, cardinality, created_at })
    }
}

impl Serialize for RelationshipType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(Some(4))?;
        members.serialize_entry("key", self.key.as_str())?;
        members.serialize_entry("source", &format_args!("{}", self.source))?;
        match self.cardinality {
            Cardinality::OneToOne => members.serialize_entry("target", &format_args!("{}", self.target))?,
            Cardinality::OneToMany => members.serialize_entry("target", &[self.target.to_string()])?,
        }
        members.serialize_entry("created_at", &format_args!("{}", self.created_at.in_millis()))?;
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json;

    #[test]
    fn a_key_keeps_its_case_and_is_compared_without() {
        let key = TypeKey::parse("Product-2_x").unwrap();
        assert_eq!((key.as_str(), key.folded()), ("Product-2_x", "product-2_x"));
        assert_eq!(key, TypeKey::parse("PRODUCT-2_X").unwrap());
        for bad in ["", "a", "2a", "-ab", "a b", "aä", "a#b", &"a".repeat(33)] {
            assert!(TypeKey::parse(bad).is_err(), "{bad}");
        }
    }

    fn refusal(schema: &Value) -> String {
        Schema::parse(schema).unwrap_err().detail.into_owned()
    }

    #[test]
    fn a_schema_outside_the_subset_is_refused_with_the_member_named() {
        let name = json!({"name": {"type": "string"}});
        for (schema, word) in [
            (json!([]), "must be an object"),
            (json!({}), "schema.properties"),
            (json!({"properties": {}}), "at least one"),
            (json!({"properties": {"a": {}}}), "\"a\" must have a type"),
            (json!({"properties": {"_a": {"type": "string"}}}), "\"_a\""),
            (json!({"properties": {"*": {"type": "string"}}}), "\"*\""),
            (json!({"properties": {"a\u{7}": {"type": "string"}}}), "control character"),
            (json!({"properties": name, "$schema": "x"}), "$schema"),
            (json!({"properties": name, "patternProperties": {}}), "patternProperties"),
            (json!({"properties": name, "additionalProperties": true}), "additionalProperties"),
            (json!({"properties": name, "type": "array"}), "schema.type"),
            (json!({"properties": name, "required": ["other"]}), "\"other\""),
            (json!({"properties": {"a": {"type": "no such"}}}), "schema.properties.a.type"),
            (json!({"properties": {"a": {"type": "string", "pattern": "("}}}), "is not valid"),
            (json!({"properties": {"a": {"type": "string", "pattern": "(?=x)"}}}), "is not valid"),
            (json!({"properties": name, "allOf": [{"$ref": "#"}]}), "$ref"),
            (json!({"properties": {"a": {"type": "string", "$ref": "http://127.0.0.1/"}}}), "$ref"),
            (json!({"properties": {"a": {"type": "string", "description": "x".repeat(33_000)}}}), "32768"),
        ] {
            let detail = refusal(&schema);
            assert!(detail.contains(word), "{detail:?} names {word:?}");
        }
        // A property may be called what a keyword is called.
        Schema::parse(&json!({"properties": {"$ref": {"type": "string"}, "properties": {"type": "string"}}})).unwrap();
    }

    #[test]
    fn every_broken_rule_is_one_problem_that_names_attribute_and_rule() {
        let schema = Schema::parse(&json!({
            "properties": {
                "name": {"type": "string", "maxLength": 3},
                "lat": {"type": "number", "minimum": -90},
                "country": {"type": "string", "enum": ["US", "FR"]},
                "day": {"type": "string", "format": "date"},
            },
            "required": ["name", "country"],
        }))
        .unwrap();
        let broken = schema.check(&json!({"lat": "x", "country": "DE", "day": "soon", "extra": 1, "more": 2}));
        let details: Vec<_> = broken.unwrap_err().into_iter().map(|problem| problem.detail.into_owned()).collect();
        for (attribute, rule) in [
            ("attributes.name", "required"),
            ("attributes.lat", "type"),
            ("attributes.country", "enum"),
            ("attributes.day", "format"),
            ("attributes.extra", "additionalProperties"),
            ("attributes.more", "additionalProperties"),
        ] {
            let start = format!("{attribute} breaks the rule \"{rule}\"");
            assert_eq!(details.iter().filter(|detail| detail.starts_with(&start)).count(), 1, "{start}: {details:?}");
        }
        assert_eq!(details.len(), 6);
        assert_eq!(schema.check(&json!({"country": "US", "name": "a"})).unwrap(), r#"{"country":"US","name":"a"}"#);
    }

    #[test]
    fn attributes_are_held_to_their_size_as_compact_json() {
        let schema = Schema::parse(&json!({"properties": {"name": {"type": "string"}}})).unwrap();
        let fits = limits::ATTRIBUTES_BYTES - r#"{"name":""}"#.len();
        assert!(schema.check(&json!({"name": "x".repeat(fits)})).is_ok());
        let problems = schema.check(&json!({"name": "x".repeat(fits + 1)})).unwrap_err();
        assert!(problems[0].detail.contains("32768") && problems[0].detail.contains("32769"));
    }

    #[test]
    fn numbers_come_out_as_they_went_in() {
        let schema = Schema::parse(&json!({"properties": {"at": {"type": "number"}}})).unwrap();
        for number in ["-101.473911", "3435.0", "0.1", "18446744073709551615", "-9223372036854775808"] {
            let text = format!("{{\"at\":{number}}}");
            assert_eq!(schema.check(&serde_json::from_str(&text).unwrap()).unwrap(), text);
        }
    }

    /// `inner` in so many times `open` and `close`.
    fn nested(times: usize, open: &str, inner: &str, close: &str) -> String {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    }

    #[test]
    fn a_schema_that_nests_as_deep_as_it_may_is_compiled_and_held_to() {
        // Tests run on 2 MiB of stack, as the threads of a server do.
        for (open, close) in [
            (r#"{"not":"#, "}"),
            (r#"{"allOf":["#, "]}"),
            (r#"{"items":"#, "}"),
            (r#"{"type":"object","properties":{"a":"#, "}}"),
            (r#"{"if":{},"then":"#, "}"),
            (r#"{"dependentSchemas":{"a":"#, "}}"),
        ] {
            let levels_each = open.matches(['[', '{']).count() - open.matches('}').count();
            // Four levels lead there, and the innermost schema is one.
            let inner = nested((limits::JSON_LEVELS - 5) / levels_each, open, r#"{"type":"string"}"#, close);
            let schema = format!(r#"{{"properties":{{"a":{{"type":["object","array"],"allOf":[{inner}]}}}}}}"#);
            let schema = json::read("schema", &RawValue::from_string(schema).unwrap()).unwrap();
            let schema = Schema::parse(&schema).unwrap();
            for attributes in [nested(50, r#"{"a":["#, "", "]}"), nested(99, r#"{"a":"#, "{}", "}")] {
                let attributes = json::read("attributes", &RawValue::from_string(attributes).unwrap()).unwrap();
                // Whether they keep the schema is another matter.
                drop(schema.check(&attributes));
            }
        }
    }

    #[test]
    fn the_shape_of_target_is_the_cardinality() {
        let parse = |data| RelationshipType::parse(&data, Timestamp::default());
        let one = parse(json!({"key": "owns", "source": "zen:user", "target": "product"})).unwrap();
        assert_eq!(one.cardinality, Cardinality::OneToOne);
        let many = parse(json!({"key": "owns", "source": "zen:user", "target": ["product"]})).unwrap();
        assert_eq!(many.cardinality, Cardinality::OneToMany);
        for (data, word) in [
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
    fn an_id_kept_elsewhere_belongs_to_its_kind() {
        let user = EndType::parse("source", "zen:user").unwrap();
        assert!(user.owns_elsewhere("zen:user:123"));
        for other in ["zen:user:", "zen:user", "zen:users:1", "zen:ticket:1", "zen:user:a b"] {
            assert!(!user.owns_elsewhere(other), "{other}");
        }
    }
}
