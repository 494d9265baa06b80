//! Deletion of a type, which must have no records, and gets none meanwhile.
//!
//! It marks the type, looks for records, and deletes the type if the mark is still there. Who makes records reads the type first:
//!
//! - *An item of a job* waits while the type is marked. Where it read the type before the mark, its job was processing before the
//!   mark: so the deletion is refused while a job is processing whose items name the type. Jobs are found by an index too, so they
//!   are looked for once it has had time to follow; and where such a job has ended by then, so has what it made, whose index has
//!   the same time once more.
//! - *A request* reads the type once more after its write. If it is marked, it takes the mark away, and the deletion deletes nothing.
//!   If it is gone, the record is taken back.
//! - *What was made before the mark* is found in the index, which is looked at once it has had time to follow the table.
//!
//! A mark that a function died with is respected for as long as its deletion could have taken, and not longer.

use domain::account::AccountId;
use domain::account::usage::RecordKind;
use domain::problem::Problem;
use domain::types::{DeletionMark, TypeKey};
use http::StatusCode;
use store::catalog::Deleted;
use store::keys::TypeKind;
use wire::{BASE, Failure};

use crate::Records;

/// A deletion of a type that is under way.
pub(crate) struct Deletion<'request> {
    pub(crate) records: &'request Records,
    pub(crate) account: &'request AccountId,
    pub(crate) kind: TypeKind,
    pub(crate) key: &'request TypeKey,
    /// The revision of the account's types, read before anything else about them.
    pub(crate) revision: u64,
    /// The problem to answer when the type does not exist.
    pub(crate) missing: Problem,
}

impl Deletion<'_> {
    /// Deletes the type.
    ///
    /// # Errors
    /// 422 when it has records or a job may be making some, 404 when it is gone already, 503 when another request
    /// changed something meanwhile.
    pub(crate) async fn carry_out(self) -> Result<StatusCode, Failure> {
        // Before anybody is kept waiting.
        self.has_none().await?;
        let mark = DeletionMark::new(self.records.stored.clock());
        let deleted = match self.records.catalog.mark_type(self.account, self.kind, self.key, &mark).await {
            Ok(true) => self.under(&mark).await,
            Ok(false) => return Err(self.missing.into()),
            // It may be there all the same.
            Err(error) => Err(error.into()),
        };
        if deleted.is_err()
            && let Err(error) = self.records.catalog.unmark_type(self.account, self.kind, self.key, &mark).await
        {
            tracing::warn!(account.id = %self.account, reason = %error, "a type stays marked as being deleted for a while");
        }
        deleted
    }

    async fn under(&self, mark: &DeletionMark) -> Result<StatusCode, Failure> {
        let record_kind = match self.kind {
            TypeKind::Object => RecordKind::Object,
            TypeKind::Relationship => RecordKind::Relationship,
        };
        tokio::time::sleep(self.records.index_lag).await;
        if let Some(job) = self.records.jobs.job_that_makes(self.account, record_kind, self.key).await? {
            return Err(Failure::unprocessable(format!(
                "The job {job} is processing and may be making records of the {} \"{}\": delete it when the job has ended",
                self.name(),
                self.key
            )));
        }
        tokio::time::sleep(self.records.index_lag).await;
        self.has_none().await?;
        let deleted = self.records.catalog.delete_type(self.account, self.kind, self.key, mark, self.revision).await?;
        let busy = |why: &'static str| Err(Failure::unavailable(1).because(why));
        match deleted {
            Deleted::Done => Ok(StatusCode::NO_CONTENT),
            Deleted::TypesChanged => busy("types were defined or deleted meanwhile"),
            Deleted::MarkGone if self.records.catalog.mark_of(self.account, self.kind, self.key).await?.is_none() => {
                Err(self.missing.clone().into())
            }
            Deleted::MarkGone => {
                // By who made a record of it, as a rule.
                self.has_none().await?;
                busy("a type's mark was taken away or replaced")
            }
        }
    }

    /// # Errors
    /// 422 when the type has records.
    async fn has_none(&self) -> Result<(), Failure> {
        if !self.records.stored.has_records(self.account, self.kind, self.key).await? {
            return Ok(());
        }
        let list = match self.kind {
            TypeKind::Object => "objects/records",
            TypeKind::Relationship => "relationships/records",
        };
        Err(Failure::unprocessable(format!(
            "There are records of the {} \"{key}\": delete all that {BASE}/{list}?type={key} lists first",
            self.name(),
            key = self.key
        )))
    }

    const fn name(&self) -> &'static str {
        match self.kind {
            TypeKind::Object => "object type",
            TypeKind::Relationship => "relationship type",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::harness::Service;

    #[tokio::test]
    async fn a_deletion_that_is_refused_leaves_no_mark() {
        let service = Service::start().await;
        service.define("product").await;
        let (store, account) = (service.store(), service.account());
        let key = TypeKey::parse("product").unwrap();
        let record = service.put("product", None, json!({})).await;
        let words = "/api/sunshine/objects/records?type=product";
        service.delete("/objects/types/product").await.check_error(422, "UnprocessableEntity", words);
        assert_eq!(store.catalog.mark_of(account, TypeKind::Object, &key).await.unwrap(), Some(None));
        service.remove(record).await;

        // One that a function died with is respected for a while by who makes records, and not by another deletion.
        let mark = DeletionMark::new(service.clock());
        assert!(store.catalog.mark_type(account, TypeKind::Object, &key, &mark).await.unwrap());
        assert_eq!(service.delete("/objects/types/product").await.status, 204);
        assert_eq!(store.catalog.mark_of(account, TypeKind::Object, &key).await.unwrap(), None);
        service.delete("/objects/types/product").await.check_error(404, "NotFound", "\"product\"");
    }

    #[tokio::test]
    async fn a_mark_that_was_left_behind_keeps_nobody_waiting_for_ever() {
        let service = Service::start().await;
        service.define("product").await;
        let mark = DeletionMark::new(service.clock());
        let key = TypeKey::parse("product").unwrap();
        assert!(service.store().catalog.mark_type(service.account(), TypeKind::Object, &key, &mark).await.unwrap());
        service.clock().advance(domain::timing::DELETION.as_secs() * 1_000);
        let body = json!({"data": {"type": "product", "attributes": {}}});
        assert_eq!(service.send("POST", "/objects/records", &body).await.status, 201);
    }
}
