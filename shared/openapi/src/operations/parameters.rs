//! Parameters of routes: in the path, in the query and in headers.

use domain::limits;
use serde_json::{Map, Value, json};

/// Makes a reference to one of the shared [`parameters`].
pub fn parameter(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

/// Defines an optional parameter of a query.
pub fn in_query(name: &str, description: &str, schema: Value, example: Value) -> Value {
    let mut parameter = json!({"name": name, "in": "query", "description": description});
    parameter["schema"] = schema;
    parameter["example"] = example;
    parameter
}

/// Defines a required parameter of a query.
pub fn required_in_query(name: &str, description: &str, schema: Value, example: Value) -> Value {
    let mut parameter = in_query(name, description, schema, example);
    parameter["required"] = true.into();
    parameter
}

/// Defines the parameter that is called `{name}` in a path.
pub fn in_path(path: &str, name: &str) -> Value {
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

/// Definitions of the parameters that several routes take, by name.
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

/// The schema of a text that is not empty: an empty parameter counts as missing.
pub fn some() -> Value {
    json!({"type": "string", "minLength": 1})
}

/// The schema of `true` or `false`.
pub fn flag() -> Value {
    json!({"type": "boolean"})
}
