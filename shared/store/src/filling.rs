//! Filling the indexes of a type that has records already: which types are to be filled, and the entries of older
//! records.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use domain::account::AccountId;
use domain::record::Row;
use domain::time::Timestamp;
use domain::types::indexes::Entries;
use domain::types::{ObjectTypeDefinition, TypeKey};

use crate::attributes::{Attributes, Reader, broken, millis, number, row_key, text};
use crate::catalog::type_key;
use crate::keys::TypeKind;
use crate::records::Written;
use crate::rows::{entries_of, entries_to_remove};
use crate::statements::Statement;
use crate::{Catalog, Records, StoreError, keys};

/// A type with an index that is to be filled, and how far the filling has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filling {
    pub account: AccountId,
    pub key: TypeKey,
    /// The version of the type whose indexes are filled.
    pub version: u64,
    /// The time at which it was noted that the type is to be filled.
    pub since: Timestamp,
    /// The place of the last record that was filled; `None` before the first.
    pub from: Option<String>,
}

impl Catalog {
    /// Notes that indexes of this version of a type are to be filled, from the beginning.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn note_filling(
        &self,
        account: &AccountId,
        key: &TypeKey,
        version: u64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let put = self
            .database
            .client
            .put_item()
            .table_name(&self.database.tables.catalog)
            .set_item(Some(filling_key(account, key)))
            .item("version", number(version))
            .item("since", millis(now));
        self.database.put_if(put).await?;
        Ok(())
    }

    /// Lists types that have an index to be filled: as many as one answer of the database holds, which is some
    /// thousands.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn fillings(&self) -> Result<Vec<Filling>, StoreError> {
        let answer = self
            .database
            .client
            .query()
            .table_name(&self.database.tables.catalog)
            .key_condition_expression("pk = :fillings")
            .expression_attribute_values(":fillings", text(keys::fillings()))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await
            .map_err(|error| StoreError::of("Query", &error))?;
        self.database.meter.count_read(answer.consumed_capacity());
        answer.items().iter().map(filling_of).collect()
    }

    /// Notes how far a filling has come. Answers `false` when its note was replaced or removed meanwhile.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn move_filling(&self, filling: &Filling, from: &str) -> Result<bool, StoreError> {
        let update = self
            .database
            .client
            .update_item()
            .table_name(&self.database.tables.catalog)
            .set_key(Some(filling_key(&filling.account, &filling.key)))
            .update_expression("SET #from = :from")
            // Closes the race with a replacement of the schema, which begins the filling anew. A type that was defined anew may have the same version.
            .condition_expression("version = :version AND since = :since")
            .expression_attribute_values(":since", millis(filling.since))
            .expression_attribute_names("#from", "from")
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":version", number(filling.version));
        Ok(self.database.update_if(update).await?.is_some())
    }

    /// Removes the note of a filling, unless it is for another version of the type.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn end_filling(&self, filling: &Filling) -> Result<(), StoreError> {
        let delete = self
            .database
            .client
            .delete_item()
            .table_name(&self.database.tables.catalog)
            .set_key(Some(filling_key(&filling.account, &filling.key)))
            // Closes the race with a replacement of the schema, which has something else to be filled, and may have noted it already.
            .condition_expression("version = :version AND since = :since")
            .expression_attribute_values(":since", millis(filling.since))
            .expression_attribute_values(":version", number(filling.version));
        self.database.delete_if(delete).await?;
        Ok(())
    }

    /// Marks the indexes of a type as complete: each record has its entry. Answers `false` when the type has another
    /// version, or is gone.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn indexes_are_filled(
        &self,
        filling: &Filling,
        defined: &ObjectTypeDefinition,
    ) -> Result<bool, StoreError> {
        let update = self
            .database
            .client
            .update_item()
            .table_name(&self.database.tables.catalog)
            .set_key(Some(type_key(&filling.account, TypeKind::Object, &filling.key)))
            .update_expression("SET x_filled = :filled")
            // Closes the race with a replacement of the schema: that one's indexes were not filled; and with a type that was deleted, and
            // defined anew.
            .condition_expression("version = :version AND created_at = :created_at")
            .expression_attribute_values(":created_at", millis(defined.created_at))
            .expression_attribute_values(":filled", text(defined.indexes.to_text()))
            .expression_attribute_values(":version", number(filling.version));
        Ok(self.database.update_if(update).await?.is_some())
    }

    /// Writes the index entries of existing object records, 25 to a request; nothing else of them changes, not even
    /// their version. The answers are in the order of `changes`: a row that was written meanwhile is `Lost`.
    ///
    /// # Errors
    /// When the outcome of some write is not known.
    pub async fn write_entries(
        &self,
        account: &AccountId,
        changes: &[(Row, Entries)],
    ) -> Result<Vec<Written>, StoreError> {
        Records::of(&self.database)
            .write_in_batches(changes, |(row, entries)| {
                let record = row.object().ok_or_else(|| broken("type"))?;
                let held = record.entries.as_deref().map(Entries::held).unwrap_or_default();
                let (set, removed) = (entries_of(record, Some(entries)), entries_to_remove(held, Some(entries)));
                let key = keys::record(account, record.id);
                Ok(Statement::update(&self.database.tables.records, key, row.version, set, removed))
            })
            .await
    }
}

fn filling_key(account: &AccountId, key: &TypeKey) -> Attributes {
    row_key(keys::fillings(), keys::filling(account, key))
}

fn filling_of(row: &Attributes) -> Result<Filling, StoreError> {
    let reader = Reader(row);
    let (account, key) = keys::filling_of(reader.text("sk")?).ok_or_else(|| broken("sk"))?;
    Ok(Filling {
        account,
        key,
        version: reader.number("version")?,
        since: reader.millis("since")?,
        from: reader.optional_text("from")?.map(str::to_owned),
    })
}
