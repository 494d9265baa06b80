use proptest::prelude::*;
use serde_json::{Value, json};

use super::objects::merge_patch;
use super::*;
use crate::clock::Clock;
use crate::job::Operation;
use crate::problem::Code;
use crate::record::{End, ObjectRecord, RelationshipRecord};
use crate::types::Schema;

struct World {
    account: AccountId,
    job: JobId,
    now: Timestamp,
    types: Types,
}

impl World {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000), 1);
        let mut types = Types::default();
        let schema = json!({
            "properties": {"name": {"type": "string"}, "size": {"type": "number"}, "note": {"type": "string"}},
            "required": ["name"],
        });
        for key in ["product", "shop"] {
            let key = TypeKey::parse(key).unwrap();
            let object_type = ObjectType {
                key: key.clone(),
                schema: Schema::parse(&schema).unwrap(),
                version: 3,
                created_at: clock.now(),
                updated_at: clock.now(),
            };
            types.objects.insert(key, object_type);
        }
        for data in [
            json!({"key": "sold_in", "source": "product", "target": ["shop"]}),
            json!({"key": "made_by", "source": "product", "target": "zen:organization"}),
        ] {
            let relationship_type = RelationshipType::parse(&data, clock.now()).unwrap();
            types.relationships.insert(relationship_type.key.clone(), relationship_type);
        }
        Self { account: AccountId::parse("acme").unwrap(), job: JobId::new(&clock), now: clock.now(), types }
    }

    fn context(&self) -> Context<'_> {
        Context {
            account: &self.account,
            job: self.job,
            now: self.now,
            types: &self.types,
            positions: &[0, 1, 2, 3, 4],
            budget: Budget::of_job(1),
        }
    }

    fn id(&self, external_id: &str) -> RecordId {
        RecordId::of_external_id(&self.account, &TypeKey::parse("product").unwrap(), external_id)
    }

    /// A live record of type product with external id `x`.
    fn stored(&self, version: u64, attributes: &str) -> Row {
        let record = ObjectRecord {
            id: self.id("x"),
            object_type: TypeKey::parse("product").unwrap(),
            external_id: Some("x".to_owned()),
            attributes: attributes.to_owned(),
            created_at: Timestamp::from_seconds(1),
            position: None,
            updated_at: Timestamp::from_seconds(1),
            type_version: 1,
            links: 0,
            entries: None,
        };
        Row { version, applied: AppliedWrites::default(), state: State::Object(record) }
    }

    fn decide(&self, operation: Operation, items: &[String], row: Option<&Row>) -> Decision {
        let agreed = vec![Agreed::Nothing; items.len()];
        self.decide_agreed(operation, items, &agreed, row)
    }

    fn decide_agreed(&self, operation: Operation, items: &[String], agreed: &[Agreed], row: Option<&Row>) -> Decision {
        decide_object(self.context(), self.id("x"), &steps(operation, items, agreed), row)
    }
}

fn steps<'json>(operation: Operation, items: &'json [String], agreed: &[Agreed]) -> Vec<Step<'json>> {
    (0..)
        .zip(items)
        .zip(agreed)
        .map(|((position, raw), agreed)| Step { position, item: Item::parse(operation, raw).unwrap(), agreed: *agreed })
        .collect()
}

fn item(attributes: &Value) -> String {
    json!({"type": "product", "external_id": "x", "attributes": attributes}).to_string()
}

fn attributes(decision: &Decision) -> &str {
    &decision.write.as_ref().expect("a write").row.object().expect("an object").attributes
}

fn details(decision: &Decision) -> Vec<String> {
    let detail = |(_, outcome): &(u32, Outcome)| match outcome {
        Outcome::Success(_) | Outcome::WouldMake => "done".to_owned(),
        Outcome::Failure(problems) => {
            problems.iter().map(|problem| problem.detail.as_ref()).collect::<Vec<_>>().join(" + ")
        }
    };
    decision.outcomes.iter().map(detail).collect()
}

const TAKEN: &str = "External Id is already in use for the Resource Type key: product";

/// JSON of few names, so that a patch meets what is there.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), Just(json!(1)), Just(json!("x")), Just(json!([null]))];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop::collection::vec(("[a-e]", inner), 0..5).prop_map(|members| Value::Object(members.into_iter().collect()))
    })
}

/// The names of an object, in order.
fn names(value: &Value) -> Vec<&String> {
    value.as_object().map(|members| members.keys().collect()).unwrap_or_default()
}

proptest! {
    #[test]
    fn a_patch_does_what_the_library_does_and_keeps_the_order_of_the_rest(target in any_json(), patch in any_json()) {
        let mut expected = target.clone();
        json_patch::merge(&mut expected, &patch);
        let mut merged = target.clone();
        merge_patch(&mut merged, patch.clone());
        prop_assert_eq!(&merged, &expected);
        if patch.is_object() {
            let left: Vec<_> = names(&target).into_iter().filter(|name| merged.get(name.as_str()).is_some()).collect();
            prop_assert_eq!(&names(&merged)[..left.len()], &left[..]);
        }
    }
}

#[test]
fn what_a_patch_leaves_keeps_its_order() {
    let mut attributes = json!({"o": 1, "a": 2, "n": 3});
    merge_patch(&mut attributes, json!({"o": null, "z": 4, "a": 5}));
    assert_eq!(attributes.to_string(), r#"{"a":5,"n":3,"z":4}"#);
}

#[test]
fn null_is_absent_in_a_create() {
    let world = World::new();
    let decide = |given: Value| world.decide(Operation::CreateObjects, &[item(&given)], None);
    assert_eq!(attributes(&decide(json!({"note": null, "name": "a", "size": null}))), r#"{"name":"a"}"#);
    assert_eq!(details(&decide(json!({"name": null}))), details(&decide(json!({}))));
}

#[test]
fn a_failure_that_was_judged_after_a_success_is_decided_anew_with_it() {
    let world = World::new();
    let (nameless, named) = (item(&json!({"name": null})), item(&json!({"name": "b"})));
    let items = [item(&json!({"name": "a"})), nameless, named];
    // Given the agreement that the first succeeds on no row, and that the second fails after it,
    let agreed = [Agreed::Success { base: 0 }, Agreed::FailureAfter, Agreed::Nothing];
    // while the row is not there, the failure stands;
    let repeated = world.decide_agreed(Operation::SetObjects, &items, &agreed, None);
    assert_eq!(repeated.outcomes.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [0, 2]);
    // when another writer came first, it is judged on what is there now.
    let row = world.stored(7, r#"{"name":"theirs"}"#);
    let anew = world.decide_agreed(Operation::SetObjects, &items, &agreed, Some(&row));
    assert_eq!(anew.outcomes.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [0, 1, 2]);
    // A failure for reasons of its own stands for ever, whatever it stands behind.
    let agreed = [Agreed::Failure, Agreed::Success { base: 0 }, Agreed::FailureAfter, Agreed::Failure];
    let items = [&items[..], &[item(&json!({"name": "c"}))]].concat();
    let anew = world.decide_agreed(Operation::SetObjects, &items, &agreed, Some(&row));
    assert_eq!(anew.outcomes.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_record_is_never_updated_before_it_was() {
    let mut world = World::new();
    let ahead = world.now.plus_millis(5_000);
    let mut row = world.stored(3, r#"{"name":"a"}"#);
    let State::Object(record) = &mut row.state else { unreachable!("it is one") };
    record.updated_at = ahead;
    let update = [json!({"id": world.id("x").to_string(), "attributes": {"size": 1}}).to_string()];
    let updated_at = |world: &World| {
        let decision = world.decide(Operation::UpdateObjects, &update, Some(&row));
        decision.write.expect("a write").row.object().expect("an object").updated_at
    };
    assert_eq!(updated_at(&world), ahead, "the clock of another machine was ahead of this one");
    world.now = ahead.plus_millis(1);
    assert_eq!(updated_at(&world), world.now);
}

#[test]
fn the_first_create_of_a_chunk_wins_and_the_next_is_told() {
    let world = World::new();
    let decision = world.decide(
        Operation::CreateObjects,
        &[item(&json!({"name": 1})), item(&json!({"name": "a"})), item(&json!({"name": "b"}))],
        None,
    );
    let told = details(&decision);
    assert!(told[0].starts_with("attributes.name breaks the rule \"type\""), "{told:?}");
    assert_eq!(told[1..], ["done", TAKEN]);
    let write = decision.write.as_ref().unwrap();
    assert_eq!((write.base, write.row.version, attributes(&decision)), (0, 1, r#"{"name":"a"}"#));
    assert!(write.row.applied.contains(world.job, 2));
}

#[test]
fn a_create_over_a_live_record_is_taken_and_over_a_tombstone_goes_on_from_its_version() {
    let world = World::new();
    let create = [item(&json!({"name": "a"}))];
    let live = world.stored(4, "{}");
    let decision = world.decide(Operation::CreateObjects, &create, Some(&live));
    assert_eq!((details(&decision), &decision.write), (vec![TAKEN.to_owned()], &None));

    let tombstone = Row { state: State::Tombstone, ..live };
    let decision = world.decide(Operation::CreateObjects, &create, Some(&tombstone));
    let write = decision.write.as_ref().unwrap();
    assert_eq!((write.base, write.row.version), (4, 5));
    assert_eq!(write.row.object().unwrap().created_at, world.now);
}

#[test]
fn set_merges_in_order_and_checks_the_whole_each_time() {
    let world = World::new();
    let decision = world.decide(
        Operation::SetObjects,
        &[
            item(&json!({"size": 1})),
            item(&json!({"name": "a", "size": 1, "note": null})),
            item(&json!({"name": null})),
            item(&json!({"size": 2, "note": "n"})),
        ],
        None,
    );
    let told = details(&decision);
    assert!(told[0].contains("attributes.name breaks the rule \"required\""), "{told:?}");
    assert!(told[2].contains("attributes.name breaks the rule \"required\""), "{told:?}");
    assert_eq!((told[1].as_str(), told[3].as_str()), ("done", "done"));
    assert_eq!(attributes(&decision), r#"{"name":"a","size":2,"note":"n"}"#);
}

#[test]
fn an_update_changes_attributes_and_nothing_else() {
    let world = World::new();
    let row = world.stored(7, r#"{"name":"a","size":1}"#);
    let update =
        json!({"id": world.id("x").to_string(), "type": "shop", "external_id": "y", "attributes": {"size": null}});
    let decision = world.decide(Operation::UpdateObjects, &[update.to_string()], Some(&row));
    let write = decision.write.unwrap();
    let (before, after) = (row.object().unwrap(), write.row.object().unwrap());
    assert_eq!(after.attributes, r#"{"name":"a"}"#);
    assert_eq!((after.type_version, after.updated_at), (3, world.now));
    assert_eq!(
        (&after.external_id, &after.object_type, after.created_at),
        (&before.external_id, &before.object_type, before.created_at)
    );
    assert_eq!((write.base, write.row.version), (7, 8));
}

#[test]
fn a_delete_leaves_a_tombstone_with_its_mark_and_the_second_finds_nothing() {
    let world = World::new();
    let row = world.stored(2, "{}");
    let delete = vec![format!("\"{}\"", world.id("x")); 2];
    let decision = world.decide(Operation::DeleteObjects, &delete, Some(&row));
    let told = details(&decision);
    assert_eq!(told[0], "done");
    assert!(told[1].contains(&world.id("x").to_string()));
    let write = decision.write.unwrap();
    assert_eq!((&write.row.state, write.row.version), (&State::Tombstone, 3));
    assert!(write.row.applied.contains(world.job, 1));
}

#[test]
fn a_record_that_relationships_use_is_not_deleted() {
    let world = World::new();
    let mut row = world.stored(2, "{}");
    let State::Object(record) = &mut row.state else { unreachable!() };
    record.links = 2;
    for (operation, raw) in [
        (Operation::DeleteObjects, format!("\"{}\"", world.id("x"))),
        (Operation::DeleteObjectsByExternalId, json!({"type": "product", "external_id": "x"}).to_string()),
    ] {
        let again = raw.clone();
        let decision = world.decide(operation, &[raw], Some(&row));
        assert_eq!(details(&decision), ["The record is an end of 2 relationship records: delete them first"]);
        assert_eq!(decision.write, None);
        assert_eq!(details(&world.decide(operation, &[again], Some(&world.stored(2, "{}")))), ["done"]);
    }
}

/// An id is of one kind. Where a relationship has it, there is no object.
#[test]
fn a_relationship_is_no_object_whatever_is_asked_of_it() {
    let world = World::new();
    let (product, shop, ends) = ends(&world);
    let raw = relate(&world, &product.to_string(), &shop.to_string(), "sold_in");
    let RelationshipDecision::Decided(made) = decide_relation(&world, &raw, Agreed::Nothing, None, &ends) else {
        panic!("fenced")
    };
    let row = Row { state: made.write.unwrap().row.state, ..world.stored(2, "{}") };
    for operation in [Operation::SetObjects, Operation::CreateObjects, Operation::DeleteObjectsByExternalId] {
        let decision = world.decide(operation, &[item(&json!({"name": "x"}))], Some(&row));
        assert!(details(&decision)[0].starts_with("No record has the id"), "{operation:?} {:?}", details(&decision));
        assert_eq!(decision.write, None);
    }
}

#[test]
fn only_a_record_whose_type_has_indexes_has_entries() {
    let mut world = World::new();
    let entries = |world: &World| {
        let decision = world.decide(Operation::SetObjects, &[item(&json!({"name": "x"}))], None);
        decision.write.unwrap().row.object().unwrap().entries.is_some()
    };
    assert!(!entries(&world));
    let indexed = json!({"properties": {"name": {"type": "string"}}, "x-indexed": ["name"]});
    for object_type in world.types.objects.values_mut() {
        object_type.schema = Schema::parse(&indexed).unwrap();
    }
    assert!(entries(&world));
}

#[test]
fn what_is_not_there_is_named() {
    let world = World::new();
    let tombstone = Row { state: State::Tombstone, ..world.stored(2, "{}") };
    let id = world.id("x").to_string();
    let by_external_id = json!({"type": "product", "external_id": "x"}).to_string();
    let undefined = json!({"type": "nothing", "external_id": "x"}).to_string();
    for row in [None, Some(&tombstone)] {
        for (operation, raw, words) in [
            (Operation::UpdateObjects, json!({"id": id, "attributes": {}}).to_string(), id.as_str()),
            (Operation::DeleteObjects, format!("\"{id}\""), &id),
            (Operation::DeleteObjectsByExternalId, by_external_id.clone(), "type product has the external id \"x\""),
            (Operation::DeleteObjectsByExternalId, undefined.clone(), "Object type \"nothing\" is not defined"),
        ] {
            let decision = world.decide(operation, &[raw], row);
            let Outcome::Failure(problems) = &decision.outcomes[0].1 else { panic!("{decision:?}") };
            assert_eq!(problems[0].code, Code::NotFound);
            assert!(problems[0].detail.contains(words), "{problems:?} {words}");
        }
    }
}

#[test]
fn a_mark_on_the_row_means_done_and_nothing_is_written() {
    let world = World::new();
    let sets = [item(&json!({"name": "a"})), item(&json!({"name": 3}))];
    let first = world.decide(Operation::SetObjects, &sets, None);
    let row = first.write.unwrap().row;
    let agreed = [Agreed::Success { base: 0 }, Agreed::Failure];
    let again = world.decide_agreed(Operation::SetObjects, &sets, &agreed, Some(&row));
    assert_eq!(again, Decision { outcomes: vec![(0, Outcome::Success(world.id("x")))], write: None });
}

#[test]
fn what_was_agreed_is_repeated_as_agreed_while_the_row_stands_where_it_was() {
    let world = World::new();
    let row = world.stored(5, r#"{"size":1}"#);
    // The schema wants a name, so judged now it would fail: it was agreed before the schema said so.
    let set = [item(&json!({"size": 2}))];
    let repeated = world.decide_agreed(Operation::SetObjects, &set, &[Agreed::Success { base: 5 }], Some(&row));
    assert_eq!((details(&repeated), attributes(&repeated)), (vec!["done".to_owned()], r#"{"size":2}"#));

    let judged_again = world.decide_agreed(Operation::SetObjects, &set, &[Agreed::Success { base: 4 }], Some(&row));
    assert!(details(&judged_again)[0].contains("required"));
}

#[test]
fn an_agreed_failure_stays_one_even_where_it_would_succeed_now() {
    let world = World::new();
    let decision =
        world.decide_agreed(Operation::CreateObjects, &[item(&json!({"name": "a"}))], &[Agreed::Failure], None);
    assert_eq!(decision, Decision { outcomes: vec![], write: None });
}

fn relate(world: &World, source: &str, target: &str, relationship_type: &str) -> String {
    let _ = world;
    json!({"relationship_type": relationship_type, "source": source, "target": target}).to_string()
}

fn ends(world: &World) -> (RecordId, RecordId, Ends) {
    let product = world.stored(1, "{}").object().unwrap().clone();
    let shop_id = RecordId::of_external_id(&world.account, &TypeKey::parse("shop").unwrap(), "s");
    let shop = ObjectRecord { id: shop_id, object_type: TypeKey::parse("shop").unwrap(), ..product.clone() };
    (product.id, shop_id, Ends::from([(product.id, product), (shop_id, shop)]))
}

fn decide_relation(world: &World, raw: &str, agreed: Agreed, row: Option<&Row>, ends: &Ends) -> RelationshipDecision {
    let items = [raw.to_owned()];
    let steps = steps(Operation::CreateRelationships, &items, &[agreed]);
    let id =
        relationship_of(world.context(), &steps[0].item).map_or(RecordId::from_bytes([0; 16]), |(_, made)| made.id);
    decide_relationship(world.context(), id, &steps, row, ends)
}

#[test]
fn a_relationship_counts_at_both_its_ends_and_its_delete_takes_that_back() {
    let world = World::new();
    let (product, shop, ends) = ends(&world);
    let raw = relate(&world, &product.to_string(), &shop.to_string(), "sold_in");
    let RelationshipDecision::Decided(made) = decide_relation(&world, &raw, Agreed::Nothing, None, &ends) else {
        panic!("fenced")
    };
    let write = made.write.unwrap();
    assert_eq!(write.row.relationship().unwrap().position, Some(0), "it is listed where its item stood");
    assert_eq!(write.links, [LinkChange { end: product, change: 1 }, LinkChange { end: shop, change: 1 }]);

    let delete = vec![format!("\"{}\"", write.id); 2];
    let mut later = World::new();
    later.job = JobId::new(&Clock::manual(Timestamp::from_seconds(1_800_000_000), 2));
    let steps = steps(Operation::DeleteRelationships, &delete, &[Agreed::Nothing; 2]);
    let decided = decide_relationship(later.context(), write.id, &steps, Some(&write.row), &Ends::new());
    let RelationshipDecision::Decided(deleted) = decided else { panic!("fenced") };
    assert_eq!(details(&deleted)[0], "done");
    assert!(details(&deleted)[1].contains("No relationship record has the id"));
    let deletion = deleted.write.unwrap();
    assert_eq!(deletion.row.state, State::Tombstone);
    assert_eq!(deletion.links, [LinkChange { end: product, change: -1 }, LinkChange { end: shop, change: -1 }]);
}

#[test]
fn a_wrong_end_is_named() {
    let world = World::new();
    let (product, shop, ends) = ends(&world);
    let (product, shop) = (product.to_string(), shop.to_string());
    let nobody = RecordId::from_bytes([9; 16]).to_string();
    for (source, target, relationship_type, words) in [
        (nobody.as_str(), shop.as_str(), "sold_in", format!("source \"{nobody}\" does not exist")),
        (&product, &nobody, "sold_in", format!("target \"{nobody}\" does not exist")),
        (&shop, &shop, "sold_in", format!("source \"{shop}\" is not of type product")),
        (&product, &product, "sold_in", format!("target \"{product}\" is not of type shop")),
        (&product, "zen:user:1", "made_by", "target \"zen:user:1\" is not of type zen:organization".to_owned()),
        (&product, &shop, "made_by", format!("target \"{shop}\" is not of type zen:organization")),
        (&product, &shop, "unknown", "Relationship type \"unknown\" is not defined".to_owned()),
    ] {
        let raw = relate(&world, source, target, relationship_type);
        let RelationshipDecision::Decided(decision) = decide_relation(&world, &raw, Agreed::Nothing, None, &ends)
        else {
            panic!("fenced")
        };
        assert_eq!((details(&decision), decision.write), (vec![words], None));
    }
}

#[test]
fn a_one_to_one_source_has_one_target_and_a_pair_exists_once() {
    let world = World::new();
    let (product, _, ends) = ends(&world);
    let source = product.to_string();
    let first = relate(&world, &source, "zen:organization:1", "made_by");
    let RelationshipDecision::Decided(made) = decide_relation(&world, &first, Agreed::Nothing, None, &ends) else {
        panic!("fenced")
    };
    let mut row = made.write.unwrap().row;
    row.applied = AppliedWrites::default();
    for (target, words) in [("zen:organization:1", "already exists"), ("zen:organization:2", "already relates")] {
        let raw = relate(&world, &source, target, "made_by");
        let RelationshipDecision::Decided(decision) = decide_relation(&world, &raw, Agreed::Nothing, Some(&row), &ends)
        else {
            panic!("fenced")
        };
        assert!(details(&decision)[0].contains(words), "{decision:?}");
    }
}

#[test]
fn an_agreed_relationship_whose_end_is_gone_is_fenced_before_it_fails() {
    let world = World::new();
    let (product, shop, _) = ends(&world);
    let raw = relate(&world, &product.to_string(), &shop.to_string(), "sold_in");
    let agreed = Agreed::Success { base: 0 };
    let RelationshipDecision::Fence(fence) = decide_relation(&world, &raw, agreed, None, &Ends::new()) else {
        panic!("not fenced")
    };
    assert_eq!((fence.base, fence.row.version, &fence.row.state), (0, 1, &State::Tombstone));
    let RelationshipDecision::Decided(decision) = decide_relation(&world, &raw, agreed, Some(&fence.row), &Ends::new())
    else {
        panic!("fenced again")
    };
    assert!(details(&decision)[0].contains("source"));
}

/// A write of a row in place of another, each with one relationship's change.
fn write_between(before: Before, state: State) -> Write {
    let row = Row { version: 5, applied: AppliedWrites::default(), state };
    let end = RecordId::from_bytes([9; 16]);
    Write { id: RecordId::from_bytes([1; 16]), base: 4, before, row, links: vec![LinkChange { end, change: 1 }] }
}

#[test]
fn a_write_says_by_how_many_records_the_account_grows_and_how_it_is_taken_back() {
    let world = World::new();
    let object = || world.stored(5, "{}").state;
    let related = || {
        State::Relationship(RelationshipRecord {
            id: RecordId::from_bytes([1; 16]),
            relationship_type: TypeKey::parse("sold_in").unwrap(),
            source: End::Elsewhere("zen:user:1".to_owned()),
            target: End::Elsewhere("zen:user:2".to_owned()),
            created_at: Timestamp::from_seconds(1),
            position: None,
        })
    };
    for (before, state, growth) in [
        (Before::Nothing, object(), 1),
        (Before::Tombstone, object(), 1),
        (Before::Object(None), object(), 0),
        (Before::Object(None), State::Tombstone, -1),
        (Before::Nothing, related(), 1),
        (Before::Tombstone, related(), 1),
        (Before::Relationship, related(), 0),
        (Before::Relationship, State::Tombstone, -1),
        (Before::Nothing, State::Tombstone, 0),
        (Before::Tombstone, State::Tombstone, 0),
    ] {
        let write = write_between(before, state);
        assert_eq!((write.growth(), write.makes()), (growth, growth == 1), "{write:?}");
        let undone = write.undone();
        assert_eq!((undone.id, undone.base, undone.row.version), (write.id, 5, 6));
        assert_eq!((undone.links[0].end, undone.links[0].change), (write.links[0].end, -1));
        assert_eq!(undone.row.state, State::Tombstone);
        assert_eq!(undone.before, Before::state(&write.row.state));
    }
}

#[test]
fn without_room_what_failed_before_the_first_success_keeps_its_reason_and_all_that_follows_has_that_of_the_limit() {
    let world = World::new();
    let items = [item(&json!({})), item(&json!({"name": "a"})), item(&json!({"name": "b"}))];
    let decision = world.decide(Operation::CreateObjects, &items, None);
    let own = details(&decision);
    assert_eq!((own[1].as_str(), own[2].as_str()), ("done", TAKEN));
    let without = decision.without_room(RecordKind::Object);
    let limit = RecordKind::Object.over_limit().detail.to_string();
    assert_eq!(details(&without), [own[0].clone(), limit.clone(), limit]);
    assert_eq!(without.write, None);
    let failing = world.decide(Operation::CreateObjects, &[item(&json!({})), item(&json!({}))], None);
    let own = details(&failing);
    assert_eq!(details(&failing.without_room(RecordKind::Object)), own, "it would have made nothing");
}
