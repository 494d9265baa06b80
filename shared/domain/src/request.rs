//! The body of Create Job, read once; the items stay slices of it.

use serde_json::value::RawValue;

use crate::job::Operation;
use crate::limits;
use crate::members::{NoMembers, kind_of, members};
use crate::problem::Problem;

/// A request that makes a job: an operation and at least one item.
#[derive(Clone, Debug)]
pub struct JobRequest<'body> {
    pub operation: Operation,
    /// The raw JSON of each item, in order. Nothing is known yet of what is in them.
    pub items: Vec<&'body RawValue>,
}

impl<'body> JobRequest<'body> {
    /// # Errors
    /// When the body makes no job: see the contract's list of request errors.
    pub fn parse(body: &'body [u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|error| {
            Problem::bad_request(format!("The body is not UTF-8 from byte {} on", error.valid_up_to()))
        })?;
        let whole: &RawValue = serde_json::from_str(text).map_err(|error| not_json(&error))?;
        let [job_type, action, data] =
            members(whole.get(), ["type", "action", "data"]).map_err(|error| match error {
                NoMembers::Twice(_) => Problem::bad_request(error.to_string()),
                NoMembers::NotAnObject => Problem::bad_request(format!(
                    "The body must be an object with the members type, action and data, not {}",
                    kind_of(whole)
                )),
            })?;
        let operation = Operation::of(&string("type", job_type)?, &string("action", action)?)?;
        let Some(data) = data else {
            return Err(Problem::unprocessable("data is required and must be an array"));
        };
        let items: Vec<&RawValue> = serde_json::from_str(data.get())
            .map_err(|_| Problem::unprocessable(format!("data must be an array, not {}", kind_of(data))))?;
        if items.is_empty() {
            return Err(Problem::unprocessable("data must hold at least one item"));
        }
        if items.len() > limits::ITEMS_PER_JOB {
            return Err(Problem::unprocessable(format!(
                "data must hold at most {} items, not {}",
                limits::ITEMS_PER_JOB,
                items.len()
            )));
        }
        Ok(Self { operation, items })
    }
}

/// A body that is not JSON: says where it stops being so.
#[must_use]
pub fn not_json(error: &serde_json::Error) -> Problem {
    if error.is_eof() {
        return Problem::bad_request("The body is not JSON: it ends too early");
    }
    Problem::bad_request(format!("The body is not JSON: see line {}, column {}", error.line(), error.column()))
}

fn string(member: &str, raw: Option<&RawValue>) -> Result<String, Problem> {
    let Some(raw) = raw else {
        return Err(Problem::unprocessable(format!("{member} is required and must be a string")));
    };
    serde_json::from_str(raw.get())
        .map_err(|_| Problem::unprocessable(format!("{member} must be a string, not {}", kind_of(raw))))
}

#[cfg(test)]
mod tests {
    use Code::{BadRequest, UnprocessableEntity};

    use super::*;
    use crate::problem::Code;

    fn check(body: &str, code: Code, words: &str) {
        let problem = JobRequest::parse(body.as_bytes()).unwrap_err();
        assert_eq!(problem.code, code, "{body}: {problem:?}");
        assert!(problem.detail.contains(words), "{body}: {:?} says {words:?}", problem.detail);
    }

    #[test]
    fn a_request_error_says_what_is_wrong() {
        check("", BadRequest, "ends too early");
        check("{\n  nonsense", BadRequest, "line 2, column 3");
        check("{} x", BadRequest, "not JSON");
        check("[]", BadRequest, "not an array");
        check("3", BadRequest, "not a number");
        check("{}", UnprocessableEntity, "type is required");
        check(r#"{"type":1}"#, UnprocessableEntity, "type must be a string, not a number");
        check(r#"{"type":"resources"}"#, UnprocessableEntity, "action is required");
        check(r#"{"type":"resources","action":null}"#, UnprocessableEntity, "action must be a string, not null");
        check(r#"{"type":"resources","action":"upsert","data":[1]}"#, UnprocessableEntity, "\"upsert\"");
        check(r#"{"type":"relationships","action":"update","data":[1]}"#, UnprocessableEntity, "post, delete");
        check(r#"{"type":"resources","action":"post"}"#, UnprocessableEntity, "data is required");
        check(
            r#"{"type":"resources","action":"post","data":{}}"#,
            UnprocessableEntity,
            "data must be an array, not an object",
        );
        check(r#"{"type":"resources","action":"post","data":[]}"#, UnprocessableEntity, "at least one");
        for name in ["type", "action", "data"] {
            let body = format!(r#"{{"type":"resources","action":"post","data":[{{}}],"x":1,"x":2,"{name}":[]}}"#);
            check(&body, BadRequest, &format!("{name} is given more than once"));
        }
        check(r#"{"d\u0061ta":[],"data":[]}"#, BadRequest, "data is given more than once");
        let many = format!(r#"{{"type":"resources","action":"delete","data":[{}1]}}"#, "1,".repeat(10_000));
        check(&many, UnprocessableEntity, "at most 10000 items, not 10001");
    }

    #[test]
    fn a_body_that_is_not_utf8_says_from_where() {
        let problem = JobRequest::parse(b"{\"type\":\"\xff\"}").unwrap_err();
        assert_eq!((problem.code, problem.detail.as_ref()), (BadRequest, "The body is not UTF-8 from byte 9 on"));
    }

    #[test]
    fn a_body_may_nest_as_it_likes_where_nobody_looks() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        check(&deep, BadRequest, "not an array");
        check(&format!(r#"{{"type":{deep}}}"#), UnprocessableEntity, "type must be a string, not an array");
        let body = format!(r#"{{"type":"resources","action":"post","data":[1,{deep}],"x":{deep}}}"#);
        assert_eq!(JobRequest::parse(body.as_bytes()).unwrap().items.len(), 2);
    }

    #[test]
    fn items_stay_as_they_were_sent() {
        let body = br#"{"data":[ {"a" : 1} ,"x"],"type":"resources","action":"post"}"#;
        let request = JobRequest::parse(body).unwrap();
        assert_eq!(request.operation, Operation::CreateObjects);
        assert_eq!(request.items.iter().map(|item| item.get()).collect::<Vec<_>>(), [r#"{"a" : 1}"#, "\"x\""]);
    }
}
