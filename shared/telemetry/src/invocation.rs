//! Observation of one invocation of a function, from the event to its answer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use lambda_runtime::{Context, LambdaEvent, Service};
use store::Store;
use tracing::Instrument;

use crate::{Telemetry, TraceContext};

/// An input of a handler, from which the invocation's ids are read.
pub trait Invocation {
    /// The Lambda context of the invocation; `None` where there is no Lambda.
    fn context(&self) -> Option<&Context>;
}

impl<Event> Invocation for LambdaEvent<Event> {
    fn context(&self) -> Option<&Context> {
        Some(&self.context)
    }
}

/// As `lambda_http` makes it.
impl<Body> Invocation for http::Request<Body> {
    fn context(&self) -> Option<&Context> {
        self.extensions().get()
    }
}

impl Telemetry {
    /// Wraps a handler: each invocation has a span with `invocation.id` and `trace.id`, and the metrics are written
    /// when it ends, with what `store` consumed. The result is to be given to `lambda_runtime::run` or
    /// `lambda_http::run`.
    #[must_use]
    pub fn observe<Handler>(&self, store: &Store, handler: Handler) -> Observed<Handler> {
        Observed { telemetry: self.clone(), store: store.clone(), handler }
    }
}

/// A handler whose invocations are observed: see [`Telemetry::observe`].
#[derive(Clone)]
pub struct Observed<Handler> {
    telemetry: Telemetry,
    store: Store,
    handler: Handler,
}

impl<Handler, Event> Service<Event> for Observed<Handler>
where
    Handler: Service<Event>,
    Handler::Future: Send + 'static,
    Event: Invocation,
{
    type Response = Handler::Response;
    type Error = Handler::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Handler::Response, Handler::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.handler.poll_ready(context)
    }

    fn call(&mut self, event: Event) -> Self::Future {
        let ending = Ending {
            telemetry: self.telemetry.clone(),
            store: self.store.clone(),
            invocation: event.context().map(|context| context.request_id.clone()),
            trace: event.context().and_then(|context| TraceContext::parse(context.xray_trace_id.as_deref()?)),
        };
        // At the highest level, so that its fields are there whatever is filtered out.
        let span = tracing::error_span!(
            "invocation",
            invocation.id = ending.invocation.as_deref(),
            trace.id = ending.trace.map(|trace| tracing::field::display(trace.id())),
        );
        let answer = span.in_scope(|| self.handler.call(event));
        let whole = async move {
            let _ending = ending;
            answer.await
        };
        Box::pin(whole.instrument(span))
    }
}

/// Flushes when it is dropped, and so also when the handler panics, which the runtime survives.
struct Ending {
    telemetry: Telemetry,
    store: Store,
    invocation: Option<String>,
    trace: Option<TraceContext>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.telemetry.flush_invocation(&self.store, self.invocation.as_deref(), self.trace);
    }
}
