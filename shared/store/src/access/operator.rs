//! The operator's side: the only writer of accounts, users and tokens. No function is allowed these calls.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use domain::account::{Account, AccountId, Email, Role, User};
use domain::time::Timestamp;

use super::presented::DAY_MILLIS;
use super::{
    Digest, PasswordHash, StoredToken, StoredUser, account_from_row, account_id, account_to_row, row, token_from_row,
    token_to_row, user_from_row, user_to_row,
};
use crate::attributes::{Attributes, Reader, millis, number, text};
use crate::database::built;
use crate::transaction::Transacted;
use crate::{AccessRows, StoreError, keys};

/// What came of creating something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Created {
    Done,
    /// It is there already, and was not touched.
    Taken,
    /// What it would belong to is not there.
    NoOwner,
}

/// What changes of an account; what is none stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccountChange {
    pub active: Option<bool>,
    pub password_access: Option<bool>,
    /// `Some(None)` makes it the deployment's limit again.
    pub requests_per_minute: Option<Option<u32>>,
}

/// What changes of a user; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    pub name: Option<String>,
    pub role: Option<Role>,
    pub active: Option<bool>,
}

/// What came of giving a user a password, or taking it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PasswordSet {
    Done,
    /// Done, and the address alone leads to another account's user: this password is good under the account's own host name
    /// only.
    UnderHostNameOnly {
        login_of: AccountId,
    },
    NoUser,
}

/// A token, and the day on which it was last used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedToken {
    pub token: StoredToken,
    /// The beginning of the day (UTC).
    pub last_used_on: Option<Timestamp>,
}

/// Changes of one row, put together.
#[derive(Default)]
struct Changes {
    set: Vec<String>,
    remove: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Changes {
    fn set(&mut self, name: &str, value: AttributeValue) {
        self.set.push(format!("#{name} = :{name}"));
        self.names.insert(format!("#{name}"), name.to_owned());
        self.values.insert(format!(":{name}"), value);
    }

    fn remove(&mut self, name: &str) {
        self.remove.push(format!("#{name}"));
        self.names.insert(format!("#{name}"), name.to_owned());
    }

    fn expression(&self) -> String {
        let part = |verb: &str, parts: &[String]| match parts {
            [] => String::new(),
            parts => format!("{verb} {} ", parts.join(", ")),
        };
        part("SET", &self.set) + &part("REMOVE", &self.remove)
    }

    fn on(self, update: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        update
            .update_expression(self.expression())
            .set_expression_attribute_names(Some(self.names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(self.values).filter(|values| !values.is_empty()))
            // Closes the race with a deletion: a change must not bring the row back.
            .condition_expression("attribute_exists(pk)")
    }
}

impl AccessRows {
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
            .set_item(Some(row(keys::accounts(), account.id.as_str())))
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

    /// Every account, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let listed = self.database.rows_that_begin(&self.database.tables.catalog, keys::accounts(), "").await?;
        let ids = listed.iter().map(account_id).collect::<Result<Vec<_>, _>>()?;
        let keys = ids.iter().map(|id| row(keys::access(id), keys::account_row())).collect();
        let rows = self.database.read_rows(&self.database.tables.catalog, keys).await?;
        let mut accounts = rows.iter().map(account_from_row).collect::<Result<Vec<_>, _>>()?;
        accounts.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(accounts)
    }

    /// # Errors
    /// When the database does not answer.
    pub async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        let row =
            self.database.read_row(&self.database.tables.catalog, row(keys::access(id), keys::account_row())).await?;
        row.map(|row| account_from_row(&row)).transpose()
    }

    /// The account as it then stands; `None` when there is no such account.
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
        let update = changes.on(self.update_of(row(keys::access(id), keys::account_row())));
        self.database.update_if(update).await?.map(|row| account_from_row(&row)).transpose()
    }

    /// # Errors
    /// When the outcome is not known.
    pub async fn create_user(&self, account: &AccountId, user: &User) -> Result<Created, StoreError> {
        self.create_of(row(keys::access(account), keys::account_row()), user_to_row(account, user)).await
    }

    /// Every user of the account, by email.
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

    /// The user as it then stands; `None` when there is no such user.
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
        let update = changes.on(self.update_of(row(keys::access(account), keys::user(email))));
        self.database.update_if(update).await?.map(|row| user_from_row(&row)).transpose()
    }

    /// Gives a user a password, and its email to the account where no host name says the account, unless another account
    /// has it.
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
                .set_key(Some(row(keys::access(account), keys::user(email))))
                .update_expression("SET password = :password")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":password", text(&password.0))
        };
        let login = Put::builder()
            .table_name(catalog)
            .set_item(Some(row(keys::login(email), keys::login_row())))
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

    /// Takes a user's password, and frees the email for another account's password.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn clear_password(&self, account: &AccountId, email: &Email) -> Result<PasswordSet, StoreError> {
        let catalog = &self.database.tables.catalog;
        let is_ours = self.account_of_login(email).await?.as_ref() == Some(account);
        let update = Update::builder()
            .table_name(catalog)
            .set_key(Some(row(keys::access(account), keys::user(email))))
            .update_expression("REMOVE password")
            .condition_expression("attribute_exists(pk)");
        let mut writes = vec![TransactWriteItem::builder().update(built(update.build())?).build()];
        if is_ours {
            let delete = Delete::builder()
                .table_name(catalog)
                .set_key(Some(row(keys::login(email), keys::login_row())))
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

    /// # Errors
    /// When the outcome is not known.
    pub async fn create_token(&self, account: &AccountId, token: &StoredToken) -> Result<Created, StoreError> {
        let owner = row(keys::access(account), keys::user(&token.user));
        self.create_of(owner, token_to_row(account, token)).await
    }

    /// Every token of the account, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tokens(&self, account: &AccountId) -> Result<Vec<ListedToken>, StoreError> {
        self.tokens_like(account, "").await
    }

    /// The tokens whose digest begins with this hex.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tokens_like(&self, account: &AccountId, prefix: &str) -> Result<Vec<ListedToken>, StoreError> {
        let prefix = format!("{}{prefix}", keys::tokens_prefix());
        let (table, access, last_uses) =
            (&self.database.tables.catalog, keys::access(account), keys::last_uses(account));
        let (rows, uses) = tokio::try_join!(
            self.database.rows_that_begin(table, &access, &prefix),
            self.database.rows_that_begin(table, &last_uses, &prefix),
        )?;
        let mut days = HashMap::new();
        for used in &uses {
            days.insert(Reader(used).text("sk")?, Reader(used).number("used_on")?);
        }
        let listed = |row| {
            let day = days.get(Reader(row).text("sk")?);
            let last_used_on = day.map(|day| Timestamp::from_millis(day * DAY_MILLIS));
            Ok(ListedToken { token: token_from_row(row)?, last_used_on })
        };
        let mut tokens = rows.iter().map(listed).collect::<Result<Vec<_>, StoreError>>()?;
        tokens.sort_by_key(|listed| (listed.token.created_at, listed.token.digest));
        Ok(tokens)
    }

    /// Has a token refused from then on; a time that is set already is moved to an earlier one only. The token as it then
    /// stands; `None` when there is none.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn revoke_token(
        &self,
        account: &AccountId,
        token: &StoredToken,
        at: Timestamp,
    ) -> Result<Option<StoredToken>, StoreError> {
        let key = row(keys::access(account), keys::token(&token.digest, token.kind));
        let update = self
            .update_of(key.clone())
            .update_expression("SET revoked_at = :at")
            // Closes the race with another revocation: the earlier one counts.
            .condition_expression("attribute_exists(pk) AND (attribute_not_exists(revoked_at) OR revoked_at > :at)")
            .expression_attribute_values(":at", millis(at));
        let row = match self.database.update_if(update).await? {
            Some(row) => Some(row),
            None => self.database.read_row(&self.database.tables.catalog, key).await?,
        };
        row.map(|row| token_from_row(&row)).transpose()
    }

    /// Puts a token in another one's place, which is refused from `at` on: both or neither. Answers whether it was done.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn rotate_token(
        &self,
        account: &AccountId,
        old: &Digest,
        new: &StoredToken,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = Update::builder()
            .table_name(&self.database.tables.catalog)
            .set_key(Some(row(keys::access(account), keys::token(old, new.kind))))
            .update_expression("SET revoked_at = :at")
            // Closes the race with a revocation and with another rotation: one token has one successor.
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(revoked_at)")
            .expression_attribute_values(":at", millis(at));
        let put = Put::builder()
            .table_name(&self.database.tables.catalog)
            .set_item(Some(token_to_row(account, new)))
            .condition_expression("attribute_not_exists(pk)");
        let writes = vec![
            TransactWriteItem::builder().update(built(update.build())?).build(),
            TransactWriteItem::builder().put(built(put.build())?).build(),
        ];
        Ok(matches!(self.database.transact(writes).await?, Transacted::Done))
    }

    /// Puts a row that is new, beneath one that has to be there.
    async fn create_of(&self, owner: Attributes, new: Attributes) -> Result<Created, StoreError> {
        let put = Put::builder()
            .table_name(&self.database.tables.catalog)
            .set_item(Some(new))
            // Closes the race between two operators.
            .condition_expression("attribute_not_exists(pk)");
        let check = ConditionCheck::builder()
            .table_name(&self.database.tables.catalog)
            .set_key(Some(owner))
            .condition_expression("attribute_exists(pk)");
        let writes = vec![
            TransactWriteItem::builder().put(built(put.build())?).build(),
            TransactWriteItem::builder().condition_check(built(check.build())?).build(),
        ];
        Ok(match self.database.transact(writes).await? {
            Transacted::Done => Created::Done,
            Transacted::Refused(failed) if failed.first() == Some(&true) => Created::Taken,
            Transacted::Refused(_) => Created::NoOwner,
        })
    }

    fn update_of(&self, key: Attributes) -> UpdateItemFluentBuilder {
        self.database.client.update_item().table_name(&self.database.tables.catalog).set_key(Some(key))
    }
}
