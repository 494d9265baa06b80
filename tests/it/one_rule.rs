//! Each mistake is answered in the same words whether it is made in a job's item or in a request of its own.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Client, Home, answer, text};

/// How one thing is asked for in both ways.
struct Mistake {
    /// What is wrong, for who reads a failure.
    what: String,
    /// The job's type and action.
    action: (&'static str, &'static str),
    /// The item as it is sent, which may be JSON that no value has.
    item: String,
    method: Method,
    path: String,
    /// What `data` is; none for a deletion.
    data: Option<String>,
}

const RECORDS: &str = "/objects/records";
const LINKS: &str = "/relationships/records";
const NOBODY: &str = "00000000-0000-8000-8000-000000000000";

/// An item whose request has the same text as its body.
fn same(what: &str, action: &'static str, item: impl Into<String>) -> Mistake {
    let item = item.into();
    let method = if action == "post" { Method::POST } else { Method::PATCH };
    let path = RECORDS.to_owned();
    Mistake { what: what.to_owned(), action: ("resources", action), data: Some(item.clone()), item, method, path }
}

/// A relationship.
fn relate(what: &str, item: impl Into<String>) -> Mistake {
    let (item, path) = (item.into(), LINKS.to_owned());
    let action = ("relationships", "post");
    Mistake { what: what.to_owned(), action, data: Some(item.clone()), item, method: Method::POST, path }
}

fn unrelate(what: &str, id: &str) -> Mistake {
    Mistake {
        what: what.to_owned(),
        action: ("relationships", "delete"),
        item: json!(id).to_string(),
        method: Method::DELETE,
        path: format!("{LINKS}/{}", encoded(id)),
        data: None,
    }
}

/// An update, of which the request has the id in its path.
fn update(what: &str, id: &str, members: &str) -> Mistake {
    Mistake {
        what: what.to_owned(),
        action: ("resources", "update"),
        item: format!(r#"{{"id":{}{members}}}"#, json!(id)),
        method: Method::PATCH,
        path: format!("{RECORDS}/{}", encoded(id)),
        data: Some(format!("{{{}}}", members.trim_start_matches(','))),
    }
}

fn delete(what: &str, id: &str) -> Mistake {
    Mistake {
        what: what.to_owned(),
        action: ("resources", "delete"),
        item: json!(id).to_string(),
        method: Method::DELETE,
        path: format!("{RECORDS}/{}", encoded(id)),
        data: None,
    }
}

fn delete_by_external_id(what: &str, object_type: &str, external_id: &str) -> Mistake {
    Mistake {
        what: what.to_owned(),
        action: ("resources", "external_id_delete"),
        item: json!({"type": object_type, "external_id": external_id}).to_string(),
        method: Method::DELETE,
        path: format!("{RECORDS}?type={}&external_id={}", encoded(object_type), encoded(external_id)),
        data: None,
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| format!("{encoded}%{byte:02X}"))
}

/// JSON of so many levels.
fn deep(levels: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
}

/// What can be wrong with attributes, whatever is done with them.
fn wrong_attributes() -> Vec<(&'static str, String)> {
    let attributes = |value: &str| format!(r#","attributes":{value}"#);
    let named = |value: &str| attributes(&format!(r#"{{"name":"n",{value}}}"#));
    vec![
        ("no attributes", String::new()),
        ("attributes null", attributes("null")),
        ("attributes an array", attributes("[]")),
        ("attributes a text", attributes("\"x\"")),
        ("attributes twice", r#","attributes":{"name":"a"},"attributes":{"name":"b"}"#.to_owned()),
        ("a member twice", attributes(r#"{"name":"a","name":"b"}"#)),
        ("a member twice further in", named(r#""note":{"a":1,"\u0061":2}"#)),
        ("a wrong kind", attributes(r#"{"name":7}"#)),
        ("below the minimum", named(r#""price":-1"#)),
        ("an unknown member", named(r#""color":"red""#)),
        ("several broken rules", attributes(r#"{"name":7,"price":-1,"color":"red"}"#)),
        ("half a surrogate", attributes(r#"{"name":"\ud800"}"#)),
        ("a number beyond doubles", named(r#""price":1e400"#)),
        ("too deep", named(&format!(r#""note":{}"#, deep(100)))),
        ("too large", named(&format!(r#""note":"{}""#, "x".repeat(33_000)))),
        ("too large and wrong", attributes(&format!(r#"{{"name":7,"note":"{}"}}"#, "x".repeat(33_000)))),
        (
            "many broken rules",
            attributes(&format!(
                "{{{}}}",
                (0..400).map(|number| format!(r#""m{number}":1"#)).collect::<Vec<_>>().join(",")
            )),
        ),
    ]
}

fn mistakes(id: &str, linked: &str) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (what, attributes) in wrong_attributes() {
        mistakes.push(same(what, "post", format!(r#"{{"type":"product"{attributes}}}"#)));
        mistakes.push(same(what, "post", format!(r#"{{"type":"product","external_id":"new"{attributes}}}"#)));
        for external_id in ["new", "there"] {
            let item = format!(r#"{{"type":"product","external_id":"{external_id}"{attributes}}}"#);
            mistakes.push(same(&format!("{what}, set of {external_id}"), "external_id_set", item));
        }
        mistakes.push(update(what, id, &attributes));
    }
    let long = "x".repeat(256);
    for action in ["post", "external_id_set"] {
        for (what, members) in [
            ("no type", r#""external_id":"1""#.to_owned()),
            ("type null", r#""type":null,"external_id":"1""#.to_owned()),
            ("type a number", r#""type":1,"external_id":"1""#.to_owned()),
            ("type twice", r#""type":"product","type":"product","external_id":"1""#.to_owned()),
            ("type unknown", r#""type":"nothing","external_id":"1""#.to_owned()),
            ("type no key", r#""type":"no type!","external_id":"1""#.to_owned()),
            ("type of a relationship", r#""type":"likes","external_id":"1""#.to_owned()),
            ("external id empty", r#""type":"product","external_id":"""#.to_owned()),
            ("external id too long", format!(r#""type":"product","external_id":"{long}""#)),
            ("external id a fraction", r#""type":"product","external_id":1.5"#.to_owned()),
            ("external id true", r#""type":"product","external_id":true"#.to_owned()),
            ("external id an object", r#""type":"product","external_id":{}"#.to_owned()),
            ("external id half a surrogate", r#""type":"product","external_id":"\udc00""#.to_owned()),
            ("external id twice", r#""type":"product","external_id":"1","external_id":"2""#.to_owned()),
        ] {
            mistakes.push(same(what, action, format!(r#"{{{members},"attributes":{{"name":"n"}}}}"#)));
        }
    }
    mistakes.extend([
        same("no members", "post", "{}"),
        same("no required attribute", "post", r#"{"type":"product","attributes":{}}"#),
        same("a required attribute null", "post", r#"{"type":"product","attributes":{"name":null}}"#),
        same("taken", "post", r#"{"type":"product","external_id":"there","attributes":{"name":"n"}}"#),
        same("taken in another case", "post", r#"{"type":"Product","external_id":"THERE","attributes":{"name":"n"}}"#),
        same("no external id", "external_id_set", r#"{"type":"product","attributes":{"name":"n"}}"#),
        same(
            "external id null",
            "external_id_set",
            r#"{"type":"product","external_id":null,"attributes":{"name":"n"}}"#,
        ),
        same(
            "a required attribute taken out",
            "external_id_set",
            r#"{"type":"product","external_id":"there","attributes":{"name":null}}"#,
        ),
        same(
            "a required attribute missing",
            "external_id_set",
            r#"{"type":"product","external_id":"new","attributes":{"price":1}}"#,
        ),
        update("a required attribute taken out", id, r#","attributes":{"name":null}"#),
    ]);
    let change = r#","attributes":{"price":1}"#;
    for (what, id) in [("no id", "7"), ("nobody's id", NOBODY), ("a text", "ä b"), ("a relationship's id", linked)] {
        mistakes.push(update(what, id, change));
        mistakes.push(delete(what, id));
    }
    mistakes.push(delete("an end of a relationship", id));
    for (what, object_type, external_id) in [
        ("nobody's external id", "product", "nobody's"),
        ("an unknown type", "nothing", "there"),
        ("a type that is no key", "no type!", "there"),
        ("too long", "product", long.as_str()),
        ("an end of a relationship", "PRODUCT", "There"),
    ] {
        mistakes.push(delete_by_external_id(what, object_type, external_id));
    }
    mistakes.extend(mistakes_about_relationships(id, linked));
    mistakes
}

fn mistakes_about_relationships(id: &str, linked: &str) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let long = "x".repeat(256);
    // Each end, with the other one as it should be.
    for (end, other) in [("source", "target"), ("target", "source")] {
        for (what, member) in [
            ("none", String::new()),
            ("null", format!(r#","{end}":null"#)),
            ("a number", format!(r#","{end}":1"#)),
            ("an array", format!(r#","{end}":["{id}"]"#)),
            ("twice", format!(r#","{end}":"{id}","{end}":"{id}""#)),
            ("no id", format!(r#","{end}":"7""#)),
            ("nobody's id", format!(r#","{end}":"{NOBODY}""#)),
            ("a relationship's id", format!(r#","{end}":"{linked}""#)),
            ("elsewhere", format!(r#","{end}":"zen:user:1""#)),
            ("half a surrogate", format!(r#","{end}":"\ud800""#)),
            ("an object without members", format!(r#","{end}":{{}}"#)),
            ("no type", format!(r#","{end}":{{"external_id":"there"}}"#)),
            ("no external id", format!(r#","{end}":{{"type":"product"}}"#)),
            ("an unknown type", format!(r#","{end}":{{"type":"nothing","external_id":"there"}}"#)),
            ("a type that is no key", format!(r#","{end}":{{"type":"no type!","external_id":"there"}}"#)),
            ("nobody's external id", format!(r#","{end}":{{"type":"product","external_id":"nobody"}}"#)),
            ("too long", format!(r#","{end}":{{"type":"product","external_id":"{long}"}}"#)),
            ("a type twice", format!(r#","{end}":{{"type":"product","type":"product","external_id":"there"}}"#)),
        ] {
            let item = format!(r#"{{"relationship_type":"likes","{other}":"{id}"{member}}}"#);
            mistakes.push(relate(&format!("{end}: {what}"), item));
        }
    }
    for (what, member) in [
        ("no relationship type", ""),
        ("relationship type null", r#""relationship_type":null,"#),
        ("relationship type unknown", r#""relationship_type":"hates","#),
        ("relationship type no key", r#""relationship_type":"no type!","#),
        ("relationship type of objects", r#""relationship_type":"product","#),
        ("relationship type twice", r#""relationship_type":"likes","relationship_type":"likes","#),
        ("there already", r#""relationship_type":"LIKES","#),
        ("there already, to one", r#""relationship_type":"next","#),
    ] {
        mistakes.push(relate(what, format!(r#"{{{member}"source":"{id}","target":"{id}"}}"#)));
    }
    let by_external_id = r#"{"type":"Product","external_id":"THERE"}"#;
    let item = format!(r#"{{"relationship_type":"likes","source":{by_external_id},"target":"{id}"}}"#);
    mistakes.push(relate("there already, by external id", item));
    for (what, id) in [("no id", "7"), ("nobody's id", NOBODY), ("a text", "ä b"), ("a record's id", id)] {
        mistakes.push(unrelate(what, id));
    }
    mistakes
}

/// The errors of the item in a job of its own: among others, a result has less room for them.
async fn items_errors(acme: &Client, mistake: &Mistake) -> Value {
    let (job_type, action) = mistake.action;
    let body = format!(r#"{{"type":"{job_type}","action":"{action}","data":[{}]}}"#, mistake.item);
    let request = acme.request(Method::POST, "/jobs").header("content-type", "application/json").body(body);
    let job = acme.wait(text(&answer(request).await.data(201)["id"])).await;
    job["results"][0]["errors"].clone()
}

/// The errors of a request, which have a member more than those of an item.
async fn requests_errors(acme: &Client, mistake: &Mistake) -> Value {
    let mut request = acme.request(mistake.method.clone(), &mistake.path);
    if let Some(data) = &mistake.data {
        request = request.header("content-type", "application/json").body(format!(r#"{{"data":{data}}}"#));
    }
    let answer = answer(request).await;
    let mut errors = answer.json()["errors"].take();
    for error in errors.as_array_mut().into_iter().flatten() {
        let error = error.as_object_mut().expect("an object");
        assert_eq!(error.remove("message"), error.get("detail").cloned(), "{}", mistake.what);
    }
    assert_eq!(errors[0]["status"], answer.status.as_u16().to_string(), "{}", mistake.what);
    errors
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_and_a_request_are_refused_in_the_same_words() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    acme.define_relationship("likes", "product", json!(["product"])).await;
    let item = json!({"type": "product", "external_id": "there", "attributes": {"name": "n"}});
    let made = acme.run_job("resources", "post", json!([item])).await;
    let id = text(&made["results"][0]["data"]["id"]).to_owned();
    acme.define_relationship("next", "product", json!("product")).await;
    let link = |key: &str| json!({"relationship_type": key, "source": id, "target": id});
    let likes = json!([link("likes"), link("next")]);
    let linked = acme.run_job("relationships", "post", likes).await;
    let linked = text(&linked["results"][0]["data"]["id"]).to_owned();

    let mistakes = mistakes(&id, &linked);
    let mut differences = Vec::new();
    for mistake in &mistakes {
        let name = format!("{}, {}, {}", mistake.action.0, mistake.action.1, mistake.what);
        let (by_job, by_request) = (items_errors(&acme, mistake).await, requests_errors(&acme, mistake).await);
        assert!(by_job.as_array().is_some_and(|errors| !errors.is_empty()), "{name}: no mistake");
        if by_job != by_request {
            differences.push(format!("{name}:\n  item    {by_job}\n  request {by_request}"));
        }
    }
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), mistakes.len(), differences.join("\n"));
    let there = acme.get("/objects/records?type=product").await.data(200);
    assert_eq!(there.as_array().map(Vec::len), Some(1), "nothing was written");
    assert_eq!(there[0]["attributes"], json!({"name": "n"}));
    home.run.stop().await;
}
