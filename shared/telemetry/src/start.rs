//! Setup of a function's log and metrics, and the writing of its metrics.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use domain::clock::Clock;
use metrics_cloudwatch_embedded::{Builder, Collector};
use store::Store;
use store::meter::Reading;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::line::JsonLine;
use crate::{TraceContext, measurements};

/// The namespace of the metrics where `METRICS_NAMESPACE` does not name one.
const NAMESPACE: &str = "Sundial";

/// The span that the runtime puts around each invocation, with names of its own: [`Observed`](crate::Observed) has ours.
const RUNTIME_SPAN: &str = "lambda_runtime::layers::trace";

/// The error when the log or the metrics of this process were set up before.
#[derive(Debug, thiserror::Error)]
#[error("telemetry cannot be started: {0}")]
pub struct StartError(String);

/// The running telemetry of a function. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    collector: &'static Collector,
    /// What the store's meter said at the last flush.
    flushed: Arc<Mutex<Reading>>,
}

/// Starts the log and the metrics of a function, once per process: `function` is the value of the metrics' dimension
/// `Function`.
///
/// Reads `RUST_LOG` (`info`, or `warn,store=debug`; `info` when it is missing) and `METRICS_NAMESPACE`.
///
/// # Errors
/// When it was called before.
pub fn start(function: &'static str) -> Result<Telemetry, StartError> {
    let directives = std::env::var("RUST_LOG").unwrap_or_default();
    let namespace = std::env::var("METRICS_NAMESPACE").ok().filter(|name| !name.is_empty());
    let (filter, readable) = filter(&directives);
    subscriber(std::io::stdout, filter, Clock::system()).try_init().map_err(|error| StartError(error.to_string()))?;
    if !readable {
        tracing::warn!("RUST_LOG cannot be read, so the level is info");
    }
    Telemetry::record(function, namespace.unwrap_or_else(|| NAMESPACE.to_owned()))
}

impl Telemetry {
    fn record(function: &'static str, namespace: String) -> Result<Self, StartError> {
        let builder = Builder::new().cloudwatch_namespace(namespace).with_dimension("Function", function);
        let collector = builder.init().map_err(|error| StartError(error.to_string()))?;
        measurements::describe();
        Ok(Self { collector, flushed: Arc::default() })
    }

    /// Writes the metrics that were measured since the last time to standard output, with what `store` consumed. Writes
    /// nothing if there is nothing. [`observe`](Self::observe) does so at the end of each invocation.
    pub fn flush(&self, store: &Store) {
        self.flush_invocation(store, None, None);
    }

    /// Writes the metrics as [`flush`](Self::flush) does, in lines that name the invocation.
    pub(crate) fn flush_invocation(&self, store: &Store, invocation: Option<&str>, trace: Option<TraceContext>) {
        let lines = self.lines(store.meter().read(), invocation, trace);
        // One write for all, so that no other line gets between. Where it fails there is nobody to tell.
        let _ = std::io::stdout().write_all(&lines);
    }

    fn lines(&self, metered: Reading, invocation: Option<&str>, trace: Option<TraceContext>) -> Vec<u8> {
        let earlier = std::mem::replace(&mut *self.flushed.lock().unwrap_or_else(PoisonError::into_inner), metered);
        let consumed = metered - earlier;
        measurements::capacity_consumed(&consumed);
        measurements::dynamodb_throttled(consumed.throttles);
        self.set_property("invocation.id", invocation.map(str::to_owned));
        self.set_property("trace.id", trace.map(|trace| trace.id().to_string()));
        let mut lines = Vec::new();
        // A vector takes everything.
        let _ = self.collector.flush(&mut lines);
        lines
    }

    fn set_property(&self, name: &'static str, value: Option<String>) {
        match value {
            Some(value) => self.collector.set_property(name, value),
            None => self.collector.remove_property(name),
        };
    }
}

/// What `RUST_LOG` asks for, and whether it could be read.
fn filter(directives: &str) -> (Targets, bool) {
    const USUAL: &str = "info";
    match log_filter(if directives.is_empty() { USUAL } else { directives }) {
        Some(targets) => (targets, true),
        None => (log_filter(USUAL).unwrap_or_default(), false),
    }
}

/// The crates of this workspace that log.
const OURS: [&str; 15] = [
    "accept",
    "access",
    "admin",
    "bury",
    "consume",
    "domain",
    "function",
    "lifecycle",
    "local",
    "records",
    "status",
    "store",
    "sweep",
    "telemetry",
    "wire",
];

/// Reads log directives, in the syntax of `RUST_LOG` without spans: `info`, or `warn,store=debug`. `None` when they
/// cannot be read.
///
/// Only the crates of this workspace are ever more talkative than `info`: the libraries beneath them log whole requests
/// then, and with them password hashes, the cursor secret and clients' data.
#[must_use]
pub fn log_filter(directives: &str) -> Option<Targets> {
    // Cheaper than `EnvFilter`, which brings regular expressions for what nobody asks of a function.
    let asked: Targets = directives.parse().ok()?;
    let everything = asked.default_level().unwrap_or(LevelFilter::OFF);
    let ours = OURS.map(|name| (name, everything));
    let named = asked.iter().map(|(target, level)| {
        let is_ours = OURS.contains(&target.split("::").next().unwrap_or_default());
        (target, if is_ours { level } else { level.min(LevelFilter::INFO) })
    });
    let targets = Targets::new().with_default(everything.min(LevelFilter::INFO)).with_targets(ours).with_targets(named);
    Some(targets.with_target(RUNTIME_SPAN, LevelFilter::OFF))
}

fn subscriber<Output>(output: Output, filter: Targets, clock: Clock) -> impl Subscriber + Send + Sync
where
    Output: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(JsonLine { clock })
        .with_writer(output);
    tracing_subscriber::registry().with(filter).with(lines)
}

#[cfg(test)]
mod tests;
