//! The queue's file: one table, whose SQL is in this module only.
//!
//! Bodies are kept compressed: a request of 50 KB may hold 32 MiB of items that are all alike, and a thousand such jobs may wait.

use std::path::Path;
use std::sync::Arc;

use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use store::queue::Outgoing;

use super::index::RowId;
use super::{Lane, OpenError, Received};

/// The version of the table below. A file of a version before is brought up to it; any other is refused rather than guessed
/// at.
const LAYOUT: i64 = 4;

/// The body stands last, so that reading the rest of a row at the start does not walk through the pages of the body.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS messages (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        lane INTEGER NOT NULL,
        message_id TEXT NOT NULL,
        account TEXT NOT NULL,
        sent_at INTEGER NOT NULL,
        receives INTEGER NOT NULL DEFAULT 0,
        first_received_at INTEGER,
        trace TEXT,
        hold INTEGER NOT NULL DEFAULT 0,
        deaths INTEGER NOT NULL DEFAULT 0,
        packed BLOB NOT NULL DEFAULT x''
    ) STRICT";

/// What layout 2 has that layout 1 had not.
const SINCE_LAYOUT_1: &str = "ALTER TABLE messages ADD COLUMN trace TEXT";

/// The column of bodies that layout 3 has, in place of the one that had them as they are.
const SINCE_LAYOUT_2: &str = "ALTER TABLE messages ADD COLUMN packed BLOB NOT NULL DEFAULT x''";
const UNTIL_LAYOUT_2: &str = "ALTER TABLE messages DROP COLUMN body";

/// What layout 4 has that layout 3 had not.
const SINCE_LAYOUT_3: &str = "
    ALTER TABLE messages ADD COLUMN hold INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE messages ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0";

/// Values of `hold`: the message waits, is handed out, or was handed out when the process died.
const WAITING: i64 = 0;
const HELD: i64 = 1;
const SUSPECT: i64 = 2;

/// How hard a body is compressed: the least, which is the quickest.
const COMPRESSION: i32 = 1;

/// No message is longer: SQS takes 1 MiB.
const MOST_BODY_BYTES: usize = 1024 * 1024;

/// A message that the file holds when the queue is opened. None is in flight then: whoever held one is gone.
pub(super) struct Kept {
    pub(super) row: RowId,
    pub(super) lane: Lane,
    pub(super) account: Arc<str>,
    pub(super) receives: u32,
    pub(super) deaths: u32,
    /// Whether it was in flight when a process died, and has not been handed out since.
    pub(super) is_suspect: bool,
}

/// Opens the file at `path`, or a database in memory, and makes the table when it is not there.
pub(super) fn open(path: Option<&Path>) -> Result<Connection, OpenError> {
    let mut connection = match path {
        Some(path) => Connection::open(path)?,
        None => Connection::open_in_memory()?,
    };
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A send is answered with 201, so what is committed must outlive a power cut and not only the process.
    connection.pragma_update(None, "synchronous", "FULL")?;
    let layout: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match layout {
        0 => change(&mut connection, |transaction| transaction.execute_batch(TABLE))?,
        1 => change(&mut connection, |transaction| {
            transaction.execute_batch(SINCE_LAYOUT_1)?;
            pack_all(transaction)?;
            transaction.execute_batch(SINCE_LAYOUT_3)
        })?,
        2 => change(&mut connection, |transaction| {
            pack_all(transaction)?;
            transaction.execute_batch(SINCE_LAYOUT_3)
        })?,
        3 => change(&mut connection, |transaction| transaction.execute_batch(SINCE_LAYOUT_3))?,
        LAYOUT => {}
        _ => return Err(OpenError::OtherLayout { found: layout }),
    }
    Ok(connection)
}

/// Brings the file to the present layout, wholly or not at all.
fn change(
    connection: &mut Connection,
    alter: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    alter(&transaction)?;
    transaction.pragma_update(None, "user_version", LAYOUT)?;
    transaction.commit()
}

/// From layout 2: compresses every body.
fn pack_all(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(SINCE_LAYOUT_2)?;
    let mut last = i64::MIN;
    let mut next = transaction.prepare("SELECT row, body FROM messages WHERE row > ?1 ORDER BY row LIMIT 1")?;
    // One by one, so that no more than one is in memory.
    while let Some((row, body)) =
        next.query_row([last], |found| Ok((found.get::<_, i64>(0)?, found.get::<_, String>(1)?))).optional()?
    {
        transaction.execute("UPDATE messages SET packed = ?2 WHERE row = ?1", params![row, pack(&body)?])?;
        last = row;
    }
    drop(next);
    transaction.execute_batch(UNTIL_LAYOUT_2)
}

fn pack(body: &str) -> rusqlite::Result<Vec<u8>> {
    zstd::bulk::compress(body.as_bytes(), COMPRESSION)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn unpack(packed: &[u8]) -> rusqlite::Result<String> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Blob, error)
    };
    let body = zstd::bulk::decompress(packed, MOST_BODY_BYTES).map_err(|error| failed(Box::new(error)))?;
    String::from_utf8(body).map_err(|error| failed(Box::new(error)))
}

/// Reads every message. One of the main lane that is marked as handed out was so when the last process ended, and
/// counts one death more; a dead letter stays where it is however often it is handed out.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Kept>> {
    connection.execute(
        "UPDATE messages SET hold = ?1, deaths = deaths + 1 WHERE hold = ?2 AND lane = ?3",
        params![SUSPECT, HELD, lane_number(Lane::Main)],
    )?;
    let mut statement =
        connection.prepare("SELECT row, lane, account, receives, deaths, hold FROM messages ORDER BY row")?;
    let rows = statement.query_map([], |row| {
        Ok(Kept {
            row: RowId(row.get(0)?),
            lane: if row.get::<_, i64>(1)? == lane_number(Lane::Dead) { Lane::Dead } else { Lane::Main },
            account: row.get::<_, String>(2)?.into(),
            receives: row.get(3)?,
            deaths: row.get(4)?,
            is_suspect: row.get::<_, i64>(5)? == SUSPECT,
        })
    })?;
    rows.collect()
}

pub(super) fn insert(
    transaction: &Transaction<'_>,
    message_id: &str,
    message: &Outgoing,
    sent_at: Timestamp,
) -> rusqlite::Result<RowId> {
    let Outgoing { account, body, trace } = message;
    transaction
        .prepare_cached(
            "INSERT INTO messages (lane, message_id, account, sent_at, trace, packed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .insert(params![lane_number(Lane::Main), message_id, account.as_str(), millis(sent_at), trace, pack(body)?])
        .map(RowId)
}

/// Counts one receive of a message and reads it; `None` when the row is not there.
pub(super) fn receive(transaction: &Transaction<'_>, row: RowId, now: Timestamp) -> rusqlite::Result<Option<Received>> {
    transaction
        .prepare_cached(
            "UPDATE messages
             SET receives = receives + 1, first_received_at = coalesce(first_received_at, ?2), hold = ?3
             WHERE row = ?1
             RETURNING message_id, account, packed, receives, sent_at, first_received_at, trace",
        )?
        .query_row(params![row.0, millis(now), HELD], |found| {
            let receives = found.get(3)?;
            Ok(Received {
                message_id: found.get(0)?,
                receipt: super::Receipt { row, receives },
                account: found.get(1)?,
                body: unpack(found.get_ref(2)?.as_blob()?)?,
                receives,
                sent_at: timestamp(found.get(4)?),
                first_received_at: timestamp(found.get(5)?),
                trace: found.get(6)?,
            })
        })
        .optional()
}

/// Notes that a message is no longer handed out: its visibility timeout has ended.
pub(super) fn let_go(transaction: &Transaction<'_>, row: RowId) -> rusqlite::Result<()> {
    transaction.prepare_cached("UPDATE messages SET hold = ?2 WHERE row = ?1")?.execute(params![row.0, WAITING])?;
    Ok(())
}

/// Moves a message to the dead letters and names it.
pub(super) fn bury(transaction: &Transaction<'_>, row: RowId) -> rusqlite::Result<Option<String>> {
    transaction
        .prepare_cached("UPDATE messages SET lane = ?2, hold = ?3 WHERE row = ?1 RETURNING message_id")?
        .query_row(params![row.0, lane_number(Lane::Dead), WAITING], |found| found.get(0))
        .optional()
}

pub(super) fn delete(transaction: &Transaction<'_>, row: RowId) -> rusqlite::Result<()> {
    transaction.prepare_cached("DELETE FROM messages WHERE row = ?1")?.execute([row.0])?;
    Ok(())
}

const fn lane_number(lane: Lane) -> i64 {
    match lane {
        Lane::Main => 0,
        Lane::Dead => 1,
    }
}

fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(millis).unwrap_or_default())
}
