//! The middleware around all routes.

use std::any::Any;
use std::time::Instant;

use access::Flaw;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_request, map_response};
use axum::response::{IntoResponse, Response};
use domain::account::AccountId;
use domain::clock::Clock;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use telemetry::{TraceContext, X_AMZN_TRACE_ID};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument, Level};

use crate::answer::JSON;
use crate::authentication::{Entrance, authenticate, tell_rate_limit_of_every_answer};
use crate::caller::CallersAccount;
use crate::compression;
use crate::failure::{Cause, Failure, internal_body};
use crate::head_limits::{as_sent, within_limits};
use crate::old_names::moved;
use crate::origins::{AllowedOrigins, refuse_foreign_forms, share};
use crate::query::cut;
use crate::request_id::{RequestId, X_REQUEST_ID};
use crate::routes::Routes;

/// Headers of every answer of the API, which tell browsers that it is data of one account, and never a page.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    // Two years. Browsers do not listen to it where there is no TLS.
    (STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000; includeSubDomains")),
];

/// Puts the shared middleware around routes: a request id, a trace, bounds, CORS, authentication, JSON answers where no
/// route answers (404, 405 with `Allow`), a 500 for a panic, gzip, security headers, and one log line.
///
/// `entrance` is an [`Access`](access::Access), or that and the [`TrustedProxy`](access::TrustedProxy) in front of it.
pub fn with_middleware(routes: Routes, entrance: impl Into<Entrance>, origins: AllowedOrigins, clock: Clock) -> Router {
    let entrance = entrance.into();
    let router = routes.into_router().fallback(moved).method_not_allowed_fallback(async |method: Method| {
        Failure::method_not_allowed(format!("This route does not answer {}", cut(method.as_str())))
    });
    // Around the router and not on its routes: there, a 401 would tell in `Allow` which routes exist. Later layers
    // stand further out.
    Router::new()
        .fallback_service(router)
        .layer(from_fn(as_sent))
        // Inside: what a panicking handler is answered with is the account's. Outside: nothing else is left to chance.
        .layer(CatchPanicLayer::custom(|payload: Box<dyn Any + Send>| panicked(&*payload)))
        .layer(from_fn_with_state(origins.clone(), refuse_foreign_forms))
        .layer(from_fn_with_state(entrance.clone(), authenticate))
        .layer(from_fn(within_limits))
        .layer(CatchPanicLayer::custom(|payload: Box<dyn Any + Send>| panicked(&*payload)))
        .layer(from_fn_with_state(origins, share))
        .layer(from_fn_with_state(entrance, tell_rate_limit_of_every_answer))
        .layer(from_fn_with_state(clock, identify))
        .layer(compression::layer())
        .layer(map_request(compression::plainly))
        .layer(map_response(secured))
}

/// Adds gzip and security headers to pages that need no authentication; headers that they set themselves stay.
pub fn for_anybody(pages: Router) -> Router {
    pages.layer(compression::layer()).layer(map_request(compression::plainly)).layer(map_response(secured))
}

/// Adds the security headers. One that the route has set itself stays.
async fn secured(mut response: Response) -> Response {
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// Names the request, and completes the answer with that name. Every request is logged and counted here, and a failure
/// nowhere else.
async fn identify(State(clock): State<Clock>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = RequestId::random(&clock);
    let trace = trace_of(request.headers()).unwrap_or_else(|| TraceContext::begin(&clock));
    let caller = CallersAccount::default();
    let extensions = request.extensions_mut();
    extensions.insert(request_id);
    extensions.insert(trace);
    extensions.insert(caller.clone());
    let (method, uri) = (request.method().clone(), request.uri().clone());

    // At the highest level, so that the lines of handlers have its fields whatever is filtered out.
    let span = tracing::error_span!("request", request.id = %request_id, trace.id = %trace.id());
    let mut response = next.run(request).instrument(span).await;

    let cause = response.extensions_mut().remove::<Cause>();
    let flaw = response.extensions_mut().remove::<Flaw>();
    let status = response.status();
    // The query is left out: it may hold what clients call their records.
    let path = cut(uri.path());
    macro_rules! log {
        ($level:expr, $error:expr, $message:literal) => {
            tracing::event!(
                $level,
                request.id = %request_id,
                trace.id = %trace.id(),
                account.id = caller.get().map(AccountId::as_str),
                access.flaw = flaw.map(tracing::field::debug),
                request.method = %method,
                request.path = %path,
                response.status = status.as_u16(),
                response.milliseconds = started.elapsed().as_millis(),
                error = $error,
                $message
            )
        };
    }
    let error = cause.as_ref().map(Cause::as_str);
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        log!(Level::ERROR, Some(error.unwrap_or("no cause given")), "the request failed unexpectedly");
        response = with_internal_body(response, request_id);
    } else if error.is_some() {
        log!(Level::WARN, error, "the request failed");
    } else {
        log!(Level::INFO, None::<&str>, "the request is answered");
    }
    telemetry::request_answered(status.as_u16());
    if let Some(value) = request_id.header() {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

/// The trace that the request comes with. What is not one is nobody's fault and changes nothing.
fn trace_of(headers: &HeaderMap) -> Option<TraceContext> {
    TraceContext::parse(headers.get(X_AMZN_TRACE_ID)?.to_str().ok()?)
}

/// Whatever a 500 said before, it now says the contract's error and the request id.
fn with_internal_body(response: Response, request_id: RequestId) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_ENCODING);
    parts.headers.insert(CONTENT_TYPE, JSON);
    Response::from_parts(parts, internal_body(request_id).into())
}

fn panicked(payload: &(dyn Any + Send)) -> Response {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message");
    Failure::internal(format!("panicked: {message}")).into_response()
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};
    use std::sync::{Arc, Mutex};

    use axum::Extension;
    use domain::time::Timestamp;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::BASE;
    use crate::answer::Data;
    use crate::authentication::Agent;
    use crate::routes::{get, post};
    use crate::testing::{Reply, local_access, request, send};

    const AGENT: (&str, &str) = ("authorization", "Bearer sundial_local_token");
    /// `user@example.com:sunshine`.
    const END_USER: (&str, &str) = ("authorization", "Basic dXNlckBleGFtcGxlLmNvbTpzdW5zaGluZQ==");

    fn router() -> Router {
        let clock = Clock::manual(Timestamp::from_millis(0), 1);
        let routes = Routes::new()
            .route("/who", get(async |Agent(identity): Agent| Data(StatusCode::OK, identity.account.to_string())))
            .route("/id", get(async |_: Agent, Extension(id): Extension<RequestId>| id.to_string()))
            .route("/trace", get(async |_: Agent, Extension(trace): Extension<TraceContext>| trace.to_string()))
            .route("/logs", get(async |_: Agent| tracing::info!("in a handler")))
            .route("/make", post(async |_: Agent| Data(StatusCode::CREATED, "x".repeat(5_000))))
            .route("/long", get(async |_: Agent| Data(StatusCode::OK, "x".repeat(5_000))))
            .route("/short", get(async |_: Agent| Data(StatusCode::OK, "x")))
            .route("/cached", get(async |_: Agent| ([(CACHE_CONTROL, "max-age=60")], "x")))
            .route("/broken", get(async |_: Agent| Failure::internal("table sundial-jobs is gone")))
            .route("/throttled", get(async |_: Agent| Failure::unavailable(3).because("table sundial-jobs throttles")))
            .route(
                "/panics",
                get(async |_: Agent, method: Method| {
                    assert!(method == Method::POST, "index out of bounds");
                }),
            );
        with_middleware(routes, local_access(&clock), AllowedOrigins::default(), clock)
    }

    async fn call(method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = request(method, &format!("{BASE}{path}"));
        for (name, value) in headers {
            request.headers_mut().append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        send(&router(), request).await
    }

    fn error(code: &str, status: &str, title: &str, detail: &str) -> Value {
        json!({"errors": [{"code": code, "status": status, "title": title, "detail": detail, "message": detail}]})
    }

    #[tokio::test]
    async fn an_agent_passes_and_an_end_user_is_forbidden() {
        let reply = call("GET", "/who", &[AGENT]).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (200, json!({"data": "local"})));
        let reply = call("GET", "/who", &[END_USER]).await;
        assert_eq!(reply.status, 403);
        assert_eq!(reply.json(), error("Forbidden", "403", "Forbidden", "Only agents and admins may do this"));
    }

    #[tokio::test]
    async fn nobody_learns_anything_before_a_401() {
        for (method, path) in [("GET", "/who"), ("GET", "/nowhere"), ("DELETE", "/who"), ("GET", "/panics")] {
            for headers in [&[][..], &[("authorization", "Bearer wrong")][..]] {
                let reply = call(method, path, headers).await;
                assert_eq!((reply.status.as_u16(), reply.text()), (401, r#"{"error":"Couldn't authenticate you"}"#));
                assert_eq!(reply.header("www-authenticate"), Some("Basic"));
                assert_eq!(reply.header("allow"), None);
            }
        }
    }

    #[tokio::test]
    async fn where_no_route_answers_the_body_is_still_ours() {
        let reply = call("GET", "/nowhere", &[AGENT]).await;
        assert_eq!(reply.status, 404);
        assert_eq!(reply.json(), error("NotFound", "404", "Not Found", "There is no such route"));
        let reply = call("DELETE", "/who", &[AGENT]).await;
        assert_eq!(reply.status, 405);
        assert_eq!(reply.header("allow"), Some("GET,HEAD"));
        let detail = "This route does not answer DELETE";
        assert_eq!(reply.json(), error("MethodNotAllowed", "405", "Method Not Allowed", detail));
    }

    #[tokio::test]
    async fn an_earlier_name_is_a_308_to_whom_is_let_in() {
        let sent = || request("POST", "/api/custom_resources/jobs/?a=b");
        assert_eq!(send(&router(), sent()).await.status, 401);
        let mut known = sent();
        known.headers_mut().insert(AGENT.0, HeaderValue::from_static(AGENT.1));
        let reply = send(&router(), known).await;
        assert_eq!((reply.status.as_u16(), reply.header("location")), (308, Some("/api/sunshine/jobs?a=b")));
    }

    #[tokio::test]
    async fn every_answer_carries_the_id_its_handler_saw() {
        let reply = call("GET", "/id", &[AGENT, ("x-request-id", "mine")]).await;
        assert_eq!(reply.header("x-request-id"), Some(reply.text()));
        assert_eq!(uuid::Uuid::parse_str(reply.text()).unwrap().get_version_num(), 4);
        for (path, headers) in [("/nowhere", &[AGENT][..]), ("/who", &[]), ("/broken", &[AGENT]), ("/panics", &[AGENT])]
        {
            assert!(call("GET", path, headers).await.header("x-request-id").is_some(), "{path}");
        }
    }

    /// What a test's log lines are written to.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The answer to `GET path`, and the one line it left in the log.
    async fn logged(path: &str, headers: &[(&str, &str)]) -> (Reply, String) {
        let (reply, text) = all_logged(path, headers).await;
        assert_eq!(text.lines().count(), 1, "{text}");
        (reply, text)
    }

    async fn all_logged(path: &str, headers: &[(&str, &str)]) -> (Reply, String) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).with_target(false).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let reply = call("GET", path, headers).await;
        drop(guard);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        (reply, text)
    }

    #[tokio::test]
    async fn a_500_says_only_the_request_id_and_the_log_says_the_rest() {
        for (path, cause) in [("/broken", "table sundial-jobs is gone"), ("/panics", "panicked: index out of bounds")] {
            let (reply, line) = logged(path, &[AGENT]).await;
            let id = reply.header("x-request-id").unwrap().to_owned();
            let detail = format!("An unexpected error occurred; request id {id}");
            assert_eq!(reply.status, 500);
            assert_eq!(reply.json(), error("InternalServerError", "500", "Internal Server Error", &detail));
            assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
            assert!(line.contains("ERROR"), "{line}");
            for piece in [cause, &format!("request.id={id}"), "trace.id=1-", "request.method=GET", path] {
                assert!(line.contains(piece), "{line}");
            }
        }
    }

    #[tokio::test]
    async fn a_cause_behind_another_status_is_logged_too() {
        let (reply, line) = logged("/throttled", &[AGENT]).await;
        assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, Some("3")));
        assert!(line.contains("WARN") && line.contains("table sundial-jobs throttles"), "{line}");
        assert!(!reply.text().contains("table"));
    }

    #[tokio::test]
    async fn every_other_request_leaves_one_line_too() {
        let trace = ("x-amzn-trace-id", "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1");
        let (reply, line) = logged("/who?secret=1", &[AGENT, trace]).await;
        let id = format!("request.id={}", reply.header("x-request-id").unwrap());
        assert!(line.contains("INFO") && !line.contains("secret"), "{line}");
        for piece in [
            id.as_str(),
            "trace.id=1-67891233-abcdef012345678912345678",
            "account.id=\"local\"",
            "request.method=GET",
            "request.path=/api/sunshine/who",
            "response.status=200",
            "response.milliseconds=",
        ] {
            assert!(line.contains(piece), "{piece}: {line}");
        }
        for (path, headers, status) in [("/nowhere", &[AGENT][..], 404), ("/who", &[], 401), ("/who", &[END_USER], 403)]
        {
            let (_, line) = logged(path, headers).await;
            assert!(line.contains("INFO") && line.contains(&format!("response.status={status}")), "{line}");
            assert_eq!(line.contains("account.id"), status != 401, "{line}");
        }
    }

    #[tokio::test]
    async fn what_a_handler_logs_has_the_ids_of_its_request() {
        let (reply, lines) = all_logged("/logs", &[AGENT]).await;
        let line = lines.lines().next().unwrap();
        assert!(line.contains("in a handler") && line.contains("trace.id=1-"), "{lines}");
        assert!(line.contains(reply.header("x-request-id").unwrap()), "{lines}");
    }

    #[tokio::test]
    async fn a_handler_sees_the_trace_that_the_request_came_with_or_a_new_one() {
        let header = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1";
        let name = "x-amzn-trace-id";
        assert_eq!(call("GET", "/trace", &[AGENT, (name, header)]).await.text(), header);
        for headers in [&[AGENT][..], &[AGENT, (name, "Root=1-2-3")], &[AGENT, (name, "\u{e9}")]] {
            let trace = call("GET", "/trace", headers).await;
            assert!(trace.text().starts_with("Root=1-00000000-"), "{}", trace.text());
        }
    }

    async fn check_gzip(method: &str, path: &str, accept_encoding: &str, status: u16, compressed: bool) {
        let reply = call(method, path, &[AGENT, ("accept-encoding", accept_encoding)]).await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(reply.header("content-encoding"), compressed.then_some("gzip"), "{method} {path} {accept_encoding}");
        if compressed {
            let mut text = String::new();
            flate2::read::GzDecoder::new(&reply.body[..]).read_to_string(&mut text).unwrap();
            let length = if path == "/short" { 1 } else { 5_000 };
            assert_eq!(text.len(), r#"{"data":""}"#.len() + length);
        }
    }

    #[tokio::test]
    async fn an_answer_to_get_is_gzipped_when_asked_for() {
        check_gzip("GET", "/long", "gzip, deflate, br", 200, true).await;
        check_gzip("GET", "/long", "*", 200, true).await;
        check_gzip("GET", "/long", "br", 200, false).await;
        check_gzip("GET", "/short", "gzip", 200, true).await;
        check_gzip("HEAD", "/long", "gzip", 200, false).await;
        check_gzip("POST", "/make", "gzip", 201, false).await;
    }

    #[tokio::test]
    async fn refusing_every_encoding_never_turns_a_success_into_an_error() {
        for refusal in ["*;q=0", "identity;q=0", "br, *;q=0", "identity;q=0, gzip;q=0"] {
            check_gzip("POST", "/make", refusal, 201, false).await;
            check_gzip("GET", "/long", refusal, 200, false).await;
        }
    }

    #[tokio::test]
    async fn every_answer_is_shown_as_data_and_kept_by_nobody() {
        let wrong = ("authorization", "Bearer wrong");
        for (method, path, header, status) in [
            ("GET", "/who", AGENT, 200),
            ("HEAD", "/who", AGENT, 200),
            ("POST", "/make", AGENT, 201),
            ("GET", "/who", wrong, 401),
            ("GET", "/who", END_USER, 403),
            ("GET", "/nowhere", AGENT, 404),
            ("DELETE", "/who", AGENT, 405),
            ("GET", "/broken", AGENT, 500),
            ("GET", "/panics", AGENT, 500),
            ("GET", "/throttled", AGENT, 503),
        ] {
            let reply = call(method, path, &[header]).await;
            assert_eq!(reply.status, status, "{method} {path}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("cache-control", "no-store"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
                ("referrer-policy", "no-referrer"),
                ("strict-transport-security", "max-age=63072000; includeSubDomains"),
            ] {
                assert_eq!(reply.header(name), Some(value), "{method} {path}");
            }
        }
        let cached = call("GET", "/cached", &[AGENT]).await;
        assert_eq!(
            (cached.header("cache-control"), cached.header("referrer-policy")),
            (Some("max-age=60"), Some("no-referrer"))
        );
    }

    #[test]
    fn any_authorization_is_a_401() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let router = router();
        proptest!(|(bytes in prop::collection::vec(any::<u8>(), 0..40), scheme in "(basic |Bearer |)")| {
            // As far as a header can say it.
            let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte >= b' ' && *byte != 0x7f).collect();
            let value = HeaderValue::from_bytes(&[scheme.as_bytes(), &bytes].concat()).unwrap();
            let mut request = request("GET", &format!("{BASE}/who"));
            request.headers_mut().insert("authorization", value);
            prop_assert_eq!(runtime.block_on(send(&router, request)).status, 401);
        });
    }
}
