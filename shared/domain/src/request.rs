//! The body of the request that makes a job, read once; the items stay slices of it.

pub mod item;
pub mod json;
pub mod members;

use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::job::Operation;
use crate::limits;
use crate::problem::{Problem, quoted};
use crate::request::members::{NoMembers, kind_of, members, position_of};

/// A request that makes a job: an operation and at least one item.
#[derive(Clone, Debug)]
pub struct JobRequest<'body> {
    pub operation: Operation,
    /// The raw JSON of each item, in order. Nothing is known yet of what is in them.
    pub items: Vec<&'body RawValue>,
    /// Most items that may fail: once more have failed, the rest is not begun.
    pub max_failures: Option<u32>,
    /// Whether nothing is to be written, which the request's query says and not its body.
    pub validate_only: bool,
}

/// Members of a job that the request's query gives where the body has nothing but items in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinesQuery {
    pub job_type: Option<String>,
    pub action: Option<String>,
    pub max_failures: Option<String>,
}

impl<'body> JobRequest<'body> {
    /// Reads a body that is one JSON object with the members of a job.
    ///
    /// # Errors
    /// When the body makes no job: see the list of request errors in the API's documentation.
    pub fn parse(body: &'body [u8]) -> Result<Self, Problem> {
        let text = unicode(body)?;
        let read = BodyMembers::read(text).map_or_else(|| BodyMembers::read_apart(text), Ok)?;
        let operation = Operation::of(&string("type", read.job_type)?, &string("action", read.action)?)?;
        let items = read.items?;
        check_count("data", items.len())?;
        let max_failures = read.max_failures.filter(|given| given.get() != "null");
        let max_failures = max_failures.map(|given| whole_number(given.get())).transpose()?;
        Ok(Self { operation, items, max_failures, validate_only: false })
    }

    /// Reads a body that has an item on each line; the query has the other members of the job. Blank lines are passed
    /// over.
    ///
    /// # Errors
    /// When it makes no job: a line that is not JSON is a 400 that says which one, since a body that was cut off on its
    /// way looks like that.
    pub fn parse_lines(body: &'body [u8], query: &LinesQuery) -> Result<Self, Problem> {
        let text = unicode(body)?;
        let required = |name: &str, given: &Option<String>| {
            given.clone().ok_or_else(|| {
                Problem::unprocessable(format!("{name} is required: with a body of lines it stands in the query"))
            })
        };
        let operation = Operation::of(&required("type", &query.job_type)?, &required("action", &query.action)?)?;
        let max_failures = query.max_failures.as_deref().map(whole_number).transpose()?;
        let lines = || (1..).zip(text.split('\n')).filter(|(_, line)| !line.trim_ascii().is_empty());
        // Before any is read: too many cost no more than counting them.
        check_count("The body", lines().count())?;
        let items = lines()
            .map(|(number, line)| serde_json::from_str(line).map_err(|error| not_json_line(number, &error)))
            .collect::<Result<_, _>>()?;
        Ok(Self { operation, items, max_failures, validate_only: false })
    }
}

/// The members of a body that count.
struct BodyMembers<'body> {
    job_type: Option<&'body RawValue>,
    action: Option<&'body RawValue>,
    max_failures: Option<&'body RawValue>,
    /// What is wrong with `data` is said after what is wrong with the others.
    items: Result<Vec<&'body RawValue>, Problem>,
}

const MEMBERS: [&str; 4] = ["type", "action", "data", "max_failures"];

impl<'body> BodyMembers<'body> {
    /// Reads them and the items in one go. `None` where that does not succeed, for whatever reason.
    fn read(text: &'body str) -> Option<Self> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = serde::Deserializer::deserialize_map(&mut deserializer, AtOnce).ok()?;
        deserializer.end().ok()?;
        Some(read)
    }

    /// Reads a body in which something is wrong, as often as it takes to say what.
    fn read_apart(text: &'body str) -> Result<Self, Problem> {
        let whole: &RawValue = serde_json::from_str(text).map_err(|error| not_json(&error))?;
        let [job_type, action, data, max_failures] = members(whole.get(), MEMBERS).map_err(|error| match error {
            NoMembers::Twice(_) => Problem::bad_request(error.to_string()),
            NoMembers::NotAnObject => Problem::bad_request(format!(
                "The body must be an object with the members type, action and data, not {}",
                kind_of(whole)
            )),
        })?;
        let items = data.ok_or_else(no_data).and_then(|data| {
            serde_json::from_str(data.get())
                .map_err(|_| Problem::unprocessable(format!("data must be an array, not {}", kind_of(data))))
        });
        Ok(Self { job_type, action, max_failures, items })
    }
}

fn no_data() -> Problem {
    Problem::unprocessable("data is required and must be an array")
}

struct AtOnce;

impl<'body> Visitor<'body> for AtOnce {
    type Value = BodyMembers<'body>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<Access: MapAccess<'body>>(self, mut map: Access) -> Result<Self::Value, Access::Error> {
        let (mut found, mut items) = ([None; MEMBERS.len()], None);
        // As raw text, which `serde_json` reads as strictly as all else: of bytes it takes control characters too.
        while let Some(name) = map.next_key::<&RawValue>()? {
            let position = position_of(name, &MEMBERS);
            let is_twice = match position {
                None => map.next_value::<IgnoredAny>().map(|_| false)?,
                Some(position) if MEMBERS[position] == "data" => items.replace(map.next_value()?).is_some(),
                Some(position) => found[position].replace(map.next_value()?).is_some(),
            };
            if is_twice {
                return Err(Access::Error::custom("a member is given more than once"));
            }
        }
        let [job_type, action, _, max_failures] = found;
        Ok(BodyMembers { job_type, action, max_failures, items: items.ok_or_else(no_data) })
    }
}

fn unicode(body: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(body)
        .map_err(|error| Problem::bad_request(format!("The body is not UTF-8 from byte {} on", error.valid_up_to())))
}

fn check_count(what: &str, items: usize) -> Result<(), Problem> {
    match items {
        0 => Err(Problem::unprocessable(format!("{what} must hold at least one item"))),
        1..=limits::ITEMS_PER_JOB => Ok(()),
        _ => Err(Problem::unprocessable(format!(
            "{what} must hold at most {} items, not {items}",
            limits::ITEMS_PER_JOB
        ))),
    }
}

/// Reads `max_failures`. What is more than any number of items is as good as the largest.
fn whole_number(given: &str) -> Result<u32, Problem> {
    if given.is_empty() || !given.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::unprocessable(format!(
            "max_failures must be a whole number of at least 0, not {}",
            serde_json::from_str::<&RawValue>(given).map_or_else(
                |_| quoted(given),
                // A number is shown: its kind would not say what is wrong with it.
                |json| if kind_of(json) == "a number" { cut(given).to_owned() } else { kind_of(json).to_owned() }
            )
        )));
    }
    Ok(given.parse().unwrap_or(u32::MAX))
}

fn cut(number: &str) -> &str {
    const SHOWN: usize = 40;
    number.get(..SHOWN).unwrap_or(number)
}

fn not_json_line(line: usize, error: &serde_json::Error) -> Problem {
    if error.is_eof() {
        return Problem::bad_request(format!("Line {line} of the body is not JSON: it ends too early"));
    }
    Problem::bad_request(format!("Line {line} of the body is not JSON: see column {}", error.column()))
}

/// The problem (400) that a body is not JSON, with the place from which on it is not.
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
        check("{\"type\":1,\"da\u{0}ta\":1}", BadRequest, "not JSON");
        check("{\"type\":1,\"a\nb\":1}", BadRequest, "not JSON");
        let many = format!(r#"{{"type":"resources","action":"delete","data":[{}1]}}"#, "1,".repeat(10_000));
        check(&many, UnprocessableEntity, "at most 10000 items, not 10001");
    }

    #[test]
    fn most_failures_are_a_whole_number_or_nothing() {
        let most = |given: &str| {
            let body = format!(r#"{{"type":"resources","action":"post","data":[1],"max_failures":{given}}}"#);
            JobRequest::parse(body.as_bytes()).map(|request| request.max_failures)
        };
        assert_eq!([most("0"), most("3"), most("null")], [Ok(Some(0)), Ok(Some(3)), Ok(None)]);
        assert_eq!(most("99999999999"), Ok(Some(u32::MAX)));
        let long = format!("1.{}", "0".repeat(100));
        for (wrong, shown) in [
            ("-1", "-1"),
            ("1.5", "1.5"),
            (&long, &long[..40]),
            ("\"1\"", "a string"),
            ("true", "a boolean"),
            ("[]", "an array"),
        ] {
            let problem = most(wrong).unwrap_err();
            assert_eq!(problem.code, UnprocessableEntity, "{wrong}");
            assert_eq!(problem.detail, format!("max_failures must be a whole number of at least 0, not {shown}"));
        }
    }

    #[test]
    fn a_line_of_blanks_is_no_item() {
        let [job_type, action] = ["resources", "post"].map(|text| Some(text.to_owned()));
        let query = LinesQuery { job_type, action, max_failures: None };
        let lines = |body: &str| JobRequest::parse_lines(body.as_bytes(), &query).map(|request| request.items.len());
        assert_eq!(lines("{}\n \n\n[1]\r\n\t"), Ok(2));
        assert_eq!(lines(" \n\n").unwrap_err().code, UnprocessableEntity);
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
    fn a_member_whose_name_is_not_json_makes_no_job() {
        let named = |name: &str| format!(r#"{{"type":"resources","action":"post","data":[1],"{name}":1}}"#);
        for name in (0..b' ').map(char::from) {
            check(&named(&format!("a{name}")), BadRequest, "not JSON");
            check(&named(&format!("\\\\{name}")), BadRequest, "not JSON");
        }
        for name in [r"\u0000", r"\n", r"\ud800", "\u{7f}", r#"\""#] {
            assert_eq!(JobRequest::parse(named(name).as_bytes()).unwrap().items.len(), 1, "{name}");
        }
    }

    #[test]
    fn items_stay_as_they_were_sent() {
        let body = br#"{"data":[ {"a" : 1} ,"x"],"type":"resources","action":"post"}"#;
        let request = JobRequest::parse(body).unwrap();
        assert_eq!(request.operation, Operation::CreateObjects);
        assert_eq!(request.items.iter().map(|item| item.get()).collect::<Vec<_>>(), [r#"{"a" : 1}"#, "\"x\""]);
    }

    /// What is read at once is what is read part by part, and nothing else is.
    #[test]
    fn a_body_reads_the_same_at_once_and_part_by_part() {
        type Read<'body> = ([Option<&'body str>; 3], Result<Vec<&'body str>, Problem>);
        fn texts(read: BodyMembers<'_>) -> Read<'_> {
            let members = [read.job_type, read.action, read.max_failures].map(|member| member.map(RawValue::get));
            (members, read.items.map(|items| items.into_iter().map(RawValue::get).collect()))
        }
        let members = [
            r#""type":"resources""#,
            r#""action" : "post""#,
            r#""d\u0061ta":[ {"a":[1]} , "x",null ]"#,
            r#""max_failures":3"#,
            r#""other":{"data":[]}"#,
            r#""type":1"#,
            r#""data":{}"#,
            r#""data":[]"#,
            r#""data":[1"#,
        ];
        let mut at_once = 0;
        // Every set of them, the last ones in both orders.
        for set in 0..1_u32 << members.len() {
            let chosen = members.iter().enumerate().filter(|(at, _)| set & 1 << at != 0).map(|(_, member)| *member);
            let mut chosen: Vec<&str> = chosen.collect();
            for _ in 0..2 {
                chosen.reverse();
                let body = format!("{{ {} }}", chosen.join(","));
                let apart = BodyMembers::read_apart(&body).map(texts);
                match BodyMembers::read(&body).map(texts) {
                    Some(read) => {
                        at_once += 1;
                        assert_eq!(apart, Ok(read), "{body}");
                    }
                    None => assert!(apart.is_err() || apart.is_ok_and(|(_, items)| items.is_err()), "{body}"),
                }
            }
        }
        assert!(at_once > 100, "{at_once}");
    }
}
