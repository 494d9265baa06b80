//! Telemetry for the operator: log lines, metrics and traces.
//!
//! - **Log lines** are JSON objects on standard output, one each. Their members have dotted names (`job.id`), and those
//!   of the spans around them are among them, so that each line of a request has its `request.id` and `trace.id`. A
//!   failure is logged once, at the boundary. No line holds a body, a credential or an attribute of a record.
//! - **Metrics** are the functions of this crate, such as [`jobs_accepted`]. They go through the `metrics` facade: where
//!   nothing was [`start`]ed, in the local run and in tests, they do nothing. In a function they are written with the end
//!   of each invocation, as lines in Amazon's embedded metric format.
//! - **Traces** are AWS X-Ray's: a [`TraceContext`] goes with each message from a request to the consumer.

mod invocation;
mod line;
mod measurements;
mod start;
mod trace;

pub use invocation::{Invocation, Observed};
pub use measurements::{
    capacity_consumed, chunk_buried, chunk_processed, dynamodb_throttled, items, job_ended, job_stopped,
    job_unreadable, jobs_accepted, queue_waited, redelivered, request_answered,
};
pub use start::{StartError, Telemetry, log_filter, start};
pub use trace::{TraceContext, TraceId, X_AMZN_TRACE_ID};
