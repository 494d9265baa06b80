//! Limits of a request's headers and query, and checks of its path, before anything else is read.

use axum::extract::{OriginalUri, Request};
use axum::middleware::Next;
use axum::response::Response;
use domain::limits;
use http::uri::PathAndQuery;
use http::{HeaderMap, Uri};
use lambda_http::RequestExt;

use crate::failure::Failure;

/// Answers 400 when the headers or the query are over their limits.
///
/// A larger head does not always come this far. The gateway refuses one whose request line and header values take more than
/// 10,240 bytes, the local run's server one of 128 KiB, and both in other words.
pub(crate) async fn within_limits(request: Request, next: Next) -> Result<Response, Failure> {
    let headers = bytes_of(request.headers());
    if headers > limits::HEADER_BYTES {
        return Err(Failure::bad_request(format!(
            "The headers must take at most {} bytes, names and values together, not {headers}",
            limits::HEADER_BYTES
        )));
    }
    let query = request.uri().query().map_or(0, str::len);
    if query > limits::QUERY_BYTES {
        return Err(Failure::bad_request(format!(
            "The query must be at most {} bytes, not {query}",
            limits::QUERY_BYTES
        )));
    }
    Ok(next.run(request).await)
}

fn bytes_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Answers 404 when the path to be routed is not the one that was sent.
///
/// The runtime of a deployed function reads URLs as a browser does, so that `/jobs/../objects` becomes `/objects`. A route
/// has one spelling (and that with one slash at its end), at home as deployed, and no gateway or log in front should see another path than the one that answers.
pub(crate) async fn as_sent(request: Request, next: Next) -> Result<Response, Failure> {
    let sent = request.raw_http_path();
    // Only that runtime says what was sent.
    if !sent.is_empty() && sent != request.uri().path() {
        return Err(Failure::no_route());
    }
    Ok(next.run(without_last_slash(request)).await)
}

/// Published clients send `/jobs/` and mean `/jobs`. Only one slash is taken away: `/jobs//` names nothing.
fn without_last_slash(mut request: Request) -> Request {
    let mut parts = request.uri().clone().into_parts();
    let Some(shorter) = parts.path_and_query.as_ref().and_then(|whole| {
        let path = whole.path().strip_suffix('/').filter(|path| !path.is_empty())?;
        let shorter = whole.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        PathAndQuery::try_from(shorter).ok()
    }) else {
        return request;
    };
    parts.path_and_query = Some(shorter);
    // One that was made of the parts of another is one.
    if let Ok(uri) = Uri::from_parts(parts) {
        // What links to other pages begin with.
        request.extensions_mut().insert(OriginalUri(uri.clone()));
        *request.uri_mut() = uri;
    }
    request
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use domain::clock::Clock;
    use http::HeaderValue;

    use super::*;
    use crate::testing::{Reply, local_access, request, send};
    use crate::{Agent, AllowedOrigins, Query, Routes, get, with_middleware};

    async fn call(request: Request) -> Reply {
        let routes = Routes::new()
            .route("/jobs", get(async |_: Agent| "list"))
            .route("/links", get(async |_: Agent, query: Query| query.with_cursor("c")));
        send(
            &with_middleware(routes, local_access(&Clock::system()), AllowedOrigins::default(), Clock::system()),
            request,
        )
        .await
    }

    fn known(path: &str) -> Request {
        let mut request = request("GET", path);
        request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer sundial_local_token"));
        request
    }

    fn detail(reply: &Reply) -> String {
        assert_eq!((reply.status.as_u16(), &reply.json()["errors"][0]["code"]), (400, &"BadRequest".into()));
        reply.json()["errors"][0]["detail"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn headers_are_counted_with_their_names_whoever_sends_them() {
        let with = |bytes: usize| {
            let mut request = known("/api/sunshine/jobs");
            let taken = bytes_of(request.headers());
            // Twice the same name counts twice.
            request.headers_mut().append("x-more", HeaderValue::from_static("0123"));
            let rest = bytes - taken - "x-more0123x-more".len();
            request.headers_mut().append("x-more", "x".repeat(rest).parse().unwrap());
            request
        };
        assert_eq!(call(with(limits::HEADER_BYTES)).await.status, 200);
        let refused = call(with(limits::HEADER_BYTES + 1)).await;
        let expected = "The headers must take at most 10240 bytes, names and values together, not 10241";
        assert_eq!(detail(&refused), expected);
        let mut stranger = with(limits::HEADER_BYTES + 100);
        stranger.headers_mut().remove("authorization");
        assert!(detail(&call(stranger).await).contains("10240"));
    }

    #[tokio::test]
    async fn a_query_is_counted_as_it_was_sent() {
        // Three bytes of it are one character.
        let with = |bytes: usize| known(&format!("/api/sunshine/jobs?{:x<bytes$}", "%41".repeat(bytes / 3)));
        assert_eq!(call(with(limits::QUERY_BYTES)).await.status, 200);
        let refused = call(with(limits::QUERY_BYTES + 1)).await;
        assert_eq!(detail(&refused), "The query must be at most 8192 bytes, not 8193");
        let mut stranger = with(limits::QUERY_BYTES + 1);
        stranger.headers_mut().remove("authorization");
        assert!(detail(&call(stranger).await).contains("8192"));
    }

    #[tokio::test]
    async fn one_slash_at_the_end_of_a_path_says_nothing() {
        for (sent, answer) in
            [("/jobs/", "list"), ("/jobs/?a=/", "list"), ("/links/?a=b", "/api/sunshine/links?a=b&cursor=c")]
        {
            assert_eq!(call(known(&format!("/api/sunshine{sent}"))).await.text(), answer, "{sent}");
        }
        for sent in ["/jobs//", "//jobs/", "/", "/jobs/x/"] {
            assert_eq!(call(known(&format!("/api/sunshine{sent}"))).await.status, 404, "{sent}");
        }
        assert_eq!(call(known("/")).await.status, 404);
    }

    /// A request as the runtime of a deployed function makes it of the gateway's event.
    fn deployed(sent: &str) -> Request {
        let event = serde_json::json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": sent,
            "rawQueryString": "per_page=1",
            "headers": {"host": "example.com", "x-forwarded-proto": "https", "authorization": "Bearer sundial_local_token"},
            "requestContext": {
                "stage": "$default",
                "timeEpoch": 0,
                "http": {"method": "GET", "path": sent, "protocol": "HTTP/1.1", "sourceIp": "", "userAgent": ""},
            },
            "isBase64Encoded": false,
        });
        lambda_http::request::from_str(&event.to_string()).unwrap().map(|_| Body::empty())
    }

    #[tokio::test]
    async fn a_path_that_the_runtime_tidied_up_is_a_404() {
        for sent in ["/api/sunshine/jobs", "/api/sunshine/jobs/"] {
            assert_eq!(call(deployed(sent)).await.text(), "list", "{sent}");
        }
        for sent in [
            "/api/sunshine/x/../jobs",
            "/api/sunshine/./jobs",
            "/api/sunshine/%2e/jobs",
            "/api/sunshine/jobs/%2E%2e/jobs",
            "/api\\sunshine/jobs",
            "/api/sunshine/jobs?x",
            "/api/sunshine/jobs#x",
            "/api/sunshine/jo\tbs",
            "/api/sunshine/jobs//",
            "//api/sunshine/jobs",
            "//api/sunshine/jobs/",
            "/",
        ] {
            assert_eq!(call(deployed(sent)).await.status, 404, "{sent}");
        }
        let mut stranger = deployed("/api/sunshine/./jobs");
        stranger.headers_mut().remove("authorization");
        assert_eq!(call(stranger).await.status, 401);
    }
}
