//! The cursors of lists: what is given out comes back, and nothing else does.

#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::account::AccountId;
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;
use sundial_fuzz::{RECIPE, account};
use wire::{Cursor, CursorKey, CursorScope, Direction, Order};

const SECRET: [u8; 32] = [7; 32];

fuzz_target!(|input: &[u8]| {
    if let Some((&RECIPE, recipe)) = input.split_first() {
        let Ok(recipe) = Recipe::arbitrary_take_rest(Unstructured::new(recipe)) else { return };
        recipe.check();
    } else {
        let Ok(text) = std::str::from_utf8(input) else { return };
        check_refused(&CursorKey::new(SECRET).scope(&account(), "jobs"), text);
    }
});

/// A cursor that is given out, and what somebody tries with it.
#[derive(Arbitrary, Debug)]
struct Recipe<'input> {
    secret: u8,
    list: &'input str,
    position: &'input str,
    backwards: bool,
    descending: bool,
    attempt: Attempt<'input>,
}

#[derive(Arbitrary, Debug)]
enum Attempt<'input> {
    OtherText {
        at: u16,
        with: char,
        insert: bool,
    },
    OtherBits {
        at: u16,
        mask: u8,
    },
    Shorter {
        by: u16,
    },
    Longer {
        end: &'input str,
    },
    OtherList {
        list: &'input str,
    },
    OtherAccount {
        account: &'input str,
    },
    OtherSecret {
        secret: u8,
    },
    /// Bytes of anybody's choice with the signature that belongs to them, which only the service can make.
    Signed {
        payload: &'input [u8],
    },
}

impl Recipe<'_> {
    fn check(&self) {
        let (account, key) = (account(), CursorKey::new([self.secret; 32]));
        let scope = key.scope(&account, self.list);
        let cursor = Cursor {
            direction: if self.backwards { Direction::Previous } else { Direction::Next },
            order: if self.descending { Order::Descending } else { Order::Ascending },
            position: self.position.to_owned(),
        };
        let sealed = scope.seal(&cursor);
        assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        assert!(scope.open(&sealed).is_ok_and(|opened| opened == cursor), "a cursor came back as another");
        let flags = u8::from(self.backwards) | u8::from(self.descending) << 1;
        let payload = [&[flags], self.position.as_bytes()].concat();
        assert_eq!(sealed, self.signed(&payload), "cursors that clients hold depend on how they are spelled");
        self.attempt(&account, &scope, &sealed);
    }

    fn attempt(&self, account: &AccountId, scope: &CursorScope<'_>, sealed: &str) {
        match &self.attempt {
            Attempt::OtherText { at, with, insert } => {
                let at = usize::from(*at) % sealed.len();
                let text = format!("{}{with}{}", &sealed[..at], &sealed[if *insert { at } else { at + 1 }..]);
                check_unless(scope, &text, sealed);
            }
            Attempt::OtherBits { at, mask } => {
                let mut bytes = URL_SAFE_NO_PAD.decode(sealed).expect("a cursor is base64");
                let at = usize::from(*at) % bytes.len();
                bytes[at] ^= mask;
                check_unless(scope, &URL_SAFE_NO_PAD.encode(bytes), sealed);
            }
            Attempt::Shorter { by } => check_unless(scope, &sealed[..usize::from(*by) % sealed.len()], sealed),
            Attempt::Longer { end } => check_unless(scope, &format!("{sealed}{end}"), sealed),
            Attempt::OtherList { list } => {
                if *list != self.list {
                    check_refused(&CursorKey::new([self.secret; 32]).scope(account, list), sealed);
                }
            }
            Attempt::OtherAccount { account: other } => {
                let Some(other) = AccountId::parse(other).ok().filter(|other| other != account) else { return };
                check_refused(&CursorKey::new([self.secret; 32]).scope(&other, self.list), sealed);
            }
            Attempt::OtherSecret { secret } => {
                if *secret != self.secret {
                    check_refused(&CursorKey::new([*secret; 32]).scope(account, self.list), sealed);
                }
            }
            Attempt::Signed { payload } => {
                let text = self.signed(payload);
                let readable = payload.split_first().and_then(|(flags, position)| {
                    let position = std::str::from_utf8(position).ok().filter(|_| *flags < 4)?;
                    Some((*flags, position))
                });
                match (scope.open(&text), readable) {
                    (Ok(cursor), Some((flags, position))) => {
                        assert_eq!(cursor.direction == Direction::Previous, flags & 1 != 0);
                        assert_eq!(cursor.order == Order::Descending, flags & 2 != 0);
                        assert_eq!(cursor.position, position);
                        assert_eq!(scope.seal(&cursor), text);
                    }
                    (Err(_), None) => check_refused(scope, &text),
                    (Ok(_), None) => panic!("a cursor of what is none"),
                    (Err(_), Some(_)) => panic!("a cursor that was given out is refused"),
                }
            }
        }
    }

    /// The payload with its signature, as the description of the format has it.
    fn signed(&self, payload: &[u8]) -> String {
        let mut signer = Hmac::<Sha256>::new_from_slice(&[self.secret; 32]).expect("any length is a key");
        for scope in [account().as_str(), self.list] {
            signer.update(&(scope.len() as u64).to_be_bytes());
            signer.update(scope.as_bytes());
        }
        signer.update(payload);
        URL_SAFE_NO_PAD.encode([signer.finalize().into_bytes().as_slice(), payload].concat())
    }
}

fn check_unless(scope: &CursorScope<'_>, text: &str, sealed: &str) {
    if text != sealed {
        check_refused(scope, text);
    }
}

fn check_refused(scope: &CursorScope<'_>, text: &str) {
    let Err(failure) = scope.open(text) else { panic!("{text:?} was never given out") };
    assert_eq!(failure.status(), 400);
    assert_eq!(failure.problems()[0].detail, "`cursor` is not one that this list gave out");
}
