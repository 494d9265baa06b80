//! Functions that are killed in the middle of whatever they do.

use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::outcomes;

use crate::home::{Home, Kind, not_here, product_id};
use crate::persistence::{ended, post_until_accepted};

const JOBS: usize = 20;
const ITEMS: usize = 300;
const KILLING: Duration = Duration::from_secs(15);

fn job(job: usize) -> Value {
    let product = |item: usize| {
        let external_id = external_id(job, item);
        json!({"type": "product", "external_id": external_id, "attributes": {"name": external_id}})
    };
    let items: Vec<Value> = (0..ITEMS).map(product).collect();
    json!({"type": "resources", "action": "external_id_set", "data": items})
}

fn external_id(job: usize, item: usize) -> String {
    format!("{job}-{item}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_go_on_where_a_killed_function_left_them() {
    const WHAT: &str = "processes of functions are killed";
    if Kind::chosen() != Kind::MiniStack {
        return not_here(
            WHAT,
            "the functions share this process; infra/local/tests/restart.rs kills the whole program",
        );
    }
    let (home, stack) = Home::undisturbed_stack().await;
    if stack.function_processes().is_none() {
        return not_here(WHAT, "SUNDIAL_EMULATOR_PID is not set, so the functions are processes of nobody knows where");
    }
    let agent = home.agent().await;
    agent.define_product().await;

    let jobs = join_all((0..JOBS).map(|number| {
        let agent = &agent;
        async move {
            // One after the other, so that there is something to do all the time.
            let wait = KILLING.mul_f64(0.8) * u32::try_from(number).unwrap_or(0) / u32::try_from(JOBS).unwrap_or(1);
            tokio::time::sleep(wait).await;
            let id = post_until_accepted(agent, &format!("job {number}"), &job(number)).await;
            (id.clone(), ended(agent, &id).await)
        }
    }));
    let killing = async {
        let since = Instant::now();
        let mut killed = 0;
        while since.elapsed() < KILLING {
            for id in stack.function_processes().unwrap_or_default() {
                // It may have ended by itself meanwhile.
                let kill = Command::new("kill").args(["-KILL", &id.to_string()]).status().expect("kill");
                killed += usize::from(kill.success());
            }
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        killed
    };
    let (jobs, killed) = tokio::join!(jobs, killing);
    eprintln!("{killed} processes of functions were killed");
    assert!(killed >= 10, "too few were there to be killed: {killed}");

    let listed = agent.get("/jobs").await.data(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(JOBS), "a job for each key, and no other");
    let mut ids = Vec::new();
    for (number, (id, job)) in jobs.iter().enumerate() {
        assert_eq!(job["job_status"], "completed", "{id}: {}", job["error"]);
        assert_eq!(outcomes(job), vec!["done"; ITEMS], "{id}");
        ids.extend((0..ITEMS).map(|item| product_id(&agent, &external_id(number, item))));
    }
    let rows = agent.store.records.records(&agent.account, ids).await.expect("the database");
    assert_eq!(rows.len(), JOBS * ITEMS);
    let more: Vec<_> = rows.values().filter(|row| row.version != 1).map(|row| row.version).collect();
    assert!(more.is_empty(), "rows that were written more than once: {more:?}");
    assert_eq!(agent.active_jobs().await, 0);
    let limits = agent.get("/limits").await.data(200);
    assert_eq!(limits[0]["count"], JOBS * ITEMS, "what is counted is what is there: {limits}");
    home.stop().await;
}
