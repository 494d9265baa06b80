//! What must hold in the end, looked at in a run of the same data that nothing disturbs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use domain::account::usage::RecordKind;
use domain::record::{RecordId, Row, State};
use local::run::LocalRun;
use serde_json::{Value, json};
use tests::{Client, text};

use crate::keyless::Keyless;
use crate::lane::Lane;
use crate::model::{Attributes, Model};
use crate::world::{Account, Remembered, contest_name};

/// A chunk whose job was never committed is dropped a minute after it was made, at its next delivery.
const QUIET: Duration = Duration::from_secs(100);
/// Jobs whose results are read once more.
const JOBS_READ_AGAIN: usize = 200;

/// Waits until the queue is empty, and answers how long that took.
pub async fn quiet(run: &LocalRun) -> Duration {
    let queue = run.queue().expect("a queue of its own");
    let since = Instant::now();
    loop {
        let counts = queue.counts().await.expect("counts");
        assert_eq!(counts.dead, 0, "a chunk was buried");
        if counts.visible + counts.in_flight == 0 {
            return since.elapsed();
        }
        assert!(since.elapsed() < QUIET, "the queue does not get empty: {counts:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn client(run: &LocalRun, account: &Account) -> Client {
    Client::new(run.base_url(), account.id.clone(), account.token.clone(), run.store().clone())
}

/// Everything that a list has, page by page, by id. Nothing may be listed twice.
async fn listed(client: &Client, path: &str) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut page = client.get(path).await;
    loop {
        for one in page.data(200).as_array().expect("a list") {
            let earlier = all.insert(text(&one["id"]).to_owned(), one.clone());
            assert!(earlier.is_none(), "{path} lists twice: {one}");
        }
        let next = page.json()["links"]["next"].clone();
        if next.is_null() {
            return all;
        }
        page = client.follow(&next).await;
    }
}

/// No slot is leaked: nothing is active, and the counter says so.
pub async fn no_slot_is_leaked(run: &LocalRun, account: &Account) {
    let client = client(run, account);
    for status in ["queued", "processing"] {
        let active = client.get(&format!("/jobs?status={status}")).await.data(200);
        assert_eq!(active, json!([]), "{}: {status}", account.id);
    }
    assert_eq!(client.active_jobs().await, 0, "{}: the counter of active jobs", account.id);
}

/// What is counted of the account's records is what its lists show, whatever was killed and delivered again.
pub async fn counts_agree(run: &LocalRun, account: &Account) {
    let client = client(run, account);
    let limits = client.get("/limits").await.data(200);
    for kind in RecordKind::ALL {
        let counted = limits.as_array().and_then(|limits| limits.iter().find(|limit| limit["key"] == kind.plural()));
        let listed = run.store().usages.count_listed(&account.id, kind).await.expect("the database");
        assert_eq!(counted.map(|limit| &limit["count"]), Some(&json!(listed)), "{}: {kind:?}", account.id);
    }
}

/// The account has exactly the jobs that were answered with 201, as they were when they ended. `extra` jobs more may be
/// there of which nobody was told; answers with their ids.
pub async fn jobs_agree(run: &LocalRun, account: &Account, extra: usize) -> Vec<String> {
    let client = client(run, account);
    let mut listed = listed(&client, "/jobs").await;
    let known = account.ledger().jobs.clone();
    for (place, (id, remembered)) in known.iter().enumerate() {
        let job = listed.remove(id).unwrap_or_else(|| panic!("{}: job {id} is lost: {remembered:?}", account.id));
        let short = Remembered { results: remembered.results, ..Remembered::of(&job) };
        assert_eq!(&short, remembered, "{}: job {id} changed after its end", account.id);
        if place % (known.len() / JOBS_READ_AGAIN + 1) == 0 {
            let whole = Remembered::of(&client.job(id).await);
            assert_eq!(&whole, remembered, "{}: job {id} changed after its end", account.id);
        }
    }
    let more = listed.len();
    assert!(more <= extra, "{}: {more} jobs that nobody was told of, of at most {extra}: {listed:?}", account.id);
    listed.into_keys().collect()
}

/// The records of an account with lanes are exactly what the lanes' models say.
pub async fn records_agree(run: &LocalRun, account: &Account, lanes: &[&Lane]) -> usize {
    let client = client(run, account);
    let contests = check_contests(&client, account).await;
    let mut expected: BTreeMap<String, (Value, Value)> = contests;
    for lane in lanes {
        for (id, object) in &lane.model.objects {
            let Some(attributes) = &object.attributes else { continue };
            expected.insert(id.to_string(), (json!(object.external_id), json!(attributes)));
        }
        check_rows(&client, lane).await;
    }
    expected.insert(account.anchor.to_string(), (json!("anchor"), json!({"name": "Anchor"})));
    let mut there = listed(&client, "/objects/records?type=item").await;
    let count = there.len();
    for (id, (external_id, attributes)) in expected {
        let record = there.remove(&id).unwrap_or_else(|| panic!("{}: record {id} is lost: {attributes}", account.id));
        assert_eq!((&record["external_id"], &record["attributes"]), (&external_id, &attributes), "{id}");
    }
    assert!(there.is_empty(), "{}: records that nobody made: {there:?}", account.id);
    count + check_links(&client, account, lanes).await + check_shared(&client, account).await
}

async fn rows(client: &Client, ids: impl Iterator<Item = RecordId>) -> BTreeMap<RecordId, Row> {
    client.store.records.records(&client.account, ids).await.expect("the database").into_iter().collect()
}

/// Each row was written exactly as often as the lane wrote it, which no list shows.
async fn check_rows(client: &Client, lane: &Lane) {
    let Model { objects, links, .. } = &lane.model;
    let there = rows(client, objects.keys().chain(links.keys()).copied()).await;
    let version = |id: &RecordId| there.get(id).map_or(0, |row| row.version);
    for (id, object) in objects {
        assert_eq!(version(id), object.version, "writes of {id}: {object:?} {:?}", there.get(id));
        match (&object.attributes, there.get(id).map(|row| &row.state)) {
            (Some(attributes), Some(State::Object(record))) => {
                let stored: Attributes = serde_json::from_str(&record.attributes).expect("attributes");
                assert_eq!((&stored, record.links), (attributes, object.links), "{id}");
            }
            (None, None | Some(State::Tombstone)) => {}
            (_, there) => panic!("{id} must be {object:?} and is {there:?}"),
        }
    }
    for (id, link) in links {
        assert_eq!(version(id), link.version, "writes of {id}: {link:?}");
        let exists = matches!(there.get(id).map(|row| &row.state), Some(State::Relationship(_)));
        assert_eq!(exists, link.exists, "{id}: {link:?}");
    }
}

/// The relationships are exactly those of the lanes, and each hub counts them.
async fn check_links(client: &Client, account: &Account, lanes: &[&Lane]) -> usize {
    let links = lanes.iter().flat_map(|lane| lane.model.links.values()).filter(|link| link.exists);
    let anchored = account.hubs.iter().map(|hub| (*hub, account.anchor));
    let expected: BTreeSet<(String, String)> = links
        .map(|link| (link.hub, link.target))
        .chain(anchored)
        .map(|(hub, target)| (hub.to_string(), target.to_string()))
        .collect();
    let there = listed(client, "/relationships/records?type=likes").await;
    let there: BTreeSet<(String, String)> =
        there.values().map(|link| (text(&link["source"]).to_owned(), text(&link["target"]).to_owned())).collect();
    let differences: Vec<_> = there.symmetric_difference(&expected).collect();
    assert!(differences.is_empty(), "{}: relationships that are lost or too many: {differences:?}", account.id);
    let rows = rows(client, account.hubs.iter().copied().chain([account.anchor])).await;
    for (id, row) in rows {
        let text = id.to_string();
        let count = expected.iter().filter(|(hub, target)| *hub == text || *target == text).count();
        assert_eq!(row.object().map(|record| record.links), Some(count as u64), "links of {id}");
    }
    there.len()
}

/// Each lane's member holds its last value, and every patch was one write.
async fn check_shared(client: &Client, account: &Account) -> usize {
    let shared = account.crowd().shared.clone();
    let rows = rows(client, account.shared.iter().copied()).await;
    for (id, shared) in account.shared.iter().zip(&shared) {
        let row = &rows[id];
        let writes = shared.writes..=shared.writes + shared.unknown;
        assert!(writes.contains(&row.version), "shared {id} was written {} times, not {writes:?}", row.version);
        let attributes = row.object().map(|record| record.attributes.clone()).expect("a record");
        let attributes: Value = serde_json::from_str(&attributes).expect("attributes");
        for (lane, values) in &shared.members {
            let value = attributes[crate::world::member_of(*lane)].as_u64();
            assert!(values.contains(&value), "shared {id}, lane {lane}: {value:?} and not {values:?}");
        }
    }
    shared.len()
}

/// Of each external id that the lanes fought for, as many were made as were removed, or one more, which then is there.
async fn check_contests(client: &Client, account: &Account) -> BTreeMap<String, (Value, Value)> {
    let contests = account.crowd().contests.clone();
    let id_of = |contest: &u64| {
        let name = contest_name(*contest);
        RecordId::of_external_id(&account.id, &crate::model::key("item"), &name)
    };
    let rows = rows(client, contests.keys().map(id_of)).await;
    let mut expected = BTreeMap::new();
    for (number, contest) in &contests {
        let (id, name) = (id_of(number), contest_name(*number));
        let row = rows.get(&id);
        let (version, object) = (row.map_or(0, |row| row.version), row.and_then(Row::object));
        let writes = contest.made + contest.removed;
        if contest.unknown == 0 {
            assert_eq!(version, writes, "{name}: made {}, removed {}", contest.made, contest.removed);
            assert_eq!(contest.made, contest.removed + u64::from(object.is_some()), "{name}");
        } else {
            assert!((writes..=writes + contest.unknown).contains(&version), "{name}: {version}");
        }
        let Some(object) = object else { continue };
        let attributes: Attributes = serde_json::from_str(&object.attributes).expect("attributes");
        assert!(contest.unknown > 0 || contest.winners.contains(&attributes), "{name}: {attributes:?}");
        expected.insert(id.to_string(), (json!(name), json!(attributes)));
    }
    expected
}

/// The account without keys has the records of the jobs that are known, and of each other job all or nothing.
pub async fn keyless_agree(run: &LocalRun, keyless: &Keyless) -> usize {
    let account = &keyless.account;
    let client = client(run, account);
    let mut expected = keyless.records.clone();
    expected.insert(account.anchor.to_string(), json!({"name": "Anchor"}));
    let mut unknown: BTreeSet<Vec<String>> = keyless.unknown.iter().cloned().collect();
    let there = listed(&client, "/objects/records?type=item").await;
    for id in jobs_agree(run, account, unknown.len()).await {
        let job = client.job(&id).await;
        assert_eq!(job["job_status"], "completed", "{job}");
        let made: Vec<&Value> =
            job["results"].as_array().expect("results").iter().map(|result| &result["data"]["id"]).collect();
        let names: Vec<String> =
            made.iter().map(|id| text(&there[text(id)]["attributes"]["name"]).to_owned()).collect();
        assert!(unknown.remove(&names), "job {id} is nobody's, or the second of one request: {names:?}");
        expected.extend(made.iter().zip(names).map(|(id, name)| (text(id).to_owned(), json!({"name": name}))));
    }
    let there: BTreeMap<String, Value> =
        there.into_iter().map(|(id, record)| (id, record["attributes"].clone())).collect();
    assert_eq!(there.len(), expected.len(), "{}: lost records, or records of refused jobs", account.id);
    assert_eq!(there, expected, "{}", account.id);
    there.len()
}
