//! A type goes only when it has no records, whoever is making some meanwhile.
//!
//! `SUNDIAL_ROUNDS` says how often each kind is raced for.

use std::time::Duration;

use domain::types::{DeletionMark, TypeKey};
use futures_util::future::join_all;
use serde_json::{Value, json};
use store::keys::TypeKind;
use tests::{Client, Deliveries, Home, LastStep, crash_after, outcomes, text};

const ROUNDS: usize = 30;

fn item(key: &str, number: usize) -> Value {
    json!({"type": key, "external_id": number.to_string(), "attributes": {"name": "n"}})
}

fn link(key: &str, number: usize) -> Value {
    json!({"relationship_type": key, "source": format!("zen:user:{number}"), "target": "zen:user:0"})
}

/// Which types are raced for.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Objects,
    Relationships,
}

impl Kind {
    async fn define(self, acme: &Client, key: &str) {
        match self {
            Self::Objects => acme.define(key, json!({"properties": {"name": {"type": "string"}}})).await,
            Self::Relationships => acme.define_relationship(key, "zen:user", json!(["zen:user"])).await,
        }
    }

    fn routes(self) -> (&'static str, &'static str) {
        match self {
            Self::Objects => ("/objects/types", "/objects/records"),
            Self::Relationships => ("/relationships/types", "/relationships/records"),
        }
    }

    fn job(self, key: &str, items: std::ops::Range<usize>) -> (&'static str, Value) {
        match self {
            Self::Objects => ("resources", items.map(|number| item(key, number)).collect()),
            Self::Relationships => ("relationships", items.map(|number| link(key, number)).collect()),
        }
    }

    fn single(self, key: &str, number: usize) -> Value {
        match self {
            Self::Objects => json!({"data": item(key, number)}),
            Self::Relationships => json!({"data": link(key, number)}),
        }
    }
}

/// What came of deleting the type, once it is known.
async fn delete(acme: &Client, path: &str, wait: Duration) -> u16 {
    tokio::time::sleep(wait).await;
    let answer = acme.delete(path).await;
    assert!([204, 404, 422, 503].contains(&answer.status.as_u16()), "{answer:?}");
    answer.status.as_u16()
}

/// One round: a job, requests and two deletions at once. Answers whether the type went.
async fn round(acme: &Client, kind: Kind, number: usize) -> bool {
    let (types, records) = kind.routes();
    let key = format!("type{number}");
    kind.define(acme, &key).await;
    let path = format!("{types}/{key}");
    // What makes records begins before, between and after the deletions, within a tenth of a second.
    let pause = |place: usize| Duration::from_millis(((number * 37 + place * 53) % 97) as u64);
    let (job_type, data) = kind.job(&key, 0..40);
    let job = async {
        tokio::time::sleep(pause(0)).await;
        let id = acme.accepted(job_type, "post", data).await;
        acme.wait(&id).await
    };
    let single = async {
        tokio::time::sleep(pause(1)).await;
        let made = acme.post(records, &kind.single(&key, 99)).await;
        assert!([201, 404, 503].contains(&made.status.as_u16()), "{made:?}");
        made
    };
    let deletions = join_all([delete(acme, &path, pause(2)), delete(acme, &path, pause(3))]);
    let (job, single, deletions) = tokio::join!(job, single, deletions);

    let went = deletions.contains(&204);
    assert_eq!(acme.get(&path).await.status, if went { 404 } else { 200 }, "{deletions:?}");
    let made: Vec<&Value> =
        job["results"].as_array().expect("results").iter().filter(|result| result["success"] == true).collect();
    if went {
        let wrong = format!("{kind:?} {number}: the type is gone, and the job made {} records of it", made.len());
        assert!(made.is_empty(), "{wrong}: {deletions:?}");
        assert!(outcomes(&job).iter().all(|outcome| outcome.starts_with("NotFound")), "{job}");
        if single.status == 201 {
            // It was made, and then the type had gone: what is answered is what is there.
            let id = text(&single.data(201)["id"]).to_owned();
            panic!("{kind:?} {number}: the type is gone, and record {id} was made");
        }
        // Nothing is there that the type would show if it came again.
        kind.define(acme, &key).await;
    }
    let listed = acme.get(&format!("{records}?type={key}&per_page=1000")).await.data(200);
    let expected = if went { 0 } else { made.len() + usize::from(single.status == 201) };
    assert_eq!(listed.as_array().map(Vec::len), Some(expected), "{kind:?} {number}: {deletions:?}");
    went
}

async fn race(kind: Kind, rounds: usize) {
    let rounds = std::env::var("SUNDIAL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(rounds);
    let home = Home::start().await;
    let acme = home.acme().await;
    let mut gone = 0;
    for number in 0..rounds {
        gone += usize::from(round(&acme, kind, number % 40).await);
        clear(&acme, kind, number % 40).await;
    }
    eprintln!("{gone} of {rounds} types went");
    assert!(gone > 0 && gone < rounds, "{gone} of {rounds}: nothing raced");
    home.run.stop().await;
}

/// Deletes what a round has left.
async fn clear(acme: &Client, kind: Kind, number: usize) {
    let (types, records) = kind.routes();
    let listed = acme.get(&format!("{records}?type=type{number}&per_page=1000")).await.data(200);
    for record in listed.as_array().expect("a list") {
        assert_eq!(acme.delete(&format!("{records}/{}", text(&record["id"]))).await.status, 204);
    }
    assert_eq!(acme.delete(&format!("{types}/type{number}")).await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_type_is_never_deleted_from_under_what_makes_its_records() {
    race(Kind::Objects, ROUNDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relationship_type_is_never_deleted_from_under_what_makes_its_records() {
    race(Kind::Relationships, ROUNDS).await;
}

/// From the reading of the type until everything is written, whoever does it and however often it is delivered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_stays_while_a_job_is_processing_that_may_make_its_records() {
    for kind in [Kind::Objects, Kind::Relationships] {
        let home = Home::start().await;
        let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
        let (types, records) = kind.routes();
        kind.define(&acme, "made").await;
        kind.define(&acme, "other").await;
        let (job_type, data) = kind.job("made", 0..3);
        let id = acme.accepted(job_type, "post", data.clone()).await;
        let chunk = deliveries.take_one().await;
        // A worker has read the type and agreed on its items, and is about to write them, or has died.
        crash_after(LastStep::Agreed, home.run.store(), &chunk).await;
        let path = format!("{types}/made");
        let (code, detail) = acme.delete(&path).await.error(422);
        assert!(code == "UnprocessableEntity" && detail.contains(&id), "{code}: {detail}");
        // A type that the job does not name can go.
        assert_eq!(acme.delete(&format!("{types}/other")).await.status, 204);
        deliveries.deliver(&chunk.again()).await;
        assert_eq!(outcomes(&acme.job(&id).await), ["done"; 3]);
        let detail = acme.delete(&path).await.error(422).1;
        assert!(detail.contains("delete all that"), "{detail}");

        // A job that has not begun keeps no type: its items find it gone.
        let listed = acme.get(&format!("{records}?type=made")).await.data(200);
        for record in listed.as_array().expect("a list") {
            assert_eq!(acme.delete(&format!("{records}/{}", text(&record["id"]))).await.status, 204);
        }
        let id = acme.accepted(job_type, "post", data).await;
        assert_eq!(acme.delete(&path).await.status, 204);
        deliveries.drain().await;
        let job = acme.job(&id).await;
        assert!(outcomes(&job).iter().all(|outcome| outcome.starts_with("NotFound")), "{job}");
        home.run.stop().await;
    }
}

/// What would be made of a type that is about to go waits to see whether it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_wait_while_their_type_is_marked() {
    for kind in [Kind::Objects, Kind::Relationships] {
        let home = Home::start().await;
        let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
        let (store, made) = (home.run.store(), TypeKey::parse("made").expect("a key"));
        kind.define(&acme, "made").await;
        let type_kind = match kind {
            Kind::Objects => TypeKind::Object,
            Kind::Relationships => TypeKind::Relationship,
        };
        let mark = DeletionMark::new(store.clock());
        for goes in [false, true] {
            let (job_type, data) = kind.job("made", if goes { 3..6 } else { 0..3 });
            let id = acme.accepted(job_type, "post", data).await;
            let revision = store.catalog.types_revision(&acme.account).await.expect("the database");
            assert!(store.catalog.mark_type(&acme.account, type_kind, &made, &mark).await.expect("the database"));
            let decided = async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let job = acme.job(&id).await;
                assert_eq!(
                    (&job["job_status"], &job["progress"]["processed"]),
                    (&json!("processing"), &json!(0)),
                    "it waits"
                );
                if goes {
                    let deleted = store.catalog.delete_type(&acme.account, type_kind, &made, &mark, revision).await;
                    assert_eq!(deleted.expect("the database"), store::catalog::Deleted::Done);
                } else {
                    assert!(
                        store.catalog.unmark_type(&acme.account, type_kind, &made, &mark).await.expect("the database")
                    );
                }
            };
            tokio::join!(deliveries.drain(), decided);
            let outcomes = outcomes(&acme.job(&id).await);
            assert!(
                outcomes.iter().all(|outcome| if goes { outcome.starts_with("NotFound") } else { outcome == "done" }),
                "{outcomes:?}"
            );
        }
        home.run.stop().await;
    }
}
