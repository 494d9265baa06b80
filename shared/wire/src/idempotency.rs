//! `Idempotency-Key`: a request that is sent again with the same key within a day has its effect once.

use domain::limits::IDEMPOTENCY_KEY_CHARACTERS;
use http::HeaderMap;
use sha2::{Digest, Sha256};
use store::jobs::IdempotencyKey;

use crate::failure::Failure;

const HEADER: &str = "idempotency-key";

/// Reads the request's idempotency key, if it carries one.
///
/// # Errors
/// When it is not 1–255 printable ASCII characters.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&[u8]>, Failure> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.as_bytes();
    let is_printable = key.iter().all(|byte| (b' '..=b'~').contains(byte));
    if values.next().is_some() || key.is_empty() || key.len() > IDEMPOTENCY_KEY_CHARACTERS || !is_printable {
        return Err(Failure::bad_request(format!(
            "Idempotency-Key must be one header of 1 to {IDEMPOTENCY_KEY_CHARACTERS} printable ASCII characters, not {} bytes",
            key.len()
        )));
    }
    Ok(Some(key))
}

/// Hashes a key and its request, which is all that is kept of them. A request is given as `parts`, whose hash is that
/// of all of them put together.
#[must_use]
pub fn hashed_key<'parts>(key: &[u8], parts: impl IntoIterator<Item = &'parts [u8]>) -> IdempotencyKey {
    let mut request = Sha256::new();
    for part in parts {
        request.update(part);
    }
    IdempotencyKey { key: hex::encode(Sha256::digest(key)), body: request.finalize().to_vec() }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let name = HeaderName::from_static(HEADER);
        values.iter().map(|value| (name.clone(), HeaderValue::from_bytes(value).unwrap())).collect()
    }

    #[test]
    fn a_key_is_printable_and_not_too_long() {
        assert_eq!(idempotency_key(&headers(&[])).unwrap(), None);
        for good in [b"a".as_slice(), b"import 7 / 2026-11-23", "x".repeat(255).as_bytes()] {
            assert_eq!(idempotency_key(&headers(&[good])).unwrap(), Some(good));
        }
        for bad in [vec![b"".as_slice()], vec![b"\xc3\xa4"], vec!["x".repeat(256).as_bytes()], vec![b"a", b"b"]] {
            assert!(idempotency_key(&headers(&bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn neither_key_nor_body_is_kept_itself() {
        let hashed = |body| hashed_key(b"key", [body]);
        let kept = hashed(b"body".as_slice());
        assert_eq!(kept.key.len(), 64);
        assert_eq!(kept.body.len(), 32);
        assert_ne!(kept, hashed(b"other"));
        assert_eq!(kept, hashed_key(b"key", [b"bo".as_slice(), b"dy"]));
    }
}
