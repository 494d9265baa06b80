//! Relationship records, made and deleted by jobs.

use serde_json::{Value, json};
use tests::{Client, Home, outcomes, text};

async fn account(home: &Home) -> Client {
    let acme = home.acme().await;
    acme.define_product().await;
    acme.define("shop", json!({"properties": {"name": {"type": "string"}}})).await;
    acme.define_relationship("made_by", "product", json!("zen:organization")).await;
    acme.define_relationship("main_shop", "product", json!("shop")).await;
    acme.define_relationship("sold_in", "product", json!(["shop"])).await;
    acme.define_relationship("asks_for", "zen:ticket", json!(["product"])).await;
    acme.define_relationship("goes_with", "product", json!(["product"])).await;
    acme
}

async fn shops(client: &Client, count: usize) -> Vec<String> {
    let shop = json!({"type": "shop", "attributes": {"name": "Shop"}});
    let job = client.run_job("resources", "post", json!(vec![shop; count])).await;
    let id = |result: &Value| text(&result["data"]["id"]).to_owned();
    job["results"].as_array().expect("results").iter().map(id).collect()
}

fn link(key: &str, source: &str, target: &str) -> Value {
    json!({"relationship_type": key, "source": source, "target": target})
}

async fn relate(client: &Client, links: &[Value]) -> (Vec<String>, Vec<Value>) {
    let job = client.run_job("relationships", "post", json!(links)).await;
    let ids = job["results"].as_array().expect("results").iter().map(|result| result["data"]["id"].clone()).collect();
    (outcomes(&job), ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relationship_shows_what_it_relates() {
    let home = Home::start_at(1_509_724_806_400).await;
    let acme = account(&home).await;
    let (product, shop) = (acme.stock(1).await.remove(0), shops(&acme, 1).await.remove(0));
    let links = [
        link("made_by", &product, "zen:organization:77"),
        link("sold_in", &product.to_uppercase(), &shop),
        link("ASKS_FOR", "zen:ticket:35436", &product),
        link("goes_with", &product, &product),
    ];
    let (done, ids) = relate(&acme, &links).await;
    assert_eq!(done, ["done"; 4]);
    for (id, (key, source, target)) in ids.iter().zip([
        ("made_by", product.as_str(), "zen:organization:77"),
        ("sold_in", &product, &shop),
        ("asks_for", "zen:ticket:35436", &product),
        ("goes_with", &product, &product),
    ]) {
        let expected = json!({"id": id, "relationship_type": key, "source": source, "target": target,
            "created_at": "2017-11-03T16:00:06.400Z"});
        assert_eq!(acme.get(&format!("/relationships/records/{}", text(id))).await.data(200), expected);
        assert_eq!(acme.get(&format!("/relationships/records?type={key}")).await.data(200), json!([expected]));
        // It is no object record, whatever its id looks like.
        assert_eq!(acme.get(&format!("/objects/records/{}", text(id))).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_to_one_has_one_target_for_a_source() {
    let home = Home::start().await;
    let acme = account(&home).await;
    let (products, shops) = (acme.stock(2).await, shops(&acme, 2).await);
    let (done, ids) = relate(
        &acme,
        &[
            link("main_shop", &products[0], &shops[0]),
            link("main_shop", &products[0], &shops[1]),
            link("main_shop", &products[0], &shops[0]),
            link("main_shop", &products[1], &shops[0]),
        ],
    )
    .await;
    assert_eq!((&*done[0], &*done[3]), ("done", "done"));
    assert!(done[1].starts_with("UnprocessableEntity: The one-to-one relationship type main_shop"), "{done:?}");
    assert!(done[2].starts_with("UnprocessableEntity: A relationship record of type main_shop"), "{done:?}");
    // Another type is another matter, and a deleted one makes room.
    assert_eq!(relate(&acme, &[link("sold_in", &products[0], &shops[1])]).await.0, ["done"]);
    assert_eq!(outcomes(&acme.run_job("relationships", "delete", json!([ids[0]])).await), ["done"]);
    let (done, again) = relate(&acme, &[link("main_shop", &products[0], &shops[1])]).await;
    assert_eq!(done, ["done"]);
    let shown = acme.get(&format!("/relationships/records/{}", text(&again[0]))).await.data(200);
    assert_eq!(shown["target"], json!(shops[1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_to_many_has_each_target_once() {
    let home = Home::start().await;
    let acme = account(&home).await;
    let (product, shops) = (acme.stock(1).await.remove(0), shops(&acme, 2).await);
    let (done, ids) = relate(
        &acme,
        &[
            link("sold_in", &product, &shops[0]),
            link("sold_in", &product, &shops[1]),
            link("sold_in", &product, &shops[0]),
        ],
    )
    .await;
    assert_eq!(done[..2], ["done", "done"]);
    assert!(done[2].starts_with("UnprocessableEntity: A relationship record of type sold_in from"), "{done:?}");
    assert!(done[2].ends_with("already exists"), "{done:?}");
    let later = relate(&acme, &[link("SOLD_IN", &product, &shops[1].to_uppercase())]).await.0;
    assert!(later[0].ends_with("already exists"), "{later:?}");
    let job = acme.run_job("relationships", "delete", json!([ids[0], ids[0]])).await;
    assert_eq!(outcomes(&job)[0], "done");
    assert!(outcomes(&job)[1].starts_with("NotFound"));
    assert_eq!(relate(&acme, &[link("sold_in", &product, &shops[0])]).await.0, ["done"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_in_use_is_deleted_only_once_it_is_free() {
    let home = Home::start().await;
    let acme = account(&home).await;
    let (products, shop) = (acme.stock(2).await, shops(&acme, 1).await.remove(0));
    let (_, ids) = relate(
        &acme,
        &[
            link("sold_in", &products[0], &shop),
            link("sold_in", &products[1], &shop),
            link("asks_for", "zen:ticket:1", &products[0]),
        ],
    )
    .await;
    let delete = async |record: &str| outcomes(&acme.run_job("resources", "delete", json!([record])).await).remove(0);
    let in_use = |count: &str| format!("UnprocessableEntity: The record is an end of {count} first");
    assert_eq!(delete(&products[0]).await, in_use("2 relationship records: delete them"));
    assert_eq!(delete(&products[1]).await, in_use("1 relationship record: delete it"));
    assert_eq!(delete(&shop).await, in_use("2 relationship records: delete them"));
    let by_external_id = json!([{"type": "product", "external_id": "stock-0"}]);
    let refused = outcomes(&acme.run_job("resources", "external_id_delete", by_external_id).await);
    assert_eq!(refused, [in_use("2 relationship records: delete them")]);
    // Whatever else happens to it, it stays in use.
    acme.run_job("resources", "update", json!([{"id": products[0], "attributes": {"price": 1}}])).await;

    assert_eq!(outcomes(&acme.run_job("relationships", "delete", json!([ids[0]])).await), ["done"]);
    assert_eq!(delete(&products[0]).await, in_use("1 relationship record: delete it"));
    assert_eq!(outcomes(&acme.run_job("relationships", "delete", json!([ids[1], ids[2]])).await), ["done"; 2]);
    for record in [&products[0], &products[1], &shop] {
        assert_eq!(delete(record).await, "done");
    }
    // Neither end is there to be related again.
    let (gone, _) = relate(&acme, &[link("sold_in", &products[0], &shop)]).await;
    assert!(gone[0].starts_with("UnprocessableEntity: source") && gone[0].contains(&products[0]), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_related_to_itself_is_free_once_that_is_deleted() {
    let home = Home::start().await;
    let acme = account(&home).await;
    let product = acme.stock(1).await.remove(0);
    let (done, ids) = relate(&acme, &[link("goes_with", &product, &product)]).await;
    assert_eq!(done, ["done"]);
    let refused = outcomes(&acme.run_job("resources", "delete", json!([product])).await);
    assert_eq!(refused, ["UnprocessableEntity: The record is an end of 1 relationship record: delete it first"]);
    assert_eq!(outcomes(&acme.run_job("relationships", "delete", json!(ids)).await), ["done"]);
    assert_eq!(outcomes(&acme.run_job("resources", "delete", json!([product])).await), ["done"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_source_has_hundreds_of_relationships_in_one_job() {
    let home = Home::start().await;
    let acme = account(&home).await;
    let (product, shops) = (acme.stock(1).await.remove(0), shops(&acme, 150).await);
    let links: Vec<_> = shops
        .iter()
        .map(|shop| link("sold_in", &product, shop))
        .chain((0..150).map(|ticket| link("asks_for", &format!("zen:ticket:{ticket}"), &product)))
        .collect();
    let (done, ids) = relate(&acme, &links).await;
    assert_eq!(done, vec!["done"; 300]);
    let refused = outcomes(&acme.run_job("resources", "delete", json!([product])).await);
    assert!(refused[0].contains("an end of 300 relationship records"), "{refused:?}");
    assert_eq!(outcomes(&acme.run_job("relationships", "delete", json!(ids)).await), vec!["done"; 300]);
    assert_eq!(acme.get("/relationships/records?type=sold_in").await.data(200), json!([]));
    let everything: Vec<_> = shops.into_iter().chain([product]).collect();
    assert_eq!(outcomes(&acme.run_job("resources", "delete", json!(everything)).await), vec!["done"; 151]);
}
