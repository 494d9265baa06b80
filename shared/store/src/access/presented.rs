//! Reads of what presented credentials are compared with.

use domain::account::{Account, AccountId, Email, TokenKind};
use domain::time::Timestamp;

use super::{
    Attempts, Digest, GuardKey, StoredToken, StoredUser, account_from_row, account_id, token_from_row, user_from_row,
};
use crate::attributes::{number, row_key, seconds};
use crate::{AccessRows, StoreError, keys};

/// Days for which it is remembered when a token was last used.
const LAST_USE_DAYS: u64 = 400;

/// The rows that presented credentials name; a row that does not exist is `None`.
#[derive(Clone, Debug, Default)]
pub struct Presented {
    pub account: Option<Account>,
    pub user: Option<StoredUser>,
    pub token: Option<StoredToken>,
    pub attempts: Option<Attempts>,
}

impl AccessRows {
    /// The account that a password for this email belongs to, where no host name names the account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn account_of_login(&self, email: &Email) -> Result<Option<AccountId>, StoreError> {
        let row = self
            .database
            .read_row(&self.database.tables.catalog, row_key(keys::login(email), keys::login_row()))
            .await?;
        row.map(|row| account_id(&row)).transpose()
    }

    /// Reads the account and the named rows of it in one request. Without an account it reads as many rows, none of
    /// which exists: the time that it takes does not show whether the account does.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn presented(
        &self,
        account: Option<&AccountId>,
        user: Option<&Email>,
        token: Option<(&Digest, TokenKind)>,
        guard: Option<&GuardKey>,
    ) -> Result<Presented, StoreError> {
        let partition = account.map_or_else(|| keys::access_of_nobody().to_owned(), keys::access);
        let mut wanted = vec![row_key(&partition, keys::account_row())];
        wanted.extend(user.map(|email| row_key(&partition, keys::user(email))));
        wanted.extend(token.map(|(digest, kind)| row_key(&partition, keys::token(digest, kind))));
        wanted.extend(guard.map(GuardKey::to_row));
        let mut presented = Presented::default();
        for row in self.database.read_rows(&self.database.tables.catalog, wanted).await? {
            let key = row.get("sk").and_then(|key| key.as_s().ok()).map_or("", String::as_str);
            if key == keys::account_row() {
                presented.account = Some(account_from_row(&row)?);
            } else if key == keys::guard_row() {
                presented.attempts = Some(Attempts::from_row(&row)?);
            } else if key.starts_with(keys::users_prefix()) {
                presented.user = Some(user_from_row(&row)?);
            } else {
                presented.token = Some(token_from_row(&row)?);
            }
        }
        Ok(presented)
    }

    /// Reads a user of the account. When either is `None`, it reads a row that does not exist: the time that it takes
    /// does not show what is missing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn user_presented(
        &self,
        account: Option<&AccountId>,
        user: Option<&Email>,
    ) -> Result<Option<StoredUser>, StoreError> {
        let partition = account.map_or_else(|| keys::access_of_nobody().to_owned(), keys::access);
        let user = user.map_or_else(|| keys::users_prefix().to_owned(), keys::user);
        let row = self.database.read_row(&self.database.tables.catalog, row_key(partition, user)).await?;
        row.map(|row| user_from_row(&row)).transpose()
    }

    /// Notes the day on which a token was used, unless a later one is noted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn note_use(
        &self,
        account: &AccountId,
        digest: &Digest,
        kind: TokenKind,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = self
            .database
            .client
            .update_item()
            .table_name(&self.database.tables.catalog)
            .set_key(Some(row_key(keys::last_uses(account), keys::token(digest, kind))))
            .update_expression("SET used_on = :day, expires_at = :expires")
            // Closes the race between two days: the later one stays. And a day is written once.
            .condition_expression("attribute_not_exists(used_on) OR used_on < :day")
            .expression_attribute_values(":day", number(day_of(now)))
            .expression_attribute_values(":expires", seconds(now.plus_millis(LAST_USE_DAYS * DAY_MILLIS)));
        self.database.update_if(update).await?;
        Ok(())
    }
}

pub(super) const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;

/// Days since the epoch.
const fn day_of(now: Timestamp) -> u64 {
    now.as_millis() / DAY_MILLIS
}
