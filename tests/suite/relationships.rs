//! Relationships: their types, one at a time, by jobs, and what is related to a record.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{BASE, Client, answer, check_error, outcomes, text};

use crate::home::Home;

const LINKS: &str = "/relationships/records";

fn link(key: &str, source: impl Into<Value>, target: impl Into<Value>) -> Value {
    json!({"relationship_type": key, "source": source.into(), "target": target.into()})
}

async fn relate(agent: &Client, key: &str, source: &str, target: &str) -> Value {
    agent.post(LINKS, &json!({"data": link(key, source, target)})).await.data(201)
}

async fn ids(agent: &Client, path: &str) -> Vec<String> {
    let list = agent.get(path).await.data(200);
    list.as_array().expect("a list").iter().map(|item| text(&item["id"]).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_have_four_cardinalities_and_one_without_brackets_at_its_target_has_one_target_a_source() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let products = agent.stock(2).await;
    let (user, users, product, many) = (json!("zen:user"), json!(["zen:user"]), json!("product"), json!(["product"]));
    for (key, source, target, one_target) in [
        ("one_to_one", &user, &product, true),
        ("one_to_many", &user, &many, false),
        ("many_to_one", &users, &product, true),
        ("many_to_many", &users, &many, false),
    ] {
        let body = json!({"data": {"key": key, "source": source, "target": target}});
        let defined = agent.post("/relationships/types", &body).await.data(201);
        assert_eq!((&defined["source"], &defined["target"]), (source, target));
        assert_eq!(defined["created_at"], defined["updated_at"]);
        assert_eq!(agent.get(&format!("/relationships/types/{key}")).await.data(200), defined);

        relate(&agent, key, "zen:user:1", &products[0]).await;
        relate(&agent, key, "zen:user:2", &products[0]).await;
        let same = agent.post(LINKS, &json!({"data": link(key, "zen:user:1", &*products[0])})).await;
        check_error(&same, 422, "UnprocessableEntity", "Unprocessable Entity");
        let second = agent.post(LINKS, &json!({"data": link(key, "zen:user:1", &*products[1])})).await;
        assert_eq!(second.status, if one_target { 422 } else { 201 }, "{key}");
        let in_use = agent.delete(&format!("/relationships/types/{key}")).await;
        check_error(&in_use, 422, "UnprocessableEntity", "Unprocessable Entity");
    }
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relationship_is_made_shown_and_deleted_and_holds_its_ends() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    agent.define_relationship("goes_with", "product", json!(["product"])).await;
    let products = agent.stock(2).await;
    let body = json!({"data": link("GOES_WITH", &*products[0], &*products[1])});
    let made = agent.post(LINKS, &body).await;
    let record = made.data(201);
    let path = format!("{LINKS}/{}", text(&record["id"]));
    assert_eq!(made.header("location"), Some(format!("{BASE}{path}").as_str()));
    assert_eq!(record["relationship_type"], "goes_with");
    assert_eq!((text(&record["source"]), text(&record["target"])), (products[0].as_str(), products[1].as_str()));
    assert_eq!(agent.get(&path).await.data(200), record);
    assert_eq!(ids(&agent, &format!("{LINKS}?type=goes_with")).await, [text(&record["id"])]);
    // A job's item is the same thing.
    let again = agent.run_job("relationships", "post", json!([body["data"]])).await;
    assert!(outcomes(&again)[0].starts_with("UnprocessableEntity: A relationship record of type goes_with"), "{again}");
    for product in &products {
        let used = agent.delete(&format!("/objects/records/{product}")).await;
        check_error(&used, 422, "UnprocessableEntity", "Unprocessable Entity");
    }

    let deleted = agent.delete(&path).await;
    assert_eq!((deleted.status.as_u16(), deleted.body.as_slice()), (204, b"".as_slice()));
    check_error(&agent.get(&path).await, 404, "NotFound", "Not Found");
    check_error(&agent.delete(&path).await, 404, "NotFound", "Not Found");
    assert_eq!(agent.delete(&format!("/objects/records/{}", products[1])).await.status, 204);
    let dangling = agent.post(LINKS, &body).await;
    assert_eq!(dangling.error(422).1, format!("target \"{}\" does not exist", products[1]));
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_with_a_key_is_made_once_and_ends_are_named_by_external_id() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    agent.define_relationship("goes_with", "product", json!(["product"])).await;
    let item = |external_id: &str| json!({"type": "product", "external_id": external_id, "attributes": {"name": "n"}});
    agent.run_job("resources", "post", json!([item("A"), item("B")])).await;
    let named = |external_id: &str| json!({"type": "product", "external_id": external_id});
    let body = json!({"data": link("goes_with", named("a"), named("b"))});
    let keyed = async |method: Method, path: &str, key: &str, body: &Value| {
        answer(agent.request(method, path).header("idempotency-key", key).json(body)).await
    };
    let answers = join_all((0..6).map(|_| keyed(Method::POST, LINKS, "at once", &body))).await;
    let record = answers[0].data(201);
    assert!(answers.iter().all(|answer| answer.data(201) == record), "{answers:?}");
    assert_eq!(record["source"], agent.record("product", "A").await["id"]);
    assert_eq!(record["target"], agent.record("product", "B").await["id"]);
    let path = format!("{LINKS}/{}", text(&record["id"]));
    for _ in 0..2 {
        assert_eq!(keyed(Method::DELETE, &path, "gone", &Value::Null).await.status, 204);
    }
    check_error(&keyed(Method::POST, LINKS, "at once", &body).await, 404, "NotFound", "Not Found");
    // In a job too; what is not there is named as it was asked for.
    let items = json!([link("goes_with", named("B"), named("A")), link("goes_with", named("A"), named("c"))]);
    let job = agent.run_job("relationships", "post", items).await;
    let words = "UnprocessableEntity: target does not exist: no record of type product has the external id \"c\"";
    assert_eq!(outcomes(&job), ["done", words]);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_related_is_found_from_either_end_page_by_page() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    agent.define_relationship("goes_with", "product", json!(["product"])).await;
    agent.define_relationship("owns", "zen:user", json!(["product"])).await;
    let products = agent.stock(12).await;
    let (hub, others) = products.split_first().expect("a product");
    let items: Vec<Value> = others.iter().map(|other| link("goes_with", hub.as_str(), other.as_str())).collect();
    let job = agent.run_job("relationships", "post", items.into()).await;
    let links: Vec<&str> =
        job["results"].as_array().expect("results").iter().map(|result| text(&result["data"]["id"])).collect();
    let path = |id: &str, list: &str, key: &str| format!("/objects/records/{id}/{list}/{key}");
    for (list, expected) in
        [("relationships", links), ("related", others.iter().map(String::as_str).collect::<Vec<_>>())]
    {
        let first = agent.get(&format!("{}?per_page=6", path(hub, list, "goes_with"))).await.json();
        let next = text(&first["links"]["next"]).strip_prefix(BASE).expect("a path").to_owned();
        let second = agent.get(&next).await.json();
        let pages = [&first["data"], &second["data"]].map(|page| page.as_array().expect("a page").clone()).concat();
        let found: Vec<&str> = pages.iter().map(|item| text(&item["id"])).collect();
        assert_eq!(found, expected, "{list}");
        assert_eq!(second["links"]["next"], Value::Null);
    }
    assert_eq!(ids(&agent, &path(&others[3], "related", "goes_with")).await, [hub.as_str()]);
    assert_eq!(ids(&agent, &path(&others[3], "relationships", "goes_with")).await, [""; 0]);
    relate(&agent, "owns", "zen:user:7", hub).await;
    assert_eq!(ids(&agent, &path("zen:user:7", "related", "owns")).await, [hub.as_str()]);
    assert_eq!(ids(&agent, &path("zen:user:7", "relationships", "owns")).await.len(), 1);
    assert_eq!(ids(&agent, &path("zen:user:8", "related", "owns")).await, [""; 0]);
    assert_eq!(ids(&agent, &path(hub, "related", "owns")).await, [""; 0], "what is kept elsewhere is left out");
    let nobody = "00000000-0000-8000-8000-000000000000";
    for list in ["relationships", "related"] {
        check_error(&agent.get(&path(nobody, list, "owns")).await, 404, "NotFound", "Not Found");
        check_error(&agent.get(&path(hub, list, "hates")).await, 404, "NotFound", "Not Found");
    }
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_relationships_of_one_source_are_made_by_one_job() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    agent.define_relationship("owns", "product", json!(["zen:user"])).await;
    let hub = agent.stock(1).await.remove(0);
    let items: Vec<Value> = (0..1_000).map(|user| link("owns", &*hub, format!("zen:user:{user}"))).collect();
    let job = agent.run_job("relationships", "post", items.into()).await;
    assert_eq!(outcomes(&job), ["done"; 1_000]);
    let listed = ids(&agent, &format!("/objects/records/{hub}/relationships/owns")).await;
    let made: Vec<&str> =
        job["results"].as_array().expect("results").iter().map(|result| text(&result["data"]["id"])).collect();
    assert_eq!(listed, made);
    let deleted = agent.run_job("relationships", "delete", json!(made)).await;
    assert_eq!(outcomes(&deleted), ["done"; 1_000]);
    assert_eq!(agent.delete(&format!("/objects/records/{hub}")).await.status, 204);
    home.stop().await;
}

/// Whatever order it happens in, no relationship is left without an end, and no record is held by one that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_relate_and_delete_the_same_two_leave_nothing_dangling() {
    const CLIENTS: usize = 64;
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    agent.define_relationship("goes_with", "product", json!(["product"])).await;
    let products = agent.stock(2).await;
    let body = json!({"data": link("goes_with", &*products[0], &*products[1])});
    let clients = (0..CLIENTS).map(|client| {
        let (agent, body, products) = (&agent, &body, &products);
        async move {
            let made = agent.post(LINKS, body).await;
            assert!([201, 422, 503].contains(&made.status.as_u16()), "{made:?}");
            if client % 8 == 0 {
                let deleted = agent.delete(&format!("/objects/records/{}", products[1])).await;
                assert!([204, 404, 422, 503].contains(&deleted.status.as_u16()), "{deleted:?}");
            }
            if made.status == 201 {
                let deleted = agent.delete(&format!("{LINKS}/{}", text(&made.data(201)["id"]))).await;
                assert!([204, 404, 503].contains(&deleted.status.as_u16()), "{deleted:?}");
            }
        }
    });
    join_all(clients).await;
    let left = ids(&agent, &format!("{LINKS}?type=goes_with")).await;
    let is_there = agent.get(&format!("/objects/records/{}", products[1])).await.status == 200;
    assert!(is_there || left.is_empty(), "dangling: {left:?}");
    for relationship in left {
        assert_eq!(agent.delete(&format!("{LINKS}/{relationship}")).await.status, 204);
    }
    for product in &products {
        let status = agent.delete(&format!("/objects/records/{product}")).await.status.as_u16();
        assert!([204, 404].contains(&status), "held by nothing: {status}");
    }
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permissions_say_what_is_enforced() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    agent.define_relationship("goes_with", "product", json!("product")).await;
    for path in ["/objects/types/product/permissions", "/relationships/types/goes_with/permissions"] {
        let permissions = agent.get(path).await.data(200);
        let all = |allowed| json!({"create": allowed, "read": allowed, "update": allowed, "delete": allowed});
        assert_eq!(permissions["rbac"], json!({"admin": all(true), "agent": all(true), "end_user": all(false)}));
        assert_eq!(permissions["rebac"], json!({}));
        for method in [Method::PATCH, Method::PUT] {
            let refused = answer(agent.request(method, path).json(&json!({"data": permissions}))).await;
            check_error(&refused, 405, "MethodNotAllowed", "Method Not Allowed");
        }
        let unknown = path.replace("product", "nothing").replace("goes_with", "nothing");
        check_error(&agent.get(&unknown).await, 404, "NotFound", "Not Found");
    }
    home.stop().await;
}
