//! Examples of requests and answers, read from the documentation. A test sends each of them.

use domain::clock::Clock;
use domain::job::JobId;
use domain::time::Timestamp;
use serde_json::{Map, Value};

use crate::SERVER;

/// The pages that have them.
const PAGES: [&str; 2] = [include_str!("../../../docs/api.md"), include_str!("../../../docs/search.md")];

/// An example request and its answer.
pub struct Example {
    /// The method, in lower case.
    pub method: String,
    /// The path beneath `/api/sunshine`, without its query.
    pub path: String,
    /// The request's first line, as the documentation has it.
    pub title: String,
    pub content_type: String,
    /// The body: JSON, or a text where it consists of lines; `None` without one.
    pub body: Option<Value>,
    pub status: u16,
    pub answer: Option<Value>,
}

/// Lists every example, in the order of the documentation.
pub fn all() -> Vec<Example> {
    PAGES.iter().flat_map(|page| page.split("```http\n").skip(1)).filter_map(example).collect()
}

/// Reads a block: a request line, headers and a body, an empty line, a status and a body.
fn example(block: &str) -> Option<Example> {
    let (block, _) = block.split_once("\n```")?;
    let (request, answer) = block.split_once("\n\n")?;
    let (line, rest) = request.split_once('\n').unwrap_or((request, ""));
    let (method, target) = line.split_once(' ')?;
    let path = target.split('?').next()?.strip_prefix(SERVER)?;
    let mut content_type = "application/json";
    let mut accept = "application/json";
    let mut body = String::new();
    for line in rest.lines() {
        match line.split_once(": ") {
            Some((name, value)) if body.is_empty() && !name.starts_with(['{', '[', ' ']) => {
                if name.eq_ignore_ascii_case("content-type") {
                    content_type = value;
                } else if name.eq_ignore_ascii_case("accept") {
                    accept = value;
                }
            }
            _ => {
                body.push_str(line);
                body.push('\n');
            }
        }
    }
    let (status, answer) = answer.split_once('\n').unwrap_or((answer, ""));
    let is_json = content_type == "application/json";
    let body = if body.is_empty() {
        None
    } else if is_json {
        serde_json::from_str(&body).ok()
    } else {
        Some(Value::String(body))
    };
    let mut title = format!("{method} {}", target.strip_prefix(SERVER)?);
    if let Some((job_type, action)) =
        body.as_ref().and_then(|body| Some((body["type"].as_str()?, body["action"].as_str()?)))
    {
        title = format!("{title} of {job_type}, {action}");
    }
    Some(Example {
        method: method.to_lowercase(),
        path: path.to_owned(),
        title,
        content_type: content_type.to_owned(),
        body,
        status: status.trim().parse().ok()?,
        // Tables and lines are no document.
        answer: serde_json::from_str(answer).ok().filter(|_| accept == "application/json").map(filled),
    })
}

/// Puts something in place of each `…`, which stands for what is another each time.
fn filled(answer: Value) -> Value {
    fn fill(name: &str, value: &mut Value) {
        match value {
            Value::String(text) if text == "…" => {
                *text = match name {
                    "next" | "previous" => {
                        format!("{SERVER}/objects/types?per_page=1&order=desc&cursor=AXsib2JqZWN0cyJ9")
                    }
                    _ => job_id(),
                };
            }
            Value::Object(members) => members.iter_mut().for_each(|(name, value)| fill(name, value)),
            Value::Array(values) => values.iter_mut().for_each(|value| fill("", value)),
            _ => {}
        }
    }
    let mut answer = answer;
    fill("", &mut answer);
    answer
}

/// A job id of the time at which the examples are set.
pub fn job_id() -> String {
    const SEED: u64 = 1;
    JobId::new(&Clock::manual(Timestamp::from_millis(1_509_724_806_400), SEED)).to_string()
}

/// The `examples` of a media type: each under a name that is made of its number.
pub fn named<'example>(examples: impl Iterator<Item = (&'example str, &'example Value)>) -> Map<String, Value> {
    let mut named = Map::new();
    for (number, (title, value)) in (1..).zip(examples) {
        named.insert(format!("example-{number}"), serde_json::json!({"summary": title, "value": value}));
    }
    named
}
