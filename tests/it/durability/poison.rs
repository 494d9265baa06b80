//! A message that nobody can read stops no other, and ends among the dead letters.

use std::time::Duration;

use serde_json::json;
use tests::{Deliveries, Delivery, Home, PATIENCE, outcomes};

/// Longer than a message stays hidden after a receive.
const VISIBILITY: Duration = Duration::from_secs(31);

const POISON: [&str; 3] = ["not a chunk", r#"{"v":1}"#, r#"{"v":9,"account":"acme"}"#];

fn product(name: &str) -> serde_json::Value {
    json!([{"type": "product", "external_id": name, "attributes": {"name": name}}])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_one_batch_with_good_ones_only_poison_comes_back() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let first = acme.accepted("resources", "post", product("first")).await;
    let second = acme.accepted("resources", "post", product("second")).await;
    let mut batch = deliveries.take().await;
    for body in POISON {
        batch.insert(1, Delivery { body: body.to_owned(), receives: 1 });
    }

    assert_eq!(deliveries.hand_over(&batch).await, [1, 2, 3]);
    for id in [first, second] {
        assert_eq!(outcomes(&acme.job(&id).await), ["done"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_five_receives_poison_is_a_dead_letter() {
    let home = Home::start().await;
    let deliveries = Deliveries::of(&home);
    let acme = home.acme().await;
    acme.define_product().await;
    for body in POISON {
        deliveries.send(&acme, body).await;
    }
    let id = acme.accepted("resources", "post", product("good")).await;
    home.run.poller().resume();
    assert_eq!(outcomes(&acme.wait(&id).await), ["done"]);

    let queue = home.queue();
    let mut counts = queue.counts().await.expect("the queue");
    let waiting_since = tokio::time::Instant::now();
    while counts.dead < POISON.len() {
        assert!(waiting_since.elapsed() < PATIENCE, "{counts:?}");
        if counts.visible == 0 {
            home.advance(VISIBILITY);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        counts = queue.counts().await.expect("the queue");
    }
    assert_eq!((counts.visible, counts.in_flight), (0, 0));
    let dead = queue.dead_letters().receive(10, 1).await.expect("the queue");
    let mut bodies: Vec<_> = dead.iter().map(|message| message.body.as_str()).collect();
    bodies.sort_unstable();
    let mut poison = POISON;
    poison.sort_unstable();
    assert_eq!(bodies, poison);
    home.run.stop().await;
}
