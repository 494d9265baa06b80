//! Parameters in a path.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// Extracts the path's parameters, as [`axum::extract::Path`] does. A path whose parameters cannot be read is answered
/// 404, like an unknown one: a malformed id names nothing.
#[derive(Clone, Debug)]
pub struct PathParameters<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathParameters<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(captures)) => Ok(Self(captures)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => Err(Failure::not_found("There is nothing here")),
            Err(rejection) => Err(Failure::internal(rejection)),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;

    use super::*;
    use crate::testing::{request, send};

    #[tokio::test]
    async fn a_path_that_cannot_be_read_is_a_404() {
        let router =
            Router::new().route("/one/{id}", get(async |PathParameters(id): PathParameters<String>| id)).route(
                "/two/{id}/{key}",
                get(async |PathParameters((id, key)): PathParameters<(String, String)>| id + &key),
            );
        for (path, status, text) in
            [("/one/a%20b", 200, Some("a b")), ("/one/%ff", 404, None), ("/two/a/b", 200, Some("ab"))]
        {
            let reply = send(&router, request("GET", path)).await;
            assert_eq!(reply.status, status, "{path}");
            if let Some(text) = text {
                assert_eq!(reply.text(), text);
            }
        }
    }
}
