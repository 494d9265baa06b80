//! A write of one record that a request asks for, by the same decisions as a job's items, made and applied at once.
//!
//! # Why each is applied once, and its answer is true
//!
//! A request is an item of a job of its own, whose id it makes up. It reads the rows, decides, and writes on condition that the
//! row still stands at the version that it read; where it does not, it reads and decides again. So nobody's change is lost.
//! A relationship is written together with the counts of its ends, as it is for a job: so it never dangles.
//!
//! - *Not twice*: the write leaves the request's mark on the row. Where its answer was lost and the SDK sent it again, the row
//!   has moved on, and the mark says by whom.
//! - *A 503 is true*: where the write has no answer at all, the row is read, and moved on if it still stands where the write
//!   expects it. Then the write can never happen any more. Where not even that has an answer, it is a 500, which may mean either.
//! - *With an `Idempotency-Key`*, the key's row is written in one transaction with the record: it is there exactly when the
//!   write was made, and leads whoever sends the same request again to the record. A request that was refused leaves none, but for one whose
//!   record was taken back because its type had gone meanwhile: sent again, it is told that there is no such record.

mod applied;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use domain::account::AccountId;
use domain::account::usage::RecordKind;
use domain::job::{JobId, Operation};
use domain::plan::closing::{Standing, standing};
use domain::plan::decide::{
    Agreed, Context, Decision, Ends, RelationshipDecision, Step, Write, decide_object, decide_relationship,
    relationship_of,
};
use domain::plan::{Budget, Entry, Outcome, Plan};
use domain::problem::Problem;
use domain::record::{RecordId, Row, State};
use domain::request::item::{Item, no_such_id, object_type_not_found, relationship_type_not_found};
use domain::time::Timestamp;
use domain::timing::LATEST_WRITE;
use domain::types::TypeKey;
use http::HeaderMap;
use serde_json::value::RawValue;
use store::StoreError;
use store::jobs::IdempotencyKey;
use store::keys::TypeKind;
use store::once::{EarlierWrite, WrittenOnce};
use store::records::Written;
use store::retry::Backoff;
use store::types::TypeLoader;
use tokio::time::Instant;
use wire::{Failure, hashed_key, idempotency_key};

use self::applied::{Applied, Record};
use crate::Records;

/// When to come back after a 503, in seconds.
const RETRY: u32 = 1;

/// When to come back after a 429, in seconds: no room comes by waiting, it takes somebody to delete records. A minute keeps a
/// client that repeats by itself from being a burden.
const RETRY_WITHOUT_ROOM: u32 = 60;

/// How often a row that moves is looked at again to find out what came of a write without an answer.
const LOOKS: u32 = 8;

/// Reads and hashes the request's idempotency key, with what tells the request from others: the operation, what the
/// path or the query name, and the body's `data`.
///
/// # Errors
/// 400 when the header is not a valid key.
pub(crate) fn key_of(
    headers: &HeaderMap,
    operation: Operation,
    names: &[&str],
    data: &RawValue,
) -> Result<Option<IdempotencyKey>, Failure> {
    let Some(key) = idempotency_key(headers)? else { return Ok(None) };
    let names = names.iter().flat_map(|name| ["\n", name]);
    let parts = [operation.job_type(), "\n", operation.action()].into_iter().chain(names).chain(["\n", data.get()]);
    Ok(Some(hashed_key(key, parts.map(str::as_bytes))))
}

/// A write of one record that a request asks for.
pub(crate) struct Request<'request> {
    pub(crate) records: &'request Records,
    pub(crate) account: &'request AccountId,
    pub(crate) operation: Operation,
    pub(crate) key: Option<IdempotencyKey>,
}

/// The rows that a decision is about.
#[derive(Default)]
struct Rows {
    own: Option<Row>,
    ends: Ends,
}

impl Request<'_> {
    /// Applies the item that `read` gives, unless a request with the same key has done so.
    ///
    /// # Errors
    /// An answer of 400 or above that says what is wrong with the request, or what could not be done.
    pub(crate) async fn answer<'json>(
        self,
        read: impl FnOnce() -> Result<Item<'json>, Problem>,
    ) -> Result<Response, Failure> {
        let applied = match self.earlier().await? {
            Some((key, earlier)) => self.again(key, &earlier).await,
            None => self.apply(read()?).await,
        };
        applied.map(Applied::into_response)
    }

    fn is_of_relationships(&self) -> bool {
        self.operation.kind() == RecordKind::Relationship
    }

    async fn apply(&self, item: Item<'_>) -> Result<Applied, Failure> {
        let started = Instant::now();
        // Its mark on the record, and what the id of a record without an external id is made of.
        let request = JobId::new(self.records.stored.clock());
        let mut types = TypeLoader::new(&self.records.catalog, &self.records.schemas, self.account, self.operation);
        if let Item::Relate { relationship_type, .. } = &item {
            types.load_relationships([relationship_type]).await?;
        }
        let step = [Step { position: 0, item, agreed: Agreed::Nothing }];
        let item = &step[0].item;
        let id = self.id_of(request, item, &types)?;
        // A create needs no read: that its key is free is its condition.
        let mut rows = if matches!(item, Item::Create { .. }) { Rows::default() } else { self.read(id, item).await? };
        let mut attempted: Option<Write> = None;
        let mut backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(200));
        loop {
            load_object_types(&mut types, item, rows.own.as_ref())
                .await
                .map_err(|error| failed(attempted.as_ref(), error))?;
            let context = self.context(request, &types);
            let Decision { outcomes, write } = self.decide(context, id, &step, &rows)?;
            let Some(write) = write else {
                return match (outcomes.into_iter().next(), attempted) {
                    (Some((_, Outcome::Failure(problems))), _) => self.refuse(Failure::of(problems)).await,
                    // The row has its mark: an answer was lost on the way.
                    (Some((_, Outcome::Success(_))), Some(write)) => self.applied(write).await,
                    (_, _) => Err(Failure::internal("a decision that does nothing")),
                };
            };
            if write.makes() && self.is_full().await.map_err(|error| failed(attempted.as_ref(), error))? {
                let problem = self.operation.kind().over_limit();
                return self.refuse(Failure::too_many(problem.detail, RETRY_WITHOUT_ROOM)).await;
            }
            if started.elapsed() > LATEST_WRITE {
                return Err(Failure::unavailable(RETRY).because("its record is written by others too often"));
            }
            match self.write(&write, context.now).await {
                Ok(WrittenOnce::Done) => return self.applied(write).await,
                Ok(WrittenOnce::Lost) => {}
                Ok(WrittenOnce::KeyTaken) => return self.after_taken_key().await,
                Err(error) => return self.find_out(request, id, write, error).await,
            }
            attempted = Some(write);
            backoff.wait(self.records.stored.clock()).await;
            rows = self.read(id, item).await.map_err(|error| failed(attempted.as_ref(), error))?;
        }
    }

    /// What fails may have been done meanwhile by a request with the same key, whose doing is why it fails: what is there already,
    /// or is there no more, or took the last place.
    async fn refuse(&self, failure: Failure) -> Result<Applied, Failure> {
        match self.earlier().await? {
            Some((key, earlier)) => self.again(key, &earlier).await,
            None => Err(failure),
        }
    }

    fn context<'types>(&'types self, request: JobId, types: &'types TypeLoader<'_>) -> Context<'types> {
        Context {
            account: self.account,
            job: request,
            now: self.records.stored.clock().now(),
            types: types.types(),
            positions: &[0],
            budget: Budget::of_job(1),
        }
    }

    fn id_of(&self, request: JobId, item: &Item<'_>, types: &TypeLoader<'_>) -> Result<RecordId, Failure> {
        match item {
            Item::Relate { .. } => Ok(relationship_of(self.context(request, types), item)?.1.id),
            Item::Unrelate { id } => Ok(*id),
            _ => {
                let id = item.object_id(self.account, request, 0);
                id.ok_or_else(|| Failure::internal("an item without a record"))
            }
        }
    }

    async fn read(&self, id: RecordId, item: &Item<'_>) -> Result<Rows, StoreError> {
        let Item::Relate { source, target, .. } = item else {
            return Ok(Rows { own: self.records.stored.record(self.account, id).await?, ends: Ends::new() });
        };
        // A set, because a record may be related to itself and the database takes a key only once.
        let ends = [source, target].into_iter().filter_map(|end| end.of(self.account).object());
        let wanted: BTreeSet<RecordId> = ends.chain([id]).collect();
        let mut rows: HashMap<RecordId, Row> = self.records.stored.records(self.account, wanted).await?;
        let own = rows.remove(&id);
        let ends = rows.into_iter().filter_map(|(end, row)| match row.state {
            State::Object(record) => Some((end, record)),
            State::Relationship(_) | State::Tombstone => None,
        });
        Ok(Rows { own, ends: ends.collect() })
    }

    fn decide(&self, context: Context<'_>, id: RecordId, step: &[Step<'_>], rows: &Rows) -> Result<Decision, Failure> {
        if !self.is_of_relationships() {
            return Ok(decide_object(context, id, step, rows.own.as_ref()));
        }
        match decide_relationship(context, id, step, rows.own.as_ref(), &rows.ends) {
            RelationshipDecision::Decided(decision) => Ok(decision),
            RelationshipDecision::Fence(_) => Err(Failure::internal("a fence against a write that nobody agreed on")),
        }
    }

    /// Whether the account has as many records of the kind as it may.
    async fn is_full(&self) -> Result<bool, StoreError> {
        Ok(self.records.usages.usage(self.account).await?.room(self.operation.kind()) == 0)
    }

    async fn write(&self, write: &Write, now: Timestamp) -> Result<WrittenOnce, StoreError> {
        let kind = self.operation.kind();
        if self.key.is_some() || write.growth() != 0 {
            return self.records.stored.write_once(self.account, write, kind, self.key.as_ref(), now).await;
        }
        // A change of an object record has nothing to be written with it, and costs half as much by itself.
        let written = self.records.stored.write_objects(self.account, std::slice::from_ref(write), now).await?;
        Ok(if written == [Written::Done] { WrittenOnce::Done } else { WrittenOnce::Lost })
    }

    /// The write was made. If it made a record, its type is looked at once more: it may have been marked and deleted since it was read,
    /// by who did not see the record.
    async fn applied(&self, write: Write) -> Result<Applied, Failure> {
        let (kind, key, gone) = match &write.row.state {
            State::Object(record) => {
                let key = &record.object_type;
                (TypeKind::Object, key, object_type_not_found(key.as_str()))
            }
            State::Relationship(record) => {
                let key = &record.relationship_type;
                (TypeKind::Relationship, key, relationship_type_not_found(key.as_str()))
            }
            State::Tombstone => return Ok(Applied::by(write)),
        };
        if !write.makes() || self.stands(kind, key).await.map_err(Failure::internal)? {
            return Ok(Applied::by(write));
        }
        let now = self.records.stored.clock().now();
        match self.records.stored.write_once(self.account, &write.undone(), self.operation.kind(), None, now).await {
            Ok(WrittenOnce::Done) => Err(gone.into()),
            Ok(WrittenOnce::Lost | WrittenOnce::KeyTaken) => Err(Failure::internal("a record outlives its type")),
            Err(error) => Err(Failure::internal(error)),
        }
    }

    /// Whether the type is there and no deletion that is under way can delete it any more.
    async fn stands(&self, kind: TypeKind, key: &TypeKey) -> Result<bool, StoreError> {
        for _ in 0..LOOKS {
            match self.records.catalog.mark_of(self.account, kind, key).await? {
                None => return Ok(false),
                Some(None) => return Ok(true),
                Some(Some(mark)) if self.records.catalog.unmark_type(self.account, kind, key, &mark).await? => {
                    return Ok(true);
                }
                Some(Some(_)) => {}
            }
        }
        Err(StoreError::Unavailable { call: "GetItem", reason: "a type is marked again and again".to_owned() })
    }

    /// Settles a write whose answer was lost: finds out whether it was made, or makes it impossible. `unanswered` is
    /// for the log.
    async fn find_out(
        &self,
        request: JobId,
        id: RecordId,
        write: Write,
        unanswered: StoreError,
    ) -> Result<Applied, Failure> {
        let unsettled = |why: &str| Failure::internal(format!("a write is unsettled: {unanswered}; {why}"));
        let entries = vec![Entry::new(0, Outcome::Success(id), write.base)];
        let plan = Plan { revision: 1, made_at: self.records.stored.clock().now(), closed: false, entries };
        for _ in 0..LOOKS {
            let rows = self
                .records
                .stored
                .footprints(self.account, [id])
                .await
                .map_err(|error| unsettled(&error.to_string()))?;
            let now = self.records.stored.clock().now();
            match standing(request, &plan, write.base, rows.get(&id), now) {
                Standing::Applied => return self.applied(write).await,
                Standing::Impossible => return Err(unanswered.into()),
                Standing::Unknown => return Err(unsettled("its record was written too often since")),
                Standing::Open => {
                    let moved = self.records.stored.move_on(self.account, id, write.base, now).await;
                    if moved.map_err(|error| unsettled(&error.to_string()))? {
                        return Err(unanswered.into());
                    }
                }
            }
        }
        Err(unsettled("its record keeps moving"))
    }

    /// What a request with the same key has done within the last day.
    async fn earlier(&self) -> Result<Option<(&IdempotencyKey, EarlierWrite)>, StoreError> {
        let Some(key) = &self.key else { return Ok(None) };
        let earlier = self.records.stored.earlier_write(self.account, key, self.records.stored.clock().now()).await?;
        Ok(earlier.map(|earlier| (key, earlier)))
    }

    /// The key was taken at the write: by a request beside this one, or by this one, whose answer was lost.
    async fn after_taken_key(&self) -> Result<Applied, Failure> {
        match self.earlier().await.map_err(Failure::internal)? {
            Some((key, earlier)) => self.again(key, &earlier).await,
            None => Err(Failure::unavailable(RETRY).because("an idempotency key expired during its write")),
        }
    }

    /// The key was used before: the record as it now stands, if this is the same request.
    async fn again(&self, key: &IdempotencyKey, earlier: &EarlierWrite) -> Result<Applied, Failure> {
        if key.body != earlier.request {
            return Err(Failure::unprocessable(
                "This Idempotency-Key was used with another request within the last day: send the same one, or another key",
            ));
        }
        let kind = match self.operation {
            Operation::DeleteObjects | Operation::DeleteObjectsByExternalId | Operation::DeleteRelationships => {
                return Ok(Applied { record: None, created: false });
            }
            Operation::CreateObjects | Operation::UpdateObjects | Operation::SetObjects => "record",
            Operation::CreateRelationships => "relationship record",
        };
        let row = self.records.stored.record(self.account, earlier.record).await.map_err(Failure::internal)?;
        match row.and_then(|row| Record::of(row.state)) {
            Some(record) => Ok(Applied { record: Some(record), created: earlier.created }),
            // Somebody has deleted it since.
            None => Err(no_such_id(kind, &earlier.record.to_string()).into()),
        }
    }
}

/// The object types that it takes to decide on the record as it is.
async fn load_object_types(types: &mut TypeLoader<'_>, item: &Item<'_>, row: Option<&Row>) -> Result<(), StoreError> {
    let there = row.and_then(Row::object).map(|record| &record.object_type);
    match item {
        Item::Create { object_type, .. } | Item::Set { object_type, .. } => types.load_objects([object_type]).await,
        Item::Update { .. } => types.load_objects(there).await,
        // Only to say what is missing: the record or its type.
        Item::DeleteByExternalId { object_type, .. } if there.is_none() => types.load_objects([object_type]).await,
        Item::DeleteByExternalId { .. } | Item::Delete { .. } | Item::Relate { .. } | Item::Unrelate { .. } => Ok(()),
    }
}

/// Once a write was tried, that it was not made is not known until the row has been read: a 500, and no 503.
fn failed(attempted: Option<&Write>, error: StoreError) -> Failure {
    if attempted.is_some() { Failure::internal(error) } else { error.into() }
}

#[cfg(test)]
mod tests {
    use domain::account::usage::PerKind;
    use domain::plan::decide::Before;
    use domain::types::DeletionMark;
    use http::HeaderName;
    use serde_json::json;
    use store::catalog::Deleted;

    use super::*;
    use crate::harness::Service;

    const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

    /// A record of each kind, and the write that made it.
    async fn made(service: &Service, operation: Operation) -> (TypeKind, TypeKey, Write) {
        let key = |text| TypeKey::parse(text).unwrap();
        let (kind, key, path, body) = match operation.kind() {
            RecordKind::Object => {
                service.define("product").await;
                let body = json!({"data": {"type": "product", "attributes": {}}});
                (TypeKind::Object, key("product"), "/objects/records", body)
            }
            RecordKind::Relationship => {
                service.define_relationship("owns", "zen:user", &json!("zen:user")).await;
                let body =
                    json!({"data": {"relationship_type": "owns", "source": "zen:user:1", "target": "zen:user:2"}});
                (TypeKind::Relationship, key("owns"), "/relationships/records", body)
            }
        };
        let reply = service.send("POST", path, &body).await;
        let id = RecordId::parse(reply.json["data"]["id"].as_str().unwrap()).unwrap();
        let row = service.store().records.record(service.account(), id).await.unwrap().unwrap();
        (kind, key, Write { id, base: 0, before: Before::Nothing, row, links: Vec::new() })
    }

    /// Somebody with the same key has done it since this request looked for the key.
    #[tokio::test]
    async fn what_fails_because_the_same_request_has_done_it_is_answered_like_that_one() {
        let service = Service::start().await;
        let (_, _, write) = made(&service, Operation::CreateObjects).await;
        let (id, headers) = (write.id.to_string(), HeaderMap::from_iter([(IDEMPOTENCY_KEY, "k".parse().unwrap())]));
        let records = Records::new(service.store().clone());
        let deletion =
            |key| Request { records: &records, account: service.account(), operation: Operation::DeleteObjects, key };
        let key =
            key_of(&headers, Operation::DeleteObjects, &[&id], RawValue::NULL).unwrap_or_else(|_| panic!("a key"));
        let path = format!("/objects/records/{id}");
        assert_eq!(service.send_keyed(Some("k"), "DELETE", &path, "").await.status, 204);
        let item = || Item::delete(&id).unwrap();
        assert!(deletion(key).apply(item()).await.is_ok_and(|applied| applied.record.is_none()));
        let Err(refused) = deletion(None).apply(item()).await else { panic!("it was deleted twice") };
        assert_eq!(refused.status().as_u16(), 404);
    }

    /// As above, with the account's last place.
    #[tokio::test]
    async fn the_last_place_that_the_same_request_has_taken_is_not_missing() {
        let service = Service::start().await;
        service.define("product").await;
        let limits = PerKind { objects: Some(Some(1)), relationships: None };
        service.store().usages.change_limits(service.account(), limits).await.unwrap();
        let body = json!({"data": {"type": "product", "attributes": {}}});
        let first = service.send_keyed(Some("k"), "POST", "/objects/records", &body.to_string()).await;
        let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, "k".parse().unwrap())]);
        let data: Box<RawValue> = serde_json::value::to_raw_value(&body["data"]).unwrap();
        let operation = Operation::CreateObjects;
        let key = key_of(&headers, operation, &[], &data).unwrap_or_else(|_| panic!("a key"));
        let records = Records::new(service.store().clone());
        let creation = |key| Request { records: &records, account: service.account(), operation, key };
        let item = || Item::parse(operation, data.get()).unwrap();
        let Ok(Applied { record: Some(Record::Object(record)), created: true }) = creation(key).apply(item()).await
        else {
            panic!("not what the first did")
        };
        assert_eq!(record.id.to_string(), first.json["data"]["id"]);
        let Err(refused) = creation(None).apply(item()).await else { panic!("it was made beyond the limit") };
        assert_eq!(refused.status().as_u16(), 429);
    }

    /// Who counts the records between two looks at the counts has to see that something came and went.
    #[tokio::test]
    async fn counts_tell_that_a_record_came_and_another_went() {
        let service = Service::start().await;
        let (_, _, write) = made(&service, Operation::CreateObjects).await;
        let (store, account) = (service.store(), service.account());
        let before = store.usages.kept_counts(account).await.unwrap();
        assert_eq!(store.usages.kept_counts(account).await.unwrap(), before);
        let body = json!({"data": {"type": "product", "attributes": {}}});
        assert_eq!(service.send("POST", "/objects/records", &body).await.status, 201);
        assert_eq!(service.delete(&format!("/objects/records/{}", write.id)).await.status, 204);
        let after = store.usages.kept_counts(account).await.unwrap();
        assert_eq!((after.sums, after.active), (before.sums, before.active));
        assert_ne!(after, before);
    }

    async fn look_again(service: &Service, operation: Operation, write: Write) -> Result<Applied, Failure> {
        let records = Records::new(service.store().clone());
        Request { records: &records, account: service.account(), operation, key: None }.applied(write).await
    }

    #[tokio::test]
    async fn a_record_that_a_deletion_did_not_see_keeps_its_type_or_goes_with_it() {
        for operation in [Operation::CreateObjects, Operation::CreateRelationships] {
            let service = Service::start().await;
            let (kind, key, write) = made(&service, operation).await;
            let (store, account) = (service.store(), service.account());
            let revision = store.catalog.types_revision(account).await.unwrap();
            let mark = DeletionMark::new(service.clock());

            // The type is marked since it was read, so its deletion may have looked for records before this one: now it deletes nothing.
            assert!(store.catalog.mark_type(account, kind, &key, &mark).await.unwrap());
            assert!(look_again(&service, operation, write.clone()).await.is_ok());
            let deleted = store.catalog.delete_type(account, kind, &key, &mark, revision).await.unwrap();
            assert_eq!(deleted, Deleted::MarkGone);

            // The type has gone since it was read: the record goes too, and is not counted.
            assert!(store.catalog.mark_type(account, kind, &key, &mark).await.unwrap());
            let deleted = store.catalog.delete_type(account, kind, &key, &mark, revision).await.unwrap();
            assert_eq!(deleted, Deleted::Done);
            let id = write.id;
            let Err(refused) = look_again(&service, operation, write).await else { panic!("a record of no type") };
            assert_eq!(refused.status().as_u16(), 404);
            assert!(refused.problems()[0].detail.contains(&format!("\"{key}\" is not defined")));
            let row = store.records.record(account, id).await.unwrap();
            assert_eq!(row.map(|row| row.state), Some(State::Tombstone));
            assert_eq!(store.usages.usage(account).await.unwrap().counts.of(operation.kind()), 0);
        }
    }
}
