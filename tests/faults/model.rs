//! What items do, in memory and one after the other: what the service is measured by.
//!
//! It shares nothing with the service but the ids of records, which clients see too.

use std::collections::{BTreeMap, BTreeSet};

use domain::account::AccountId;
use domain::job::{JobId, Operation};
use domain::record::RecordId;
use domain::types::{Cardinality, TypeKey};
use serde_json::{Map, Value};

use crate::watch::{CATALOG, Change, RECORDS, RowJson, text};

/// What a record holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Held {
    Object { object_type: String, attributes: Map<String, Value> },
    Relationship { source: String, target: String },
}

/// An account's types and records at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub records: BTreeMap<RecordId, Held>,
    /// Schemas by type, in lower case.
    object_types: BTreeMap<String, Value>,
    relationship_types: BTreeSet<String>,
}

/// Why an item fails: the status of its error.
pub type Failing = &'static str;

const NOT_FOUND: Failing = "404";
const UNPROCESSABLE: Failing = "422";

impl State {
    /// Takes over what the account's row became.
    pub fn follow(&mut self, account: &AccountId, change: &Change) {
        let (table, partition, sort) = &change.place;
        if table == RECORDS
            && let Some((owner, id)) = partition.split_once('#')
            && owner == account.as_str()
            // What has another # in it is no record.
            && !id.contains('#')
        {
            let id = RecordId::parse(id).expect("a record id");
            match change.after.as_ref().and_then(held) {
                Some(held) => self.records.insert(id, held),
                None => self.records.remove(&id),
            };
        }
        if table == CATALOG && partition == account.as_str() {
            if sort.starts_with("OBJECT_TYPE#") {
                let key = |row: &RowJson| text(row, "key").to_lowercase();
                match (&change.before, &change.after) {
                    (_, Some(row)) => {
                        let schema = serde_json::from_str(text(row, "schema")).expect("a schema");
                        self.object_types.insert(key(row), schema);
                    }
                    (Some(row), None) => drop(self.object_types.remove(&key(row))),
                    (None, None) => {}
                }
            } else if let Some(key) = sort.strip_prefix("RELATIONSHIP_TYPE#") {
                match &change.after {
                    Some(_) => self.relationship_types.insert(key.to_lowercase()),
                    None => self.relationship_types.remove(&key.to_lowercase()),
                };
            }
        }
    }

    /// The same records, under the types of another moment.
    pub fn under_types_of(&self, other: &Self) -> Self {
        Self {
            records: self.records.clone(),
            object_types: other.object_types.clone(),
            relationship_types: other.relationship_types.clone(),
        }
    }

    pub fn has_types_of(&self, other: &Self) -> bool {
        self.object_types == other.object_types && self.relationship_types == other.relationship_types
    }

    /// Does what an item asks, or says why not and changes nothing.
    pub fn apply(&mut self, item: &Item<'_>) -> Result<RecordId, Failing> {
        let Some(id) = item.record() else { return Err(UNPROCESSABLE) };
        let json = item.json;
        match item.operation {
            Operation::CreateObjects => {
                if self.object_of(id).is_some() {
                    return Err(UNPROCESSABLE);
                }
                let attributes = object(&json["attributes"])?;
                self.put(id, string(&json["type"]), attributes)?;
            }
            Operation::SetObjects => {
                let patch = object(&json["attributes"])?;
                let mut attributes = self.object_of(id).cloned().unwrap_or_default();
                merge(&mut attributes, &patch);
                self.put(id, string(&json["type"]), attributes)?;
            }
            Operation::UpdateObjects => {
                let Some(Held::Object { object_type, attributes }) = self.records.get(&id) else {
                    return Err(NOT_FOUND);
                };
                let (object_type, mut attributes) = (object_type.clone(), attributes.clone());
                merge(&mut attributes, &object(&json["attributes"])?);
                self.put(id, &object_type, attributes)?;
            }
            Operation::DeleteObjects | Operation::DeleteObjectsByExternalId => {
                if self.object_of(id).is_none() {
                    return Err(NOT_FOUND);
                }
                if self.has_links(id) {
                    return Err(UNPROCESSABLE);
                }
                self.records.remove(&id);
            }
            Operation::CreateRelationships => {
                if !self.relationship_types.contains(&string(&json["relationship_type"]).to_lowercase()) {
                    return Err(NOT_FOUND);
                }
                let (source, target) = (string(&json["source"]), string(&json["target"]));
                let is_there = |end: &str| RecordId::parse(end).is_some_and(|end| self.object_of(end).is_some());
                if self.records.contains_key(&id) || !is_there(source) || !is_there(target) {
                    return Err(UNPROCESSABLE);
                }
                let made = Held::Relationship { source: source.to_owned(), target: target.to_owned() };
                self.records.insert(id, made);
            }
            Operation::DeleteRelationships => {
                if !matches!(self.records.get(&id), Some(Held::Relationship { .. })) {
                    return Err(NOT_FOUND);
                }
                self.records.remove(&id);
            }
        }
        Ok(id)
    }

    fn object_of(&self, id: RecordId) -> Option<&Map<String, Value>> {
        match self.records.get(&id)? {
            Held::Object { attributes, .. } => Some(attributes),
            Held::Relationship { .. } => None,
        }
    }

    fn has_links(&self, id: RecordId) -> bool {
        let id = id.to_string();
        self.records.values().any(|held| match held {
            Held::Object { .. } => false,
            Held::Relationship { source, target } => *source == id || *target == id,
        })
    }

    fn put(&mut self, id: RecordId, object_type: &str, attributes: Map<String, Value>) -> Result<(), Failing> {
        let schema = self.object_types.get(&object_type.to_lowercase()).ok_or(NOT_FOUND)?;
        if !fits(schema, &attributes) {
            return Err(UNPROCESSABLE);
        }
        self.records.insert(id, Held::Object { object_type: object_type.to_lowercase(), attributes });
        Ok(())
    }
}

/// What a row holds; nothing in a tombstone.
pub fn held(row: &RowJson) -> Option<Held> {
    if row.get("type").is_some() {
        let attributes = serde_json::from_str(text(row, "attributes")).expect("attributes");
        Some(Held::Object { object_type: text(row, "type").to_lowercase(), attributes })
    } else if row.get("relationship_type").is_some() {
        let (source, target) = (text(row, "source").to_owned(), text(row, "target").to_owned());
        Some(Held::Relationship { source, target })
    } else {
        None
    }
}

/// One item of a job.
#[derive(Clone, Copy, Debug)]
pub struct Item<'job> {
    pub account: &'job AccountId,
    pub job: JobId,
    pub operation: Operation,
    pub position: u32,
    pub json: &'job Value,
}

impl Item<'_> {
    /// The record that it is about; none when it cannot be read.
    pub fn record(&self) -> Option<RecordId> {
        let json = self.json;
        let type_key = |value: &Value| TypeKey::parse(value.as_str()?).ok();
        let by_external_id =
            |external_id: &str| Some(RecordId::of_external_id(self.account, &type_key(&json["type"])?, external_id));
        match self.operation {
            Operation::CreateObjects => match &json["external_id"] {
                Value::Null => {
                    type_key(&json["type"]).map(|_| RecordId::of_item(self.account, self.job, self.position))
                }
                external_id => by_external_id(external_id.as_str()?),
            },
            Operation::SetObjects | Operation::DeleteObjectsByExternalId => {
                by_external_id(json["external_id"].as_str()?)
            }
            Operation::UpdateObjects => RecordId::parse(json["id"].as_str()?),
            Operation::DeleteObjects | Operation::DeleteRelationships => RecordId::parse(json.as_str()?),
            Operation::CreateRelationships => {
                let key = type_key(&json["relationship_type"])?;
                let (source, target) = (json["source"].as_str()?, json["target"].as_str()?);
                // The scenes relate in one way only.
                Some(RecordId::of_relationship(self.account, &key, Cardinality::OneToMany, source, target))
            }
        }
    }
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn object(value: &Value) -> Result<Map<String, Value>, Failing> {
    value.as_object().cloned().ok_or(UNPROCESSABLE)
}

/// RFC 7396, for the flat patches of the scenes.
fn merge(attributes: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        assert!(!value.is_object(), "the scenes' patches are flat");
        match value {
            Value::Null => drop(attributes.shift_remove(name)),
            value => drop(attributes.insert(name.clone(), value.clone())),
        }
    }
}

/// As much of JSON schema as the scenes use: `required`, and of each property its `type`, `minimum` and `maximum`.
fn fits(schema: &Value, attributes: &Map<String, Value>) -> bool {
    let required = schema["required"].as_array().into_iter().flatten();
    if !required.map(string).all(|name| attributes.contains_key(name)) {
        return false;
    }
    attributes.iter().all(|(name, value)| {
        let property = &schema["properties"][name.as_str()];
        let of_type = match string(&property["type"]) {
            "string" => value.is_string(),
            "number" => value.is_number(),
            _ => true,
        };
        let bound = |bound: &str| property[bound].as_f64();
        let value = value.as_f64();
        of_type
            && value.zip(bound("minimum")).is_none_or(|(value, least)| value >= least)
            && value.zip(bound("maximum")).is_none_or(|(value, most)| value <= most)
    })
}
