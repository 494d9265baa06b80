//! What the calls consumed, by the database's own account of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Counts requests and capacity units. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    /// In thousandths of a unit: an eventually consistent read of a small row is half a unit.
    table_units: AtomicU64,
    index_units: AtomicU64,
}

/// A [`Meter`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Requests sent.
    pub requests: u64,
    /// Read and write capacity units of the tables themselves.
    pub table_units: f64,
    /// Capacity units of their indexes.
    pub index_units: f64,
}

impl Meter {
    pub(crate) fn count(&self, consumed: &[ConsumedCapacity]) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        for consumed in consumed {
            let indexes: f64 = consumed
                .global_secondary_indexes()
                .into_iter()
                .flat_map(std::collections::HashMap::values)
                .filter_map(aws_sdk_dynamodb::types::Capacity::capacity_units)
                .sum();
            let all = consumed.capacity_units().unwrap_or_default();
            add(&self.0.index_units, indexes);
            add(&self.0.table_units, all - indexes);
        }
    }

    pub(crate) fn count_one(&self, consumed: Option<&ConsumedCapacity>) {
        self.count(consumed.map(std::slice::from_ref).unwrap_or_default());
    }

    #[must_use]
    pub fn read(&self) -> Reading {
        #[expect(clippy::cast_precision_loss, reason = "a process does not live to count 2⁵² thousandths")]
        let units = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64 / 1_000.0;
        Reading {
            requests: self.0.requests.load(Ordering::Relaxed),
            table_units: units(&self.0.table_units),
            index_units: units(&self.0.index_units),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "units are small and not negative")]
fn add(counter: &AtomicU64, units: f64) {
    counter.fetch_add((units * 1_000.0).round() as u64, Ordering::Relaxed);
}
