//! Filling of indexes: entries for records that were written before their type asked for an index.
//!
//! From the moment a schema names an attribute in `x-indexed`, whoever writes a record of the type writes its entry too. Those that are
//! there already get theirs here: the records of the type are gone through in the order of their creation, and where one lacks an entry, its
//! row is given it on condition of its version, which stays. Who writes a record's attributes meanwhile writes its entries; where others move
//! it on, it is read once more.
//! When the end is reached, the type says that its indexes are filled, on condition that its schema is still the same; only then do searches use them.
//!
//! It begins [`timing::INDEX_FILLED_AFTER`] after the schema was replaced, when nobody is left that read the type before. How far it has
//! come is noted after each page, so it goes on where the last sweep ended; a page that is gone through twice changes nothing.

use std::time::{Duration, Instant};

use domain::record::{RecordId, Row};
use domain::timing;
use domain::types::{Indexes, ObjectTypeDefinition};
use serde_json::Value;
use store::StoreError;
use store::filling::Filling;
use store::keys::TypeKind;
use store::page::PageQuery;
use store::records::{Written, place_of};

use crate::{Report, Sweep};

/// Records that are read at once: four reads, and at most twenty batches of writes, as a chunk has.
const PAGE_RECORDS: usize = 400;

/// Bytes of attributes that are read at once.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Write units that a filling takes of the table. A new one takes 4,000, of which half are left to who uses it.
const UNITS_PER_SECOND: u32 = 2_000;

/// How long the indexes are given to follow their table at the end. Half a second is usual at the worst.
const INDEX_LAG: Duration = Duration::from_secs(3);

/// How often records of a page are read anew because others wrote them meanwhile. What stays behind even then goes to the next sweep.
const ROUNDS: usize = 30;

/// The outcome of filling the indexes of one type.
enum Filled {
    Done,
    /// Left to a later sweep: it is too early, the time is up, or the schema was replaced.
    Later,
}

impl Sweep {
    /// Fills the indexes of every type that has one to be filled, until `deadline`: each type has its share of the
    /// time, so that none with many records keeps the others waiting.
    pub(crate) async fn fill_indexes(&self, deadline: Instant, report: &mut Report) -> Result<(), StoreError> {
        let fillings = self.catalog.fillings().await?;
        for (done, filling) in fillings.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            // One page at the least, whatever the time: what had none for ever would never be done.
            if done > 0 && left.is_zero() {
                tracing::info!(types = fillings.len() - done, "the sweep ran out of time for filling indexes");
                return Ok(());
            }
            let share = left / u32::try_from(fillings.len() - done).unwrap_or(u32::MAX);
            match self.fill(filling, Instant::now() + share).await {
                Ok(Filled::Done) => {
                    tracing::info!(account.id = %filling.account, type.key = %filling.key, "the indexes of a type are filled");
                    report.filled += 1;
                }
                Ok(Filled::Later) => {}
                Err(error) => {
                    tracing::error!(
                        account.id = %filling.account, type.key = %filling.key, reason = %error, "indexes are not filled"
                    );
                    report.unfilled += 1;
                }
            }
        }
        Ok(())
    }

    async fn fill(&self, filling: &Filling, deadline: Instant) -> Result<Filled, StoreError> {
        let now = self.catalog.clock().now();
        let begins = filling.since.plus_millis(timing::INDEX_FILLED_AFTER.as_secs() * 1_000);
        if now < begins {
            return Ok(Filled::Later);
        }
        // Of a replacement that was noted and never made, or of a type that is gone, nothing is left to do.
        let defined = self.catalog.object_type(&filling.account, &filling.key).await?;
        let Some(defined) = defined.filter(|defined| defined.filled != defined.indexes) else {
            self.catalog.end_filling(filling).await?;
            return Ok(Filled::Later);
        };
        if defined.version != filling.version {
            self.catalog.note_filling(&filling.account, &filling.key, defined.version, now).await?;
            return Ok(Filled::Later);
        }
        self.fill_pages(filling, &defined, deadline).await
    }

    async fn fill_pages(
        &self,
        filling: &Filling,
        defined: &ObjectTypeDefinition,
        deadline: Instant,
    ) -> Result<Filled, StoreError> {
        let mut from = filling.from.clone();
        loop {
            let began = Instant::now();
            let query = PageQuery { from: from.clone(), backwards: false, descending: false, limit: PAGE_RECORDS };
            let page =
                self.records.list_records(&filling.account, TypeKind::Object, &filling.key, &query, PAGE_BYTES).await?;
            let reached = page.items.last().and_then(place_of);
            let Some(units) = self.add_entries(filling, page.items, &defined.indexes).await? else {
                return Ok(Filled::Later);
            };
            if !page.more_after {
                // Searches rely on it from then on, and the indexes trail their table.
                tokio::time::sleep(INDEX_LAG).await;
                // In this order: a note that stays behind is taken away by the next sweep.
                let is_done = self.catalog.indexes_are_filled(filling, defined).await?;
                self.catalog.end_filling(filling).await?;
                return Ok(if is_done { Filled::Done } else { Filled::Later });
            }
            let Some(reached) = reached else { return Ok(Filled::Later) };
            if !self.catalog.move_filling(filling, &reached).await? || Instant::now() >= deadline {
                return Ok(Filled::Later);
            }
            from = Some(reached);
            let pace = Duration::from_secs(1) * u32::try_from(units).unwrap_or(u32::MAX) / UNITS_PER_SECOND;
            tokio::time::sleep_until((began + pace).into()).await;
        }
    }

    /// Gives the rows the entries that they lack, and answers with the write units that it took, about; `None` when some of them were
    /// written by others each time.
    async fn add_entries(
        &self,
        filling: &Filling,
        mut rows: Vec<Row>,
        indexes: &Indexes,
    ) -> Result<Option<usize>, StoreError> {
        let mut units = 0;
        for _ in 0..ROUNDS {
            let mut changes = Vec::new();
            for row in rows {
                let Some(record) = row.object() else { continue };
                // What is stored was JSON when it was written.
                let attributes: Value = serde_json::from_str(&record.attributes)
                    .map_err(|_| StoreError::UnreadableRow("its attributes are no JSON".to_owned()))?;
                let entries = indexes.entries_of(&attributes);
                if record.entries.as_deref() != Some(&entries) {
                    // A unit for each kilobyte of the row, of which something is not attributes, and one for each index.
                    units += record.attributes.len() / 1_024 + 2 + entries.slots.iter().flatten().count();
                    changes.push((row, entries));
                }
            }
            if changes.is_empty() {
                return Ok(Some(units));
            }
            let written = self.catalog.write_entries(&filling.account, &changes).await?;
            let lost = changes.iter().zip(written).filter(|(_, written)| *written == Written::Lost);
            let lost: Vec<RecordId> = lost.filter_map(|((row, _), _)| Some(row.object()?.id)).collect();
            // Those alone, and at once: who is an end of many relationships is written all the time, and does not get its entries by that.
            rows = self.records.records(&filling.account, lost).await?.into_values().collect();
        }
        Ok(None)
    }
}
