//! Schemas of object records and relationship records.

use domain::limits;
use serde_json::{Map, Value, json};

use super::{attributes, given_external_id, group, id, millis, object, type_key, with_optional};

/// The schema of `{relationship_type, source, target}`, as a job's item and as a request have it.
pub fn relationship() -> Value {
    let end = json!({
        "description": "An object record by its id, or by type and external id; or what is kept elsewhere, as `zen:user:123`.",
        "anyOf": [
            {"type": "string"},
            object("An object record by its external id.", json!({
                "type": type_key("The key of an object type."), "external_id": given_external_id(),
            })),
        ],
        "examples": ["zen:user:7"],
    });
    let relationship_type = type_key("The key of a relationship type.");
    let members = json!({"relationship_type": relationship_type, "source": end, "target": end});
    object("A relationship record to make.", members)
}

pub fn records() -> Map<String, Value> {
    let object_record = object(
        "A record.",
        json!({
            "type": type_key("The key of its type, as it was defined."), "id": id("Ours; opaque."),
            "external_id": {"type": ["string", "null"], "maxLength": limits::EXTERNAL_ID_CHARACTERS, "description": "Yours, as it was given."},
            "attributes": attributes("What is in it."),
            "created_at": millis("When it was made."), "updated_at": millis("When it was last written."),
            "type_version": {"type": "integer", "minimum": 1, "description": "The version of its type when it was last written."},
        }),
    );
    let to_create = with_optional(
        object(
            "A record to make.",
            json!({"type": type_key("The key of an object type."), "attributes": attributes("`null` means absent.")}),
        ),
        json!({"external_id": given_external_id()}),
    );
    let to_set = object(
        "A record to change, or to make if it is not there.",
        json!({
            "type": type_key("The key of an object type."), "external_id": given_external_id(),
            "attributes": attributes("A merge patch (RFC 7396)."),
        }),
    );
    let to_update = object("Changes of a record.", json!({"attributes": attributes("A merge patch (RFC 7396).")}));
    let relationship_record = object(
        "A link from one thing to another.",
        json!({
            "id": id("Ours; opaque."), "relationship_type": type_key("The key of its type."),
            "source": {"type": "string", "description": "The id of an object record, or what is kept elsewhere: `zen:user:7`."},
            "target": {"type": "string", "description": "As `source`."},
            "created_at": millis("When it was made."),
        }),
    );
    group([
        ("ObjectRecord", object_record),
        ("ObjectRecordToCreate", to_create),
        ("ObjectRecordToSet", to_set),
        ("ObjectRecordToUpdate", to_update),
        ("RelationshipRecord", relationship_record),
        ("RelationshipRecordToCreate", relationship()),
    ])
}
