//! Answers of 400 and above, which are the same for every route.

use domain::problem::Code;
use serde_json::{Map, Value, json};

use crate::examples::{self, Example};
use crate::operations::header_references;
use crate::schemas;

/// The code that a request is refused with; 401 has none. Those that are only of jobs come later in the table.
fn code_of(status: u16) -> Option<Code> {
    let text = status.to_string();
    Code::ALL.into_iter().find(|code| code.status() == text)
}

/// Makes a reference to the response of a status.
pub fn reference(status: u16) -> Value {
    json!({"$ref": format!("#/components/responses/{}", name_of(status))})
}

fn name_of(status: u16) -> &'static str {
    code_of(status).map_or("Unauthenticated", Code::name)
}

/// Definitions of a response for each status, by its name.
pub fn all(examples: &[Example]) -> Map<String, Value> {
    const WHEN: [(u16, &str); 11] = [
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
    ];
    let mut refusals = Map::new();
    for (status, when) in WHEN {
        let mut headers = vec!["X-Request-Id"];
        match status {
            401 => headers.push("WWW-Authenticate"),
            429 | 503 => headers.push("Retry-After"),
            _ => {}
        }
        let headers = header_references(headers.into_iter());
        let media = match code_of(status) {
            None => {
                let body = json!({"error": "Couldn't authenticate you"});
                json!({"schema": schemas::reference("Unauthenticated"), "example": body})
            }
            Some(code) => errors(code, when, examples.iter().filter(|example| example.status == status)),
        };
        let response = json!({"description": when, "headers": headers, "content": {"application/json": media}});
        refusals.insert(name_of(status).to_owned(), response);
    }
    refusals
}

/// `{"errors": […]}` with the documentation's examples of it, or one that is made up where there is none.
fn errors<'example>(code: Code, when: &str, examples: impl Iterator<Item = &'example Example>) -> Value {
    let schema = schemas::reference("Errors");
    let shown: Vec<(&str, &Value)> =
        examples.filter_map(|example| Some((example.title.as_str(), example.answer.as_ref()?))).collect();
    if !shown.is_empty() {
        return json!({"schema": schema, "examples": examples::named(shown.into_iter())});
    }
    let detail = match code {
        Code::InternalServerError => "An unexpected error occurred; request id 5bd2b2a0-7ba3-4c1c-9d0b-1e7a3a0c8f55",
        Code::ServiceUnavailable => "The service is busy; send the request again",
        _ => when,
    };
    let error = json!({
        "code": code.name(), "status": code.status(), "title": code.title(), "detail": detail, "message": detail,
    });
    json!({"schema": schema, "example": {"errors": [error]}})
}
