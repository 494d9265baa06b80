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
