//! Accounts, their users, and the tokens that users present.

pub mod usage;

use std::fmt;
use std::sync::Arc;

use crate::time::Timestamp;

/// An account's id: 1–63 lower-case letters, digits and hyphens, so that it can be spelled inside a key and be the
/// first part of a host name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AccountId(Arc<str>);

/// The text is not an account id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an account id is 1 to 63 lower-case letters, digits and hyphens")]
pub struct NotAnAccountId;

impl AccountId {
    /// Reads an account id.
    ///
    /// # Errors
    /// When `text` is not 1–63 lower-case letters, digits and hyphens.
    pub fn parse(text: &str) -> Result<Self, NotAnAccountId> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > 63 || !text.bytes().all(allowed) {
            return Err(NotAnAccountId);
        }
        Ok(Self(text.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An email address, in lower case: users are told apart by it without regard to case.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Email(Arc<str>);

/// The text is not an email address that a user can have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "an email address is something@something of 3 to 254 bytes, without spaces, control characters, colons, # and /"
)]
pub struct NotAnEmail;

impl Email {
    /// Bytes of an address: what a mail server takes (RFC 5321).
    const MOST_BYTES: usize = 254;

    /// Reads an email address, and keeps it in lower case.
    ///
    /// # Errors
    /// When there is not one `@` with something on both sides, or a character that Basic authentication (`:`, and `/`
    /// before `token`) or a key (`#`) has another use for, or a space or a control character.
    pub fn parse(text: &str) -> Result<Self, NotAnEmail> {
        let folded = text.to_lowercase();
        let forbidden =
            |letter: char| letter.is_whitespace() || letter.is_control() || matches!(letter, ':' | '#' | '/');
        let halves = folded.split_once('@');
        let well_formed =
            halves.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
        if !well_formed || folded.len() > Self::MOST_BYTES || folded.contains(forbidden) {
            return Err(NotAnEmail);
        }
        Ok(Self(folded.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A user's role: what the user may do.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// May do everything in the account.
    Admin,
    /// May use jobs, types and records.
    Agent,
    /// Is authenticated, but may not use jobs, types and records.
    EndUser,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Admin, Self::Agent, Self::EndUser];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Agent => "agent",
            Self::EndUser => "end_user",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// A caller whose credentials were verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    pub account: AccountId,
    pub user: Email,
    pub role: Role,
}

/// An account, as its operator set it up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    pub id: AccountId,
    /// Whether anybody is let into the account.
    pub active: bool,
    /// Whether its users may authenticate with passwords, and not with tokens alone.
    pub password_access: bool,
    /// Most requests a minute; the deployment's own limit where it is not set.
    pub requests_per_minute: Option<u32>,
    pub created_at: Timestamp,
}

/// A user of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    pub email: Email,
    pub name: String,
    pub role: Role,
    /// Whether the user is let in: one who is not is treated as unknown.
    pub active: bool,
    pub created_at: Timestamp,
}

/// The form in which a token is presented in the `Authorization` header.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TokenKind {
    /// Basic `email/token:TOKEN`.
    Api,
    /// `Bearer TOKEN`.
    Bearer,
}

impl TokenKind {
    pub const ALL: [Self; 2] = [Self::Api, Self::Bearer];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Bearer => "bearer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_has_nothing_in_it_that_a_key_is_spelled_with() {
        for good in ["a", "local", "acme-2", &"x".repeat(63)] {
            let account = AccountId::parse(good).unwrap();
            assert_eq!((account.as_str(), account.to_string().as_str()), (good, good));
        }
        for bad in ["", "a#b", "A", "a b", "ä", "a/b", "a_b", "a.b", &"x".repeat(64)] {
            assert_eq!(AccountId::parse(bad), Err(NotAnAccountId), "{bad}");
        }
    }

    #[test]
    fn an_email_address_is_folded_and_can_be_spelled_in_a_key_and_before_a_colon() {
        for (text, folded) in [("Agent@Example.com", "agent@example.com"), ("Ä@b", "ä@b"), ("a+b.c@d", "a+b.c@d")] {
            assert_eq!(Email::parse(text).unwrap().as_str(), folded);
        }
        let longest = format!("{}@b", "a".repeat(252));
        assert_eq!(Email::parse(&longest).unwrap().to_string(), longest);
        let long = format!("{}@b", "a".repeat(253));
        for bad in
            ["", "a", "@", "a@", "@a", "a@b@c", "a b@c", "a:b@c", "a#b@c", "a@b/token", "a\n@b", "a\u{0}@b", &long]
        {
            assert_eq!(Email::parse(bad), Err(NotAnEmail), "{bad}");
        }
    }

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("Agent"), None);
    }

    #[test]
    fn kinds_of_tokens_have_the_names_that_keys_spell() {
        assert_eq!(TokenKind::ALL.map(TokenKind::as_str), ["api", "bearer"]);
    }
}
