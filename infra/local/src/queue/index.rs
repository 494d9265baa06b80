//! The order of messages: the part of the queue that needs neither a file nor a clock.
//!
//! The index knows every message of one lane by its row, but not its body. A message is either waiting or in flight;
//! whatever is in flight comes back when its visibility ends, unless it is removed before.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use domain::time::Timestamp;

/// The row of a message in the file. Rows are numbered in the order of arrival.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct RowId(pub(super) i64);

/// A message, as the index keeps it: without its body.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The account, as `MessageGroupId` names it.
    pub(super) group: Arc<str>,
    /// How often the message has been handed out.
    pub(super) receives: u32,
    /// How often the process died while the message was in flight.
    pub(super) deaths: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The message may be handed out. Left by [`Index::take`].
    Waiting,
    /// The message was handed out; it comes back at this time. Left by [`Index::bring_back`], [`Index::release`] or
    /// [`Index::remove`].
    InFlight(Timestamp),
}

impl Entry {
    pub(super) fn waiting(group: Arc<str>, receives: u32) -> Self {
        Self { group, receives, deaths: 0, state: State::Waiting }
    }
}

impl Entry {
    /// The same message after the process died so often with it.
    pub(super) fn after_deaths(self, deaths: u32) -> Self {
        Self { deaths, ..self }
    }

    /// How often it was handed out and failed, or was lost, while the process lived.
    pub(super) const fn failures(&self) -> u32 {
        self.receives.saturating_sub(self.deaths)
    }
}

/// The messages of one group (account).
#[derive(Debug, Default)]
struct Group {
    waiting: BTreeSet<RowId>,
    in_flight: usize,
    /// The serving at which this group last had its turn, or joined.
    last_served: u64,
}

/// A place in the order in which groups are served: fewest in flight first, then the one that waited longest.
type Turn = (usize, u64, Arc<str>);

/// An index of all messages of one lane, by whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: HashMap<RowId, Entry>,
    groups: HashMap<Arc<str>, Group>,
    /// One turn for each group that has something waiting.
    turns: BTreeSet<Turn>,
    /// What is in flight, by the end of its visibility.
    returns: BTreeSet<(Timestamp, RowId)>,
    servings: u64,
}

impl Index {
    /// Adds a message, or puts back one that [`remove`](Self::remove) returned, in the state it was in.
    pub(super) fn add(&mut self, row: RowId, entry: Entry) {
        let state = entry.state;
        self.change_group(&entry.group.clone(), |group| match state {
            State::Waiting => {
                group.waiting.insert(row);
            }
            State::InFlight(_) => group.in_flight += 1,
        });
        if let State::InFlight(until) = state {
            self.returns.insert((until, row));
        }
        self.entries.insert(row, entry);
    }

    pub(super) fn get(&self, row: RowId) -> Option<&Entry> {
        self.entries.get(&row)
    }

    /// Hands out one message until `until`: the oldest of the group with the fewest in flight, so that an account that
    /// keeps the consumers busy waits behind one that does not.
    pub(super) fn take(&mut self, until: Timestamp) -> Option<RowId> {
        let (_, _, name) = self.turns.first()?.clone();
        let row = *self.groups.get(&name)?.waiting.first()?;
        self.servings += 1;
        let serving = self.servings;
        self.change_group(&name, |group| {
            group.waiting.remove(&row);
            group.in_flight += 1;
            group.last_served = serving;
        });
        if let Some(entry) = self.entries.get_mut(&row) {
            entry.state = State::InFlight(until);
            entry.receives += 1;
        }
        self.returns.insert((until, row));
        Some(row)
    }

    /// Undoes a [`take`](Self::take) that could not be committed.
    pub(super) fn release(&mut self, row: RowId) {
        self.come_back(row);
        if let Some(entry) = self.entries.get_mut(&row) {
            entry.receives = entry.receives.saturating_sub(1);
        }
    }

    /// Forgets a message, whatever its state.
    pub(super) fn remove(&mut self, row: RowId) -> Option<Entry> {
        let entry = self.entries.remove(&row)?;
        self.change_group(&entry.group.clone(), |group| match entry.state {
            State::Waiting => {
                group.waiting.remove(&row);
            }
            State::InFlight(_) => group.in_flight -= 1,
        });
        if let State::InFlight(until) = entry.state {
            self.returns.remove(&(until, row));
        }
        Some(entry)
    }

    /// Makes every message whose visibility timeout has ended wait again, and names them.
    pub(super) fn bring_back(&mut self, now: Timestamp) -> Vec<RowId> {
        let mut back = Vec::new();
        while let Some(&(until, row)) = self.returns.first()
            && until <= now
        {
            self.come_back(row);
            back.push(row);
        }
        back
    }

    pub(super) fn waiting(&self) -> usize {
        self.entries.len() - self.returns.len()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.returns.len()
    }

    /// The time at which the next message in flight comes back.
    pub(super) fn next_return(&self) -> Option<Timestamp> {
        self.returns.first().map(|(until, _)| *until)
    }

    fn come_back(&mut self, row: RowId) {
        let Some(entry) = self.entries.get_mut(&row) else { return };
        let State::InFlight(until) = std::mem::replace(&mut entry.state, State::Waiting) else { return };
        let name = Arc::clone(&entry.group);
        self.returns.remove(&(until, row));
        self.change_group(&name, |group| {
            group.in_flight -= 1;
            group.waiting.insert(row);
        });
    }

    /// The one door to a group, which keeps its turn in step with it.
    fn change_group(&mut self, name: &Arc<str>, change: impl FnOnce(&mut Group)) {
        // A group that joins stands behind those already there: one that empties and fills again gains nothing by it.
        let joined = self.servings;
        let group =
            self.groups.entry(Arc::clone(name)).or_insert_with(|| Group { last_served: joined, ..Group::default() });
        self.turns.remove(&(group.in_flight, group.last_served, Arc::clone(name)));
        change(group);
        if !group.waiting.is_empty() {
            self.turns.insert((group.in_flight, group.last_served, Arc::clone(name)));
        } else if group.in_flight == 0 {
            self.groups.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn index(messages: &[(i64, &str)]) -> Index {
        let mut index = Index::default();
        for (row, group) in messages {
            index.add(RowId(*row), Entry::waiting((*group).into(), 0));
        }
        index
    }

    fn take_all(index: &mut Index) -> Vec<i64> {
        std::iter::from_fn(|| index.take(at(30_000))).map(|row| row.0).collect()
    }

    #[test]
    fn one_group_is_served_in_the_order_of_arrival() {
        assert_eq!(take_all(&mut index(&[(1, "loud"), (2, "loud"), (3, "loud")])), [1, 2, 3]);
    }

    #[test]
    fn a_group_with_many_in_flight_waits_behind_a_quiet_one() {
        let mut index = index(&[(1, "loud"), (2, "loud"), (3, "loud"), (4, "loud"), (5, "loud")]);
        assert_eq!(index.take(at(30_000)), Some(RowId(1)));
        assert_eq!(index.take(at(30_000)), Some(RowId(2)));
        index.add(RowId(6), Entry::waiting("quiet".into(), 0));
        index.add(RowId(7), Entry::waiting("quiet".into(), 0));
        assert_eq!(take_all(&mut index), [6, 7, 3, 4, 5]);
    }

    #[test]
    fn with_one_receiver_a_group_that_never_empties_starves_nobody() {
        let mut index = index(&[(1, "first"), (2, "second"), (3, "second")]);
        let mut served = Vec::new();
        for next in 10..20 {
            let row = index.take(at(30_000)).unwrap();
            served.push(row.0);
            let entry = index.remove(row).unwrap();
            if &*entry.group == "first" {
                index.add(RowId(next), Entry::waiting("first".into(), 0));
            }
        }
        assert_eq!(served[..4], [1, 2, 10, 3], "the two take turns while both have something");
    }

    #[test]
    fn what_was_released_counts_as_never_taken() {
        let mut index = index(&[(1, "group")]);
        let row = index.take(at(30_000)).unwrap();
        index.release(row);
        assert_eq!((index.waiting(), index.in_flight(), index.get(row).unwrap().receives), (1, 0, 0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u8),
        Take,
        Remove(usize),
        RemoveAndPutBack(usize),
        Release(usize),
        Pass(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..4_u8).prop_map(Step::Add),
            4 => Just(Step::Take),
            1 => any::<usize>().prop_map(Step::Remove),
            1 => any::<usize>().prop_map(Step::RemoveAndPutBack),
            1 => any::<usize>().prop_map(Step::Release),
            1 => (0..40_u64).prop_map(Step::Pass),
        ];
        prop::collection::vec(step, 0..120)
    }

    /// A message of the model: its group, and until when it is in flight.
    type Known = BTreeMap<i64, (String, Option<u64>)>;

    fn pick(known: &Known, choice: usize, in_flight_only: bool) -> Option<RowId> {
        let rows: Vec<_> =
            known.iter().filter(|(_, (_, until))| !in_flight_only || until.is_some()).map(|(row, _)| *row).collect();
        (!rows.is_empty()).then(|| RowId(rows[choice % rows.len()]))
    }

    proptest! {
        #[test]
        fn whatever_happens_no_message_is_lost_or_handed_out_twice_and_turns_are_fair(steps in steps()) {
            let mut index = Index::default();
            let mut known = Known::new();
            let mut now = 0;
            for (row, step) in (0..).zip(steps) {
                match step {
                    Step::Add(group) => {
                        index.add(RowId(row), Entry::waiting(group.to_string().into(), 0));
                        known.insert(row, (group.to_string(), None));
                    }
                    Step::Take => {
                        let flying = |group: &str| {
                            known.values().filter(|(name, until)| name == group && until.is_some()).count()
                        };
                        let fewest = known.values().filter(|(_, until)| until.is_none()).map(|(name, _)| flying(name)).min();
                        let taken = index.take(at(now + 30));
                        prop_assert_eq!(taken.is_some(), fewest.is_some());
                        if let Some(RowId(taken)) = taken {
                            let (group, until) = known.get(&taken).unwrap();
                            prop_assert_eq!(*until, None, "handed out twice");
                            prop_assert_eq!(Some(flying(group)), fewest, "not the group with the fewest in flight");
                            known.get_mut(&taken).unwrap().1 = Some(now + 30);
                        }
                    }
                    Step::Remove(choice) => {
                        if let Some(chosen) = pick(&known, choice, false) {
                            prop_assert!(index.remove(chosen).is_some());
                            known.remove(&chosen.0);
                        }
                    }
                    Step::RemoveAndPutBack(choice) => {
                        if let Some(chosen) = pick(&known, choice, false) {
                            let entry = index.remove(chosen).unwrap();
                            index.add(chosen, entry);
                        }
                    }
                    Step::Release(choice) => {
                        if let Some(chosen) = pick(&known, choice, true) {
                            index.release(chosen);
                            known.get_mut(&chosen.0).unwrap().1 = None;
                        }
                    }
                    Step::Pass(millis) => {
                        now += millis;
                        index.bring_back(at(now));
                        for (_, until) in known.values_mut() {
                            *until = until.filter(|until| *until > now);
                        }
                    }
                }
                let flying = known.values().filter(|(_, until)| until.is_some()).count();
                prop_assert_eq!(index.in_flight(), flying);
                prop_assert_eq!(index.waiting(), known.len() - flying);
                prop_assert_eq!(index.next_return(), known.values().filter_map(|(_, until)| *until).min().map(at));
            }
        }
    }
}
