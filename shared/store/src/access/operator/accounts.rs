//! Accounts: creating, listing and changing them.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use domain::account::{Account, AccountId};

use super::{Changes, Created};
use crate::access::{account_from_row, account_id, account_to_row};
use crate::attributes::{number, row_key, text};
use crate::database::built;
use crate::transaction::Transacted;
use crate::{AccessRows, StoreError, keys};

/// Changes of an account; fields that are `None` stay as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccountChange {
    pub active: Option<bool>,
    pub password_access: Option<bool>,
    /// The account's own limit of requests a minute; `Some(None)` goes back to the deployment's.
    pub requests_per_minute: Option<Option<u32>>,
}

impl AccessRows {
    /// Creates an account.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn create_account(&self, account: &Account) -> Result<Created, StoreError> {
        let catalog = &self.database.tables.catalog;
        let put = Put::builder()
            .table_name(catalog)
            .set_item(Some(account_to_row(account)))
            // Closes the race between two operators.
            .condition_expression("attribute_not_exists(pk)");
        let listed = Put::builder()
            .table_name(catalog)
            .set_item(Some(row_key(keys::accounts(), account.id.as_str())))
            .item("account", text(account.id.as_str()));
        let writes = vec![
            TransactWriteItem::builder().put(built(put.build())?).build(),
            TransactWriteItem::builder().put(built(listed.build())?).build(),
        ];
        Ok(match self.database.transact(writes).await? {
            Transacted::Done => Created::Done,
            Transacted::Refused(_) => Created::Taken,
        })
    }

    /// Lists every account, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let listed = self.database.rows_that_begin(&self.database.tables.catalog, keys::accounts(), "").await?;
        let ids = listed.iter().map(account_id).collect::<Result<Vec<_>, _>>()?;
        let keys = ids.iter().map(|id| row_key(keys::access(id), keys::account_row())).collect();
        let rows = self.database.read_rows(&self.database.tables.catalog, keys).await?;
        let mut accounts = rows.iter().map(account_from_row).collect::<Result<Vec<_>, _>>()?;
        accounts.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(accounts)
    }

    /// Reads an account; `None` when it does not exist.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        let row = self
            .database
            .read_row(&self.database.tables.catalog, row_key(keys::access(id), keys::account_row()))
            .await?;
        row.map(|row| account_from_row(&row)).transpose()
    }

    /// Changes an account and answers with it as it then is; `None` when it does not exist.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn change_account(&self, id: &AccountId, change: AccountChange) -> Result<Option<Account>, StoreError> {
        let mut changes = Changes::default();
        if let Some(active) = change.active {
            changes.set("active", AttributeValue::Bool(active));
        }
        if let Some(access) = change.password_access {
            changes.set("password_access", AttributeValue::Bool(access));
        }
        match change.requests_per_minute {
            Some(Some(requests)) => changes.set("requests_per_minute", number(requests)),
            Some(None) => changes.remove("requests_per_minute"),
            None => {}
        }
        if changes.names.is_empty() {
            return self.account(id).await;
        }
        let update = changes.on(self.update_of(row_key(keys::access(id), keys::account_row())));
        self.database.update_if(update).await?.map(|row| account_from_row(&row)).transpose()
    }
}
