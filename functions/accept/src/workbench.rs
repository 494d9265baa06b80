//! Threads for work on large bodies, beside those that answer requests, and only so many at a time.
//!
//! Decompressing, reading and packing a body may take a good part of a second of CPU, and several times its decompressed size
//! of memory. In a function of its own that is nobody else's time. In the local run it would be, and twenty such requests at
//! once would hold a gigabyte.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use wire::Failure;

/// A body of fewer bytes, not compressed, is worked on in less time than it takes to hand it over.
const SMALL: usize = 64 * 1024;

/// When to come back when there was no place, in seconds.
const RETRY: u32 = 2;

type Work = Box<dyn FnOnce() + Send>;

/// A pool of places for large bodies, each with a thread of its own: so the memory that one body took is used again for
/// the next, and is not taken anew by each thread of the runtime.
#[derive(Clone, Debug)]
pub(crate) struct Workbench {
    places: usize,
    free: Arc<Semaphore>,
    /// Where work is handed over, once there was any.
    work: Arc<OnceLock<mpsc::Sender<Work>>>,
}

impl Workbench {
    /// Makes a pool with a place for each processor.
    pub(crate) fn new() -> Self {
        Self::with(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
    }

    fn with(places: usize) -> Self {
        Self { places, free: Arc::new(Semaphore::new(places)), work: Arc::default() }
    }

    /// Takes a place for a body of so many bytes, for as long as it or what is made of it is in memory. A small one
    /// needs none.
    ///
    /// # Errors
    /// 503 when no place becomes free by `until`.
    pub(crate) async fn place(&self, bytes: usize, is_compressed: bool, until: Instant) -> Result<Place, Failure> {
        if bytes < SMALL && !is_compressed {
            return Ok(Place(None));
        }
        match timeout_at(until, Arc::clone(&self.free).acquire_owned()).await {
            Ok(Ok(permit)) => {
                let work = self.work.get_or_init(|| threads(self.places));
                Ok(Place(Some((Arc::new(permit), work.clone()))))
            }
            Ok(Err(closed)) => Err(Failure::internal(closed)),
            Err(_) => Err(Failure::unavailable(RETRY).because("other large bodies took too long")),
        }
    }
}

/// Starts the threads, which end when nobody is left to hand anything over.
fn threads(places: usize) -> mpsc::Sender<Work> {
    let (work, handed) = mpsc::channel::<Work>();
    let handed = Arc::new(Mutex::new(handed));
    for _ in 0..places {
        let handed = Arc::clone(&handed);
        let next = move || handed.lock().unwrap_or_else(PoisonError::into_inner).recv();
        std::thread::spawn(move || {
            while let Ok(work) = next() {
                // Whoever waits for it is told by that nothing comes. The panic's own text is printed where it happened.
                let _ = std::panic::catch_unwind(AssertUnwindSafe(work));
            }
        });
    }
    work
}

/// A place in the pool, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Option<(Arc<OwnedSemaphorePermit>, mpsc::Sender<Work>)>);

impl Place {
    /// Runs a piece of work: at once for a small body, and on the thread of the place for a large one.
    ///
    /// # Errors
    /// Those of the work; 500 when it panics.
    pub(crate) async fn run<Answer: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<Answer, Failure> + Send + 'static,
    ) -> Result<Answer, Failure> {
        let Some((permit, bench)) = &self.0 else { return work() };
        let (done, answer) = oneshot::channel();
        // A client that hangs up ends the waiting for this work, and not the work.
        let permit = Arc::clone(permit);
        let piece = move || {
            let _permit = permit;
            // Nobody may wait for it any more.
            let _ = done.send(work());
        };
        bench.send(Box::new(piece)).map_err(|_| Failure::internal("no thread works on large bodies"))?;
        answer.await.map_err(Failure::internal)?
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(10)
    }

    #[tokio::test]
    async fn a_small_body_is_worked_on_here_and_a_large_one_elsewhere() {
        let bench = Workbench::new();
        let here = std::thread::current().id();
        for (bytes, is_compressed, stays) in [(SMALL - 1, false, true), (SMALL, false, false), (1, true, false)] {
            let place = bench.place(bytes, is_compressed, soon()).await.unwrap();
            let there = place.run(|| Ok(std::thread::current().id())).await.unwrap();
            assert_eq!(there == here, stays, "{bytes} {is_compressed}");
        }
    }

    #[tokio::test]
    async fn there_are_only_so_many_places_and_one_who_finds_none_is_told_to_come_back() {
        let bench = Workbench::with(1);
        let taken = bench.place(SMALL, false, soon()).await.unwrap();
        assert!(bench.place(SMALL, false, soon()).await.is_err());
        assert!(bench.place(SMALL - 1, false, soon()).await.is_ok());
        drop(taken);
        assert!(bench.place(SMALL, false, soon()).await.is_ok());
    }

    #[tokio::test]
    async fn a_place_is_taken_for_as_long_as_there_is_work_whoever_waits_for_it() {
        let bench = Workbench::with(1);
        let (end, ended) = mpsc::channel::<()>();
        let place = bench.place(SMALL, false, soon()).await.unwrap();
        let working = tokio::time::timeout(Duration::from_millis(10), place.run(move || Ok(ended.recv().is_err())));
        assert!(working.await.is_err(), "nobody waits any more");
        drop(place);
        assert!(bench.place(SMALL, false, soon()).await.is_err());
        drop(end);
        assert!(bench.place(SMALL, false, Instant::now() + Duration::from_secs(10)).await.is_ok());
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_gives_its_place_back() {
        let bench = Workbench::with(1);
        let place = bench.place(SMALL, false, soon()).await.unwrap();
        assert!(place.run::<()>(|| panic!("a bug")).await.is_err());
        drop(place);
        assert!(bench.place(SMALL, false, soon()).await.is_ok());
    }
}
