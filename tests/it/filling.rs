//! An index that a type with records is given is filled while others write, and used once it has every record.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use domain::types::TypeKey;
use serde_json::{Value, json};
use sweep::Sweep;
use tests::{Client, Deliveries, Home, text};

const RECORDS: usize = 1_000;

fn schema(indexed: Option<Value>) -> Value {
    let mut schema = json!({"properties": {"name": {"type": "string"}, "size": {"type": "number"}}});
    if let Some(indexed) = indexed {
        schema["x-indexed"] = indexed;
    }
    schema
}

async fn ask_for(acme: &Client, indexed: Value) -> Value {
    acme.put("/objects/types/product", &json!({"data": {"schema": schema(Some(indexed))}})).await.data(200)
}

/// The external ids that a search finds on all of its pages.
async fn found(acme: &Client, query: &Value, sort_by: &str) -> Vec<String> {
    let body = json!({"query": query, "sort_by": sort_by});
    let mut page = acme.post("/objects/query?per_page=90", &body).await;
    let mut found = Vec::new();
    loop {
        let records = page.data(200);
        found.extend(records.as_array().expect("a list").iter().map(|record| text(&record["external_id"]).to_owned()));
        let next = page.json()["links"]["next"].clone();
        if next.is_null() {
            return found;
        }
        page = tests::answer(acme.at_root(reqwest::Method::POST, text(&next)).json(&body)).await;
    }
}

/// What an index finds is what is there, whichever way it is asked; each record once.
async fn check(acme: &Client) {
    // An index of an attribute is of no use to the other branch, so it is not used.
    let one_branch = |query: Value| json!({"$or": [{"$and": [{"_type": "product"}, query]}, {"_id": "none"}]});
    for query in [json!({"name": "n3"}), json!({"name": {"$prefix": "N"}}), json!({"size": {"$in": [1, 2]}}), json!({})]
    {
        for sort_by in ["_created_at asc", "_created_at desc", "_updated_at asc", "_updated_at desc"] {
            let by_index = found(acme, &json!({"$and": [{"_type": "product"}, query]}), sort_by).await;
            let without = found(acme, &one_branch(query.clone()), sort_by).await;
            assert_eq!(by_index.len(), by_index.iter().collect::<BTreeSet<_>>().len(), "{query} {sort_by}: one twice");
            assert_eq!(by_index, without, "{query} {sort_by}");
        }
    }
}

async fn sweep_once(home: &Home, time: Duration) -> (u32, u32) {
    let report = Sweep::new(home.run.store().clone()).run(Instant::now() + time).await.expect("the database");
    (report.filled, report.unfilled)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_is_filled_while_others_write_and_has_every_record() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define("product", schema(None)).await;
    let item = |number: usize, round: usize| {
        let attributes = json!({"name": format!("n{}", (number + round) % 7), "size": (number * round) % 4});
        json!({"type": "product", "external_id": number.to_string(), "attributes": attributes})
    };
    let all: Vec<Value> = (0..RECORDS).map(|number| item(number, 1)).collect();
    deliveries.run_job(&acme, "resources", "post", json!(all)).await;

    let asked = ask_for(&acme, json!(["name", "size", "_updated_at"])).await;
    assert_eq!(asked["indexes"][0], json!({"name": "name", "ready": false}));
    // Those who read the type before may still write.
    assert_eq!(sweep_once(&home, Duration::from_mins(1)).await, (0, 0));
    home.advance(Duration::from_mins(3));

    let writing = async {
        for round in 2..8 {
            let some = (0..RECORDS + 50).filter(|number| number % 11 == round);
            let sets: Vec<Value> = some.clone().map(|number| item(number, round)).collect();
            deliveries.run_job(&acme, "resources", "external_id_set", json!(sets)).await;
            let gone: Vec<Value> =
                some.step_by(5).map(|number| json!({"type": "product", "external_id": number.to_string()})).collect();
            deliveries.run_job(&acme, "resources", "external_id_delete", json!(gone)).await;
            home.advance(Duration::from_secs(1));
        }
    };
    // A sweep has time for one page, as one that is killed behind each page would.
    let filling = async {
        let mut sweeps = 0;
        while sweep_once(&home, Duration::ZERO).await != (1, 0) {
            sweeps += 1;
            assert!(sweeps < 200, "it does not end");
        }
        sweeps
    };
    let ((), sweeps) = tokio::join!(writing, filling);
    assert!(sweeps >= 2, "a page at a time");
    let shown = acme.get("/objects/types/product").await.data(200);
    assert!(shown["indexes"].as_array().expect("a list").iter().all(|index| index["ready"] == true), "{shown}");
    check(&acme).await;
    assert_eq!(home.run.store().catalog.fillings().await.expect("the database"), []);
    home.run.stop().await;
}

/// A schema that is replaced while its indexes are filled has others, which are filled from the beginning; and a note that leads to
/// nothing is taken away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filling_is_begun_anew_where_the_schema_was_replaced() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define("product", schema(None)).await;
    let all: Vec<Value> = (0..900)
        .map(|number| json!({"type": "product", "external_id": number.to_string(), "attributes": {"name": "n3", "size": 1}}))
        .collect();
    deliveries.run_job(&acme, "resources", "post", json!(all)).await;
    ask_for(&acme, json!(["name"])).await;
    home.advance(Duration::from_mins(3));
    assert_eq!(sweep_once(&home, Duration::ZERO).await, (0, 0));
    let store = home.run.store();
    let under_way = store.catalog.fillings().await.expect("the database");
    assert!(under_way[0].from.is_some(), "{under_way:?}");

    let asked = ask_for(&acme, json!(["size", "name", "_updated_at"])).await;
    assert_eq!(asked["indexes"][1], json!({"name": "name", "ready": false}));
    // What goes on with the one before finds that it is not wanted any more.
    assert!(!store.catalog.move_filling(&under_way[0], "x").await.expect("the database"));
    let defined =
        store.catalog.object_type(&acme.account, &under_way[0].key).await.expect("the database").expect("a type");
    assert!(!store.catalog.indexes_are_filled(&under_way[0], &defined).await.expect("the database"));
    assert_eq!(store.catalog.fillings().await.expect("the database")[0].from, None);
    home.advance(Duration::from_mins(3));
    assert_eq!(sweep_once(&home, Duration::from_mins(1)).await, (1, 0));
    check(&acme).await;

    let key = TypeKey::parse("gone").expect("a key");
    store.catalog.note_filling(&acme.account, &key, 1, store.clock().now()).await.expect("the database");
    home.advance(Duration::from_mins(3));
    assert_eq!(sweep_once(&home, Duration::from_mins(1)).await, (0, 0));
    assert_eq!(store.catalog.fillings().await.expect("the database"), []);
    home.run.stop().await;
}
