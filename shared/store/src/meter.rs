//! Measurement of what database calls consume, by the database's own count.

use std::ops::Sub;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{Builder, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::{Capacity, ConsumedCapacity};
use serde_json::Value;

/// Counts requests and capacity units, those of reads and of writes apart, and throttles. Clones count together.
///
/// A request counts once however often the SDK had to send it. Of a condition that failed, the database's answer says
/// nothing when it was the only one of its request, though it is charged like a write; within a batch it is counted.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    reads: Counters,
    writes: Counters,
    throttles: AtomicU64,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    /// In thousandths of a unit: an eventually consistent read of a small row is half a unit.
    table_units: AtomicU64,
    index_units: AtomicU64,
}

/// Counts of a [`Meter`] at one moment, or the difference between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    pub reads: Consumed,
    pub writes: Consumed,
    /// Throttled attempts and rows: each attempt of a request that the database throttled, whether or not the SDK made
    /// another one; and each row that it left out of a request that it answered.
    pub throttles: u64,
}

/// The requests of one kind (reads or writes), and what they consumed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Consumed {
    /// Requests answered.
    pub requests: u64,
    /// Capacity units of the tables themselves.
    pub table_units: f64,
    /// Capacity units of their indexes.
    pub index_units: f64,
}

impl Reading {
    /// The number of requests of both kinds.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.reads.requests + self.writes.requests
    }
}

impl Sub for Reading {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            writes: self.writes - earlier.writes,
            throttles: self.throttles.saturating_sub(earlier.throttles),
        }
    }
}

impl Sub for Consumed {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            table_units: self.table_units - earlier.table_units,
            index_units: self.index_units - earlier.index_units,
        }
    }
}

impl Meter {
    /// Counts one read request, and what its answer says that it consumed.
    pub(crate) fn count_read<'answer>(&self, consumed: impl IntoIterator<Item = &'answer ConsumedCapacity>) {
        self.0.reads.count(consumed);
    }

    /// Counts one write request, and what its answer says that it consumed.
    pub(crate) fn count_write<'answer>(&self, consumed: impl IntoIterator<Item = &'answer ConsumedCapacity>) {
        self.0.writes.count(consumed);
    }

    /// Counts rows that the database left out of a request because it throttles.
    pub(crate) fn count_throttles(&self, rows: usize) {
        self.0.throttles.fetch_add(u64::try_from(rows).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Makes a client whose attempts are counted here when the database throttles them.
    pub(crate) fn watching(&self, config: Builder) -> Client {
        Client::from_conf(config.interceptor(ThrottledAttempts(self.clone())).build())
    }

    /// Reads the present counts.
    #[must_use]
    pub fn read(&self) -> Reading {
        Reading {
            reads: self.0.reads.read(),
            writes: self.0.writes.read(),
            throttles: self.0.throttles.load(Ordering::Relaxed),
        }
    }
}

/// Error codes by which the database throttles, of whole requests and of single rows.
pub(crate) fn is_throttle(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "ProvisionedThroughputExceeded"
            | "ThrottlingException"
            | "ThrottlingError"
            | "RequestLimitExceeded"
    )
}

/// An interceptor that sees the answer to each attempt, those that the SDK repeats by itself included: a caller sees
/// only the last.
#[derive(Debug)]
struct ThrottledAttempts(Meter);

impl Intercept for ThrottledAttempts {
    fn name(&self) -> &'static str {
        "ThrottledAttempts"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if !response.status().is_success()
            && let Some(body) = response.body().bytes()
            && error_code(body).is_some_and(|code| is_throttle(&code))
        {
            self.0.count_throttles(1);
        }
        Ok(())
    }
}

/// The code that an error's body names, as `{"__type":"namespace#code"}`. The SDK reads it too, but into a type for each
/// operation.
fn error_code(body: &[u8]) -> Option<String> {
    let error: Value = serde_json::from_slice(body).ok()?;
    let code = error.get("__type")?.as_str()?;
    Some(code.rsplit_once('#').map_or(code, |(_, code)| code).to_owned())
}

impl Counters {
    fn count<'answer>(&self, consumed: impl IntoIterator<Item = &'answer ConsumedCapacity>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        for consumed in consumed {
            let indexes = consumed.global_secondary_indexes().into_iter().flat_map(std::collections::HashMap::values);
            let indexes: f64 = indexes.filter_map(Capacity::capacity_units).sum();
            let all = consumed.capacity_units().unwrap_or_default();
            add(&self.index_units, indexes);
            add(&self.table_units, all - indexes);
        }
    }

    fn read(&self) -> Consumed {
        #[expect(clippy::cast_precision_loss, reason = "a process does not live to count 2⁵² thousandths")]
        let units = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64 / 1_000.0;
        Consumed {
            requests: self.requests.load(Ordering::Relaxed),
            table_units: units(&self.table_units),
            index_units: units(&self.index_units),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "units are small and not negative")]
fn add(counter: &AtomicU64, units: f64) {
    counter.fetch_add((units * 1_000.0).round() as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
