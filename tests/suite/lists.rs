//! Lists, whose pages are turned both ways.

use serde_json::{Value, json};
use tests::{Answer, Client, outcomes, text};

use crate::home::Home;

fn ids(page: &Answer) -> Vec<String> {
    page.data(200).as_array().expect("a list").iter().map(|entry| text(&entry["id"]).to_owned()).collect()
}

/// Every page from this one on, in the direction of `link`.
async fn pages(agent: &Client, first: Answer, link: &str) -> Vec<Answer> {
    let mut pages = vec![first];
    loop {
        let next = pages.last().expect("one").json()["links"][link].clone();
        if next.is_null() {
            return pages;
        }
        pages.push(agent.follow(&next).await);
        assert!(pages.len() < 100, "the list does not end");
    }
}

/// The list is the same in pages of three, forward and back, in both orders.
async fn check_pages(agent: &Client, path: &str, count: usize) {
    let all = ids(&agent.get(&format!("{path}order=desc")).await);
    assert_eq!(all.len(), count, "{path}");
    let reversed: Vec<_> = all.iter().rev().cloned().collect();
    for (order, whole) in [("desc", &all), ("asc", &reversed)] {
        let first = agent.get(&format!("{path}per_page=3&order={order}")).await;
        assert_eq!(first.json()["links"]["previous"], Value::Null);
        let forward = pages(agent, first, "next").await;
        let forward_ids: Vec<_> = forward.iter().map(ids).collect();
        assert_eq!(&forward_ids.concat(), whole, "{path}{order}");
        assert!(forward_ids[..forward_ids.len() - 1].iter().all(|page| page.len() == 3), "{path}{order}");

        let mut backward: Vec<_> =
            pages(agent, forward.last().expect("one").clone(), "previous").await.iter().map(ids).collect();
        backward.reverse();
        assert_eq!(backward, forward_ids, "{path}{order}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_every_list_turn_forward_and_back() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    agent.define_relationship("goes_with", "product", json!(["product"])).await;
    let products = agent.stock(11).await;
    let link = |target: &String| json!({"relationship_type": "goes_with", "source": products[0], "target": target});
    let related = agent.run_job("relationships", "post", products[1..].iter().map(link).collect()).await;
    assert_eq!(outcomes(&related), ["done"; 10]);
    for _ in 0..5 {
        agent.run_job("resources", "post", json!([{}])).await;
    }
    check_pages(&agent, "/jobs?", 7).await;
    check_pages(&agent, "/jobs?status=completed&", 7).await;
    check_pages(&agent, "/objects/records?type=product&", 11).await;
    check_pages(&agent, "/relationships/records?type=goes_with&", 10).await;
    assert_eq!(agent.get("/jobs?status=queued").await.data(200), json!([]));

    let cursor = |page: &Answer| page.json()["links"]["next"].as_str().expect("a link").to_owned();
    let ours = cursor(&agent.get("/jobs?per_page=3").await);
    let other = home.agent().await;
    assert_eq!(other.follow(&json!(ours)).await.error(400).0, "BadRequest", "another account's cursor");
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_listed_by_what_they_are_and_when_they_were_made() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    agent.define_relationship("goes_with", "product", json!(["product"])).await;
    let mut jobs = Vec::new();
    for (job_type, action, item) in [
        ("resources", "post", json!({})),
        ("resources", "delete", json!("x")),
        ("relationships", "post", json!({})),
        ("relationships", "delete", json!("x")),
        ("resources", "post", json!({})),
    ] {
        jobs.push(agent.run_job(job_type, action, json!([item])).await);
        // Each in a second of its own.
        tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    }
    let id = |number: usize| text(&jobs[number]["id"]).to_owned();
    let check = async |query: &str, expected: &[usize]| {
        let expected: Vec<String> = expected.iter().map(|number| id(*number)).collect();
        assert_eq!(ids(&agent.get(&format!("/jobs?{query}")).await), expected, "{query}");
    };
    check("type=resources", &[4, 1, 0]).await;
    check("type=relationships&order=asc", &[2, 3]).await;
    check("action=post", &[4, 2, 0]).await;
    check("action=delete&type=resources&status=completed", &[1]).await;
    check("action=update", &[]).await;
    check("status=failed&action=post", &[]).await;
    let at = |number: usize| text(&jobs[number]["created_at"]).to_owned();
    check(&format!("created_after={}", at(3)), &[4, 3]).await;
    check(&format!("created_before={}", at(2)), &[1, 0]).await;
    check(&format!("created_after={}&created_before={}&status=completed", at(1), at(3)), &[2, 1]).await;
    check(&format!("created_after={}&created_before={}", at(3), at(1)), &[]).await;
    check("created_before=2017-11-03T16:00:06Z", &[]).await;
    check("created_after=2017-11-03T16:00:06%2B01:00&type=&action=", &[4, 3, 2, 1, 0]).await;
    check("type=product&action=delete", &[3, 1]).await;
    check_pages(&agent, "/jobs?action=post&type=resources&", 2).await;
    for (query, detail) in [
        (
            "action=put",
            "`action` must be one of post, update, external_id_set, delete, external_id_delete, not \"put\"",
        ),
        ("created_after=now", "`created_after` must be a time as 2017-11-03T16:00:06Z, not \"now\""),
    ] {
        assert_eq!(agent.get(&format!("/jobs?{query}")).await.error(400), ("BadRequest".to_owned(), detail.to_owned()));
    }
    home.stop().await;
}
