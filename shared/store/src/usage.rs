//! Numbers of records that an account has and may have.
//!
//! Counts are kept in a few rows of the records table, each a part of the sum. A job's growth is noted on the job with each of its
//! chunks, once, and added in the transaction that ends it; a request's own in the transaction of its write. So the sum is
//! exact whenever nothing is under way, whatever was delivered twice or died on the way.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, TransactWriteItem, Update};
use domain::account::AccountId;
use domain::account::usage::{PerKind, RecordKind, Usage};

use crate::attributes::{Attributes, Reader, number, row_key, text};
use crate::catalog::type_counts_key;
use crate::database::{Database, built};
use crate::keys::{self, TypeKind};
use crate::tables::BY_TYPE;
use crate::{Catalog, Jobs, StoreError, Usages};

/// A cache of accounts' usage for a second, for callers that ask again and again. Only accounts that have much room are
/// kept.
#[derive(Debug, Default)]
pub struct UsageCache(Mutex<HashMap<AccountId, (Instant, Usage)>>);

/// How long what was read is used again.
const REMEMBERED: Duration = Duration::from_secs(1);

/// How much room an account has to have for that: more than it can fill in that time, with 40,000 write units a second, which a table
/// takes at the most unless its quota is raised.
const MUCH_ROOM: u64 = 100_000;

/// Accounts that are remembered at the same time.
const ACCOUNTS: usize = 1_000;

impl UsageCache {
    /// Reads how many records the account has and may have, from the cache where it has them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn read(&self, usages: &Usages, account: &AccountId) -> Result<Usage, StoreError> {
        let remembered = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, usage)) = remembered().get(account)
            && at.elapsed() < REMEMBERED
        {
            return Ok(*usage);
        }
        // Before the read: what is read is not older than this.
        let now = Instant::now();
        let usage = usages.usage(account).await?;
        let mut remembered = remembered();
        if RecordKind::ALL.into_iter().all(|kind| usage.room(kind) >= MUCH_ROOM) {
            if remembered.len() >= ACCOUNTS {
                remembered.clear();
            }
            remembered.insert(account.clone(), (now, usage));
        } else {
            remembered.remove(account);
        }
        Ok(usage)
    }
}

/// An account's stored counts of records. When two readings are equal and no job was active at either, no record was
/// made or deleted between them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeptCounts {
    /// Records of each kind.
    pub sums: PerKind<i64>,
    /// How often they have changed.
    moves: u64,
    /// Jobs that are queued or processing.
    pub active: u64,
}

const fn attribute(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Object => "objects",
        RecordKind::Relationship => "relationships",
    }
}

fn limits_key(account: &AccountId) -> Attributes {
    row_key(keys::limits_of(account), keys::limits_row())
}

fn count_key(account: &AccountId, shard: u8) -> Attributes {
    Attributes::from([("pk".to_owned(), text(keys::record_count(account, shard)))])
}

impl Database {
    /// Builds a change of the account's count of records, as an unconditional member of a transaction. The shard is
    /// chosen at random, so that writers seldom meet.
    pub(crate) fn count_records(
        &self,
        account: &AccountId,
        kind: RecordKind,
        change: i64,
    ) -> Result<TransactWriteItem, StoreError> {
        let shard = self.clock.random::<1>()[0] % keys::COUNT_SHARDS;
        let update = Update::builder()
            .table_name(&self.tables.records)
            .set_key(Some(count_key(account, shard)))
            // The second only grows: who counts the records sees by it that nothing came and went meanwhile.
            .update_expression("ADD #count :change, moves :one")
            .expression_attribute_names("#count", attribute(kind))
            .expression_attribute_values(":change", AttributeValue::N(change.to_string()))
            .expression_attribute_values(":one", number(1_u64));
        Ok(TransactWriteItem::builder().update(built(update.build())?).build())
    }
}

impl Usages {
    /// Reads how many records of each kind the account has and may have: one request, strongly consistent.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn usage(&self, account: &AccountId) -> Result<Usage, StoreError> {
        let limits = limits_key(account);
        let counts = (0..keys::COUNT_SHARDS).map(|shard| count_key(account, shard)).collect();
        let wanted = [(&self.database.tables.catalog, vec![limits]), (&self.database.tables.records, counts)].map(
            |(table, keys)| {
                let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
                built(keys.build()).map(|keys| (table.clone(), keys))
            },
        );
        let mut rows = self.database.read_tables(wanted.into_iter().collect::<Result<_, _>>()?).await?;
        let mut usage = Usage::default();
        for row in rows.remove(&self.database.tables.catalog).unwrap_or_default() {
            usage.limits = limits_from_row(&row)?.or(usage.limits);
        }
        let sums = sums_of(&rows.remove(&self.database.tables.records).unwrap_or_default())?;
        for kind in RecordKind::ALL {
            usage.counts.set(kind, u64::try_from(sums.of(kind)).unwrap_or(0));
        }
        Ok(usage)
    }

    /// Reads how many types of each kind the account has.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn type_counts(&self, account: &AccountId) -> Result<PerKind<u64>, StoreError> {
        let row = self.database.read_row(&self.database.tables.catalog, type_counts_key(account)).await?;
        let Some(row) = row else { return Ok(PerKind::default()) };
        let reader = Reader(&row);
        Ok(PerKind {
            objects: reader.optional_number("object_types")?.unwrap_or(0),
            relationships: reader.optional_number("relationship_types")?.unwrap_or(0),
        })
    }

    /// Reads how many records of each kind the account may have.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn limits(&self, account: &AccountId) -> Result<PerKind<u64>, StoreError> {
        let usual = Usage::default().limits;
        let row = self.database.read_row(&self.database.tables.catalog, limits_key(account)).await?;
        row.map_or(Ok(usual), |row| Ok(limits_from_row(&row)?.or(usual)))
    }

    /// Changes how many records the account may have; what is `None` stays, and `Some(None)` is the usual limit again.
    /// For the operator alone.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn change_limits(
        &self,
        account: &AccountId,
        change: PerKind<Option<Option<u64>>>,
    ) -> Result<(), StoreError> {
        for kind in RecordKind::ALL {
            let Some(limit) = change.of(kind) else { continue };
            let update = self
                .database
                .client
                .update_item()
                .table_name(&self.database.tables.catalog)
                .set_key(Some(limits_key(account)))
                .expression_attribute_names("#limit", attribute(kind));
            let update = match limit {
                Some(limit) => {
                    update.update_expression("SET #limit = :limit").expression_attribute_values(":limit", number(limit))
                }
                None => update.update_expression("REMOVE #limit"),
            };
            self.database.update_if(update).await?;
        }
        Ok(())
    }

    /// Reads the stored counts, and how many jobs are active.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn kept_counts(&self, account: &AccountId) -> Result<KeptCounts, StoreError> {
        let keys = (0..keys::COUNT_SHARDS).map(|shard| count_key(account, shard)).collect();
        let rows = self.database.read_rows(&self.database.tables.records, keys).await?;
        let active = Jobs::of(&self.database).admission(account, None, self.database.clock.now()).await?.active;
        let mut moves = 0;
        for row in &rows {
            moves += Reader(row).optional_number("moves")?.unwrap_or(0);
        }
        Ok(KeptCounts { sums: sums_of(&rows)?, moves, active })
    }

    /// Counts the account's records of a kind in the index that lists them, which trails the table by a moment. It
    /// costs half a read unit for about forty records.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_listed(&self, account: &AccountId, kind: RecordKind) -> Result<u64, StoreError> {
        let (kind, types) = match kind {
            RecordKind::Object => {
                let types = Catalog::of(&self.database).object_types(account).await?;
                (TypeKind::Object, types.into_iter().map(|defined| defined.key).collect::<Vec<_>>())
            }
            RecordKind::Relationship => {
                let types = Catalog::of(&self.database).relationship_types(account).await?;
                (TypeKind::Relationship, types.into_iter().map(|defined| defined.key).collect())
            }
        };
        let mut count = 0;
        for key in types {
            for shard in 0..keys::SHARDS {
                count += self.count_partition(&keys::by_type(account, kind, &key, shard)).await?;
            }
        }
        Ok(count)
    }

    async fn count_partition(&self, partition: &str) -> Result<u64, StoreError> {
        let mut count = 0;
        let mut start = None;
        loop {
            let answer = self
                .database
                .client
                .query()
                .table_name(&self.database.tables.records)
                .index_name(BY_TYPE)
                .select(aws_sdk_dynamodb::types::Select::Count)
                .key_condition_expression("type_shard = :partition")
                .expression_attribute_values(":partition", text(partition))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| StoreError::of("Query", &error))?;
            count += u64::try_from(answer.count()).unwrap_or(0);
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }

    /// Corrects the stored counts by adding `change` to them.
    ///
    /// # Errors
    /// When the outcome is not known.
    pub async fn mend_counts(&self, account: &AccountId, change: PerKind<i64>) -> Result<(), StoreError> {
        let update = Update::builder()
            .table_name(&self.database.tables.records)
            .set_key(Some(count_key(account, 0)))
            .update_expression("ADD objects :objects, relationships :relationships, moves :one")
            .expression_attribute_values(":objects", AttributeValue::N(change.objects.to_string()))
            .expression_attribute_values(":relationships", AttributeValue::N(change.relationships.to_string()))
            .expression_attribute_values(":one", number(1_u64));
        // A transaction, because one that is sent again after a lost answer is made once.
        self.database
            .transact(vec![TransactWriteItem::builder().update(built(update.build())?).build()])
            .await
            .map(drop)
    }
}

/// What the operator has set; none where nothing was.
struct SetLimits(PerKind<Option<u64>>);

impl SetLimits {
    fn or(self, usual: PerKind<u64>) -> PerKind<u64> {
        PerKind {
            objects: self.0.objects.unwrap_or(usual.objects),
            relationships: self.0.relationships.unwrap_or(usual.relationships),
        }
    }
}

fn limits_from_row(row: &Attributes) -> Result<SetLimits, StoreError> {
    let reader = Reader(row);
    let mut limits = PerKind::default();
    for kind in RecordKind::ALL {
        limits.set(kind, reader.optional_number(attribute(kind))?);
    }
    Ok(SetLimits(limits))
}

fn sums_of(rows: &[Attributes]) -> Result<PerKind<i64>, StoreError> {
    let mut sums = PerKind::default();
    for row in rows {
        let reader = Reader(row);
        for kind in RecordKind::ALL {
            sums.set(kind, sums.of(kind) + reader.optional_signed(attribute(kind))?.unwrap_or(0));
        }
    }
    Ok(sums)
}
