//! The `Authorization` header: whoever is in it is who it says, and nobody is in anything else.

#![no_main]

use access::Credentials;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::account::Email;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use sundial_fuzz::RECIPE;

fuzz_target!(|input: &[u8]| {
    if let Some((&RECIPE, user)) = input.split_first() {
        check_basic(user);
    } else {
        let Ok(value) = HeaderValue::from_bytes(input) else { return };
        check(&value);
    }
});

/// Whatever the header holds.
fn check(value: &HeaderValue) {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value.clone())]);
    let Some(credentials) = Credentials::parse(&headers) else { return };
    let text = value.to_str().expect("only text is read");
    let (scheme, rest) = text.trim().split_once(' ').expect("only a scheme and something after it is read");
    match &credentials {
        Credentials::Bearer { token } => {
            assert!(scheme.eq_ignore_ascii_case("bearer"));
            assert!(!token.is_empty() && rest.ends_with(token.as_str()) && *token == token.trim());
        }
        Credentials::Password { email, .. } | Credentials::ApiToken { email, .. } => {
            assert!(scheme.eq_ignore_ascii_case("basic"));
            check_email(email);
        }
    }
    let again = spelled(&credentials);
    assert!(parsed(&again).as_ref() == Some(&credentials), "spelled anew, they are others");
    // Neither the case of the scheme nor more spaces make a difference.
    let (scheme, rest) = again.split_once(' ').expect("a scheme and what follows it");
    for loose in [format!(" {}   {rest} ", scheme.to_uppercase()), format!("{} {rest}\t", scheme.to_lowercase())] {
        assert!(parsed(&loose).as_ref() == Some(&credentials), "{loose}");
    }
    // Of two headers, neither counts.
    let mut two = headers;
    two.append(AUTHORIZATION, value.clone());
    assert!(Credentials::parse(&two).is_none());
}

/// A Basic header that holds these bytes.
fn check_basic(user: &[u8]) {
    let text = format!("Basic {}", STANDARD.encode(user));
    check(&HeaderValue::from_str(&text).expect("base64 is a header"));
    let expected = std::str::from_utf8(user).ok().and_then(|user| user.split_once(':')).and_then(|(user, secret)| {
        let (address, is_token) = user.strip_suffix("/token").map_or((user, false), |address| (address, true));
        let (email, secret) = (Email::parse(address).ok()?, secret.to_owned());
        Some(if is_token {
            Credentials::ApiToken { email, token: secret }
        } else {
            Credentials::Password { email, password: secret }
        })
    });
    assert!(parsed(&text) == expected);
    // Without its last character it is no whole base64, or it is that of other bytes.
    assert!(expected.is_none() || parsed(&text[..text.len() - 1]) != expected);
}

/// An address is kept folded, so that it is one however it is written.
fn check_email(email: &Email) {
    let text = email.as_str();
    assert_eq!(Email::parse(text).as_ref(), Ok(email));
    assert!(!text.contains([':', '#', '/', ' ']) && !text.contains(char::is_control));
    assert!((3..=254).contains(&text.len()));
}

fn parsed(value: &str) -> Option<Credentials> {
    let value = HeaderValue::from_str(value).expect("it is a header");
    Credentials::parse(&HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

fn spelled(credentials: &Credentials) -> String {
    match credentials {
        Credentials::Password { email, password } => {
            format!("Basic {}", STANDARD.encode(format!("{email}:{password}")))
        }
        Credentials::ApiToken { email, token } => {
            format!("Basic {}", STANDARD.encode(format!("{email}/token:{token}")))
        }
        Credentials::Bearer { token } => format!("Bearer {token}"),
    }
}
