//! Every answer that a test gets is one that the specification has: its status, its headers and its body.
//!
//! The specification is the crate's own, not the file: a test of its own holds the file to it.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use jsonschema::Validator;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::Answer;

/// Where a schema stands in the document.
type Pointer = String;

struct Specification {
    document: Value,
    /// What was compiled, by where it stands.
    validators: Mutex<HashMap<Pointer, &'static Validator>>,
}

fn specification() -> &'static Specification {
    static SPECIFICATION: OnceLock<Specification> = OnceLock::new();
    SPECIFICATION.get_or_init(|| {
        let mut document = openapi::document();
        close(&mut document["components"]["schemas"]);
        close(&mut document["paths"]);
        Specification { document, validators: Mutex::default() }
    })
}

/// Clients are to ignore members that they do not know. A test is not: what the specification does not name, it must not have.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.contains_key("properties") && members.get("type") == Some(&json!("object")) {
                members.entry("additionalProperties").or_insert(json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

/// The path of the document that a request's path is of: one without a parameter goes before one with.
fn template<'paths>(paths: &'paths Map<String, Value>, path: &str) -> Option<&'paths str> {
    paths.keys().map(String::as_str).find(|template| openapi::fits(template, path))
}

/// Holds an answer to the specification. Of paths that it does not have, only the refusals are known.
///
/// # Panics
/// When the answer is none that it has.
pub fn check(method: &Method, path: &str, answer: &Answer) {
    if let Err(wrong) = checked(method, path, answer) {
        let body: String = String::from_utf8_lossy(&answer.body).chars().take(2_000).collect();
        panic!(
            "{method} {path}: {} is not as docs/openapi.json has it: {wrong}\n{:?}\n{body}",
            answer.status, answer.headers
        );
    }
}

fn checked(method: &Method, path: &str, answer: &Answer) -> Result<(), String> {
    // What stands between answers in words of its own: a gateway, or the server of the local run.
    if answer.header("x-request-id").is_none() {
        return Ok(());
    }
    // An emulator's gateway has something of its own before it.
    let Some((_, beneath)) = path.split_once(openapi::SERVER) else { return Ok(()) };
    let beneath = beneath.strip_suffix('/').unwrap_or(beneath);
    let document = &specification().document;
    let paths = document["paths"].as_object().expect("paths");
    // A browser's question before its request.
    if *method == Method::OPTIONS && answer.status == StatusCode::NO_CONTENT {
        return Ok(());
    }
    let operation = template(paths, beneath).and_then(|template| {
        let method = if *method == Method::HEAD { "get".to_owned() } else { method.as_str().to_lowercase() };
        Some((template, paths[template].get(&method)?, method))
    });
    let status = answer.status.as_u16().to_string();
    let (response, pointer) = match operation {
        None => (Value::Null, format!("/components/responses/{}", refusal_without_operation(answer.status)?)),
        Some((template, operation, name)) => {
            let response = operation["responses"].get(&status).ok_or("the status is not there")?;
            let pointer = format!("/paths/{}/{name}/responses/{status}", template.replace('/', "~1"));
            (response.clone(), pointer)
        }
    };
    let pointer = response["$ref"].as_str().map_or(pointer, |reference| reference.trim_start_matches('#').to_owned());
    let response = document.pointer(&pointer).ok_or_else(|| format!("there is no {pointer}"))?;
    check_headers(response, answer)?;
    if *method != Method::HEAD {
        check_body(response, &pointer, answer)?;
    }
    Ok(())
}

/// What is answered where there is no operation.
fn refusal_without_operation(status: StatusCode) -> Result<&'static str, String> {
    match status.as_u16() {
        400 => Ok("BadRequest"),
        401 => Ok("Unauthenticated"),
        403 => Ok("Forbidden"),
        // Both are of the same shape.
        404 | 405 => Ok("NotFound"),
        429 => Ok("TooManyRequests"),
        500 => Ok("InternalServerError"),
        503 => Ok("ServiceUnavailable"),
        status => Err(format!("a path or method that is not there is answered with {status}")),
    }
}

fn check_headers(response: &Value, answer: &Answer) -> Result<(), String> {
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let pointer = header["$ref"].as_str().map_or("", |reference| reference.trim_start_matches('#'));
        let header = specification().document.pointer(pointer).ok_or("a header that is nowhere")?;
        match answer.header(name) {
            None if header["required"] == true => return Err(format!("there is no {name}")),
            Some(value) if header["schema"]["type"] == "integer" && value.parse::<u64>().is_err() => {
                return Err(format!("{name} is no number: {value}"));
            }
            None | Some(_) => {}
        }
    }
    for name in ["location", "retry-after", "www-authenticate", "preference-applied"] {
        let is_there =
            response["headers"].as_object().into_iter().flatten().any(|(there, _)| there.eq_ignore_ascii_case(name));
        if answer.header(name).is_some() && !is_there {
            return Err(format!("{name} is not there"));
        }
    }
    Ok(())
}

fn check_body(response: &Value, pointer: &str, answer: &Answer) -> Result<(), String> {
    let Some(content) = response["content"].as_object() else {
        return if answer.body.is_empty() { Ok(()) } else { Err("there is a body".to_owned()) };
    };
    let given = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim();
    if !content.contains_key(media_type) {
        return Err(format!("the type of the body is {given:?}"));
    }
    if media_type != "application/json" || answer.header("content-encoding").is_some() {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    let place = format!("{pointer}/content/{}/schema", media_type.replace('/', "~1"));
    let errors: Vec<String> = validator(&place)
        .iter_errors(&body)
        .take(3)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
}

/// The schema at that place, compiled once.
fn validator(place: &str) -> &'static Validator {
    let Specification { document, validators } = specification();
    let mut validators = validators.lock().unwrap_or_else(PoisonError::into_inner);
    validators.entry(place.to_owned()).or_insert_with(|| {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [document.pointer(place).expect("a schema")],
            "components": {"schemas": document["components"]["schemas"]},
        });
        let compiled = jsonschema::options().should_validate_formats(true).build(&schema);
        Box::leak(Box::new(compiled.unwrap_or_else(|error| panic!("{place}: {error}"))))
    })
}
