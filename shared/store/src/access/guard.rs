//! Counts of failed passwords.

use domain::time::Timestamp;

use crate::attributes::{Attributes, Reader, millis, number, row_key, seconds};
use crate::{AccessRows, StoreError, keys};

/// How long a row stays after it was last written, in milliseconds.
const KEPT_MILLIS: u64 = 60 * 60 * 1_000;

/// The key of a count of failed passwords: the hex of a hash, which shows neither the user nor the source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GuardKey(pub String);

impl GuardKey {
    pub(super) fn to_row(&self) -> Attributes {
        row_key(keys::guard(&self.0), keys::guard_row())
    }
}

/// Password attempts of one user from one source since the last right one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attempts {
    pub count: u32,
    pub last_at: Timestamp,
    /// The time before which no further attempt is made.
    pub locked_until: Timestamp,
}

impl Attempts {
    pub(super) fn from_row(row: &Attributes) -> Result<Self, StoreError> {
        let reader = Reader(row);
        Ok(Self {
            count: reader.count("count")?,
            last_at: reader.millis("last_at")?,
            locked_until: reader.millis("locked_until")?,
        })
    }
}

impl AccessRows {
    /// The attempts that are counted now; `None` when there are none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn attempts(&self, key: &GuardKey) -> Result<Option<Attempts>, StoreError> {
        let row = self.database.read_row(&self.database.tables.catalog, key.to_row()).await?;
        row.map(|row| Attempts::from_row(&row)).transpose()
    }

    /// Counts an attempt, unless the count has changed since `seen` was read. Answers whether it was counted.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn count_attempt(
        &self,
        key: &GuardKey,
        seen: Option<&Attempts>,
        next: &Attempts,
    ) -> Result<bool, StoreError> {
        let put = self
            .database
            .client
            .put_item()
            .table_name(&self.database.tables.catalog)
            .set_item(Some(key.to_row()))
            .item("count", number(next.count))
            .item("last_at", millis(next.last_at))
            .item("locked_until", millis(next.locked_until))
            .item("expires_at", seconds(next.last_at.plus_millis(KEPT_MILLIS)));
        // Closes the race between attempts at the same moment: each counts, and sees those before it.
        let put = match seen {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(seen) => put
                .condition_expression("#count = :count AND last_at = :last_at")
                .expression_attribute_names("#count", "count")
                .expression_attribute_values(":count", number(seen.count))
                .expression_attribute_values(":last_at", millis(seen.last_at)),
        };
        self.database.put_if(put).await
    }

    /// Deletes the count of attempts, after a right password.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn forget_attempts(&self, key: &GuardKey) -> Result<(), StoreError> {
        let answer = self
            .database
            .client
            .delete_item()
            .table_name(&self.database.tables.catalog)
            .set_key(Some(key.to_row()))
            .return_consumed_capacity(aws_sdk_dynamodb::types::ReturnConsumedCapacity::Indexes)
            .send()
            .await
            .map_err(|error| StoreError::of("DeleteItem", &error))?;
        self.database.meter.count_write(answer.consumed_capacity());
        Ok(())
    }
}
