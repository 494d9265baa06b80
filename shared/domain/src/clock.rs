//! The clock and the source of randomness of a program: the only way by which either comes in.
//!
//! Everything else in this crate is a function of its arguments, so a test that holds a [`Clock`] holds the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

/// A clock and a source of random bytes. Clones share both.
#[derive(Clone, Debug)]
pub struct Clock {
    time: Time,
    randomness: Randomness,
}

#[derive(Clone, Debug)]
enum Time {
    System,
    /// The system's clock moved forward by so many milliseconds.
    Shifted(Arc<AtomicU64>),
    /// Stands still at so many milliseconds since the epoch until it is advanced.
    Manual(Arc<AtomicU64>),
}

#[derive(Clone, Debug)]
enum Randomness {
    System,
    /// SplitMix64: the same seed gives the same bytes.
    Seeded(Arc<AtomicU64>),
}

impl Clock {
    /// The system's clock and the system's randomness: what every deployed function uses.
    #[must_use]
    pub fn system() -> Self {
        Self { time: Time::System, randomness: Randomness::System }
    }

    /// The system's clock, which a test may move forward with [`advance`](Self::advance), and the system's randomness.
    #[must_use]
    pub fn shiftable() -> Self {
        Self { time: Time::Shifted(Arc::new(AtomicU64::new(0))), randomness: Randomness::System }
    }

    /// A clock that moves only when told to, and bytes that follow from `seed`.
    #[must_use]
    pub fn manual(start: Timestamp, seed: u64) -> Self {
        Self {
            time: Time::Manual(Arc::new(AtomicU64::new(start.as_millis()))),
            randomness: Randomness::Seeded(Arc::new(AtomicU64::new(seed))),
        }
    }

    /// The time now, in whole milliseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.time {
            Time::System => system_now(),
            Time::Shifted(shift) => system_now().plus_millis(shift.load(Ordering::SeqCst)),
            Time::Manual(millis) => Timestamp::from_millis(millis.load(Ordering::SeqCst)),
        }
    }

    /// Moves a shiftable or manual clock forward.
    ///
    /// # Panics
    /// On the system's clock, which nobody moves.
    pub fn advance(&self, millis: u64) {
        match &self.time {
            Time::System => panic!("the system's clock cannot be moved"),
            Time::Shifted(offset) | Time::Manual(offset) => {
                offset.fetch_add(millis, Ordering::SeqCst);
            }
        }
    }

    /// Random bytes, unpredictable unless seeded.
    ///
    /// # Panics
    /// When the operating system gives no randomness, which leaves nothing safe to do.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.randomness {
            Randomness::System => {
                getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
            }
            Randomness::Seeded(state) => {
                for piece in bytes.chunks_mut(8) {
                    let state = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
                    let word = split_mix(state).to_le_bytes();
                    piece.copy_from_slice(&word[..piece.len()]);
                }
            }
        }
        bytes
    }
}

fn system_now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

fn split_mix(state: u64) -> u64 {
    let mut word = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told_and_clones_share_it() {
        let clock = Clock::manual(Timestamp::from_millis(1_000), 7);
        let clone = clock.clone();
        assert_eq!(clock.now(), Timestamp::from_millis(1_000));
        clone.advance(500);
        assert_eq!(clock.now(), Timestamp::from_millis(1_500));
    }

    #[test]
    fn the_system_clock_tells_the_time() {
        let by_system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let told = Clock::system().now().as_seconds();
        assert!((by_system..by_system + 60).contains(&told), "{told} at {by_system}");
    }

    /// The first numbers of the published generator for the seed 1234567.
    #[test]
    fn seeded_bytes_are_those_of_split_mix() {
        let clock = Clock::manual(Timestamp::default(), 1_234_567);
        for number in [6_457_827_717_110_365_317_u64, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423] {
            assert_eq!(u64::from_le_bytes(clock.random()), number);
        }
    }

    #[test]
    fn a_seed_gives_the_same_bytes_again_and_never_the_same_twice_in_a_row() {
        let bytes = |seed| {
            let clock = Clock::manual(Timestamp::from_millis(0), seed);
            [clock.random::<10>(), clock.random::<10>()]
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
        assert_ne!(bytes(1)[0], bytes(1)[1]);
    }
}
