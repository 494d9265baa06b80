//! A client without idempotency keys: it never sends anything twice, since where an answer is lost it cannot know whether
//! the job exists. Its records have no external ids, so each item of each job that exists makes one record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use reqwest::Method;
use serde_json::{Value, json};
use tests::text;

use crate::caller::Caller;
use crate::lane::Tally;
use crate::model::outcome_of;
use crate::world::Account;

pub struct Keyless {
    pub account: Arc<Account>,
    pub tally: Tally,
    /// The attributes of every record that a known job made, by id.
    pub records: BTreeMap<String, Value>,
    /// The names that the items of jobs have of which nobody knows whether they exist: each job's are its own.
    pub unknown: Vec<Vec<String>>,
}

/// Posts jobs until then.
pub async fn run(caller: Caller, account: Arc<Account>, seed: u64, until: Instant) -> Keyless {
    let mut random = Rng::with_seed(seed);
    let mut keyless = Keyless { account, tally: Tally::new(), records: BTreeMap::new(), unknown: Vec::new() };
    for request in 0.. {
        if Instant::now() >= until {
            break;
        }
        tokio::time::sleep(Duration::from_millis(random.u64(..100))).await;
        let names: Vec<String> = (0..random.usize(1..40)).map(|item| format!("{request}-{item}")).collect();
        let items: Vec<Value> =
            names.iter().map(|name| json!({"type": "item", "attributes": {"name": name}})).collect();
        let body = json!({"type": "resources", "action": "post", "data": items}).to_string();
        let answer = caller.send(Method::POST, "/jobs", &[], &body).await;
        let what = match answer.as_ref().map(|answer| answer.status.as_u16()) {
            Some(201) => "jobs without a key completed",
            Some(429 | 503) => "posts without a key refused with 503",
            None | Some(500) => {
                keyless.unknown.push(names.clone());
                "posts without a key whose answer was lost"
            }
            Some(status) => panic!("a good job is answered with {status}: {answer:?}"),
        };
        *keyless.tally.entry(what.to_owned()).or_default() += 1;
        let Some(made) = answer.filter(|answer| answer.status == 201) else { continue };
        let job = caller.ended(text(&made.data(201)["id"])).await;
        assert_eq!(job["job_status"], "completed", "{job}");
        keyless.account.remember(&job);
        let results = job["results"].as_array().expect("results");
        assert_eq!(results.len(), names.len());
        for (name, result) in names.iter().zip(results) {
            let id = outcome_of(result).unwrap_or_else(|details| panic!("{details:?}"));
            keyless.records.insert(id.to_string(), json!({"name": name}));
        }
    }
    keyless
}
