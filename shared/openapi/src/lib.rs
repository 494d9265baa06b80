//! The API's specification: a document of `OpenAPI` 3.1, and the same as a page for people. Both are generated from the
//! code's own names and limits and from the examples in the documentation, and checked in under `docs/`:
//!
//! ```text
//! cargo run --package openapi
//! ```
//!
//! Tests compare the files with what is generated here, the routes with those of the functions, and every answer that a
//! test gets with the schema of its status (`tests/harness/specification.rs`). No function links this crate: the status
//! function has the files in it.

mod examples;
mod operations;
mod page;
mod refusals;
mod schemas;

use serde_json::{Map, Value, json};

use crate::examples::Example;
use crate::operations::{Answer, Form, Operation};

/// The beginning of every path of the document.
pub const SERVER: &str = "/api/sunshine";

/// Generates the files: their names in `docs/`, with their texts.
#[must_use]
pub fn files() -> [(&'static str, String); 2] {
    let document = document();
    // A Value can always be written.
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    [("openapi.json", text + "\n"), ("reference.html", page::render(&document))]
}

/// Generates the whole document.
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
            "headers": operations::headers(),
            "responses": refusals::all(&examples),
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
        responses.insert(status.to_string(), refusals::reference(status));
    }
    described["responses"] = responses.into();
    described
}

/// Whether the example is of this operation; what is sent by `PUT` for `PATCH` is one of the latter.
fn is_of(operation: &Operation, example: &Example) -> bool {
    let method = if operation.id.ends_with("ByPut") { "patch" } else { operation.method };
    method == example.method && fits(operation.path, &example.path)
}

/// Whether a path fits a template, in which `{id}` stands for any text that is not empty.
#[must_use]
pub fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template
            .zip(path)
            .all(|(there, given)| if there.starts_with('{') { !given.is_empty() } else { there == given })
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
    response["headers"] = operations::header_references(named.copied()).into();
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
            .map(|id| ((*id).to_owned(), json!({"operationId": id, "parameters": {"id": "$response.body#/data/id"}})))
            .collect();
        response["links"] = links.into();
    }
    response
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
