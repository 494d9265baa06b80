//! Every route: what it takes and what it answers.

use domain::limits;
use domain::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::schemas::{data, grouped, job_types, list, reference};

/// What every route may answer that asks who is calling.
pub const ALWAYS: [u16; 6] = [400, 401, 403, 429, 500, 503];

/// What a route with a body may answer besides.
const OF_A_BODY: [u16; 3] = [413, 415, 422];

/// A method of a path.
pub struct Operation {
    pub method: &'static str,
    /// Beneath `/api/sunshine`.
    pub path: &'static str,
    pub id: &'static str,
    pub tag: &'static str,
    pub summary: &'static str,
    pub description: String,
    pub parameters: Vec<Value>,
    pub body: Option<Body>,
    /// By status.
    pub answers: Vec<Answer>,
    /// Statuses of refusals besides [`ALWAYS`].
    pub refusals: Vec<u16>,
    /// Whether it asks who is calling.
    pub is_open: bool,
}

/// What a route reads.
pub struct Body {
    pub description: String,
    pub forms: Vec<Form>,
}

/// A media type that a body may have.
pub struct Form {
    pub media_type: &'static str,
    pub schema: Value,
    /// One that no page of the documentation has.
    pub example: Option<Value>,
}

/// An answer that is no refusal.
pub struct Answer {
    pub status: u16,
    pub description: &'static str,
    /// None where there is no body.
    pub forms: Vec<Form>,
    /// Names of headers of `components`.
    pub headers: Vec<&'static str>,
    /// What may be asked for next of what was made: ids of operations.
    pub links: Vec<&'static str>,
}

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// The failed item of the documentation's example of results, as a line and in a table.
const LINES_OF_RESULTS: &str = "{\"position\":1,\"success\":false,\"errors\":[{\"code\":\"UnprocessableEntity\",\"status\":\"422\",\
    \"title\":\"Unprocessable Entity\",\"detail\":\"attributes.name breaks the rule \\\"required\\\": the attribute is missing\"}]}\n";
const TABLE_OF_RESULTS: &str = "position,client_ref,success,id,code,title,detail\r\n1,,false,,UnprocessableEntity,Unprocessable Entity,\
    \"attributes.name breaks the rule \"\"required\"\": the attribute is missing\"\r\n";

impl Form {
    const fn of(media_type: &'static str, schema: Value) -> Self {
        Self { media_type, schema, example: None }
    }

    /// Plain text, as this.
    fn text(media_type: &'static str, description: &str, example: &str) -> Self {
        let schema = json!({"type": "string", "description": description});
        Self { media_type, schema, example: Some(example.into()) }
    }
}

impl Operation {
    fn new(method: &'static str, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        let tag = match path.split('/').nth(1) {
            Some("jobs") => "Jobs",
            Some("objects") if path.starts_with("/objects/types") => "Object types",
            Some("objects") => "Object records",
            Some("relationships") if path.starts_with("/relationships/types") => "Relationship types",
            Some("relationships") => "Relationship records",
            _ => "Service",
        };
        let parameters = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        Self {
            method,
            path,
            id,
            tag,
            summary,
            description: String::new(),
            parameters: parameters.map(|name| in_path(path, name)).collect(),
            body: None,
            answers: Vec::new(),
            refusals: Vec::new(),
            is_open: false,
        }
    }

    fn saying(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    fn taking(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// Reads `{"data": …}` of at most so many bytes.
    fn reading(self, schema: &str, bytes: usize) -> Self {
        self.reading_plain(data(&reference(schema)), bytes)
    }

    fn reading_plain(mut self, schema: Value, bytes: usize) -> Self {
        self.body = Some(Body {
            description: format!("At most {} bytes.", grouped(bytes)),
            forms: vec![Form::of(JSON, schema)],
        });
        self.refusals.extend(OF_A_BODY);
        self
    }

    fn answering(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    fn refusing<const N: usize>(mut self, statuses: [u16; N]) -> Self {
        self.refusals.extend(statuses);
        self
    }

    /// Takes `Idempotency-Key`, for a write that is to be made once.
    fn once(self) -> Self {
        self.taking([parameter("Idempotency-Key")]).refusing([422])
    }

    /// A page of a list.
    fn paged(self) -> Self {
        self.taking(["per_page", "cursor", "order"].map(parameter))
    }

    /// Every status that is a refusal, in order.
    pub fn all_refusals(&self) -> Vec<u16> {
        let always: &[u16] = if self.is_open { &[] } else { &ALWAYS };
        let mut statuses: Vec<u16> = always.iter().chain(&self.refusals).copied().collect();
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    }
}

impl Answer {
    fn new(status: u16, description: &'static str, schema: Value) -> Self {
        Self { status, description, forms: vec![Form::of(JSON, schema)], headers: Vec::new(), links: Vec::new() }
    }

    /// 204
    const fn empty(description: &'static str) -> Self {
        Self { status: 204, description, forms: Vec::new(), headers: Vec::new(), links: Vec::new() }
    }

    /// 201 with `Location`.
    fn made(description: &'static str, schema: &str) -> Self {
        let mut answer = Self::new(201, description, data(&reference(schema)));
        answer.headers.push("Location");
        answer
    }

    fn of(status: u16, description: &'static str, schema: &str) -> Self {
        Self::new(status, description, data(&reference(schema)))
    }

    fn page(description: &'static str, item: &str) -> Self {
        Self::new(200, description, list(&reference(item)))
    }

    fn leading(mut self, links: &[&'static str]) -> Self {
        self.links.extend(links);
        self
    }
}

/// One of the shared parameters.
fn parameter(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

fn in_query(name: &str, description: &str, schema: Value, example: Value) -> Value {
    let mut parameter = json!({"name": name, "in": "query", "description": description});
    parameter["schema"] = schema;
    parameter["example"] = example;
    parameter
}

fn required_in_query(name: &str, description: &str, schema: Value, example: Value) -> Value {
    let mut parameter = in_query(name, description, schema, example);
    parameter["required"] = true.into();
    parameter
}

/// What stands in a path at `{name}`.
fn in_path(path: &str, name: &str) -> Value {
    let (description, example) = match (name, path) {
        ("id", _) if path.starts_with("/jobs") => ("The job's id.", "015f826a-b8a6-7000-8000-000000000000"),
        ("id", _) if path.contains("/relationships/{type}") || path.contains("/related/{type}") => {
            ("The id of an object record, or what is kept elsewhere: `zen:user:7`.", "zen:user:7")
        }
        ("id", _) => ("The record's id.", "40e83a4e-8438-8bb9-8f6f-51124535ce9f"),
        ("type", _) => ("The key of a relationship type.", "bought"),
        (_, _) if path.starts_with("/relationships") => ("The key of a relationship type.", "bought"),
        (_, _) => ("The key of an object type.", "product"),
    };
    json!({
        "name": name, "in": "path", "required": true, "description": description, "schema": {"type": "string"},
        "example": example,
    })
}

/// Parameters that several routes take.
pub fn parameters() -> Map<String, Value> {
    let per_page = in_query(
        "per_page",
        "How many items a page has at the most.",
        json!({"type": "integer", "minimum": 1, "maximum": limits::ITEMS_PER_PAGE}),
        json!(100),
    );
    let cursor = in_query(
        "cursor",
        "Where to go on: from `links` of another page of the same list. One that was changed is 400.",
        json!({"type": "string"}),
        json!(""),
    );
    let order = in_query(
        "order",
        "By creation: the oldest first, or the newest.",
        json!({"type": "string", "enum": ["asc", "desc"]}),
        json!("desc"),
    );
    let key = json!({
        "name": "Idempotency-Key", "in": "header", "example": "import of 3 November, part 1",
        "description": "A name of your own for the request: the same request with the same name within a day has its effect once. \
                        Another request with the same name is 422.",
        "schema": {"type": "string", "minLength": 1, "maxLength": limits::IDEMPOTENCY_KEY_CHARACTERS, "pattern": "^[ -~]+$"},
    });
    [("per_page", per_page), ("cursor", cursor), ("order", order), ("Idempotency-Key", key)]
        .map(|(name, parameter)| (name.to_owned(), parameter))
        .into_iter()
        .collect()
}

/// References to headers, by their names.
pub fn header_references<'name>(names: impl Iterator<Item = &'name str>) -> Map<String, Value> {
    names.map(|name| (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}))).collect()
}

/// Headers of answers.
pub fn headers() -> Map<String, Value> {
    let header = |required: bool, description: &str, schema: Value, example: Value| json!({"description": description, "required": required, "schema": schema, "example": example});
    let text = || json!({"type": "string"});
    let number = || json!({"type": "integer", "minimum": 0});
    [
        (
            "X-Request-Id",
            header(
                true,
                "Names the request in the operator's log.",
                json!({"type": "string", "format": "uuid"}),
                json!("5bd2b2a0-7ba3-4c1c-9d0b-1e7a3a0c8f55"),
            ),
        ),
        ("X-Rate-Limit", header(true, "Requests that the account may make in a minute.", number(), json!(700))),
        ("X-Rate-Limit-Remaining", header(true, "How many of them are left.", number(), json!(699))),
        ("Retry-After", header(true, "Seconds after which to send the request again.", number(), json!(2))),
        ("Location", header(true, "The path of what was made.", text(), json!("/api/sunshine/objects/types/shop"))),
        ("WWW-Authenticate", header(true, "How to say who is calling.", text(), json!("Basic"))),
        ("Preference-Applied", header(false, "What `Prefer` asked for and was done.", text(), json!("wait=20"))),
        (
            "Link",
            header(
                false,
                "Of lines and tables: the pages beside this one.",
                text(),
                json!("</api/sunshine/jobs/…/results?cursor=…>; rel=\"next\""),
            ),
        ),
        ("ETag", header(true, "A mark of this very content.", text(), json!("\"2c26b46b68ffc68ff99b453c1d304134\""))),
    ]
    .into_iter()
    .map(|(name, header)| (name.to_owned(), header))
    .collect()
}

/// Every route, in the order in which it is told.
pub fn all() -> Vec<Operation> {
    [jobs(), service(), object_types(), object_records(), relationship_types(), relationship_records()]
        .into_iter()
        .flatten()
        .collect()
}

/// A text that is not empty: an empty parameter is none.
fn some() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn jobs() -> Vec<Operation> {
    let time = Timestamp::from_millis(1_509_724_806_000).in_seconds().to_string();
    let at = || json!({"type": "string", "format": "date-time"});
    let post = Operation::new("post", "/jobs", "createJob", "Post a job")
        .saying(format!(
            "At most {} items in at most {} bytes, which `Content-Encoding` may have compressed (gzip, deflate, br or zstd; then at most {} bytes, \
             and {} once it is decompressed). The answer promises that the job will run. A wrong item never fails the request: it fails in its own result. \
             A refusal, or a 503 with `X-Request-Id`, promises that no item will ever be applied.",
            grouped(limits::ITEMS_PER_JOB),
            grouped(limits::BODY_BYTES),
            grouped(limits::BODY_BYTES / 4 * 3),
            grouped(limits::DECOMPRESSED_BODY_BYTES),
        ))
        .taking([
            parameter("Idempotency-Key"),
            in_query("validate_only", "Makes every check and writes nothing.", flag(), json!(true)),
            in_query("type", "Of a body of lines: the job's `type`.", reference("JobType"), json!("resources")),
            in_query("action", "Of a body of lines: the job's `action`.", reference("JobAction"), json!("post")),
            in_query(
                "max_failures",
                "Of a body of lines: the job's `max_failures`.",
                json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
                json!(10),
            ),
        ])
        .answering(
            Answer::made("The job, `queued`. One whose `Content-Encoding` is unknown has `failed`.", "Job")
                .leading(&["getJob", "listJobResults", "abortJob"]),
        )
        .refusing(OF_A_BODY);
    let post = Operation {
        body: Some(Body {
            description: "A job, or, as lines, its items: then `type` and `action` stand in the query, and it has at most as many bytes as a compressed body."
                .to_owned(),
            forms: vec![
                Form::of(JSON, reference("JobRequest")),
                Form::of(LINES, json!({"type": "string", "description": "An item on each line."})),
            ],
        }),
        ..post
    };
    let columns =
        "The columns position, client_ref, success, id, code, title and detail; with that header on the first page.";
    let mut results = Answer::page("What came of the job's items.", "PagedResult");
    results.forms.push(Form::text(LINES, "A result on each line.", LINES_OF_RESULTS));
    results.forms.push(Form::text("text/csv", columns, TABLE_OF_RESULTS));
    results.headers.push("Link");
    let mut shown = Answer::of(200, "The job.", "Job");
    shown.headers.push("Preference-Applied");
    vec![
        Operation::new("get", "/jobs", "listJobs", "List jobs")
            .saying("The newest first, without their results. A page looks at 5,000 jobs at the most, so it may hold fewer than was asked and still have a `next`.")
            .paged()
            .taking([
                in_query("status", "Jobs in this state.", reference("JobStatus"), json!("completed")),
                in_query(
                    "type",
                    "Jobs of this type. Anything but `resources` and `relationships` is ignored, because published clients send one.",
                    json!({"type": "string", "examples": job_types()}),
                    json!("resources"),
                ),
                in_query("action", "Jobs of this action.", reference("JobAction"), json!("post")),
                in_query("created_after", "Jobs made then or later.", at(), json!(time)),
                in_query("created_before", "Jobs made earlier.", at(), json!(time)),
            ])
            .answering(Answer::page("A page of jobs.", "JobSummary")),
        post,
        Operation::new("get", "/jobs/{id}", "getJob", "Show a job, or wait for its end")
            .saying("A job can be seen for 24 hours.")
            .taking([
                in_query(
                    "wait",
                    "Seconds to wait for the job's end before it is answered as it is.",
                    json!({"type": "integer", "minimum": 0, "maximum": limits::WAIT_SECONDS}),
                    json!(20),
                ),
                json!({
                    "name": "Prefer", "in": "header", "schema": {"type": "string"}, "example": "wait=20",
                    "description": "`wait=20` is as `wait` in the query (RFC 7240).",
                }),
            ])
            .answering(shown)
            .refusing([404]),
        Operation::new("get", "/jobs/{id}/results", "listJobResults", "List what came of a job's items")
            .saying("In the order of the job's chunks: by position, but that items of one record stand together. Of a job that is processing, what is done so far. \
                     A page may hold fewer than was asked and still have a `next`; of lines and tables, `next` and `prev` stand in `Link`.")
            .paged()
            .taking([in_query("success", "Only items that were applied, or only those that were not.", flag(), json!(false))])
            .answering(results)
            .refusing([404]),
        Operation::new("post", "/jobs/{id}/abort", "abortJob", "Stop a job")
            .saying("Of a job that is processing, what is left is not begun.")
            .answering(Answer::of(200, "The job, which has ended.", "Job"))
            .answering(Answer::of(202, "The job, whose chunks under way are being finished.", "Job"))
            .refusing([404, 409]),
    ]
}

fn service() -> Vec<Operation> {
    let limits_of_account = json!({"type": "array", "items": reference("Limit")});
    let text = |description: &'static str, form: Form| Answer {
        status: 200,
        description,
        forms: vec![form],
        headers: vec!["ETag"],
        links: Vec::new(),
    };
    let open = |operation: Operation| Operation { is_open: true, ..operation };
    vec![
        Operation::new("get", "/limits", "getLimits", "Show limits")
            .saying("How many of each thing the account has and may have.")
            .answering(Answer::new(200, "Every limit.", data(&limits_of_account))),
        open(Operation::new("get", "/openapi.json", "getSpecification", "Show this specification").answering(text(
            "An OpenAPI document.",
            Form {
                example: Some(json!({"openapi": "3.1.1", "info": {"title": "Sundial"}})),
                ..Form::of(JSON, json!({"type": "object", "additionalProperties": true}))
            },
        ))),
        open(Operation::new("get", "/docs", "getReference", "Show this specification as a page").answering(text(
            "A page for people.",
            Form::text("text/html", "HTML.", "<!doctype html>\n<html lang=\"en\">…</html>"),
        ))),
    ]
}

fn object_types() -> Vec<Operation> {
    vec![
        Operation::new("get", "/objects/types", "listObjectTypes", "List object types")
            .paged()
            .answering(Answer::page("A page of types.", "ObjectType")),
        Operation::new("post", "/objects/types", "createObjectType", "Define an object type")
            .saying(format!("At most {} of an account.", limits::TYPES_PER_ACCOUNT))
            .reading("ObjectTypeToCreate", limits::TYPE_BODY_BYTES)
            .answering(Answer::made("The type.", "ObjectType")),
        Operation::new("get", "/objects/types/{key}", "getObjectType", "Show an object type")
            .answering(Answer::of(200, "The type.", "ObjectType"))
            .refusing([404]),
        Operation::new("put", "/objects/types/{key}", "replaceObjectType", "Replace an object type's schema")
            .saying("Records that are there stay as they are until their next write.")
            .reading("ObjectTypeToReplace", limits::TYPE_BODY_BYTES)
            .answering(Answer::of(200, "The type.", "ObjectType"))
            .refusing([404]),
        Operation::new("delete", "/objects/types/{key}", "deleteObjectType", "Delete an object type")
            .saying("Not while there are records of it, or relationship types that name it.")
            .answering(Answer::empty("It is gone."))
            .refusing([404, 422]),
        Operation::new("get", "/objects/types/{key}/permissions", "getObjectTypePermissions", "Show who may do what")
            .saying("The same for every type today.")
            .answering(Answer::of(200, "What each role may do.", "Permissions"))
            .refusing([404]),
    ]
}

fn object_records() -> Vec<Operation> {
    let key = || json!({"type": "string"});
    let changed = || Answer::of(200, "The record as the request left it.", "ObjectRecord");
    let made = || {
        let next = ["getObjectRecord", "updateObjectRecord", "deleteObjectRecord"];
        Answer::made("The record, which was made.", "ObjectRecord").leading(&next)
    };
    let set = |method, id, summary| {
        Operation::new(method, "/objects/records", id, summary)
            .saying("A merge patch when there is one of that external id; else it is made.")
            .once()
            .reading("ObjectRecordToSet", limits::RECORD_BODY_BYTES)
            .answering(changed())
            .answering(made())
            .refusing([404])
    };
    let update = |method, id, summary| {
        Operation::new(method, "/objects/records/{id}", id, summary)
            .saying("A merge patch (RFC 7396) of what is there at that moment.")
            .once()
            .reading("ObjectRecordToUpdate", limits::RECORD_BODY_BYTES)
            .answering(changed())
            .refusing([404])
    };
    let explained = json!({"anyOf": [
        list(&reference("ObjectRecord")),
        data(&reference("SearchPlan")),
    ]});
    let named = format!("With commas between them, at most {}.", grouped(limits::RECORDS_NAMED));
    vec![
        Operation::new("get", "/objects/records", "listObjectRecords", "List object records")
            .saying("By one of `type`, `ids`, `type` with `external_id` and `type` with `external_ids`; without any of them it is 400.")
            .paged()
            .taking([
                in_query("type", "The key of an object type.", key(), json!("product")),
                in_query("ids", &format!("Ids of records. {named}"), key(), json!("40e83a4e-8438-8bb9-8f6f-51124535ce9f")),
                in_query("external_id", "The external id of a record.", key(), json!("3")),
                in_query("external_ids", &format!("External ids of records. {named}"), key(), json!("3,5")),
            ])
            .answering(Answer::page("A page of records.", "ObjectRecord"))
            .refusing([404]),
        Operation::new("post", "/objects/records", "createObjectRecord", "Make an object record")
            .once()
            .reading("ObjectRecordToCreate", limits::RECORD_BODY_BYTES)
            .answering(made())
            .refusing([404]),
        set("patch", "setObjectRecord", "Set an object record by its external id"),
        set("put", "setObjectRecordByPut", "Set an object record by its external id, by PUT"),
        Operation::new("delete", "/objects/records", "deleteObjectRecordByExternalId", "Delete an object record by its external id")
            .once()
            .taking([
                required_in_query("type", "The key of an object type.", some(), json!("product")),
                required_in_query("external_id", "The external id of a record.", some(), json!("5")),
            ])
            .answering(Answer::empty("It is gone."))
            .refusing([404]),
        Operation::new("get", "/objects/records/{id}", "getObjectRecord", "Show an object record")
            .answering(Answer::of(200, "The record.", "ObjectRecord"))
            .refusing([404]),
        update("patch", "updateObjectRecord", "Change an object record"),
        update("put", "updateObjectRecordByPut", "Change an object record, by PUT"),
        Operation::new("delete", "/objects/records/{id}", "deleteObjectRecord", "Delete an object record")
            .saying("Not while relationship records use it.")
            .once()
            .answering(Answer::empty("It is gone."))
            .refusing([404]),
        Operation::new("get", "/objects/records/{id}/relationships/{type}", "listRelationshipsOfRecord", "List a record's relationships")
            .saying("Relationship records that have it as their source.")
            .paged()
            .answering(Answer::page("A page of relationship records.", "RelationshipRecord"))
            .refusing([404]),
        Operation::new("get", "/objects/records/{id}/related/{type}", "listRelatedRecords", "List what a record is related to")
            .saying("Object records at the other end of its relationships, whichever side it stands on; each once, by the creation of the relationships.")
            .paged()
            .answering(Answer::page("A page of object records.", "ObjectRecord"))
            .refusing([404]),
        Operation::new("post", "/objects/query", "searchObjectRecords", "Search object records")
            .saying("A page looks at 2,000 records at the most, so it may hold fewer than was asked and still have a `next`, which comes back with the same body.")
            .paged()
            .taking([in_query("explain", "For admins: how the page is come by, in place of its records.", flag(), json!(false))])
            .reading_plain(reference("Search"), limits::QUERY_BODY_BYTES)
            .answering(Answer::new(200, "A page of records, or how it is come by.", explained)),
    ]
}

fn relationship_types() -> Vec<Operation> {
    vec![
        Operation::new("get", "/relationships/types", "listRelationshipTypes", "List relationship types")
            .paged()
            .answering(Answer::page("A page of types.", "RelationshipType")),
        Operation::new("post", "/relationships/types", "createRelationshipType", "Define a relationship type")
            .saying(format!("It is never changed. At most {} of an account.", limits::TYPES_PER_ACCOUNT))
            .reading("RelationshipTypeToCreate", limits::TYPE_BODY_BYTES)
            .answering(Answer::made("The type.", "RelationshipType")),
        Operation::new("get", "/relationships/types/{key}", "getRelationshipType", "Show a relationship type")
            .answering(Answer::of(200, "The type.", "RelationshipType"))
            .refusing([404]),
        Operation::new("delete", "/relationships/types/{key}", "deleteRelationshipType", "Delete a relationship type")
            .saying("Not while there are records of it.")
            .answering(Answer::empty("It is gone."))
            .refusing([404, 422]),
        Operation::new(
            "get",
            "/relationships/types/{key}/permissions",
            "getRelationshipTypePermissions",
            "Show who may do what",
        )
        .saying("The same for every type today.")
        .answering(Answer::of(200, "What each role may do.", "Permissions"))
        .refusing([404]),
    ]
}

fn relationship_records() -> Vec<Operation> {
    vec![
        Operation::new(
            "get",
            "/relationships/records",
            "listRelationshipRecords",
            "List relationship records of a type",
        )
        .paged()
        .taking([required_in_query("type", "The key of a relationship type.", some(), json!("bought"))])
        .answering(Answer::page("A page of records.", "RelationshipRecord"))
        .refusing([404]),
        Operation::new("post", "/relationships/records", "createRelationshipRecord", "Make a relationship record")
            .once()
            .reading("RelationshipRecordToCreate", limits::RELATIONSHIP_BODY_BYTES)
            .answering(
                Answer::made("The record.", "RelationshipRecord")
                    .leading(&["getRelationshipRecord", "deleteRelationshipRecord"]),
            )
            .refusing([404]),
        Operation::new("get", "/relationships/records/{id}", "getRelationshipRecord", "Show a relationship record")
            .answering(Answer::of(200, "The record.", "RelationshipRecord"))
            .refusing([404]),
        Operation::new(
            "delete",
            "/relationships/records/{id}",
            "deleteRelationshipRecord",
            "Delete a relationship record",
        )
        .once()
        .answering(Answer::empty("It is gone."))
        .refusing([404]),
    ]
}
