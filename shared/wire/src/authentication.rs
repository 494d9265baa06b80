//! No route is answered before it is known who asks.

use access::{Access, Admitted, Ration, Refusal, Source};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::account::{Identity, Role};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use lambda_http::request::RequestContext;

use crate::conventions::Caller;
use crate::failure::Failure;

/// Requests a minute that the account may make.
const X_RATE_LIMIT: HeaderName = HeaderName::from_static("x-rate-limit");
/// Those of them that are left of this minute.
const X_RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("x-rate-limit-remaining");

/// When to come back where the database did not say who is calling, in seconds.
const RETRY: u32 = 1;

/// Puts the caller's [`Identity`] into the request's extensions, or answers 401, 429 or 503.
pub(crate) async fn authenticate(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let source = source_of(&request);
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
    let (mut response, ration) = match access.admit(request.headers(), source).await {
        Ok(Admitted { identity, ration }) => {
            caller.is(&identity);
            request.extensions_mut().insert(identity);
            (next.run(request).await, ration)
        }
        Err(Refusal::Unknown { flaw, ration }) => {
            let mut response = Failure::unauthenticated().into_response();
            response.extensions_mut().insert(flaw);
            (response, ration)
        }
        Err(Refusal::TooMany { identity, ration }) => {
            caller.is(&identity);
            (over_limit(ration).into_response(), ration)
        }
        Err(Refusal::Locked { retry_after_seconds, ration }) => (locked(retry_after_seconds).into_response(), ration),
        Err(Refusal::Unavailable { error, ration }) => {
            // An error that will not pass is no reason to tell strangers more.
            let mut failure = Failure::unavailable(RETRY);
            if !error.is_unavailable() {
                failure = Failure::internal("who is calling cannot be looked up");
            }
            (failure.because(error).into_response(), ration)
        }
    };
    say(response.headers_mut(), ration);
    response
}

/// Says what is left to the source where an answer does not say yet what is left to the account: because it was given before
/// anybody asked who is calling.
pub(crate) async fn ration_every_answer(State(access): State<Access>, request: Request, next: Next) -> Response {
    let source = source_of(&request);
    let mut response = next.run(request).await;
    if !response.headers().contains_key(X_RATE_LIMIT) {
        say(response.headers_mut(), access.ration_of_source(source));
    }
    response
}

fn say(headers: &mut HeaderMap, ration: Ration) {
    headers.insert(X_RATE_LIMIT, HeaderValue::from(ration.limit));
    headers.insert(X_RATE_LIMIT_REMAINING, HeaderValue::from(ration.remaining));
}

fn over_limit(ration: Ration) -> Failure {
    let Ration { limit, resets_in, .. } = ration;
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

/// Where the request comes from: as the gateway saw it, or as a server of our own put it into the extensions. What the
/// request says of itself (`X-Forwarded-For`) anybody can make up.
fn source_of(request: &Request) -> Source {
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
            .ok_or_else(|| Failure::internal("the route is not behind the conventions: nobody was authenticated"))?;
        match identity.role {
            Role::Admin | Role::Agent => Ok(Self(identity.clone())),
            Role::EndUser => Err(Failure::forbidden("Only agents and admins may do this")),
        }
    }
}
