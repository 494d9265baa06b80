//! Items of one record apply in the order given, as if one by one.

use domain::limits::ITEMS_PER_CHUNK;
use serde_json::{Value, json};
use tests::{Home, outcomes};

/// More than two chunks of one record.
const CHAIN: usize = 2 * ITEMS_PER_CHUNK + 120;

fn set(external_id: &str, attributes: &Value) -> Value {
    json!({"type": "product", "external_id": external_id, "attributes": attributes})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sets_of_one_record_merge_in_order() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let job = acme
        .run_job(
            "resources",
            "external_id_set",
            json!([
                set("a", &json!({"note": "no name yet"})),
                set("a", &json!({"name": "First", "note": "kept", "price": 1})),
                set("b", &json!({"name": "Other"})),
                set("A", &json!({"name": "Second", "price": null})),
                set("a", &json!({"price": -1})),
                set("a", &json!({"id": "7"})),
            ]),
        )
        .await;
    let outcomes = outcomes(&job);
    assert!(outcomes[0].contains("attributes.name") && outcomes[4].contains("attributes.price"), "{outcomes:?}");
    for position in [1, 2, 3, 5] {
        assert_eq!(outcomes[position], "done", "{position}");
    }
    let ids = |position: usize| &job["results"][position]["data"]["id"];
    assert!(ids(1) == ids(3) && ids(3) == ids(5) && ids(1) != ids(2));
    let record = acme.record("product", "a").await;
    assert_eq!(record["attributes"], json!({"name": "Second", "note": "kept", "id": "7"}));
    assert_eq!(record["external_id"], "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_of_one_record_merge_in_order() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let ids = acme.stock(2).await;
    let update = |id: &str, attributes: Value| json!({"id": id, "attributes": attributes});
    let job = acme
        .run_job(
            "resources",
            "update",
            json!([
                update(&ids[0], json!({"price": 1, "note": "a"})),
                update(&ids[1], json!({"price": 10})),
                update(&ids[0].to_uppercase(), json!({"price": 2, "note": null})),
                update(&ids[0], json!({"name": null, "price": 3})),
                update(&ids[1], json!({})),
                update(&ids[0], json!({"id": "x"})),
            ]),
        )
        .await;
    let outcomes = outcomes(&job);
    assert!(outcomes[3].contains("attributes.name"), "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "done").count(), 5);
    assert_eq!(
        acme.record("product", "stock-0").await["attributes"],
        json!({"name": "Stock 0", "price": 2, "id": "x"})
    );
    assert_eq!(acme.record("product", "stock-1").await["attributes"], json!({"name": "Stock 1", "price": 10}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_posts_with_one_external_id_the_first_good_one_wins() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let taken = "UnprocessableEntity: External Id is already in use for the Resource Type key: product";
    let job = acme
        .run_job(
            "resources",
            "post",
            json!([
                set("a", &json!({"price": 1})),
                set("a", &json!({"name": "First good"})),
                set("a", &json!({"name": "Late"})),
                set("A", &json!({"name": "Later"})),
                set("a", &json!({"price": 1})),
            ]),
        )
        .await;
    let outcomes = outcomes(&job);
    assert!(outcomes[0].contains("attributes.name"), "{outcomes:?}");
    assert_eq!(outcomes[1..], ["done", taken, taken, taken]);
    assert_eq!(acme.record("product", "a").await["attributes"], json!({"name": "First good"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_is_gone_for_the_next_item() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let ids = acme.stock(2).await;
    let by_id = outcomes(&acme.run_job("resources", "delete", json!([ids[0], ids[0], ids[0]])).await);
    let missing = format!("NotFound: No record has the id \"{}\"", ids[0]);
    assert_eq!(by_id, ["done", &missing, &missing]);
    let item = |external_id: &str| json!({"type": "product", "external_id": external_id});
    let job = acme.run_job("resources", "external_id_delete", json!([item("stock-1"), item("STOCK-1")])).await;
    assert_eq!(outcomes(&job), ["done", "NotFound: No record of type product has the external id \"STOCK-1\""]);
    // A delete's result has the id of what was deleted.
    assert_eq!(job["results"][0]["data"]["id"], json!(ids[1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_one_job_sets_hundreds_of_times_ends_at_the_last() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let items: Vec<_> = (0..CHAIN)
        .flat_map(|number| {
            let mut attributes = json!({"name": format!("Version {number}")});
            if number == 5 {
                attributes["note"] = json!("of the first chunk");
            }
            if number == 300 {
                attributes["price"] = json!(300);
            }
            [set("chain", &attributes), set(&format!("other-{}", number % 7), &json!({"name": format!("{number}")}))]
        })
        .collect();
    let job = acme.run_job("resources", "external_id_set", json!(items)).await;
    assert_eq!(job["job_status"], "completed");
    let outcomes = outcomes(&job);
    assert_eq!(outcomes.len(), CHAIN * 2);
    assert!(outcomes.iter().all(|outcome| outcome == "done"));
    assert_eq!(
        acme.record("product", "chain").await["attributes"],
        json!({"name": format!("Version {}", CHAIN - 1), "note": "of the first chunk", "price": 300})
    );
    let last = |rest: usize| (0..CHAIN).rfind(|number| number % 7 == rest).expect("one").to_string();
    for rest in 0..7 {
        let record = acme.record("product", &format!("other-{rest}")).await;
        assert_eq!(record["attributes"]["name"], last(rest));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_one_job_updates_hundreds_of_times_ends_at_the_last() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let id = acme.stock(1).await.remove(0);
    let price = |number: usize| if number.is_multiple_of(100) { json!("wrong") } else { json!(number) };
    let items: Vec<_> = (0..CHAIN).map(|number| json!({"id": id, "attributes": {"price": price(number)}})).collect();
    let job = acme.run_job("resources", "update", json!(items)).await;
    for (number, outcome) in outcomes(&job).iter().enumerate() {
        assert_eq!(outcome == "done", !number.is_multiple_of(100), "{number}: {outcome}");
    }
    assert_eq!(acme.record("product", "stock-0").await["attributes"]["price"], CHAIN - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_one_job_posts_or_deletes_hundreds_of_times_is_made_and_deleted_once() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let items: Vec<_> = (0..CHAIN).map(|number| set("a", &json!({"name": number.to_string()}))).collect();
    let posted = acme.run_job("resources", "post", json!(items)).await;
    let made = outcomes(&posted);
    assert_eq!(made[0], "done");
    assert!(made[1..].iter().all(|outcome| outcome.contains("already in use")));
    let id = posted["results"][0]["data"]["id"].clone();
    assert_eq!(acme.record_of(&id).await["attributes"]["name"], "0");
    let deleted = outcomes(&acme.run_job("resources", "delete", json!(vec![id; CHAIN])).await);
    assert_eq!(deleted[0], "done");
    assert!(deleted[1..].iter().all(|outcome| outcome.starts_with("NotFound")));
}
