//! Exponential backoff between attempts of a call.

use std::time::Duration;

use domain::clock::Clock;

/// A sequence of waits that double up to a longest, each shortened at random by up to half, so that callers who were
/// refused together do not come back together.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Starts with a wait of `first`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }

    /// The length of the next wait.
    pub fn next_wait(&mut self, clock: &Clock) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.longest);
        let fraction = f64::from(u32::from_le_bytes(clock.random())) / f64::from(u32::MAX);
        whole.mul_f64(0.5 + fraction / 2.0)
    }

    /// Sleeps for the next wait.
    pub async fn wait(&mut self, clock: &Clock) {
        tokio::time::sleep(self.next_wait(clock)).await;
    }
}

#[cfg(test)]
mod tests {
    use domain::time::Timestamp;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_vary() {
        let clock = Clock::manual(Timestamp::default(), 1);
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(40));
        let waits: Vec<_> = (0..4).map(|_| backoff.next_wait(&clock).as_micros()).collect();
        for (wait, whole) in waits.iter().zip([10_000, 20_000, 40_000, 40_000]) {
            assert!((whole / 2..=whole).contains(wait), "{waits:?}");
        }
        assert_ne!(waits[2], waits[3]);
    }
}
