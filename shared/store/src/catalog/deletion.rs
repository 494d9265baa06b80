//! Deletion of a type, in two steps: a mark on its row, then the deletion of the row.

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use domain::account::AccountId;
use domain::types::{DeletionMark, TypeKey};

use super::{deletion_of, type_key};
use crate::attributes::{Reader, number, text};
use crate::database::built;
use crate::keys::TypeKind;
use crate::transaction::Transacted;
use crate::{Catalog, StoreError};

/// The outcome of deleting a type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deleted {
    Done,
    /// Not deleted: another deletion replaced the mark or finished first, or a new record of the type took the mark
    /// away.
    MarkGone,
    /// Not deleted: types were defined or deleted meanwhile, so what was checked before may no longer hold.
    TypesChanged,
}

impl Catalog {
    /// Marks a type as being deleted: who reads it from now on to make a record of it waits, or takes the mark away.
    /// Answers whether the type exists. A mark that is there is replaced, and its deletion will then fail.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn mark_type(
        &self,
        account: &AccountId,
        kind: TypeKind,
        key: &TypeKey,
        mark: &DeletionMark,
    ) -> Result<bool, StoreError> {
        // Closes the race with another deletion: a mark must not bring the type back.
        self.change_mark(account, kind, key, mark, "SET deletion = :mark", "attribute_exists(pk)").await
    }

    /// Takes a mark off a type, if it is still there, so that its deletion will fail. Answers whether it was there.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn unmark_type(
        &self,
        account: &AccountId,
        kind: TypeKind,
        key: &TypeKey,
        mark: &DeletionMark,
    ) -> Result<bool, StoreError> {
        // Closes the race with the deletion itself, and with one that has marked it since.
        self.change_mark(account, kind, key, mark, "REMOVE deletion", "deletion = :mark").await
    }

    async fn change_mark(
        &self,
        account: &AccountId,
        kind: TypeKind,
        key: &TypeKey,
        mark: &DeletionMark,
        change: &str,
        condition: &str,
    ) -> Result<bool, StoreError> {
        let update = self
            .database
            .client
            .update_item()
            .table_name(&self.database.tables.catalog)
            .set_key(Some(type_key(account, kind, key)))
            .update_expression(change)
            .condition_expression(condition)
            .expression_attribute_values(":mark", text(mark.as_str()));
        Ok(self.database.update_if(update).await?.is_some())
    }

    /// Reads the mark of a type; `None` when there is no such type.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn mark_of(
        &self,
        account: &AccountId,
        kind: TypeKind,
        key: &TypeKey,
    ) -> Result<Option<Option<DeletionMark>>, StoreError> {
        let row = self.database.read_row(&self.database.tables.catalog, type_key(account, kind, key)).await?;
        row.map(|row| deletion_of(&Reader(&row))).transpose()
    }

    /// Deletes a type if it still has this mark and no type was defined or deleted since `revision`.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn delete_type(
        &self,
        account: &AccountId,
        kind: TypeKind,
        key: &TypeKey,
        mark: &DeletionMark,
        revision: u64,
    ) -> Result<Deleted, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.database.tables.catalog)
            .set_key(Some(type_key(account, kind, key)))
            // Closes the race between two deletes, the count goes down once, and with whoever makes a record of it meanwhile.
            .condition_expression("deletion = :mark")
            .expression_attribute_values(":mark", text(mark.as_str()));
        let count = self
            .count_types(account, kind, -1)
            // Closes the race with the definition of a type that names this one.
            .condition_expression("revision = :revision")
            .expression_attribute_values(":revision", number(revision));
        let writes = vec![
            TransactWriteItem::builder().delete(built(delete.build())?).build(),
            TransactWriteItem::builder().update(built(count.build())?).build(),
        ];
        Ok(match self.database.transact(writes).await? {
            Transacted::Done => Deleted::Done,
            Transacted::Refused(failed) if failed.first() == Some(&true) => Deleted::MarkGone,
            Transacted::Refused(_) => Deleted::TypesChanged,
        })
    }
}
