//! `Idempotency-Key`: the same key and body within a day are the same job.

use std::fmt::Write;

use axum::http::HeaderMap;
use sha2::{Digest, Sha256};
use store::jobs::IdempotencyKey;
use wire::Failure;

const HEADER: &str = "idempotency-key";
const MOST_CHARACTERS: usize = 255;

/// The key that a request carries, if it carries one.
///
/// # Errors
/// When it is not 1–255 printable ASCII characters.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<&[u8]>, Failure> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.as_bytes();
    let is_printable = key.iter().all(|byte| (b' '..=b'~').contains(byte));
    if values.next().is_some() || key.is_empty() || key.len() > MOST_CHARACTERS || !is_printable {
        return Err(Failure::bad_request(format!(
            "Idempotency-Key must be one header of 1 to {MOST_CHARACTERS} printable ASCII characters, not {} bytes",
            key.len()
        )));
    }
    Ok(Some(key))
}

/// What is kept of a key and the body it came with: hashes.
pub(crate) fn hashed(key: &[u8], body: &[u8]) -> IdempotencyKey {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(key) {
        // Writing to a String never fails.
        let _ = write!(hex, "{byte:02x}");
    }
    IdempotencyKey { key: hex, body: Sha256::digest(body).to_vec() }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let name = axum::http::HeaderName::from_static(HEADER);
        values.iter().map(|value| (name.clone(), HeaderValue::from_bytes(value).unwrap())).collect()
    }

    #[test]
    fn a_key_is_printable_and_not_too_long() {
        assert_eq!(key_of(&headers(&[])).unwrap(), None);
        for good in [b"a".as_slice(), b"import 7 / 2026-11-23", "x".repeat(255).as_bytes()] {
            assert_eq!(key_of(&headers(&[good])).unwrap(), Some(good));
        }
        for bad in [vec![b"".as_slice()], vec![b"\xc3\xa4"], vec!["x".repeat(256).as_bytes()], vec![b"a", b"b"]] {
            assert!(key_of(&headers(&bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn neither_key_nor_body_is_kept_itself() {
        let hashed = hashed(b"key", b"body");
        assert_eq!(hashed.key.len(), 64);
        assert_eq!(hashed.body.len(), 32);
        assert_ne!(hashed, super::hashed(b"key", b"other"));
    }
}
