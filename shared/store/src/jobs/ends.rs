//! News of the ends of jobs, among those who share a process.
//!
//! Deployed, the function that ends a job and the one that a client waits at are two processes: nobody hears anything, and who waits
//! looks at the job's row now and then. In the local run both are one, and a client is answered when its job ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::job::JobId;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The jobs whose ends somebody in this process waits for. Its clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends(Arc<Mutex<HashMap<JobId, Arc<Notify>>>>);

impl Ends {
    /// Waits for the end of a job that is ended through this process, for as long as the answer is kept.
    pub(super) fn of(&self, id: JobId) -> EndOfJob {
        let news = Arc::clone(self.waited_for().entry(id).or_default());
        EndOfJob { ends: self.clone(), id, news }
    }

    /// Tells those who wait that the job has ended.
    pub(super) fn tell(&self, id: JobId) {
        if let Some(news) = self.waited_for().get(&id) {
            news.notify_waiters();
        }
    }

    fn waited_for(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for the end of one job: see [`Jobs::end_of`](crate::Jobs::end_of).
#[derive(Debug)]
pub struct EndOfJob {
    ends: Ends,
    id: JobId,
    news: Arc<Notify>,
}

impl EndOfJob {
    /// Ends once the job has ended through this process, after this was called; it need not be awaited at once. Never, where another
    /// process ends the job.
    pub fn heard(&self) -> Notified<'_> {
        self.news.notified()
    }
}

impl Drop for EndOfJob {
    fn drop(&mut self) {
        let mut waited_for = self.ends.waited_for();
        // This one's and the map's: nobody else waits, and nobody can begin to while the map is locked.
        if Arc::strong_count(&self.news) == 2 {
            waited_for.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use domain::clock::Clock;
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn each_who_waits_for_a_job_hears_of_its_end_and_of_no_other() {
        let ends = Ends::default();
        let [one, other] = [(); 2].map(|()| JobId::new(&Clock::system()));
        let waits = [ends.clone().of(one), ends.of(one), ends.of(other)];
        // An end after this counts, whenever it is asked for.
        let [mut first, mut second, mut third] = waits.each_ref().map(|wait| Box::pin(wait.heard()));
        ends.tell(one);
        assert_eq!(first.as_mut().now_or_never(), Some(()));
        assert_eq!(second.as_mut().now_or_never(), Some(()));
        assert_eq!(third.as_mut().now_or_never(), None);
        let after = pin!(waits[0].heard());
        assert_eq!(after.now_or_never(), None, "what came before is not news");
    }

    #[test]
    fn nothing_is_kept_of_those_who_have_gone() {
        let ends = Ends::default();
        let id = JobId::new(&Clock::system());
        let (one, other) = (ends.of(id), ends.of(id));
        drop(one);
        assert_eq!(ends.waited_for().len(), 1);
        drop(other);
        assert_eq!(ends.waited_for().len(), 0);
        ends.tell(id);
    }
}
