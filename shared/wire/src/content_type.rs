//! Content types of request bodies that are read.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use crate::failure::Failure;
use crate::query::cut;

/// A form: what jQuery, axios with a text body and `curl -d` say of JSON when nobody tells them otherwise.
const FORM: &str = "application/x-www-form-urlencoded";

/// Published clients keep the second one for their whole session, on any method.
const READ: [&str; 3] = ["application/json", "application/merge-patch+json", FORM];

/// A value of JSON on each line.
const LINES: &str = "application/x-ndjson";

/// Whether the body says that it is a form, which a page of any origin may send without asking first.
pub(crate) fn says_form(headers: &HeaderMap) -> bool {
    let is_form = |value: &HeaderValue| value.to_str().is_ok_and(|value| essence(value).eq_ignore_ascii_case(FORM));
    headers.get_all(CONTENT_TYPE).iter().any(is_form)
}

fn essence(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

/// Accepts a body of type JSON or form, or of no stated type; it is read as JSON in any case. Only for routes that read
/// a body: others may be sent any type.
///
/// # Errors
/// 415 for any other type.
pub fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    match headers.get_all(CONTENT_TYPE).iter().find(|value| !is_read(value)) {
        None => Ok(()),
        Some(other) => Err(unread(other, &format!("JSON, as {} or {}", READ[0], READ[1]))),
    }
}

/// The form of a body, for a route that reads lines of JSON too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyForm {
    /// One JSON value.
    Json,
    /// A JSON value on each line.
    Lines,
}

/// Reads the form of a body: lines where its type says lines of JSON, else what [`check_content_type`] accepts.
///
/// # Errors
/// 415 for any other type.
pub fn body_form(headers: &HeaderMap) -> Result<BodyForm, Failure> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let is_lines = |value: &HeaderValue| value.to_str().is_ok_and(|value| essence(value).eq_ignore_ascii_case(LINES));
    if headers.contains_key(CONTENT_TYPE) && values.all(is_lines) {
        return Ok(BodyForm::Lines);
    }
    match headers.get_all(CONTENT_TYPE).iter().find(|value| !is_read(value)) {
        None => Ok(BodyForm::Json),
        Some(other) => Err(unread(other, &format!("JSON, as {} or {}, or lines of it, as {LINES}", READ[0], READ[1]))),
    }
}

fn unread(other: &HeaderValue, wanted: &str) -> Failure {
    let given = String::from_utf8_lossy(other.as_bytes());
    Failure::unsupported_media_type(format!("The body must be {wanted}, not {:?}", cut(&given)))
}

fn is_read(value: &HeaderValue) -> bool {
    let Ok(value) = value.to_str() else { return false };
    // An empty value says nothing, as no header at all does.
    value.is_empty() || READ.iter().any(|read| essence(value).eq_ignore_ascii_case(read))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&[u8]], read: bool) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_TYPE, HeaderValue::from_bytes(value).unwrap());
        }
        let status = check_content_type(&headers).err().map(|failure| failure.status().as_u16());
        assert_eq!(status, if read { None } else { Some(415) }, "{values:?}");
    }

    #[test]
    fn lines_are_read_where_a_route_reads_them_and_nowhere_else() {
        let form = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_TYPE, value.parse().unwrap());
            }
            body_form(&headers).map_err(|failure| failure.problems()[0].detail.clone().into_owned())
        };
        assert_eq!(form(&["application/x-ndjson"]), Ok(BodyForm::Lines));
        assert_eq!(form(&["Application/X-NDJSON; charset=utf-8"]), Ok(BodyForm::Lines));
        for json in [&[][..], &["application/json"], &["application/x-www-form-urlencoded"], &[""]] {
            assert_eq!(form(json), Ok(BodyForm::Json), "{json:?}");
        }
        for other in [&["text/csv"][..], &["application/x-ndjson", "application/json"]] {
            let refused = form(other).unwrap_err();
            assert!(refused.contains("or lines of it, as application/x-ndjson, not"), "{refused}");
        }
        check(&[b"application/x-ndjson"], false);
    }

    #[test]
    fn json_a_form_or_nothing_is_read() {
        check(&[], true);
        check(&[b""], true);
        check(&[b"application/json"], true);
        check(&[b"Application/JSON; charset=UTF-8"], true);
        check(&[b"application/json ;charset=utf-8"], true);
        check(&[b"application/merge-patch+json"], true);
        check(&[b"application/json; charset=latin-1; x"], true);
        check(&[b"application/x-www-form-urlencoded"], true);
        check(&[b"application/X-WWW-form-urlencoded; charset=UTF-8"], true);
        check(&[b"multipart/form-data"], false);
        check(&[b"text/json"], false);
        check(&[b"application/jsonp"], false);
        check(&[b"application/json-patch+json"], false);
        check(&[b"application"], false);
        check(&[b"; charset=utf-8"], false);
        check(&[b"\xff"], false);
        check(&[b"application/json", b"text/plain"], false);
    }

    #[test]
    fn the_answer_names_what_is_read_and_what_was_sent() {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/plain"))]);
        assert_eq!(
            check_content_type(&headers).unwrap_err().problems()[0].detail,
            r#"The body must be JSON, as application/json or application/merge-patch+json, not "text/plain""#
        );
    }
}
