//! Reads and writes for closing a chunk: how far its writes came, and preventing further ones.

use std::collections::HashMap;

use domain::account::AccountId;
use domain::plan::closing::Footprint;
use domain::record::applied::AppliedWrites;
use domain::record::{RecordId, Row, State};
use domain::time::Timestamp;

use crate::attributes::{Attributes, Reader, broken, number, text};
use crate::rows::record_to_row;
use crate::{Records, StoreError, keys};

impl Records {
    /// Reads the version and the marks of the rows with these ids; rows that do not exist are missing from the answer.
    /// A row that cannot be read is [`Footprint::Unreadable`] and no error, as it may be why the chunk was not
    /// finished.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn footprints(
        &self,
        account: &AccountId,
        ids: impl IntoIterator<Item = RecordId>,
    ) -> Result<HashMap<RecordId, Footprint>, StoreError> {
        let keys = ids.into_iter().map(|id| Attributes::from([("pk".to_owned(), text(keys::record(account, id)))]));
        let rows = self.database.read_rows(&self.database.tables.records, keys.collect()).await?;
        rows.iter()
            .map(|row| {
                let id = keys::record_of(Reader(row).text("pk")?).ok_or_else(|| broken("pk"))?;
                Ok((id, footprint(row).unwrap_or(Footprint::Unreadable)))
            })
            .collect()
    }

    /// Fences a row: adds one to its version if it still is `base`, or writes a tombstone where `base` is 0 and there
    /// is no row. Nothing else of it changes; but no write that depends on `base` can be made any more. Answers whether
    /// the version was `base`.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn move_on(
        &self,
        account: &AccountId,
        id: RecordId,
        base: u64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = text(keys::record(account, id));
        if base == 0 {
            let tombstone = Row { version: 1, applied: AppliedWrites::default(), state: State::Tombstone };
            let mut put = self.database.client.put_item().table_name(&self.database.tables.records).item("pk", key);
            for (name, value) in record_to_row(account, &tombstone, now) {
                put = put.item(name, value.into());
            }
            // Closes the race with the write that is being given up: whichever is first, the other finds a row.
            return self.database.put_if(put.condition_expression("attribute_not_exists(pk)")).await;
        }
        let update = self
            .database
            .client
            .update_item()
            .table_name(&self.database.tables.records)
            .key("pk", key)
            .update_expression("ADD version :one")
            // Closes the same race on a row that is there.
            .condition_expression("version = :base")
            .expression_attribute_values(":base", number(base))
            .expression_attribute_values(":one", number(1_u64));
        Ok(self.database.update_if(update).await?.is_some())
    }
}

fn footprint(row: &Attributes) -> Option<Footprint> {
    let reader = Reader(row);
    let applied = reader.optional_binary("ops").ok()?.unwrap_or_default();
    Some(Footprint::Row { version: reader.number("version").ok()?, applied: AppliedWrites::from_bytes(applied).ok()? })
}
