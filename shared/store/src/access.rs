//! Accounts, users and tokens: who may call, and the last use, failed passwords and request counts that are kept of
//! callers.
//!
//! Everything in a partition with `#ACCESS` in its name is written by [`operator`] alone, which no function uses.

mod guard;
pub mod operator;
mod presented;
mod rate_limit;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::{Account, AccountId, Email, Role, TokenKind, User};
use domain::time::Timestamp;

pub use self::guard::{Attempts, GuardKey};
pub use self::presented::Presented;
use crate::attributes::{Attributes, Reader, broken, millis, number, row_key, text};
use crate::{StoreError, keys};

/// The SHA-256 of a token's text.
pub type Digest = [u8; 32];

/// A user, with the hash that a presented password is compared with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredUser {
    pub user: User,
    /// The password's hash; `None` when the user has no password.
    pub password: Option<PasswordHash>,
}

/// The hash of a password, as a PHC string. Nothing prints it.
#[derive(Clone, Eq, PartialEq)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PasswordHash(…)")
    }
}

/// A token as the database keeps it: by its digest, without its text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredToken {
    pub digest: Digest,
    pub kind: TokenKind,
    /// The email of the token's user.
    pub user: Email,
    /// The name that the operator gave the token.
    pub label: String,
    pub created_at: Timestamp,
    /// The time from which the token is refused by itself; `None` when it does not expire.
    pub expires_at: Option<Timestamp>,
    /// The time from which the token is refused because the operator revoked it; may be in the future.
    pub revoked_at: Option<Timestamp>,
}

impl StoredToken {
    /// Whether the token is neither expired nor revoked at `now`.
    #[must_use]
    pub fn is_good_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end) && self.revoked_at.is_none_or(|end| now < end)
    }
}

fn account_to_row(account: &Account) -> Attributes {
    let mut row = row_key(keys::access(&account.id), keys::account_row());
    row.insert("account".to_owned(), text(account.id.as_str()));
    row.insert("active".to_owned(), AttributeValue::Bool(account.active));
    row.insert("password_access".to_owned(), AttributeValue::Bool(account.password_access));
    row.insert("created_at".to_owned(), millis(account.created_at));
    if let Some(requests) = account.requests_per_minute {
        row.insert("requests_per_minute".to_owned(), number(requests));
    }
    row
}

fn account_from_row(row: &Attributes) -> Result<Account, StoreError> {
    let reader = Reader(row);
    let requests = reader.optional_number("requests_per_minute")?;
    Ok(Account {
        id: account_id(row)?,
        active: reader.boolean("active")?,
        password_access: reader.boolean("password_access")?,
        requests_per_minute: requests.map(u32::try_from).transpose().map_err(|_| broken("requests_per_minute"))?,
        created_at: reader.millis("created_at")?,
    })
}

fn account_id(row: &Attributes) -> Result<AccountId, StoreError> {
    AccountId::parse(Reader(row).text("account")?).map_err(|_| broken("account"))
}

fn user_to_row(account: &AccountId, user: &User) -> Attributes {
    let mut row = row_key(keys::access(account), keys::user(&user.email));
    row.insert("email".to_owned(), text(user.email.as_str()));
    row.insert("name".to_owned(), text(&user.name));
    row.insert("role".to_owned(), text(user.role.as_str()));
    row.insert("active".to_owned(), AttributeValue::Bool(user.active));
    row.insert("created_at".to_owned(), millis(user.created_at));
    row
}

fn user_from_row(row: &Attributes) -> Result<StoredUser, StoreError> {
    let reader = Reader(row);
    Ok(StoredUser {
        user: User {
            email: email(row)?,
            name: reader.text("name")?.to_owned(),
            role: Role::parse(reader.text("role")?).ok_or_else(|| broken("role"))?,
            active: reader.boolean("active")?,
            created_at: reader.millis("created_at")?,
        },
        password: reader.optional_text("password")?.map(|hash| PasswordHash(hash.to_owned())),
    })
}

fn email(row: &Attributes) -> Result<Email, StoreError> {
    Email::parse(Reader(row).text("email")?).map_err(|_| broken("email"))
}

fn token_to_row(account: &AccountId, token: &StoredToken) -> Attributes {
    let mut row = row_key(keys::access(account), keys::token(&token.digest, token.kind));
    row.insert("email".to_owned(), text(token.user.as_str()));
    row.insert("label".to_owned(), text(&token.label));
    row.insert("created_at".to_owned(), millis(token.created_at));
    // `expires_at` is what TTL goes by, which would take the row away from the operator's list.
    if let Some(expires_at) = token.expires_at {
        row.insert("valid_until".to_owned(), millis(expires_at));
    }
    row
}

fn token_from_row(row: &Attributes) -> Result<StoredToken, StoreError> {
    let reader = Reader(row);
    let key = reader.text("sk")?;
    let (digest, kind) = keys::token_of(key).ok_or_else(|| broken("sk"))?;
    let time = |name| Ok::<_, StoreError>(reader.optional_number(name)?.map(Timestamp::from_millis));
    Ok(StoredToken {
        digest,
        kind,
        user: email(row)?,
        label: reader.text("label")?.to_owned(),
        created_at: reader.millis("created_at")?,
        expires_at: time("valid_until")?,
        revoked_at: time("revoked_at")?,
    })
}
