//! Schemas of the requests that make jobs, and of their items: one of each for every operation.

use domain::job::Operation;
use domain::limits;
use serde_json::{Map, Value, json};

use super::records::relationship;
use super::{attributes, client_ref, given_external_id, id, object, reference, type_key, with_optional};

/// The name of the schema of one item, and the schema.
fn item(operation: Operation) -> (&'static str, Value) {
    let object_type = type_key("The key of an object type.");
    let by_id = |what: &str| {
        let named = object(what, json!({"id": id("The record's id."), "client_ref": client_ref()}));
        json!({"description": what, "anyOf": [id("The record's id."), named]})
    };
    let named = |item| with_optional(item, json!({"client_ref": client_ref()}));
    match operation {
        Operation::CreateObjects => {
            let members = json!({"type": object_type, "attributes": attributes("`null` means absent.")});
            let made = object("An object record to make.", members);
            ("ItemToCreate", named(with_optional(made, json!({"external_id": given_external_id()}))))
        }
        Operation::UpdateObjects => {
            let members = json!({"id": id("The record's id."), "attributes": attributes("A merge patch (RFC 7396).")});
            ("ItemToUpdate", named(object("An object record to change.", members)))
        }
        Operation::SetObjects => {
            let patch = attributes(
                "A merge patch (RFC 7396) of the record of this external id, which is made if it is not there.",
            );
            let members = json!({"type": object_type, "external_id": given_external_id(), "attributes": patch});
            ("ItemToSet", named(object("An object record to change or make.", members)))
        }
        Operation::DeleteObjects => ("ItemToDelete", by_id("An object record to delete.")),
        Operation::DeleteObjectsByExternalId => {
            let members = json!({"type": object_type, "external_id": given_external_id()});
            ("ItemToDeleteByExternalId", named(object("An object record to delete.", members)))
        }
        Operation::CreateRelationships => ("ItemToRelate", named(relationship())),
        Operation::DeleteRelationships => ("ItemToUnrelate", by_id("A relationship record to delete.")),
    }
}

pub fn requests_of_jobs() -> Map<String, Value> {
    let mut schemas = Map::new();
    let mut forms = Vec::new();
    for operation in Operation::ALL {
        let (name, item) = item(operation);
        let form = name.replacen("Item", "Job", 1);
        let members = json!({
            "type": {"type": "string", "const": operation.job_type()},
            "action": {"type": "string", "const": operation.action()},
            "data": {"type": "array", "items": reference(name), "minItems": 1, "maxItems": limits::ITEMS_PER_JOB},
        });
        let optional = json!({"max_failures": {
            "type": "integer", "minimum": 0, "maximum": u32::MAX,
            "description": "Once more items than that have failed, no other chunk of the job is begun.",
        }});
        let description = format!("A job of type `{}` and action `{}`.", operation.job_type(), operation.action());
        forms.push(reference(&form));
        schemas.insert(name.to_owned(), item);
        schemas.insert(form, with_optional(object(&description, members), optional));
    }
    schemas.insert("JobRequest".to_owned(), json!({"description": "A job to run.", "oneOf": forms}));
    schemas
}
