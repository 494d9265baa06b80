//! What a caller presents in `Authorization`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

/// The three ways to say who one is. Without `Debug`, so that no secret is ever printed.
#[derive(Clone, Eq, PartialEq)]
pub(crate) enum Credentials {
    /// Basic `email:password`.
    Password { email: String, password: String },
    /// Basic `email/token:api_token`.
    ApiToken { email: String, token: String },
    /// `Bearer token`.
    Bearer { token: String },
}

/// What is kept of credentials: enough to know them again, and not enough to present them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Fingerprint {
    kind: Kind,
    digest: [u8; 32],
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Kind {
    Password,
    ApiToken,
    Bearer,
}

impl Fingerprint {
    /// Of a bearer token of which only the SHA-256 is known.
    pub(crate) const fn of_bearer(digest: [u8; 32]) -> Self {
        Self { kind: Kind::Bearer, digest }
    }
}

impl Credentials {
    /// Reads the one `Authorization` header. None when there is none, when there are several, or when it is malformed.
    pub(crate) fn parse(headers: &HeaderMap) -> Option<Self> {
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
        Some(match user.strip_suffix("/token") {
            Some(email) => Self::ApiToken { email: email.to_owned(), token: secret.to_owned() },
            None => Self::Password { email: user.to_owned(), password: secret.to_owned() },
        })
    }

    /// A digest of a bearer token, or of the email without regard to case and the secret.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let (kind, email, secret) = match self {
            Self::Password { email, password } => (Kind::Password, email, password),
            Self::ApiToken { email, token } => (Kind::ApiToken, email, token),
            Self::Bearer { token } => return Fingerprint::of_bearer(Sha256::digest(token).into()),
        };
        let email = email.to_lowercase();
        let mut digest = Sha256::new();
        // The length keeps an email's end apart from the secret's beginning.
        digest.update((email.len() as u64).to_be_bytes());
        digest.update(email.as_bytes());
        digest.update(secret.as_bytes());
        Fingerprint { kind, digest: digest.finalize().into() }
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

    fn check(value: &str, expected: Option<&Credentials>) {
        assert!(parse(value).as_ref() == expected, "{value}");
    }

    #[test]
    fn three_ways_are_read_and_nothing_else() {
        let password = |email: &str, password: &str| Credentials::Password {
            email: email.to_owned(),
            password: password.to_owned(),
        };
        let token = Credentials::ApiToken { email: "a@b".to_owned(), token: "t".to_owned() };
        let bearer = Credentials::Bearer { token: "t".to_owned() };
        check(&basic("a@b:c"), Some(&password("a@b", "c")));
        check(&basic("a@b:c:d"), Some(&password("a@b", "c:d")));
        check(&basic("ä@b:ö"), Some(&password("ä@b", "ö")));
        check(&basic("a@b:"), Some(&password("a@b", "")));
        check(&basic("a@b:c").replace("Basic ", "bASIC   "), Some(&password("a@b", "c")));
        check(&basic("a@b/token:t"), Some(&token));
        check("Bearer t", Some(&bearer));
        check("bearer  t", Some(&bearer));
        for wrong in ["", "Basic", "Bearer", "Basic !", "Basic YQ", "Digest YTpi", &basic("nocolon"), "Basic /////w=="]
        {
            check(wrong, None);
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
    fn a_fingerprint_forgets_the_case_of_the_email_and_nothing_else() {
        let of = |user: &str| parse(&basic(user)).unwrap().fingerprint();
        assert_eq!(of("A@B:c"), of("a@b:c"));
        assert_ne!(of("a@b:c"), of("a@b:C"));
        assert_ne!(of("a@b:c"), of("a@b/token:c"));
        assert_ne!(of("a@b:c"), of("a@bc:"));
    }

    proptest! {
        #[test]
        fn arbitrary_headers_never_panic(bytes: Vec<u8>, scheme in "(Basic |Bearer |)") {
            if let Ok(value) = HeaderValue::from_bytes(&[scheme.as_bytes(), &bytes].concat()) {
                let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
                Credentials::parse(&headers).map(|credentials| credentials.fingerprint());
            }
        }
    }
}
