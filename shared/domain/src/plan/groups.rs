//! Grouping the items of a chunk by the record that each touches.

use std::collections::HashMap;

use super::decide::{Agreed, Context, Step, relationship_of};
use super::{Outcome, Plan};
use crate::chunk::{Chunk, Content};
use crate::problem::Problem;
use crate::record::RecordId;
use crate::request::item::Item;

/// Items of one record, in order: decided one after the other, written once.
#[derive(Clone, Debug)]
pub struct Group<'chunk> {
    pub id: RecordId,
    pub steps: Vec<Step<'chunk>>,
}

/// Items, each with its position.
pub type Items<'chunk> = Vec<(u32, Item<'chunk>)>;

/// Outcomes, by position, of items that fail whatever the records are.
pub type Refused = Vec<(u32, Outcome)>;

/// Reads the items of a chunk: those that can be read, and the outcomes of the others.
#[must_use]
pub fn items<'chunk>(chunk: &'chunk Chunk<'_>) -> (Items<'chunk>, Refused) {
    let mut items = Vec::with_capacity(chunk.items.len());
    let mut refused = Vec::new();
    for item in &chunk.items {
        let parsed = match &item.content {
            Content::Refused(problem) => Err(problem.clone()),
            Content::Raw(json) => Item::parse(chunk.operation, json),
        };
        match parsed {
            Ok(parsed) => items.push((item.position, parsed)),
            Err(problem) => refused.push((item.position, Outcome::failure(problem))),
        }
    }
    (items, refused)
}

/// Items that lead to no record, because their relationship type is not defined or does not take their ends.
pub type Stray<'chunk> = Vec<(u32, Item<'chunk>, Problem)>;

/// Groups items by the record that each touches. Where workers have agreed to apply an item, it is to the record that
/// the plan names, whatever its type has become since: only there can it be found out whether that was done. And what they
/// judged after it stays with it: the mark of their write names the last of them.
#[must_use]
pub fn group<'chunk>(
    context: Context<'_>,
    items: Items<'chunk>,
    plan: Option<&Plan>,
) -> (Vec<Group<'chunk>>, Stray<'chunk>) {
    let mut agreed: HashMap<u32, RecordId> = HashMap::new();
    for entry in plan.into_iter().flat_map(|plan| &plan.entries) {
        let id = match entry.outcome {
            Outcome::Success(id) => Some(id),
            Outcome::WouldMake | Outcome::Failure(_) => {
                entry.relies_on.and_then(|earlier| agreed.get(&earlier).copied())
            }
        };
        agreed.extend(id.map(|id| (entry.position, id)));
    }
    let mut groups: Vec<Group<'chunk>> = Vec::with_capacity(items.len());
    let mut places: HashMap<RecordId, usize> = HashMap::with_capacity(items.len());
    let mut stray = Vec::new();
    for (position, item) in items {
        let id = match agreed.get(&position).map_or_else(|| id_of(context, position, &item), |id| Ok(*id)) {
            Ok(id) => id,
            Err(problem) => {
                stray.push((position, item, problem));
                continue;
            }
        };
        let step = Step { position, item, agreed: Agreed::Nothing };
        let place = *places.entry(id).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.steps.push(step),
            None => groups.push(Group { id, steps: vec![step] }),
        }
    }
    (groups, stray)
}

/// The items of groups and strays, to be grouped anew by another plan.
#[must_use]
pub fn ungroup<'chunk>(groups: Vec<Group<'chunk>>, stray: Stray<'chunk>) -> Items<'chunk> {
    let grouped = groups.into_iter().flat_map(|group| group.steps).map(|step| (step.position, step.item));
    let mut items: Items<'chunk> =
        grouped.chain(stray.into_iter().map(|(position, item, _)| (position, item))).collect();
    items.sort_by_key(|(position, _)| *position);
    items
}

fn id_of(context: Context<'_>, position: u32, item: &Item<'_>) -> Result<RecordId, Problem> {
    match item {
        Item::Relate { .. } => relationship_of(context, item).map(|(_, record)| record.id),
        Item::Unrelate { id } => Ok(*id),
        _ => item.object_id(context.account, context.job, position).ok_or_else(Problem::internal),
    }
}

#[cfg(test)]
mod tests {
    use crate::account::AccountId;
    use crate::clock::Clock;
    use crate::job::{JobId, Operation};
    use crate::plan::decide::Types;
    use crate::plan::{Budget, Entry};
    use crate::time::Timestamp;
    use crate::types::RelationshipType;

    use super::*;

    #[test]
    fn items_of_one_relationship_are_one_group_and_come_back_in_order() {
        let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000), 1);
        let (account, job) = (AccountId::parse("acme").unwrap(), JobId::new(&clock));
        let mut types = Types::default();
        let data = serde_json::json!({"key": "likes", "source": "product", "target": ["product"]});
        let likes = RelationshipType::parse(&data, clock.now()).unwrap();
        types.relationships.insert(likes.key.clone(), likes);
        let context = Context {
            account: &account,
            job,
            now: clock.now(),
            types: &types,
            positions: &[0, 1, 2, 3],
            budget: Budget::of_job(4),
        };
        let [one, other] = [1, 2].map(|byte| RecordId::from_bytes([byte; 16]).to_string());
        let end = |external_id: &str| format!(r#"{{"type":"product","external_id":"{external_id}"}}"#);
        let relate =
            |to: &str| format!(r#"{{"relationship_type":"likes","source":{},"target":{}}}"#, end("a"), end(to));
        for (operation, raw) in [
            (Operation::CreateRelationships, [relate("b"), relate("c"), relate("b")]),
            (Operation::DeleteRelationships, [one.clone(), other, one].map(|id| format!("\"{id}\""))),
        ] {
            let items = (0..).zip(&raw).map(|(at, raw)| (at, Item::parse(operation, raw).unwrap())).collect();
            let (groups, stray) = group(context, items, None);
            let positions = |group: &Group<'_>| group.steps.iter().map(|step| step.position).collect::<Vec<_>>();
            assert_eq!(groups.iter().map(positions).collect::<Vec<_>>(), [vec![0, 2], vec![1]], "{operation:?}");
            assert!(stray.is_empty() && groups[0].id != groups[1].id);
            let back = ungroup(groups, stray);
            assert_eq!(back.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [0, 1, 2]);
        }
    }

    /// The mark of a write names the last item of its group. A worker that groups otherwise would not find it.
    #[test]
    fn what_was_judged_after_an_agreed_success_stays_with_it_when_the_type_is_gone() {
        let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000), 1);
        let (account, job) = (AccountId::parse("acme").unwrap(), JobId::new(&clock));
        let id = RecordId::from_bytes([7; 16]);
        let relate = format!(r#"{{"relationship_type":"owns","source":"{id}","target":"{id}"}}"#);
        let items = || (0..3).map(|at| (at, Item::parse(Operation::CreateRelationships, &relate).unwrap())).collect();
        let failure = || Outcome::failure(Problem::unprocessable("it is there already"));
        // Given an agreed success, a failure that was judged after it, and one that fails by itself,
        let entries = vec![
            Entry::new(0, Outcome::Success(id), 0),
            Entry { relies_on: Some(0), ..Entry::new(1, failure(), 0) },
            Entry::new(2, failure(), 0),
        ];
        let plan = Plan { revision: 1, made_at: clock.now(), closed: false, entries };
        // when their type is not defined any more,
        let types = Types::default();
        let context = Context {
            account: &account,
            job,
            now: clock.now(),
            types: &types,
            positions: &[0, 1, 2],
            budget: Budget::of_job(3),
        };
        let (groups, stray) = group(context, items(), Some(&plan));
        // then the first two are one group, as they were when they were agreed.
        let positions: Vec<Vec<u32>> =
            groups.iter().map(|group| group.steps.iter().map(|step| step.position).collect()).collect();
        assert_eq!((positions, groups[0].id), (vec![vec![0, 1]], id));
        assert_eq!(stray.iter().map(|(position, ..)| *position).collect::<Vec<_>>(), [2]);
    }
}
