//! Admission of requests: who is calling, and whether they are answered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::account::{Account, AccountId, Email, Identity, TokenKind};
use domain::time::Timestamp;
use http::HeaderMap;
use http::header::HOST;
use store::access::{Attempts, GuardKey, StoredToken, StoredUser};
use store::{AccessRows, Store, StoreError};
use subtle::ConstantTimeEq;

use crate::cache::{Cache, Known};
use crate::credentials::{Credentials, FingerprintKey};
use crate::guard::{self, Verdict};
use crate::host::Host;
use crate::password::Passwords;
use crate::rate_limit::{Exhausted, RateLimit, RateLimits, Refusals};
use crate::settings::Settings;
use crate::source::Source;
use crate::token;

/// A lock that is over so soon is waited for: honest callers that start many requests at once meet it.
const SHORT_LOCK: Duration = Duration::from_millis(1_100);
/// How often it is looked whether it is over.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How often an attempt is tried to be counted against others of the same moment.
const COUNTING_TRIES: u32 = 12;

/// Authentication and rate limiting, in front of the routes of a function. One per process; clones share everything.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    rows: AccessRows,
    settings: Settings,
    key: FingerprintKey,
    known: Cache,
    passwords: Passwords,
    rate_limits: RateLimits,
    refusals: Refusals,
}

/// A caller whose request may be answered.
#[derive(Clone, Debug)]
pub struct Admitted {
    pub identity: Identity,
    /// The account's rate limit, and what is left of it in this minute.
    pub rate_limit: RateLimit,
}

/// The reason why a request is not answered. The rate limit is the account's, or where the caller is not known, the
/// source's.
#[derive(Debug)]
pub enum Refusal {
    /// The credentials are missing, malformed or wrong. The caller is not told which.
    Unknown { flaw: Flaw, rate_limit: RateLimit },
    /// The credentials are good, but the account has used up its requests of this minute.
    TooMany { identity: Identity, rate_limit: RateLimit },
    /// Locked for a while, because of too many failures from this source, or too many wrong passwords of this user from
    /// it. The credentials were wrong, or were not looked at.
    Locked { retry_after_seconds: u32, rate_limit: RateLimit },
    /// The database does not answer, so it is not known who is calling.
    Unavailable { error: StoreError, rate_limit: RateLimit },
}

/// The reason why credentials are refused. For the log alone, where its `Debug` text is searched for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flaw {
    NoCredentials,
    UnknownAccount,
    InactiveAccount,
    OtherAccountsHost,
    UnknownUser,
    InactiveUser,
    PasswordsOff,
    WrongPassword,
    UnknownToken,
    ExpiredToken,
    OtherUsersToken,
}

enum Unverified {
    Flawed(Flaw),
    Locked(Timestamp),
    Store(StoreError),
}

impl From<StoreError> for Unverified {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Flaw> for Unverified {
    fn from(flaw: Flaw) -> Self {
        Self::Flawed(flaw)
    }
}

/// Credentials that are good.
struct Verified {
    account: Account,
    user: StoredUser,
    /// None of a password.
    token: Option<StoredToken>,
}

impl Access {
    /// Makes an admission that looks credentials up in `store`, and uses its clock.
    #[must_use]
    pub fn new(store: Store, settings: Settings) -> Self {
        let key = FingerprintKey::new(store.clock().random());
        Self(Arc::new(Inner {
            key,
            settings,
            known: Cache::new(),
            passwords: Passwords::new(),
            rate_limits: RateLimits::new(store.access.clone()),
            refusals: Refusals::new(),
            rows: store.access,
        }))
    }

    /// Authenticates the sender of these headers, and takes the request out of the account's rate limit.
    ///
    /// # Errors
    /// When the request is not to be answered.
    pub async fn admit(&self, headers: &HeaderMap, source: Source) -> Result<Admitted, Refusal> {
        let inner = &*self.0;
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = Host::of(host, inner.settings.base_domain.as_deref());
        let known = inner.recognise(headers, &host, source).await?;
        let limit = known.requests_per_minute.unwrap_or(inner.settings.requests_per_minute);
        match inner.rate_limits.take(&known.identity.account, limit).await {
            Ok(rate_limit) => Ok(Admitted { identity: known.identity, rate_limit }),
            Err(Exhausted(rate_limit)) => Err(Refusal::TooMany { identity: known.identity, rate_limit }),
        }
    }

    /// The rate limit of a source whose request is refused before its credentials are looked at; nothing is taken out
    /// of it.
    #[must_use]
    pub fn rate_limit_of_source(&self, source: Source) -> RateLimit {
        self.0.left_to(source)
    }
}

impl Inner {
    async fn recognise(&self, headers: &HeaderMap, host: &Host, source: Source) -> Result<Known, Refusal> {
        let now = self.rows.clock().now();
        let Some(credentials) = Credentials::parse(headers) else {
            return Err(self.unknown(Flaw::NoCredentials, source));
        };
        let fingerprint = self.key.fingerprint(&credentials, host.scope());
        if let Some(known) = self.known.get(&fingerprint, now) {
            return Ok(known);
        }
        // Too many failures slow down whoever fails and nobody beside them: behind one address there may be a whole office. To
        // look a token up takes two reads, which is less than the request itself costs, and nobody guesses one. A password takes
        // a hash, so it waits with its source.
        let left = self.left_to(source);
        let is_spent = left.remaining == 0;
        if is_spent && !credentials.may_be_a_token() {
            return Err(locked(left));
        }
        // A turn is for hashing, so for passwords only; whoever waited for one may find that it is not needed any more.
        let _turn = match &credentials {
            Credentials::Password { .. } => self.passwords.turn().await,
            _ => None,
        };
        if let Some(known) = self.known.get(&fingerprint, now) {
            return Ok(known);
        }
        match self.verify(credentials, host, source).await {
            Ok(verified) => {
                let known = self.known_as(&verified);
                self.known.put(fingerprint, known.clone());
                self.note_use(&verified).await;
                Ok(known)
            }
            Err(Unverified::Flawed(_)) if is_spent => Err(locked(left)),
            Err(Unverified::Flawed(flaw)) => Err(self.unknown(flaw, source)),
            Err(Unverified::Locked(until)) => {
                let wait = until.as_millis().saturating_sub(self.rows.clock().now().as_millis());
                let retry_after_seconds = u32::try_from(wait.div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
                Err(Refusal::Locked { retry_after_seconds, rate_limit: self.left_to(source) })
            }
            Err(Unverified::Store(error)) => Err(Refusal::Unavailable { error, rate_limit: self.left_to(source) }),
        }
    }

    fn unknown(&self, flaw: Flaw, source: Source) -> Refusal {
        let (limit, now) = (self.settings.requests_per_minute, self.rows.clock().now());
        Refusal::Unknown { flaw, rate_limit: self.refusals.count(source, limit, now) }
    }

    fn left_to(&self, source: Source) -> RateLimit {
        self.refusals.left(source, self.settings.requests_per_minute, self.rows.clock().now())
    }

    fn known_as(&self, verified: &Verified) -> Known {
        let now = self.rows.clock().now();
        let remembered = u64::try_from(self.settings.remembered_for.as_millis()).unwrap_or(u64::MAX);
        let ends = verified.token.iter().flat_map(|token| [token.expires_at, token.revoked_at]).flatten();
        let until = ends.fold(now.plus_millis(remembered), std::cmp::min);
        Known {
            identity: Identity {
                account: verified.account.id.clone(),
                user: verified.user.user.email.clone(),
                role: verified.user.user.role,
            },
            requests_per_minute: verified.account.requests_per_minute,
            until,
        }
    }

    /// For the operator's list. Nobody waits for it long, or is refused because of it.
    async fn note_use(&self, verified: &Verified) {
        const PATIENCE: Duration = Duration::from_millis(300);
        let Some(token) = &verified.token else { return };
        let now = self.rows.clock().now();
        let noting = self.rows.note_use(&verified.account.id, &token.digest, token.kind, now);
        if !matches!(tokio::time::timeout(PATIENCE, noting).await, Ok(Ok(()))) {
            tracing::warn!(account.id = %verified.account.id, "the use of a token was not noted");
        }
    }

    async fn verify(&self, credentials: Credentials, host: &Host, source: Source) -> Result<Verified, Unverified> {
        match credentials {
            Credentials::Password { email, password } => self.verify_password(email, password, host, source).await,
            Credentials::ApiToken { email, token } => self.verify_token(Some(email), &token, host).await,
            Credentials::Bearer { token } => self.verify_token(None, &token, host).await,
        }
    }

    /// Every way to fail asks the database as often, and hashes as often: once.
    async fn verify_password(
        &self,
        email: Email,
        password: String,
        host: &Host,
        source: Source,
    ) -> Result<Verified, Unverified> {
        let login = self.rows.account_of_login(&email).await?;
        let account = match host {
            Host::Any => login,
            Host::Of(account) => Some(account.clone()),
            Host::Nobody => None,
        };
        let guard = guard::key(&email, source);
        let presented = self.rows.presented(account.as_ref(), Some(&email), None, Some(&guard)).await?;
        self.count_attempt(&guard, presented.attempts).await?;

        let usable = usable_account(presented.account, account.as_ref(), host).and_then(|account| {
            if !account.password_access {
                return Err(Flaw::PasswordsOff);
            }
            Ok((account, usable_user(presented.user.clone())?))
        });
        // Whatever was found: otherwise the time would tell who can be tried.
        let hash = match &usable {
            Ok((_, user)) => user.password.clone(),
            Err(_) => None,
        };
        let fits = Passwords::fits(password, hash).await;
        let (account, user) = usable?;
        if !fits {
            return Err(Flaw::WrongPassword.into());
        }
        self.rows.forget_attempts(&guard).await?;
        Ok(Verified { account, user, token: None })
    }

    /// Counts an attempt before it is made.
    async fn count_attempt(&self, guard: &GuardKey, mut seen: Option<Attempts>) -> Result<(), Unverified> {
        let mut locked_until = self.rows.clock().now().plus_millis(1_000);
        for _ in 0..COUNTING_TRIES {
            let now = self.rows.clock().now();
            match guard::judge(seen.as_ref(), now) {
                Verdict::Attempt(next) => {
                    if self.rows.count_attempt(guard, seen.as_ref(), &next).await? {
                        return Ok(());
                    }
                }
                Verdict::Locked(until) => {
                    let wait = Duration::from_millis(until.as_millis().saturating_sub(now.as_millis()));
                    if wait > SHORT_LOCK {
                        return Err(Unverified::Locked(until));
                    }
                    locked_until = until;
                    tokio::time::sleep(wait.min(LOOK_AGAIN)).await;
                }
            }
            seen = self.rows.attempts(guard).await?;
        }
        Err(Unverified::Locked(locked_until))
    }

    /// Every way to fail asks the database as often: twice.
    async fn verify_token(&self, email: Option<Email>, text: &str, host: &Host) -> Result<Verified, Unverified> {
        let account = token::account_of(text);
        let kind = if email.is_some() { TokenKind::Api } else { TokenKind::Bearer };
        let digest = token::digest(text);
        let presented = self.rows.presented(account.as_ref(), None, Some((&digest, kind)), None).await?;
        let owner = presented.token.as_ref().map(|token| token.user.clone()).or(email.clone());
        let user = self.rows.user_presented(account.as_ref(), owner.as_ref()).await?;
        let account = usable_account(presented.account, account.as_ref(), host)?;
        let token = presented.token.ok_or(Flaw::UnknownToken)?;
        if !token.is_good_at(self.rows.clock().now()) {
            return Err(Flaw::ExpiredToken.into());
        }
        if email.is_some_and(|email| !bool::from(email.as_str().as_bytes().ct_eq(token.user.as_str().as_bytes()))) {
            return Err(Flaw::OtherUsersToken.into());
        }
        Ok(Verified { account, user: usable_user(user)?, token: Some(token) })
    }
}

const fn locked(left: RateLimit) -> Refusal {
    Refusal::Locked { retry_after_seconds: left.resets_in, rate_limit: left }
}

fn usable_account(found: Option<Account>, wanted: Option<&AccountId>, host: &Host) -> Result<Account, Flaw> {
    let account = found.filter(|found| Some(&found.id) == wanted).ok_or(Flaw::UnknownAccount)?;
    if !host.admits(&account.id) {
        return Err(Flaw::OtherAccountsHost);
    }
    if !account.active {
        return Err(Flaw::InactiveAccount);
    }
    Ok(account)
}

fn usable_user(found: Option<StoredUser>) -> Result<StoredUser, Flaw> {
    let user = found.ok_or(Flaw::UnknownUser)?;
    if !user.user.active {
        return Err(Flaw::InactiveUser);
    }
    Ok(user)
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Access").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}
