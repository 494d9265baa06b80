//! Error answers: statuses of 400 and above.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use domain::problem::{Code, Problem, WithMessage};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use store::StoreError;

use crate::answer::JSON;
use crate::request_id::RequestId;

/// An answer of 400 or above: the text that the client reads, and apart from it what only the log may know.
///
/// The status is that of the first problem's code. Its body is `{"errors":[…]}`, but for 401.
#[derive(Clone, Debug)]
pub struct Failure {
    body: Body,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Cause>,
}

#[derive(Clone, Debug)]
enum Body {
    /// The one error that does not look like the others.
    Unauthenticated,
    /// Never empty: every constructor puts one in.
    Problems(Vec<Problem>),
}

/// The text for the log. It travels in the response's extensions to the layer that knows the request id.
#[derive(Clone, Debug)]
pub(crate) struct Cause(Arc<str>);

impl Cause {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The error and what it came from, outermost first.
    fn of(error: &dyn Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {error}");
            source = error.source();
        }
        Self(text.into())
    }
}

impl Failure {
    /// An answer with one problem, and the status of its code.
    #[must_use]
    pub fn new(problem: Problem) -> Self {
        Self { body: Body::Problems(vec![problem]), headers: Vec::new(), cause: None }
    }

    /// An answer with several problems, and the status of the first one's code. An empty list is a defect of this
    /// program, so a 500.
    #[must_use]
    pub fn of(problems: Vec<Problem>) -> Self {
        if problems.is_empty() {
            return Self::internal("a failure without a problem");
        }
        Self { body: Body::Problems(problems), headers: Vec::new(), cause: None }
    }

    /// 400: the request cannot be read, and `detail` says where.
    #[must_use]
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Problem::bad_request(detail))
    }

    /// 401: no credentials, or wrong ones; nothing tells which.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self { body: Body::Unauthenticated, headers: Vec::new(), cause: None }
            .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"))
    }

    /// 403: a known user who may not do this.
    #[must_use]
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Problem::new(Code::Forbidden, detail))
    }

    /// 404: nothing of the account is found there.
    #[must_use]
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Problem::not_found(detail))
    }

    /// 404: the path is not spelled as any route is.
    #[must_use]
    pub(crate) fn no_route() -> Self {
        Self::not_found("There is no such route")
    }

    /// 405: the path has no such method. The router that knows the path's methods adds `Allow`.
    #[must_use]
    pub fn method_not_allowed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Problem::new(Code::MethodNotAllowed, detail))
    }

    /// 409: the state of what the request acts on does not allow it.
    #[must_use]
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Problem::new(Code::Conflict, detail))
    }

    /// 413: the body is too large; `detail` names the limit.
    #[must_use]
    pub fn payload_too_large(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Problem::new(Code::PayloadTooLarge, detail))
    }

    /// 415: the body is of a type that no route reads.
    #[must_use]
    pub fn unsupported_media_type(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Problem::new(Code::UnsupportedMediaType, detail))
    }

    /// 422: the request is well-formed, but not acceptable.
    #[must_use]
    pub fn unprocessable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Problem::unprocessable(detail))
    }

    /// 429: a limit is exceeded; another try is worth it after so many seconds.
    #[must_use]
    pub fn too_many(detail: impl Into<Cow<'static, str>>, retry_after_seconds: u32) -> Self {
        Self::new(Problem::new(Code::TooManyRequests, detail))
            .with_header(RETRY_AFTER, HeaderValue::from(retry_after_seconds))
    }

    /// 503: a dependency is down or throttles; nothing was done, and another try is worth it after so many seconds.
    #[must_use]
    pub fn unavailable(retry_after_seconds: u32) -> Self {
        Self::new(Problem::new(Code::ServiceUnavailable, "The service is busy; send the request again"))
            .with_header(RETRY_AFTER, HeaderValue::from(retry_after_seconds))
    }

    /// 500: `cause`, with everything it came from, goes to the log; the client gets the request id to ask about.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Problem::internal()).because(cause)
    }

    /// Adds a cause that only the log may know. It is logged once, with the request id, when the answer leaves.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(Cause::of(&*cause.into()));
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match &self.body {
            Body::Unauthenticated => StatusCode::UNAUTHORIZED,
            Body::Problems(problems) => problems
                .first()
                .and_then(|problem| StatusCode::from_bytes(problem.code.status().as_bytes()).ok())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// Sets a user's password, whether or not it is fit.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match &self.body {
            Body::Unauthenticated => &[],
            Body::Problems(problems) => problems,
        }
    }
}

/// A store that may answer when it is asked again is a 503, any other error a 500. Its text goes to the log alone.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        const RETRY_AFTER_SECONDS: u32 = 1;
        if error.is_unavailable() {
            Self::unavailable(RETRY_AFTER_SECONDS).because(error)
        } else {
            Self::internal(error)
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::new(problem)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = match &self.body {
            Body::Unauthenticated => br#"{"error":"Couldn't authenticate you"}"#.to_vec(),
            Body::Problems(problems) => errors(problems),
        };
        let mut response = (self.status(), [(CONTENT_TYPE, JSON)], body).into_response();
        response.headers_mut().extend(self.headers);
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

/// The body of a 500 for the request with that id.
pub(crate) fn internal_body(request_id: RequestId) -> Vec<u8> {
    let mut problem = Problem::internal();
    problem.detail = format!("{}; request id {request_id}", problem.detail).into();
    errors(&[problem])
}

fn errors(problems: &[Problem]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Errors<'a> {
        errors: Vec<WithMessage<'a>>,
    }
    let errors = problems.iter().map(WithMessage).collect();
    // Five strings each: there is nothing in them that could not be serialized.
    serde_json::to_vec(&Errors { errors }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::reply;

    async fn check(failure: Failure, status: u16, headers: &[(&str, &str)], body: &str) {
        let reply = reply(failure.into_response()).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.text(), body);
        assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
        for (name, value) in headers {
            assert_eq!(reply.header(name), Some(*value), "{name}");
        }
    }

    #[tokio::test]
    async fn a_401_has_a_body_of_its_own() {
        check(
            Failure::unauthenticated(),
            401,
            &[("www-authenticate", "Basic")],
            r#"{"error":"Couldn't authenticate you"}"#,
        )
        .await;
    }

    #[tokio::test]
    async fn the_status_is_that_of_the_first_problem() {
        let problems = vec![Problem::unprocessable("one"), Problem::not_found("two")];
        check(
            Failure::of(problems),
            422,
            &[],
            concat!(
                r#"{"errors":[{"code":"UnprocessableEntity","status":"422","title":"Unprocessable Entity","#,
                r#""detail":"one","message":"one"},"#,
                r#"{"code":"NotFound","status":"404","title":"Not Found","detail":"two","message":"two"}]}"#
            ),
        )
        .await;
        assert_eq!(Failure::of(Vec::new()).status(), 500);
    }

    #[tokio::test]
    async fn a_limit_says_when_to_come_back() {
        check(
            Failure::too_many("slow", 7),
            429,
            &[("retry-after", "7")],
            concat!(
                r#"{"errors":[{"code":"TooManyRequests","status":"429","title":"Too Many Requests","#,
                r#""detail":"slow","message":"slow"}]}"#
            ),
        )
        .await;
        check(
            Failure::unavailable(2).because("the table throttles"),
            503,
            &[("retry-after", "2")],
            concat!(
                r#"{"errors":[{"code":"ServiceUnavailable","status":"503","title":"Service Unavailable","#,
                r#""detail":"The service is busy; send the request again","#,
                r#""message":"The service is busy; send the request again"}]}"#
            ),
        )
        .await;
    }

    #[test]
    fn each_constructor_has_its_status() {
        let expected = [
            (Failure::bad_request("x"), 400),
            (Failure::forbidden("x"), 403),
            (Failure::not_found("x"), 404),
            (Failure::method_not_allowed("x"), 405),
            (Failure::conflict("x"), 409),
            (Failure::payload_too_large("x"), 413),
            (Failure::unsupported_media_type("x"), 415),
            (Failure::unprocessable("x"), 422),
            (Failure::from(Problem::internal()), 500),
        ];
        for (failure, status) in expected {
            assert_eq!(failure.status(), status);
            assert_eq!(failure.problems().len(), 1);
        }
    }

    #[test]
    fn the_log_reads_an_error_with_everything_it_came_from() {
        #[derive(Debug)]
        struct Outer(std::num::ParseIntError);
        impl std::fmt::Display for Outer {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("row 7")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let inner = "x".parse::<u8>().unwrap_err();
        let failure = Failure::internal(Outer(inner));
        assert_eq!(failure.cause.unwrap().as_str(), "row 7: invalid digit found in string");
    }
}
