//! Real input: airports, imported in jobs of a thousand and of as many as a job may have.
//!
//! `SUNDIAL_AIRPORTS=FILE` takes another file of the same shape, and `SUNDIAL_URL=http://ADDRESS` a service that runs
//! already, with an account that has none of them. With `--nocapture` the times are shown.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, BASE, Home, answer, outcomes};

const PATIENCE: Duration = Duration::from_mins(10);

/// A client of the local account, with an object type of its own for the airports.
struct Importer {
    http: reqwest::Client,
    base_url: String,
    object_type: String,
    airports: Vec<Value>,
    job_size: usize,
}

impl Importer {
    fn new(base_url: String, job_size: usize) -> Self {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/local/data/airports.ndjson");
        let file = std::env::var("SUNDIAL_AIRPORTS").unwrap_or_else(|_| sample.to_owned());
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let object_type = format!("airport-by-{job_size}");
        let airport = |line: &str| {
            let mut airport: Value = serde_json::from_str(line).expect("an airport");
            airport["type"] = json!(object_type);
            airport
        };
        let airports = text.lines().map(airport).collect();
        Self { http: reqwest::Client::new(), base_url, object_type, airports, job_size }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request =
            self.http.request(method, format!("{}{path}", self.base_url)).bearer_auth("sundial_local_token");
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request).await
    }

    async fn define(&self) {
        let definition = include_str!("../../../infra/local/data/airport-type.json");
        let mut definition: Value = serde_json::from_str(definition).expect("a definition");
        definition["data"]["key"] = json!(self.object_type);
        let _ = self.call(Method::POST, &format!("{BASE}/objects/types"), Some(&definition)).await.data(201);
    }

    /// Sends every airport, in jobs of the wanted size that are all posted before the first is waited for, and answers
    /// with what came of each.
    async fn import(&self, action: &str) -> Vec<String> {
        let started = Instant::now();
        let mut ids = Vec::new();
        for airports in self.airports.chunks(self.job_size) {
            let body = json!({"type": "resources", "action": action, "data": airports});
            let job = self.call(Method::POST, &format!("{BASE}/jobs"), Some(&body)).await.data(201);
            ids.push(job["id"].as_str().expect("an id").to_owned());
        }
        let accepted = started.elapsed();
        let mut all = Vec::new();
        for id in ids {
            let job = self.wait(&id, started).await;
            assert_eq!(job["job_status"], "completed");
            all.extend(outcomes(&job));
        }
        let count = self.airports.len();
        self.show(&format!("{action} of {count}: accepted after {accepted:.2?}, completed after"), started);
        assert_eq!(all.len(), count);
        all
    }

    async fn wait(&self, id: &str, since: Instant) -> Value {
        loop {
            // Looking again and again would take up the account's requests of the minute.
            let job = self.call(Method::GET, &format!("{BASE}/jobs/{id}?wait=20"), None).await.data(200);
            if !matches!(job["job_status"].as_str(), Some("queued" | "processing")) {
                return job;
            }
            assert!(since.elapsed() < PATIENCE, "the job does not end");
        }
    }

    /// Every record of the type by its external id, without `updated_at`, which comes beside it.
    async fn records(&self) -> BTreeMap<String, (Value, String)> {
        let started = Instant::now();
        let mut records = BTreeMap::new();
        let mut path = format!("{BASE}/objects/records?type={}&per_page=700", self.object_type);
        loop {
            let page = self.call(Method::GET, &path, None).await;
            let listed = page.data(200);
            for record in listed.as_array().expect("a list") {
                let mut record = record.clone();
                let external_id = record["external_id"].as_str().expect("an external id").to_owned();
                let updated_at = record["updated_at"].take().as_str().expect("a time").to_owned();
                assert!(records.insert(external_id, (record, updated_at)).is_none(), "listed twice");
            }
            match page.json()["links"]["next"].as_str() {
                Some(next) => next.clone_into(&mut path),
                None => break,
            }
        }
        self.show(&format!("{} listed in", records.len()), started);
        records
    }

    fn show(&self, what: &str, started: Instant) {
        eprintln!("jobs of {}: {what} {:.2?}", self.job_size, started.elapsed());
    }
}

/// Imports the airports, lists them, imports them again by `post`, which changes nothing, and by `external_id_set`, which
/// changes nothing but `updated_at`.
async fn import_three_times(base_url: String, job_size: usize, first_action: &str) {
    let importer = Importer::new(base_url, job_size);
    importer.define().await;
    assert!(importer.import(first_action).await.iter().all(|outcome| outcome == "done"));
    let imported = importer.records().await;
    let expected: HashMap<&str, &Value> = importer
        .airports
        .iter()
        .map(|airport| (airport["external_id"].as_str().expect("an external id"), &airport["attributes"]))
        .collect();
    assert_eq!(imported.len(), expected.len());
    for (external_id, (record, updated_at)) in &imported {
        assert_eq!(&&record["attributes"], &expected[external_id.as_str()], "{external_id}");
        assert_eq!(record["created_at"], *updated_at, "{external_id}");
    }

    let taken = format!(
        "UnprocessableEntity: External Id is already in use for the Resource Type key: {}",
        importer.object_type
    );
    assert!(importer.import("post").await.iter().all(|outcome| *outcome == taken));
    assert_eq!(importer.records().await, imported);

    assert!(importer.import("external_id_set").await.iter().all(|outcome| outcome == "done"));
    let set = importer.records().await;
    assert_eq!(set.len(), imported.len());
    for ((external_id, (before, created)), (other_id, (after, updated))) in imported.iter().zip(&set) {
        assert_eq!((external_id, before), (other_id, after));
        assert!(updated > created, "{external_id}");
    }
}

async fn on_a_service(job_size: usize, first_action: &str) {
    if let Ok(base_url) = std::env::var("SUNDIAL_URL") {
        import_three_times(base_url, job_size, first_action).await;
        return;
    }
    let home = Home::start().await;
    import_three_times(home.run.base_url(), job_size, first_action).await;
    home.run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_jobs_of_a_thousand() {
    on_a_service(1_000, "post").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_jobs_of_ten_thousand() {
    on_a_service(10_000, "external_id_set").await;
}
