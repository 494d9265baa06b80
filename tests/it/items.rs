//! Each row of the contract's table of item problems, for each action it can happen in, in the middle of good items.

use domain::chunk::{Packing, pack};
use domain::job::{Job, JobId};
use domain::request::JobRequest;
use serde_json::{Value, json};
use store::jobs::Commit;
use tests::{Client, Deliveries, Delivery, Home, outcomes, text};

const UNKNOWN: &str = "576a0d0d-fb3f-11e9-80f8-65590b274410";

/// A wrong item as the text that is sent, and how its outcome begins.
type Wrong = (String, &'static str);

fn wrong(item: &Value, outcome: &'static str) -> Wrong {
    (item.to_string(), outcome)
}

/// Runs one job with a good item before, between and behind the wrong ones. Each good one succeeds, each wrong one
/// fails with its own error, each at its own position.
async fn check_among_good(
    client: &Client,
    (job_type, action): (&str, &str),
    good: impl Fn(usize) -> Value,
    wrong: &[Wrong],
) -> Value {
    let mut items = vec![good(0).to_string()];
    for (number, (item, _)) in (1..).zip(wrong) {
        items.extend([item.clone(), good(number).to_string()]);
    }
    let job = client.run_items(job_type, action, &items).await;
    assert_eq!(job["job_status"], "completed");
    let outcomes = outcomes(&job);
    assert_eq!(outcomes.len(), items.len());
    for (pair, (item, expected)) in outcomes[1..].chunks(2).zip(wrong) {
        assert!(pair[0].starts_with(expected), "{item:.200}\n  gave {:.300}\n  not  {expected}", pair[0]);
        assert_eq!(pair[1], "done", "behind {item:.200}");
    }
    assert_eq!(outcomes[0], "done");
    let (good, bad) = (wrong.len() + 1, wrong.len());
    let total = good + bad;
    assert_eq!(job["progress"], json!({"total": total, "processed": total, "succeeded": good, "failed": bad}));
    job
}

/// What is wrong with type, external id and attributes, wherever an item has all three.
fn wrong_members() -> Vec<Wrong> {
    let with = |member: &str, value: Value| {
        let mut item = json!({"type": "product", "external_id": "wrong", "attributes": {"name": "Wrong"}});
        item[member] = value;
        item
    };
    let without = |member: &str| {
        let mut item = with("type", json!("product"));
        item.as_object_mut().expect("an object").shift_remove(member);
        item
    };
    vec![
        wrong(&json!(null), "UnprocessableEntity: item must be an object, not null"),
        wrong(&json!("wrong"), "UnprocessableEntity: item must be an object, not a string"),
        wrong(&json!([]), "UnprocessableEntity: item must be an object, not an array"),
        wrong(&without("type"), "UnprocessableEntity: type is required"),
        wrong(&with("type", json!(null)), "UnprocessableEntity: type must be a string"),
        wrong(&with("type", json!(7)), "UnprocessableEntity: type must be a string"),
        wrong(&with("external_id", json!(7.5)), "UnprocessableEntity: external_id must be a string"),
        wrong(&with("external_id", json!("")), "UnprocessableEntity: external_id must be 1 to 255 characters"),
        wrong(&with("external_id", json!("x".repeat(256))), "UnprocessableEntity: external_id must be 1 to 255"),
        wrong(&without("attributes"), "UnprocessableEntity: attributes is required"),
        wrong(&with("attributes", json!(null)), "UnprocessableEntity: attributes must be an object"),
        wrong(&with("attributes", json!("x")), "UnprocessableEntity: attributes must be an object"),
        wrong(&with("attributes", json!([{"name": "x"}])), "UnprocessableEntity: attributes must be an object"),
        wrong(&with("type", json!("ghost")), "NotFound: Object type \"ghost\" is not defined"),
        wrong(&with("type", json!("no key!")), "NotFound: Object type \"no key!\" is not defined"),
        wrong(&with("attributes", json!({})), "UnprocessableEntity: attributes.name breaks the rule \"required\""),
        wrong(&with("attributes", json!({"name": 7})), "UnprocessableEntity: attributes.name breaks the rule \"type\""),
        wrong(
            &with("attributes", json!({"name": "Wrong", "price": -1})),
            "UnprocessableEntity: attributes.price breaks the rule \"minimum\"",
        ),
        wrong(
            &with("attributes", json!({"name": "Wrong", "colour": "red"})),
            "UnprocessableEntity: attributes.colour breaks the rule \"additionalProperties\"",
        ),
        wrong(
            &with("attributes", json!({"name": "Wrong", "note": "x".repeat(40_960)})),
            "UnprocessableEntity: attributes must be at most 32768 bytes as compact JSON, not 40986",
        ),
        (
            r#"{"type":"product","external_id":"\ud800","attributes":{"name":"Wrong"}}"#.to_owned(),
            "UnprocessableEntity: external_id must be Unicode text",
        ),
        (
            r#"{"type":"product","external_id":"wrong","attributes":{"name":"\udc00"}}"#.to_owned(),
            "UnprocessableEntity: attributes cannot be read",
        ),
        (
            format!(
                r#"{{"type":"product","external_id":"wrong","attributes":{{"name":{}1{}}}}}"#,
                "[".repeat(5_000),
                "]".repeat(5_000)
            ),
            "UnprocessableEntity: attributes cannot be read",
        ),
    ]
}

fn good_product(number: usize) -> Value {
    json!({"type": "product", "external_id": format!("good-{number}"), "attributes": {"name": format!("Good {number}")}})
}

async fn check_products(client: &Client, good: usize) {
    let records = client.get("/objects/records?type=product&order=asc").await.data(200);
    let is_good = |record: &&Value| record["external_id"].as_str().is_some_and(|id| id.starts_with("good-"));
    assert_eq!(records.as_array().expect("a list").iter().filter(is_good).count(), good);
    assert!(client.record("product", "wrong").await.is_null());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_items_of_a_post_fail_alone() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    acme.stock(1).await;
    let before = acme.record("product", "stock-0").await;
    let mut wrong_items = wrong_members();
    for taken in ["stock-0", "STOCK-0"] {
        wrong_items.push(wrong(
            &json!({"type": "Product", "external_id": taken, "attributes": {"name": "Other"}}),
            "UnprocessableEntity: External Id is already in use for the Resource Type key: product",
        ));
    }
    check_among_good(&acme, ("resources", "post"), good_product, &wrong_items).await;
    check_products(&acme, wrong_items.len() + 1).await;
    assert_eq!(acme.record("product", "stock-0").await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_items_of_an_external_id_set_fail_alone() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    acme.stock(1).await;
    let before = acme.record("product", "stock-0").await;
    let mut wrong_items = wrong_members();
    let stock = |patch: Value| json!({"type": "product", "external_id": "stock-0", "attributes": patch});
    wrong_items.extend([
        wrong(&json!({"type": "product", "attributes": {"name": "x"}}), "UnprocessableEntity: external_id is required"),
        wrong(
            &json!({"type": "product", "external_id": null, "attributes": {"name": "x"}}),
            "UnprocessableEntity: external_id must be a string",
        ),
        wrong(&stock(json!({"name": null})), "UnprocessableEntity: attributes.name breaks the rule \"required\""),
        wrong(&stock(json!({"price": "cheap"})), "UnprocessableEntity: attributes.price breaks the rule \"type\""),
    ]);
    check_among_good(&acme, ("resources", "external_id_set"), good_product, &wrong_items).await;
    check_products(&acme, wrong_items.len() + 1).await;
    assert_eq!(acme.record("product", "stock-0").await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_items_of_an_update_fail_alone() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    acme.define_relationship("made_by", "product", json!("zen:organization")).await;
    let ids = acme.stock(40).await;
    let (victim, deleted) = (ids[38].clone(), ids[39].clone());
    acme.run_job("resources", "delete", json!([deleted])).await;
    let related = acme
        .run_job(
            "relationships",
            "post",
            json!([{"relationship_type": "made_by", "source": victim, "target": "zen:organization:1"}]),
        )
        .await["results"][0]["data"]["id"]
        .clone();
    let before = acme.record("product", "stock-38").await;
    let patch = |patch: Value| json!({"id": victim, "attributes": patch});
    let wrong_items = [
        wrong(&json!(victim), "UnprocessableEntity: item must be an object, not a string"),
        wrong(&json!({"attributes": {}}), "UnprocessableEntity: id is required"),
        wrong(&json!({"id": 7, "attributes": {}}), "UnprocessableEntity: id must be a string"),
        wrong(&json!({"id": "7", "attributes": {}}), "NotFound: No record has the id \"7\""),
        wrong(&json!({"id": "", "attributes": {}}), "NotFound: No record has the id \"\""),
        wrong(&json!({"id": UNKNOWN, "attributes": {}}), "NotFound: No record has the id \"576a0d0d"),
        wrong(&json!({"id": deleted, "attributes": {}}), "NotFound: No record has the id"),
        wrong(&json!({"id": related, "attributes": {}}), "NotFound: No record has the id"),
        wrong(&json!({"id": victim}), "UnprocessableEntity: attributes is required"),
        wrong(&patch(json!([])), "UnprocessableEntity: attributes must be an object, not an array"),
        wrong(&patch(json!({"name": null})), "UnprocessableEntity: attributes.name breaks the rule \"required\""),
        wrong(&patch(json!({"price": "x"})), "UnprocessableEntity: attributes.price breaks the rule \"type\""),
        wrong(&patch(json!({"colour": 1})), "UnprocessableEntity: attributes.colour breaks the rule \"additional"),
        wrong(
            &patch(json!({"note": "x".repeat(40_000)})),
            "UnprocessableEntity: attributes must be at most 32768 bytes as compact JSON, not",
        ),
        (
            format!(r#"{{"id":"{victim}","attributes":{{"note":"\ud83d"}}}}"#),
            "UnprocessableEntity: attributes cannot be read",
        ),
    ];
    let good = |number: usize| json!({"id": ids[number], "attributes": {"price": number}});
    check_among_good(&acme, ("resources", "update"), good, &wrong_items).await;
    for number in 0..=wrong_items.len() {
        let record = acme.record("product", &format!("stock-{number}")).await;
        assert_eq!(record["attributes"], json!({"name": format!("Stock {number}"), "price": number}));
    }
    assert_eq!(acme.record("product", "stock-38").await, before, "items that fail change nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_items_of_a_delete_fail_alone() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    acme.define_relationship("made_by", "product", json!("zen:organization")).await;
    let ids = acme.stock(20).await;
    let (used, deleted) = (ids[18].clone(), ids[19].clone());
    acme.run_job("resources", "delete", json!([deleted])).await;
    let related = acme
        .run_job(
            "relationships",
            "post",
            json!([{"relationship_type": "made_by", "source": used, "target": "zen:organization:1"}]),
        )
        .await["results"][0]["data"]["id"]
        .clone();
    let wrong_items = [
        wrong(&json!({"key": used}), "UnprocessableEntity: id is required and must be a string"),
        wrong(&json!([used]), "UnprocessableEntity: item must be a string, not an array"),
        wrong(&json!(null), "UnprocessableEntity: item must be a string, not null"),
        wrong(&json!(7), "UnprocessableEntity: item must be a string, not a number"),
        wrong(&json!("7"), "NotFound: No record has the id \"7\""),
        wrong(&json!(""), "NotFound: No record has the id \"\""),
        wrong(&json!(UNKNOWN), "NotFound: No record has the id \"576a0d0d-fb3f-11e9-80f8-65590b274410\""),
        wrong(&json!(deleted), "NotFound: No record has the id"),
        wrong(&related, "NotFound: No record has the id"),
        wrong(&json!(used), "UnprocessableEntity: The record is an end of 1 relationship record: delete it first"),
    ];
    check_among_good(&acme, ("resources", "delete"), |number| json!(ids[number]), &wrong_items).await;
    let left = acme.get("/objects/records?type=product").await.data(200);
    assert_eq!(left.as_array().map(Vec::len), Some(19 - wrong_items.len() - 1));
    acme.record_of(&json!(used)).await;
    assert_eq!(acme.get(&format!("/relationships/records/{}", text(&related))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_items_of_an_external_id_delete_fail_alone() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    acme.define_relationship("made_by", "product", json!("zen:organization")).await;
    let ids = acme.stock(20).await;
    let used = json!({"relationship_type": "made_by", "source": ids[19], "target": "zen:organization:1"});
    assert_eq!(outcomes(&acme.run_job("relationships", "post", json!([used])).await), ["done"]);
    let item = |object_type: &str, external_id: &str| json!({"type": object_type, "external_id": external_id});
    let wrong_items = [
        wrong(&json!("stock-1"), "UnprocessableEntity: item must be an object, not a string"),
        wrong(&json!({"external_id": "stock-1"}), "UnprocessableEntity: type is required"),
        wrong(&json!({"type": "product"}), "UnprocessableEntity: external_id is required"),
        wrong(&json!({"type": "product", "external_id": null}), "UnprocessableEntity: external_id must be a string"),
        wrong(&json!({"type": "product", "external_id": 1.5}), "UnprocessableEntity: external_id must be a string"),
        wrong(&item("product", ""), "UnprocessableEntity: external_id must be 1 to 255 characters"),
        wrong(&item("product", &"x".repeat(256)), "UnprocessableEntity: external_id must be 1 to 255 characters"),
        wrong(&item("product", "none"), "NotFound: No record of type product has the external id \"none\""),
        wrong(&item("ghost", "stock-1"), "NotFound: Object type \"ghost\" is not defined"),
        wrong(&item("product", "stock-19"), "UnprocessableEntity: The record is an end of 1 relationship record"),
    ];
    let good = |number: usize| item("product", &format!("Stock-{number}"));
    check_among_good(&acme, ("resources", "external_id_delete"), good, &wrong_items).await;
    let left = acme.get("/objects/records?type=product").await.data(200);
    assert_eq!(left.as_array().map(Vec::len), Some(20 - wrong_items.len() - 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_items_of_a_relationships_post_fail_alone() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    acme.define("shop", json!({"properties": {"name": {"type": "string"}}})).await;
    acme.define_relationship("sold_in", "product", json!(["shop"])).await;
    acme.define_relationship("made_by", "product", json!("zen:organization")).await;
    let ids = acme.stock(30).await;
    let shops = acme.run_job("resources", "post", json!([{"type": "shop", "attributes": {}}])).await;
    let shop = text(&shops["results"][0]["data"]["id"]).to_owned();
    let item =
        |key: &str, source: &str, target: &str| json!({"relationship_type": key, "source": source, "target": target});
    let there = [item("sold_in", &ids[29], &shop), item("made_by", &ids[29], "zen:organization:1")];
    assert_eq!(outcomes(&acme.run_job("relationships", "post", json!(there)).await), ["done", "done"]);

    let product = ids[28].as_str();
    let wrong_items = [
        wrong(&json!("sold_in"), "UnprocessableEntity: item must be an object, not a string"),
        wrong(&json!({"source": product, "target": shop}), "UnprocessableEntity: relationship_type is required"),
        wrong(
            &json!({"relationship_type": 7, "source": product, "target": shop}),
            "UnprocessableEntity: relationship_type must be a string",
        ),
        wrong(&json!({"relationship_type": "sold_in", "target": shop}), "UnprocessableEntity: source is required"),
        wrong(&json!({"relationship_type": "sold_in", "source": product}), "UnprocessableEntity: target is required"),
        wrong(
            &json!({"relationship_type": "sold_in", "source": product, "target": [shop]}),
            "UnprocessableEntity: target must be a string, not an array",
        ),
        wrong(&item("ghost", product, &shop), "NotFound: Relationship type \"ghost\" is not defined"),
        wrong(&item("no key!", product, &shop), "NotFound: Relationship type \"no key!\" is not defined"),
        wrong(&item("product", product, &shop), "NotFound: Relationship type \"product\" is not defined"),
        wrong(&item("sold_in", UNKNOWN, &shop), "UnprocessableEntity: source \"576a0d0d-fb3f"),
        wrong(&item("sold_in", product, UNKNOWN), "UnprocessableEntity: target \"576a0d0d-fb3f"),
        wrong(&item("sold_in", "7", &shop), "UnprocessableEntity: source \"7\" does not exist"),
        wrong(&item("sold_in", product, "7"), "UnprocessableEntity: target \"7\" does not exist"),
        wrong(&item("sold_in", &shop, &shop), "UnprocessableEntity: source \""),
        wrong(&item("sold_in", product, product), "UnprocessableEntity: target \""),
        wrong(
            &item("sold_in", product, "zen:user:1"),
            "UnprocessableEntity: target \"zen:user:1\" is not of type shop",
        ),
        wrong(&item("made_by", product, "zen:user:1"), "UnprocessableEntity: target \"zen:user:1\" is not of type"),
        wrong(&item("made_by", product, "zen:organization:"), "UnprocessableEntity: target \"zen:organization:\""),
        wrong(&item("made_by", product, &shop), "UnprocessableEntity: target \""),
        wrong(&item("sold_in", &ids[29], &shop), "UnprocessableEntity: A relationship record of type sold_in from"),
        wrong(
            &item("made_by", &ids[29], "zen:organization:2"),
            "UnprocessableEntity: The one-to-one relationship type made_by already relates",
        ),
    ];
    let good = |number: usize| item("sold_in", &ids[number], &shop);
    check_among_good(&acme, ("relationships", "post"), good, &wrong_items).await;
    let count = async |key: &str| {
        acme.get(&format!("/relationships/records?type={key}")).await.data(200).as_array().map(Vec::len)
    };
    assert_eq!((count("sold_in").await, count("made_by").await), (Some(wrong_items.len() + 2), Some(1)));
    // What failed holds no end.
    assert_eq!(outcomes(&acme.run_job("resources", "delete", json!([product])).await), ["done"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_items_of_a_relationships_delete_fail_alone() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    acme.define_relationship("made_by", "product", json!(["zen:organization"])).await;
    let product = acme.stock(1).await.remove(0);
    let items: Vec<_> = (0..12)
        .map(|number| json!({"relationship_type": "made_by", "source": product, "target": format!("zen:organization:{number}")}))
        .collect();
    let made = acme.run_job("relationships", "post", json!(items)).await;
    let id = |number: usize| made["results"][number]["data"]["id"].clone();
    assert_eq!(outcomes(&acme.run_job("relationships", "delete", json!([id(11)])).await), ["done"]);
    let wrong_items = [
        wrong(&json!({"key": id(10)}), "UnprocessableEntity: id is required and must be a string"),
        wrong(&json!(null), "UnprocessableEntity: item must be a string, not null"),
        wrong(&json!("7"), "NotFound: No relationship record has the id \"7\""),
        wrong(&json!(UNKNOWN), "NotFound: No relationship record has the id \"576a0d0d"),
        wrong(&id(11), "NotFound: No relationship record has the id"),
        wrong(&json!(product), "NotFound: No relationship record has the id"),
    ];
    check_among_good(&acme, ("relationships", "delete"), id, &wrong_items).await;
    let left = acme.get("/relationships/records?type=made_by").await.data(200);
    assert_eq!(left.as_array().map(Vec::len), Some(11 - wrong_items.len() - 1));
    acme.record_of(&json!(product)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broken_rule_is_an_error_of_its_own() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let broken = json!({"type": "product", "attributes": {"price": -1, "note": 7, "colour": "red", "size": 1}});
    let job = acme.run_job("resources", "post", json!([broken])).await;
    let errors = job["results"][0]["errors"].as_array().expect("errors").clone();
    let details: Vec<_> = errors.iter().map(|error| text(&error["detail"])).collect();
    for (attribute, rule) in [
        ("name", "required"),
        ("price", "minimum"),
        ("note", "type"),
        ("colour", "additionalProperties"),
        ("size", "additionalProperties"),
    ] {
        let begins = format!("attributes.{attribute} breaks the rule \"{rule}\"");
        assert_eq!(details.iter().filter(|it| it.starts_with(&begins)).count(), 1, "{begins}: {details:?}");
    }
    assert_eq!(errors.len(), 5, "{details:?}");
    assert!(errors.iter().all(|error| error["code"] == "UnprocessableEntity" && error["status"] == "422"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_have_at_most_32768_bytes_as_compact_json() {
    let home = Home::start().await;
    // {"name":"x","note":"…"}
    let of = |bytes: usize| json!({"name": "x", "note": "n".repeat(bytes - 22)});
    assert_eq!(of(32_768).to_string().len(), 32_768);
    let item = |external_id: &str, attributes: &Value| {
        json!({"type": "product", "external_id": external_id, "attributes": attributes}).to_string()
    };
    let spaced =
        format!(r#"{{"type":"product","external_id":"spaced","attributes":{{{}"name" : "x"}}}}"#, " ".repeat(60_000));
    let items = [item("fits", &of(32_768)), item("large", &of(32_769)), spaced, item("huge", &of(102_400))];
    for (account, action) in [("posts", "post"), ("sets", "external_id_set")] {
        let client = home.agent(account).await;
        client.define_product().await;
        let outcomes = outcomes(&client.run_items("resources", action, &items).await);
        assert_eq!((&*outcomes[0], &*outcomes[2]), ("done", "done"));
        for (outcome, size) in [(&outcomes[1], "32769"), (&outcomes[3], "102400")] {
            let (code, detail) = outcome.split_once(": ").expect("a detail");
            assert_eq!(code, "UnprocessableEntity");
            assert!(detail.contains("32768") && detail.contains(size), "{detail}");
        }
        assert_eq!(client.record("product", "spaced").await["attributes"], json!({"name": "x"}));
        // What counts is what would be stored, not what is sent.
        let id = client.record("product", "fits").await["id"].clone();
        let patches = json!([
            {"id": id, "attributes": {"price": 1}},
            {"id": id, "attributes": {"note": "short"}},
            {"id": id, "attributes": {"price": 1}},
        ]);
        let updated = tests::outcomes(&client.run_job("resources", "update", patches).await);
        assert!(updated[0].contains("32768") && updated[0].contains("32778"), "{updated:?}");
        assert_eq!(updated[1..], ["done", "done"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_an_action_ignores_may_be_large() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    acme.define_relationship("made_by", "product", json!(["zen:organization"])).await;
    let noise = "x".repeat(102_400);
    let noisy = |mut item: Value| {
        item["noise"] = json!({"deep": [noise]});
        item
    };
    let small = json!({"type": "product", "external_id": "small", "attributes": {"name": "Small"}});
    let item = noisy(json!({"type": "product", "external_id": "1", "attributes": {"name": "Gum"}}));
    let posted = acme.run_job("resources", "post", json!([small, item, small])).await;
    assert_eq!(outcomes(&posted)[..2], ["done", "done"]);
    let id = posted["results"][1]["data"]["id"].clone();
    for (job_type, action, item) in [
        ("resources", "update", json!({"id": id, "attributes": {"price": 1}})),
        ("resources", "external_id_set", json!({"type": "product", "external_id": "1", "attributes": {"price": 2}})),
        (
            "relationships",
            "post",
            json!({"relationship_type": "made_by", "source": id, "target": "zen:organization:1"}),
        ),
        ("resources", "external_id_delete", json!({"type": "product", "external_id": "small"})),
    ] {
        assert_eq!(outcomes(&acme.run_job(job_type, action, json!([noisy(item)])).await), ["done"], "{action}");
    }
    assert_eq!(acme.record_of(&id).await["attributes"], json!({"name": "Gum", "price": 2}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_items_and_oversized_ones_stand_beside_each_other() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let item = |number: usize| {
        let bytes = if number.is_multiple_of(3) { 40_960 } else { 30_000 };
        json!({"type": "product", "external_id": number.to_string(), "attributes": {"name": "x", "note": "n".repeat(bytes)}})
    };
    let job = acme.run_job("resources", "external_id_set", (0..60).map(item).collect()).await;
    for (number, outcome) in outcomes(&job).into_iter().enumerate() {
        if number.is_multiple_of(3) {
            assert!(outcome.contains("32768") && outcome.contains("40982"), "{outcome}");
        } else {
            assert_eq!(outcome, "done");
        }
    }
    assert_eq!(acme.get("/objects/records?type=product").await.data(200).as_array().map(Vec::len), Some(40));
}

/// The consumer keeps compiled schemas. What it keeps is not older than the type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_schema_counts_from_the_next_job_on() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let product = |attributes: Value| json!([{"type": "product", "external_id": "gum", "attributes": attributes}]);
    let set = async |attributes: Value| {
        outcomes(&acme.run_job("resources", "external_id_set", product(attributes)).await).remove(0)
    };
    assert_eq!(set(json!({"name": "Gum"})).await, "done");
    let stricter = json!({
        "properties": {"name": {"type": "string"}, "price": {"type": "number"}},
        "required": ["name", "price"],
    });
    let replaced = acme.put("/objects/types/product", &json!({"data": {"schema": stricter}})).await.data(200);
    assert_eq!(replaced["version"], 2);
    let refused = set(json!({"name": "Chewing gum"})).await;
    assert!(refused.starts_with("UnprocessableEntity: attributes.price breaks the rule \"required\""), "{refused}");
    assert_eq!(acme.record("product", "gum").await["type_version"], 1);
    assert_eq!(set(json!({"price": 3})).await, "done");
    assert_eq!(acme.record("product", "gum").await["type_version"], 2);
}

/// Of a job of 10,000 items each result may take its share of an answer and no more. Here one item stands for them: what its
/// chunk says is how many there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_takes_no_more_than_its_share_of_the_largest_answer() {
    const ITEMS: u32 = 10_000;
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    let properties: serde_json::Map<String, Value> =
        (0..60).map(|number| (format!("attribute-{number}"), json!({"type": "number"}))).collect();
    acme.define("numbers", json!({"properties": properties})).await;
    let texts: serde_json::Map<String, Value> =
        (0..60).map(|number| (format!("attribute-{number}"), json!("\"no\" number ".repeat(20)))).collect();
    // Many broken rules, and one text that takes nine bytes a letter where it stands.
    let broken = json!({"type": "numbers", "attributes": texts});
    let missing = json!({"type": "numbers", "external_id": "\u{1}".repeat(100)});
    for (action, item, ends) in [("post", broken, ", and "), ("external_id_delete", missing, "…")] {
        let body = json!({"type": "resources", "action": action, "data": [item]}).to_string();
        let request = JobRequest::parse(body.as_bytes()).expect("a request");
        let store = &acme.store;
        let id = JobId::new(store.clock());
        let mut chunks = pack(&acme.account, id, &request, Packing::default()).chunks;
        chunks[0].total = ITEMS;
        let job = Job::queued(id, request.operation, ITEMS, 1);
        let committed = store.jobs.commit(&acme.account, &job, None, store.clock().now()).await.expect("the database");
        assert_eq!(committed, Commit::Done);
        deliveries.deliver(&Delivery { body: chunks[0].to_message(), receives: 1 }).await;

        let plan = store.jobs.plan(id.of(&acme.account).chunk(0)).await.expect("the database").expect("a plan");
        let mut result = Vec::new();
        plan.entries[0].outcome.render(&mut result);
        let text = String::from_utf8(result).expect("text");
        // An answer is JSON within JSON.
        let bytes = serde_json::to_string(&text).expect("JSON").len() - 2;
        assert!(bytes < domain::limits::ANSWER_BYTES / ITEMS as usize, "{bytes}: {text}");
        assert!(text.contains(ends), "{text}");
    }
}
