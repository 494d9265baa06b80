//! What the calls consumed, by the database's own account of it.

use std::ops::Sub;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::{Capacity, ConsumedCapacity};

/// Counts requests and capacity units, those of reads and of writes apart. Clones count together.
///
/// A request counts once however often the SDK had to send it. Of a condition that failed, the database's answer says
/// nothing when it was the only one of its request, though it is charged like a write; within a batch it is counted.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    reads: Counters,
    writes: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    /// In thousandths of a unit: an eventually consistent read of a small row is half a unit.
    table_units: AtomicU64,
    index_units: AtomicU64,
}

/// A [`Meter`] at one moment, or what was added between two.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    pub reads: Consumed,
    pub writes: Consumed,
}

/// What requests of one kind consumed.
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
    /// Requests of both kinds.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.reads.requests + self.writes.requests
    }
}

impl Sub for Reading {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { reads: self.reads - earlier.reads, writes: self.writes - earlier.writes }
    }
}

impl Sub for Consumed {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            table_units: self.table_units - earlier.table_units,
            index_units: self.index_units - earlier.index_units,
        }
    }
}

impl Meter {
    /// One request that reads, and what its answer says it consumed.
    pub(crate) fn count_read<'answer>(&self, consumed: impl IntoIterator<Item = &'answer ConsumedCapacity>) {
        self.0.reads.count(consumed);
    }

    /// One request that writes, and what its answer says it consumed.
    pub(crate) fn count_write<'answer>(&self, consumed: impl IntoIterator<Item = &'answer ConsumedCapacity>) {
        self.0.writes.count(consumed);
    }

    #[must_use]
    pub fn read(&self) -> Reading {
        Reading { reads: self.0.reads.read(), writes: self.0.writes.read() }
    }
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
