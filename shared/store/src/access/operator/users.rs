//! Users of an account, and their passwords.

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use domain::account::{AccountId, Email, Role, User};

use super::{Changes, Created};
use crate::access::{PasswordHash, StoredUser, user_from_row, user_to_row};
use crate::attributes::{row_key, text};
use crate::database::built;
use crate::transaction::Transacted;
use crate::{AccessRows, StoreError, keys};

/// Changes of a user; fields that are `None` stay as they are.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    pub name: Option<String>,
    pub role: Option<Role>,
    pub active: Option<bool>,
}

/// The outcome of setting or clearing a user's password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PasswordSet {
    Done,
    /// Done; but the email is another account's login, so this password is good under the account's own host name only.
    UnderHostNameOnly {
        login_of: AccountId,
    },
    NoUser,
}

impl AccessRows {
    /// Creates a user of an existing account.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn create_user(&self, account: &AccountId, user: &User) -> Result<Created, StoreError> {
        self.create_of(row_key(keys::access(account), keys::account_row()), user_to_row(account, user)).await
    }

    /// Lists every user of the account, by email.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn users(&self, account: &AccountId) -> Result<Vec<StoredUser>, StoreError> {
        let rows = self
            .database
            .rows_that_begin(&self.database.tables.catalog, &keys::access(account), keys::users_prefix())
            .await?;
        rows.iter().map(user_from_row).collect()
    }

    /// Changes a user and answers with it as it then is; `None` when it does not exist.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn change_user(
        &self,
        account: &AccountId,
        email: &Email,
        change: UserChange,
    ) -> Result<Option<StoredUser>, StoreError> {
        let mut changes = Changes::default();
        if let Some(name) = change.name {
            changes.set("name", text(name));
        }
        if let Some(role) = change.role {
            changes.set("role", text(role.as_str()));
        }
        if let Some(active) = change.active {
            changes.set("active", AttributeValue::Bool(active));
        }
        if changes.names.is_empty() {
            return self.user_presented(Some(account), Some(email)).await;
        }
        let update = changes.on(self.update_of(row_key(keys::access(account), keys::user(email))));
        self.database.update_if(update).await?.map(|row| user_from_row(&row)).transpose()
    }

    /// Sets a user's password, and makes the email lead to this account where no host name names one, unless it leads
    /// to another account already.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn set_password(
        &self,
        account: &AccountId,
        email: &Email,
        password: &PasswordHash,
    ) -> Result<PasswordSet, StoreError> {
        let catalog = &self.database.tables.catalog;
        let update = || {
            Update::builder()
                .table_name(catalog)
                .set_key(Some(row_key(keys::access(account), keys::user(email))))
                .update_expression("SET password = :password")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":password", text(&password.0))
        };
        let login = Put::builder()
            .table_name(catalog)
            .set_item(Some(row_key(keys::login(email), keys::login_row())))
            .item("account", text(account.as_str()))
            // Closes the race between two accounts: the first one has it.
            .condition_expression("attribute_not_exists(pk) OR account = :account")
            .expression_attribute_values(":account", text(account.as_str()));
        let writes = vec![
            TransactWriteItem::builder().update(built(update().build())?).build(),
            TransactWriteItem::builder().put(built(login.build())?).build(),
        ];
        match self.database.transact(writes).await? {
            Transacted::Done => return Ok(PasswordSet::Done),
            Transacted::Refused(failed) if failed.first() == Some(&true) => return Ok(PasswordSet::NoUser),
            Transacted::Refused(_) => {}
        }
        let writes = vec![TransactWriteItem::builder().update(built(update().build())?).build()];
        if let Transacted::Refused(_) = self.database.transact(writes).await? {
            return Ok(PasswordSet::NoUser);
        }
        Ok(match self.account_of_login(email).await? {
            Some(other) if other != *account => PasswordSet::UnderHostNameOnly { login_of: other },
            _ => PasswordSet::Done,
        })
    }

    /// Clears a user's password, and frees the email for another account's password.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn clear_password(&self, account: &AccountId, email: &Email) -> Result<PasswordSet, StoreError> {
        let catalog = &self.database.tables.catalog;
        let is_ours = self.account_of_login(email).await?.as_ref() == Some(account);
        let update = Update::builder()
            .table_name(catalog)
            .set_key(Some(row_key(keys::access(account), keys::user(email))))
            .update_expression("REMOVE password")
            .condition_expression("attribute_exists(pk)");
        let mut writes = vec![TransactWriteItem::builder().update(built(update.build())?).build()];
        if is_ours {
            let delete = Delete::builder()
                .table_name(catalog)
                .set_key(Some(row_key(keys::login(email), keys::login_row())))
                // Closes the race with another account that takes it.
                .condition_expression("account = :account")
                .expression_attribute_values(":account", text(account.as_str()));
            writes.push(TransactWriteItem::builder().delete(built(delete.build())?).build());
        }
        Ok(match self.database.transact(writes).await? {
            Transacted::Done => PasswordSet::Done,
            Transacted::Refused(_) => PasswordSet::NoUser,
        })
    }
}
