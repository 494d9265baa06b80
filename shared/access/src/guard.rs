//! Protection against guessing of passwords: waits after wrong ones.
//!
//! Attempts are counted for one user from one source, and forgotten with the first that is right. An attempt is counted
//! *before* its password is hashed, by compare-and-set, so that a thousand guesses at one moment are not one guess.
//! The first [`FREE`] are free; after each further one nobody from that source may try that user's password for
//! 1, 2, 4 … [`LONGEST`] seconds. A lock never lasts longer than that, never touches another source, and has nothing to do
//! with tokens, which cannot be guessed: so an attacker from elsewhere cannot lock anybody out.

use domain::account::Email;
use domain::time::Timestamp;
use sha2::{Digest as _, Sha256};
use store::access::{Attempts, GuardKey};

use crate::source::Source;

/// Attempts after which nobody has to wait.
const FREE: u32 = 5;
/// The longest wait, in seconds.
const LONGEST: u64 = 60;
/// After so long without an attempt they are forgotten, in milliseconds.
const FORGOTTEN_AFTER: u64 = 15 * 60 * 1_000;

/// What an attempt at a password may do now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Try the password, once these counts are stored.
    Attempt(Attempts),
    /// No attempt is made before this time.
    Locked(Timestamp),
}

/// The key of the counts of one user from one source. It is a hash, so that the database shows neither of the two.
pub(crate) fn key(email: &Email, source: Source) -> GuardKey {
    let hash = Sha256::digest(format!("{email}|{source}"));
    GuardKey(hex::encode(&hash[..16]))
}

pub(crate) fn judge(seen: Option<&Attempts>, now: Timestamp) -> Verdict {
    let before = match seen {
        Some(seen) if now < seen.locked_until => return Verdict::Locked(seen.locked_until),
        Some(seen) if now < seen.last_at.plus_millis(FORGOTTEN_AFTER) => seen.count,
        _ => 0,
    };
    let count = before.saturating_add(1);
    Verdict::Attempt(Attempts { count, last_at: now, locked_until: now.plus_millis(wait_after(count) * 1_000) })
}

/// Seconds that have to pass after that many attempts.
fn wait_after(attempts: u32) -> u64 {
    match attempts.checked_sub(FREE) {
        None | Some(0) => 0,
        Some(over) => 1_u64.checked_shl(over - 1).map_or(LONGEST, |seconds| seconds.min(LONGEST)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attempts of somebody who tries again as soon as it is allowed, until `end`, in milliseconds.
    fn attempts_until(end: u64) -> u32 {
        let (mut now, mut seen, mut made) = (Timestamp::default(), None, 0);
        while now.as_millis() < end {
            match judge(seen.as_ref(), now) {
                Verdict::Attempt(next) => {
                    made += 1;
                    seen = Some(next);
                    now = now.plus_millis(1);
                }
                Verdict::Locked(until) => now = until,
            }
        }
        made
    }

    #[test]
    fn waits_double_after_the_free_attempts_up_to_the_longest() {
        let waits: Vec<_> = (1..=14).map(wait_after).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(wait_after(u32::MAX), LONGEST);
    }

    /// The figure that SECURITY.md gives.
    #[test]
    fn a_patient_guesser_gets_1450_attempts_a_day() {
        assert_eq!(attempts_until(24 * 60 * 60 * 1_000), 1_450);
    }

    #[test]
    fn attempts_are_forgotten_after_a_while() {
        let locked_until = Timestamp::from_millis(1_000);
        let seen = Attempts { count: 40, last_at: Timestamp::default(), locked_until };
        let Verdict::Attempt(next) = judge(Some(&seen), Timestamp::from_millis(FORGOTTEN_AFTER)) else {
            panic!("locked")
        };
        assert_eq!(next.count, 1);
        assert_eq!(judge(Some(&seen), Timestamp::from_millis(999)), Verdict::Locked(locked_until));
    }

    #[test]
    fn each_user_and_each_source_is_counted_apart() {
        let [first, second] = ["a@b", "c@d"].map(|text| Email::parse(text).unwrap());
        let here = Source::of("192.0.2.1".parse().unwrap());
        assert_ne!(key(&first, here), key(&second, here));
        assert_ne!(key(&first, here), key(&first, Source::UNKNOWN));
        assert!(!key(&first, here).0.contains('@'));
    }
}
