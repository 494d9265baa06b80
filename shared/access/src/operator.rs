//! Administration of accounts, users and their credentials. Each secret is shown once, when it is made.

use domain::account::{Account, AccountId, Email, TokenKind, User};
use domain::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use store::access::operator::{AccountChange, Created, ListedToken, PasswordSet, UserChange};
use store::access::{StoredToken, StoredUser};
use store::{AccessRows, Store, StoreError};

use crate::password::{HashError, LEAST_PASSWORD_CHARACTERS, MOST_PASSWORD_BYTES, Passwords};
use crate::token;

/// Hex digits of a digest by which a token is named: enough that no two tokens of an account have the same.
const ID_DIGITS: usize = 16;

/// Makes and changes accounts, users and credentials. Needs a store that is allowed to write them.
#[derive(Clone, Debug)]
pub struct Operator {
    rows: AccessRows,
}

/// The reason why an operation was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("there is no account {0}")]
    NoAccount(AccountId),
    #[error("account {account} has no user {user}")]
    NoUser { account: AccountId, user: Email },
    #[error("account {account} has no token {id}")]
    NoToken { account: AccountId, id: String },
    #[error("account {0} is there already")]
    AccountTaken(AccountId),
    #[error("account {account} has a user {user} already")]
    UserTaken { account: AccountId, user: Email },
    #[error("{count} tokens of account {account} begin with {id}: give more of it")]
    Ambiguous { account: AccountId, id: String, count: usize },
    #[error("token {0} is revoked already")]
    Revoked(String),
    #[error(
        "a password has at least {LEAST_PASSWORD_CHARACTERS} characters and at most {MOST_PASSWORD_BYTES} bytes, \
         none of them a control character"
    )]
    UnfitPassword,
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The properties of a token that is to be made.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    pub kind: TokenKind,
    pub label: String,
    pub expires_at: Option<Timestamp>,
}

/// A token that was just made. Its text is kept nowhere else.
#[derive(Debug)]
pub struct NewToken {
    pub text: SecretString,
    pub token: StoredToken,
}

/// A password that was just set. Its text is kept nowhere else.
#[derive(Debug)]
pub struct NewPassword {
    pub text: SecretString,
    /// The account that the email leads to where no host name names one, if it is another account: then this password
    /// is good under the account's own host name only.
    pub login_of: Option<AccountId>,
}

impl Operator {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { rows: store.access }
    }

    /// The id of a token, as operators name it: the first hex digits of its digest.
    #[must_use]
    pub fn id_of(token: &StoredToken) -> String {
        let mut id = hex::encode(token.digest);
        id.truncate(ID_DIGITS);
        id
    }

    /// Creates an active account.
    ///
    /// # Errors
    /// When it is there already, or the database does not answer.
    pub async fn create_account(
        &self,
        id: &AccountId,
        password_access: bool,
        requests_per_minute: Option<u32>,
    ) -> Result<Account, OperatorError> {
        let created_at = self.rows.clock().now();
        let account = Account { id: id.clone(), active: true, password_access, requests_per_minute, created_at };
        match self.rows.create_account(&account).await? {
            Created::Done => Ok(account),
            Created::Taken | Created::NoOwner => Err(OperatorError::AccountTaken(id.clone())),
        }
    }

    /// Lists every account, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn accounts(&self) -> Result<Vec<Account>, OperatorError> {
        Ok(self.rows.accounts().await?)
    }

    /// Reads an account.
    ///
    /// # Errors
    /// When there is no such account, or the database does not answer.
    pub async fn account(&self, id: &AccountId) -> Result<Account, OperatorError> {
        self.rows.account(id).await?.ok_or_else(|| OperatorError::NoAccount(id.clone()))
    }

    /// Changes an account and answers with it as it then is.
    ///
    /// # Errors
    /// When there is no such account, or the database does not answer.
    pub async fn change_account(&self, id: &AccountId, change: AccountChange) -> Result<Account, OperatorError> {
        self.rows.change_account(id, change).await?.ok_or_else(|| OperatorError::NoAccount(id.clone()))
    }

    /// Creates a user of an account.
    ///
    /// # Errors
    /// When there is no such account, or it has such a user already, or the database does not answer.
    pub async fn create_user(&self, account: &AccountId, user: &User) -> Result<(), OperatorError> {
        match self.rows.create_user(account, user).await? {
            Created::Done => Ok(()),
            Created::Taken => Err(OperatorError::UserTaken { account: account.clone(), user: user.email.clone() }),
            Created::NoOwner => Err(OperatorError::NoAccount(account.clone())),
        }
    }

    /// Lists every user of the account, by email.
    ///
    /// # Errors
    /// When there is no such account, or the database does not answer.
    pub async fn users(&self, account: &AccountId) -> Result<Vec<StoredUser>, OperatorError> {
        self.account(account).await?;
        Ok(self.rows.users(account).await?)
    }

    /// Reads a user of an account.
    ///
    /// # Errors
    /// When there is no such user, or the database does not answer.
    pub async fn user(&self, account: &AccountId, email: &Email) -> Result<StoredUser, OperatorError> {
        let found = self.rows.user_presented(Some(account), Some(email)).await?;
        found.ok_or_else(|| no_user(account, email))
    }

    /// Changes a user and answers with it as it then is.
    ///
    /// # Errors
    /// When there is no such user, or the database does not answer.
    pub async fn change_user(
        &self,
        account: &AccountId,
        email: &Email,
        change: UserChange,
    ) -> Result<StoredUser, OperatorError> {
        let changed = self.rows.change_user(account, email, change).await?;
        changed.ok_or_else(|| no_user(account, email))
    }

    /// Sets a user's password: the given one, or a random one.
    ///
    /// # Errors
    /// When there is no such user, the password is unfit, or the database does not answer.
    pub async fn set_password(
        &self,
        account: &AccountId,
        email: &Email,
        password: Option<SecretString>,
    ) -> Result<NewPassword, OperatorError> {
        let text = match password {
            Some(text) if is_fit(text.expose_secret()) => text,
            Some(_) => return Err(OperatorError::UnfitPassword),
            None => hex::encode(self.rows.clock().random::<20>()).into(),
        };
        self.keep_password(account, email, text).await
    }

    /// Sets a user's password, whether or not it is fit.
    pub(crate) async fn keep_password(
        &self,
        account: &AccountId,
        email: &Email,
        text: SecretString,
    ) -> Result<NewPassword, OperatorError> {
        let hash = Passwords::hash(text.expose_secret(), self.rows.clock())?;
        match self.rows.set_password(account, email, &hash).await? {
            PasswordSet::Done => Ok(NewPassword { text, login_of: None }),
            PasswordSet::UnderHostNameOnly { login_of } => Ok(NewPassword { text, login_of: Some(login_of) }),
            PasswordSet::NoUser => Err(no_user(account, email)),
        }
    }

    /// Clears a user's password.
    ///
    /// # Errors
    /// When there is no such user, or the database does not answer.
    pub async fn clear_password(&self, account: &AccountId, email: &Email) -> Result<(), OperatorError> {
        match self.rows.clear_password(account, email).await? {
            PasswordSet::NoUser => Err(no_user(account, email)),
            PasswordSet::Done | PasswordSet::UnderHostNameOnly { .. } => Ok(()),
        }
    }

    /// Creates a token of a user.
    ///
    /// # Errors
    /// When there is no such user, or the database does not answer.
    pub async fn create_token(
        &self,
        account: &AccountId,
        user: &Email,
        request: TokenRequest,
    ) -> Result<NewToken, OperatorError> {
        let text = token::mint(account, self.rows.clock());
        self.keep_token(account, user, request, text).await
    }

    /// Creates a token with a chosen text, for a local run, whose credentials everybody may know. The text has to begin
    /// with `sundial_{account}_`, or nobody is let in by it.
    ///
    /// # Errors
    /// As [`create_token`](Self::create_token), and when there is such a token already.
    pub(crate) async fn keep_token(
        &self,
        account: &AccountId,
        user: &Email,
        request: TokenRequest,
        text: SecretString,
    ) -> Result<NewToken, OperatorError> {
        let TokenRequest { kind, label, expires_at } = request;
        let token = StoredToken {
            digest: token::digest(text.expose_secret()),
            kind,
            user: user.clone(),
            label,
            created_at: self.rows.clock().now(),
            expires_at,
            revoked_at: None,
        };
        match self.rows.create_token(account, &token).await? {
            Created::Done => Ok(NewToken { text, token }),
            Created::NoOwner => Err(no_user(account, user)),
            Created::Taken => {
                Err(OperatorError::Ambiguous { account: account.clone(), id: Self::id_of(&token), count: 2 })
            }
        }
    }

    /// Lists every token of the account, oldest first.
    ///
    /// # Errors
    /// When there is no such account, or the database does not answer.
    pub async fn tokens(&self, account: &AccountId) -> Result<Vec<ListedToken>, OperatorError> {
        self.account(account).await?;
        Ok(self.rows.tokens(account).await?)
    }

    /// Revokes a token from now on. Containers that remember it refuse it as soon as they forget: see
    /// [`Settings::remembered_for`](crate::Settings::remembered_for).
    ///
    /// # Errors
    /// When there is no such token, or the database does not answer.
    pub async fn revoke_token(&self, account: &AccountId, id: &str) -> Result<StoredToken, OperatorError> {
        let token = self.token(account, id).await?;
        let revoked = self.rows.revoke_token(account, &token, self.rows.clock().now()).await?;
        revoked.ok_or_else(|| no_token(account, id))
    }

    /// Creates a token with the properties of another one, which is revoked from `revoked_at` on.
    ///
    /// # Errors
    /// When there is no such token, it is revoked, or the database does not answer.
    pub async fn rotate_token(
        &self,
        account: &AccountId,
        id: &str,
        revoked_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<NewToken, OperatorError> {
        let old = self.token(account, id).await?;
        let text = token::mint(account, self.rows.clock());
        let token = StoredToken {
            digest: token::digest(text.expose_secret()),
            created_at: self.rows.clock().now(),
            expires_at,
            revoked_at: None,
            ..old.clone()
        };
        if !self.rows.rotate_token(account, &old.digest, &token, revoked_at).await? {
            return Err(OperatorError::Revoked(Self::id_of(&old)));
        }
        Ok(NewToken { text, token })
    }

    /// Finds the token whose id begins with `id`.
    ///
    /// # Errors
    /// When there is no such token, or several, or the database does not answer.
    pub async fn token(&self, account: &AccountId, id: &str) -> Result<StoredToken, OperatorError> {
        let is_hex = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex {
            return Err(no_token(account, id));
        }
        let mut found = self.rows.tokens_like(account, &id.to_ascii_lowercase()).await?;
        match found.len() {
            0 => Err(no_token(account, id)),
            1 => Ok(found.remove(0).token),
            count => Err(OperatorError::Ambiguous { account: account.clone(), id: id.to_owned(), count }),
        }
    }
}

fn is_fit(password: &str) -> bool {
    password.chars().count() >= LEAST_PASSWORD_CHARACTERS
        && password.len() <= MOST_PASSWORD_BYTES
        && !password.chars().any(char::is_control)
}

fn no_user(account: &AccountId, user: &Email) -> OperatorError {
    OperatorError::NoUser { account: account.clone(), user: user.clone() }
}

fn no_token(account: &AccountId, id: &str) -> OperatorError {
    OperatorError::NoToken { account: account.clone(), id: id.to_owned() }
}
