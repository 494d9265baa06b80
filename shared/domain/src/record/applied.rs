//! Marks of the writes that were applied to a record, by which a redelivered item is known to be done.

use crate::job::JobId;
use crate::limits;
use crate::time::Timestamp;

/// The mark that a write leaves on its record: what the write was made for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AppliedWrite {
    pub job: JobId,
    /// Position in the job of the last item that the write applied. All items of one record that share a chunk are
    /// applied by one write, so this tells the write from every other of the job.
    pub position: u32,
    /// When it was applied, in whole seconds.
    pub at: Timestamp,
}

/// The marks of the latest writes of one record, oldest first: at most [`limits::APPLIED_WRITES_KEPT`], none older than
/// [`limits::APPLIED_WRITES_KEPT_SECONDS`] when the last was added.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AppliedWrites(Vec<AppliedWrite>);

/// The bytes are not what [`AppliedWrites::to_bytes`] makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the marks of writes on a row cannot be read")]
pub struct UnreadableAppliedWrites;

/// 16 bytes of job id, 4 of position, 4 of seconds since the epoch.
const MARK_BYTES: usize = 24;

impl AppliedWrites {
    /// These marks and one more, without those that are too old or too many.
    #[must_use]
    pub fn with(&self, mark: AppliedWrite) -> Self {
        let oldest = mark.at.as_seconds().saturating_sub(limits::APPLIED_WRITES_KEPT_SECONDS);
        let mut kept: Vec<_> = self.0.iter().copied().filter(|kept| kept.at.as_seconds() >= oldest).collect();
        kept.push(mark);
        let surplus = kept.len().saturating_sub(limits::APPLIED_WRITES_KEPT);
        kept.drain(..surplus);
        Self(kept)
    }

    /// Whether the marks include that of the write for `job` whose last item has this position.
    #[must_use]
    pub fn contains(&self, job: JobId, position: u32) -> bool {
        self.0.iter().any(|mark| mark.job == job && mark.position == position)
    }

    /// The positions in the marks of writes for `job`.
    pub fn positions_of(&self, job: JobId) -> impl Iterator<Item = u32> {
        self.0.iter().filter(move |mark| mark.job == job).map(|mark| mark.position)
    }

    /// Whether a write that left the row at `version_after` can have lost its mark since: whether so much was
    /// written, or so long ago, that the mark may have been dropped.
    ///
    /// `at` is when the plan was made. Four clocks tell the time: that of the worker that made the plan, of the one that
    /// wrote, of whoever wrote later and dropped the mark, and of the one that asks now. So the mark counts as dropped
    /// [`limits::CLOCK_MARGIN_SECONDS`] before it may be.
    #[must_use]
    pub fn may_have_dropped(version_after: u64, version_now: u64, at: Timestamp, now: Timestamp) -> bool {
        version_now.saturating_sub(version_after) >= limits::APPLIED_WRITES_KEPT as u64
            || now.as_seconds().saturating_sub(at.as_seconds())
                >= limits::APPLIED_WRITES_KEPT_SECONDS - limits::CLOCK_MARGIN_SECONDS
    }

    /// The marks as bytes, 24 for each: the job id, the position, and the seconds since the epoch.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * MARK_BYTES);
        for mark in &self.0 {
            bytes.extend_from_slice(mark.job.as_bytes());
            bytes.extend_from_slice(&mark.position.to_be_bytes());
            let seconds = u32::try_from(mark.at.as_seconds()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&seconds.to_be_bytes());
        }
        bytes
    }

    /// Reads the marks that [`to_bytes`](Self::to_bytes) made.
    ///
    /// # Errors
    /// When the bytes are not whole marks.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, UnreadableAppliedWrites> {
        let (marks, rest) = bytes.as_chunks::<MARK_BYTES>();
        if !rest.is_empty() {
            return Err(UnreadableAppliedWrites);
        }
        let read = |mark: &[u8; MARK_BYTES]| {
            let (job, rest) = mark.split_first_chunk::<16>()?;
            let (position, seconds) = rest.split_first_chunk::<4>()?;
            let seconds = u32::from_be_bytes(seconds.try_into().ok()?);
            Some(AppliedWrite {
                job: JobId::from_bytes(*job),
                position: u32::from_be_bytes(*position),
                at: Timestamp::from_seconds(u64::from(seconds)),
            })
        };
        marks.iter().map(read).collect::<Option<_>>().map(Self).ok_or(UnreadableAppliedWrites)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Clock;

    fn job() -> JobId {
        JobId::new(&Clock::manual(Timestamp::from_seconds(1_000_000), 1))
    }

    fn mark(position: u32, seconds: u64) -> AppliedWrite {
        AppliedWrite { job: job(), position, at: Timestamp::from_seconds(seconds) }
    }

    #[test]
    fn remembers_what_was_added() {
        let operations = AppliedWrites::default().with(mark(3, 10));
        assert!(operations.contains(job(), 3));
        assert!(!operations.contains(job(), 4));
    }

    #[test]
    fn tells_the_positions_of_one_job_from_those_of_others() {
        let clock = Clock::manual(Timestamp::from_seconds(1_000_000), 2);
        let [one, other, none] = [(); 3].map(|()| JobId::new(&clock));
        let of = |job, position| AppliedWrite { job, ..mark(position, 10) };
        let applied = AppliedWrites::default().with(of(one, 3)).with(of(other, 4)).with(of(one, 7));
        let positions = |job| applied.positions_of(job).collect::<Vec<_>>();
        assert_eq!([positions(one), positions(other), positions(none)], [vec![3, 7], vec![4], vec![]]);
    }

    #[test]
    fn forgets_after_an_hour_and_beyond_thirty_two() {
        let operations = AppliedWrites::default().with(mark(1, 0)).with(mark(2, 3_600));
        assert!(operations.contains(job(), 1));
        assert!(!operations.with(mark(3, 3_601)).contains(job(), 1));

        let many = (0..33).fold(AppliedWrites::default(), |kept, position| kept.with(mark(position, 0)));
        assert!(!many.contains(job(), 0) && many.contains(job(), 1) && many.contains(job(), 32));
    }

    #[test]
    fn a_dropped_mark_is_always_suspected() {
        let at = Timestamp::from_seconds(0);
        // A write left version 7 behind; 32 later writes push its mark out, 31 do not.
        assert!(!AppliedWrites::may_have_dropped(7, 7 + 31, at, at));
        assert!(AppliedWrites::may_have_dropped(7, 7 + 32, at, at));
        assert!(AppliedWrites::may_have_dropped(7, 7, at, Timestamp::from_seconds(3_600)));
        assert!(!AppliedWrites::may_have_dropped(7, 7, at, Timestamp::from_seconds(3_299)));
    }

    proptest! {
        /// By clocks that are up to 140 seconds apart, and 20 seconds between a decision and its agreement.
        #[test]
        fn a_mark_that_another_clock_has_dropped_is_suspected(
            passed in 3_000..4_500_u64, planned in 0..=140_u64, wrote in 0..=140_u64, later in 0..=140_u64,
            asked in 0..=140_u64, agreed in 0..=20_u64
        ) {
            const THEN: u64 = 1_000_000;
            let kept = AppliedWrites::default().with(mark(1, THEN + wrote));
            let dropped = !kept.with(mark(2, THEN + passed + later)).contains(job(), 1);
            let made_at = Timestamp::from_seconds(THEN + planned + agreed);
            let now = Timestamp::from_seconds(THEN + passed + asked);
            prop_assert!(!dropped || AppliedWrites::may_have_dropped(7, 8, made_at, now));
        }

        #[test]
        fn bytes_read_back(positions in proptest::collection::vec((any::<u32>(), 0..10_000_u64), 0..40)) {
            let operations = positions.iter().fold(AppliedWrites::default(), |kept, &(position, seconds)| {
                kept.with(mark(position, seconds))
            });
            prop_assert_eq!(AppliedWrites::from_bytes(&operations.to_bytes()), Ok(operations));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(AppliedWrites::from_bytes(&bytes).is_ok(), bytes.len() % MARK_BYTES == 0);
        }
    }
}
