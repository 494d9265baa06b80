//! The public HTTP API, asked again as often and as late as it wants.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, redirect};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;

const PREFIX: &str = "/api/sunshine";
/// Of one request. The API answers within 30 seconds or never does; a large body takes its time on a slow line.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// When a request may be sent again, though nobody knows whether it was carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Repeat {
    /// It changes nothing, or has an idempotency key.
    Always,
    /// Only where the API promises that nothing was done.
    WhenRefused,
}

/// A request that has not been sent.
pub(crate) struct Request {
    method: Method,
    /// Behind the host.
    path: String,
    query: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    repeat: Repeat,
}

impl Request {
    pub(crate) fn get(path: &str) -> Self {
        Self::new(Method::GET, path, Repeat::Always)
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, path, Repeat::WhenRefused)
    }

    pub(crate) fn post(path: &str, body: &Value) -> Self {
        Self::new(Method::POST, path, Repeat::WhenRefused).json(body)
    }

    pub(crate) fn put(path: &str, body: &Value) -> Self {
        Self::new(Method::PUT, path, Repeat::WhenRefused).json(body)
    }

    /// A job of items that are lines, compressed by gzip.
    pub(crate) fn post_lines(path: &str, key: &str, lines: Vec<u8>) -> Self {
        let mut request = Self::new(Method::POST, path, Repeat::Always);
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        request.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        if let Ok(key) = HeaderValue::from_str(key) {
            request.headers.insert("idempotency-key", key);
        }
        request.body = Some(lines);
        request
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    fn new(method: Method, path: &str, repeat: Repeat) -> Self {
        let path = if path.starts_with(PREFIX) { path.to_owned() } else { format!("{PREFIX}{path}") };
        Self { method, path, query: Vec::new(), headers: HeaderMap::new(), body: None, repeat }
    }

    fn json(mut self, body: &Value) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = Some(body.to_string().into_bytes());
        self
    }
}

/// What the API answered, when it did not refuse.
#[derive(Debug)]
pub(crate) enum Answer {
    Body(Value),
    NotFound(String),
}

/// Who calls, and by what secret. It has no `Debug`, so that no message shows one by mistake.
#[derive(Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Credentials {
    Token { token: String },
    Password { email: String, password: String },
}

impl Credentials {
    fn header(&self) -> Result<HeaderValue, Failure> {
        let mut header = match self {
            Self::Token { token } => HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
                Failure::Usage("the token has characters that no token has: log in again with another".to_owned())
            })?,
            Self::Password { email, password } => {
                // What stands behind the first colon is the password.
                if email.contains(':') {
                    return Err(Failure::Usage("an email with a colon cannot log in: use a token".to_owned()));
                }
                let basic = format!("Basic {}", STANDARD.encode(format!("{email}:{password}")));
                HeaderValue::from_str(&basic)
                    .map_err(|_| Failure::Usage("the password cannot be sent: use a token".to_owned()))?
            }
        };
        header.set_sensitive(true);
        Ok(header)
    }

    /// What is said when the service does not know them. It never says which part is wrong.
    fn refusal(&self) -> &'static str {
        match self {
            Self::Token { .. } => "the service does not accept the token: log in again with `sundial login`",
            Self::Password { .. } => {
                "the service does not accept the email and password: one of them is wrong, or the account allows no \
                 passwords. Log in again with `sundial login`, or ask the operator for a token"
            }
        }
    }
}

/// A service and the right to call it. The secret is in a header that is marked as secret, and nowhere else.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    origin: String,
    authorization: HeaderValue,
    refusal: &'static str,
    retry_for: Duration,
}

impl Client {
    /// `origin` is scheme and host, without a path.
    pub(crate) fn new(origin: String, credentials: &Credentials, retry_for: Duration) -> Result<Self, Failure> {
        let authorization = credentials.header()?;
        // A second call finds the provider installed, and that is as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("sundial/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .timeout(REQUEST_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| Failure::NotDone(format!("no connection can be made: {}", causes(&error))))?;
        Ok(Self { http, origin, authorization, refusal: credentials.refusal(), retry_for })
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Sends the request until it is answered, and returns the answer's body, or `null` where it has none.
    pub(crate) async fn send(&self, request: Request) -> Result<Value, Failure> {
        match self.try_send(request).await? {
            Answer::Body(body) => Ok(body),
            Answer::NotFound(detail) => Err(Failure::NotDone(detail)),
        }
    }

    /// As [`Self::send`], for who has something to do when there is no such thing.
    pub(crate) async fn try_send(&self, request: Request) -> Result<Answer, Failure> {
        let began = Instant::now();
        let mut attempts = 0u32;
        loop {
            let trouble = match self.attempt(&request).await {
                Attempt::Done(result) => return result,
                Attempt::Trouble(trouble) => trouble,
            };
            let may_repeat = trouble.is_safe || request.repeat == Repeat::Always;
            if !may_repeat {
                return Err(Failure::NotDone(format!(
                    "{}; nobody knows whether it was done: look before you try again",
                    trouble.text
                )));
            }
            let pause = trouble.retry_after.unwrap_or_else(|| backoff(attempts));
            attempts += 1;
            if began.elapsed() + pause > self.retry_for {
                return Err(Failure::NotDone(format!(
                    "{}; gave up after {} attempts: try again later, or wait longer with --retry-for",
                    trouble.text, attempts
                )));
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, request: &Request) -> Attempt {
        let mut builder = self
            .http
            .request(request.method.clone(), url(&self.origin, request))
            .headers(request.headers.clone())
            .header(AUTHORIZATION, self.authorization.clone());
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let unreachable = |error: &reqwest::Error| {
            Attempt::Trouble(Trouble {
                text: format!("{} cannot be reached: {}", self.origin, causes(error)),
                // A connection that was never made carried nothing.
                is_safe: error.is_connect(),
                retry_after: None,
            })
        };
        let response = match builder.send().await {
            Ok(response) => response,
            Err(error) => return unreachable(&error),
        };
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let is_ours = response.headers().contains_key("x-request-id");
        let bytes = match response.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return unreachable(&error),
        };
        let detail = || detail(&bytes).unwrap_or_else(|| format!("the service answered {status}"));
        if status.is_success() {
            if bytes.is_empty() {
                return Attempt::Done(Ok(Answer::Body(Value::Null)));
            }
            return Attempt::Done(serde_json::from_slice(&bytes).map(Answer::Body).map_err(|_| {
                Failure::NotDone(format!("{} does not answer as Sundial does: check the address", self.origin))
            }));
        }
        match status {
            StatusCode::UNAUTHORIZED => Attempt::Done(Err(Failure::Refused(self.refusal.to_owned()))),
            StatusCode::FORBIDDEN => Attempt::Done(Err(Failure::Refused(format!(
                "access refused: {}; ask the operator to let you in as an agent",
                detail()
            )))),
            StatusCode::TOO_MANY_REQUESTS => Attempt::Trouble(Trouble { text: detail(), is_safe: true, retry_after }),
            StatusCode::NOT_FOUND => Attempt::Done(Ok(Answer::NotFound(detail()))),
            status if status.is_server_error() => Attempt::Trouble(Trouble {
                text: detail(),
                is_safe: status == StatusCode::SERVICE_UNAVAILABLE && is_ours,
                retry_after,
            }),
            status if status.is_redirection() => Attempt::Done(Err(Failure::NotDone(format!(
                "{} sends to another address ({status}): log in with that one",
                self.origin
            )))),
            _ => Attempt::Done(Err(Failure::NotDone(detail()))),
        }
    }
}

enum Attempt {
    Done(Result<Answer, Failure>),
    Trouble(Trouble),
}

/// Why an attempt may be made again.
struct Trouble {
    text: String,
    /// Whether it is sure that nothing was done.
    is_safe: bool,
    retry_after: Option<Duration>,
}

/// A pause that doubles, between half of it and all of it, so that many clients do not come back at once.
fn backoff(attempts: u32) -> Duration {
    let pause = Duration::from_millis(500).saturating_mul(1 << attempts.min(10)).min(LONGEST_PAUSE);
    let mut byte = [0u8; 1];
    // Without randomness the pause is merely a little shorter.
    let _ = getrandom::fill(&mut byte);
    pause / 2 + pause / 2 * u32::from(byte[0]) / 255
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The details of the API's errors, or the message of a gateway.
fn detail(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    if let Some(errors) = body["errors"].as_array() {
        let details: Vec<&str> = errors.iter().filter_map(|error| error["detail"].as_str()).collect();
        if !details.is_empty() {
            return Some(details.join("\n"));
        }
    }
    body["message"].as_str().map(ToOwned::to_owned)
}

/// An error with what caused it, without the address, which may hold what nobody else should read.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    if text.is_empty() { "no answer in time".to_owned() } else { text }
}

fn url(origin: &str, request: &Request) -> String {
    let mut url = format!("{origin}{}", request.path);
    let mut separator = if url.contains('?') { '&' } else { '?' };
    for (name, value) in &request.query {
        url.push(separator);
        url.push_str(name);
        url.push('=');
        url.push_str(&escape(value));
        separator = '&';
    }
    url
}

/// A text as a part of a path or a query.
pub(crate) fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a text never fails.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Credentials, Request, detail, escape, url};

    #[test]
    fn a_secret_is_sent_as_the_service_reads_it_and_shown_by_nothing() {
        let token = Credentials::Token { token: "t".to_owned() }.header().unwrap();
        assert_eq!(token, "Bearer t");
        let password = |email: &str| Credentials::Password { email: email.to_owned(), password: "p:ü".to_owned() };
        let header = password("a@b").header().unwrap();
        assert_eq!(header, "Basic YUBiOnA6w7w=");
        assert_eq!(format!("{header:?}"), "Sensitive");
        assert!(password("a:b").header().is_err());
    }

    #[test]
    fn kept_credentials_are_read_again() {
        for kept in [json!({"token": "t"}), json!({"email": "a@b", "password": "p"})] {
            let credentials: Credentials = serde_json::from_value(kept.clone()).unwrap();
            assert_eq!(serde_json::to_value(&credentials).unwrap(), kept);
        }
    }

    #[test]
    fn a_next_page_is_asked_for_as_it_was_given() {
        let next = Request::get("/api/sunshine/jobs?cursor=a%2Bb").query("status", "a b");
        assert_eq!(url("http://host", &next), "http://host/api/sunshine/jobs?cursor=a%2Bb&status=a%20b");
        assert_eq!(url("http://host", &Request::get("/jobs")), "http://host/api/sunshine/jobs");
    }

    #[test]
    fn what_a_path_may_not_hold_is_escaped() {
        assert_eq!(escape("a/b?ü"), "a%2Fb%3F%C3%BC");
    }

    #[test]
    fn details_come_from_the_api_or_the_gateway() {
        let errors = br#"{"errors": [{"detail": "one"}, {"detail": "two"}]}"#;
        assert_eq!(detail(errors).as_deref(), Some("one\ntwo"));
        assert_eq!(detail(br#"{"message": "Forbidden"}"#).as_deref(), Some("Forbidden"));
        assert_eq!(detail(b"<html>"), None);
    }
}
