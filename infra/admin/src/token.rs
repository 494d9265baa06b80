//! `sundial-admin token …`

use std::time::Duration;

use access::{NewToken, Operator, TokenRequest};
use clap::{Args, Subcommand};
use domain::account::{AccountId, Email, TokenKind};
use domain::clock::Clock;
use domain::time::Timestamp;
use secrecy::SecretString;
use store::access::StoredToken;

use crate::failure::Failure;
use crate::report::{Report, Secret, Thing};
use crate::user::{Named, warned};
use crate::values::{self, Expiry};

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token, which is shown once
    Create {
        #[command(flatten)]
        named: Named,
        /// How it is sent: an api token with the user's address, a bearer token alone
        #[arg(long, value_name = "api|bearer", value_parser = values::token_kind, default_value = "api")]
        kind: TokenKind,
        /// What to call it
        #[arg(long, value_parser = values::label, default_value = "", hide_default_value = true)]
        label: String,
        /// When it ends by itself: 90d, 12h, 30m, 45s or never
        #[arg(long, value_name = "TIME", value_parser = values::expiry, default_value = "never")]
        expires_in: Expiry,
    },
    /// Show all tokens of an account, oldest first; none can be shown itself
    List {
        /// The account
        #[arg(value_parser = AccountId::parse)]
        account: AccountId,
        /// Only the tokens of this user
        #[arg(long, value_name = "EMAIL", value_parser = Email::parse)]
        user: Option<Email>,
    },
    /// Have a token refused from now on
    Revoke(NamedToken),
    /// Make a token in the place of another, which is refused some time later
    Rotate {
        #[command(flatten)]
        named: NamedToken,
        /// For how long the old one is still good
        #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "1h")]
        overlap: Duration,
        /// When the new one ends by itself: 90d, 12h, 30m, 45s or never; unless given, it is good for as long as the old
        /// one was
        #[arg(long, value_name = "TIME", value_parser = values::expiry)]
        expires_in: Option<Expiry>,
    },
}

/// A token of an account.
#[derive(Args, Debug)]
pub(crate) struct NamedToken {
    /// The account
    #[arg(value_parser = AccountId::parse)]
    account: AccountId,
    /// What `token list` calls it, or the beginning of that
    id: String,
}

impl TokenCommand {
    pub(crate) async fn carry_out(self, operator: &Operator) -> Result<Report, Failure> {
        let now = Clock::system().now();
        match self {
            Self::Create { named: Named { account, email }, kind, label, expires_in } => {
                let owner = (operator.account(&account).await?, operator.user(&account, &email).await?);
                let request = TokenRequest { kind, label, expires_at: expires_in.from(now) };
                let NewToken { text, token } = operator.create_token(&account, &email, request).await?;
                let report = Report::one(shown(&account, &token, now)).with_secret(presented(&token, text));
                Ok(warned(report, &owner.0, &owner.1))
            }
            Self::List { account, user } => list(operator, &account, user.as_ref(), now).await,
            Self::Revoke(named) => named.revoke(operator, now).await,
            Self::Rotate { named, overlap, expires_in } => named.rotate(operator, now, overlap, expires_in).await,
        }
    }
}

async fn list(
    operator: &Operator,
    account: &AccountId,
    user: Option<&Email>,
    now: Timestamp,
) -> Result<Report, Failure> {
    let tokens = operator.tokens(account).await?;
    if let Some(email) = user {
        operator.user(account, email).await?;
    }
    let wanted = tokens.iter().filter(|listed| user.is_none_or(|email| listed.token.user == *email));
    let row = |token: &StoredToken, last_used_on| shown(account, token, now).day("last_used_on", last_used_on, "never");
    Ok(Report::many("tokens", wanted.map(|listed| row(&listed.token, listed.last_used_on)).collect()))
}

impl NamedToken {
    async fn revoke(&self, operator: &Operator, now: Timestamp) -> Result<Report, Failure> {
        let token = operator.revoke_token(&self.account, &self.id).await?;
        let report = Report::one(shown(&self.account, &token, Clock::system().now()));
        // The time of an earlier revocation stays.
        let was_revoked = token.revoked_at.is_some_and(|revoked_at| revoked_at < now);
        Ok(if was_revoked { report.with_note("it was revoked already") } else { report.felt_later() })
    }

    async fn rotate(
        &self,
        operator: &Operator,
        now: Timestamp,
        overlap: Duration,
        expires_in: Option<Expiry>,
    ) -> Result<Report, Failure> {
        let old = operator.token(&self.account, &self.id).await?;
        let expires_at = expires_in.unwrap_or_else(|| lifetime(&old)).from(now);
        let (old_id, revoked_at) = (Operator::id_of(&old), values::after(now, overlap));
        let NewToken { text, token } = operator.rotate_token(&self.account, &old_id, revoked_at, expires_at).await?;
        let thing = shown(&self.account, &token, now).text("replaces", &old_id).time(
            "replaced_revoked_at",
            Some(revoked_at),
            "",
        );
        Ok(Report::one(thing).with_secret(presented(&token, text)))
    }
}

/// For how long a token was meant to be good.
fn lifetime(token: &StoredToken) -> Expiry {
    token.expires_at.map_or(Expiry::Never, |expires_at| {
        Expiry::In(Duration::from_millis(expires_at.as_millis().saturating_sub(token.created_at.as_millis())))
    })
}

/// How a client sends it.
fn presented(token: &StoredToken, text: SecretString) -> Secret {
    match token.kind {
        TokenKind::Bearer => Secret::bearer(text),
        TokenKind::Api => Secret::basic(&format!("{}/token", token.user), text),
    }
}

fn shown(account: &AccountId, token: &StoredToken, now: Timestamp) -> Thing {
    Thing::default()
        .text("id", &Operator::id_of(token))
        .text("account", account.as_str())
        .text("user", token.user.as_str())
        .text("kind", token.kind.as_str())
        .text("label", &token.label)
        .text("state", state(token, now))
        .time("created_at", Some(token.created_at), "")
        .time("expires_at", token.expires_at, "never")
        .time("revoked_at", token.revoked_at, "-")
}

fn state(token: &StoredToken, now: Timestamp) -> &'static str {
    if token.is_good_at(now) {
        "active"
    } else if token.revoked_at.is_some_and(|revoked_at| revoked_at <= now) {
        "revoked"
    } else {
        "expired"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(expires_at: Option<u64>, revoked_at: Option<u64>) -> StoredToken {
        StoredToken {
            digest: [7; 32],
            kind: TokenKind::Api,
            user: Email::parse("a@b").unwrap(),
            label: String::new(),
            created_at: Timestamp::from_seconds(10),
            expires_at: expires_at.map(Timestamp::from_seconds),
            revoked_at: revoked_at.map(Timestamp::from_seconds),
        }
    }

    #[test]
    fn a_token_is_active_until_it_expires_or_is_revoked() {
        let check = |expires_at, revoked_at, expected| {
            let token = token(expires_at, revoked_at);
            assert_eq!(state(&token, Timestamp::from_seconds(100)), expected, "{token:?}");
        };
        check(None, None, "active");
        check(Some(101), Some(101), "active");
        check(Some(100), None, "expired");
        check(Some(100), Some(101), "expired");
        check(None, Some(100), "revoked");
        check(Some(50), Some(60), "revoked");
    }

    #[test]
    fn a_token_in_the_place_of_another_is_good_for_as_long() {
        assert_eq!(lifetime(&token(None, None)), Expiry::Never);
        assert_eq!(lifetime(&token(Some(70), None)), Expiry::In(Duration::from_mins(1)));
    }
}
