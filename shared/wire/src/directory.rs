//! Who the users of all accounts are.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use domain::account::{AccountId, Identity, Role};
use http::HeaderMap;
use store::settings::SettingError;

use crate::credentials::{Credentials, Fingerprint};

/// The users that may call, in memory. Clones share them.
///
/// Users are found by a digest over email and secret together: an unknown email, a wrong password and a wrong account
/// all cost one digest and one look-up that finds nothing, so that time tells no more than the 401 does; and no secret
/// is kept or compared.
#[derive(Clone, Default)]
pub struct Directory {
    users: Arc<RwLock<HashMap<Fingerprint, Identity>>>,
}

impl Directory {
    /// Knows nobody, so denies everybody.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The account `local` of a local run: the agent `agent@example.com` with password `sunshine` and token
    /// `local-token`, and the end user `user@example.com` with password `sunshine`.
    #[must_use]
    pub fn local() -> Self {
        let directory = Self::empty();
        // It is an account id; if it were none, the directory would deny everybody.
        if let Ok(account) = AccountId::parse("local") {
            directory.add(&account, Role::Agent, "agent@example.com", "sunshine", Some("local-token"));
            directory.add(&account, Role::EndUser, "user@example.com", "sunshine", None);
        }
        directory
    }

    /// The agents of a deployment, from `AGENT_TOKENS`: `account=digest` pairs with commas between them, where the digest is
    /// the SHA-256, in hex, of the bearer token that lets an agent of the account in. Without it nobody is let in.
    ///
    /// # Errors
    /// When the variable is set to something else; the error shows nothing of it.
    pub fn from_environment() -> Result<Self, SettingError> {
        const NAME: &str = "AGENT_TOKENS";
        let tokens = std::env::var(NAME).unwrap_or_default();
        Self::of_tokens(&tokens).ok_or(SettingError::Unreadable {
            name: NAME,
            expected: "a list of account=digest, where a digest is 64 hex digits",
        })
    }

    fn of_tokens(tokens: &str) -> Option<Self> {
        let mut users = HashMap::new();
        for pair in tokens.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (account, digest) = pair.split_once('=')?;
            let account = AccountId::parse(account).ok()?;
            let digest = hex::decode(digest).ok()?.try_into().ok()?;
            let identity = Identity { user: format!("agent of {account}").into(), account, role: Role::Agent };
            users.insert(Fingerprint::of_bearer(digest), identity);
        }
        Some(Self { users: Arc::new(RwLock::new(users)) })
    }

    /// This directory and an agent.
    #[must_use]
    pub fn with_agent(self, account: &AccountId, email: &str, password: &str, token: &str) -> Self {
        self.add(account, Role::Agent, email, password, Some(token));
        self
    }

    /// This directory and an end user.
    #[must_use]
    pub fn with_end_user(self, account: &AccountId, email: &str, password: &str) -> Self {
        self.add(account, Role::EndUser, email, password, None);
        self
    }

    /// Adds a user, for all clones and from now on. The token is an API token and a bearer token at once.
    ///
    /// Credentials lead to one user: the same email with the same secret, or the same token, is from now on the user
    /// who was added last.
    pub fn add(&self, account: &AccountId, role: Role, email: &str, password: &str, token: Option<&str>) {
        let identity = Identity { account: account.clone(), user: email.into(), role };
        let mut all = vec![Credentials::Password { email: email.to_owned(), password: password.to_owned() }];
        if let Some(token) = token {
            all.push(Credentials::ApiToken { email: email.to_owned(), token: token.to_owned() });
            all.push(Credentials::Bearer { token: token.to_owned() });
        }
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        for credentials in all {
            users.insert(credentials.fingerprint(), identity.clone());
        }
    }

    /// Who presents these headers. None for whatever reason, which nobody is told.
    #[must_use]
    pub fn authenticate(&self, headers: &HeaderMap) -> Option<Identity> {
        let fingerprint = Credentials::parse(headers)?.fingerprint();
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        users.get(&fingerprint).cloned()
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Directory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use http::header::AUTHORIZATION;

    use super::*;

    fn who(directory: &Directory, authorization: &str) -> Option<(String, Role)> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization.parse().unwrap())]);
        let identity = directory.authenticate(&headers)?;
        Some((format!("{} of {}", identity.user, identity.account), identity.role))
    }

    fn basic(user: &str) -> String {
        format!("Basic {}", STANDARD.encode(user))
    }

    #[test]
    fn the_local_account_has_an_agent_and_an_end_user() {
        let local = Directory::local();
        let agent = Some(("agent@example.com of local".to_owned(), Role::Agent));
        let end_user = Some(("user@example.com of local".to_owned(), Role::EndUser));
        assert_eq!(who(&local, &basic("agent@example.com:sunshine")), agent);
        assert_eq!(who(&local, &basic("Agent@Example.com:sunshine")), agent);
        assert_eq!(who(&local, &basic("agent@example.com/token:local-token")), agent);
        assert_eq!(who(&local, "Bearer local-token"), agent);
        assert_eq!(who(&local, &basic("user@example.com:sunshine")), end_user);
    }

    #[test]
    fn anything_wrong_is_nobody() {
        let wrong = [
            basic("agent@example.com:Sunshine"),
            basic("agent@example.com:"),
            basic("agent@example.com:local-token"),
            basic("agent@example.com/token:sunshine"),
            basic("nobody@example.com:sunshine"),
            basic("user@example.com/token:local-token"),
            "Bearer sunshine".to_owned(),
            "Bearer".to_owned(),
        ];
        for authorization in wrong {
            assert_eq!(who(&Directory::local(), &authorization), None, "{authorization}");
        }
        assert_eq!(who(&Directory::empty(), "Bearer local-token"), None);
    }

    #[test]
    fn a_deployment_knows_tokens_by_their_digests() {
        // SHA-256 of `abc` and of nothing, as FIPS 180-2 gives it and as everybody knows it.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let nothing = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
        let directory = Directory::of_tokens(&format!("first={abc}, second={nothing},")).unwrap();
        assert_eq!(who(&directory, "Bearer abc"), Some(("agent of first of first".to_owned(), Role::Agent)));
        assert_eq!(who(&directory, &format!("Bearer {abc}")), None);
        assert_eq!(who(&directory, &basic("agent of first:abc")), None);
        assert_eq!(who(&Directory::of_tokens("").unwrap(), "Bearer abc"), None);
        for wrong in ["first", "first=", "first=abc", "First=00", &format!("a b={abc}"), &abc[1..]] {
            assert!(Directory::of_tokens(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn accounts_may_be_added_while_it_is_shared() {
        let (first, second) = (AccountId::parse("first").unwrap(), AccountId::parse("second").unwrap());
        let directory = Directory::empty().with_agent(&first, "a@b", "one", "t1");
        let shared = directory.clone();
        shared.add(&second, Role::Admin, "a@b", "two", None);
        assert_eq!(who(&directory, &basic("a@b:one")), Some(("a@b of first".to_owned(), Role::Agent)));
        assert_eq!(who(&directory, &basic("a@b:two")), Some(("a@b of second".to_owned(), Role::Admin)));
        assert_eq!(who(&directory.with_end_user(&first, "c", "d"), &basic("c:d")).unwrap().1, Role::EndUser);
    }
}
