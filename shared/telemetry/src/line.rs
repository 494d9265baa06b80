//! Log lines: one JSON object each.

use std::fmt;

use domain::clock::Clock;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes an event as `{"timestamp", "level", "target", "message", …}`: its fields follow, and those of the spans around
/// it, all in one object, so that a query finds a request's lines by `request.id` wherever it was set. Where two of them
/// have one name, the inner one counts.
///
/// The time is UTC in RFC 3339 with milliseconds; the target is the crate alone.
pub(crate) struct JsonLine {
    pub(crate) clock: Clock,
}

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let target = metadata.target();
        let mut members = Members::default();
        members.add("timestamp", self.clock.now().in_millis().to_string());
        members.add("level", metadata.level().as_str());
        members.add("target", target.split_once("::").map_or(target, |(name, _)| name));
        event.record(&mut members);
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>().map_or("", |fields| fields.fields.as_str());
            // A span without fields has no text.
            if let Ok(Value::Object(fields)) = serde_json::from_str(fields) {
                for (name, value) in fields {
                    members.add(&name, value);
                }
            }
        }
        writeln!(writer, "{}", Value::Object(members.0))
    }
}

/// The members of a line, in the order in which they were added.
#[derive(Default)]
struct Members(Map<String, Value>);

impl Members {
    /// Adds a member, unless there is one with this name.
    fn add(&mut self, name: &str, value: impl Into<Value>) {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), value.into());
        }
    }
}

impl Visit for Members {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value);
    }

    /// What a duration's milliseconds are counted in.
    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.add(field.name(), value),
            Err(_) => self.add(field.name(), value.to_string()),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), format!("{value:?}"));
    }
}
