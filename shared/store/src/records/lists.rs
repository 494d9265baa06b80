//! Lists of records and of relationships: the shards of an index, merged in order.

use std::collections::{HashSet, VecDeque};

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use domain::account::AccountId;
use domain::record::{End, RecordId, Row, State};
use domain::types::TypeKey;
use futures_util::future::try_join_all;

use crate::attributes::{Attributes, Reader, broken, text};
use crate::database::KEYS_PER_READ;
use crate::keys::TypeKind;
use crate::page::{Page, PageQuery};
use crate::tables::{BY_SLOT, BY_SOURCE, BY_TARGET, BY_TYPE, BY_UPDATE, SLOT_ENTRIES, UPDATE_ENTRY};
use crate::{Records, StoreError, keys};

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

/// The place of a row in the list of its type, [`keys::listed_at`]; `None` for a tombstone, which is in no list.
#[must_use]
pub fn place_of(row: &Row) -> Option<String> {
    match &row.state {
        State::Object(record) => Some(keys::listed_at(record.created_at, record.position, record.id)),
        State::Relationship(record) => Some(keys::listed_at(record.created_at, record.position, record.id)),
        State::Tombstone => None,
    }
}

/// A side of a relationship.
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

impl Records {
    /// Reads a page of the records of one type, by creation. Positions are [`keys::listed_at`].
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

    /// Reads a page of the records of one type with certain values of an attribute, by creation: those whose entries in
    /// the index of this slot begin with one of `values` ([`value_key`](domain::types::indexes::value_key)). Positions
    /// are [`keys::listed_at`]. A page reads eight partitions for each value.
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

    /// Reads a page of one type's records by last update, where it has that index. Positions are [`keys::updated_at`].
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

    /// Reads the entries of one type in the index of a slot that begin with a prefix, unordered; `None` when there are
    /// more than `most`. The index trails the records.
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

    /// Reads the ids of one type's records last updated between two places ([`keys::updated_at`]), both included,
    /// unordered; `None` when there are more than `most`. The index trails the records.
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
                    .database
                    .client
                    .query()
                    .table_name(&self.database.tables.records)
                    .index_name(index)
                    .limit(i32::try_from(share + 1 - found.len()).unwrap_or(i32::MAX))
                    .expression_attribute_names("#partition", "type_shard")
                    .expression_attribute_names("#entry", entry)
                    .expression_attribute_values(":partition", text(&partition))
                    .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                    .set_exclusive_start_key(after);
                let answer = range.of(request).send().await.map_err(|error| StoreError::of("Query", &error))?;
                self.database.meter.count_read(answer.consumed_capacity());
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

    /// Reads a page of the relationship records of one type that have `end` on one of `sides`, by creation. Positions
    /// are [`keys::listed_at`].
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
        let mut request = self.database.client.query();
        if shard.beginning.is_empty() {
            request = request.key_condition_expression("#partition = :partition");
        } else {
            request =
                Range::Beginning(shard.beginning.clone()).of(request).expression_attribute_names("#entry", shard.entry);
        }
        let answer = request
            .table_name(&self.database.tables.records)
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
        self.database.meter.count_read(answer.consumed_capacity());
        for row in answer.items() {
            let entry = Reader(row).text(shard.entry)?;
            shard.read.push_back(entry.strip_prefix(&shard.beginning).ok_or_else(|| broken(shard.entry))?.to_owned());
        }
        shard.from = shard.read.back().cloned().or(shard.from.take());
        shard.ended = answer.last_evaluated_key().is_none();
        Ok(())
    }
}
