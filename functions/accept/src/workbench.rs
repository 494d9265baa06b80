//! Where large bodies are worked on: beside the threads that answer others, and only so many at a time.
//!
//! Decompressing, reading and packing a body may take a good part of a second of CPU, and several times its decompressed size
//! of memory. In a function of its own that is nobody else's time. In the local run it would be, and twenty such requests at
//! once would hold a gigabyte.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use wire::Failure;

/// A body of fewer bytes, not compressed, is worked on in less time than it takes to hand it over.
const SMALL: usize = 64 * 1024;

/// When to come back when there was no place, in seconds.
const RETRY: u32 = 2;

/// The places for large bodies.
#[derive(Clone, Debug)]
pub(crate) struct Workbench(Arc<Semaphore>);

impl Workbench {
    /// One with a place for each processor.
    pub(crate) fn new() -> Self {
        let places = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self(Arc::new(Semaphore::new(places)))
    }

    /// A place for a body of so many bytes, for as long as it or what is made of it is in memory. A small one needs none.
    ///
    /// # Errors
    /// 503 when none becomes free until then.
    pub(crate) async fn place(&self, bytes: usize, is_compressed: bool, until: Instant) -> Result<Place, Failure> {
        if bytes < SMALL && !is_compressed {
            return Ok(Place(None));
        }
        match timeout_at(until, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place(Some(permit))),
            Ok(Err(closed)) => Err(Failure::internal(closed)),
            Err(_) => Err(Failure::unavailable(RETRY).because("other large bodies took too long")),
        }
    }
}

/// What [`Workbench::place`] gave.
#[derive(Debug)]
pub(crate) struct Place(Option<OwnedSemaphorePermit>);

impl Place {
    /// Does a piece of work: at once for a small body, and on a thread that may be kept busy for a large one.
    ///
    /// # Errors
    /// Those of the work; 500 when it panics.
    pub(crate) async fn run<Answer: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<Answer, Failure> + Send + 'static,
    ) -> Result<Answer, Failure> {
        match self.0 {
            None => work(),
            Some(_) => tokio::task::spawn_blocking(work).await.map_err(Failure::internal)?,
        }
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
        let bench = Workbench(Arc::new(Semaphore::new(1)));
        let taken = bench.place(SMALL, false, soon()).await.unwrap();
        assert!(bench.place(SMALL, false, soon()).await.is_err());
        assert!(bench.place(SMALL - 1, false, soon()).await.is_ok());
        drop(taken);
        assert!(bench.place(SMALL, false, soon()).await.is_ok());
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_gives_its_place_back() {
        let bench = Workbench(Arc::new(Semaphore::new(1)));
        let place = bench.place(SMALL, false, soon()).await.unwrap();
        assert!(place.run::<()>(|| panic!("a bug")).await.is_err());
        drop(place);
        assert!(bench.place(SMALL, false, soon()).await.is_ok());
    }
}
