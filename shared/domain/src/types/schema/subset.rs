//! The part of JSON Schema that a type may use.

use std::borrow::Cow;

use jsonschema::ValidationError;
use serde_json::{Map, Value};

use super::{bounds, shortened};
use crate::problem::{Problem, quoted};
use crate::request::members::members;

pub(super) fn check_subset(members: &Map<String, Value>) -> Result<(), Problem> {
    if members.is_empty() {
        return Err(Problem::unprocessable("The schema for a legacy object type cannot be empty."));
    }
    if let Some(refused) = ["$schema", "patternProperties"].into_iter().find(|refused| members.contains_key(*refused)) {
        return Err(not_allowed(refused));
    }
    match members.get("additionalProperties") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => return Err(Problem::unprocessable("additionalProperties cannot be set to true")),
        Some(_) => return Err(Problem::unprocessable("schema.additionalProperties can only be false")),
    }
    if members.get("type").is_some_and(|value| value != "object") {
        return Err(Problem::unprocessable("schema.type can only be \"object\""));
    }
    let properties = match members.get("properties") {
        Some(Value::Object(properties)) => properties,
        Some(_) => return Err(Problem::unprocessable("schema.properties must be an object")),
        None => return Err(missing("properties")),
    };
    if properties.is_empty() {
        return Err(Problem::unprocessable("The properties element of a schema cannot be empty."));
    }
    for (name, property) in properties {
        if name.is_empty() || name.starts_with('_') || name == "*" || name.chars().any(char::is_control) {
            return Err(Problem::unprocessable(format!(
                "schema.properties: the name {} may not be empty, start with \"_\", be \"*\" or hold a control character",
                quoted(name)
            )));
        }
        if property.get("type").is_none() {
            return Err(missing("type"));
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
    match find_refused(&Value::Object(members.clone())) {
        Some(keyword) => Err(not_allowed(keyword)),
        None => Ok(()),
    }
}

/// What published clients of this API compare word for word.
fn missing(property: &str) -> Problem {
    Problem::unprocessable(format!("data.schema object has missing required properties ([\"{property}\"])"))
}

/// Also word for word.
fn not_allowed(keyword: &str) -> Problem {
    Problem::unprocessable(format!(
        "data.schema object instance has properties which are not allowed by the schema: [\"{keyword}\"]"
    ))
}

/// A schema as an answer shows it: with `additionalProperties`, which is false where the client did not give it. `text`
/// is compact JSON of an object that is not empty.
pub(in crate::types) fn shown(text: &str) -> Cow<'_, str> {
    match (members(text, ["additionalProperties"]), text.strip_suffix('}')) {
        (Ok([None]), Some(open)) => format!("{open},\"additionalProperties\":false}}").into(),
        _ => text.into(),
    }
}

/// A keyword that no schema may use. One that leads to another schema may lead back to itself, and never come to an end, or to
/// another server; and within another draft, other keywords have other meanings and costs. Those that are for what other
/// keywords left over look at a value again and again, twice as often with each level. And `patternProperties` is outside of
/// the contract, as is `dependencies`, which is not of this draft.
pub(super) fn find_refused(schema: &Value) -> Option<&'static str> {
    const REFUSED: [&str; 9] = [
        "$schema",
        "$ref",
        "$dynamicRef",
        "$recursiveRef",
        "$id",
        "patternProperties",
        "unevaluatedProperties",
        "unevaluatedItems",
        "dependencies",
    ];
    const NAMED_SCHEMAS: [&str; 4] = ["properties", "dependentSchemas", "$defs", "definitions"];
    match schema {
        Value::Array(schemas) => schemas.iter().find_map(find_refused),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            if let Some(refused) = REFUSED.into_iter().find(|refused| refused == name) {
                return Some(refused);
            }
            match value {
                _ if bounds::DATA.contains(&name.as_str()) => None,
                // Here the names are the client's own, and only what stands under them is a schema.
                Value::Object(named) if NAMED_SCHEMAS.contains(&name.as_str()) => named.values().find_map(find_refused),
                other => find_refused(other),
            }
        }),
        _ => None,
    }
}

/// The schema with what the contract adds: the attributes are an object with no other properties.
pub(super) fn effective(members: &Map<String, Value>) -> Map<String, Value> {
    let mut effective = members.clone();
    effective.insert("type".to_owned(), "object".into());
    effective.insert("additionalProperties".to_owned(), false.into());
    effective
}

pub(super) fn refused(error: &ValidationError<'_>) -> Problem {
    let place = error.instance_path().as_str().replace('/', ".");
    Problem::unprocessable(format!("schema{place} is not valid: {}", shortened(error)))
}
