//! Headers of answers.

use serde_json::{Map, Value, json};

/// Makes references to headers, by their names.
pub fn header_references<'name>(names: impl Iterator<Item = &'name str>) -> Map<String, Value> {
    names.map(|name| (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}))).collect()
}

/// Definitions of all headers of answers, by name.
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
