//! The whole way of a job, as a newcomer would go it.

use serde_json::json;
use tests::{Home, outcomes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_goes_all_its_way() {
    let home = Home::start().await;
    let acme = home.acme();
    acme.define_product().await;
    let item = |external_id: &str, name: &str| json!({"type": "product", "external_id": external_id, "attributes": {"id": external_id, "name": name}});

    let job = acme
        .run_job("resources", "post", json!([item("3", "Strawberry Chewing Gum"), item("4", "Coffee Chewing Gum")]))
        .await;
    assert_eq!(job["job_status"], "completed");
    assert_eq!(outcomes(&job), ["done", "done"]);
    let record = acme.record("product", "4").await;
    assert_eq!(record["id"], job["results"][1]["data"]["id"]);
    assert_eq!(record["attributes"], json!({"id": "4", "name": "Coffee Chewing Gum"}));

    let again = acme.run_job("resources", "post", json!([item("4", "Other")])).await;
    assert_eq!(
        outcomes(&again),
        ["UnprocessableEntity: External Id is already in use for the Resource Type key: product"]
    );

    let set = acme
        .run_job(
            "resources",
            "external_id_set",
            json!([
                {"type": "product", "external_id": "4", "attributes": {"name": "Coffee Chewing Gum (decaf)"}},
                {"type": "product", "external_id": "5", "attributes": {"name": "Blueberry Chewing Gum"}},
            ]),
        )
        .await;
    assert_eq!(outcomes(&set), ["done", "done"]);
    let decaf = acme.record("product", "4").await;
    assert_eq!(decaf["attributes"], json!({"id": "4", "name": "Coffee Chewing Gum (decaf)"}));
    assert_eq!(decaf["created_at"], record["created_at"]);

    let update = acme.run_job("resources", "update", json!([{"id": decaf["id"], "attributes": {"price": 2.5}}])).await;
    assert_eq!(outcomes(&update), ["done"]);
    assert_eq!(acme.record("product", "4").await["attributes"]["price"], 2.5);

    let deleted = acme.run_job("resources", "delete", json!([decaf["id"], decaf["id"]])).await;
    assert_eq!(outcomes(&deleted)[0], "done");
    assert!(outcomes(&deleted)[1].starts_with("NotFound"), "{deleted}");
    assert!(acme.record("product", "4").await.is_null());

    let by_external_id =
        acme.run_job("resources", "external_id_delete", json!([{"type": "product", "external_id": "5"}])).await;
    assert_eq!(outcomes(&by_external_id), ["done"]);
    home.run.stop().await;
}
