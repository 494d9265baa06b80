//! Between a crash and its redelivery other jobs write the same records: what was applied is not applied again, what was
//! not is judged by what is there now.

use domain::types::{DeletionMark, TypeKey};
use serde_json::{Value, json};
use store::catalog::Deleted;
use store::keys::TypeKind;
use tests::{Client, Deliveries, Delivery, Home, LastStep, crash_after, outcomes};

const TAKEN: &str = "UnprocessableEntity: External Id is already in use for the Resource Type key: product";

/// A job of one item whose worker died.
struct Interrupted<'home> {
    deliveries: &'home Deliveries<'home>,
    acme: &'home Client,
    id: String,
    chunk: Delivery,
}

impl<'home> Interrupted<'home> {
    async fn after(
        last: LastStep,
        deliveries: &'home Deliveries<'home>,
        acme: &'home Client,
        action: &str,
        item: Value,
    ) -> Self {
        let id = acme.accepted("resources", action, json!([item])).await;
        let chunk = deliveries.take_one().await;
        crash_after(last, &acme.store, &chunk).await;
        Self { deliveries, acme, id, chunk }
    }

    /// What its redelivery says about the item.
    async fn outcome(&self) -> String {
        self.deliveries.deliver(&self.chunk.again()).await;
        let job = self.acme.job(&self.id).await;
        assert_eq!(job["job_status"], "completed", "{job}");
        outcomes(&job).remove(0)
    }
}

fn gum(attributes: &Value) -> Value {
    json!({"type": "product", "external_id": "gum", "attributes": attributes})
}

/// Another job with one item, which must succeed.
async fn another_job(deliveries: &Deliveries<'_>, acme: &Client, action: &str, item: Value) -> Value {
    let job = deliveries.run_job(acme, "resources", action, json!([item])).await;
    assert_eq!(outcomes(&job), ["done"]);
    job["results"][0]["data"]["id"].clone()
}

/// A record `gum` that a job made.
async fn given_gum(deliveries: &Deliveries<'_>, acme: &Client) -> Value {
    acme.define_product().await;
    another_job(deliveries, acme, "post", gum(&json!({"name": "gum", "price": 1}))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_was_applied_stays_a_success_after_another_job_changed_the_record() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let create =
        Interrupted::after(LastStep::Written, &deliveries, &acme, "post", gum(&json!({"name": "gum", "price": 1})))
            .await;
    another_job(&deliveries, &acme, "external_id_set", gum(&json!({"price": 2}))).await;
    let changed = acme.record("product", "gum").await;

    assert_eq!(create.outcome().await, "done");
    assert_eq!(acme.record("product", "gum").await, changed);
    assert_eq!(changed["attributes"]["price"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_was_applied_stays_a_success_after_another_job_deleted_the_record() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let create = Interrupted::after(LastStep::Written, &deliveries, &acme, "post", gum(&json!({"name": "gum"}))).await;
    another_job(&deliveries, &acme, "external_id_delete", json!({"type": "product", "external_id": "gum"})).await;

    assert_eq!(create.outcome().await, "done");
    assert!(acme.record("product", "gum").await.is_null(), "it was made again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_was_not_applied_finds_its_external_id_taken_by_another_job() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let create = Interrupted::after(LastStep::Agreed, &deliveries, &acme, "post", gum(&json!({"name": "mine"}))).await;
    another_job(&deliveries, &acme, "post", gum(&json!({"name": "theirs"}))).await;

    assert_eq!(create.outcome().await, TAKEN);
    assert_eq!(acme.record("product", "gum").await["attributes"], json!({"name": "theirs"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_was_applied_is_not_applied_over_a_later_one() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    let id = given_gum(&deliveries, &acme).await;
    let update = json!({"id": id, "attributes": {"price": 2}});
    let update = Interrupted::after(LastStep::Written, &deliveries, &acme, "update", update).await;
    another_job(&deliveries, &acme, "update", json!({"id": id, "attributes": {"price": 3}})).await;
    let changed = acme.record("product", "gum").await;

    assert_eq!(update.outcome().await, "done");
    assert_eq!(acme.record("product", "gum").await, changed);
    assert_eq!(changed["attributes"]["price"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_was_not_applied_is_applied_to_what_another_job_left() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    let id = given_gum(&deliveries, &acme).await;
    let update = json!({"id": id, "attributes": {"price": 2}});
    let update = Interrupted::after(LastStep::Agreed, &deliveries, &acme, "update", update).await;
    another_job(&deliveries, &acme, "update", json!({"id": id, "attributes": {"price": 3, "note": "kept"}})).await;

    assert_eq!(update.outcome().await, "done");
    let attributes = acme.record("product", "gum").await["attributes"].clone();
    assert_eq!(attributes, json!({"name": "gum", "price": 2, "note": "kept"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_was_not_applied_finds_the_record_deleted() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    let id = given_gum(&deliveries, &acme).await;
    let update = json!({"id": id, "attributes": {"price": 2}});
    let update = Interrupted::after(LastStep::Agreed, &deliveries, &acme, "update", update).await;
    another_job(&deliveries, &acme, "delete", id).await;

    assert!(update.outcome().await.starts_with("NotFound: "));
    assert!(acme.record("product", "gum").await.is_null());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_was_applied_does_not_bring_a_deleted_record_back() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    let id = given_gum(&deliveries, &acme).await;
    let set = gum(&json!({"price": 2}));
    let set = Interrupted::after(LastStep::Written, &deliveries, &acme, "external_id_set", set).await;
    another_job(&deliveries, &acme, "delete", id).await;

    assert_eq!(set.outcome().await, "done");
    assert!(acme.record("product", "gum").await.is_null(), "it was made again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_created_is_not_applied_over_a_later_one() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_product().await;
    let set = gum(&json!({"name": "mine", "price": 1}));
    let set = Interrupted::after(LastStep::Written, &deliveries, &acme, "external_id_set", set).await;
    another_job(&deliveries, &acme, "external_id_set", gum(&json!({"name": "theirs"}))).await;

    assert_eq!(set.outcome().await, "done");
    assert_eq!(acme.record("product", "gum").await["attributes"], json!({"name": "theirs", "price": 1}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_that_was_applied_does_not_delete_what_another_job_made_since() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    let id = given_gum(&deliveries, &acme).await;
    let delete = Interrupted::after(LastStep::Written, &deliveries, &acme, "delete", id).await;
    another_job(&deliveries, &acme, "post", gum(&json!({"name": "new"}))).await;

    assert_eq!(delete.outcome().await, "done");
    assert_eq!(acme.record("product", "gum").await["attributes"], json!({"name": "new"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_that_was_not_applied_finds_the_record_deleted() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    let id = given_gum(&deliveries, &acme).await;
    let delete = Interrupted::after(LastStep::Agreed, &deliveries, &acme, "delete", id.clone()).await;
    another_job(&deliveries, &acme, "delete", id).await;

    assert!(delete.outcome().await.starts_with("NotFound: "));
}

/// A failure is final: another worker may have it recorded already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_agreed_to_fail_still_fails_when_its_reason_is_gone() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    let id = given_gum(&deliveries, &acme).await;
    let create = Interrupted::after(LastStep::Agreed, &deliveries, &acme, "post", gum(&json!({"name": "mine"}))).await;
    another_job(&deliveries, &acme, "delete", id).await;

    assert_eq!(create.outcome().await, TAKEN);
    assert!(acme.record("product", "gum").await.is_null());
}

/// Deletes the relationship type as a release did that looked at no job, and may do while this one is deployed.
async fn take_type_away(acme: &Client) {
    let (store, account, key) = (&acme.store, &acme.account, TypeKey::parse("asks_for").expect("a key"));
    let mark = DeletionMark::new(store.clock());
    let revision = store.catalog.types_revision(account).await.expect("the database");
    assert!(store.catalog.mark_type(account, TypeKind::Relationship, &key, &mark).await.expect("the database"));
    let deleted = store.catalog.delete_type(account, TypeKind::Relationship, &key, &mark, revision).await;
    assert_eq!(deleted.expect("the database"), Deleted::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relationship_that_was_agreed_fails_when_its_type_is_gone_before_it_was_written() {
    for (last, expected) in
        [(LastStep::Agreed, "NotFound: Relationship type \"asks_for\" is not defined"), (LastStep::Written, "done")]
    {
        let home = Home::start().await;
        let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
        acme.define_relationship("asks_for", "zen:ticket", json!("zen:user")).await;
        let link = json!({"relationship_type": "asks_for", "source": "zen:ticket:1", "target": "zen:user:1"});
        let id = acme.accepted("relationships", "post", json!([link])).await;
        let chunk = deliveries.take_one().await;
        crash_after(last, home.run.store(), &chunk).await;

        assert_eq!(
            acme.delete("/relationships/types/asks_for").await.status,
            422,
            "a type with records stays, or a job's"
        );
        if last == LastStep::Agreed {
            take_type_away(&acme).await;
        }
        deliveries.deliver(&chunk.again()).await;
        let job = acme.job(&id).await;
        assert_eq!((job["job_status"].as_str(), outcomes(&job)), (Some("completed"), vec![expected.to_owned()]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relationship_that_was_agreed_is_not_made_under_another_id_when_its_type_is_defined_anew() {
    let home = Home::start().await;
    let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
    acme.define_relationship("asks_for", "zen:ticket", json!("zen:user")).await;
    let link = json!({"relationship_type": "asks_for", "source": "zen:ticket:1", "target": "zen:user:1"});
    let id = acme.accepted("relationships", "post", json!([link])).await;
    let chunk = deliveries.take_one().await;
    crash_after(LastStep::Agreed, home.run.store(), &chunk).await;

    // One-to-one becomes one-to-many, which makes ids of the pair.
    take_type_away(&acme).await;
    acme.define_relationship("asks_for", "zen:ticket", json!(["zen:user"])).await;
    deliveries.deliver(&chunk.again()).await;
    let outcome = outcomes(&acme.job(&id).await).remove(0);
    assert_eq!(outcome, "UnprocessableEntity: Relationship type \"asks_for\" was defined anew while the job ran");
    assert_eq!(acme.get("/relationships/records?type=asks_for").await.data(200), json!([]));
}

/// What happens to a type between a worker's death and the redelivery of its chunk.
#[derive(Clone, Copy, Debug)]
enum Since {
    Deleted,
    /// With a target like this.
    DefinedAnew(&'static str),
}

/// One write of a record carries the position of the last item that was about it. Whatever a later worker takes for being about
/// it, it finds that write, and says of each item what was said before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relationship_that_was_applied_stays_a_success_whatever_becomes_of_its_type() {
    const ONE: &str = r#""zen:user""#;
    const MANY: &str = r#"["zen:user"]"#;
    let link = |target: &str| json!({"relationship_type": "asks_for", "source": "zen:ticket:1", "target": target});
    let second = link("zen:user:2");
    for (target, items, failure, since) in [
        // The second was judged after the first: it went with it, and would not now.
        (ONE, [link("zen:user:1"), second.clone()], "already relates", Since::Deleted),
        (ONE, [link("zen:user:1"), second], "already relates", Since::DefinedAnew(MANY)),
        (MANY, [link("zen:user:1"), link("zen:user:1")], "already exists", Since::Deleted),
        (MANY, [link("zen:user:1"), link("zen:user:1")], "already exists", Since::DefinedAnew(ONE)),
        // The second failed by itself: it did not go with the first, and would now.
        (
            ONE,
            [link("zen:user:1"), link("zen:organization:5")],
            "is not of type",
            Since::DefinedAnew(r#""zen:organization""#),
        ),
    ] {
        let case = format!("{target} {failure} {since:?}");
        let home = Home::start().await;
        let (deliveries, acme) = (Deliveries::of(&home), home.acme().await);
        let value = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        acme.define_relationship("asks_for", "zen:ticket", value(target)).await;
        // Given a job that was applied, and its worker dead,
        let id = acme.accepted("relationships", "post", json!(items)).await;
        let chunk = deliveries.take_one().await;
        crash_after(LastStep::Written, home.run.store(), &chunk).await;
        // when the relationship is deleted, and then its type,
        let made = acme.get("/relationships/records?type=asks_for").await.data(200)[0]["id"].clone();
        let deletion = deliveries.run_job(&acme, "relationships", "delete", json!([made])).await;
        assert_eq!(outcomes(&deletion), ["done"], "{case}");
        take_type_away(&acme).await;
        if let Since::DefinedAnew(target) = since {
            acme.define_relationship("asks_for", "zen:ticket", value(target)).await;
        }
        // then the redelivery says what was so.
        deliveries.deliver(&chunk.again()).await;
        let job = acme.job(&id).await;
        let said = outcomes(&job);
        assert_eq!((job["job_status"].as_str(), said[0].as_str()), (Some("completed"), "done"), "{case}: {job}");
        assert!(said[1].starts_with("UnprocessableEntity: ") && said[1].contains(failure), "{case}: {job}");
        assert_eq!(
            acme.get("/relationships/records?type=asks_for").await.status,
            if matches!(since, Since::Deleted) { 404 } else { 200 }
        );
        if matches!(since, Since::DefinedAnew(_)) {
            assert_eq!(
                acme.get("/relationships/records?type=asks_for").await.data(200),
                json!([]),
                "{case}: it was made again"
            );
        }
    }
}
