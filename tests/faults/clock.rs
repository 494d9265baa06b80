//! The clock of a run: it moves only when nobody has anything to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::clock::Clock;
use domain::time::Timestamp;
use tokio::time::Instant;

/// The functions' clock, led by the paused clock of the runtime. Clones are the same.
#[derive(Clone, Debug)]
pub struct SimulatedClock {
    pub wall: Clock,
    started: Instant,
    /// How long the run had lasted then.
    before: Duration,
    /// How far the wall clock was moved, in milliseconds.
    moved: Arc<AtomicU64>,
}

impl SimulatedClock {
    /// Starts now, in a runtime whose clock is paused. What is random follows from `seed`.
    pub fn start(seed: u64) -> Self {
        Self::take_up(Duration::ZERO, seed)
    }

    /// As [`start`](Self::start), where the run has lasted so long already.
    pub fn take_up(before: Duration, seed: u64) -> Self {
        const STARTS_AT: Timestamp = Timestamp::from_millis(1_764_000_000_000);
        let moved = whole_millis(before);
        let wall = Clock::manual(STARTS_AT.plus_millis(moved), seed);
        Self { wall, started: Instant::now(), before, moved: Arc::new(moved.into()) }
    }

    /// How long the run has lasted, in its own time.
    pub fn elapsed(&self) -> Duration {
        self.before + self.started.elapsed()
    }

    /// Takes the functions' clock to where the runtime's is.
    pub fn keep_up(&self) {
        let elapsed = whole_millis(self.elapsed());
        let moved = self.moved.swap(elapsed, Ordering::SeqCst);
        self.wall.advance(elapsed.saturating_sub(moved));
    }

    /// Lets so much time pass.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
        self.keep_up();
    }
}

fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a bounded run")
}
