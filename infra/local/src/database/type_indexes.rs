//! Lazy creation of the indexes that types ask for: each with the first type that asks for it.
//!
//! On AWS an index that no row is in costs nothing. This engine looks at each of a table's indexes with each write: the six that types may ask
//! for take a fifth more of the time of a record, and each takes 9 µs a row to make, while nobody is answered. So who has no use for one does
//! without.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use domain::types::Indexes;
use domain::types::indexes::SLOTS;
use dynoxide::{Database, DynoxideError};
use memchr::memmem;
use serde_json::{Value, json};
use store::tables::{self, TypeIndex};

use super::ask;

/// What a write of a type with indexes calls them in its body, by whichever request it is made: the attribute, or the value of an update.
const NAMES: [&str; 2] = ["x_indexes", ":indexes"];

/// The indexes that types ask for, of one table, and which of them are known to exist.
pub(super) struct TypeIndexes {
    table: String,
    made: Mutex<BTreeSet<&'static str>>,
}

impl TypeIndexes {
    /// Makes the value for the table of records with this name.
    pub(super) fn of(table: String) -> Self {
        Self { table, made: Mutex::default() }
    }

    /// Makes the indexes that are missing, if this request writes a type that asks for some.
    ///
    /// # Errors
    /// When the database refuses.
    pub(super) fn before(&self, database: &Database, target: &str, body: &[u8]) -> Result<(), DynoxideError> {
        let may_define = target.ends_with(".TransactWriteItems") || target.ends_with(".UpdateItem");
        if !may_define || !NAMES.iter().any(|name| memmem::find(body, name.as_bytes()).is_some()) {
            return Ok(());
        }
        // What is no JSON is refused by the engine.
        let wanted = serde_json::from_slice(body).map(|body| asked_for(&body)).unwrap_or_default();
        // Both threads may be here at the same time: the second waits for the first.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted.iter().all(|index| made.contains(index.name)) {
            return Ok(());
        }
        let described = ask(database, "DescribeTable", json!({"TableName": self.table}).to_string().as_bytes())?;
        for index in wanted {
            // As in a file that an earlier run has left.
            if !described.contains(&format!(r#""IndexName":"{}""#, index.name)) {
                ask(database, "UpdateTable", self.creation(index).to_string().as_bytes())?;
            }
            made.insert(index.name);
        }
        Ok(())
    }

    fn creation(&self, TypeIndex { name, partition, entry }: TypeIndex) -> Value {
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

/// The indexes that the types ask for which a request writes.
fn asked_for(request: &Value) -> Vec<TypeIndex> {
    let mut wanted = BTreeSet::new();
    note(request, &mut wanted);
    // The last is that of the last update, after those of the slots.
    tables::type_indexes().enumerate().filter(|(at, _)| wanted.contains(at)).map(|(_, index)| index).collect()
}

fn note(value: &Value, wanted: &mut BTreeSet<usize>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let text = value.get("S").and_then(Value::as_str).filter(|_| NAMES.contains(&name.as_str()));
                if let Some(indexes) = text.and_then(Indexes::of_text) {
                    wanted.extend(indexes.paths().filter_map(|path| indexes.slot(path)));
                    wanted.extend(indexes.has_updated_at().then_some(SLOTS));
                } else {
                    note(value, wanted);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| note(value, wanted)),
        _ => {}
    }
}
