//! External ids, and what a merge patch does and does not change.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{Client, Home, outcomes};

const TAKEN: &str = "UnprocessableEntity: External Id is already in use for the Resource Type key: product";

fn product(external_id: &str, name: &str) -> Value {
    json!({"type": "product", "external_id": external_id, "attributes": {"name": name}})
}

async fn check_same(client: &Client, kept: &str, other: &str) {
    let posted = client.run_job("resources", "post", json!([product(kept, "First")])).await;
    assert_eq!(outcomes(&posted), ["done"], "{kept}");
    let again = client.run_job("resources", "post", json!([product(other, "Second")])).await;
    assert_eq!(outcomes(&again), [TAKEN], "{kept} {other}");
    let set = client.run_job("resources", "external_id_set", json!([product(other, "Third")])).await;
    assert_eq!(set["results"][0]["data"]["id"], posted["results"][0]["data"]["id"]);
    let record = client.record_of(&set["results"][0]["data"]["id"]).await;
    assert_eq!((&record["external_id"], &record["attributes"]["name"]), (&json!(kept), &json!("Third")));
    let item = json!({"type": "product", "external_id": other});
    assert_eq!(outcomes(&client.run_job("resources", "external_id_delete", json!([item])).await), ["done"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn external_ids_are_compared_in_unicode_lower_case_and_kept_as_given() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    for (kept, other) in
        [("SKU-1", "sku-1"), ("ÄPFEL-Straße", "äpfel-straße"), ("ΟΔΟΣ", "οδος"), ("Жук", "жУК"), ("ẞ", "ß")]
    {
        check_same(&acme, kept, other).await;
    }
    // No other folding: neither case folding nor normalization, nor spaces.
    let different = ["strasse", "straße", "e\u{301}", "\u{e9}", "a", " a", "a ", "ａ"];
    let items: Vec<_> = different.iter().map(|external_id| product(external_id, external_id)).collect();
    let job = acme.run_job("resources", "post", json!(items)).await;
    assert!(outcomes(&job).iter().all(|outcome| outcome == "done"), "{:?}", outcomes(&job));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_id_is_1_to_255_characters_of_any_kind() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let good = [
        "x".to_owned(),
        "x".repeat(255),
        "é".repeat(255),
        "🍬".repeat(255),
        "\u{ffff}".to_owned(),
        "a\u{fffe}b\u{ffff}".to_owned(),
        "\u{0}".to_owned(),
        "\u{7}\n\r\t\u{7f}".to_owned(),
        "\" \\ / # % , & = ?".to_owned(),
        "null".to_owned(),
        "\u{10ffff}".to_owned(),
    ];
    let items: Vec<_> = good.iter().map(|external_id| product(external_id, external_id)).collect();
    let job = acme.run_job("resources", "post", json!(items)).await;
    for (position, external_id) in good.iter().enumerate() {
        assert_eq!(outcomes(&job)[position], "done", "{external_id:?}");
        let record = acme.record_of(&job["results"][position]["data"]["id"]).await;
        assert_eq!((&record["external_id"], &record["attributes"]["name"]), (&json!(external_id), &json!(external_id)));
    }
    let bad = [String::new(), "x".repeat(256), "🍬".repeat(256)];
    let items: Vec<_> = bad.iter().map(|external_id| product(external_id, "Bad")).collect();
    for action in ["post", "external_id_set", "external_id_delete"] {
        for (outcome, external_id) in outcomes(&acme.run_job("resources", action, json!(items)).await).iter().zip(&bad)
        {
            let count = external_id.chars().count().to_string();
            assert!(outcome.starts_with("UnprocessableEntity: external_id") && outcome.ends_with(&count), "{outcome}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_id_is_unique_per_account_and_type() {
    let home = Home::start().await;
    let (acme, other) = (home.acme().await, home.agent("other").await);
    let mut ids = Vec::new();
    for client in [&acme, &other] {
        for key in ["product", "shop"] {
            client.define(key, json!({"properties": {"name": {"type": "string"}}})).await;
            let item = json!({"type": key, "external_id": "1", "attributes": {"name": key}});
            let job = client.run_job("resources", "post", json!([item])).await;
            assert_eq!(outcomes(&job), ["done"]);
            ids.push(job["results"][0]["data"]["id"].to_string());
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_external_id_or_with_null_every_post_is_a_record() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let (absent, nothing) = (
        json!({"type": "product", "attributes": {"name": "Gum"}}),
        json!({"type": "product", "external_id": null, "attributes": {"name": "Gum"}}),
    );
    let job = acme.run_job("resources", "post", json!([absent, nothing, absent, nothing])).await;
    assert_eq!(outcomes(&job), ["done"; 4]);
    let records = acme.get("/objects/records?type=product").await.data(200);
    assert_eq!(records.as_array().map(Vec::len), Some(4));
    assert!(records.as_array().expect("a list").iter().all(|record| record["external_id"].is_null()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_made_again_under_its_external_id_has_its_id_again_and_nothing_else() {
    let home = Home::start_at(1_509_724_806_400).await;
    let acme = home.acme().await;
    acme.define_product().await;
    let full = json!({"type": "product", "external_id": "1", "attributes": {"name": "Gum", "note": "old"}});
    let first = acme.run_job("resources", "post", json!([full])).await["results"][0]["data"]["id"].clone();
    let before = acme.record_of(&first).await;
    acme.run_job("resources", "delete", json!([first])).await;
    for action in ["external_id_set", "post"] {
        home.advance(Duration::from_secs(1));
        let again = acme.run_job("resources", action, json!([product("1", "New")])).await;
        assert_eq!(again["results"][0]["data"]["id"], first, "{action}");
        let record = acme.record_of(&first).await;
        assert_eq!(record["attributes"], json!({"name": "New"}));
        assert_ne!(record["created_at"], before["created_at"]);
        acme.run_job("resources", "external_id_delete", json!([{"type": "product", "external_id": "1"}])).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patch_removes_by_null_merges_objects_and_replaces_arrays() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let open = json!({"type": ["object", "array", "string", "null", "number"]});
    acme.define("thing", json!({"properties": {"a": open, "b": open, "c": open, "d": open}})).await;
    let item = |attributes: Value| json!({"type": "thing", "external_id": "1", "attributes": attributes});
    let steps = [
        // A set that creates patches an empty object.
        (json!({"a": {"x": 1, "y": null}, "b": [1, null], "c": null}), json!({"a": {"x": 1}, "b": [1, null]})),
        (json!({"a": {"x": null, "z": {"w": null}}}), json!({"a": {"z": {}}, "b": [1, null]})),
        (json!({"b": [2]}), json!({"a": {"z": {}}, "b": [2]})),
        (json!({"a": "text", "d": 7}), json!({"a": "text", "b": [2], "d": 7})),
        (json!({"a": {"k": "v"}, "b": null, "c": null}), json!({"a": {"k": "v"}, "d": 7})),
        (json!({}), json!({"a": {"k": "v"}, "d": 7})),
    ];
    for (patch, expected) in &steps {
        let job = acme.run_job("resources", "external_id_set", json!([item(patch.clone())])).await;
        assert_eq!(outcomes(&job), ["done"], "{patch}");
        assert_eq!(&acme.record("thing", "1").await["attributes"], expected, "{patch}");
    }
    // The same through update, on a record that was posted, which patches an empty object too.
    let posted = acme.run_job("resources", "post", json!([{"type": "thing", "attributes": {"a": null}}])).await;
    let id = posted["results"][0]["data"]["id"].clone();
    assert_eq!(acme.record_of(&id).await["attributes"], json!({}));
    for (patch, _) in &steps {
        let job = acme.run_job("resources", "update", json!([{"id": id, "attributes": patch}])).await;
        assert_eq!(outcomes(&job), ["done"], "{patch}");
    }
    assert_eq!(acme.record_of(&id).await["attributes"], json!({"a": {"k": "v"}, "d": 7}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_changes_neither_type_nor_external_id() {
    let home = Home::start_at(1_509_724_806_400).await;
    let acme = home.acme().await;
    acme.define_product().await;
    acme.define("shop", json!({"properties": {"name": {"type": "string"}}})).await;
    acme.stock(1).await;
    let before = acme.record("product", "stock-0").await;
    home.advance(Duration::from_secs(1));
    let item = json!({"id": before["id"], "type": "shop", "external_id": "other", "created_at": "2000-01-01T00:00:00Z",
        "attributes": {"price": 3}});
    assert_eq!(outcomes(&acme.run_job("resources", "update", json!([item])).await), ["done"]);
    let after = acme.record("product", "stock-0").await;
    let mut expected = before.clone();
    expected["attributes"]["price"] = json!(3);
    expected["updated_at"] = json!("2017-11-03T16:00:07.400Z");
    assert_eq!(after, expected);
    assert_eq!(acme.get("/objects/records?type=shop").await.data(200), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_another_account_is_ever_touched() {
    let home = Home::start().await;
    let (acme, other) = (home.acme().await, home.agent("other").await);
    acme.define_product().await;
    other.define_product().await;
    acme.define_relationship("made_by", "product", json!(["zen:organization"])).await;
    other.define_relationship("made_by", "product", json!(["zen:organization"])).await;
    let id = acme.stock(1).await.remove(0);
    let before = acme.record("product", "stock-0").await;
    let check = async |job_type: &str, action: &str, item: Value, expected: &str| {
        let outcomes = outcomes(&other.run_job(job_type, action, json!([item])).await);
        assert!(outcomes[0].starts_with(expected), "{action}: {outcomes:?}");
    };
    check("resources", "update", json!({"id": id, "attributes": {"price": 1}}), "NotFound").await;
    check("resources", "delete", json!(id), "NotFound").await;
    check("resources", "external_id_delete", json!({"type": "product", "external_id": "stock-0"}), "NotFound").await;
    check("resources", "external_id_set", product("stock-0", "Theirs"), "done").await;
    let link = json!({"relationship_type": "made_by", "source": id, "target": "zen:organization:1"});
    check("relationships", "post", link, "UnprocessableEntity: source").await;
    assert_eq!(acme.record("product", "stock-0").await, before);
}
