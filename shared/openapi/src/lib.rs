//! The API's specification: an OpenAPI 3.1 document, and the same as a page for people. Both are made of the code's own names
//! and limits and of the examples in the documentation, and checked in under `docs/`:
//!
//! ```text
//! cargo run --package openapi
//! ```
//!
//! Tests hold the files to what is made here, the routes to those of the functions, and every answer that a test gets to the
//! schema of its status (`tests/harness/specification.rs`). No function links this crate: the status function has the files in it.

mod examples;
mod operations;
mod page;
mod schemas;

use domain::problem::Code;
use serde_json::{Map, Value, json};

use crate::examples::Example;
use crate::operations::{Answer, Form, Operation};

/// What every path of the document stands beneath.
pub const SERVER: &str = "/api/sunshine";

/// The files, by their names in `docs/`, with their texts.
#[must_use]
pub fn files() -> [(&'static str, String); 2] {
    let document = document();
    // A Value can always be written.
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    [("openapi.json", text + "\n"), ("reference.html", page::render(&document))]
}

/// The whole document.
#[must_use]
pub fn document() -> Value {
    let examples = examples::all();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations::all() {
        let described = described(&operation, &examples);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described;
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Sundial",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The Custom Objects Jobs API: jobs of up to thousands of records to create, update, set by external id or delete.",
            "description": DESCRIPTION,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": SERVER, "description": "On the host that this comes from."}],
        "security": [{"bearer": []}, {"apiToken": []}, {"password": []}],
        "tags": TAGS.map(|(name, description)| json!({"name": name, "description": description})),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "`Bearer TOKEN`"},
                "apiToken": {"type": "http", "scheme": "basic", "description": "Basic, of `EMAIL/token` and an API token."},
                "password": {"type": "http", "scheme": "basic", "description": "Basic, of an email and its password."},
            },
            "parameters": operations::parameters(),
            "headers": headers(),
            "responses": refusals(&examples),
            "schemas": schemas::all(),
        },
    })
}

const DESCRIPTION: &str = "A client posts a job, polls it, and reads a result for each of its items. Every answer but that of 401 is `{\"data\": …}` or `{\"errors\": […]}`, \
    and every one has `X-Request-Id`: one without it comes from what stands between (a gateway, a proxy, a firewall), has a body of theirs, and, with a 5xx, promises nothing. \
    Parameters and members that are not named here are ignored. `GET` is answered gzipped when asked to, and `HEAD` wherever there is `GET`.";

const TAGS: [(&str, &str); 6] = [
    ("Jobs", "Many records in one request, in the background."),
    ("Service", "What is said of the account, and of the API itself."),
    ("Object types", "Schemas that object records are held to."),
    ("Object records", "Records, one at a time."),
    ("Relationship types", "What may be linked to what."),
    ("Relationship records", "Links, one at a time."),
];

fn described(operation: &Operation, examples: &[Example]) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
    });
    if !operation.description.is_empty() {
        described["description"] = operation.description.clone().into();
    }
    if operation.is_open {
        described["security"] = json!([]);
    }
    if !operation.parameters.is_empty() {
        described["parameters"] = operation.parameters.clone().into();
    }
    let of_operation: Vec<&Example> = examples.iter().filter(|example| is_of(operation, example)).collect();
    if let Some(body) = &operation.body {
        let mut content = Map::new();
        for form in &body.forms {
            let sent =
                of_operation.iter().filter(|example| example.status < 300 && example.content_type == form.media_type);
            let sent = sent.filter_map(|example| Some((example.title.as_str(), example.body.as_ref()?)));
            content.insert(form.media_type.to_owned(), media(form, examples::named(sent)));
        }
        described["requestBody"] = json!({"required": true, "description": body.description, "content": content});
    }
    let mut responses = Map::new();
    for answer in &operation.answers {
        let answered = |example: &&Example| example.status == answer.status;
        let mut shown: Vec<&Example> = of_operation.iter().copied().filter(answered).collect();
        if shown.is_empty() {
            // What another method of the path has made is what this one would have.
            shown = examples.iter().filter(|example| example.path == operation.path).filter(answered).collect();
        }
        responses.insert(answer.status.to_string(), response(operation, answer, &shown));
    }
    for status in operation.all_refusals() {
        let named = code_of(status).map_or("Unauthenticated", Code::name);
        responses.insert(status.to_string(), json!({"$ref": format!("#/components/responses/{named}")}));
    }
    described["responses"] = responses.into();
    described
}

/// Whether the example is of this operation; what is sent by `PUT` for `PATCH` is one of the latter.
fn is_of(operation: &Operation, example: &Example) -> bool {
    let method = if operation.id.ends_with("ByPut") { "patch" } else { operation.method };
    let mut template = operation.path.split('/');
    let mut path = example.path.split('/');
    let same_path =
        template.by_ref().zip(path.by_ref()).all(|(template, part)| template.starts_with('{') || template == part)
            && operation.path.split('/').count() == example.path.split('/').count();
    method == example.method && same_path
}

fn media(form: &Form, examples: Map<String, Value>) -> Value {
    let mut media = json!({"schema": form.schema});
    if let Some(example) = &form.example {
        media["example"] = example.clone();
    } else if !examples.is_empty() {
        media["examples"] = examples.into();
    }
    media
}

fn response(operation: &Operation, answer: &Answer, examples: &[&Example]) -> Value {
    let mut response = json!({"description": answer.description});
    let always: &[&str] =
        if operation.is_open { &[] } else { &["X-Request-Id", "X-Rate-Limit", "X-Rate-Limit-Remaining"] };
    let named = always.iter().chain(&answer.headers);
    let headers: Map<String, Value> =
        named.map(|name| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}))).collect();
    response["headers"] = headers.into();
    if !answer.forms.is_empty() {
        let mut content = Map::new();
        for form in &answer.forms {
            let got = examples.iter().filter_map(|example| Some((example.title.as_str(), example.answer.as_ref()?)));
            content.insert(form.media_type.to_owned(), media(form, examples::named(got)));
        }
        response["content"] = content.into();
    }
    if !answer.links.is_empty() {
        let links: Map<String, Value> = answer
            .links
            .iter()
            .map(|(name, id)| {
                ((*name).to_owned(), json!({"operationId": id, "parameters": {"id": "$response.body#/data/id"}}))
            })
            .collect();
        response["links"] = links.into();
    }
    response
}

/// The code of a request's refusal; 401 has none.
fn code_of(status: u16) -> Option<Code> {
    let text = status.to_string();
    Code::ALL.into_iter().find(|code| code.status() == text)
}

/// A response for each status of a refusal.
fn refusals(examples: &[Example]) -> Map<String, Value> {
    const WHEN: [(u16, &str); 12] = [
        (400, "The body is not JSON, a parameter is wrong, or the head of the request is too large."),
        (401, "No credentials, or wrong ones."),
        (403, "A known user who may not do this."),
        (404, "No such job, record or type; a job after its day; another account's anything."),
        (409, "What it acts on is in a state that does not allow it."),
        (413, "The body is too large."),
        (415, "The body is of a type that is not read."),
        (422, "Well-formed, and not acceptable."),
        (429, "A limit is met."),
        (
            500,
            "Ours to mend. Whether anything was done is not known: send the request again with the same `Idempotency-Key`.",
        ),
        (503, "Something that is needed is down or slow. Nothing was done: send the request again."),
        (405, "The path does not have the method."),
    ];
    let mut refusals = Map::new();
    for (status, when) in WHEN.into_iter().filter(|(status, _)| *status != 405) {
        let code = code_of(status);
        let mut headers = vec!["X-Request-Id"];
        match status {
            401 => headers.push("WWW-Authenticate"),
            429 | 503 => headers.push("Retry-After"),
            _ => {}
        }
        let headers: Map<String, Value> = headers
            .into_iter()
            .map(|name| (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")})))
            .collect();
        let (name, media) = match code {
            None => {
                let body = json!({"error": "Couldn't authenticate you"});
                ("Unauthenticated", json!({"schema": schemas::reference("Unauthenticated"), "example": body}))
            }
            Some(code) => {
                let shown = examples.iter().filter(|example| example.status == status);
                let shown: Vec<(&str, &Value)> =
                    shown.filter_map(|example| Some((example.title.as_str(), example.answer.as_ref()?))).collect();
                let detail = match code {
                    Code::InternalServerError => {
                        "An unexpected error occurred; request id 5bd2b2a0-7ba3-4c1c-9d0b-1e7a3a0c8f55"
                    }
                    Code::ServiceUnavailable => "The service is busy; send the request again",
                    _ => when,
                };
                let made = json!({"errors": [{
                    "code": code.name(), "status": code.status(), "title": code.title(), "detail": detail, "message": detail,
                }]});
                let schema = schemas::reference("Errors");
                let media = if shown.is_empty() {
                    json!({"schema": schema, "example": made})
                } else {
                    json!({"schema": schema, "examples": examples::named(shown.into_iter())})
                };
                (code.name(), media)
            }
        };
        let response = json!({"description": when, "headers": headers, "content": {"application/json": media}});
        refusals.insert(name.to_owned(), response);
    }
    refusals
}

fn headers() -> Map<String, Value> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Where in the document there is none beside a schema.
    fn without_example(value: &Value, place: &str, found: &mut Vec<String>) {
        let has_one = value.get("example").is_some() || value.get("examples").is_some();
        let is_media = value.get("schema").is_some();
        if is_media && !has_one {
            found.push(place.to_owned());
        }
        for (name, value) in value
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| !matches!(name.as_str(), "schema" | "example" | "examples"))
        {
            without_example(value, &format!("{place}/{name}"), found);
        }
        for (number, value) in value.as_array().into_iter().flatten().enumerate() {
            without_example(value, &format!("{place}/{number}"), found);
        }
    }

    #[test]
    fn every_parameter_header_and_body_has_an_example() {
        let document = document();
        let mut found = Vec::new();
        without_example(&document["paths"], "paths", &mut found);
        for part in ["parameters", "headers", "responses"] {
            without_example(&document["components"][part], part, &mut found);
        }
        assert!(found.is_empty(), "{found:#?}");
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    members.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        for reference in &found {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(found.contains(&format!("#/components/schemas/{name}")), "{name}");
        }
    }

    #[test]
    fn text_of_the_document_is_text_on_the_page() {
        let mut document = document();
        document["paths"]["/jobs"]["get"]["summary"] = json!("<script>alert(1)</script> & \"more\"");
        let page = page::render(&document);
        assert!(
            !page.contains("<script") && page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;more&quot;")
        );
    }
}
