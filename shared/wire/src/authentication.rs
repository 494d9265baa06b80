//! Authentication in front of all routes, and the roles that handlers ask for.

use access::{Access, Admitted, RateLimit, Refusal, Source, TrustedProxy};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::account::{Identity, Role};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use lambda_http::request::RequestContext;

use crate::caller::CallersAccount;
use crate::failure::Failure;

/// Requests a minute that the account may make.
const X_RATE_LIMIT: HeaderName = HeaderName::from_static("x-rate-limit");
/// Those of them that are left of this minute.
const X_RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("x-rate-limit-remaining");

/// When to come back where the database did not say who is calling, in seconds.
const RETRY: u32 = 1;

/// The settings of authentication: who may call, and which proxies may say where a request comes from. Made of an
/// [`Access`] alone it trusts no proxy.
#[derive(Clone, Debug)]
pub struct Entrance {
    access: Access,
    proxy: TrustedProxy,
}

impl From<Access> for Entrance {
    fn from(access: Access) -> Self {
        Self { access, proxy: TrustedProxy::default() }
    }
}

impl From<(Access, TrustedProxy)> for Entrance {
    fn from((access, proxy): (Access, TrustedProxy)) -> Self {
        Self { access, proxy }
    }
}

/// Puts the caller's [`Identity`] into the request's extensions, or answers 401, 429 or 503.
pub(crate) async fn authenticate(State(entrance): State<Entrance>, mut request: Request, next: Next) -> Response {
    let source = entrance.source_of(&request);
    let caller = request.extensions().get::<CallersAccount>().cloned().unwrap_or_default();
    let (mut response, rate_limit) = match entrance.access.admit(request.headers(), source).await {
        Ok(Admitted { identity, rate_limit }) => {
            caller.is(&identity);
            request.extensions_mut().insert(identity);
            (next.run(request).await, rate_limit)
        }
        Err(Refusal::Unknown { flaw, rate_limit }) => {
            let mut response = Failure::unauthenticated().into_response();
            response.extensions_mut().insert(flaw);
            (response, rate_limit)
        }
        Err(Refusal::TooMany { identity, rate_limit }) => {
            caller.is(&identity);
            (over_limit(rate_limit).into_response(), rate_limit)
        }
        Err(Refusal::Locked { retry_after_seconds, rate_limit }) => {
            (locked(retry_after_seconds).into_response(), rate_limit)
        }
        Err(Refusal::Unavailable { error, rate_limit }) => {
            // An error that will not pass is no reason to tell strangers more.
            let mut failure = Failure::unavailable(RETRY);
            if !error.is_unavailable() {
                failure = Failure::internal("who is calling cannot be looked up");
            }
            (failure.because(error).into_response(), rate_limit)
        }
    };
    say(response.headers_mut(), rate_limit);
    response
}

/// Adds the rate limit of the source to an answer that does not have the account's, because it was given before it was
/// known who is calling.
pub(crate) async fn tell_rate_limit_of_every_answer(
    State(entrance): State<Entrance>,
    request: Request,
    next: Next,
) -> Response {
    let source = entrance.source_of(&request);
    let mut response = next.run(request).await;
    if !response.headers().contains_key(X_RATE_LIMIT) {
        say(response.headers_mut(), entrance.access.rate_limit_of_source(source));
    }
    response
}

fn say(headers: &mut HeaderMap, rate_limit: RateLimit) {
    headers.insert(X_RATE_LIMIT, HeaderValue::from(rate_limit.limit));
    headers.insert(X_RATE_LIMIT_REMAINING, HeaderValue::from(rate_limit.remaining));
}

fn over_limit(rate_limit: RateLimit) -> Failure {
    let RateLimit { limit, resets_in, .. } = rate_limit;
    Failure::too_many(
        format!("The account may make {limit} requests a minute; the next minute begins in {resets_in} s"),
        resets_in,
    )
}

fn locked(retry_after_seconds: u32) -> Failure {
    Failure::too_many(
        format!(
            "Too many requests with wrong credentials came from here; send this one again in {retry_after_seconds} s"
        ),
        retry_after_seconds,
    )
}

impl Entrance {
    /// Where the request comes from: what sent it, or the client that a trusted proxy names.
    fn source_of(&self, request: &Request) -> Source {
        self.proxy.source_of(request.headers(), sent_from(request))
    }
}

/// What sent the request, as the gateway saw it, or as a server of our own put it into the extensions. What the request says
/// of itself (`X-Forwarded-For`) anybody can make up.
fn sent_from(request: &Request) -> Source {
    let extensions = request.extensions();
    if let Some(source) = extensions.get::<Source>() {
        return *source;
    }
    match extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            let address = context.http.source_ip.as_deref().and_then(|address| address.parse().ok());
            address.map_or(Source::UNKNOWN, Source::of)
        }
        _ => Source::UNKNOWN,
    }
}

/// A caller who may use jobs, types and records: an agent or an admin. Anybody else is answered 403.
#[derive(Clone, Debug)]
pub struct Agent(pub Identity);

impl<S: Send + Sync> FromRequestParts<S> for Agent {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let identity = parts
            .extensions
            .get::<Identity>()
            .ok_or_else(|| Failure::internal("the route is not behind the middleware: nobody was authenticated"))?;
        match identity.role {
            Role::Admin | Role::Agent => Ok(Self(identity.clone())),
            Role::EndUser => Err(Failure::forbidden("Only agents and admins may do this")),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use domain::clock::Clock;
    use domain::time::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::testing::{Reply, local_access, request, send};
    use crate::{AllowedOrigins, Routes, get, with_middleware};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const NEXT_SECRET: &str = "fedcba9876543210fedcba9876543210";
    const PROXY: (&str, &str) = ("x-sundial-proxy", SECRET);
    /// What `local_access` gives each source.
    const ALL: u32 = 1_000_000;

    /// Routes that take the word of proxies with one of these secrets, at a time that stands still.
    fn router(secrets: &str) -> Router {
        let clock = Clock::manual(Timestamp::from_millis(0), 1);
        let routes = Routes::new().route("/jobs", get(async |_: Agent| "list"));
        let entrance = (local_access(&clock), TrustedProxy::parse(secrets).unwrap());
        with_middleware(routes, entrance, AllowedOrigins::default(), clock)
    }

    /// The answer to a request that the gateway was sent from `address`.
    async fn call(router: &Router, address: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = request("GET", path);
        // As the event of a deployed function has it.
        let context: RequestContext =
            serde_json::from_value(json!({"http": {"method": "GET", "sourceIp": address}})).unwrap();
        request.extensions_mut().insert(context);
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        send(router, request).await
    }

    fn left_in(reply: &Reply) -> u32 {
        reply.header("x-rate-limit-remaining").unwrap().parse().unwrap()
    }

    /// What is left to the source of a request without credentials, with that request counted.
    async fn left(router: &Router, address: &str, headers: &[(&str, &str)]) -> u32 {
        let reply = call(router, address, "/api/sunshine/jobs", headers).await;
        assert_eq!(reply.status, 401);
        left_in(&reply)
    }

    #[tokio::test]
    async fn clients_of_a_trusted_proxy_count_apart() {
        let router = router(SECRET);
        let client = |address| [PROXY, ("cloudfront-viewer-address", address)];
        assert_eq!(left(&router, "198.51.100.7", &client("192.0.2.1:46532")).await, ALL - 1);
        // Through another of the proxy's servers, and another port.
        assert_eq!(left(&router, "198.51.100.8", &client("192.0.2.1:80")).await, ALL - 2);
        assert_eq!(left(&router, "198.51.100.7", &client("192.0.2.2:46532")).await, ALL - 1);
        assert_eq!(left(&router, "198.51.100.7", &client("2001:db8:1:2::1:46532")).await, ALL - 1);
        assert_eq!(left(&router, "198.51.100.7", &client("[2001:db8:1:2::2]:46532")).await, ALL - 2);
        // Who calls without the proxy is the same source as with it; and the proxy's servers were not counted.
        assert_eq!(left(&router, "192.0.2.1", &[]).await, ALL - 3);
        for server in ["198.51.100.7", "198.51.100.8"] {
            assert_eq!(left(&router, server, &[]).await, ALL - 1, "{server}");
        }
    }

    #[tokio::test]
    async fn an_answer_before_anybody_is_asked_who_calls_says_what_is_left_to_the_client() {
        let router = router(SECRET);
        let client = |address| [PROXY, ("cloudfront-viewer-address", address)];
        left(&router, "198.51.100.7", &client("192.0.2.1:46532")).await;
        let path = format!("/api/sunshine/jobs?{}", "a".repeat(domain::limits::QUERY_BYTES + 1));
        for (address, expected) in [("192.0.2.1:46532", ALL - 1), ("192.0.2.2:46532", ALL)] {
            let reply = call(&router, "198.51.100.7", &path, &client(address)).await;
            assert_eq!((reply.status.as_u16(), left_in(&reply)), (400, expected), "{address}");
        }
    }

    #[tokio::test]
    async fn what_is_made_up_counts_as_the_address_that_the_gateway_saw() {
        let router = router(SECRET);
        let viewer = ("cloudfront-viewer-address", "192.0.2.1:46532");
        let made_up: [&[(&str, &str)]; 12] = [
            &[viewer],
            &[viewer, ("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")],
            &[viewer, ("x-sundial-proxy", "")],
            &[viewer, ("x-sundial-proxy", &SECRET[1..])],
            &[viewer, ("x-sundial-proxy", NEXT_SECRET)],
            &[viewer, ("x-sundial-proxy", "0123456789ABCDEF0123456789ABCDEF")],
            &[viewer, PROXY, ("x-sundial-proxy", NEXT_SECRET)],
            &[PROXY],
            &[PROXY, ("x-forwarded-for", "192.0.2.1"), ("x-real-ip", "192.0.2.1")],
            &[PROXY, ("cloudfront-viewer-address", "192.0.2.1")],
            &[PROXY, ("cloudfront-viewer-address", "192.0.2.9:80, 192.0.2.1:46532")],
            &[PROXY, ("cloudfront-viewer-address", "192.0.2.9:80"), viewer],
        ];
        let mut expected = ALL;
        for headers in made_up {
            expected -= 1;
            assert_eq!(left(&router, "198.51.100.7", headers).await, expected, "{headers:?}");
        }
        assert_eq!(left(&router, "192.0.2.1", &[]).await, ALL - 1);
    }

    #[tokio::test]
    async fn without_a_secret_no_proxy_is_trusted() {
        let router = router("");
        for (number, secret) in ["", SECRET].into_iter().enumerate() {
            let headers = [("x-sundial-proxy", secret), ("cloudfront-viewer-address", "192.0.2.1:46532")];
            let expected = ALL - 1 - u32::try_from(number).unwrap();
            assert_eq!(left(&router, "198.51.100.7", &headers).await, expected, "{secret:?}");
        }
    }

    #[tokio::test]
    async fn two_secrets_are_good_while_one_takes_the_place_of_the_other() {
        let router = router(&format!("{SECRET},{NEXT_SECRET}"));
        for (number, secret) in [SECRET, NEXT_SECRET].into_iter().enumerate() {
            let headers = [("x-sundial-proxy", secret), ("cloudfront-viewer-address", "192.0.2.1:46532")];
            let expected = ALL - 1 - u32::try_from(number).unwrap();
            assert_eq!(left(&router, "198.51.100.7", &headers).await, expected, "{secret:?}");
        }
        assert_eq!(left(&router, "198.51.100.7", &[]).await, ALL - 1);
    }

    #[tokio::test]
    async fn a_proxy_does_not_stand_for_credentials() {
        let router = router(SECRET);
        let viewer = ("cloudfront-viewer-address", "192.0.2.1:46532");
        let token = ("authorization", "Bearer sundial_local_token");
        for (headers, status) in [(&[PROXY, viewer][..], 401), (&[PROXY, viewer, token], 200), (&[viewer, token], 200)]
        {
            assert_eq!(
                call(&router, "198.51.100.7", "/api/sunshine/jobs", headers).await.status,
                status,
                "{headers:?}"
            );
        }
    }
}
