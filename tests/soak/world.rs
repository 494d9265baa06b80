//! The accounts, what is defined in them, and what several lanes of one account touch at once.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::account::{AccountId, Role};
use domain::problem::Problem;
use domain::record::RecordId;
use local::run::LocalRun;
use serde_json::{Value, json};
use tests::{Client, outcomes, text, token_of};

use crate::model::{Attributes, Touch, key, outcome_of};

pub const LANES: usize = 8;
/// Records that every lane of the account patches, each its own member.
const SHARED: usize = 8;
/// Records that the relationships of every lane start from.
const HUBS: usize = 3;

/// One account, and what its lanes have in common.
pub struct Account {
    pub id: AccountId,
    pub token: String,
    pub shared: Vec<RecordId>,
    pub hubs: Vec<RecordId>,
    /// Every hub is related to it from the beginning, so no hub can be deleted.
    pub anchor: RecordId,
    crowd: Mutex<Crowd>,
    ledger: Mutex<Ledger>,
}

/// What every lane did to what they share.
pub struct Crowd {
    pub shared: Vec<Shared>,
    pub contests: BTreeMap<u64, Contest>,
}

/// A record that each lane patches at a member of its own. Such patches commute: in whatever order they were applied, each
/// member holds the last value of its lane, and the version is the number of patches.
#[derive(Clone)]
pub struct Shared {
    pub writes: u64,
    /// Patches of which the service said that their outcome is not known, as it may of a record that is written very often.
    pub unknown: u64,
    /// What each lane's member may hold: one value, unless the outcome of a patch is not known.
    pub members: BTreeMap<usize, BTreeSet<Option<u64>>>,
}

/// An external id that every lane posts and deletes: of those who post while it is free, one succeeds.
#[derive(Clone, Default)]
pub struct Contest {
    pub made: u64,
    pub removed: u64,
    pub unknown: u64,
    pub winners: Vec<Attributes>,
}

/// Every job that the account must have.
#[derive(Default)]
pub struct Ledger {
    pub jobs: BTreeMap<String, Remembered>,
}

/// How a job was when it had ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remembered {
    pub status: String,
    pub action: Value,
    pub progress: Value,
    pub results: u64,
}

impl Remembered {
    pub fn of(job: &Value) -> Self {
        let mut hash = DefaultHasher::new();
        job["results"].to_string().hash(&mut hash);
        Self {
            status: text(&job["job_status"]).to_owned(),
            action: json!([job["type"], job["action"]]),
            progress: job["progress"].clone(),
            results: hash.finish(),
        }
    }
}

pub fn shared_name(place: usize) -> String {
    format!("shared-{place}")
}

pub fn contest_name(contest: u64) -> String {
    format!("contest-{contest}")
}

pub fn member_of(lane: usize) -> String {
    format!("lane_{lane}")
}

impl Account {
    /// Makes the account and what is defined in it.
    pub async fn open(run: &LocalRun, name: &str) -> Self {
        let id = AccountId::parse(name).expect("an account id");
        let token = token_of(run.store(), &id, Role::Agent).await;
        let client = Client::new(run.base_url(), id.clone(), token.clone(), run.store().clone());
        let item = json!({
            "properties": {
                "name": {"type": "string"},
                "price": {"type": "number", "minimum": 0},
                "note": {"type": "string"},
            },
            "required": ["name"],
        });
        client.define("item", item).await;
        let members: serde_json::Map<_, _> =
            (0..LANES).map(|lane| (member_of(lane), json!({"type": "number"}))).collect();
        client.define("shared", json!({ "properties": members })).await;
        client.define_relationship("likes", "shared", json!(["item"])).await;

        let named = |name: String| json!({"type": "shared", "external_id": name, "attributes": {}});
        let hub_name = |place: usize| format!("hub-{place}");
        let records = (0..SHARED).map(shared_name).chain((0..HUBS).map(hub_name)).map(named).collect();
        all_done(&client.run_job("resources", "post", records).await);
        let anchor = json!([{"type": "item", "external_id": "anchor", "attributes": {"name": "Anchor"}}]);
        all_done(&client.run_job("resources", "post", anchor).await);
        let id_of = |name: &str| RecordId::of_external_id(&id, &key("shared"), name);
        let shared: Vec<RecordId> = (0..SHARED).map(|place| id_of(&shared_name(place))).collect();
        let hubs: Vec<RecordId> = (0..HUBS).map(|place| id_of(&hub_name(place))).collect();
        let anchor = RecordId::of_external_id(&id, &key("item"), "anchor");
        let like = |hub: &RecordId| json!({"relationship_type": "likes", "source": hub.to_string(), "target": anchor.to_string()});
        all_done(&client.run_job("relationships", "post", hubs.iter().map(like).collect()).await);

        let mut ledger = Ledger::default();
        for job in client.get("/jobs").await.data(200).as_array().expect("a list") {
            let job = client.show(job).await;
            ledger.jobs.insert(text(&job["id"]).to_owned(), Remembered::of(&job));
        }
        let untouched =
            Shared { writes: 1, unknown: 0, members: (0..LANES).map(|lane| (lane, BTreeSet::from([None]))).collect() };
        let crowd = Crowd { shared: vec![untouched; SHARED], contests: BTreeMap::new() };
        Self { id, token, shared, hubs, anchor, crowd: Mutex::new(crowd), ledger: Mutex::new(ledger) }
    }

    pub fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a job that has ended.
    ///
    /// # Panics
    /// When it was entered before: then two requests made one job.
    pub fn remember(&self, job: &Value) {
        let id = text(&job["id"]).to_owned();
        let earlier = self.ledger().jobs.insert(id.clone(), Remembered::of(job));
        assert!(earlier.is_none(), "job {id} was answered to two different requests");
    }

    /// Enters what came of an item of this lane. Answers whether its outcome is not known.
    ///
    /// # Panics
    /// When it can in no way be the right outcome.
    pub fn touched(&self, lane: usize, touch: &Touch, result: &Value) -> bool {
        let outcome = outcome_of(result);
        let not_known = Problem::outcome_unknown().detail;
        let is_unknown = outcome.as_ref().is_err_and(|details| details[0] == not_known);
        let mut crowd = self.crowd();
        match touch {
            Touch::Member { place, value } => {
                let shared = &mut crowd.shared[*place];
                let member = shared.members.get_mut(&lane).expect("a lane");
                if is_unknown {
                    shared.unknown += 1;
                } else {
                    assert_eq!(outcome, Ok(self.shared[*place]), "{touch:?}");
                    shared.writes += 1;
                    member.clear();
                }
                member.insert(Some(*value));
            }
            Touch::Make { contest, attributes } => {
                let name = contest_name(*contest);
                let contest = crowd.contests.entry(*contest).or_default();
                match outcome {
                    Ok(id) => {
                        assert_eq!(id, RecordId::of_external_id(&self.id, &key("item"), &name));
                        contest.made += 1;
                        contest.winners.push(attributes.clone());
                    }
                    Err(_) if is_unknown => contest.unknown += 1,
                    Err(details) => {
                        let taken = "External Id is already in use for the Resource Type key: item";
                        assert_eq!(details, [taken], "{touch:?}");
                    }
                }
            }
            Touch::Remove { contest } => {
                let name = contest_name(*contest);
                let contest = crowd.contests.entry(*contest).or_default();
                match outcome {
                    Ok(_) => contest.removed += 1,
                    Err(_) if is_unknown => contest.unknown += 1,
                    Err(details) => {
                        assert_eq!(details, [format!("No record of type item has the external id \"{name}\"")]);
                    }
                }
            }
        }
        is_unknown
    }
}

fn all_done(job: &Value) {
    assert!(outcomes(job).iter().all(|outcome| outcome == "done"), "{job}");
}
