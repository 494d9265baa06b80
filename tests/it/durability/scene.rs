//! Some records, and for each action a job on them that has something of everything in it.

use domain::job::{JobId, Operation};
use domain::limits::ITEMS_PER_CHUNK;
use domain::record::{RecordId, Row, State};
use domain::types::{Cardinality, TypeKey};
use serde_json::{Value, json};
use tests::{Client, Deliveries, Delivery, outcomes};

/// Records of a test's own inside an account that [`define_types`] was called for. Two scenes differ in nothing but
/// their ids.
pub struct Scene {
    client: Client,
    tag: String,
    operation: Operation,
    job: String,
    /// The messages of the job.
    pub chunks: Vec<Delivery>,
}

/// What a job left behind, with names instead of ids.
#[derive(Debug, Eq, PartialEq)]
pub struct Traces {
    pub status: Value,
    pub progress: Value,
    /// Each result, and how often it comes in a row.
    pub outcomes: Vec<(usize, String)>,
    pub records: Vec<String>,
    pub active_jobs: u64,
}

impl Traces {
    /// What the records hold, however often they were written. A tombstone holds nothing.
    pub fn contents(&self) -> Vec<String> {
        let content = |told: &String| {
            let (name, rest) = told.split_once(": ").expect("a name");
            let held = rest.split_once(" marks, ").map_or(rest, |(_, held)| held);
            format!("{name}: {}", if held == "tombstone" { "none" } else { held })
        };
        self.records.iter().map(content).collect()
    }

    /// The results of the items that succeeded.
    pub fn successes(&self) -> Vec<&str> {
        let succeeded = self.outcomes.iter().filter(|(_, outcome)| outcome.contains(r#""success":true"#));
        succeeded.flat_map(|(times, outcome)| std::iter::repeat_n(outcome.as_str(), *times)).collect()
    }
}

/// Whether the job of a scene is one chunk or two. The second is full of items that fail without touching anything.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Size {
    OneChunk,
    TwoChunks,
}

/// No record has this id.
const NOBODY: &str = "00000000-0000-8000-8000-000000000000";

const OBJECTS: [&str; 8] = ["a", "b", "c", "d", "e", "x", "y", "z"];
const PAIRS: [(&str, &str); 4] = [("a", "b"), ("b", "c"), ("c", "d"), ("e", "c")];

pub async fn define_types(client: &Client) {
    client.define_product().await;
    let likes = json!({"data": {"key": "likes", "source": "product", "target": ["product"]}});
    let _ = client.post("/relationships/types", &likes).await.data(201);
}

impl Scene {
    /// The records `a` to `e`, of which `a` likes `b`, and a job that is accepted and not yet delivered.
    pub async fn set(
        client: &Client,
        deliveries: &Deliveries<'_>,
        tag: &str,
        operation: Operation,
        size: Size,
    ) -> Self {
        let (client, tag) = (client.clone(), format!("{tag}/"));
        let mut scene = Self { client, tag, operation, job: String::new(), chunks: Vec::new() };
        let products = ["a", "b", "c", "d", "e"].map(|name| scene.product(name, &json!({"name": name, "price": 1})));
        let made = deliveries.run_job(&scene.client, "resources", "post", json!(products)).await;
        assert_eq!(outcomes(&made), ["done"; 5]);
        let made = deliveries.run_job(&scene.client, "relationships", "post", json!([scene.likes("a", "b")])).await;
        assert_eq!(outcomes(&made), ["done"]);

        let mut items = scene.items();
        if size == Size::TwoChunks {
            items.extend((0..ITEMS_PER_CHUNK).map(|_| scene.failing_item()));
        }
        scene.job = scene.client.accepted(operation.job_type(), operation.action(), json!(items)).await;
        scene.chunks = deliveries.take().await;
        scene.chunks.sort_by_key(|delivery| delivery.chunk().index);
        assert_eq!(scene.chunks.len(), if size == Size::TwoChunks { 2 } else { 1 });
        scene
    }

    fn items(&self) -> Vec<Value> {
        let id = |name: &str| self.object_id(name).to_string();
        match self.operation {
            Operation::CreateObjects => vec![
                self.product("x", &json!({"name": "x"})),
                self.product("a", &json!({"name": "other"})),
                self.product("x", &json!({"name": "x again"})),
                self.product("y", &json!({"price": 1})),
                json!({"type": "nothing", "attributes": {"name": "untyped"}}),
                json!({"type": "product", "attributes": {"name": "no external id"}}),
            ],
            Operation::UpdateObjects => vec![
                json!({"id": id("a"), "attributes": {"price": 2}}),
                json!({"id": id("b"), "attributes": {"price": -1}}),
                json!({"id": NOBODY, "attributes": {"price": 2}}),
                json!({"id": id("a"), "attributes": {"note": "twice", "price": 3}}),
                json!({"id": id("b"), "attributes": {"price": null}}),
            ],
            Operation::SetObjects => vec![
                self.product("a", &json!({"price": 5})),
                self.product("y", &json!({"name": "y"})),
                self.product("y", &json!({"price": 6})),
                self.product("z", &json!({"price": 7})),
                json!({"type": "nothing", "external_id": "1", "attributes": {}}),
            ],
            Operation::DeleteObjects => {
                vec![json!(id("c")), json!(id("c")), json!(NOBODY), json!(id("a")), json!(id("d"))]
            }
            Operation::DeleteObjectsByExternalId => ["c", "c", "x", "a", "d"]
                .map(|name| json!({"type": "product", "external_id": self.external_id(name)}))
                .into(),
            Operation::CreateRelationships => vec![
                self.likes("b", "c"),
                self.likes("a", "b"),
                self.likes("b", "c"),
                self.likes("c", "x"),
                self.likes("c", "d"),
                self.likes("e", "c"),
                json!({"relationship_type": "nothing", "source": id("a"), "target": id("b")}),
            ],
            Operation::DeleteRelationships => {
                let id = self.pair_id("a", "b").to_string();
                vec![json!(id), json!(id), json!(NOBODY)]
            }
        }
    }

    fn failing_item(&self) -> Value {
        match self.operation {
            Operation::CreateObjects => json!({"type": "nothing", "attributes": {}}),
            Operation::UpdateObjects => json!({"id": 1}),
            Operation::SetObjects => json!({"type": "nothing", "external_id": 1}),
            Operation::DeleteObjects | Operation::DeleteRelationships => json!(1),
            Operation::DeleteObjectsByExternalId => json!({"type": "nothing"}),
            Operation::CreateRelationships => json!({"relationship_type": "nothing", "source": "x", "target": "y"}),
        }
    }

    /// What is there now. Names stand for ids, so that scenes can be compared.
    pub async fn traces(&self) -> Traces {
        let job = self.client.job(&self.job).await;
        let ids = self.ids();
        let rows = self.client.store.records.records(&self.client.account, ids.iter().map(|(_, id)| *id)).await;
        let rows = rows.expect("the database");
        let named = |text: String| {
            let names = ids.iter().fold(text, |text, (name, id)| text.replace(&id.to_string(), name));
            names.replace(&self.tag, "")
        };
        let outcomes = job["results"].as_array().into_iter().flatten().map(|result| named(result.to_string()));
        let outcomes: Vec<String> = outcomes.collect();
        let runs = outcomes.chunk_by(|left, right| left == right);
        Traces {
            status: job["job_status"].clone(),
            progress: job["progress"].clone(),
            outcomes: runs.map(|run| (run.len(), run[0].clone())).collect(),
            records: ids.iter().map(|(name, id)| named(told(name, rows.get(id)))).collect(),
            active_jobs: self.client.active_jobs().await,
        }
    }

    /// How many items of the job succeeded.
    pub async fn succeeded(&self) -> u64 {
        self.client.job(&self.job).await["progress"]["succeeded"].as_u64().expect("a number")
    }

    /// Every record that the scene can have.
    fn ids(&self) -> Vec<(String, RecordId)> {
        let job = JobId::parse(&self.job).expect("a job id");
        let objects = OBJECTS.iter().map(|name| ((*name).to_owned(), self.object_id(name)));
        let pairs = PAIRS.iter().map(|(source, target)| (format!("{source}-{target}"), self.pair_id(source, target)));
        // The post without an external id is the sixth item.
        let nameless = ("nameless".to_owned(), RecordId::of_item(&self.client.account, job, 5));
        objects.chain(pairs).chain([nameless]).collect()
    }

    fn external_id(&self, name: &str) -> String {
        format!("{}{name}", self.tag)
    }

    fn object_id(&self, name: &str) -> RecordId {
        RecordId::of_external_id(&self.client.account, &key("product"), &self.external_id(name))
    }

    fn pair_id(&self, source: &str, target: &str) -> RecordId {
        let (source, target) = (self.object_id(source).to_string(), self.object_id(target).to_string());
        RecordId::of_relationship(&self.client.account, &key("likes"), Cardinality::OneToMany, &source, &target)
    }

    fn product(&self, name: &str, attributes: &Value) -> Value {
        json!({"type": "product", "external_id": self.external_id(name), "attributes": attributes})
    }

    fn likes(&self, source: &str, target: &str) -> Value {
        let (source, target) = (self.object_id(source).to_string(), self.object_id(target).to_string());
        json!({"relationship_type": "likes", "source": source, "target": target})
    }
}

/// A row in words: how often it was written, by how many operations, and what it holds.
fn told(name: &str, row: Option<&Row>) -> String {
    let Some(row) = row else { return format!("{name}: none") };
    let marks = row.applied.to_bytes().len() / 24;
    let held = match &row.state {
        State::Object(record) => format!("{}, linked {}", record.attributes, record.links),
        State::Relationship(record) => format!("from {} to {}", record.source, record.target),
        State::Tombstone => "tombstone".to_owned(),
    };
    format!("{name}: version {}, {marks} marks, {held}", row.version)
}

fn key(text: &str) -> TypeKey {
    TypeKey::parse(text).expect("a type key")
}
