//! Nothing is answered before it is known who asks.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use domain::account::{Identity, Role};
use http::request::Parts;

use crate::directory::Directory;
use crate::failure::Failure;

/// Puts the caller's [`Identity`] into the request's extensions, or answers 401.
pub(crate) async fn authenticate(
    State(directory): State<Directory>,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let identity = directory.authenticate(request.headers()).ok_or_else(Failure::unauthenticated)?;
    request.extensions_mut().insert(identity);
    Ok(next.run(request).await)
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
