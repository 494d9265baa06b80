//! Transactions: all of several conditional writes, or none.

use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, TransactWriteItem};

use crate::StoreError;
use crate::database::Database;
use crate::error::is_passing;
use crate::meter::is_throttle;
use crate::retry::Backoff;

const CALL: &str = "TransactWriteItems";

/// How often a transaction is tried again when it collides with another.
const ATTEMPTS: u32 = 12;

/// The outcome of a transaction.
#[derive(Debug)]
pub(crate) enum Transacted {
    Done,
    /// Nothing was written; for each write, whether its own condition was what failed.
    Refused(Vec<bool>),
}

impl Database {
    /// Runs a transaction, and tries again where it collides with another one.
    ///
    /// Two accepts of one account meet at its active count, and so do an accept and the end of a job: a collision is
    /// ordinary and says nothing about the conditions.
    pub(crate) async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<Transacted, StoreError> {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(400));
        let mut collision = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                backoff.wait(&self.clock).await;
            }
            let request = self
                .client
                .transact_write_items()
                .set_transact_items(Some(writes.clone()))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes);
            let error = match request.send().await {
                Ok(answer) => {
                    self.meter.count_write(answer.consumed_capacity());
                    return Ok(Transacted::Done);
                }
                Err(error) => error,
            };
            self.meter.count_write(None);
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
            else {
                return Err(StoreError::of(CALL, &error));
            };
            let codes: Vec<_> =
                cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect();
            self.meter.count_throttles(codes.iter().filter(|code| is_throttle(code)).count());
            if codes.contains(&"ConditionalCheckFailed") {
                return Ok(Transacted::Refused(codes.iter().map(|code| *code == "ConditionalCheckFailed").collect()));
            }
            collision = codes.join(", ");
            if !codes.iter().any(|code| is_passing(code)) {
                return Err(StoreError::Refused { call: CALL, reason: collision });
            }
        }
        Err(StoreError::Unavailable { call: CALL, reason: collision })
    }
}
