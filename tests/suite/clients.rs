//! What published clients of this API really send, beside what is documented.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{BASE, answer, check_error, outcomes, text};

use crate::home::{ALLOWED_ORIGIN, Home, Kind, not_here};

const FORM: &str = "application/x-www-form-urlencoded";

fn gum(external_id: &Value, attributes: &Value) -> Value {
    json!({"type": "product", "external_id": external_id, "attributes": attributes})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_slash_at_the_end_of_a_path_says_nothing() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let body = json!({"type": "resources", "action": "post", "data": [gum(&json!("1"), &json!({"name": "Gum"}))]});
    let job = agent.post("/jobs/", &body).await.data(201);
    let id = text(&job["id"]);
    assert_eq!(outcomes(&agent.wait(id).await), ["done"]);
    assert_eq!(agent.get(&format!("/jobs/{id}/")).await.data(200)["id"], job["id"]);
    assert_eq!(agent.get("/jobs/?status=completed").await.data(200)[0]["id"], job["id"]);
    // It has ended, which is another answer than that of no route.
    let aborted = agent.request(Method::POST, &format!("/jobs/{id}/abort/"));
    check_error(&answer(aborted).await, 409, "Conflict", "Conflict");
    let records = agent.get("/objects/records/?type=product&per_page=1").await;
    let record = &records.data(200)[0];
    assert_eq!(agent.get(&format!("/objects/records/{}/", text(&record["id"]))).await.data(200), *record);
    assert_eq!(agent.get("/objects/types/product/").await.data(200)["key"], "product");
    let linked = json!({"data": {"key": "owns", "source": "zen:user", "target": "product"}});
    assert_eq!(agent.post("/relationships/types/", &linked).await.status, 201);
    assert_eq!(agent.delete("/relationships/types/owns/").await.status, 204);
    for two in ["/jobs//", &format!("/jobs/{id}//"), "/objects/types//"] {
        check_error(&agent.get(two).await, 404, "NotFound", "Not Found");
    }
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_may_be_called_a_form_and_begin_with_a_byte_order_mark() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let define = json!({"data": {"key": "product", "schema": {"properties": {"name": {"type": "string"}}}}});
    let send = |method: Method, path: &str, content_type: &str, body: String| {
        answer(agent.request(method, path).header("content-type", content_type).body(body))
    };
    assert_eq!(send(Method::POST, "/objects/types", FORM, format!("\u{feff}{define}")).await.status, 201);
    let job = json!({"type": "resources", "action": "post", "data": [gum(&json!(7), &json!({"name": "Gum"}))]});
    let form = format!("{FORM}; charset=UTF-8");
    for content_type in [FORM, &form, "application/json; charset=latin1", "Application/Merge-Patch+JSON"] {
        let job = send(Method::POST, "/jobs", content_type, format!("\u{feff}{job}")).await.data(201);
        agent.wait(text(&job["id"])).await;
    }
    assert_eq!(agent.record("product", "7").await["attributes"], json!({"name": "Gum"}));
    // What has no use for a body does not look at it.
    for content_type in ["text/plain", FORM, "application/json"] {
        assert_eq!(send(Method::GET, "/jobs", content_type, "{no JSON".into()).await.status, 200);
        let refused = send(Method::DELETE, "/objects/types/product", content_type, "{no JSON".into()).await;
        check_error(&refused, 422, "UnprocessableEntity", "Unprocessable Entity");
    }
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_may_be_empty_repeated_unknown_and_have_blanks() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let items = ["a", "b"].map(|external_id| gum(&json!(external_id), &json!({"name": "Gum"})));
    let job = agent.run_job("resources", "post", json!(items)).await;
    let [a, b] = [0, 1].map(|item| text(&job["results"][item]["data"]["id"]).to_owned());
    for path in [
        "/jobs?status=&order=&per_page=&cursor=",
        "/jobs?status=completed&status=completed&page=1&page=2",
        "/jobs?page=1&type=product&order=desc",
    ] {
        assert_eq!(agent.get(path).await.data(200).as_array().map(Vec::len), Some(1), "{path}");
    }
    for path in ["/jobs?status=queued&status=completed", "/jobs?per_page=1&per_page=2", "/jobs?status=done"] {
        check_error(&agent.get(path).await, 400, "BadRequest", "Bad Request");
    }
    for path in [
        &format!("/objects/records?ids={b},%20{a}%20"),
        &format!("/objects/records?ids=%20{b}%20,{a},&type=&external_id="),
        "/objects/records?type=product&external_ids=b,%20a",
        "/objects/records?type=product&external_ids=%20b+,a&ids=",
    ] {
        let records = agent.get(path).await.data(200);
        assert_eq!([&records[0]["id"], &records[1]["id"]], [&json!(b), &json!(a)], "{path}");
    }
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn external_ids_may_be_integers_and_null_is_absent() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let text_or_number = json!({"properties": {"name": {"type": "string"}, "size": {"type": "number"}}});
    agent.define("product", text_or_number).await;
    let row = json!({"name": "Gum", "size": null});
    for action in ["post", "external_id_set"] {
        let made = agent.run_job("resources", action, json!([gum(&json!(7), &row)])).await;
        assert_eq!(outcomes(&made), ["done"], "{action}");
        let record = agent.record("product", "7").await;
        assert_eq!((&record["external_id"], &record["attributes"]), (&json!("7"), &json!({"name": "Gum"})));
        let deleted = json!([{"type": "product", "external_id": 7}]);
        assert_eq!(outcomes(&agent.run_job("resources", "external_id_delete", deleted).await), ["done"]);
    }
    let nameless = agent.run_job("resources", "post", json!([gum(&Value::Null, &row)])).await;
    let id = &nameless["results"][0]["data"]["id"];
    let update = json!([{"id": id, "attributes": {"name": null, "size": 2}}]);
    assert_eq!(outcomes(&agent.run_job("resources", "update", update).await), ["done"]);
    assert_eq!(agent.record_of(id).await["attributes"], json!({"size": 2}));
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_job_makes_is_listed_in_the_order_of_its_items() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    agent.define_relationship("owns", "zen:user", json!(["product"])).await;
    let items: Vec<_> = (0..100).map(|_| json!({"type": "product", "attributes": {"name": "Gum"}})).collect();
    let made = agent.run_job("resources", "post", json!(items)).await;
    let ids = |list: &Value| -> Vec<String> {
        list.as_array().expect("a list").iter().map(|record| text(&record["id"]).to_owned()).collect()
    };
    let results = |job: &Value| -> Vec<String> {
        job["results"]
            .as_array()
            .expect("results")
            .iter()
            .map(|result| text(&result["data"]["id"]).to_owned())
            .collect()
    };
    let records = results(&made);
    assert_eq!(ids(&agent.get("/objects/records?type=product").await.data(200)), records);
    // Page by page too, and the other way around.
    let first = agent.get("/objects/records?type=product&per_page=33&order=desc").await;
    let second = agent.follow(&first.json()["links"]["next"]).await;
    let both = [ids(&first.data(200)), ids(&second.data(200))].concat();
    assert_eq!(both, records.iter().rev().take(66).cloned().collect::<Vec<_>>());
    let links: Vec<_> = records
        .iter()
        .map(|record| json!({"relationship_type": "owns", "source": "zen:user:1", "target": record}))
        .collect();
    let related = agent.run_job("relationships", "post", json!(links)).await;
    assert_eq!(ids(&agent.get("/relationships/records?type=owns").await.data(200)), results(&related));
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_may_begin_with_a_digit_and_their_mistakes_have_the_published_texts() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let schema = json!({"properties": {"id": {"type": "string"}}, "required": ["id"]});
    let made = agent.post("/objects/types", &json!({"data": {"key": "2019-car", "schema": schema}})).await.data(201);
    let mut shown = schema.clone();
    shown["additionalProperties"] = json!(false);
    assert_eq!((&made["key"], &made["schema"]), (&json!("2019-car"), &shown));
    assert_eq!(agent.get("/objects/types/2019-CAR").await.data(200)["schema"], shown);
    // What an answer shows may be sent back.
    let again = agent.put("/objects/types/2019-car", &json!({"data": {"schema": shown}})).await.data(200);
    assert_eq!(again["schema"], shown);
    let id = json!({"id": {"type": "string"}});
    for (schema, detail) in [
        (json!({}), "The schema for a legacy object type cannot be empty."),
        (json!({"properties": {}}), "The properties element of a schema cannot be empty."),
        (json!({"required": ["id"]}), r#"data.schema object has missing required properties (["properties"])"#),
        (json!({"properties": id, "additionalProperties": true}), "additionalProperties cannot be set to true"),
        (json!({"properties": {"id": {}}}), r#"data.schema object has missing required properties (["type"])"#),
        (
            json!({"properties": id, "$schema": "http://json-schema.org/draft-07/schema#"}),
            r#"data.schema object instance has properties which are not allowed by the schema: ["$schema"]"#,
        ),
    ] {
        let refused = agent.post("/objects/types", &json!({"data": {"key": "other", "schema": schema}})).await;
        check_error(&refused, 422, "UnprocessableEntity", "Unprocessable Entity");
        assert_eq!(refused.error(422).1, detail);
    }
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_an_allowed_origin_may_call_and_no_others() {
    let home = Home::start().await;
    let agent = home.agent().await;
    if Kind::chosen() == Kind::MiniStack {
        not_here(
            "a browser that asks first",
            "MiniStack's HTTP API answers OPTIONS by itself, whatever its routes are",
        );
    } else {
        check_preflights(&home).await;
    }
    // Its errors can be read, too.
    for (path, status) in [("/jobs", 200), ("/jobs/x", 404)] {
        let called = answer(agent.request(Method::GET, path).header("origin", ALLOWED_ORIGIN)).await;
        assert_eq!(
            (called.status.as_u16(), called.header("access-control-allow-origin")),
            (status, Some(ALLOWED_ORIGIN))
        );
        let called = answer(agent.request(Method::GET, path).header("origin", "https://evil.example")).await;
        assert_eq!((called.status.as_u16(), called.header("access-control-allow-origin")), (status, None));
    }
    let form = |origin: &'static str| {
        let job = json!({"type": "resources", "action": "delete", "data": ["x"]}).to_string();
        answer(agent.request(Method::POST, "/jobs").header("content-type", FORM).header("origin", origin).body(job))
    };
    assert_eq!(form(ALLOWED_ORIGIN).await.status, 201);
    check_error(&form("https://evil.example").await, 403, "Forbidden", "Forbidden");
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_name_leads_to_the_route_of_today() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let ask = |method: Method, path: &str| home.request(method, path).bearer_auth(agent.token());
    let define = json!({"data": {"key": "product", "schema": {"properties": {"name": {"type": "string"}}}}});
    let job = json!({"type": "resources", "action": "post", "data": [gum(&json!("1"), &json!({"name": "Gum"}))]});
    for (method, old, today, body, status) in [
        (Method::POST, "resource_types", "objects/types", define.to_string(), 201),
        (Method::POST, "jobs/", "jobs", job.to_string(), 201),
        (Method::GET, "jobs?per_page=1", "jobs?per_page=1", String::new(), 200),
        (Method::GET, "resources?type=product", "objects/records?type=product", String::new(), 200),
        (Method::DELETE, "relationship_types/owns", "relationships/types/owns", String::new(), 404),
    ] {
        let moved = answer(ask(method.clone(), &format!("/api/custom_resources/{old}")).body(body.clone())).await;
        let location = format!("{BASE}/{today}");
        assert_eq!((moved.status.as_u16(), moved.header("location")), (308, Some(&*location)), "{old}");
        // As a client follows it: the same method and body.
        assert_eq!(answer(ask(method, &location).body(body)).await.status, status, "{location}");
    }
    let nobody = home.request(Method::GET, "/api/custom_resources/jobs");
    assert_eq!(answer(nobody).await.status, 401);
    check_error(&answer(ask(Method::GET, "/api/custom_resources/nothing")).await, 404, "NotFound", "Not Found");
    home.stop().await;
}

async fn check_preflights(home: &Home) {
    let ask = |origin: &'static str, path: &str| {
        let request = home.request(Method::OPTIONS, &format!("{BASE}{path}")).header("origin", origin);
        let wanted = "authorization,content-type,idempotency-key";
        answer(request.header("access-control-request-method", "POST").header("access-control-request-headers", wanted))
    };
    for path in
        ["/jobs", "/jobs/0190163d-8694-7000-8000-000000000000/abort", "/objects/types", "/relationships/records"]
    {
        let asked = ask(ALLOWED_ORIGIN, path).await;
        assert_eq!((asked.status.as_u16(), asked.body.len()), (204, 0), "{path}");
        assert_eq!(asked.header("access-control-allow-origin"), Some(ALLOWED_ORIGIN));
        assert!(asked.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
        assert!(asked.header("access-control-allow-headers").is_some_and(|names| names.contains("authorization")));
        let other = ask("https://evil.example", path).await;
        assert_eq!((other.status.as_u16(), other.header("access-control-allow-origin")), (401, None), "{path}");
    }
}
