//! Cursors: places in a list that a client hands back to turn the page, signed for its account and list.
//!
//! A cursor on the wire is base64url, without padding, of
//!
//! | bytes | what |
//! | --- | --- |
//! | 32 | HMAC-SHA256 over the account, the scope and the bytes that follow |
//! | 1 | bit 0: the way is backwards; bit 1: the list is in descending order; the others are zero |
//! | the rest | the position, UTF-8 |
//!
//! It is signed, not encrypted: a position may hold what the list shows and nothing else.

use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::account::AccountId;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use store::{Catalog, StoreError};

use crate::failure::Failure;
use domain::query::Order;

const SIGNATURE_BYTES: usize = 32;
const BACKWARDS: u8 = 1;
const DESCENDING: u8 = 2;

/// The direction in which a client turns the pages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// The items after the position, in the list's order.
    Next,
    /// The items before the position. A page is shown in the list's order whichever way it was reached.
    Previous,
}

/// A place in a list, and the direction in which to read on from it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cursor {
    pub direction: Direction,
    /// The order of the list when the cursor was made.
    pub order: Order,
    /// The item at the edge of the page that the cursor came from, in a form by which the route finds it again.
    pub position: String,
}

/// The secret that all containers of a function sign cursors with.
#[derive(Clone)]
pub struct CursorKey([u8; 32]);

impl CursorKey {
    /// Makes a key of its 32 bytes.
    #[must_use]
    pub const fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// Makes the scope of one account and one list. `list` names the route with every parameter that decides what is in
    /// the list, such as `jobs?status=queued`; a cursor of another list is refused.
    #[must_use]
    pub const fn scope<'a>(&'a self, account: &'a AccountId, list: &'a str) -> CursorScope<'a> {
        CursorScope { key: self, account, list }
    }
}

impl fmt::Debug for CursorKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CursorKey(…)")
    }
}

/// A holder of the deployment's cursor key, which the database keeps: read at the first use, and made when there is
/// none. So nobody has to make a secret, and it is in no function's settings.
#[derive(Clone, Debug)]
pub struct CursorKeys {
    catalog: Catalog,
    key: Arc<OnceLock<CursorKey>>,
}

impl CursorKeys {
    /// Makes a holder of the key that is kept in `catalog`.
    #[must_use]
    pub fn of(catalog: Catalog) -> Self {
        Self { catalog, key: Arc::default() }
    }

    /// The key, read from the database unless it was read before.
    ///
    /// # Errors
    /// When the database does not answer, and never did.
    pub async fn get(&self) -> Result<&CursorKey, StoreError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let secret = self.catalog.cursor_secret().await?;
        Ok(self.key.get_or_init(|| CursorKey::new(secret)))
    }
}

/// The account and the list whose cursors are made and read, with the key.
#[derive(Clone, Copy, Debug)]
pub struct CursorScope<'a> {
    key: &'a CursorKey,
    account: &'a AccountId,
    list: &'a str,
}

impl CursorScope<'_> {
    /// Signs a cursor and encodes it, as the client carries it.
    #[must_use]
    pub fn seal(&self, cursor: &Cursor) -> String {
        let mut flags = 0;
        if cursor.direction == Direction::Previous {
            flags |= BACKWARDS;
        }
        if cursor.order == Order::Descending {
            flags |= DESCENDING;
        }
        let payload = [&[flags], cursor.position.as_bytes()].concat();
        let signature = self.signer(&payload).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&signature[..], &payload].concat())
    }

    /// Checks and decodes a cursor that [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// 400 naming `cursor` for any other text, and for what another account or list was given. Nothing tells which.
    pub fn open(&self, text: &str) -> Result<Cursor, Failure> {
        self.opened(text).ok_or_else(|| Failure::bad_request("`cursor` is not one that this list gave out"))
    }

    fn opened(&self, text: &str) -> Option<Cursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (signature, payload) = bytes.split_at_checked(SIGNATURE_BYTES)?;
        self.signer(payload).verify_slice(signature).ok()?;
        let (flags, position) = payload.split_first()?;
        if flags & !(BACKWARDS | DESCENDING) != 0 {
            return None;
        }
        Some(Cursor {
            direction: if flags & BACKWARDS == 0 { Direction::Next } else { Direction::Previous },
            order: if flags & DESCENDING == 0 { Order::Ascending } else { Order::Descending },
            position: String::from_utf8(position.to_vec()).ok()?,
        })
    }

    fn signer(&self, payload: &[u8]) -> Hmac<Sha256> {
        // HMAC itself fills a short key up with zeros to SHA-256's block; done here, no length is left to be wrong.
        let mut block = [0; 64];
        block[..self.key.0.len()].copy_from_slice(&self.key.0);
        let mut signer = Hmac::<Sha256>::new(&block.into());
        for scope in [self.account.as_str(), self.list] {
            // The length keeps one part's end apart from the next one's beginning.
            signer.update(&(scope.len() as u64).to_be_bytes());
            signer.update(scope.as_bytes());
        }
        signer.update(payload);
        signer
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> CursorKey {
        CursorKey::new([7; 32])
    }

    fn account(name: &str) -> AccountId {
        AccountId::parse(name).unwrap()
    }

    fn cursor(position: &str) -> Cursor {
        Cursor { direction: Direction::Next, order: Order::Descending, position: position.to_owned() }
    }

    fn check_refused(scope: &CursorScope<'_>, text: &str) {
        let failure = scope.open(text).unwrap_err();
        assert_eq!(failure.status(), 400);
        assert_eq!(failure.problems()[0].detail, "`cursor` is not one that this list gave out");
    }

    #[test]
    fn a_cursor_is_worth_nothing_elsewhere() {
        let (key, first) = (key(), account("first"));
        let text = key.scope(&first, "jobs").seal(&cursor("x"));
        assert_eq!(key.scope(&first, "jobs").open(&text).unwrap(), cursor("x"));
        check_refused(&key.scope(&account("second"), "jobs"), &text);
        check_refused(&key.scope(&first, "jobs?status=queued"), &text);
        check_refused(&key.scope(&account("firstj"), "obs"), &text);
        check_refused(&CursorKey::new([8; 32]).scope(&first, "jobs"), &text);
    }

    #[test]
    fn what_was_never_given_out_is_refused() {
        let (key, account) = (key(), account("a"));
        let scope = key.scope(&account, "jobs");
        let text = scope.seal(&cursor("x"));
        for wrong in ["", "x", "=", &text[1..], &text[..text.len() - 1], &format!("{text}="), &format!("{text}A")] {
            check_refused(&scope, wrong);
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", key()), "CursorKey(…)");
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_was(position: String, list: String, next: bool, ascending: bool) {
            let (key, account) = (key(), account("a"));
            let scope = key.scope(&account, &list);
            let cursor = Cursor {
                direction: if next { Direction::Next } else { Direction::Previous },
                order: if ascending { Order::Ascending } else { Order::Descending },
                position,
            };
            prop_assert_eq!(scope.open(&scope.seal(&cursor)).unwrap(), cursor);
        }

        #[test]
        fn arbitrary_text_is_refused(text: String, bytes: Vec<u8>) {
            let (key, account) = (key(), account("a"));
            let scope = key.scope(&account, "jobs");
            check_refused(&scope, &text);
            check_refused(&scope, &URL_SAFE_NO_PAD.encode(bytes));
        }

        #[test]
        fn one_flipped_bit_is_refused(position in ".{0,20}") {
            let (key, account) = (key(), account("a"));
            let scope = key.scope(&account, "jobs");
            let text = scope.seal(&cursor(&position));
            let flips = |length: usize| (0..length * 8).map(|bit| (bit / 8, 1_u8 << (bit % 8)));
            for (index, mask) in flips(text.len()) {
                let mut bytes = text.clone().into_bytes();
                bytes[index] ^= mask;
                check_refused(&scope, &String::from_utf8_lossy(&bytes));
            }
            let payload = URL_SAFE_NO_PAD.decode(&text).unwrap();
            for (index, mask) in flips(payload.len()) {
                let mut bytes = payload.clone();
                bytes[index] ^= mask;
                check_refused(&scope, &URL_SAFE_NO_PAD.encode(bytes));
            }
        }
    }
}
