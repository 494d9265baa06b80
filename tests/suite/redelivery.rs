//! A queue delivers each message at least once: a message that comes more often has its effect once.

use domain::chunk::{Packing, pack};
use domain::job::{Job, JobId};
use domain::request::JobRequest;
use serde_json::{Value, json};
use store::jobs::Commit;
use tests::{outcomes, text};

use crate::home::{Home, product_id};

const ITEMS: usize = 700;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_sent_three_times_has_its_effect_once() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    // A job as accept makes it: its messages first, then itself.
    let product = |number: usize| json!({"type": "product", "external_id": format!("gum-{number}"), "attributes": {"name": "Gum"}});
    let items: Vec<Value> = (0..ITEMS).map(product).collect();
    let body = json!({"type": "resources", "action": "post", "data": items}).to_string();
    let request = JobRequest::parse(body.as_bytes()).expect("a request");
    let store = &agent.store;
    let id = JobId::new(store.clock());
    let messages: Vec<String> = pack(&agent.account, id, &request, Packing::default())
        .chunks
        .iter()
        .map(domain::chunk::Chunk::to_message)
        .collect();
    assert_eq!(messages.len(), 2);
    home.send(&agent, messages.iter().chain(&messages).cloned()).await;
    let count = |number: usize| u32::try_from(number).expect("a small number");
    let job = Job::queued(id, request.operation, count(ITEMS), count(messages.len()));
    assert_eq!(
        store.jobs.commit(&agent.account, &job, None, store.clock().now()).await.expect("an answer"),
        Commit::Done
    );

    // A post that was applied twice would find its own external id taken.
    let ended = agent.wait(&id.to_string()).await;
    assert_eq!(outcomes(&ended), vec!["done"; ITEMS]);
    // And once more when it is all over; the job after it is done when that is too, or soon after.
    home.send(&agent, messages).await;
    let after = agent.run_job("resources", "post", json!([{"type": "product", "attributes": {"name": "after"}}])).await;
    assert_eq!(outcomes(&after), ["done"]);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(agent.show(&json!({"id": id.to_string()})).await, ended);

    let ids: Vec<_> = (0..ITEMS).map(|number| product_id(&agent, &format!("gum-{number}"))).collect();
    let rows = store.records.records(&agent.account, ids).await.expect("the database");
    assert_eq!(rows.len(), ITEMS);
    assert!(rows.values().all(|row| row.version == 1), "each row was written once");
    for (number, result) in ended["results"].as_array().expect("results").iter().enumerate() {
        assert_eq!(text(&result["data"]["id"]), product_id(&agent, &format!("gum-{number}")).to_string());
    }
    assert_eq!(agent.active_jobs().await, 0);
    home.stop().await;
}
