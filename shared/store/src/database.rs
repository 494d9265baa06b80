//! The database client that all parts of the store share: its tables, and the calls that several parts make.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{KeysAndAttributes, PutRequest, ReturnConsumedCapacity, WriteRequest};
use domain::clock::Clock;
use futures_util::future::try_join_all;

use crate::StoreError;
use crate::attributes::{Attributes, text};
use crate::jobs::ends::Ends;
use crate::meter::Meter;
use crate::reading::ReadsRows;
use crate::retry::Backoff;
use crate::tables::TableNames;

/// Keys in one `BatchGetItem`.
pub(crate) const KEYS_PER_READ: usize = 100;

/// A client and the names of the tables.
#[derive(Clone, Debug)]
pub struct Database {
    pub(crate) client: Client,
    pub(crate) tables: TableNames,
    pub(crate) clock: Clock,
    pub(crate) meter: Meter,
    pub(crate) ends: Ends,
}

impl Database {
    /// Reads one row by its key, strongly consistent.
    pub(crate) async fn read_row(&self, table: &str, key: Attributes) -> Result<Option<Attributes>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(table)
            .set_key(Some(key))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await
            .map_err(|error| StoreError::of("GetItem", &error))?;
        self.meter.count_read(answer.consumed_capacity());
        Ok(answer.item)
    }

    /// Reads rows by their keys, strongly consistent: in any order, without those that do not exist.
    pub(crate) async fn read_rows(&self, table: &str, keys: Vec<Attributes>) -> Result<Vec<Attributes>, StoreError> {
        let batches = keys.chunks(KEYS_PER_READ).map(|keys| self.read_batch(table, keys.to_vec()));
        Ok(try_join_all(batches).await?.into_iter().flatten().collect())
    }

    async fn read_batch(&self, table: &str, keys: Vec<Attributes>) -> Result<Vec<Attributes>, StoreError> {
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let mut rows = self.read_tables(HashMap::from([(table.to_owned(), built(wanted.build())?)])).await?;
        Ok(rows.remove(table).unwrap_or_default())
    }

    /// Reads at most [`KEYS_PER_READ`] rows of several tables by their keys: in one request, unless the database
    /// answers only a part of it.
    pub(crate) async fn read_tables(
        &self,
        mut wanted: HashMap<String, KeysAndAttributes>,
    ) -> Result<HashMap<String, Vec<Attributes>>, StoreError> {
        let mut rows: HashMap<String, Vec<Attributes>> = HashMap::new();
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        for _ in 0..10 {
            let answer = self
                .client
                .batch_get_item()
                .set_request_items(Some(wanted))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .customize()
                .interceptor(ReadsRows)
                .send()
                .await
                .map_err(|error| StoreError::of("BatchGetItem", &error))?;
            self.meter.count_read(answer.consumed_capacity());
            for (table, read) in answer.responses.unwrap_or_default() {
                rows.entry(table).or_default().extend(read);
            }
            wanted = answer.unprocessed_keys.unwrap_or_default();
            wanted.retain(|_, rest| !rest.keys().is_empty());
            if wanted.is_empty() {
                return Ok(rows);
            }
            self.meter.count_throttles(wanted.values().map(|rest| rest.keys().len()).sum());
            backoff.wait(&self.clock).await;
        }
        Err(StoreError::Unavailable { call: "BatchGetItem", reason: "keys stayed unprocessed".to_owned() })
    }

    pub(crate) async fn put_rows(&self, rows: Vec<Attributes>) -> Result<(), StoreError> {
        let mut writes = Vec::with_capacity(rows.len());
        for row in rows {
            let put = built(PutRequest::builder().set_item(Some(row)).build())?;
            writes.push(WriteRequest::builder().put_request(put).build());
        }
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        for _ in 0..10 {
            let answer = self
                .client
                .batch_write_item()
                .request_items(&self.tables.jobs, writes)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
                .await
                .map_err(|error| StoreError::of("BatchWriteItem", &error))?;
            self.meter.count_write(answer.consumed_capacity());
            let unprocessed = answer.unprocessed_items.and_then(|mut tables| tables.remove(&self.tables.jobs));
            match unprocessed {
                Some(rest) if !rest.is_empty() => {
                    self.meter.count_throttles(rest.len());
                    writes = rest;
                }
                _ => return Ok(()),
            }
            backoff.wait(&self.clock).await;
        }
        Err(StoreError::Unavailable { call: "BatchWriteItem", reason: "rows stayed unprocessed".to_owned() })
    }

    /// Reads every row of a partition whose sort key begins with a prefix, in the order of the keys.
    pub(crate) async fn rows_that_begin(
        &self,
        table: &str,
        partition: &str,
        prefix: &str,
    ) -> Result<Vec<Attributes>, StoreError> {
        let mut rows = Vec::new();
        let mut start = None;
        loop {
            let mut query = self
                .client
                .query()
                .table_name(table)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", text(partition))
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .set_exclusive_start_key(start);
            // Nothing is no prefix to DynamoDB.
            if !prefix.is_empty() {
                query = query
                    .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                    .expression_attribute_values(":prefix", text(prefix));
            }
            let answer = query.send().await.map_err(|error| StoreError::of("Query", &error))?;
            self.meter.count_read(answer.consumed_capacity());
            rows.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(rows);
            }
        }
    }
}

/// Unwraps what an SDK builder made: it fails only for a required field that this code always sets.
pub(crate) fn built<Built>(built: Result<Built, aws_sdk_dynamodb::error::BuildError>) -> Result<Built, StoreError> {
    built.map_err(|error| StoreError::Refused { call: "building a request", reason: error.to_string() })
}
