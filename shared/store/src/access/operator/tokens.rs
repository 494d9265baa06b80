//! Tokens of users: creating, listing, revoking and rotating them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use domain::account::AccountId;
use domain::time::Timestamp;

use super::Created;
use crate::access::presented::DAY_MILLIS;
use crate::access::{Digest, StoredToken, token_from_row, token_to_row};
use crate::attributes::{Reader, millis, row_key};
use crate::database::built;
use crate::transaction::Transacted;
use crate::{AccessRows, StoreError, keys};

/// A token and the day on which it was last used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedToken {
    pub token: StoredToken,
    /// The beginning of that day (UTC); `None` when no use is noted.
    pub last_used_on: Option<Timestamp>,
}

impl AccessRows {
    /// Creates a token of an existing user.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn create_token(&self, account: &AccountId, token: &StoredToken) -> Result<Created, StoreError> {
        let owner = row_key(keys::access(account), keys::user(&token.user));
        self.create_of(owner, token_to_row(account, token)).await
    }

    /// Lists every token of the account, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tokens(&self, account: &AccountId) -> Result<Vec<ListedToken>, StoreError> {
        self.tokens_like(account, "").await
    }

    /// Lists the tokens whose digest, in hex, begins with `prefix`.
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

    /// Revokes a token from a given time on, and answers with the token as it then is; `None` when it does not exist. A
    /// time that is set already is only moved to an earlier one.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn revoke_token(
        &self,
        account: &AccountId,
        token: &StoredToken,
        at: Timestamp,
    ) -> Result<Option<StoredToken>, StoreError> {
        let key = row_key(keys::access(account), keys::token(&token.digest, token.kind));
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

    /// Creates a token and has the one that it replaces refused from `at` on: both or neither. Answers whether it was
    /// done.
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
            .set_key(Some(row_key(keys::access(account), keys::token(old, new.kind))))
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
}
