//! The soak: the whole service in one process, under load from several accounts, killed with `kill -9` at random and
//! started again on the same data, above a database that throttles and loses answers. In the end everything must be as if
//! nothing had happened.
//!
//! - `lane`: clients that each run one job after the other on records of their own, for which `model` predicts every
//!   result, every attribute and how often each row is written; and that meet at records of `world`, where only what does
//!   not depend on the order is held against them.
//! - `keyless`: a client without idempotency keys, whose jobs exist once or not at all.
//! - `process`: the process that is killed, which is this test binary once more.
//! - `verdict`: what is compared in the end, through HTTP and beneath it.
//!
//! `SUNDIAL_SOAK_SECONDS` is how long there is load (60; 600 for the long run), to which up to two minutes come until the
//! last chunk of a job that was never committed is dropped. `SUNDIAL_SOAK_SEED` brings the same mix of jobs, kills and
//! throttling back; what meets what is a matter of time, and differs.
//!
//! ```text
//! SUNDIAL_SOAK_SECONDS=600 cargo test -p tests --test soak -- --nocapture
//! ```
#![cfg(unix)]

mod caller;
mod keyless;
mod lane;
mod memory;
mod model;
mod process;
mod verdict;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use local::run::LocalRun;
use tests::start_watching;
use tokio::task::JoinSet;

use crate::caller::Caller;
use crate::lane::{Lane, Tally};
use crate::process::{Keeper, Lives};
use crate::world::{Account, LANES};

/// Accounts with lanes; one more works without keys.
const ACCOUNTS: usize = 3;

const SECONDS: &str = "SUNDIAL_SOAK_SECONDS";
const SEED: &str = "SUNDIAL_SOAK_SEED";

/// In so many parts of the time the process is killed, of four. Then one process carries the load alone, so that its memory
/// can be watched.
const KILLING: u32 = 3;

/// The name of the one test, which the process under test is started with.
const TEST: &str = "nothing_is_lost_doubled_or_leaked_by_kills_and_throttling";

#[test]
fn nothing_is_lost_doubled_or_leaked_by_kills_and_throttling() {
    if let Some(directory) = process::directory_to_serve() {
        process::serve(&directory);
        return;
    }
    let variable = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let load = Duration::from_secs(variable(SECONDS).unwrap_or(60));
    let seed = variable(SEED).unwrap_or_else(|| Rng::new().u64(..1_000_000));
    eprintln!("soak: {SECONDS}={} {SEED}={seed}", load.as_secs());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let summary = runtime.expect("a runtime").block_on(soak(load, seed));
    eprintln!("{summary}");
}

async fn soak(load: Duration, seed: u64) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let mut random = Rng::with_seed(seed);
    start_watching();

    // What the process finds when it starts for the first time.
    let run = LocalRun::start(process::options(directory.path())).await.expect("the local run starts");
    let mut accounts = Vec::new();
    for number in 1..=ACCOUNTS {
        accounts.push(Arc::new(Account::open(&run, &format!("soak-{number}")).await));
    }
    let without_keys = Arc::new(Account::open(&run, "soak-without-keys").await);
    run.stop().await;

    let began = Instant::now();
    let until = began + load;
    let keeper = Keeper::start(directory.path(), TEST, random.u64(..), began + load * KILLING / 4);
    let mut running = JoinSet::new();
    for account in &accounts {
        for number in 0..LANES {
            let caller = Caller::new(account.token.clone(), keeper.address.clone());
            let lane = Lane::new(caller, Arc::clone(account), number, random.u64(..), began);
            running.spawn(lane.run(until));
        }
    }
    let caller = Caller::new(without_keys.token.clone(), keeper.address.clone());
    let keyless = tokio::spawn(keyless::run(caller, without_keys, random.u64(..), until));
    let mut lanes = Vec::new();
    // The first that finds something wrong ends the test.
    while let Some(lane) = running.join_next().await {
        lanes.push(lane.expect("every answer is as it must be"));
    }
    let keyless = keyless.await.expect("every answer is as it must be");
    let ended = began.elapsed();
    let lives = keeper.stop().await;

    let run = LocalRun::start(process::options(directory.path())).await.expect("the local run starts");
    let emptied = verdict::quiet(&run).await;
    let mut records = verdict::keyless_agree(&run, &keyless).await;
    let mut jobs = keyless.account.ledger().jobs.len();
    verdict::no_slot_is_leaked(&run, &keyless.account).await;
    for account in &accounts {
        let own: Vec<&Lane> = lanes.iter().filter(|lane| lane.account.id == account.id).collect();
        verdict::no_slot_is_leaked(&run, account).await;
        verdict::counts_agree(&run, account).await;
        verdict::jobs_agree(&run, account, 0).await;
        records += verdict::records_agree(&run, account, &own).await;
        jobs += account.ledger().jobs.len();
    }
    run.stop().await;
    let buried = lives.counts.get("requests of bury").copied().unwrap_or_default();

    let mut tally = keyless.tally.clone();
    for (what, times) in lanes.iter().flat_map(|lane| &lane.tally) {
        *tally.entry(what.clone()).or_default() += times;
    }
    let memory = memory::judge(&lives.memory);
    let summary = format!(
        "soak: seed {seed}, {} s of load, {} s until the last job ended, {} s more until the queue was empty\n\
         {}{}  memory: {}\n  \
         agreed: {jobs} jobs and {records} records; no slot leaked, nothing in the queue, {buried} buried",
        load.as_secs(),
        (ended.saturating_sub(load)).as_secs(),
        emptied.as_secs(),
        show(&tally),
        disturbances(&lives),
        memory.text,
    );
    assert_eq!(buried, 0, "dead letters: {summary}");
    assert!(!lives.complaints.contains("panicked"), "the process panicked: {}", lives.complaints);
    assert!(memory.is_flat, "memory grows: {summary}");
    check_that_it_was_a_soak(&tally, &lives, load);
    summary
}

/// A soak in which nothing happened proves nothing.
fn check_that_it_was_a_soak(tally: &Tally, lives: &Lives, load: Duration) {
    for (job_type, action) in lane::every_action() {
        let completed = tally.get(&format!("jobs {job_type}/{action} completed"));
        assert!(completed.is_some(), "no job of {job_type}/{action}");
    }
    let kills = u64::from(lives.kills);
    assert!(kills >= load.as_secs() / 20, "{kills} kills");
    for disturbance in ["requests throttled", "statements throttled", "batched keys unprocessed", "answers lost"] {
        assert!(lives.counts.contains_key(disturbance), "no {disturbance}: {:?}", lives.counts);
    }
}

fn disturbances(lives: &Lives) -> String {
    let mut text = format!("  {:>7} kills, {} of them before it was ready\n", lives.kills, lives.kills_before_ready);
    text.push_str(&show(&lives.counts));
    text
}

fn show(counts: &BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    for (what, times) in counts {
        // Writing to a String never fails.
        let _ = writeln!(text, "  {times:>7} {what}");
    }
    text
}
