//! At the bound of what a record remembers: a worker dies after it wrote, and others write the same record before the
//! redelivery comes.

use domain::account::AccountId;
use domain::job::Operation;
use domain::limits::APPLIED_WRITES_KEPT;
use domain::problem::Problem;
use serde_json::{Value, json};

use crate::judge::{Allowed, judge};
use crate::network::{Doom, Fault};
use crate::scenes::{Items, Shape};
use crate::services::Lane;
use crate::world::{Delivered, World, run};

/// What came of the one item of a job whose worker died after the write, when its record was written so often since.
async fn after_later_writes(operation: Operation, item: Value, later_writes: usize) -> Value {
    let world = &mut World::start(Shape::One, later_writes as u64);
    let mut job = world.posting(operation, vec![item], Some("the job"));
    let _ = world.post(&mut job).await;
    let id = job.id.expect("an accepted job");
    let doom = Doom { operations: &["BatchExecuteStatement"], fault: Fault::DiesAfter, skip: 0 };
    world.doom = Some((id, doom));
    let (lane, message) = world.receive().expect("its chunk");
    assert_eq!(world.deliver(lane, &message).await, Delivered::Died);
    world.doom = None;

    let mut posted = vec![job];
    for number in 0..later_writes {
        let name = if operation == Operation::CreateObjects { "x" } else { "a" };
        let patch = vec![Items::product(name, &json!({"name": "later", "price": number}))];
        let mut later = world.posting(Operation::SetObjects, patch, Some(&format!("later {number}")));
        let _ = world.post(&mut later).await;
        let (_, message) = world.receive().expect("its chunk");
        assert_eq!(world.deliver(Lane::Main, &message).await, Delivered::Done);
        posted.push(later);
    }
    world.drain().await;

    let result = world.show(id).await.body["data"]["results"][0].clone();
    // Whatever the item says: nothing is applied twice, and nothing else is wrong.
    let unknown = later_writes >= APPLIED_WRITES_KEPT;
    let found = judge(world, &posted, Allowed { unknown, ..Allowed::default() }).await;
    assert!(found.is_empty(), "{operation:?} after {later_writes}: {found:#?}");
    result
}

#[test]
fn up_to_the_bound_the_item_is_done_and_from_there_its_outcome_is_said_to_be_unknown() {
    let account = AccountId::parse("acme").expect("an account");
    let items = [
        (Operation::UpdateObjects, Items(&account).update("a", &json!({"note": "updated"}))),
        (Operation::SetObjects, Items::product("a", &json!({"note": "set"}))),
        (Operation::CreateObjects, Items::product("x", &json!({"name": "created"}))),
    ];
    let kept = APPLIED_WRITES_KEPT;
    for (operation, item) in items {
        for (later_writes, is_known) in [(0, true), (kept - 1, true), (kept, false), (kept + 3, false)] {
            let result = run(after_later_writes(operation, item.clone(), later_writes));
            let told = format!("{operation:?} after {later_writes} writes: {result}");
            if is_known {
                assert_eq!(result["success"], true, "{told}");
            } else {
                assert_eq!(result["errors"][0]["status"], "500", "{told}");
                assert_eq!(result["errors"][0]["detail"], Problem::outcome_unknown().detail.as_ref(), "{told}");
            }
        }
    }
}
