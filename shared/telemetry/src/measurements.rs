//! Metrics of the service, each spelled once.
//!
//! Each has the dimension `Function`; those of items also have `Action`. Times are in milliseconds, all else are counts.
//! What is counted in whole numbers is a counter, whose value is what was added since the last flush. The rest are
//! histograms, whose values are kept one by one until the flush, at most a hundred: so an invocation is given no more than a
//! hundred messages.

use std::time::Duration;

use domain::job::{JobStatus, Operation};
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use store::meter::Reading;

const JOBS_ACCEPTED: &str = "JobsAccepted";
const JOBS_COMPLETED: &str = "JobsCompleted";
const JOBS_FAILED: &str = "JobsFailed";
const JOBS_UNREADABLE: &str = "JobsUnreadable";
const JOBS_ABORTED: &str = "JobsAborted";
const ITEMS_SUCCEEDED: &str = "ItemsSucceeded";
const ITEMS_FAILED: &str = "ItemsFailed";
const CHUNK_DURATION: &str = "ChunkDuration";
const QUEUE_WAIT: &str = "QueueWait";
const REDELIVERIES: &str = "Redeliveries";
const CHUNKS_BURIED: &str = "ChunksBuried";
const DYNAMODB_THROTTLES: &str = "DynamoDbThrottles";
const CONSUMED_READ_UNITS: &str = "ConsumedReadUnits";
const CONSUMED_WRITE_UNITS: &str = "ConsumedWriteUnits";
const REQUESTS: &str = "Requests";
const SERVER_ERRORS: &str = "ServerErrors";

const ACTION: &str = "Action";

/// Tells the metrics recorder the unit of each metric.
pub(crate) fn describe() {
    for name in [
        JOBS_ACCEPTED,
        JOBS_COMPLETED,
        JOBS_FAILED,
        JOBS_UNREADABLE,
        JOBS_ABORTED,
        ITEMS_SUCCEEDED,
        ITEMS_FAILED,
        REDELIVERIES,
        CHUNKS_BURIED,
        DYNAMODB_THROTTLES,
        REQUESTS,
        SERVER_ERRORS,
    ] {
        describe_counter!(name, Unit::Count, "");
    }
    for name in [CONSUMED_READ_UNITS, CONSUMED_WRITE_UNITS] {
        describe_histogram!(name, Unit::Count, "");
    }
    for name in [CHUNK_DURATION, QUEUE_WAIT] {
        describe_histogram!(name, Unit::Milliseconds, "");
    }
}

/// Counts a job that was made, in whatever state.
pub fn jobs_accepted() {
    counter!(JOBS_ACCEPTED).increment(1);
}

/// Counts a job that was made as failed because its body has an encoding that is not read: a client's mistake, and no
/// trouble of the service's.
pub fn job_unreadable() {
    counter!(JOBS_UNREADABLE).increment(1);
}

/// Counts a job that has reached its last state. To be called only by whoever took it there.
pub fn job_ended(last: JobStatus) {
    match last {
        JobStatus::Completed => counter!(JOBS_COMPLETED).increment(1),
        JobStatus::Failed => counter!(JOBS_FAILED).increment(1),
        JobStatus::Aborted => counter!(JOBS_ABORTED).increment(1),
        JobStatus::Queued | JobStatus::Processing => {}
    }
}

/// Counts a job that ended `failed` because its client stopped it, or because it reached the number of failures that
/// its client set: no trouble of the service's, and no alarm is raised.
pub fn job_stopped() {
    counter!(JOBS_ABORTED).increment(1);
}

/// Counts items that have their results.
pub fn items(operation: Operation, succeeded: u64, failed: u64) {
    let action = action(operation);
    if succeeded > 0 {
        counter!(ITEMS_SUCCEEDED, ACTION => action).increment(succeeded);
    }
    if failed > 0 {
        counter!(ITEMS_FAILED, ACTION => action).increment(failed);
    }
}

/// Records how long the processing of one delivery of a chunk took.
pub fn chunk_processed(duration: Duration) {
    histogram!(CHUNK_DURATION).record(milliseconds(duration));
}

/// Records how long after its sending a message was received for the first time.
pub fn queue_waited(wait: Duration) {
    histogram!(QUEUE_WAIT).record(milliseconds(wait));
}

/// Counts a message that was received again.
pub fn redelivered() {
    counter!(REDELIVERIES).increment(1);
}

/// Counts a chunk that ended in the dead-letter queue and was closed from there.
pub fn chunk_buried() {
    counter!(CHUNKS_BURIED).increment(1);
}

/// Counts calls, or rows of a batch, that the database throttled: see [`Reading::throttles`].
pub fn dynamodb_throttled(count: u64) {
    if count > 0 {
        counter!(DYNAMODB_THROTTLES).increment(count);
    }
}

/// Records the capacity units that were consumed, those of tables and of indexes together. They may be fractions.
pub fn capacity_consumed(reading: &Reading) {
    for (name, consumed) in [(CONSUMED_READ_UNITS, reading.reads), (CONSUMED_WRITE_UNITS, reading.writes)] {
        let units = consumed.table_units + consumed.index_units;
        if units > 0.0 {
            histogram!(name).record(units);
        }
    }
}

/// Counts an HTTP request that was answered with this status.
pub fn request_answered(status: u16) {
    counter!(REQUESTS).increment(1);
    if status >= 500 {
        counter!(SERVER_ERRORS).increment(1);
    }
}

/// `type` and `action` of a job, because `post` and `delete` are actions of both types.
const fn action(operation: Operation) -> &'static str {
    match operation {
        Operation::CreateObjects => "resources.post",
        Operation::UpdateObjects => "resources.update",
        Operation::SetObjects => "resources.external_id_set",
        Operation::DeleteObjects => "resources.delete",
        Operation::DeleteObjectsByExternalId => "resources.external_id_delete",
        Operation::CreateRelationships => "relationships.post",
        Operation::DeleteRelationships => "relationships.delete",
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_named_with_its_type() {
        for operation in Operation::ALL {
            assert_eq!(action(operation), format!("{}.{}", operation.job_type(), operation.action()));
        }
    }
}
