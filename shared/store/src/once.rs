//! Transactional writes of one record together with the rows that have to agree with it: the counts of its ends, the
//! account's count of records, and the request's idempotency key.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use domain::account::AccountId;
use domain::account::usage::RecordKind;
use domain::limits;
use domain::plan::decide::Write;
use domain::record::RecordId;
use domain::time::Timestamp;

use crate::attributes::{Attributes, Reader, binary, broken, seconds, text};
use crate::database::built;
use crate::jobs::IdempotencyKey;
use crate::records::link_changes;
use crate::transaction::Transacted;
use crate::{Records, StoreError, keys};

/// The write that an earlier request with the same idempotency key made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EarlierWrite {
    pub record: RecordId,
    /// Whether that write created the record; otherwise it changed or deleted it.
    pub created: bool,
    /// Hash of the request.
    pub request: Vec<u8>,
}

/// The outcome of a write with an idempotency key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WrittenOnce {
    Done,
    /// The row was not where the write expected it: nothing was written.
    Lost,
    /// Nothing was written now: a request with the same key was first, or it was this one, and its answer was lost.
    KeyTaken,
}

impl Records {
    /// Reads the write of one record that the idempotency key was used for within the last day.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn earlier_write(
        &self,
        account: &AccountId,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<EarlierWrite>, StoreError> {
        let row_key = Attributes::from([("pk".to_owned(), text(keys::record_idempotency(account, &key.key)))]);
        let Some(row) = self.database.read_row(&self.database.tables.records, row_key).await? else { return Ok(None) };
        let reader = Reader(&row);
        if reader.seconds("expires_at")? <= now {
            return Ok(None);
        }
        Ok(Some(EarlierWrite {
            record: RecordId::parse(reader.text("record")?).ok_or_else(|| broken("record"))?,
            created: row.contains_key("created"),
            request: reader.optional_binary("request")?.unwrap_or_default().to_vec(),
        }))
    }

    /// Writes a record together with the counts of its ends where it is a relationship, the account's count of records
    /// where that changes, and the request's idempotency key if there is one: all or nothing. It costs two write units
    /// for each row, and those of the indexes.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn write_once(
        &self,
        account: &AccountId,
        write: &Write,
        kind: RecordKind,
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<WrittenOnce, StoreError> {
        let mut writes = vec![TransactWriteItem::builder().put(self.put_of_record(account, write, now)?).build()];
        for (end, change) in link_changes([write]) {
            writes.push(self.update_of_end(account, end, change)?);
        }
        if write.growth() != 0 {
            writes.push(self.database.count_records(account, kind, write.growth())?);
        }
        if let Some(key) = key {
            writes.push(self.put_of_key(account, write, key, now)?);
        }
        Ok(match self.database.transact(writes).await? {
            Transacted::Done => WrittenOnce::Done,
            // A key that is taken says more than a record that has moved on, which the first request has moved.
            Transacted::Refused(failed) if key.is_some() && failed.last() == Some(&true) => WrittenOnce::KeyTaken,
            Transacted::Refused(_) => WrittenOnce::Lost,
        })
    }

    fn put_of_key(
        &self,
        account: &AccountId,
        write: &Write,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut put = Put::builder()
            .table_name(&self.database.tables.records)
            .item("pk", text(keys::record_idempotency(account, &key.key)))
            .item("record", text(write.id.to_string()))
            .item("request", binary(key.body.clone()))
            .item("expires_at", seconds(now.plus_millis(limits::JOB_LIFETIME_SECONDS * 1_000)))
            // Closes the race between two requests with one key: the second finds the first one's row.
            .condition_expression("attribute_not_exists(pk) OR expires_at <= :now")
            .expression_attribute_values(":now", seconds(now));
        if write.makes() {
            put = put.item("created", AttributeValue::Bool(true));
        }
        Ok(TransactWriteItem::builder().put(built(put.build())?).build())
    }
}
