//! Object records, relationship records and their tombstones.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnConsumedCapacity, TransactWriteItem, Update};
use domain::account::AccountId;
use domain::plan::decide::{Before, Write};
use domain::record::{End, RecordId, Row, State};
use domain::time::Timestamp;
use domain::types::TypeKey;
use futures_util::future::{join_all, try_join_all};

use crate::attributes::{Attributes, Reader, broken, number, text};
use crate::error::is_passing;
use crate::jobs::{KEYS_PER_READ, built};
use crate::keys::TypeKind;
use crate::meter::is_throttle;
use crate::page::{Page, PageQuery};
use crate::retry::Backoff;
use crate::rows::{OBJECT_ATTRIBUTES, entries_to_remove, record_from_row, record_to_row};
use crate::statements::{self, Statement};
use crate::tables::{BY_SLOT, BY_SOURCE, BY_TARGET, BY_TYPE, BY_UPDATE, SLOT_ENTRIES, UPDATE_ENTRY};
use crate::transaction::Transacted;
use crate::{Store, StoreError, keys};

/// Statements in one `BatchExecuteStatement`.
const STATEMENTS_PER_BATCH: usize = 25;
/// Writes in one `TransactWriteItems`.
const WRITES_PER_TRANSACTION: usize = 100;

/// What came of one conditional write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Written {
    /// It is there.
    Done,
    /// The row was not where the write expected it, or an end of the relationship is gone: read again and decide anew.
    /// (A write whose answer was lost and that was sent again ends here too, and finds its own mark.)
    Lost,
}

impl Store {
    /// The rows with these ids, none of which may be named twice; those that are not there are missing from the answer.
    /// Consistent.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn records(
        &self,
        account: &AccountId,
        ids: impl IntoIterator<Item = RecordId>,
    ) -> Result<HashMap<RecordId, Row>, StoreError> {
        let keys = ids.into_iter().map(|id| Attributes::from([("pk".to_owned(), text(keys::record(account, id)))]));
        let rows = self.read_rows(&self.tables.records, keys.collect()).await?;
        rows.iter().map(record_from_row).collect()
    }

    /// The row with this id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn record(&self, account: &AccountId, id: RecordId) -> Result<Option<Row>, StoreError> {
        let key = Attributes::from([("pk".to_owned(), text(keys::record(account, id)))]);
        let row = self.read_row(&self.tables.records, key).await?;
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
        self.write_in_batches(writes, |write| Ok(statement(&self.tables.records, account, write, now))).await
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
            let answer = statements::execute(&self.client, &statements?).await?;
            self.meter.count_write(answer.consumed_capacity());
            for (place, response) in open.into_iter().zip(answer.responses()) {
                written[place] =
                    match response.error().map(|error| (error.code().map_or("", |code| code.as_str()), error)) {
                        None => Some(Written::Done),
                        Some(("DuplicateItem" | "ConditionalCheckFailed", _)) => Some(Written::Lost),
                        Some((code, error)) => {
                            self.meter.count_throttles(usize::from(is_throttle(code)));
                            reason = format!("{code}: {}", error.message().unwrap_or_default());
                            if !is_passing(code) {
                                return Err(StoreError::Refused { call: statements::CALL, reason });
                            }
                            None
                        }
                    };
            }
            if written.iter().any(Option::is_none) {
                backoff.wait(&self.clock).await;
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
        match self.transact(actions).await? {
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

    /// The change of how many relationships an end has, as a member of a transaction.
    pub(crate) fn update_of_end(
        &self,
        account: &AccountId,
        end: RecordId,
        change: i64,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(&self.tables.records)
            .key("pk", text(keys::record(account, end)))
            .update_expression("ADD links :change, version :one")
            // Closes the race with a delete of the end: a tombstone has no type, and a record with links stays.
            .condition_expression("attribute_exists(#type)")
            .expression_attribute_names("#type", "type")
            .expression_attribute_values(":change", AttributeValue::N(change.to_string()))
            .expression_attribute_values(":one", number(1_u64));
        Ok(TransactWriteItem::builder().update(built(update.build())?).build())
    }

    /// A write as a member of a transaction.
    pub(crate) fn put_of_record(&self, account: &AccountId, write: &Write, now: Timestamp) -> Result<Put, StoreError> {
        let mut put = Put::builder()
            .table_name(&self.tables.records)
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

    /// A page of the records of one type, by creation. Positions are [`keys::listed_at`].
    ///
    /// The rows are read from the table itself, so what the page shows is what is there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_records(
        &self,
        account: &AccountId,
        kind: TypeKind,
        key: &TypeKey,
        query: &PageQuery,
        most_bytes: usize,
    ) -> Result<Page<Row>, StoreError> {
        let part = |shard| Shard::new(BY_TYPE, "type_shard", keys::by_type(account, kind, key, shard), query);
        self.list(account, (0..keys::SHARDS).map(part).collect(), query, most_bytes, place_of).await
    }

    /// A page of the records of one type whose attribute has one of some values, by creation: those in the index of this slot
    /// whose entries begin with one of `values` ([`value_key`](domain::types::indexes::value_key)). Positions are
    /// [`keys::listed_at`]. A page reads eight partitions for each value.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_indexed(
        &self,
        account: &AccountId,
        key: &TypeKey,
        slot: usize,
        values: &[String],
        query: &PageQuery,
        most_bytes: usize,
    ) -> Result<Page<Row>, StoreError> {
        let parts = values.iter().flat_map(|value| {
            (0..keys::SHARDS).map(move |shard| {
                let partition = keys::by_type(account, TypeKind::Object, key, shard);
                Shard::new(BY_SLOT[slot], "type_shard", partition, query).of_entries(SLOT_ENTRIES[slot], value)
            })
        });
        self.list(account, parts.collect(), query, most_bytes, place_of).await
    }

    /// A page of the records of one type by their last update, where the type has that index. Positions are [`keys::updated_at`].
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_updated(
        &self,
        account: &AccountId,
        key: &TypeKey,
        query: &PageQuery,
        most_bytes: usize,
    ) -> Result<Page<Row>, StoreError> {
        let part = |shard| {
            let partition = keys::by_type(account, TypeKind::Object, key, shard);
            Shard::new(BY_UPDATE, "type_shard", partition, query).of_entries(UPDATE_ENTRY, "")
        };
        self.list(account, (0..keys::SHARDS).map(part).collect(), query, most_bytes, place_by_update).await
    }

    /// The entries of one type in the index of a slot that begin so, in no order; `None` when there are more than `most`. They trail
    /// the records.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn entries_with(
        &self,
        account: &AccountId,
        key: &TypeKey,
        slot: usize,
        beginning: &str,
        most: usize,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let range = Range::Beginning(beginning.to_owned());
        self.entries(account, key, (BY_SLOT[slot], SLOT_ENTRIES[slot]), &range, most).await
    }

    /// The ids of the records of one type that were updated last between two places ([`keys::updated_at`]), both included, in no order;
    /// `None` when there are more than `most`. They trail the records.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn updated_between(
        &self,
        account: &AccountId,
        key: &TypeKey,
        places: (String, String),
        most: usize,
    ) -> Result<Option<Vec<RecordId>>, StoreError> {
        let range = Range::Between(places.0, places.1);
        let entries = self.entries(account, key, (BY_UPDATE, UPDATE_ENTRY), &range, most).await?;
        let id = |entry: &String| keys::read_place(entry).map(|(_, id)| id).ok_or_else(|| broken(UPDATE_ENTRY));
        entries.map(|entries| entries.iter().map(id).collect()).transpose()
    }

    /// What stands within a range of an index, of every shard of a type; `None` when there are more than `most`. A shard has about its
    /// share of them: one that has half as much again says that there are more, so no more than that is read.
    async fn entries(
        &self,
        account: &AccountId,
        key: &TypeKey,
        (index, entry): (&'static str, &'static str),
        range: &Range,
        most: usize,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let share = most / usize::from(keys::SHARDS) * 3 / 2 + 64;
        let shards = (0..keys::SHARDS).map(|shard| async move {
            let partition = keys::by_type(account, TypeKind::Object, key, shard);
            let mut found = Vec::new();
            let mut after = None;
            loop {
                let request = self
                    .client
                    .query()
                    .table_name(&self.tables.records)
                    .index_name(index)
                    .limit(i32::try_from(share + 1 - found.len()).unwrap_or(i32::MAX))
                    .expression_attribute_names("#partition", "type_shard")
                    .expression_attribute_names("#entry", entry)
                    .expression_attribute_values(":partition", text(&partition))
                    .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                    .set_exclusive_start_key(after);
                let answer = range.of(request).send().await.map_err(|error| StoreError::of("Query", &error))?;
                self.meter.count_read(answer.consumed_capacity());
                for row in answer.items() {
                    found.push(Reader(row).text(entry)?.to_owned());
                }
                after = answer.last_evaluated_key;
                if found.len() > share {
                    return Ok::<_, StoreError>(None);
                }
                if after.is_none() {
                    return Ok(Some(found));
                }
            }
        });
        let found: Option<Vec<Vec<String>>> = try_join_all(shards).await?.into_iter().collect();
        Ok(found.map(|found| found.concat()).filter(|found| found.len() <= most))
    }

    /// A page of the relationship records of one type that have `end` on one of `sides`, by creation. Positions are
    /// [`keys::listed_at`].
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_links(
        &self,
        account: &AccountId,
        relationship_type: &TypeKey,
        end: &End,
        sides: &[Side],
        query: &PageQuery,
    ) -> Result<Page<Row>, StoreError> {
        let parts = sides.iter().flat_map(|side| {
            let (index, attribute) = side.index();
            let partition = |shard| keys::by_end(account, relationship_type, end, shard);
            (0..keys::END_SHARDS).map(move |shard| Shard::new(index, attribute, partition(shard), query))
        });
        self.list(account, parts.collect(), query, usize::MAX, place_of).await
    }

    /// A page of the list that the shards make together. A record that stands in two of them is listed once.
    async fn list(
        &self,
        account: &AccountId,
        mut shards: Vec<Shard>,
        query: &PageQuery,
        most_bytes: usize,
        place_of: fn(&Row) -> Option<String>,
    ) -> Result<Page<Row>, StoreError> {
        let mut read: Vec<Row> = Vec::new();
        let mut bytes = 0;
        let mut more = false;
        let mut last = String::new();
        'reading: loop {
            let wanted = (query.limit + 1 - read.len()).min(KEYS_PER_READ * 4);
            let mut places = self.next_of_shards(account, &mut shards, wanted, query).await?;
            if places.is_empty() {
                break;
            }
            places.retain(|place| std::mem::replace(&mut last, place.listed_at.clone()) != place.listed_at);
            let ids: HashSet<RecordId> = places.iter().map(|place| place.id).collect();
            let mut rows = self.records(account, ids).await?;
            for place in places {
                // The index trails the table. A row that is gone by now, or was deleted and made again, does not stand
                // at this place any more: taken for the end of a page, it would lead the next page astray.
                if rows.get(&place.id).and_then(place_of) != Some(place.listed_at) {
                    continue;
                }
                let Some(row) = rows.remove(&place.id) else { continue };
                let size = row.object().map_or(0, |record| record.attributes.len()) + 256;
                if read.len() == query.limit || (!read.is_empty() && bytes + size > most_bytes) {
                    more = true;
                    break 'reading;
                }
                bytes += size;
                read.push(row);
            }
        }
        Ok(Page::cut(query, read, more))
    }

    /// Whether the account has any record of this type.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn has_records(&self, account: &AccountId, kind: TypeKind, key: &TypeKey) -> Result<bool, StoreError> {
        let query = PageQuery { from: None, backwards: false, descending: false, limit: 1 };
        Ok(!self.list_records(account, kind, key, &query, usize::MAX).await?.items.is_empty())
    }

    /// The next places of the list that the shards make together.
    async fn next_of_shards(
        &self,
        account: &AccountId,
        shards: &mut [Shard],
        wanted: usize,
        query: &PageQuery,
    ) -> Result<Vec<Place>, StoreError> {
        // A page takes about its share of each shard, and seldom half as much again.
        let share = wanted / shards.len().max(1) * 3 / 2 + 4;
        let mut places: Vec<Place> = Vec::with_capacity(wanted);
        while places.len() < wanted {
            let hungry = shards.iter_mut().filter(|shard| shard.is_hungry());
            try_join_all(hungry.map(|shard| self.feed(account, shard, share, query))).await?;
            let forward = query.scans_forward();
            let first = shards.iter_mut().filter(|shard| !shard.read.is_empty()).min_by(|left, right| {
                let order = left.read.front().cmp(&right.read.front());
                if forward { order } else { order.reverse() }
            });
            let Some(listed_at) = first.and_then(|shard| shard.read.pop_front()) else { break };
            let (_, id) = keys::read_place(&listed_at).ok_or_else(|| broken("listed_at"))?;
            places.push(Place { id, listed_at });
        }
        Ok(places)
    }

    async fn feed(
        &self,
        account: &AccountId,
        shard: &mut Shard,
        share: usize,
        query: &PageQuery,
    ) -> Result<(), StoreError> {
        let exclusive_start = shard.from.as_deref().and_then(|place| {
            let (_, id) = keys::read_place(place)?;
            Some(Attributes::from([
                ("pk".to_owned(), text(keys::record(account, id))),
                (shard.attribute.to_owned(), text(&shard.partition)),
                (shard.entry.to_owned(), text(format!("{}{place}", shard.beginning))),
            ]))
        });
        let mut request = self.client.query();
        if shard.beginning.is_empty() {
            request = request.key_condition_expression("#partition = :partition");
        } else {
            request =
                Range::Beginning(shard.beginning.clone()).of(request).expression_attribute_names("#entry", shard.entry);
        }
        let answer = request
            .table_name(&self.tables.records)
            .index_name(shard.index)
            .expression_attribute_names("#partition", shard.attribute)
            .expression_attribute_values(":partition", text(&shard.partition))
            .scan_index_forward(query.scans_forward())
            .limit(i32::try_from(share).unwrap_or(i32::MAX))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .set_exclusive_start_key(exclusive_start)
            .send()
            .await
            .map_err(|error| StoreError::of("Query", &error))?;
        self.meter.count_read(answer.consumed_capacity());
        for row in answer.items() {
            let entry = Reader(row).text(shard.entry)?;
            shard.read.push_back(entry.strip_prefix(&shard.beginning).ok_or_else(|| broken(shard.entry))?.to_owned());
        }
        shard.from = shard.read.back().cloned().or(shard.from.take());
        shard.ended = answer.last_evaluated_key().is_none();
        Ok(())
    }
}

/// Where the index says that a record stands in the list of its type.
struct Place {
    id: RecordId,
    listed_at: String,
}

/// Where a row stands in the list of its type by last update; `None` where it stands nowhere.
fn place_by_update(row: &Row) -> Option<String> {
    row.object().map(|record| keys::updated_at(record.updated_at, record.id))
}

/// A range of entries in a partition of an index. Both ends are within it.
enum Range {
    Beginning(String),
    Between(String, String),
}

impl Range {
    /// The query, of `#partition` and `#entry`.
    fn of(&self, query: QueryFluentBuilder) -> QueryFluentBuilder {
        match self {
            Self::Beginning(beginning) => query
                .key_condition_expression("#partition = :partition AND begins_with(#entry, :beginning)")
                .expression_attribute_values(":beginning", text(beginning)),
            Self::Between(first, last) => query
                .key_condition_expression("#partition = :partition AND #entry BETWEEN :first AND :last")
                .expression_attribute_values(":first", text(first))
                .expression_attribute_values(":last", text(last)),
        }
    }
}

/// Where a row stands in the list of its type, [`keys::listed_at`]; `None` for a tombstone, which stands nowhere.
#[must_use]
pub fn place_of(row: &Row) -> Option<String> {
    match &row.state {
        State::Object(record) => Some(keys::listed_at(record.created_at, record.position, record.id)),
        State::Relationship(record) => Some(keys::listed_at(record.created_at, record.position, record.id)),
        State::Tombstone => None,
    }
}

/// Which end of a relationship.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    Source,
    Target,
}

impl Side {
    /// The index of relationships by that end, and the name of its partition key.
    const fn index(self) -> (&'static str, &'static str) {
        match self {
            Self::Source => (BY_SOURCE, "source_shard"),
            Self::Target => (BY_TARGET, "target_shard"),
        }
    }
}

/// One part of a list that is being merged: a partition of an index.
struct Shard {
    index: &'static str,
    /// The name of the index's partition key.
    attribute: &'static str,
    partition: String,
    /// The name of the index's sort key.
    entry: &'static str,
    /// What the sort key has before the place. Empty: the place is all of it.
    beginning: String,
    /// The last place read.
    from: Option<String>,
    read: VecDeque<String>,
    ended: bool,
}

impl Shard {
    fn new(index: &'static str, attribute: &'static str, partition: String, query: &PageQuery) -> Self {
        Self {
            index,
            attribute,
            partition,
            entry: "listed_at",
            beginning: String::new(),
            from: query.from.clone(),
            read: VecDeque::new(),
            ended: false,
        }
    }

    /// The same of an index with another sort key, in those entries that begin so.
    fn of_entries(self, entry: &'static str, beginning: &str) -> Self {
        Self { entry, beginning: beginning.to_owned(), ..self }
    }

    fn is_hungry(&self) -> bool {
        self.read.is_empty() && !self.ended
    }
}

enum TransactedRelationships {
    Done,
    /// Places of the writes whose own row was not where they expected it, and ends that are gone.
    Refused {
        rows: Vec<usize>,
        ends: Vec<RecordId>,
    },
}

/// The change of each end's count, all writes of a transaction together: it may name a row only once.
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
