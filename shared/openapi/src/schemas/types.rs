//! Schemas of object types and relationship types.

use domain::limits;
use serde_json::{Map, Value, json};

use super::{group, grouped, millis, object, type_key, with_optional};

/// An object type's key, or the name of things that are kept elsewhere.
const END_TYPE: &str = "^([A-Za-z0-9][A-Za-z0-9_-]{1,31}|zen:[a-z_]{1,32})$";

pub fn types() -> Map<String, Value> {
    let schema = json!({
        "type": "object", "additionalProperties": true, "examples": [{"properties": {"city": {"type": "string"}}}],
        "description": format!(
            "JSON Schema (draft 2020-12) of the records' attributes: an object with `properties`, each of which has a `type`. At most {} bytes as compact JSON.",
            grouped(limits::SCHEMA_BYTES),
        ),
        "properties": {
            "x-indexed": {
                "type": "array", "items": {"type": "string"}, "uniqueItems": true, "maxItems": limits::INDEXED_ATTRIBUTES + 1,
                "description": format!(
                    "What searches find by an index: at most {} properties, or paths that begin with one, and `_updated_at`.",
                    limits::INDEXED_ATTRIBUTES,
                ),
            },
        },
    });
    let indexes = json!({
        "type": "array", "description": "Of a type that has any: its indexes.",
        "items": object("An index.", json!({
            "name": {"type": "string", "description": "The attribute's name or path, or `_updated_at`."},
            "ready": {"type": "boolean", "description": "Whether searches use it: not before every record is in it."},
        })),
    });
    let object_type = with_optional(
        object(
            "A type of object records.",
            json!({
                "key": type_key("Its name, as it was defined; compared without regard to case."), "schema": schema,
                "version": {"type": "integer", "minimum": 1, "description": "One more with each new schema."},
                "created_at": millis("When it was defined."), "updated_at": millis("When its schema was last replaced."),
            }),
        ),
        json!({"indexes": indexes}),
    );
    let request = object("An object type to define.", json!({"key": type_key("Its name."), "schema": schema}));
    let replacement = with_optional(
        object("A new schema of an object type.", json!({"schema": schema})),
        json!({"key": type_key("Its name, which cannot be changed.")}),
    );
    let end = |description: &str| {
        json!({
            "description": description,
            "anyOf": [
                {"type": "string", "pattern": END_TYPE},
                {"type": "array", "items": {"type": "string", "pattern": END_TYPE}, "minItems": 1, "maxItems": 1},
            ],
            "examples": ["zen:user"],
        })
    };
    let ends = || {
        (
            end(
                "An object type's key, or `zen:` and the name of things kept elsewhere. In brackets, an array of one text, there may be many of them.",
            ),
            end("As `source`. Without brackets, a source has at most one target of the type."),
        )
    };
    let (source, target) = ends();
    let relationship_type = object(
        "A type of relationship records.",
        json!({
            "key": type_key("Its name."), "source": source, "target": target,
            "created_at": millis("When it was defined."), "updated_at": millis("The same: a relationship type is never changed."),
        }),
    );
    let (source, target) = ends();
    let relationship_request = object(
        "A relationship type to define.",
        json!({"key": type_key("Its name."), "source": source, "target": target}),
    );
    group([
        ("ObjectType", object_type),
        ("ObjectTypeToCreate", request),
        ("ObjectTypeToReplace", replacement),
        ("RelationshipType", relationship_type),
        ("RelationshipTypeToCreate", relationship_request),
    ])
}
