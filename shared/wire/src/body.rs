//! Reading of request bodies, up to a limit.

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use domain::request::json;
use domain::request::members::{NoMembers, members};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::content_type::check_content_type;
use crate::failure::Failure;

/// Reads the whole body, of at most `limit` bytes. One that says beforehand that it is longer is refused without
/// reading it.
///
/// # Errors
/// 413 naming the limit when it is longer, 400 when it breaks off.
pub async fn read_body(body: Body, limit: usize) -> Result<Bytes, Failure> {
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(Failure::payload_too_large(format!(
            "The body of {announced} bytes is over the limit of {limit} bytes"
        )));
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Failure::payload_too_large(format!("The body is over the limit of {limit} bytes")))
        }
        Err(error) => Err(Failure::bad_request("The body broke off").because(error)),
    }
}

/// The object `data` of a body `{"data": {…}}` of at most `LIMIT` bytes, as the text that was sent.
///
/// Answers 415 for another content type, 413 over the limit, and 400 when the body is not JSON or `data` not an object.
#[derive(Clone, Debug)]
pub struct DataBody<const LIMIT: usize>(pub Box<RawValue>);

impl<S: Send + Sync, const LIMIT: usize> FromRequest<S> for DataBody<LIMIT> {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        let body = read_json(request, LIMIT).await?;
        data_member(&body).map(|data| Self(data.to_owned()))
    }
}

/// A whole body of JSON of at most `LIMIT` bytes, as the text that was sent.
///
/// Answers 415 for another content type, 413 over the limit, and 400 when the body is not JSON.
#[derive(Clone, Debug)]
pub struct JsonBody<const LIMIT: usize>(pub Box<RawValue>);

impl<S: Send + Sync, const LIMIT: usize> FromRequest<S> for JsonBody<LIMIT> {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        let body = read_json(request, LIMIT).await?;
        whole(&body).map(|whole| Self(whole.to_owned()))
    }
}

fn whole(body: &[u8]) -> Result<&RawValue, Failure> {
    serde_json::from_slice(json::without_byte_order_mark(body)).map_err(|error| not_json(&error))
}

/// Finds the object `data` in a body `{"data": {…}}`, as the text that was sent.
///
/// # Errors
/// 400 when the body is not JSON, saying where; or when it has no `data`, or two, or one that is not an object.
pub fn data_member(body: &[u8]) -> Result<&RawValue, Failure> {
    match members(whole(body)?.get(), ["data"]) {
        Ok([Some(data)]) if data.get().starts_with('{') => Ok(data),
        Ok(_) | Err(NoMembers::NotAnObject) => {
            Err(Failure::bad_request("The body must be a JSON object with one member `data`, which is an object"))
        }
        Err(NoMembers::Twice(name)) => Err(Failure::bad_request(format!("`{name}` is given more than once"))),
    }
}

async fn read_json(request: Request, limit: usize) -> Result<Bytes, Failure> {
    check_content_type(request.headers())?;
    read_body(request.into_body(), limit).await
}

fn not_json(error: &serde_json::Error) -> Failure {
    let (line, column) = (error.line(), error.column());
    let what = if error.classify() == Category::Eof { "it ends too early" } else { "it goes wrong" };
    Failure::bad_request(format!("The body is not JSON: {what} at line {line}, column {column}"))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};

    use axum::body::HttpBody;
    use proptest::prelude::*;

    use super::*;

    const NO_DATA: &str = "The body must be a JSON object with one member `data`, which is an object";

    /// A body of so many pieces of ten bytes that counts those it was asked for.
    struct Pieces {
        left: usize,
        given: Arc<AtomicUsize>,
        announces: bool,
    }

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            if self.left == 0 {
                return Poll::Ready(None);
            }
            self.left -= 1;
            self.given.fetch_add(1, Ordering::SeqCst);
            Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(b"0123456789")))))
        }

        fn size_hint(&self) -> http_body::SizeHint {
            if self.announces {
                http_body::SizeHint::with_exact(self.left as u64 * 10)
            } else {
                http_body::SizeHint::new()
            }
        }
    }

    /// How a body of so many pieces fares against a limit of 50 bytes, and how many pieces were asked for.
    async fn check_limit(pieces: usize, announces: bool, expected: Result<usize, &str>, asked: usize) {
        let given = Arc::new(AtomicUsize::new(0));
        let body = Body::new(Pieces { left: pieces, given: Arc::clone(&given), announces });
        let read = read_body(body, 50).await;
        let read = read.map(|bytes| bytes.len()).map_err(|failure| failure.problems()[0].clone());
        match expected {
            Ok(length) => assert_eq!(read, Ok(length)),
            Err(detail) => {
                let problem = read.unwrap_err();
                assert_eq!((problem.code.status(), problem.detail.as_ref()), ("413", detail));
            }
        }
        assert_eq!(given.load(Ordering::SeqCst), asked);
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_and_no_further() {
        check_limit(0, false, Ok(0), 0).await;
        check_limit(5, false, Ok(50), 5).await;
        check_limit(5, true, Ok(50), 5).await;
        check_limit(1_000, false, Err("The body is over the limit of 50 bytes"), 6).await;
        check_limit(6, true, Err("The body of 60 bytes is over the limit of 50 bytes"), 0).await;
    }

    async fn check(body: impl Into<Body>, expected: Result<&str, (u16, &str)>) {
        let body = read_body(body.into(), 1_000).await.unwrap();
        let request = Request::new(Body::from(body));
        let outcome = |result: Result<String, Failure>| match result {
            Ok(text) => assert_eq!(Ok(text.as_str()), expected),
            Err(failure) => {
                let detail = failure.problems()[0].detail.as_ref();
                assert_eq!(Err((failure.status().as_u16(), detail)), expected);
            }
        };
        outcome(DataBody::<100>::from_request(request, &()).await.map(|data| data.0.get().to_owned()));
    }

    #[tokio::test]
    async fn data_is_an_object_in_an_object() {
        check(r#"{"data":{"key":"a"}}"#, Ok(r#"{"key":"a"}"#)).await;
        check(r#" {"more":[1], "data" : {} } "#, Ok("{}")).await;
        check("\u{feff}{\"data\":{}}", Ok("{}")).await;
        for body in ["{}", "[]", "null", r#"[{"a":1}]"#, r#"{"data":null}"#, r#"{"data":[]}"#, r#"{"data":"x"}"#, "7"] {
            check(body, Err((400, NO_DATA))).await;
        }
        for body in [r#"{"data":{},"data":{}}"#, r#"{"data":1,"x":2,"d\u0061ta":3}"#] {
            check(body, Err((400, "`data` is given more than once"))).await;
        }
        check(r#"{"x":1,"x":2,"data":{}}"#, Ok("{}")).await;
    }

    #[tokio::test]
    async fn what_is_not_json_is_told_where() {
        check("", Err((400, "The body is not JSON: it ends too early at line 1, column 0"))).await;
        check("{\"data\":\n{", Err((400, "The body is not JSON: it ends too early at line 2, column 1"))).await;
        check("{\"data\":\n  nope}", Err((400, "The body is not JSON: it goes wrong at line 2, column 4"))).await;
        check(r#"{"data":{}} x"#, Err((400, "The body is not JSON: it goes wrong at line 1, column 13"))).await;
    }

    #[tokio::test]
    async fn text_that_is_not_utf_8_is_not_json() {
        let body = b"{\"data\":{\"a\":\"\xff\"}}";
        let read = DataBody::<100>::from_request(Request::new(Body::from(&body[..])), &()).await;
        assert_eq!(read.unwrap_err().status(), 400);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_a_413() {
        let body = format!(r#"{{"data":{{"a":"{}"}}}}"#, "x".repeat(100));
        check(body, Err((413, "The body of 117 bytes is over the limit of 100 bytes"))).await;
    }

    #[tokio::test]
    async fn another_type_is_a_415() {
        let request =
            Request::builder().header("content-type", "text/plain").body(Body::from("{\"data\":{}}")).unwrap();
        assert_eq!(DataBody::<100>::from_request(request, &()).await.unwrap_err().status(), 415);
    }

    #[test]
    fn nesting_is_for_whoever_reads_the_text_to_refuse() {
        let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
        assert!(data_member(format!(r#"{{"data":{{"a":{deep}}},"b":{deep}}}"#).as_bytes()).is_ok());
        assert_eq!(data_member(deep.as_bytes()).unwrap_err().status(), 400);
        assert_eq!(data_member(&deep.as_bytes()[1..]).unwrap_err().status(), 400);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(body: Vec<u8>, text in r#"[\[\]{}":,\\0-9a-z ]{0,40}"#) {
            for body in [body, text.into_bytes()] {
                if let Err(failure) = data_member(&body) {
                    prop_assert_eq!(failure.status(), 400);
                }
            }
        }
    }
}
