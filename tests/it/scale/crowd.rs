//! Twenty clients at once, and one that watches the list meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::{Client, Home, outcomes};

const CLIENTS: usize = 20;
const ITEMS: usize = 1_000;

fn products(client: usize) -> Value {
    let product = |number: usize| {
        let name = format!("product {number} of client {client}");
        json!({"type": "product", "external_id": format!("{client}-{number}"), "attributes": {"name": name, "price": number}})
    };
    (0..ITEMS).map(product).collect()
}

/// Reads the lists over and over until all jobs are listed as completed, and checks each of them.
struct Watcher<'test> {
    acme: &'test Client,
    /// Ids of the jobs that were answered with 201.
    accepted: &'test Mutex<Vec<String>>,
    /// How far each job was when a list last showed it: a job never goes back.
    progress: HashMap<String, usize>,
    lists: usize,
}

impl Watcher<'_> {
    async fn watch(&mut self) {
        loop {
            let known = self.accepted.lock().expect("the lock").clone();
            let all = self.list(None).await;
            assert!(known.iter().all(|id| all.contains(id)), "an accepted job is not listed");
            let mut completed = 0;
            for (status, rank) in [("queued", 0), ("processing", 1), ("completed", 2), ("failed", 2), ("aborted", 2)] {
                let listed = self.list(Some(status)).await;
                for id in &listed {
                    let before = self.progress.insert(id.clone(), rank).unwrap_or(0);
                    assert!(before <= rank, "a job went back to {status}");
                }
                match status {
                    "completed" => completed = listed.len(),
                    "failed" | "aborted" => assert!(listed.is_empty(), "{listed:?}"),
                    _ => {}
                }
            }
            if completed == CLIENTS {
                return;
            }
        }
    }

    async fn list(&mut self, status: Option<&str>) -> HashSet<String> {
        let path = status.map_or_else(|| "/jobs".to_owned(), |status| format!("/jobs?status={status}"));
        let listed = self.acme.get(&path).await.data(200);
        let listed = listed.as_array().expect("a list");
        let mut ids = HashSet::new();
        let mut latest = "~";
        for job in listed {
            assert!(status.is_none_or(|status| job["job_status"] == status), "{path}: {job}");
            assert!(job.get("results").is_none(), "{path}: {job}");
            let id = job["id"].as_str().expect("an id");
            assert!(id < latest, "{path}: newest first, and none twice");
            latest = id;
            ids.insert(id.to_owned());
        }
        self.lists += 1;
        ids
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_jobs_of_a_thousand_items_all_complete_and_every_list_is_right() {
    let home = Home::start().await;
    let acme = home.acme().await;
    acme.define_product().await;
    let accepted = Mutex::new(Vec::new());
    let mut watcher = Watcher { acme: &acme, accepted: &accepted, progress: HashMap::new(), lists: 0 };
    let clients = (0..CLIENTS).map(|client| {
        let (acme, accepted) = (&acme, &accepted);
        async move {
            let id = acme.accepted("resources", "post", products(client)).await;
            accepted.lock().expect("the lock").push(id.clone());
            acme.wait(&id).await
        }
    });
    let (jobs, ()) = tokio::join!(join_all(clients), watcher.watch());
    for job in jobs {
        assert_eq!(job["job_status"], "completed");
        assert_eq!(outcomes(&job), vec!["done"; ITEMS]);
    }
    assert!(watcher.lists > 12, "the lists were read while the jobs ran");
    assert_eq!(acme.active_jobs().await, 0);
    home.run.stop().await;
}
