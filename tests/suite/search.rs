//! Search: records by what is in them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::{Answer, Client, text};

use crate::home::Home;

async fn search(agent: &Client, parameters: &str, body: &Value) -> Answer {
    agent.post(&format!("/objects/query{parameters}"), body).await
}

/// Every page from the first on, the body of the first request sent with each link.
async fn pages(agent: &Client, parameters: &str, body: &Value) -> Vec<Answer> {
    let mut pages = vec![search(agent, parameters, body).await];
    loop {
        let _ = pages.last().expect("one").data(200);
        let next = pages.last().expect("one").json()["links"]["next"].clone();
        if next.is_null() {
            return pages;
        }
        pages.push(follow(agent, &next, body).await);
        assert!(pages.len() < 2_000, "the search does not end");
    }
}

async fn follow(agent: &Client, link: &Value, body: &Value) -> Answer {
    tests::answer(agent.at_root(reqwest::Method::POST, text(link)).json(body)).await
}

fn names(pages: &[Answer]) -> Vec<String> {
    let records = pages.iter().flat_map(|page| page.data(200).as_array().expect("a list").clone());
    records.map(|record| text(&record["attributes"]["name"]).to_owned()).collect()
}

async fn found(agent: &Client, query: Value) -> Vec<String> {
    names(&pages(agent, "?per_page=100&order=asc", &json!({"query": query})).await)
}

async fn define(agent: &Client) {
    let schema = json!({"properties": {
        "name": {"type": "string"}, "size": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}},
        "shop": {"type": "object", "properties": {"city": {"type": "string"}}},
    }});
    agent.define("product", schema.clone()).await;
    agent.define("shop", schema).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_found_by_what_they_are() {
    let home = Home::start().await;
    let (agent, other) = (home.agent().await, home.agent().await);
    for account in [&agent, &other] {
        define(account).await;
    }
    let product = |external_id: &str, attributes: Value| json!({"type": "product", "external_id": external_id, "attributes": attributes});
    let gum = json!({"name": "Chewing Gum", "size": 1, "tags": ["sweet", "Blue"], "shop": {"city": "Berlin"}});
    let jobs = json!([
        product("1", gum.clone()),
        product("2", json!({"name": "Bubble Gum", "size": 2.5, "tags": [], "shop": {"city": "Bern"}})),
        product("3", json!({"name": "Mint"})),
        {"type": "shop", "external_id": "1", "attributes": {"name": "Corner", "shop": {"city": "Berlin"}}},
    ]);
    assert_eq!(tests::outcomes(&agent.run_job("resources", "post", jobs).await), ["done"; 4]);
    // Somebody else's are never found, whatever is asked.
    assert_eq!(tests::outcomes(&other.run_job("resources", "post", json!([product("9", gum)])).await), ["done"]);

    for (query, expected) in [
        (json!({}), vec!["Chewing Gum", "Bubble Gum", "Mint", "Corner"]),
        (json!({"_type": "Product"}), vec!["Chewing Gum", "Bubble Gum", "Mint"]),
        (json!({"_type": {"$eq": "nothing"}}), vec![]),
        (json!({"name": {"$contains": "gum"}}), vec!["Chewing Gum", "Bubble Gum"]),
        (json!({"name": "Mint"}), vec!["Mint"]),
        (json!({"shop.city": {"$eq": "Berlin"}}), vec!["Chewing Gum", "Corner"]),
        (json!({"size": {"$eq": 1.0}}), vec!["Chewing Gum"]),
        (json!({"size": {"$gt": 1, "$lte": 2.5}}), vec!["Bubble Gum"]),
        (json!({"tags": {"$contains": "sweet"}}), vec!["Chewing Gum"]),
        (json!({"size": {"$exists": false}}), vec!["Mint", "Corner"]),
        (json!({"*": {"$contains": "berl"}}), vec!["Chewing Gum", "Corner"]),
        (json!({"$or": [{"name": {"$prefix": "cor"}}, {"size": {"$in": [2.5, 7]}}]}), vec!["Bubble Gum", "Corner"]),
        (json!({"$and": [{"_type": "product"}, {"$not": {"name": {"$contains": "GUM"}}}]}), vec!["Mint"]),
        (json!({"_type": "product", "_external_id": {"$in": ["1", "3", "9"]}}), vec!["Chewing Gum", "Mint"]),
        (json!({"_external_id": "1"}), vec!["Chewing Gum", "Corner"]),
        (json!({"name": {"$ne": "Mint"}, "_type": "product"}), vec!["Chewing Gum", "Bubble Gum"]),
    ] {
        let records = found(&agent, query.clone()).await;
        assert_eq!(
            records.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            expected.into_iter().collect(),
            "{query}"
        );
    }
    let mint = agent.record("product", "3").await;
    assert_eq!(search(&agent, "", &json!({"query": {"_id": mint["id"]}})).await.data(200), json!([mint]));
    // A record of another account is found by nobody else, and a name that nobody has answers in the same bytes.
    let theirs = other.record("product", "9").await["id"].clone();
    let nobody = "00000000-0000-8000-8000-000000000000";
    let asked = [json!({"_id": theirs}), json!({"_id": nobody})].map(|query| json!({"query": query}));
    assert_eq!(search(&agent, "", &asked[0]).await.body, search(&agent, "", &asked[1]).await.body);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_a_search_have_every_record_once_while_others_write() {
    let home = Home::start().await;
    let agent = home.agent().await;
    define(&agent).await;
    let item = |number: usize, kind: &str| {
        let external_id = number.to_string();
        json!({"type": kind, "external_id": external_id, "attributes": {"name": format!("{kind} {number}"), "size": number % 7}})
    };
    for kind in ["product", "shop"] {
        agent.run_job("resources", "post", (0..600).map(|number| item(number, kind)).collect()).await;
    }
    let body = json!({"query": {"size": {"$in": [1, 3]}}});
    let wanted: BTreeSet<String> = ["product", "shop"]
        .iter()
        .flat_map(|kind| {
            (0..600).filter(|number| [1, 3].contains(&(number % 7))).map(move |number| format!("{kind} {number}"))
        })
        .collect();
    // Records that are made and deleted meanwhile come or do not come; those that stand come once.
    let writing = async {
        for round in 0..6 {
            let made = (0..40).map(|number| item(10_000 + round * 40 + number, "product")).collect();
            agent.run_job("resources", "post", made).await;
            let gone =
                |number: usize| json!({"type": "product", "external_id": (10_000 + round * 40 + number).to_string()});
            agent.run_job("resources", "external_id_delete", (0..40).step_by(2).map(gone).collect()).await;
        }
    };
    let reading = async {
        for parameters in ["?per_page=10", "?per_page=7&order=asc", "?per_page=1000"] {
            let found = names(&pages(&agent, parameters, &body).await);
            let stood: Vec<_> = found.iter().filter(|name| wanted.contains(*name)).cloned().collect();
            assert_eq!(stood.len(), wanted.len(), "{parameters}");
            assert_eq!(stood.into_iter().collect::<BTreeSet<_>>(), wanted, "{parameters}");
        }
    };
    tokio::join!(writing, reading);
    // Ten a page unless asked, newest first, and back again.
    let all = pages(&agent, "", &body).await;
    assert_eq!(all[0].data(200).as_array().map(Vec::len), Some(10));
    let (newest, mut oldest) = (
        names(&pages(&agent, "?per_page=100", &body).await),
        names(&pages(&agent, "?per_page=100&order=asc", &body).await),
    );
    oldest.reverse();
    assert_eq!(newest, oldest);
    let mut back = vec![all.last().expect("one").clone()];
    while !back.last().expect("one").json()["links"]["previous"].is_null() {
        let previous = back.last().expect("one").json()["links"]["previous"].clone();
        back.push(follow(&agent, &previous, &body).await);
    }
    back.reverse();
    assert_eq!(names(&back), newest);
    // A cursor is of one query.
    let next = all[0].json()["links"]["next"].clone();
    assert_eq!(follow(&agent, &next, &json!({"query": {"size": 1}})).await.error(400).0, "BadRequest");
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_since_is_found_by_its_time() {
    let home = Home::start().await;
    let agent = home.agent().await;
    define(&agent).await;
    let item = |number: usize| json!({"type": "product", "external_id": number.to_string(), "attributes": {"name": format!("{number}")}});
    let mut times = Vec::new();
    for number in 0..5 {
        agent.run_job("resources", "post", json!([item(number)])).await;
        times.push(text(&agent.record("product", &number.to_string()).await["created_at"]).to_owned());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let of = async |body: Value| names(&pages(&agent, "?per_page=2", &body).await);
    let created =
        json!({"query": {}, "_created_at": {"start": times[1], "end": times[3]}, "sort_by": "_created_at asc"});
    assert_eq!(of(created).await, ["1", "2"]);
    let newest = json!({"query": {}, "_created_at": {"start": times[3].replace('T', " ").replace('Z', "")}});
    assert_eq!(of(newest).await, ["4", "3"]);
    // The first is changed last.
    agent.run_job("resources", "external_id_set", json!([item(0), item(2)])).await;
    let changed = agent.record("product", "0").await["updated_at"].clone();
    let since = json!({"query": {"_type": "product"}, "_updated_at": {"start": changed}});
    let mut found = of(since).await;
    found.sort();
    assert_eq!(found, ["0", "2"]);
    let by_update = json!({"query": {}, "sort_by": {"_updated_at": "asc"}});
    let sorted = of(by_update).await;
    assert_eq!(sorted[..3], ["1", "3", "4"]);
    assert_eq!(sorted[3..].iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(["0", "2"]));
    let mut latest = of(json!({"query": {}, "sort_by": "_updated_at"})).await;
    latest.reverse();
    assert_eq!(latest, sorted);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_makes_no_sense_is_told_why() {
    let home = Home::start().await;
    let agent = home.agent().await;
    for (body, words) in [
        (json!({}), "query is required"),
        (json!([]), "The body must be an object"),
        (json!({"query": []}), "query must be an object"),
        (json!({"query": {"a": {"$like": 1}}}), "$like"),
        (json!({"query": {"a": {"$gt": true}}}), "query.a.$gt"),
        (json!({"query": {"$and": {}}}), "query.$and"),
        (json!({"query": {}, "sort_by": "name"}), "sort_by"),
        (json!({"query": {}, "_updated_at": {"start": "yesterday"}}), "_updated_at.start"),
    ] {
        let (code, detail) = search(&agent, "", &body).await.error(400);
        assert_eq!(code, "BadRequest", "{body}");
        assert!(detail.contains(words), "{body}: {detail}");
    }
    assert_eq!(agent.post_text("/objects/query", "{").await.error(400).0, "BadRequest");
    assert_eq!(search(&agent, "?per_page=1001", &json!({"query": {}})).await.error(400).0, "BadRequest");
    assert_eq!(search(&agent, "?explain=true", &json!({"query": {}})).await.error(403).0, "Forbidden");
    let large = json!({"query": {"a": "x".repeat(300_000)}});
    assert_eq!(search(&agent, "", &large).await.error(413).0, "PayloadTooLarge");
    home.stop().await;
}

/// A type that is defined with indexes has them in every home, and jobs of every action keep their entries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_leads_to_what_jobs_have_made_of_the_records() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let schema = json!({
        "properties": {"name": {"type": "string"}, "size": {"type": "number"}},
        "x-indexed": ["name", "size", "_updated_at"],
    });
    agent.define("product", schema).await;
    let shown = agent.get("/objects/types/product").await.data(200);
    assert_eq!(shown["indexes"][0], json!({"name": "name", "ready": true}));
    let product = |number: usize, name: &str| json!({"type": "product", "external_id": number.to_string(), "attributes": {"name": name, "size": number % 2}});
    let posted: Vec<Value> = (0..60).map(|number| product(number, &format!("Name {}", number % 5))).collect();
    agent.run_job("resources", "post", json!(posted)).await;
    let of = |query: Value| json!({"$and": [{"_type": "product"}, query]});
    let since = agent.record("product", "59").await["updated_at"].clone();
    assert_eq!(found(&agent, of(json!({"name": "Name 3"}))).await.len(), 12);
    assert_eq!(found(&agent, of(json!({"name": {"$prefix": "name "}}))).await.len(), 60);

    agent.run_job("resources", "external_id_set", json!([product(3, "Other"), product(100, "Name 3")])).await;
    let gone = json!([{"type": "product", "external_id": "8"}]);
    agent.run_job("resources", "external_id_delete", gone).await;
    let id = agent.record("product", "13").await["id"].clone();
    agent.run_job("resources", "update", json!([{"id": id, "attributes": {"name": null}}])).await;
    assert_eq!(found(&agent, of(json!({"name": "Name 3"}))).await.len(), 10);
    assert_eq!(found(&agent, of(json!({"name": "Other"}))).await, ["Other"]);
    let sized = of(json!({"size": {"$in": [0, 1, 7]}, "name": {"$exists": true}}));
    assert_eq!(found(&agent, sized).await.len(), 59);
    let changed = json!({"query": {"_type": "product", "name": {"$exists": true}}, "_updated_at": {"start": since}, "sort_by": "_updated_at asc"});
    let changed = pages(&agent, "?per_page=7", &changed).await;
    assert!(names(&changed).len() >= 2 && names(&changed).contains(&"Other".to_owned()));
    let other = home.agent().await;
    other.define("product", json!({"properties": {"name": {"type": "string"}}, "x-indexed": ["name"]})).await;
    assert_eq!(found(&other, of(json!({"name": "Name 3"}))).await.len(), 0);
}
