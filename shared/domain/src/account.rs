//! Who is calling, and for which tenant.

use std::fmt;
use std::sync::Arc;

/// One tenant's id: 1–63 lower-case letters, digits and hyphens, so that it can be spelled inside a key.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AccountId(Arc<str>);

/// The text is not an account id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an account id is 1 to 63 lower-case letters, digits and hyphens")]
pub struct NotAnAccountId;

impl AccountId {
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

/// What a user may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// May do everything in the account.
    Admin,
    /// May use jobs, types and records.
    Agent,
    /// Known, but may not use jobs.
    EndUser,
}

/// A caller whose credentials were verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    pub account: AccountId,
    /// The user's email address.
    pub user: Arc<str>,
    pub role: Role,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_has_nothing_in_it_that_a_key_is_spelled_with() {
        for good in ["a", "local", "acme-2", &"x".repeat(63)] {
            assert_eq!(AccountId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a#b", "A", "a b", "ä", "a/b", &"x".repeat(64)] {
            assert_eq!(AccountId::parse(bad), Err(NotAnAccountId), "{bad}");
        }
    }
}
