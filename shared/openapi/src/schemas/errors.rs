//! Schemas of errors: those of an item or a job, and those of a refused request.

use domain::problem::Code;
use serde_json::{Map, Value, json};

use super::{group, names, object, reference, with_optional};

pub fn errors() -> Map<String, Value> {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    let statuses = {
        let mut statuses = names(Code::ALL.map(Code::status));
        statuses.sort_unstable();
        statuses
    };
    let titles = names(Code::ALL.map(Code::title));
    let problem = object(
        "What is wrong with one item, or with a whole job.",
        json!({
            "code": {"type": "string", "enum": codes, "description": "What programs tell errors apart by."},
            "status": {"type": "string", "enum": statuses, "description": "The HTTP status that stands for it, as a text."},
            "title": {"type": "string", "enum": titles},
            "detail": {"type": "string", "description": "One sentence for people: it names the member, the limit and the value."},
        }),
    );
    let repeats = json!({"message": {"type": "string", "description": "The same as `detail`, where a limit was met."}});
    let request_problem = object(
        "What is wrong with a request.",
        json!({
            "code": problem["properties"]["code"], "status": problem["properties"]["status"],
            "title": problem["properties"]["title"], "detail": problem["properties"]["detail"],
            "message": {"type": "string", "description": "The same as `detail`."},
        }),
    );
    let errors = object(
        "Why a request was refused. The status is that of the first entry.",
        json!({"errors": {"type": "array", "minItems": 1, "items": reference("RequestProblem")}}),
    );
    let unauthenticated = object(
        "The one error that looks different.",
        json!({"error": {"type": "string", "const": "Couldn't authenticate you"}}),
    );
    group([
        ("Problem", with_optional(problem, repeats)),
        ("RequestProblem", request_problem),
        ("Errors", errors),
        ("Unauthenticated", unauthenticated),
    ])
}
