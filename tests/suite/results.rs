//! Results in pages, as JSON, lines and a table; and the names that clients give to items.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, Client, answer, text};

use crate::home::Home;

/// Products, every third of which is wrong, each with a name of the client's own.
fn items(count: usize) -> Value {
    let item = |number: usize| {
        let name = if number % 3 == 2 { json!(number) } else { json!(format!("Gum {number}")) };
        let external_id = number.to_string();
        json!({"type": "product", "external_id": external_id, "attributes": {"name": name}, "client_ref": format!("row {number}")})
    };
    (0..count).map(item).collect()
}

async fn pages(agent: &Client, path: &str) -> Vec<Answer> {
    let mut pages = vec![agent.get(path).await];
    loop {
        let next = pages.last().expect("one").json()["links"]["next"].clone();
        if next.is_null() {
            return pages;
        }
        pages.push(agent.follow(&next).await);
        assert!(pages.len() < 1_000, "the results do not end");
    }
}

fn entries(pages: &[Answer]) -> Vec<Value> {
    pages.iter().flat_map(|page| page.data(200).as_array().expect("a list").clone()).collect()
}

async fn as_form(agent: &Client, path: &str, form: &str) -> Answer {
    answer(agent.request(Method::GET, path).header("accept", form)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_results_have_every_item_once_in_every_form() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let job = agent.run_job("resources", "post", items(1_300)).await;
    let path = format!("/jobs/{}/results", text(&job["id"]));
    let expected: Vec<Value> = (0..)
        .zip(job["results"].as_array().expect("results"))
        .map(|(position, result)| {
            assert_eq!(result["client_ref"], format!("row {position}"), "the job's own results say it as well");
            let mut entry = result.clone();
            entry["position"] = json!(position);
            entry
        })
        .collect();

    let all = pages(&agent, &path).await;
    assert_eq!(all.len(), 2);
    assert_eq!(entries(&all), expected);
    for (query, per_page) in [("per_page=7", 7), ("per_page=500", 500)] {
        let forward = pages(&agent, &format!("{path}?{query}")).await;
        assert_eq!(entries(&forward), expected);
        assert_eq!(forward.len(), 1_300_usize.div_ceil(per_page));
        // And back.
        let mut back = vec![forward.last().expect("one").clone()];
        while !back.last().expect("one").json()["links"]["previous"].is_null() {
            let previous = back.last().expect("one").json()["links"]["previous"].clone();
            back.push(agent.follow(&previous).await);
        }
        back.reverse();
        assert_eq!(entries(&back), expected, "{query}");
    }
    let mut reversed = entries(&pages(&agent, &format!("{path}?per_page=333&order=desc")).await);
    reversed.reverse();
    assert_eq!(reversed, expected);
    for success in [true, false] {
        let some = entries(&pages(&agent, &format!("{path}?per_page=100&success={success}")).await);
        let wanted: Vec<_> = expected.iter().filter(|entry| entry["success"] == success).cloned().collect();
        assert_eq!(some, wanted, "{success}");
    }

    let lines = as_form(&agent, &format!("{path}?per_page=3"), "application/x-ndjson").await;
    assert_eq!((lines.status.as_u16(), lines.header("content-type")), (200, Some("application/x-ndjson")));
    let read: Vec<Value> = std::str::from_utf8(&lines.body)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(read, expected[..3]);
    let next = lines.header("link").expect("a link").to_owned();
    let (next, relation) = next.split_once(">; ").expect("a relation");
    assert_eq!(relation, "rel=\"next\"");
    let next = next.trim_start_matches('<');
    let table = answer(agent.at_root(Method::GET, next).header("accept", "text/csv")).await;
    let rows = String::from_utf8(table.body).expect("text");
    let ids = [3, 4].map(|position: usize| text(&expected[position]["data"]["id"]).to_owned());
    let detail = text(&expected[5]["errors"][0]["detail"]).replace('"', "\"\"");
    assert_eq!(
        rows,
        format!(
            "3,row 3,true,{},,,\r\n4,row 4,true,{},,,\r\n5,row 5,false,,UnprocessableEntity,Unprocessable Entity,\"{detail}\"\r\n",
            ids[0], ids[1]
        )
    );
    let first = as_form(&agent, &format!("{path}?per_page=1"), "text/csv").await;
    let first = String::from_utf8(first.body).expect("text");
    assert!(first.starts_with("position,client_ref,success,id,code,title,detail\r\n0,row 0,true,"), "{first}");
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_results_of_a_job_that_is_under_way_are_those_that_are_done() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let change =
        |number| json!({"type": "product", "external_id": "1", "attributes": {"name": "Gum", "price": number}});
    let job = agent.create_job("resources", "external_id_set", (0..10_000).map(change).collect()).await.data(201);
    let path = format!("/jobs/{}/results", text(&job["id"]));
    agent.wait_for_progress(text(&job["id"])).await;
    let so_far = entries(&pages(&agent, &path).await);
    assert!(so_far.len() >= 500 && so_far.iter().all(|entry| entry["success"] == true), "{}", so_far.len());
    assert!((0..).zip(&so_far).all(|(position, entry)| entry["position"] == position));
    agent.abort(&job).await;
    agent.wait(text(&job["id"])).await;
    // Of a stopped job, every item has an entry.
    let all = entries(&pages(&agent, &path).await);
    assert_eq!(all.len(), 10_000);
    assert!((0..).zip(&all).all(|(position, entry)| entry["position"] == position));
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_are_of_one_job_and_wrong_parameters_are_named() {
    let home = Home::start().await;
    let (agent, other) = (home.agent().await, home.agent().await);
    let job = agent.run_job("resources", "post", json!([{}, {}])).await;
    let path = format!("/jobs/{}/results", text(&job["id"]));
    let again = agent.run_job("resources", "post", json!([{}, {}])).await;
    assert_eq!(other.get(&path).await.error(404).0, "NotFound");
    assert_eq!(agent.get("/jobs/none/results").await.error(404).0, "NotFound");
    let (code, detail) = agent.get(&format!("{path}?success=yes")).await.error(400);
    assert_eq!((code.as_str(), detail.as_str()), ("BadRequest", "`success` must be true or false, not \"yes\""));
    let next = text(&agent.get(&format!("{path}?per_page=1")).await.json()["links"]["next"]).to_owned();
    let elsewhere = next.replace(text(&job["id"]), text(&again["id"]));
    assert_eq!(agent.follow(&json!(elsewhere)).await.error(400).0, "BadRequest", "a cursor of another job");
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_of_an_item_is_repeated_whatever_comes_of_it() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let id = agent.stock(1).await.remove(0);
    let refs = |job: &Value| -> Vec<Value> {
        job["results"].as_array().expect("results").iter().map(|result| result["client_ref"].clone()).collect()
    };
    let long = "ä".repeat(256);
    let posted = agent
        .run_job(
            "resources",
            "post",
            json!([
                {"type": "product", "attributes": {"name": "Gum"}, "client_ref": "a \"b\"\n"},
                {"type": "nothing", "attributes": {}, "client_ref": "b"},
                {"client_ref": "c"},
                {"type": "product", "attributes": {"name": "Gum"}, "client_ref": null},
                {"type": "product", "attributes": {"name": "Gum"}, "client_ref": 7},
                {"type": "product", "attributes": {"name": "Gum"}, "client_ref": long},
                {"type": "product", "attributes": {"name": "Gum"}, "client_ref": &long[..510], "x": "y".repeat(20_000)},
                {"type": "product", "attributes": {"name": "Gum"}},
            ]),
        )
        .await;
    assert_eq!(
        refs(&posted),
        [
            json!("a \"b\"\n"),
            json!("b"),
            json!("c"),
            Value::Null,
            Value::Null,
            Value::Null,
            json!(&long[..510]),
            Value::Null
        ]
    );
    let outcomes = tests::outcomes(&posted);
    assert_eq!(outcomes[4], "UnprocessableEntity: client_ref must be a string, not a number");
    assert_eq!(outcomes[5], "UnprocessableEntity: client_ref must be at most 255 characters, not 256");
    assert_eq!([&outcomes[0], &outcomes[3], &outcomes[6], &outcomes[7]], ["done"; 4]);
    let deleted = agent
        .run_job("resources", "delete", json!([{"id": id, "client_ref": "d"}, {"id": id, "client_ref": "e"}, "x"]))
        .await;
    assert_eq!(refs(&deleted), [json!("d"), json!("e"), Value::Null]);
    assert_eq!(tests::outcomes(&deleted)[0], "done");
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_action_repeats_the_name_of_an_item() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    agent.define_relationship("goes_with", "product", json!(["product"])).await;
    let named = |external_id: &str, client_ref: &str| {
        let attributes = json!({"name": "Gum"});
        json!({"type": "product", "external_id": external_id, "attributes": attributes, "client_ref": client_ref})
    };
    let mut ids = Vec::new();
    let made = agent.run_job("resources", "post", json!([named("a", "first"), named("b", "second")])).await;
    ids.extend(made["results"].as_array().expect("results").iter().map(|result| result["data"]["id"].clone()));
    let end = |external_id: &str| json!({"type": "product", "external_id": external_id});
    let relate = |source: &str, client_ref: &str| json!({"relationship_type": "goes_with", "source": end(source), "target": end("b"), "client_ref": client_ref});
    let related = agent.run_job("relationships", "post", json!([relate("a", "first"), relate("none", "second")])).await;
    let relationship = related["results"][0]["data"]["id"].clone();
    let update = |id: &Value, client_ref: &str| json!({"id": id, "attributes": {"price": 2}, "client_ref": client_ref});
    let by_external_id = |external_id: &str, client_ref: &str| json!({"type": "product", "external_id": external_id, "client_ref": client_ref});
    let mut jobs = vec![made, related];
    for (job_type, action, items) in [
        ("resources", "update", json!([update(&ids[0], "first"), update(&relationship, "second")])),
        ("resources", "external_id_set", json!([named("a", "first"), named("c", "second")])),
        (
            "relationships",
            "delete",
            json!([{"id": relationship, "client_ref": "first"}, {"id": relationship, "client_ref": "second"}]),
        ),
        ("resources", "external_id_delete", json!([by_external_id("a", "first"), by_external_id("none", "second")])),
        ("resources", "delete", json!([{"id": ids[1], "client_ref": "first"}, {"id": ids[1], "client_ref": "second"}])),
    ] {
        jobs.push(agent.run_job(job_type, action, items).await);
    }
    for job in jobs {
        // Whether it succeeded or not, in the job and in the pages of its results.
        assert_eq!(job["results"][0]["success"], true, "{job}");
        let page = agent.get(&format!("/jobs/{}/results", text(&job["id"]))).await.data(200);
        for results in [&job["results"], &page] {
            assert_eq!(
                (&results[0]["client_ref"], &results[1]["client_ref"]),
                (&json!("first"), &json!("second")),
                "{job}"
            );
        }
    }
    home.stop().await;
}

/// Who opens the table in a spreadsheet runs nothing that somebody wrote into an item.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_cell_of_the_table_is_a_formula() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let formula = "=HYPERLINK(\"//there\")";
    let named = |client_ref: &str| json!({"client_ref": client_ref});
    let items = json!([named(formula), named(&format!("a;{formula}")), named(&format!("a\t{formula}"))]);
    let job = agent.run_job("resources", "post", items).await;
    let table = as_form(&agent, &format!("/jobs/{}/results", text(&job["id"])), "text/csv").await;
    let table = String::from_utf8(table.body).expect("text");
    let cell = "'=HYPERLINK(\"\"//there\"\")\"";
    let begins = [format!("0,\"{cell},false"), format!("1,\"a;{cell},false"), format!("2,\"a\t{cell},false")];
    let rows: Vec<&str> = table.split("\r\n").skip(1).collect();
    assert_eq!(rows.len(), 4, "{table}");
    assert!(rows.iter().zip(&begins).all(|(row, begin)| row.starts_with(begin.as_str())), "{table}");
    home.stop().await;
}
