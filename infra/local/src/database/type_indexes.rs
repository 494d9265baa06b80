//! Lazy creation of the indexes that types ask for: with the first type that does.
//!
//! On AWS an index that no row is in costs nothing. This engine looks at each of a table's indexes with each write: the six that types may ask
//! for take a fifth more of the time of a record, so who has no use for them does without.

use std::sync::atomic::{AtomicBool, Ordering};

use dynoxide::{Database, DynoxideError};
use memchr::memmem;
use serde_json::{Value, json};
use store::tables::{self, TypeIndex};

use super::ask;

/// What a write of a type with indexes has in its body, by whichever request it is made. The SDK escapes no name.
const MARKS: [&str; 2] = [r#""x_indexes":{"#, r#"":indexes":{"#];

/// The indexes that types ask for, of one table, and whether they exist.
pub(super) struct TypeIndexes {
    table: String,
    are_there: AtomicBool,
}

impl TypeIndexes {
    /// Makes the value for the table of records with this name.
    pub(super) fn of(table: String) -> Self {
        Self { table, are_there: AtomicBool::new(false) }
    }

    /// Makes the indexes, if they are missing and this request is the first to write a type that asks for some.
    ///
    /// # Errors
    /// When the database refuses.
    pub(super) fn before(&self, database: &Database, target: &str, body: &[u8]) -> Result<(), DynoxideError> {
        let may_define = target.ends_with(".TransactWriteItems") || target.ends_with(".UpdateItem");
        if !may_define
            || self.are_there.load(Ordering::Acquire)
            || !MARKS.iter().any(|mark| memmem::find(body, mark.as_bytes()).is_some())
        {
            return Ok(());
        }
        let described = ask(database, "DescribeTable", json!({"TableName": self.table}).to_string().as_bytes())?;
        // Both threads may be here at the same time; the one that comes second finds some there, and none twice.
        for TypeIndex { name, partition, entry } in tables::type_indexes() {
            if described.contains(&format!(r#""IndexName":"{name}""#)) {
                continue;
            }
            let request = self.creation(name, partition, entry).to_string();
            match ask(database, "UpdateTable", request.as_bytes()) {
                Err(error) if !error.to_json().contains("already exists") => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        self.are_there.store(true, Ordering::Release);
        Ok(())
    }

    fn creation(&self, name: &str, partition: &str, entry: &str) -> Value {
        let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
        json!({
            "TableName": self.table,
            "AttributeDefinitions": [attribute(partition), attribute(entry)],
            "GlobalSecondaryIndexUpdates": [{"Create": {
                "IndexName": name,
                "KeySchema": [
                    {"AttributeName": partition, "KeyType": "HASH"},
                    {"AttributeName": entry, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }}],
        })
    }
}
