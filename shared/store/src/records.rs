//! Object records, relationship records and their tombstones: reads and conditional writes.

mod lists;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use domain::account::AccountId;
use domain::plan::decide::{Before, Write};
use domain::record::{RecordId, Row, State};
use domain::time::Timestamp;
use futures_util::future::join_all;

pub use self::lists::{Side, place_of};
use crate::attributes::{Attributes, number, text};
use crate::database::built;
use crate::error::is_passing;
use crate::meter::is_throttle;
use crate::retry::Backoff;
use crate::rows::{OBJECT_ATTRIBUTES, entries_to_remove, record_from_row, record_to_row};
use crate::statements::{self, Statement};
use crate::transaction::Transacted;
use crate::{Records, StoreError, keys};

/// Statements in one `BatchExecuteStatement`.
const STATEMENTS_PER_BATCH: usize = 25;
/// Writes in one `TransactWriteItems`.
const WRITES_PER_TRANSACTION: usize = 100;

/// The outcome of one conditional write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Written {
    /// The write was made.
    Done,
    /// Nothing was written: the row has another version than the write expected, or an end of the relationship is gone.
    /// Read again and decide anew. (A write whose answer was lost and that was sent again ends here too, and finds its
    /// own mark.)
    Lost,
}

impl Records {
    /// Reads the rows with these ids, none of which may be named twice; rows that do not exist are missing from the
    /// answer. Strongly consistent.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn records(
        &self,
        account: &AccountId,
        ids: impl IntoIterator<Item = RecordId>,
    ) -> Result<HashMap<RecordId, Row>, StoreError> {
        let keys = ids.into_iter().map(|id| Attributes::from([("pk".to_owned(), text(keys::record(account, id)))]));
        let rows = self.database.read_rows(&self.database.tables.records, keys.collect()).await?;
        rows.iter().map(record_from_row).collect()
    }

    /// Reads the row with this id, strongly consistent; `None` when there is none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn record(&self, account: &AccountId, id: RecordId) -> Result<Option<Row>, StoreError> {
        let key = Attributes::from([("pk".to_owned(), text(keys::record(account, id)))]);
        let row = self.database.read_row(&self.database.tables.records, key).await?;
        Ok(row.map(|row| record_from_row(&row)).transpose()?.map(|(_, row)| row))
    }

    /// Writes object rows, each on its own condition, 25 to a request. Each id may be named once. The answers are in
    /// the order of `writes`.
    ///
    /// # Errors
    /// When the outcome of some write is not known.
    pub async fn write_objects(
        &self,
        account: &AccountId,
        writes: &[Write],
        now: Timestamp,
    ) -> Result<Vec<Written>, StoreError> {
        self.write_in_batches(writes, |write| Ok(statement(&self.database.tables.records, account, write, now))).await
    }

    /// Writes rows, each by its statement and on its own condition, 25 to a request. The answers are in the order of `writes`.
    pub(crate) async fn write_in_batches<'change, Change>(
        &self,
        writes: &'change [Change],
        statement: impl Fn(&'change Change) -> Result<Statement<'change>, StoreError>,
    ) -> Result<Vec<Written>, StoreError> {
        let batches = writes.chunks(STATEMENTS_PER_BATCH).map(|batch| self.write_batch(batch, &statement));
        // Every batch runs to its end, whatever comes of the others.
        let mut written = Vec::with_capacity(writes.len());
        for batch in join_all(batches).await {
            written.extend(batch?);
        }
        Ok(written)
    }

    async fn write_batch<'change, Change>(
        &self,
        writes: &'change [Change],
        statement: &impl Fn(&'change Change) -> Result<Statement<'change>, StoreError>,
    ) -> Result<Vec<Written>, StoreError> {
        let mut written = vec![None; writes.len()];
        let mut backoff = Backoff::new(Duration::from_millis(25), Duration::from_secs(1));
        let mut reason = String::new();
        for _ in 0..8 {
            let open: Vec<usize> = (0..writes.len()).filter(|place| written[*place].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let statements: Result<Vec<_>, _> = open.iter().map(|place| statement(&writes[*place])).collect();
            let answer = statements::execute(&self.database.client, &statements?).await?;
            self.database.meter.count_write(answer.consumed_capacity());
            for (place, response) in open.into_iter().zip(answer.responses()) {
                written[place] =
                    match response.error().map(|error| (error.code().map_or("", |code| code.as_str()), error)) {
                        None => Some(Written::Done),
                        Some(("DuplicateItem" | "ConditionalCheckFailed", _)) => Some(Written::Lost),
                        Some((code, error)) => {
                            self.database.meter.count_throttles(usize::from(is_throttle(code)));
                            reason = format!("{code}: {}", error.message().unwrap_or_default());
                            if !is_passing(code) {
                                return Err(StoreError::Refused { call: statements::CALL, reason });
                            }
                            None
                        }
                    };
            }
            if written.iter().any(Option::is_none) {
                backoff.wait(&self.database.clock).await;
            }
        }
        written.into_iter().collect::<Option<_>>().ok_or(StoreError::Unavailable { call: statements::CALL, reason })
    }

    /// Writes relationship rows, each together with the counts of its ends: as many to a transaction as fit. The
    /// answers are in the order of `writes`.
    ///
    /// # Errors
    /// When the outcome of some write is not known.
    pub async fn write_relationships(
        &self,
        account: &AccountId,
        writes: &[Write],
        now: Timestamp,
    ) -> Result<Vec<Written>, StoreError> {
        let mut written = vec![Written::Lost; writes.len()];
        let mut waiting: VecDeque<Vec<usize>> = transactions(writes).into();
        while let Some(places) = waiting.pop_front() {
            let (refused, ends) = match self.write_transaction(account, writes, &places, now).await? {
                TransactedRelationships::Done => {
                    for place in places {
                        written[place] = Written::Done;
                    }
                    continue;
                }
                TransactedRelationships::Refused { rows, ends } => (rows, ends),
            };
            // One failed condition refused them all: those it does not concern go again, without the rest.
            let rest: Vec<usize> = places
                .into_iter()
                .filter(|place| {
                    !refused.contains(place) && !writes[*place].links.iter().any(|link| ends.contains(&link.end))
                })
                .collect();
            if !rest.is_empty() {
                waiting.push_back(rest);
            }
        }
        Ok(written)
    }

    async fn write_transaction(
        &self,
        account: &AccountId,
        writes: &[Write],
        places: &[usize],
        now: Timestamp,
    ) -> Result<TransactedRelationships, StoreError> {
        let mut actions = Vec::with_capacity(WRITES_PER_TRANSACTION);
        for place in places {
            let write = &writes[*place];
            actions.push(TransactWriteItem::builder().put(self.put_of_record(account, write, now)?).build());
        }
        let changes = link_changes(places.iter().map(|place| &writes[*place]));
        for (end, change) in &changes {
            actions.push(self.update_of_end(account, *end, *change)?);
        }
        match self.database.transact(actions).await? {
            Transacted::Done => Ok(TransactedRelationships::Done),
            Transacted::Refused(failed) => {
                let (rows, ends) = failed.split_at(places.len().min(failed.len()));
                let rows: Vec<_> =
                    places.iter().zip(rows).filter(|(_, failed)| **failed).map(|(place, _)| *place).collect();
                let ends: Vec<_> =
                    changes.keys().zip(ends).filter(|(_, failed)| **failed).map(|(end, _)| *end).collect();
                if rows.is_empty() && ends.is_empty() {
                    let reason = "a transaction was refused for no write's condition".to_owned();
                    return Err(StoreError::Refused { call: "TransactWriteItems", reason });
                }
                Ok(TransactedRelationships::Refused { rows, ends })
            }
        }
    }

    /// Builds the change of an end's count of relationships, as a member of a transaction.
    pub(crate) fn update_of_end(
        &self,
        account: &AccountId,
        end: RecordId,
        change: i64,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(&self.database.tables.records)
            .key("pk", text(keys::record(account, end)))
            .update_expression("ADD links :change, version :one")
            // Closes the race with a delete of the end: a tombstone has no type, and a record with links stays.
            .condition_expression("attribute_exists(#type)")
            .expression_attribute_names("#type", "type")
            .expression_attribute_values(":change", AttributeValue::N(change.to_string()))
            .expression_attribute_values(":one", number(1_u64));
        Ok(TransactWriteItem::builder().update(built(update.build())?).build())
    }

    /// Builds a conditional write of a record, as a member of a transaction.
    pub(crate) fn put_of_record(&self, account: &AccountId, write: &Write, now: Timestamp) -> Result<Put, StoreError> {
        let mut put = Put::builder()
            .table_name(&self.database.tables.records)
            .item("pk", text(keys::record(account, write.id)))
            // Closes the race between two writers of one record: the second reads again.
            .condition_expression(if write.base == 0 { "attribute_not_exists(pk)" } else { "version = :base" });
        if write.base > 0 {
            put = put.expression_attribute_values(":base", number(write.base));
        }
        for (name, value) in record_to_row(account, &write.row, now) {
            put = put.item(name, value.into());
        }
        built(put.build())
    }
}

enum TransactedRelationships {
    Done,
    /// Indexes of the writes whose own row was not where they expected it, and the ends that are gone.
    Refused {
        rows: Vec<usize>,
        ends: Vec<RecordId>,
    },
}

/// Sums the changes of each end's count over all writes of a transaction, which may name a row only once.
pub(crate) fn link_changes<'write>(writes: impl IntoIterator<Item = &'write Write>) -> BTreeMap<RecordId, i64> {
    let mut changes = BTreeMap::new();
    for link in writes.into_iter().flat_map(|write| &write.links) {
        *changes.entry(link.end).or_insert(0) += link.change;
    }
    changes
}

/// Splits writes into transactions of at most 100 rows, their ends included.
fn transactions(writes: &[Write]) -> Vec<Vec<usize>> {
    let mut transactions: Vec<Vec<usize>> = Vec::new();
    for place in 0..writes.len() {
        if let Some(open) = transactions.last_mut() {
            open.push(place);
            if open.len() + link_changes(open.iter().map(|place| &writes[*place])).len() <= WRITES_PER_TRANSACTION {
                continue;
            }
            open.pop();
        }
        transactions.push(vec![place]);
    }
    transactions
}

/// One conditional write as a `PartiQL` statement.
///
/// An insert refuses a key that is there, so a create needs no condition of its own: its id is its uniqueness. An
/// update names the version that its writer read, and so closes the race with every other writer of the row.
fn statement<'write>(table: &str, account: &AccountId, write: &'write Write, now: Timestamp) -> Statement<'write> {
    let key = keys::record(account, write.id);
    let attributes = record_to_row(account, &write.row, now);
    if write.base == 0 {
        return Statement::insert(table, key, attributes);
    }
    let stays_object = matches!(write.before, Before::Object(_)) && write.row.object().is_some();
    // What an update never changes need not be sent again.
    let is_sent = |name: &str| {
        !stays_object || !matches!(name, "type" | "external_id" | "created_at" | "links" | "type_shard" | "listed_at")
    };
    let set = attributes.into_iter().filter(|(name, _)| is_sent(name));
    let removed: &[&str] = match (write.before, &write.row.state) {
        (Before::Object(_), State::Tombstone) => &OBJECT_ATTRIBUTES,
        (Before::Tombstone, State::Object(_)) => &["expires_at"],
        (Before::Object(_), State::Object(_) | State::Relationship(_))
        | (Before::Tombstone, State::Relationship(_) | State::Tombstone)
        | (Before::Nothing | Before::Relationship, State::Object(_) | State::Relationship(_) | State::Tombstone) => &[],
    };
    let entries = write.row.object().and_then(|record| record.entries.as_deref());
    let held = if let Before::Object(held) = write.before { held } else { None };
    let removed_entries = held.into_iter().flat_map(|held| entries_to_remove(held, entries));
    Statement::update(table, key, write.base, set, removed.iter().copied().chain(removed_entries))
}

#[cfg(test)]
mod tests {
    use domain::plan::decide::LinkChange;
    use domain::record::applied::AppliedWrites;

    use super::*;

    fn write(id: u8, ends: &[u8]) -> Write {
        let links = ends.iter().map(|end| LinkChange { end: RecordId::from_bytes([*end; 16]), change: 1 });
        Write {
            id: RecordId::from_bytes([id; 16]),
            base: 0,
            before: Before::Nothing,
            row: Row { version: 1, applied: AppliedWrites::default(), state: State::Tombstone },
            links: links.collect(),
        }
    }

    #[test]
    fn transactions_hold_a_hundred_rows_with_their_ends() {
        let star: Vec<_> = (0..250).map(|id| write(id, &[255])).collect();
        assert_eq!(transactions(&star).iter().map(Vec::len).collect::<Vec<_>>(), [99, 99, 52]);
        let pairs: Vec<_> = (0..100).map(|id| write(id, &[id + 100, 255])).collect();
        assert_eq!(transactions(&pairs).iter().map(Vec::len).collect::<Vec<_>>(), [49, 49, 2]);
        let elsewhere: Vec<_> = (0..120).map(|id| write(id, &[])).collect();
        assert_eq!(transactions(&elsewhere).iter().map(Vec::len).collect::<Vec<_>>(), [100, 20]);
    }

    #[test]
    fn changes_of_one_end_add_up() {
        let writes = [write(1, &[9, 9]), write(2, &[9, 8])];
        let changes = link_changes(&writes);
        assert_eq!(changes[&RecordId::from_bytes([9; 16])], 3);
        assert_eq!(changes[&RecordId::from_bytes([8; 16])], 1);
    }
}
