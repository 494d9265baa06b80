//! Suspects: messages that were in flight when the process died, one of which may be why.
//!
//! Its neighbours are not to blame, and nobody can tell them apart. So none of those receives counts towards the dead letters, and
//! each of them is handed out alone the next time: nothing else is in flight then. What dies alone is likely to be the cause, so
//! it waits a little longer each time, for the others to get on, and is given up after [`MOST_DEATHS`].

use std::collections::{BTreeSet, HashMap};

use domain::time::Timestamp;

use super::index::{Entry, RowId};

/// So often the process may die with a message in flight. A healthy one is finished long before, however often the process is
/// killed; one that kills it has by then done so for half an hour.
pub(super) const MOST_DEATHS: u32 = 20;

/// How much longer a message waits after each death but the first, in milliseconds, and how long at the most.
const LONGER_MILLIS: u64 = 10_000;
const LONGEST_MILLIS: u64 = 120_000;

/// When a message that has died so often may be handed out by a process that started at `start`.
fn not_before(start: Timestamp, deaths: u32) -> Timestamp {
    start.plus_millis((u64::from(deaths.saturating_sub(1)) * LONGER_MILLIS).min(LONGEST_MILLIS))
}

/// The suspects of the main lane, waiting or handed out.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    entries: HashMap<RowId, Entry>,
    /// Those that wait, by when each may be handed out.
    waiting: BTreeSet<(Timestamp, RowId)>,
    /// The one that is handed out, and until when.
    in_flight: Option<(Timestamp, RowId)>,
}

/// A decision of what may be handed out next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// This suspect, alone.
    Suspect(RowId),
    /// Nothing: a suspect is handed out, or waits until nothing else is.
    Nobody,
    /// Any message that is no suspect.
    Others,
}

impl Suspects {
    /// Adds a suspect that was found when the process started.
    pub(super) fn add(&mut self, row: RowId, entry: Entry, start: Timestamp) {
        self.waiting.insert((not_before(start, entry.deaths), row));
        self.entries.insert(row, entry);
    }

    /// Decides what may be handed out next, when so many other messages are in flight.
    pub(super) fn turn(&self, now: Timestamp, others_in_flight: usize) -> Turn {
        match self.waiting.first() {
            _ if self.in_flight.is_some() => Turn::Nobody,
            Some((at, _)) if *at > now => Turn::Others,
            Some(_) if others_in_flight > 0 => Turn::Nobody,
            Some((_, row)) => Turn::Suspect(*row),
            None => Turn::Others,
        }
    }

    /// Hands a suspect out until `until`.
    pub(super) fn take(&mut self, row: RowId, until: Timestamp) {
        self.waiting.retain(|(_, waiting)| *waiting != row);
        self.in_flight = Some((until, row));
        if let Some(entry) = self.entries.get_mut(&row) {
            entry.receives += 1;
        }
    }

    /// Undoes a [`take`](Self::take) that could not be committed.
    pub(super) fn release(&mut self, row: RowId, now: Timestamp) {
        self.in_flight = None;
        self.waiting.insert((now, row));
        if let Some(entry) = self.entries.get_mut(&row) {
            entry.receives = entry.receives.saturating_sub(1);
        }
    }

    pub(super) fn get(&self, row: RowId) -> Option<&Entry> {
        self.entries.get(&row)
    }

    /// Forgets a suspect, whatever its state.
    pub(super) fn remove(&mut self, row: RowId) -> Option<Entry> {
        let entry = self.entries.remove(&row)?;
        self.waiting.retain(|(_, waiting)| *waiting != row);
        self.in_flight = self.in_flight.filter(|(_, flying)| *flying != row);
        Some(entry)
    }

    /// Takes out the suspect whose visibility timeout has ended. It failed by itself and the process lives: from now on
    /// it is like any other message.
    pub(super) fn bring_back(&mut self, now: Timestamp) -> Option<(RowId, Entry)> {
        let (_, row) = self.in_flight.filter(|(until, _)| *until <= now)?;
        self.remove(row).map(|entry| (row, entry))
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn in_flight(&self) -> usize {
        usize::from(self.in_flight.is_some())
    }

    /// The time at which [`turn`](Self::turn) may change, if nothing else happens.
    pub(super) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        match self.in_flight {
            Some((until, _)) => Some(until),
            // One that is due waits for what is in flight, which says by itself when it ends.
            None => self.waiting.first().map(|(at, _)| *at).filter(|at| *at > now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn suspects(deaths: &[u32]) -> Suspects {
        let mut suspects = Suspects::default();
        for (row, deaths) in (1..).zip(deaths) {
            suspects.add(RowId(row), Entry::waiting("acme".into(), 1).after_deaths(*deaths), START);
        }
        suspects
    }

    #[test]
    fn each_is_handed_out_alone_and_who_died_before_waits_longer() {
        let mut suspects = suspects(&[2, 1]);
        assert_eq!(suspects.turn(START, 3), Turn::Nobody, "it waits until nothing else is in flight");
        assert_eq!(suspects.turn(START, 0), Turn::Suspect(RowId(2)));
        suspects.take(RowId(2), START.plus_millis(30_000));
        assert_eq!(
            (suspects.turn(START, 0), suspects.next_change(START)),
            (Turn::Nobody, Some(START.plus_millis(30_000)))
        );
        assert!(suspects.remove(RowId(2)).is_some_and(|entry| entry.receives == 2));
        assert_eq!(
            (suspects.turn(START, 0), suspects.next_change(START)),
            (Turn::Others, Some(START.plus_millis(10_000)))
        );
        let later = START.plus_millis(10_000);
        assert_eq!((suspects.turn(later, 0), suspects.turn(later, 1)), (Turn::Suspect(RowId(1)), Turn::Nobody));
        assert_eq!(suspects.next_change(later), None);
    }

    #[test]
    fn one_that_fails_by_itself_is_like_any_other() {
        let mut suspects = suspects(&[1]);
        let until = START.plus_millis(30_000);
        suspects.take(RowId(1), until);
        assert!(suspects.bring_back(START.plus_millis(29_999)).is_none());
        let (row, entry) = suspects.bring_back(until).unwrap();
        assert_eq!((row, entry.receives, entry.deaths), (RowId(1), 2, 1));
        assert_eq!((suspects.turn(until, 5), suspects.waiting(), suspects.in_flight()), (Turn::Others, 0, 0));
    }

    #[test]
    fn what_could_not_be_written_down_was_not_handed_out() {
        let mut suspects = suspects(&[1]);
        suspects.take(RowId(1), START.plus_millis(30_000));
        suspects.release(RowId(1), START);
        assert_eq!(suspects.turn(START, 0), Turn::Suspect(RowId(1)));
        assert_eq!(suspects.get(RowId(1)).map(|entry| entry.receives), Some(1));
    }
}
