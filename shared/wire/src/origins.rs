//! Calls from a browser's pages of other origins (CORS, <https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! The operator names the origins whose pages may call. A page of any other origin gets what it always got: its browser asks
//! first and keeps the answer from it. Credentials travel in `Authorization`, which a page has to set by itself, so no answer
//! allows those that a browser keeps.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use store::settings::SettingError;

use crate::content_type::says_form;
use crate::failure::Failure;

/// Methods that a page may use: those of all routes.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// Headers of an answer that a page may read, beside those that every page may.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Location, Retry-After, X-Rate-Limit, X-Rate-Limit-Remaining, X-Request-Id");

/// Seconds for which a browser does not ask again: two hours, the most that any keeps to.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// The origins whose pages may call from a browser, such as `https://app.example.com`. None unless they are named.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AllowedOrigins(Arc<[HeaderValue]>);

/// An error for a text that is not an origin as a browser writes it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no origin: write it as a browser does, https://app.example.com, without a path")]
pub struct NoOrigin(String);

impl AllowedOrigins {
    /// Reads origins with commas between them; blanks around one are ignored, and an empty text names none.
    ///
    /// # Errors
    /// When one of them is not written as a browser writes it, so that it could never be that of a request.
    pub fn parse(text: &str) -> Result<Self, NoOrigin> {
        let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        let origins: Result<Vec<_>, _> =
            origins.map(|origin| parse(origin).ok_or_else(|| NoOrigin(origin.to_owned()))).collect();
        Ok(Self(origins?.into()))
    }

    /// Reads `ALLOWED_ORIGINS`, as [`parse`](Self::parse) does. No origin is allowed when it is missing or empty.
    ///
    /// # Errors
    /// When it is not origins with commas between them.
    pub fn from_environment() -> Result<Self, SettingError> {
        const NAME: &str = "ALLOWED_ORIGINS";
        Self::parse(&std::env::var(NAME).unwrap_or_default()).map_err(|NoOrigin(_)| SettingError::Unreadable {
            name: NAME,
            expected: "origins such as https://app.example.com, with commas between them",
        })
    }

    fn allow(&self, origin: &HeaderValue) -> bool {
        self.0.contains(origin)
    }
}

/// An origin as a browser writes it: lower case, and no port where it is the scheme's own.
fn parse(text: &str) -> Option<HeaderValue> {
    let (scheme, authority) = text.split_once("://")?;
    let uri: Uri = format!("{scheme}://{authority}/").parse().ok()?;
    let usual_port = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let is_plain = uri.path() == "/"
        && uri.query().is_none()
        && uri.host().is_some_and(|host| !host.is_empty() && !host.bytes().any(|byte| byte.is_ascii_uppercase()))
        && uri.authority().is_some_and(|read| read.as_str() == authority && !authority.contains('@'))
        && uri.port_u16() != Some(usual_port)
        && !authority.ends_with(':');
    is_plain.then(|| HeaderValue::from_str(text).ok()).flatten()
}

/// Answers what a browser asks before it lets a page of an allowed origin call, and tells it that the page may read the
/// answers. Stands in front of authentication: a browser asks without credentials.
pub(crate) async fn share(State(origins): State<AllowedOrigins>, request: Request, next: Next) -> Response {
    let allowed = request.headers().get(ORIGIN).filter(|origin| origins.allow(origin)).cloned();
    let mut response = match &allowed {
        Some(_) if asks_first(&request) => preflight(request.headers()),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    if !origins.0.is_empty() {
        // To an answer that is kept somewhere, whoever asked.
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    if let Some(origin) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    response
}

fn asks_first(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    // Any header may be sent: one that no route knows says nothing.
    if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    response
}

/// Answers 403 to a form of a page of another origin. A browser sends such a form without asking first, with the password that
/// its user once typed: the page would act as that user.
pub(crate) async fn refuse_foreign_forms(
    State(origins): State<AllowedOrigins>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    if says_form(request.headers()) {
        for origin in request.headers().get_all(ORIGIN) {
            if !origins.allow(origin) && !is_own(origin, request.headers()) {
                return Err(Failure::forbidden(
                    "A form is read from pages of this origin alone: send the body as application/json",
                ));
            }
        }
    }
    Ok(next.run(request).await)
}

/// Whether the origin is that of the API itself: the host that the request was sent to, as a browser names it.
fn is_own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let (Ok(origin), Some(Ok(host))) = (origin.to_str(), headers.get(HOST).map(HeaderValue::to_str)) else {
        return false;
    };
    origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use domain::clock::Clock;

    use super::*;
    use crate::testing::{Reply, local_access, send};
    use crate::{Agent, DataBody, Routes, get, with_middleware};

    const APP: &str = "https://app.example.com";

    async fn call(method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let routes = Routes::new().route(
            "/jobs",
            get(async |_: Agent| "list").post(async |_: Agent, DataBody(data): DataBody<100>| data.get().to_owned()),
        );
        let origins = AllowedOrigins::parse(&format!("{APP}, http://localhost:3000")).unwrap();
        let router = with_middleware(routes, local_access(&Clock::system()), origins, Clock::system());
        let mut request =
            Request::builder().method(method).uri(format!("/api/sunshine{path}")).header(HOST, "api.example.com");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(&router, request.body(Body::from(r#"{"data":{}}"#)).unwrap()).await
    }

    /// Whether a cache is told that the answer depends on who asks.
    fn varies(reply: &Reply) -> bool {
        reply.headers.get_all(VARY).iter().any(|value| value == "Origin")
    }

    const AGENT: (&str, &str) = ("authorization", "Bearer sundial_local_token");
    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=UTF-8");

    #[test]
    fn an_origin_is_written_as_a_browser_writes_it() {
        assert_eq!(AllowedOrigins::parse(""), Ok(AllowedOrigins::default()));
        for good in
            [APP, "http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:3000", " https://a.b , ,http://c"]
        {
            assert!(AllowedOrigins::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "*",
            "null",
            "app.example.com",
            "https://",
            "https://app.example.com/",
            "https://app.example.com/x",
            "HTTPS://a.b",
            "https://A.b",
            "https://a.b:443",
            "http://a.b:80",
            "https://a.b:",
            "https://u@a.b",
            "ftp://a.b",
            "https://a.b?x",
            "https://a b",
            "https://a.b#x",
        ] {
            assert_eq!(AllowedOrigins::parse(&format!("https://ok.example,{bad}")), Err(NoOrigin(bad.to_owned())));
        }
    }

    #[tokio::test]
    async fn a_browser_that_asks_first_needs_no_credentials() {
        let asked = [
            ("origin", APP),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type,idempotency-key"),
        ];
        for path in ["/jobs", "/jobs/", "/nowhere"] {
            let reply = call("OPTIONS", path, &asked).await;
            assert_eq!((reply.status.as_u16(), reply.text()), (204, ""));
            assert_eq!(reply.header("access-control-allow-origin"), Some(APP));
            assert_eq!(reply.header("access-control-allow-methods"), Some("GET, HEAD, POST, PUT, PATCH, DELETE"));
            assert_eq!(reply.header("access-control-allow-headers"), Some(asked[2].1));
            assert_eq!(reply.header("access-control-max-age"), Some("7200"));
            assert_eq!(reply.header("access-control-allow-credentials"), None);
            assert!(reply.header("x-request-id").is_some() && reply.header("x-rate-limit").is_some());
        }
    }

    #[tokio::test]
    async fn another_origin_is_told_nothing() {
        for origin in ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com"]
        {
            let asked = [("origin", origin), ("access-control-request-method", "POST")];
            let reply = call("OPTIONS", "/jobs", &asked).await;
            assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (401, None), "{origin}");
            let reply = call("GET", "/jobs", &[AGENT, ("origin", origin)]).await;
            assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (200, None), "{origin}");
            assert!(varies(&reply), "{origin}");
        }
        // What asks for nothing is a method that no route has.
        assert_eq!(call("OPTIONS", "/jobs", &[AGENT, ("origin", APP)]).await.status, 405);
    }

    #[tokio::test]
    async fn every_answer_to_an_allowed_origin_says_so() {
        for (method, path, agent, status) in [
            ("GET", "/jobs", true, 200),
            ("GET", "/jobs", false, 401),
            ("GET", "/nowhere", true, 404),
            ("PUT", "/jobs", true, 405),
        ] {
            let headers = [("origin", "http://localhost:3000"), if agent { AGENT } else { ("x-other", "1") }];
            let reply = call(method, path, &headers).await;
            assert_eq!(reply.status, status);
            assert_eq!(reply.header("access-control-allow-origin"), Some("http://localhost:3000"));
            assert!(reply.header("access-control-expose-headers").unwrap().contains("X-Request-Id"));
            assert!(varies(&reply));
        }
    }

    #[tokio::test]
    async fn a_form_is_json_unless_a_page_of_another_origin_sends_it() {
        for (origin, status) in [
            (None, 200),
            (Some(APP), 200),
            (Some("https://api.example.com"), 200),
            (Some("https://evil.example"), 403),
            (Some("null"), 403),
            (Some("https://api.example.com.evil.example"), 403),
        ] {
            let mut headers = vec![AGENT, FORM];
            headers.extend(origin.map(|origin| ("origin", origin)));
            assert_eq!(call("POST", "/jobs", &headers).await.status, status, "{origin:?}");
            // Who sends it is asked first.
            assert_eq!(call("POST", "/jobs", &headers[1..]).await.status, 401, "{origin:?}");
        }
        let two = [AGENT, FORM, ("origin", APP), ("origin", "https://evil.example")];
        assert_eq!(call("POST", "/jobs", &two).await.status, 403);
        let json = [AGENT, ("content-type", "application/json"), ("origin", "https://evil.example")];
        assert_eq!(call("POST", "/jobs", &json).await.status, 200);
    }
}
