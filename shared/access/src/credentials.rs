//! Credentials that a caller sends in `Authorization`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::account::Email;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::Sha256;

use crate::token;

/// Credentials of a caller, of one of three kinds. Without `Debug`, so that no secret is ever printed.
#[derive(Clone, Eq, PartialEq)]
pub enum Credentials {
    /// Basic `email:password`.
    Password { email: Email, password: String },
    /// Basic `email/token:api_token`.
    ApiToken { email: Email, token: String },
    /// `Bearer token`.
    Bearer { token: String },
}

impl Credentials {
    /// Reads the one `Authorization` header; `None` when there is none, or several, or it is malformed.
    #[must_use]
    pub fn parse(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next()?.to_str().ok()?;
        if values.next().is_some() {
            return None;
        }
        let (scheme, rest) = value.trim().split_once(' ')?;
        let rest = rest.trim_start();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Bearer { token: rest.to_owned() });
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        let (user, secret) = decoded.split_once(':')?;
        let secret = secret.to_owned();
        Some(match user.strip_suffix("/token") {
            Some(email) => Self::ApiToken { email: Email::parse(email).ok()?, token: secret },
            None => Self::Password { email: Email::parse(user).ok()?, password: secret },
        })
    }
}

impl Credentials {
    /// Whether the credentials are spelled like a token that this service makes.
    pub(crate) fn may_be_a_token(&self) -> bool {
        match self {
            Self::Password { .. } => false,
            Self::ApiToken { token, .. } | Self::Bearer { token } => token::account_of(token).is_some(),
        }
    }
}

/// A keyed hash of credentials that were found right: enough to know them again in this process, and of no use to who
/// reads its memory, since no other process has the key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Fingerprint([u8; 32]);

/// The key that fingerprints are made with, random in each process.
#[derive(Clone)]
pub(crate) struct FingerprintKey([u8; 32]);

impl FingerprintKey {
    pub(crate) const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// The fingerprint of credentials that came under a host name which stands for `scope`.
    pub(crate) fn fingerprint(&self, credentials: &Credentials, scope: &str) -> Fingerprint {
        let (kind, email, secret) = match credentials {
            Credentials::Password { email, password } => ("password", email.as_str(), password),
            Credentials::ApiToken { email, token } => ("api", email.as_str(), token),
            Credentials::Bearer { token } => ("bearer", "", token),
        };
        // HMAC itself fills a short key up with zeros to SHA-256's block; done here, no length is left to be wrong.
        let mut block = [0; 64];
        block[..self.0.len()].copy_from_slice(&self.0);
        let mut hash = Hmac::<Sha256>::new(&block.into());
        for part in [scope, kind, email, secret] {
            // The length keeps one part's end apart from the next one's beginning.
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Fingerprint(hash.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn parse(value: &str) -> Option<Credentials> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        Credentials::parse(&headers)
    }

    fn basic(user: &str) -> String {
        format!("Basic {}", STANDARD.encode(user))
    }

    fn email() -> Email {
        Email::parse("a@b").unwrap()
    }

    fn check(value: &str, expected: Option<&Credentials>) {
        assert!(parse(value).as_ref() == expected, "{value}");
    }

    #[test]
    fn three_ways_are_read_and_nothing_else() {
        let password = |password: &str| Credentials::Password { email: email(), password: password.to_owned() };
        let token = Credentials::ApiToken { email: email(), token: "t".to_owned() };
        let bearer = Credentials::Bearer { token: "t".to_owned() };
        check(&basic("a@b:c"), Some(&password("c")));
        check(&basic("A@B:c"), Some(&password("c")));
        check(&basic("a@b:c:d"), Some(&password("c:d")));
        check(&basic("a@b:ö"), Some(&password("ö")));
        check(&basic("a@b:"), Some(&password("")));
        check(&basic("a@b:c").replace("Basic ", "bASIC   "), Some(&password("c")));
        check(&basic("a@b/token:t"), Some(&token));
        check("Bearer t", Some(&bearer));
        check("bearer  t", Some(&bearer));
        let nobody = [basic("nocolon"), basic("a:c"), basic("a@b/c:d"), basic("/token:t"), basic(":")];
        for wrong in ["", "Basic", "Bearer", "Basic !", "Basic YQ", "Digest YTpi", "Basic /////w=="] {
            check(wrong, None);
        }
        for wrong in nobody {
            check(&wrong, None);
        }
    }

    #[test]
    fn two_headers_say_nothing() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer t"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer t"));
        assert!(Credentials::parse(&headers).is_none());
    }

    #[test]
    fn a_fingerprint_is_of_every_part_and_of_one_key() {
        let of = |key: u8, scope: &str, user: &str| {
            FingerprintKey::new([key; 32]).fingerprint(&parse(&basic(user)).unwrap(), scope)
        };
        assert_eq!(of(1, "", "A@B:c"), of(1, "", "a@b:c"));
        for (key, scope, user) in
            [(2, "", "a@b:c"), (1, "acme", "a@b:c"), (1, "", "a@b:C"), (1, "", "a@b/token:c"), (1, "", "a@bc:")]
        {
            assert_ne!(of(1, "", "a@b:c"), of(key, scope, user), "{scope} {user}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_headers_never_panic(bytes: Vec<u8>, scheme in "(Basic |Bearer |)") {
            if let Ok(value) = HeaderValue::from_bytes(&[scheme.as_bytes(), &bytes].concat()) {
                let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
                drop(Credentials::parse(&headers));
            }
        }
    }
}
