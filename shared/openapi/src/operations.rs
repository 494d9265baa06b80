//! Operations of the API: the parameters and bodies that each route takes, and its answers.

mod headers;
mod jobs;
mod parameters;
mod records;
mod service;
mod types;

use serde_json::{Value, json};

pub use self::headers::{header_references, headers};
use self::jobs::jobs;
pub use self::parameters::parameters;
use self::parameters::{in_path, parameter};
use self::records::{object_records, relationship_records};
use self::service::service;
use self::types::{object_types, relationship_types};
use crate::schemas::{data, grouped, list, reference};

/// The statuses of refusals that every route with authentication may answer.
pub const ALWAYS: [u16; 6] = [400, 401, 403, 429, 500, 503];

/// What a route with a body may answer besides.
const OF_A_BODY: [u16; 3] = [413, 415, 422];

/// An operation: one method of one path.
pub struct Operation {
    pub method: &'static str,
    /// The path beneath `/api/sunshine`.
    pub path: &'static str,
    /// The `operationId`.
    pub id: &'static str,
    pub tag: &'static str,
    pub summary: &'static str,
    pub description: String,
    pub parameters: Vec<Value>,
    pub body: Option<Body>,
    /// The answers that are no refusals, by status.
    pub answers: Vec<Answer>,
    /// Statuses of refusals besides [`ALWAYS`].
    pub refusals: Vec<u16>,
    /// Whether the route needs no authentication.
    pub is_open: bool,
}

/// The request body that a route reads.
pub struct Body {
    pub description: String,
    pub forms: Vec<Form>,
}

/// A media type that a body may have, with its schema.
pub struct Form {
    pub media_type: &'static str,
    pub schema: Value,
    /// An example that is on no page of the documentation.
    pub example: Option<Value>,
}

/// An answer that is no refusal.
pub struct Answer {
    pub status: u16,
    pub description: &'static str,
    /// The forms of the answer's body; empty where there is none.
    pub forms: Vec<Form>,
    /// The headers of the answer, by their names among the document's `components`.
    pub headers: Vec<&'static str>,
    /// Ids of the operations that use what the answer tells, such as the id of a new record.
    pub links: Vec<&'static str>,
}

const JSON: &str = "application/json";

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

    /// Lists every status that is a refusal, in order.
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

/// Lists every operation, in the order of the document.
pub fn all() -> Vec<Operation> {
    [jobs(), service(), object_types(), object_records(), relationship_types(), relationship_records()]
        .into_iter()
        .flatten()
        .collect()
}
