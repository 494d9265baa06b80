//! Counts of the requests granted to an account, by the minute.

use domain::account::AccountId;
use domain::time::Timestamp;

use crate::attributes::{Reader, number, row_key, seconds};
use crate::{AccessRows, StoreError, keys};

/// A minute's count is of no use once the minute is over; clocks of containers may differ.
const KEPT_SECONDS: u64 = 10 * 60;

impl AccessRows {
    /// Adds `requests` to the account's count for the minute, even beyond its limit. Answers with the whole count,
    /// these included.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn take_requests(&self, account: &AccountId, minute: u64, requests: u32) -> Result<u64, StoreError> {
        let ends_at = Timestamp::from_seconds(minute * 60 + KEPT_SECONDS);
        let update = self
            .database
            .client
            .update_item()
            .table_name(&self.database.tables.catalog)
            .set_key(Some(row_key(keys::rate_limits(account), keys::rate_limit_minute(minute))))
            .update_expression("ADD taken :requests SET expires_at = :expires")
            .expression_attribute_values(":requests", number(requests))
            .expression_attribute_values(":expires", seconds(ends_at));
        // It has no condition, so it is done.
        let row = self.database.update_if(update).await?.unwrap_or_default();
        Reader(&row).number("taken")
    }
}
