//! The routes of a function, each of which checks the caller's role.
//!
//! [`Routes`] is all that [`with_middleware`](crate::with_middleware) takes, and only the functions below add to it.
//! They take handlers whose first parameter is a [`Caller`], so a route without a role check does not compile.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use crate::BASE;
use crate::authentication::Agent;

/// A method and a path that a function answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// The method. Where it is `GET`, `HEAD` is answered too, without being listed.
    pub method: Method,
    /// The whole path as a template: `/api/sunshine/jobs/{id}`.
    pub path: Arc<str>,
}

impl fmt::Display for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

/// The routes of one function, or of several that were merged.
///
/// ```
/// use axum::extract::State;
/// use wire::{Agent, Routes, get};
///
/// async fn list(Agent(identity): Agent, State(greeting): State<String>) -> String {
///     format!("{greeting} {}", identity.user)
/// }
///
/// let routes: Routes = Routes::new().route("/jobs", get(list)).with_state("Hello".to_owned());
/// assert_eq!(routes.table()[0].to_string(), "GET /api/sunshine/jobs");
/// ```
///
/// A handler that does not ask first who is calling is no handler here:
///
/// ```compile_fail,E0277
/// use axum::extract::State;
/// use wire::{Agent, Routes, get};
///
/// async fn list(State(greeting): State<String>) -> String {
///     greeting
/// }
///
/// let routes: Routes = Routes::new().route("/jobs", get(list)).with_state("Hello".to_owned());
/// ```
///
/// Nor is one that asks in a later parameter, or takes a refused role for an argument:
///
/// ```compile_fail,E0277
/// use axum::extract::State;
/// use wire::{Agent, Routes, get};
///
/// async fn list(State(greeting): State<String>, Agent(identity): Agent) -> String {
///     format!("{greeting} {}", identity.user)
/// }
///
/// let routes: Routes = Routes::new().route("/jobs", get(list)).with_state("Hello".to_owned());
/// ```
///
/// ```compile_fail,E0277
/// use axum::extract::State;
/// use wire::{Agent, Failure, Routes, get};
///
/// async fn list(agent: Result<Agent, Failure>, State(greeting): State<String>) -> String {
///     greeting
/// }
///
/// let routes: Routes = Routes::new().route("/jobs", get(list)).with_state("Hello".to_owned());
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Routes<S = ()> {
    router: Router<S>,
    table: Vec<Route>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// Makes an empty set of routes.
    pub fn new() -> Self {
        Self { router: Router::new(), table: Vec::new() }
    }

    /// Adds the methods of one path, which is given beneath [`BASE`]: `/jobs/{id}`. Methods of a path that is there
    /// already are added to those it has.
    ///
    /// # Panics
    /// When the path is no template, or one of the methods is there already.
    pub fn route(mut self, path: &str, methods: Methods<S>) -> Self {
        let path: Arc<str> = format!("{BASE}{path}").into();
        let Methods { router, names } = methods;
        self.router = self.router.route(&path, router);
        self.table.extend(names.into_iter().map(|method| Route { method, path: Arc::clone(&path) }));
        self
    }

    /// Adds the routes of another function. Both may have the same path, with different methods.
    ///
    /// # Panics
    /// When both have the same method of the same path.
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.table.extend(other.table);
        self
    }

    /// Gives the handlers the state they take.
    pub fn with_state<Next>(self, state: S) -> Routes<Next> {
        Routes { router: self.router.with_state(state), table: self.table }
    }

    /// Lists every route, in the order in which they were added.
    #[must_use]
    pub fn table(&self) -> &[Route] {
        &self.table
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl Routes {
    /// The router that answers them, for the middleware to stand around.
    pub(crate) fn into_router(self) -> Router {
        self.router
    }
}

/// The methods of one path, each with its handler.
#[derive(Clone, Debug)]
#[must_use]
pub struct Methods<S = ()> {
    router: MethodRouter<S, Infallible>,
    names: Vec<Method>,
}

/// One function that begins [`Methods`], and one method that goes on with them.
macro_rules! methods {
    ($($name:ident $method:ident),*) => {
        $(
            #[doc = concat!("A path that answers `", stringify!($method), "`.")]
            pub fn $name<H, T, S>(handler: H) -> Methods<S>
            where
                H: Handler<T, S>,
                T: ChecksRole + 'static,
                S: Clone + Send + Sync + 'static,
            {
                Methods { router: on(MethodFilter::$method, handler), names: vec![Method::$method] }
            }
        )*

        impl<S: Clone + Send + Sync + 'static> Methods<S> {
            $(
                #[doc = concat!("Answers `", stringify!($method), "` too.")]
                ///
                /// # Panics
                /// When the path has a handler for it already.
                pub fn $name<H, T>(mut self, handler: H) -> Self
                where
                    H: Handler<T, S>,
                    T: ChecksRole + 'static,
                {
                    self.router = self.router.on(MethodFilter::$method, handler);
                    self.names.push(Method::$method);
                    self
                }
            )*
        }
    };
}

methods!(get GET, post POST, put PUT, patch PATCH, delete DELETE);

/// An extractor that lets only callers of some role pass, and refuses everybody else with 403.
///
/// [`Agent`] is the only one. An extractor for another role is declared beside it, and here; nowhere outside this crate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not check the caller's role",
    note = "the first parameter of a handler is a role check, such as `Agent`"
)]
pub trait Caller: sealed::Caller {}

impl Caller for Agent {}

/// The parameters of a handler, in axum's spelling, of which the first is a [`Caller`]. axum reads them in order and stops
/// at the first that refuses: nothing else of a request is looked at before its caller's role.
#[diagnostic::on_unimplemented(
    message = "the handler does not check the caller's role",
    note = "the first parameter of a handler is a role check, such as `Agent`"
)]
pub trait ChecksRole: sealed::ChecksRole {}

mod sealed {
    pub trait Caller {}
    impl Caller for super::Agent {}

    pub trait ChecksRole {}
}

/// For handlers of so many parameters after the first.
macro_rules! checks_role {
    ($($other:ident)*) => {
        impl<M, First: Caller, $($other),*> sealed::ChecksRole for (M, First, $($other,)*) {}
        impl<M, First: Caller, $($other),*> ChecksRole for (M, First, $($other,)*) {}
    };
}

checks_role!();
checks_role!(A2);
checks_role!(A2 A3);
checks_role!(A2 A3 A4);
checks_role!(A2 A3 A4 A5);
checks_role!(A2 A3 A4 A5 A6);
checks_role!(A2 A3 A4 A5 A6 A7);
checks_role!(A2 A3 A4 A5 A6 A7 A8);

#[cfg(test)]
mod tests {
    use axum::extract::State;
    use domain::clock::Clock;

    use super::*;
    use crate::AllowedOrigins;
    use crate::testing::{Reply, local_access, request, send};
    use crate::with_middleware;

    async fn number(_: Agent, State(number): State<u32>) -> String {
        number.to_string()
    }

    fn table(routes: &Routes) -> Vec<String> {
        routes.table().iter().map(Route::to_string).collect()
    }

    async fn call(routes: &Routes, method: &str, path: &str) -> Reply {
        let mut request = request(method, path);
        request.headers_mut().insert("authorization", http::HeaderValue::from_static("Bearer sundial_local_token"));
        send(
            &with_middleware(
                routes.clone(),
                local_access(&Clock::system()),
                AllowedOrigins::default(),
                Clock::system(),
            ),
            request,
        )
        .await
    }

    #[tokio::test]
    async fn the_table_names_what_is_answered() {
        let first = Routes::new().route("/jobs", post(number)).with_state(1);
        let second = Routes::new()
            .route("/jobs", get(number))
            .route("/jobs/{id}", get(number).put(number).patch(number).delete(number).post(number))
            .with_state(2);
        let routes: Routes = first.merge(second);
        let expected = [
            "POST /api/sunshine/jobs",
            "GET /api/sunshine/jobs",
            "GET /api/sunshine/jobs/{id}",
            "PUT /api/sunshine/jobs/{id}",
            "PATCH /api/sunshine/jobs/{id}",
            "DELETE /api/sunshine/jobs/{id}",
            "POST /api/sunshine/jobs/{id}",
        ];
        assert_eq!(table(&routes), expected);
        for (place, route) in routes.table().iter().enumerate() {
            let reply = call(&routes, route.method.as_str(), &route.path.replace("{id}", "7")).await;
            assert_eq!(reply.text(), if place == 0 { "1" } else { "2" }, "{route}");
        }
        assert_eq!(call(&routes, "HEAD", "/api/sunshine/jobs").await.status, 200);
        assert_eq!(call(&routes, "GET", "/jobs").await.status, 404);
    }

    #[tokio::test]
    async fn merged_routes_know_all_methods_of_a_path() {
        let first = Routes::new().route("/jobs", post(number)).with_state(1);
        let routes = first.merge(Routes::new().route("/jobs", get(number)).with_state(2));
        let reply = call(&routes, "DELETE", "/api/sunshine/jobs").await;
        assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some("POST,GET,HEAD")));
    }

    #[tokio::test]
    async fn the_role_is_checked_before_anything_else_is_read() {
        // The body is no JSON, and nobody looks.
        let routes = Routes::new().route("/jobs", post(async |_: Agent, _: crate::DataBody<10>| ()));
        let mut request = request("POST", "/api/sunshine/jobs").map(|_| "{".into());
        let end_user = http::HeaderValue::from_static("Basic dXNlckBleGFtcGxlLmNvbTpzdW5zaGluZQ==");
        request.headers_mut().insert("authorization", end_user);
        let router =
            with_middleware(routes.clone(), local_access(&Clock::system()), AllowedOrigins::default(), Clock::system());
        assert_eq!(send(&router, request).await.status, 403);
        assert_eq!(call(&routes, "POST", "/api/sunshine/jobs").await.status, 400);
    }
}
