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
    /// How far the wall clock was moved, in milliseconds.
    moved: Arc<AtomicU64>,
}

impl SimulatedClock {
    /// Starts now, in a runtime whose clock is paused. What is random follows from `seed`.
    pub fn start(seed: u64) -> Self {
        const STARTS_AT: Timestamp = Timestamp::from_millis(1_764_000_000_000);
        Self { wall: Clock::manual(STARTS_AT, seed), started: Instant::now(), moved: Arc::default() }
    }

    /// How long the run has lasted, in its own time.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes the functions' clock to where the runtime's is.
    pub fn keep_up(&self) {
        let elapsed = u64::try_from(self.elapsed().as_millis()).expect("a bounded run");
        let moved = self.moved.swap(elapsed, Ordering::SeqCst);
        self.wall.advance(elapsed.saturating_sub(moved));
    }

    /// Lets so much time pass.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
        self.keep_up();
    }
}
