//! Schemas of all request and answer bodies, in JSON Schema (draft 2020-12), with the code's own names and limits.

mod errors;
mod job_requests;
mod jobs;
mod queries;
mod records;
mod types;

use domain::account::usage::RecordKind;
use domain::limits;
use serde_json::{Map, Value, json};

use self::errors::errors;
use self::job_requests::requests_of_jobs;
pub use self::jobs::job_types;
use self::jobs::jobs;
use self::queries::queries;
use self::records::records;
use self::types::types;

/// Makes a reference to one of [`all`].
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// An object of these members, all of which are there.
fn object(description: &str, members: Value) -> Value {
    let required: Vec<String> = members.as_object().into_iter().flat_map(Map::keys).cloned().collect();
    let mut object = json!({"type": "object", "description": description});
    object["properties"] = members;
    object["required"] = required.into();
    object
}

/// The same object, in which these members may be missing.
fn with_optional(mut object: Value, members: Value) -> Value {
    if let (Some(properties), Value::Object(members)) = (object["properties"].as_object_mut(), members) {
        properties.extend(members);
    }
    object
}

/// Writes a number with commas for people: `10,000`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The schema of `{"data": …}`, which every answer is wrapped in, and every request body but that of a job and a query.
pub fn data(schema: &Value) -> Value {
    json!({"type": "object", "properties": {"data": schema}, "required": ["data"]})
}

/// The schema of a page of a list.
pub fn list(item: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            "data": {"type": "array", "items": item, "maxItems": limits::ITEMS_PER_PAGE},
            "links": reference("Links"),
        },
        "required": ["data", "links"],
    })
}

fn time(description: &str, example: &str) -> Value {
    json!({"type": "string", "format": "date-time", "description": description, "examples": [example]})
}

fn seconds(description: &str) -> Value {
    time(description, "2017-11-03T16:00:06Z")
}

fn millis(description: &str) -> Value {
    time(description, "2017-11-03T16:00:06.400Z")
}

fn count(description: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "description": description})
}

fn type_key(description: &str) -> Value {
    json!({
        "type": "string", "description": description, "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{1,31}$",
        "minLength": 2, "maxLength": 32, "examples": ["product"],
    })
}

fn id(description: &str) -> Value {
    json!({
        "type": "string", "format": "uuid", "description": description,
        "examples": ["40e83a4e-8438-8bb9-8f6f-51124535ce9f"],
    })
}

/// As a client may give it: in an answer it is always a text.
fn given_external_id() -> Value {
    json!({
        "description": "Your own id of the record: unique in its type without regard to case. A whole number is read as its decimal text.",
        "anyOf": [
            {"type": "string", "minLength": 1, "maxLength": limits::EXTERNAL_ID_CHARACTERS},
            {"type": "integer"},
        ],
        "examples": ["3"],
    })
}

fn attributes(description: &str) -> Value {
    json!({
        "type": "object", "additionalProperties": true, "examples": [{"name": "Strawberry Chewing Gum", "price": 1.5}],
        "description": format!("{description} At most {} bytes as compact JSON.", grouped(limits::ATTRIBUTES_BYTES)),
    })
}

fn client_ref() -> Value {
    json!({
        "type": "string", "maxLength": limits::CLIENT_REF_CHARACTERS, "examples": ["row 2"],
        "description": "A name of your own for the item, repeated in its result, whatever comes of it.",
    })
}

fn names(of: impl IntoIterator<Item = &'static str>) -> Vec<&'static str> {
    let mut names = Vec::new();
    for name in of {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Definitions of all schemas, by name.
pub fn all() -> Map<String, Value> {
    let mut all = Map::new();
    for group in [errors(), jobs(), requests_of_jobs(), types(), records(), queries(), others()] {
        all.extend(group);
    }
    all
}

fn group<const N: usize>(schemas: [(&str, Value); N]) -> Map<String, Value> {
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// What belongs to none of the other groups.
fn others() -> Map<String, Value> {
    let link = |description: &str| json!({"type": ["string", "null"], "description": description});
    let links = object(
        "Paths to the pages beside this one, to be put behind the host; null at an end of the list.",
        json!({"next": link("The page after."), "previous": link("The page before.")}),
    );
    let kinds = RecordKind::ALL.map(RecordKind::plural);
    let keys: Vec<&str> = kinds.into_iter().chain(["resource_types", "relationship_types", "jobs"]).collect();
    let limit = object(
        "How many of one thing the account has and may have.",
        json!({
            "key": {"type": "string", "enum": keys, "description": "What is counted."},
            "limit": count("As many as there may be."), "count": count("As many as there are."),
        }),
    );
    let may = |role: &str| {
        let allowed = |what: &str| json!({"type": "boolean", "description": format!("Whether they may {what} records of the type.")});
        object(
            &format!("What users of the role {role} may do."),
            json!({"create": allowed("create"), "read": allowed("read"), "update": allowed("update"), "delete": allowed("delete")}),
        )
    };
    let permissions = object(
        "Who may do what with the records of a type.",
        json!({
            "rbac": object("By role.", json!({"admin": may("admin"), "agent": may("agent"), "end_user": may("end user")})),
            "rebac": {"type": "object", "description": "By what a user is related to: nothing."},
        }),
    );
    group([("Links", links), ("Limit", limit), ("Permissions", permissions)])
}
