//! Making and reading the text of tokens.
//!
//! `sundial_{account}_{secret}`: the account is in it so that its row is found under the account's own key, and so that
//! somebody who finds a token in a log or a repository knows what it opens. The secret is 256 random bits.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::account::AccountId;
use domain::clock::Clock;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use store::access::Digest;

const PREFIX: &str = "sundial_";

/// Makes a new token of the account.
pub(crate) fn mint(account: &AccountId, clock: &Clock) -> SecretString {
    let secret = URL_SAFE_NO_PAD.encode(clock.random::<32>());
    format!("{PREFIX}{account}_{secret}").into()
}

/// The SHA-256 of a token, which is all that is kept of it. It needs no salt and no slow hash: nobody goes through 2²⁵⁶
/// secrets.
pub(crate) fn digest(text: &str) -> Digest {
    Sha256::digest(text).into()
}

/// Reads the account that a token's text names; whether the token is good is not looked at.
pub(crate) fn account_of(text: &str) -> Option<AccountId> {
    let (account, _) = text.strip_prefix(PREFIX)?.split_once('_')?;
    AccountId::parse(account).ok()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_token_says_its_account_and_has_256_random_bits() {
        let account = AccountId::parse("acme-2").unwrap();
        let clock = Clock::system();
        let [first, second] = [mint(&account, &clock), mint(&account, &clock)];
        let secret = first.expose_secret().strip_prefix("sundial_acme-2_").unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(secret).unwrap().len(), 32);
        assert_ne!(first.expose_secret(), second.expose_secret());
        assert_eq!(account_of(first.expose_secret()), Some(account));
        for other in ["", "sundial_", "sundial_acme", "sundial_ACME_x", "sundial__x", "acme_x", "Sundial_acme_x"] {
            assert_eq!(account_of(other), None, "{other}");
        }
    }
}
