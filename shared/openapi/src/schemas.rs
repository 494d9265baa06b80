//! Schemas of everything that has a body, in JSON Schema (draft 2020-12), with the code's own names and limits.

use domain::account::usage::RecordKind;
use domain::job::{JobStatus, Operation};
use domain::limits;
use domain::problem::Code;
use domain::query::VALUES_IN_LIST;
use serde_json::{Map, Value, json};

/// A reference to one of [`all`].
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

/// A number as people read it: 10,000.
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

/// `{"data": …}`, which every answer is wrapped in, and every body but that of a job and a query.
pub fn data(schema: &Value) -> Value {
    json!({"type": "object", "properties": {"data": schema}, "required": ["data"]})
}

/// A page of a list.
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

/// An object type's key, or the name of things that are kept elsewhere.
const END_TYPE: &str = "^([A-Za-z0-9][A-Za-z0-9_-]{1,31}|zen:[a-z_]{1,32})$";

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

/// Every action of a job, once each.
fn actions() -> Vec<&'static str> {
    names(Operation::ALL.map(Operation::action))
}

/// Both types that a job may have.
pub fn job_types() -> Vec<&'static str> {
    names(Operation::ALL.map(Operation::job_type))
}

/// Every state of a job.
fn states() -> Vec<&'static str> {
    names(JobStatus::ALL.map(JobStatus::as_str))
}

/// Every schema, by its name.
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

fn errors() -> Map<String, Value> {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    let statuses = {
        let mut statuses = names(Code::ALL.map(Code::status));
        statuses.sort_unstable();
        statuses
    };
    let titles = names(Code::ALL.map(Code::title));
    let problem = object(
        "What is wrong with one item, or with a whole job.",
        json!({
            "code": {"type": "string", "enum": codes, "description": "What programs tell errors apart by."},
            "status": {"type": "string", "enum": statuses, "description": "The HTTP status that stands for it, as a text."},
            "title": {"type": "string", "enum": titles},
            "detail": {"type": "string", "description": "One sentence for people: it names the member, the limit and the value."},
        }),
    );
    let repeats = json!({"message": {"type": "string", "description": "The same as `detail`, where a limit was met."}});
    let request_problem = object(
        "What is wrong with a request.",
        json!({
            "code": problem["properties"]["code"], "status": problem["properties"]["status"],
            "title": problem["properties"]["title"], "detail": problem["properties"]["detail"],
            "message": {"type": "string", "description": "The same as `detail`."},
        }),
    );
    let errors = object(
        "Why a request was refused. The status is that of the first entry.",
        json!({"errors": {"type": "array", "minItems": 1, "items": reference("RequestProblem")}}),
    );
    let unauthenticated = object(
        "The one error that looks different.",
        json!({"error": {"type": "string", "const": "Couldn't authenticate you"}}),
    );
    group([
        ("Problem", with_optional(problem, repeats)),
        ("RequestProblem", request_problem),
        ("Errors", errors),
        ("Unauthenticated", unauthenticated),
    ])
}

fn jobs() -> Map<String, Value> {
    let progress = object(
        "How far the job is, in items.",
        json!({
            "total": count("Items in the job."), "processed": count("Items that have a result: counted chunk by chunk."),
            "succeeded": count("Items that were applied."), "failed": count("Items that changed nothing."),
        }),
    );
    // Null where the job's body could not be read.
    let known = |name: &str| json!({"anyOf": [reference(name), {"type": "null"}]});
    let members = json!({
        "id": {"type": "string", "format": "uuid", "description": "Made when the job was posted."},
        "job_status": reference("JobStatus"),
        "created_at": seconds("When it was posted."),
        "updated_at": seconds("When its state last changed."),
        "completed_at": {"type": ["string", "null"], "format": "date-time", "description": "When it ended; null until then."},
        "type": known("JobType"),
        "action": known("JobAction"),
        "progress": reference("Progress"),
    });
    let optional = json!({
        "validate_only": {"type": "boolean", "const": true, "description": "Everything was checked, and nothing was written."},
        "error": reference("Problem"),
    });
    let summary = with_optional(object("A job in a list: without its results.", members.clone()), optional.clone());
    let mut whole = members;
    whole["results"] = json!({
        "type": "array", "items": reference("ItemResult"), "maxItems": limits::ITEMS_PER_JOB,
        "description": "Empty until the job is `completed` or `failed`; then one entry for each item, at its position.",
    });
    let whole = with_optional(object("A job with what came of its items.", whole), optional);

    let success = |position: bool| {
        let mut members = json!({"success": {"type": "boolean", "const": true}, "data": reference("ResultData")});
        if position {
            members["position"] = count("Where the item stands in the job, from 0.");
        }
        with_optional(object("An item that was applied.", members), json!({"client_ref": client_ref()}))
    };
    let failure = |position: bool| {
        let mut members = json!({
            "success": {"type": "boolean", "const": false},
            "errors": {"type": "array", "minItems": 1, "items": reference("Problem")},
        });
        if position {
            members["position"] = count("Where the item stands in the job, from 0.");
        }
        with_optional(object("An item that changed nothing, and why.", members), json!({"client_ref": client_ref()}))
    };
    let one_of =
        |description: &str, names: [&str; 2]| json!({"description": description, "oneOf": names.map(reference)});
    let result_data = json!({
        "type": "object", "properties": {"id": id("The record's id.")},
        "description": "The record. Only where a job validates, and nobody can know the id yet, it is `{}`.",
    });
    let named =
        |names: Vec<&str>, description: &str| json!({"type": "string", "enum": names, "description": description});
    group([
        (
            "JobStatus",
            named(states(), "`queued` and `processing` jobs are active. The other three are ends, and never left."),
        ),
        ("JobType", named(job_types(), "What kind of records a job is about.")),
        ("JobAction", named(actions(), "What a job does with them.")),
        ("Progress", progress),
        ("JobSummary", summary),
        ("Job", whole),
        ("ItemResult", one_of("What came of one item.", ["ItemSuccess", "ItemFailure"])),
        ("ItemSuccess", success(false)),
        ("ItemFailure", failure(false)),
        ("PagedResult", one_of("What came of one item, and which it is.", ["PagedSuccess", "PagedFailure"])),
        ("PagedSuccess", success(true)),
        ("PagedFailure", failure(true)),
        ("ResultData", result_data),
    ])
}

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

/// `{relationship_type, source, target}`, as a job's item and as a request.
fn relationship() -> Value {
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

fn requests_of_jobs() -> Map<String, Value> {
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

fn types() -> Map<String, Value> {
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

fn records() -> Map<String, Value> {
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

fn queries() -> Map<String, Value> {
    let window = |description: &str| {
        let edge = |description: &str| {
            json!({
                "type": "string", "description": description, "examples": ["2017-11-03T16:00:06Z"],
            })
        };
        json!({
            "type": "object", "description": description,
            "properties": {"start": edge("From this time on."), "end": edge("Before this time.")},
        })
    };
    let any_of = |operators: &str| {
        let description = format!("Records of which {operators} of these queries hold.");
        json!({"type": "array", "items": reference("Query"), "description": description})
    };
    let query = json!({
        "type": "object",
        "description": "Comparisons by attribute (dots reach into nested objects), `_type`, `_external_id`, `_id` or `*`, all of which hold. \
                        `{}` matches every record.",
        "properties": {"$and": any_of("all"), "$or": any_of("any"), "$not": reference("Query")},
        "additionalProperties": reference("Comparison"),
        "examples": [{"_type": "product", "price": {"$gt": 1, "$lte": 2}}],
    });
    let scalar = json!({"type": ["string", "number", "boolean", "null"]});
    let edge = |description: &str| json!({"type": ["string", "number"], "description": description});
    let operators = json!({
        "type": "object", "description": "Operators, all of which hold.", "additionalProperties": false,
        "properties": {
            "$eq": {"description": "An equal value."},
            "$ne": {"description": "Another value, or none."},
            "$gt": edge("More than this."), "$gte": edge("This or more."), "$lt": edge("Less than this."), "$lte": edge("This or less."),
            "$in": {"type": "array", "items": scalar, "maxItems": VALUES_IN_LIST, "description": "One of these."},
            "$contains": {"type": ["string", "number", "boolean", "null"], "description": "A text with this text in it, or an array with this element."},
            "$prefix": {"type": "string", "description": "A text that begins so."},
            "$exists": {"type": "boolean", "description": "What is there, or what is not."},
        },
    });
    let comparison = json!({
        "description": "A value, which is an equal one, or operators.",
        "anyOf": [
            {"type": "string"}, {"type": "number"}, {"type": "boolean"}, {"type": "null"}, reference("Operators"),
        ],
    });
    let fields = ["_created_at", "_updated_at"];
    let directions = ["asc", "desc"];
    let with_direction = fields.iter().flat_map(|field| directions.map(|direction| format!("{field} {direction}")));
    let words: Vec<String> = fields.iter().map(|field| (*field).to_owned()).chain(with_direction).collect();
    let by_member = fields.map(|field| {
        json!({
            "type": "object", "properties": {field: {"type": "string", "enum": directions}}, "required": [field],
            "additionalProperties": false,
        })
    });
    let sort_by = json!({
        "description": "Without a direction, `desc`.", "examples": ["_updated_at asc"],
        "anyOf": [{"type": "string", "enum": words}, by_member[0], by_member[1]],
    });
    let search = with_optional(
        object("Which object records are wanted.", json!({"query": reference("Query")})),
        json!({
            "_created_at": window("When they were made."), "_updated_at": window("When they were last written."),
            "sort_by": sort_by,
        }),
    );
    let plan = object(
        "How a page was come by.",
        json!({
            "plan": {"type": "string", "enum": ["ids", "index", "created_at", "updated_at"]},
            "of": {
                "type": "object", "description": "What was gone through.",
                "properties": {
                    "ids": count("How many records are named."),
                    "types": {"type": "array", "items": {"type": "string"}, "description": "Keys of object types."},
                    "index": {"type": "string", "description": "The attribute whose index was used, or `_updated_at`."},
                },
            },
            "records_read": count("Records that this page has looked at."),
            "records_found": count("Of those, the ones that match."),
            "has_more": {"type": "boolean"},
        }),
    );
    group([
        ("Search", search),
        ("Query", query),
        ("Comparison", comparison),
        ("Operators", operators),
        ("SearchPlan", plan),
    ])
}

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
