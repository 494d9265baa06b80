//! Operations about the account as a whole, and about the API itself.

use serde_json::json;

use super::{Answer, Form, JSON, Operation};
use crate::schemas::{data, reference};

pub fn service() -> Vec<Operation> {
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
