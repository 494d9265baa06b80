//! A lane: one client that runs one job after the other on records of its own, and in the same jobs touches what it shares
//! with the other lanes of its account.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use domain::clock::Clock;
use domain::job::JobId;
use domain::record::RecordId;
use fastrand::Rng;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, text};

use crate::caller::{Caller, Trying};
use crate::model::{Attributes, Expected, Item, Model, Touch};
use crate::world::{Account, contest_name, member_of, shared_name};

/// External ids of a lane: a few that most jobs are about, and many for the large ones.
const HOT_NAMES: usize = 150;
const NAMES: usize = 2_500;
/// A contest is open to all lanes for so many seconds.
const CONTEST_SECONDS: u64 = 2;

/// What was done how often.
pub type Tally = BTreeMap<String, u64>;

pub struct Lane {
    pub account: Arc<Account>,
    pub model: Model,
    pub tally: Tally,
    caller: Caller,
    number: usize,
    random: Rng,
    began: Instant,
    /// Requests made, which number the keys, and values given to shared records.
    serial: u64,
}

/// What a job is of, and how likely it is among all.
const ACTIONS: [(&str, &str, u32); 7] = [
    ("resources", "post", 22),
    ("resources", "external_id_set", 24),
    ("resources", "update", 22),
    ("resources", "delete", 7),
    ("resources", "external_id_delete", 8),
    ("relationships", "post", 10),
    ("relationships", "delete", 7),
];

impl Lane {
    pub fn new(caller: Caller, account: Arc<Account>, number: usize, seed: u64, began: Instant) -> Self {
        let model = Model::new(account.id.clone());
        let (tally, random) = (Tally::new(), Rng::with_seed(seed));
        Self { account, model, tally, caller, number, random, began, serial: 0 }
    }

    /// Runs jobs until then, and the last one to its end.
    pub async fn run(mut self, until: Instant) -> Self {
        while Instant::now() < until {
            match self.random.u32(..60) {
                0 => self.unreadable_body().await,
                1 => self.bad_request().await,
                _ => self.job().await,
            }
        }
        self
    }

    fn count(&mut self, what: impl Into<String>, times: u64) {
        *self.tally.entry(what.into()).or_default() += times;
    }

    fn one_in(&mut self, number: u32) -> bool {
        self.random.u32(..number) == 0
    }

    async fn job(&mut self) {
        let all: u32 = ACTIONS.iter().map(|(.., weight)| weight).sum();
        let mut pick = self.random.u32(..all);
        let chosen = ACTIONS.iter().find(|(.., weight)| pick.checked_sub(*weight).map(|rest| pick = rest).is_none());
        let (job_type, action, _) = *chosen.expect("one of them");
        let items = self.items(job_type, action);
        let data: Vec<Value> = items.iter().map(Item::json).collect();
        let body = json!({"type": job_type, "action": action, "data": data}).to_string();
        let Some(made) = self.post(&body, &[]).await else { return };
        let id = text(&made["id"]).to_owned();
        let aborted = self.one_in(8);
        if aborted {
            self.abort(&id).await;
        }
        let job = self.caller.ended(&id).await;
        self.account.remember(&job);
        assert_eq!((&job["type"], &job["action"]), (&json!(job_type), &json!(action)));
        assert_eq!(job["progress"]["total"], items.len());
        let status = text(&job["job_status"]).to_owned();
        self.count(format!("jobs {job_type}/{action} {status}"), 1);
        match status.as_str() {
            "completed" => self.check(&job, &items),
            "failed" if aborted => {
                assert_eq!(job["error"]["code"], "Aborted", "{id}: {}", job["error"]);
                self.check(&job, &items);
            }
            "aborted" => assert_eq!((&job["results"], &job["progress"]["processed"]), (&json!([]), &json!(0)), "{id}"),
            _ => panic!("job {id} of {job_type} {action} ended {status}: {}", job["error"]),
        }
    }

    /// Every result of a job whose chunks were all recorded is what it must be, which is then what the model holds.
    fn check(&mut self, job: &Value, items: &[Item]) {
        let id = JobId::parse(text(&job["id"])).expect("a job id");
        let results = job["results"].as_array().expect("results");
        assert_eq!(results.len(), items.len(), "job {id}");
        // Which items a stop came before is not the model's to know. Only a job that says it was stopped may have any, and must.
        let left: Vec<bool> = results.iter().map(|result| result["errors"][0]["code"] == "NotProcessed").collect();
        let count_left = left.iter().filter(|left| **left).count();
        assert_eq!(count_left > 0, job["job_status"] == "failed", "job {id}: {count_left} items were not come to");
        let expected = self.model.apply(id, items, &left);
        let mut succeeded = 0;
        for (position, ((item, expected), result)) in items.iter().zip(&expected).zip(results).enumerate() {
            let lane = self.number;
            assert!(
                expected.is_met_by(result),
                "account {}, lane {lane}, job {id}, item {position}: {item:?}\n  must be {expected:?}\n  and is {result}",
                self.account.id
            );
            if let (Expected::Open, Item::Shared { touch, .. }) = (expected, item) {
                let is_unknown = self.account.touched(lane, touch, result);
                self.count("items whose outcome is not known", u64::from(is_unknown));
            }
            succeeded += u64::from(result["success"] == true);
        }
        let total = items.len() as u64;
        let progress = json!({"total": total, "processed": total, "succeeded": succeeded, "failed": total - succeeded});
        assert_eq!(job["progress"], progress, "job {id}");
        self.count("items that succeeded", succeeded);
        self.count("items that failed, as they must", total - succeeded - count_left as u64);
        self.count("items that a stop came before", count_left as u64);
        let size = match total {
            0..100 => "jobs of less than 100 items",
            100..1_000 => "jobs of 100 to 999 items",
            _ => "jobs of 1,000 items and more",
        };
        self.count(size, 1);
    }

    /// Posts a job under a key of its own until it is known whether it exists. `None`: it does not and never will.
    async fn post(&mut self, body: &str, headers: &[(&str, &str)]) -> Option<Value> {
        self.serial += 1;
        let key = format!("lane {} request {}", self.number, self.serial);
        let headers = [headers, &[("idempotency-key", key.as_str())]].concat();
        let caller = self.caller.clone();
        let send = || caller.send(Method::POST, "/jobs", &headers, body);
        let trying = Trying::to(format!("post a job under the key {key}"));
        let mut is_unknown = false;
        let made = loop {
            let sent_at = Clock::system().now();
            // Now and then a client cannot wait and sends it twice at once.
            let answers = if self.one_in(12) {
                let (one, other) = tokio::join!(send(), send());
                vec![one, other]
            } else {
                vec![send().await]
            };
            let mut made: Option<Value> = None;
            for answer in answers {
                match answer.as_ref().map(|answer| answer.status.as_u16()) {
                    Some(201) => {
                        let job = answer.expect("an answer").data(201);
                        let same = made.as_ref().is_none_or(|made| made["id"] == job["id"]);
                        assert!(same, "two jobs for one key: {made:?} and {job}");
                        made = Some(job);
                    }
                    // Nothing of it will ever run.
                    Some(429 | 503) => self.count("posts refused with 503", 1),
                    // Nobody knows what came of it: the process died, or says so itself.
                    None => {
                        is_unknown = true;
                        self.count("posts whose answer was lost", 1);
                    }
                    Some(500) => {
                        is_unknown = true;
                        self.count("posts unsettled with 500", 1);
                    }
                    Some(status) => panic!("a good job is answered with {status}: {answer:?}"),
                }
            }
            if let Some(made) = made {
                // Whatever was refused before is not what is there now: a job's id says when it was made.
                let made_at = JobId::parse(text(&made["id"])).expect("a job id").made_at();
                assert!(is_unknown || made_at >= sent_at, "a request that was refused made a job: {made}");
                break made;
            }
            if !is_unknown && self.one_in(2) {
                self.count("posts given up", 1);
                return None;
            }
            trying.again().await;
        };
        if self.one_in(15) {
            let again = self.caller.settled(Method::POST, "/jobs", &headers, body).await;
            assert_eq!(again.data(201)["id"], made["id"], "another job for the same key and body");
            self.count("posts repeated", 1);
        }
        if self.one_in(30) {
            let other = body.replacen(r#""data":["#, r#""data":[7,"#, 1);
            let refused = self.caller.settled(Method::POST, "/jobs", &headers, &other).await;
            assert_eq!(refused.status, if other == body { 201 } else { 422 }, "{:?}", refused.json());
        }
        Some(made)
    }

    async fn abort(&mut self, id: &str) {
        let answer = self.caller.settled(Method::POST, &format!("/jobs/{id}/abort"), &[], "").await;
        match answer.status.as_u16() {
            // Ended already, where the answer to the first of two abort requests was lost.
            200 => {
                let status = text(&answer.data(200)["job_status"]).to_owned();
                assert!(matches!(status.as_str(), "aborted" | "failed" | "completed"), "{status}");
            }
            202 => self.count("aborts of jobs that were processing", 1),
            409 => self.count("aborts too late", 1),
            _ => panic!("an abort is answered with {answer:?}"),
        }
    }

    /// A body that nobody can read makes a job that has failed.
    async fn unreadable_body(&mut self) {
        let Some(made) = self.post("x", &[("content-encoding", "compress")]).await else { return };
        let job = self.caller.ended(text(&made["id"])).await;
        assert_eq!(job["job_status"], "failed", "{job}");
        self.account.remember(&job);
        self.count("jobs that nobody can read failed", 1);
    }

    /// Makes no job at all, which the list of all jobs shows in the end.
    async fn bad_request(&mut self) {
        let body = r#"{"type":"resources","action":"post","data":[{"type":"item","#;
        let answer: Answer = self.caller.settled(Method::POST, "/jobs", &[], body).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        self.count("posts refused with 400", 1);
    }

    // What jobs consist of.

    fn items(&mut self, job_type: &str, action: &str) -> Vec<Item> {
        let count = match self.random.u32(..100) {
            0..60 => self.random.usize(1..20),
            60..90 => self.random.usize(20..200),
            90..98 => self.random.usize(200..900),
            _ => self.random.usize(1_500..4_000),
        };
        match (job_type, action) {
            ("resources", "post") => self.posts(count),
            ("resources", "external_id_set") => self.sets(count),
            ("resources", "update") => self.updates(count),
            ("resources", "delete") => self.deletes(count),
            ("resources", _) => self.named_deletes(count),
            (_, "post") => self.relates(count.min(300)),
            _ => self.unrelates(count.min(300)),
        }
    }

    /// As many names, each about as often as every other.
    fn names(&mut self, count: usize) -> Vec<String> {
        let pool = if count < 200 && self.one_in(2) { HOT_NAMES } else { NAMES };
        let start = self.random.usize(..pool);
        let lane = self.number;
        (0..count)
            .map(|place| {
                let place = if count < 200 { self.random.usize(..pool) } else { (start + place) % pool };
                // External ids are compared without regard to case.
                let word = if self.random.u8(..8) == 0 { "ITEM" } else { "item" };
                format!("lane-{lane}-{word}-{place}")
            })
            .collect()
    }

    fn attributes(&mut self) -> Attributes {
        self.serial += 1;
        let mut attributes = Attributes::new();
        attributes.insert("name".to_owned(), json!(format!("Name {}", self.serial)));
        attributes.insert("price".to_owned(), json!(self.random.u32(..1_000)));
        match self.random.u32(..20) {
            0 => drop(attributes.insert("price".to_owned(), json!(-1))),
            1 => drop(attributes.shift_remove("name")),
            2 => drop(attributes.insert("colour".to_owned(), json!("red"))),
            3..8 => drop(attributes.insert("note".to_owned(), json!("n".repeat(self.random.usize(..60))))),
            _ => {}
        }
        attributes
    }

    fn patch(&mut self) -> Attributes {
        self.serial += 1;
        let mut patch = Attributes::new();
        match self.random.u32(..12) {
            0 => drop(patch.insert("name".to_owned(), Value::Null)),
            1 => drop(patch.insert("price".to_owned(), json!(-1))),
            2 => drop(patch.insert("note".to_owned(), Value::Null)),
            3..6 => drop(patch.insert("note".to_owned(), json!(format!("Note {}", self.serial)))),
            6..8 => drop(patch.insert("price".to_owned(), json!(self.random.u32(..1_000)))),
            _ => return self.attributes(),
        }
        patch
    }

    fn wrong_object(&mut self) -> Item {
        let (item, detail) = match self.random.u8(..3) {
            0 => (json!(7), "item must be an object, not a number"),
            1 => (json!({"type": "item", "external_id": "none"}), "attributes is required and must be an object"),
            _ => (
                json!({"type": "ghost", "external_id": "none", "attributes": {}}),
                "Object type \"ghost\" is not defined",
            ),
        };
        Item::Wrong { item, detail: detail.to_owned() }
    }

    fn contest(&self) -> u64 {
        self.began.elapsed().as_secs() / CONTEST_SECONDS
    }

    fn posts(&mut self, count: usize) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::with_capacity(count + 1);
        for name in self.names(count) {
            items.push(match self.random.u32(..20) {
                0 => self.wrong_object(),
                1 => Item::Post { name: None, attributes: self.attributes() },
                _ => Item::Post { name: Some(name), attributes: self.attributes() },
            });
        }
        let contest = self.contest();
        let attributes = Attributes::from_iter([
            ("name".to_owned(), json!(format!("Lane {}", self.number))),
            ("note".to_owned(), json!(format!("Request {}", self.serial))),
        ]);
        let item = json!({"type": "item", "external_id": contest_name(contest), "attributes": attributes});
        self.mix_in(&mut items, Item::Shared { item, touch: Touch::Make { contest, attributes } });
        items
    }

    fn sets(&mut self, count: usize) -> Vec<Item> {
        let names = if self.one_in(25) {
            // So often one record that no chunk can hold it: a chain.
            let name = self.names(1).remove(0);
            vec![name; self.random.usize(501..1_200)]
        } else {
            self.names(count)
        };
        let mut items = Vec::with_capacity(names.len() + 2);
        for name in names {
            items.push(match self.random.u32(..20) {
                0 => self.wrong_object(),
                _ => Item::Set { name, patch: self.patch() },
            });
        }
        self.patch_shared(
            &mut items,
            |place, _, patch| json!({"type": "shared", "external_id": shared_name(place), "attributes": patch}),
        );
        items
    }

    fn updates(&mut self, count: usize) -> Vec<Item> {
        let mut items = Vec::with_capacity(count + 2);
        for id in self.known(count) {
            items.push(match self.random.u32(..20) {
                0 => Item::Wrong {
                    item: json!({"id": "nobody", "attributes": {}}),
                    detail: "No record has the id \"nobody\"".to_owned(),
                },
                _ => Item::Update { id, patch: self.patch() },
            });
        }
        self.patch_shared(&mut items, |_, id, patch| json!({"id": id.to_string(), "attributes": patch}));
        items
    }

    /// Two different shared records: of one, a second item of the job would be the same write.
    fn patch_shared(&mut self, items: &mut Vec<Item>, item: impl Fn(usize, RecordId, Value) -> Value) {
        let shared = self.account.shared.len();
        let place = self.random.usize(..shared);
        for place in [place, (place + 1) % shared] {
            self.serial += 1;
            let patch = json!({member_of(self.number): self.serial});
            let item = item(place, self.account.shared[place], patch);
            let touch = Touch::Member { place, value: self.serial };
            self.mix_in(items, Item::Shared { item, touch });
        }
    }

    fn deletes(&mut self, count: usize) -> Vec<Item> {
        let most = self.model.object_ids.len() / 4 + 1;
        let mut items: Vec<Item> = self.known(count.min(most)).into_iter().map(|id| Item::Delete { id }).collect();
        let hub = *self.random.choice(&self.account.hubs).expect("a hub");
        let detail = "The record is an end of ".to_owned();
        self.mix_in(&mut items, Item::Wrong { item: json!(hub.to_string()), detail });
        self.mix_in(&mut items, Item::Wrong { item: json!(7), detail: "item must be a string".to_owned() });
        items
    }

    fn named_deletes(&mut self, count: usize) -> Vec<Item> {
        let names = self.names(count.min(800));
        let mut items: Vec<Item> = names.into_iter().map(|name| Item::DeleteNamed { name }).collect();
        let contest = self.contest().saturating_sub(self.random.u64(..2));
        let item = json!({"type": "item", "external_id": contest_name(contest)});
        self.mix_in(&mut items, Item::Shared { item, touch: Touch::Remove { contest } });
        items
    }

    fn relates(&mut self, count: usize) -> Vec<Item> {
        let targets: BTreeSet<RecordId> = self.known(count).into_iter().collect();
        let mut items = Vec::with_capacity(targets.len() + 2);
        for target in targets {
            let hub = *self.random.choice(&self.account.hubs).expect("a hub");
            items.push(Item::Relate { hub, target });
        }
        self.random.shuffle(&mut items);
        let twice = items.first().cloned();
        items.extend(twice);
        let item = json!({"relationship_type": "likes", "target": "zen:user:1"});
        self.mix_in(&mut items, Item::Wrong { item, detail: "source is required and must be a string".to_owned() });
        items
    }

    fn unrelates(&mut self, count: usize) -> Vec<Item> {
        let mut targets = BTreeSet::new();
        let mut items = Vec::with_capacity(count + 2);
        for _ in 0..count {
            let Some(id) = self.random.choice(&self.model.link_ids).copied() else { break };
            if targets.insert(self.model.links[&id].target) {
                items.push(Item::Unrelate { id });
            }
        }
        let twice = items.first().cloned();
        items.extend(twice);
        self.mix_in(&mut items, Item::Wrong { item: json!(7), detail: "item must be a string".to_owned() });
        items
    }

    /// Object records that this lane has named before, most of which exist.
    fn known(&mut self, count: usize) -> Vec<RecordId> {
        let Model { object_ids, objects, .. } = &self.model;
        let exists = |id: &RecordId| objects.get(id).is_some_and(|object| object.attributes.is_some());
        let mut known = Vec::with_capacity(count);
        for _ in 0..count.min(object_ids.len() * 20) {
            let mut draws = (0..4).filter_map(|_| self.random.choice(object_ids));
            let id = draws.find(|id| exists(id)).or_else(|| self.random.choice(object_ids));
            known.extend(id);
        }
        known
    }

    fn mix_in(&mut self, items: &mut Vec<Item>, item: Item) {
        let place = self.random.usize(..=items.len());
        items.insert(place, item);
    }
}

/// Type and action of every kind of job.
pub fn every_action() -> impl Iterator<Item = (&'static str, &'static str)> {
    ACTIONS.iter().map(|(job_type, action, _)| (*job_type, *action))
}
