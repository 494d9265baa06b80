//! The whole way of a job, as a newcomer would go it: every action there is, every state, and an abort.

use serde_json::json;
use tests::{outcomes, text};

use crate::home::Home;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_made_changed_and_deleted_by_all_actions_of_resources() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let item = |external_id: &str, name: &str| json!({"type": "product", "external_id": external_id, "attributes": {"id": external_id, "name": name}});

    let job = agent
        .run_job("resources", "post", json!([item("3", "Strawberry Chewing Gum"), item("4", "Coffee Chewing Gum")]))
        .await;
    assert_eq!(job["job_status"], "completed");
    assert_eq!(outcomes(&job), ["done", "done"]);
    let record = agent.record("product", "4").await;
    assert_eq!(record["id"], job["results"][1]["data"]["id"]);
    assert_eq!(record["attributes"], json!({"id": "4", "name": "Coffee Chewing Gum"}));

    let again = agent.run_job("resources", "post", json!([item("4", "Other")])).await;
    assert_eq!(
        outcomes(&again),
        ["UnprocessableEntity: External Id is already in use for the Resource Type key: product"]
    );

    let set = agent
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
    let decaf = agent.record("product", "4").await;
    assert_eq!(decaf["attributes"], json!({"id": "4", "name": "Coffee Chewing Gum (decaf)"}));
    assert_eq!(decaf["created_at"], record["created_at"]);

    let update = agent.run_job("resources", "update", json!([{"id": decaf["id"], "attributes": {"price": 2.5}}])).await;
    assert_eq!(outcomes(&update), ["done"]);
    assert_eq!(agent.record("product", "4").await["attributes"]["price"], 2.5);

    let deleted = agent.run_job("resources", "delete", json!([decaf["id"], decaf["id"]])).await;
    assert_eq!(outcomes(&deleted)[0], "done");
    assert!(outcomes(&deleted)[1].starts_with("NotFound"), "{deleted}");
    assert!(agent.record("product", "4").await.is_null());

    let by_external_id =
        agent.run_job("resources", "external_id_delete", json!([{"type": "product", "external_id": "5"}])).await;
    assert_eq!(outcomes(&by_external_id), ["done"]);
    assert!(agent.record("product", "5").await.is_null());
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_related_by_both_actions_of_relationships() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    agent.define_relationship("goes_with", "product", json!(["product"])).await;
    let ids = agent.stock(3).await;
    let link =
        |source: &str, target: &str| json!({"relationship_type": "goes_with", "source": source, "target": target});

    let nobody = "00000000-0000-8000-8000-000000000000";
    let related = agent
        .run_job(
            "relationships",
            "post",
            json!([link(&ids[0], &ids[1]), link(&ids[0], &ids[2]), link(&ids[0], &ids[1]), link(&ids[0], nobody)]),
        )
        .await;
    let done = outcomes(&related);
    assert_eq!((done[0].as_str(), done[1].as_str()), ("done", "done"));
    assert!(done[2].starts_with("UnprocessableEntity"), "the same twice: {done:?}");
    assert!(done[3].starts_with("UnprocessableEntity: target"), "{done:?}");
    let first = &related["results"][0]["data"]["id"];
    let shown = agent.get(&format!("/relationships/records/{}", text(first))).await.data(200);
    assert_eq!((text(&shown["source"]), text(&shown["target"])), (ids[0].as_str(), ids[1].as_str()));
    let listed = agent.get("/relationships/records?type=goes_with").await.data(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(2));

    let used = agent.run_job("resources", "delete", json!([ids[1]])).await;
    assert!(outcomes(&used)[0].starts_with("UnprocessableEntity"), "it is related: {used}");
    let unrelated =
        agent.run_job("relationships", "delete", json!([first, related["results"][1]["data"]["id"], first])).await;
    assert_eq!(outcomes(&unrelated)[..2], ["done", "done"]);
    assert!(outcomes(&unrelated)[2].starts_with("NotFound"), "{unrelated}");
    assert_eq!(outcomes(&agent.run_job("resources", "delete", json!(ids)).await), ["done"; 3]);
    assert_eq!(agent.active_jobs().await, 0);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_job_changes_nothing_and_one_that_cannot_be_aborted_changes_everything() {
    const ROUNDS: usize = 8;
    const ITEMS: usize = 3;
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let mut made = 0;
    for round in 0..ROUNDS {
        let item = |number: usize| json!({"type": "product", "attributes": {"name": format!("{round} {number}")}});
        let job = agent.create_job("resources", "post", (0..ITEMS).map(item).collect()).await.data(201);
        let answer = agent.abort(&job).await;
        let ended = agent.wait(text(&job["id"])).await;
        let (status, results) = (text(&ended["job_status"]), &ended["results"]);
        match answer.status.as_u16() {
            200 => assert_eq!((status, results), ("aborted", &json!([]))),
            // It had begun, and its only chunk was under way, or was not.
            202 if status == "completed" => {
                assert_eq!(outcomes(&ended), vec!["done".to_owned(); ITEMS]);
                made += ITEMS;
            }
            202 => {
                assert_eq!((status, text(&ended["error"]["code"])), ("failed", "Aborted"));
                assert!(outcomes(&ended).iter().all(|outcome| outcome.starts_with("NotProcessed")), "{ended}");
            }
            409 => {
                assert_eq!(answer.error(409).0, "Conflict");
                assert_eq!((status, outcomes(&ended)), ("completed", vec!["done".to_owned(); ITEMS]));
                made += ITEMS;
            }
            other => panic!("{other}"),
        }
    }
    // What was aborted is not applied later either.
    let after = agent.run_job("resources", "post", json!([{"type": "product", "attributes": {"name": "after"}}])).await;
    assert_eq!(outcomes(&after), ["done"]);
    let listed = agent.get("/objects/records?type=product").await.data(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(made + 1));
    let jobs = agent.get("/jobs").await.data(200);
    let of = |status: &str| jobs.as_array().into_iter().flatten().filter(|job| job["job_status"] == status).count();
    assert_eq!((of("completed"), of("aborted") + of("failed")), (made / ITEMS + 1, ROUNDS - made / ITEMS));
    assert_eq!(agent.active_jobs().await, 0);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_is_defined_changed_shown_and_deleted() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let schema = |name: &str| json!({"properties": {name: {"type": "string"}}});
    agent.define("shop", schema("name")).await;
    let replaced = agent.put("/objects/types/shop", &json!({"data": {"schema": schema("title")}})).await.data(200);
    let shown = agent.get("/objects/types/shop").await.data(200);
    assert_eq!((&shown, &shown["version"]), (&replaced, &json!(2)));
    agent.define_relationship("near", "shop", json!(["shop"])).await;
    assert_eq!(agent.get("/relationships/types/near").await.data(200)["target"], json!(["shop"]));
    for list in ["/objects/types", "/relationships/types"] {
        assert_eq!(agent.get(list).await.data(200).as_array().map(Vec::len), Some(1), "{list}");
    }
    for path in ["/relationships/types/near", "/objects/types/shop"] {
        assert_eq!(agent.delete(path).await.status, 204, "{path}");
        assert_eq!(agent.get(path).await.status, 404, "{path}");
    }
    let job = agent.run_job("resources", "post", json!([{"type": "shop", "attributes": {}}])).await;
    assert!(outcomes(&job)[0].starts_with("NotFound"), "{job}");
    home.stop().await;
}
