//! Closing a chunk that nobody will finish: which of its items were applied, and which never will be.
//!
//! Its workers may have agreed on successes and have died before they wrote them, or after, or be at it still. What the
//! records say decides. A row on which a success may yet be written is first moved on, which makes that write impossible:
//! see [`Standing::Open`]. What is known then goes over the plan by the same compare-and-set as every agreement, and no
//! agreement follows it.

use std::collections::BTreeMap;

use crate::chunk::{Chunk, Content};
use crate::job::JobId;
use crate::plan::{Entry, Outcome, Plan};
use crate::problem::Problem;
use crate::record::RecordId;
use crate::record::applied::AppliedWrites;
use crate::time::Timestamp;

/// The version and the marks of a row: what it tells of the writes that were made to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Footprint {
    Row {
        version: u64,
        applied: AppliedWrites,
    },
    /// There is a row, but not in a form that this code can read.
    Unreadable,
}

/// The standing of an agreed write: whether it was made, and whether it still can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// The row carries its mark.
    Applied,
    /// The row is where the write expects it: somebody may still make it, until the row is moved on.
    Open,
    /// The row has moved on without it: its condition never holds again.
    Impossible,
    /// So much was written since, or so long ago, that its mark may have been dropped.
    Unknown,
}

/// The records that the successes of a plan are written to, and the version that each write depends on.
#[must_use]
pub fn agreed_writes(plan: &Plan) -> BTreeMap<RecordId, u64> {
    let successes = plan.entries.iter().filter_map(|entry| match entry.outcome {
        Outcome::Success(id) => Some((id, entry.base)),
        Outcome::WouldMake | Outcome::Failure(_) => None,
    });
    successes.collect()
}

/// The standing of the write that the workers of a chunk of `job` agreed on, given the row that is there now.
#[must_use]
pub fn standing(job: JobId, plan: &Plan, base: u64, row: Option<&Footprint>, now: Timestamp) -> Standing {
    let (version, applied) = match row {
        None if base == 0 => return Standing::Open,
        // A tombstone that has expired; what comes after it begins at version 1 again, without this write.
        None => return Standing::Impossible,
        Some(Footprint::Unreadable) => return Standing::Unknown,
        Some(Footprint::Row { version, applied }) => (*version, applied),
    };
    let is_of_plan = |position: u32| plan.entries.binary_search_by_key(&position, |entry| entry.position).is_ok();
    if applied.positions_of(job).any(is_of_plan) {
        return Standing::Applied;
    }
    if version == base {
        return Standing::Open;
    }
    if version > base && AppliedWrites::may_have_dropped(base + 1, version, plan.made_at, now) {
        return Standing::Unknown;
    }
    Standing::Impossible
}

/// Makes the last plan of a chunk, which closes it.
///
/// `plan` is what its workers have agreed, if anything; `standings` is how each of the [`agreed_writes`] stands, where one
/// that is missing or open counts as unknown; `chunk` is the message, where there is one to tell which other items the
/// chunk has. None of those was applied, and none will be.
#[must_use]
pub fn close(
    plan: Option<&Plan>,
    standings: &BTreeMap<RecordId, Standing>,
    chunk: Option<&Chunk<'_>>,
    now: Timestamp,
) -> Plan {
    let mut entries: BTreeMap<u32, Entry> = BTreeMap::new();
    for entry in plan.into_iter().flat_map(|plan| &plan.entries) {
        let outcome = match &entry.outcome {
            // There is nothing to be applied.
            Outcome::WouldMake => {
                entries.insert(entry.position, entry.clone());
                continue;
            }
            Outcome::Success(id) => match standings.get(id) {
                Some(Standing::Applied) => {
                    entries.insert(entry.position, entry.clone());
                    continue;
                }
                Some(Standing::Impossible) => Outcome::failure(Problem::not_applied()),
                Some(Standing::Open | Standing::Unknown) | None => Outcome::failure(Problem::outcome_unknown()),
            },
            // Its reason holds where the item that it was judged after was applied.
            failure @ Outcome::Failure(_) => {
                let earlier = entry.relies_on.map(|earlier| entries.get(&earlier));
                let holds = earlier.is_none_or(|earlier| earlier.is_some_and(|earlier| earlier.outcome.is_success()));
                if holds { failure.clone() } else { Outcome::failure(Problem::not_applied()) }
            }
        };
        let client_ref = entry.client_ref.clone();
        entries.insert(entry.position, Entry { client_ref, ..Entry::new(entry.position, outcome, 0) });
    }
    for item in chunk.into_iter().flat_map(|chunk| &chunk.items) {
        entries.entry(item.position).or_insert_with(|| {
            let problem = match &item.content {
                Content::Refused(problem) => problem.clone(),
                Content::Raw(_) => Problem::not_applied(),
            };
            let client_ref = item.client_ref.as_deref().map(Box::from);
            Entry { client_ref, ..Entry::new(item.position, Outcome::failure(problem), 0) }
        });
    }
    Plan {
        revision: plan.map_or(0, |plan| plan.revision) + 1,
        made_at: plan.map_or(now, |plan| plan.made_at),
        closed: true,
        entries: entries.into_values().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountId;
    use crate::chunk::ChunkItem;
    use crate::clock::Clock;
    use crate::job::Operation;
    use crate::record::applied::AppliedWrite;

    const MADE_AT: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn job(seed: u64) -> JobId {
        JobId::new(&Clock::manual(MADE_AT, seed))
    }

    fn id(byte: u8) -> RecordId {
        RecordId::from_bytes([byte; 16])
    }

    fn success(position: u32, byte: u8, base: u64) -> Entry {
        Entry::new(position, Outcome::Success(id(byte)), base)
    }

    fn relying(position: u32, detail: &'static str, relies_on: Option<u32>) -> Entry {
        Entry { relies_on, ..Entry::new(position, Outcome::failure(Problem::unprocessable(detail)), 0) }
    }

    fn plan(entries: Vec<Entry>) -> Plan {
        Plan { revision: 3, made_at: MADE_AT, closed: false, entries }
    }

    fn row(version: u64, marks: &[(JobId, u32)]) -> Footprint {
        let applied = marks.iter().fold(AppliedWrites::default(), |kept, &(job, position)| {
            kept.with(AppliedWrite { job, position, at: MADE_AT })
        });
        Footprint::Row { version, applied }
    }

    fn check(base: u64, row: Option<&Footprint>, expected: Standing) {
        let plan = plan(vec![success(4, 1, base), success(7, 1, base)]);
        assert_eq!(standing(job(1), &plan, base, row, MADE_AT), expected, "{base} {row:?}");
    }

    #[test]
    fn the_row_says_how_a_write_stands() {
        check(0, None, Standing::Open);
        check(2, None, Standing::Impossible);
        check(2, Some(&row(2, &[])), Standing::Open);
        check(2, Some(&row(3, &[(job(1), 7)])), Standing::Applied);
        check(2, Some(&row(9, &[(job(1), 7), (job(2), 1)])), Standing::Applied);
        // Marks of another job, and of another chunk of this one, are not this write's.
        check(2, Some(&row(3, &[(job(2), 7)])), Standing::Impossible);
        check(2, Some(&row(3, &[(job(1), 8)])), Standing::Impossible);
        check(0, Some(&row(1, &[])), Standing::Impossible);
        check(2, Some(&row(3 + 32, &[])), Standing::Unknown);
        // One write less, and its mark would still be there.
        check(2, Some(&row(3 + 31, &[])), Standing::Impossible);
        check(2, Some(&Footprint::Unreadable), Standing::Unknown);
    }

    #[test]
    fn after_an_hour_nobody_knows() {
        let plan = plan(vec![success(0, 1, 2)]);
        let later = MADE_AT.plus_millis(3_600_000);
        assert_eq!(standing(job(1), &plan, 2, Some(&row(3, &[])), later), Standing::Unknown);
        assert_eq!(standing(job(1), &plan, 2, Some(&row(2, &[])), later), Standing::Open);
    }

    fn details(plan: &Plan) -> Vec<(u32, String)> {
        let detail = |entry: &Entry| match &entry.outcome {
            Outcome::Success(id) => id.to_string()[..2].to_owned(),
            Outcome::WouldMake => "made".to_owned(),
            Outcome::Failure(problems) => problems[0].detail.to_string(),
        };
        plan.entries.iter().map(|entry| (entry.position, detail(entry))).collect()
    }

    #[test]
    fn a_closed_plan_says_of_every_item_what_came_of_it() {
        let refused = Problem::unprocessable("refused");
        let agreed = plan(vec![
            success(0, 1, 0),
            success(1, 2, 5),
            success(2, 3, 5),
            relying(3, "agreed", None),
            relying(4, "after what was applied", Some(0)),
            relying(7, "after what never was", Some(1)),
            relying(8, "after what nobody knows", Some(2)),
        ]);
        let item = |position, content| ChunkItem { position, content, client_ref: None };
        let chunk = Chunk {
            account: AccountId::parse("acme").unwrap(),
            job: job(1),
            operation: Operation::DeleteObjects,
            index: 0,
            total: 9,
            then: None,
            validate_only: false,
            items: vec![
                item(0, Content::Raw("\"x\"".into())),
                item(5, Content::Raw("\"x\"".into())),
                item(6, Content::Refused(refused)),
            ],
        };
        let standings =
            BTreeMap::from([(id(1), Standing::Applied), (id(2), Standing::Impossible), (id(3), Standing::Unknown)]);
        let closed = close(Some(&agreed), &standings, Some(&chunk), MADE_AT.plus_millis(9_000));
        assert!(closed.closed && closed.revision == 4 && closed.made_at == MADE_AT);
        let (not_applied, unknown) = (Problem::not_applied().detail, Problem::outcome_unknown().detail);
        let expected = [
            "01",
            &not_applied,
            &unknown,
            "agreed",
            "after what was applied",
            &not_applied,
            "refused",
            &not_applied,
            &not_applied,
        ];
        assert_eq!(details(&closed), (0..).zip(expected.map(str::to_owned)).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_written_is_what_was_agreed_to_succeed() {
        let agreed = plan(vec![success(0, 1, 0), relying(1, "agreed", None), success(2, 3, 5)]);
        assert_eq!(agreed_writes(&agreed), BTreeMap::from([(id(1), 0), (id(3), 5)]));
    }

    #[test]
    fn the_clients_names_of_items_stay_whatever_came_of_them() {
        let named = |entry: Entry, name: &str| Entry { client_ref: Some(name.into()), ..entry };
        let agreed = plan(vec![
            named(success(0, 1, 0), "applied"),
            named(success(1, 2, 5), "never applied"),
            named(relying(2, "agreed", None), "failed"),
        ]);
        let standings = BTreeMap::from([(id(1), Standing::Applied), (id(2), Standing::Impossible)]);
        let closed = close(Some(&agreed), &standings, None, MADE_AT);
        let names: Vec<_> = closed.entries.iter().filter_map(|entry| entry.client_ref.as_deref()).collect();
        assert_eq!(names, ["applied", "never applied", "failed"]);
    }

    #[test]
    fn without_plan_and_message_nothing_is_said_and_nothing_can_follow() {
        let closed = close(None, &BTreeMap::new(), None, MADE_AT);
        assert_eq!(closed, Plan { revision: 1, made_at: MADE_AT, closed: true, entries: Vec::new() });
    }
}
