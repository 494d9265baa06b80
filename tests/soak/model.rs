//! What one lane's records must be: the rules of the service once more, in memory and as simply as can be, for records that
//! only one job at a time writes.
//!
//! The row's version is part of it. Every write adds one, and a job writes a record once however many of its items touch
//! it, so an item that was applied a second time shows even where its effect would look the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::account::AccountId;
use domain::job::JobId;
use domain::limits::ITEMS_PER_CHUNK;
use domain::record::RecordId;
use domain::types::{Cardinality, TypeKey};
use serde_json::{Map, Value, json};

pub type Attributes = Map<String, Value>;

const NOT_PROCESSED: &str = "The job was stopped before it came to this item: it was not applied";

/// One item of a job.
#[derive(Clone, Debug)]
pub enum Item {
    Post {
        name: Option<String>,
        attributes: Attributes,
    },
    Set {
        name: String,
        patch: Attributes,
    },
    Update {
        id: RecordId,
        patch: Attributes,
    },
    Delete {
        id: RecordId,
    },
    DeleteNamed {
        name: String,
    },
    Relate {
        hub: RecordId,
        target: RecordId,
    },
    Unrelate {
        id: RecordId,
    },
    /// Fails whatever stands where.
    Wrong {
        item: Value,
        detail: String,
    },
    /// Of a record that several lanes touch: see `shared`.
    Shared {
        item: Value,
        touch: Touch,
    },
}

/// What an item does to something that several lanes touch at once.
#[derive(Clone, Debug)]
pub enum Touch {
    /// Sets the lane's own member of this shared record.
    Member {
        place: usize,
        value: u64,
    },
    Make {
        contest: u64,
        attributes: Attributes,
    },
    Remove {
        contest: u64,
    },
}

/// What must come of an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expected {
    Done(RecordId),
    /// Exactly these errors in any order, each by how its detail begins.
    Fails(Vec<String>),
    /// The one or the other of two: see [`Model::post`].
    FailsEither(Vec<String>, Vec<String>),
    /// That depends on other lanes.
    Open,
    /// The job was stopped before: exactly that error, and no trace.
    Left,
}

/// An object record that the lane has named once, whether or not it exists.
#[derive(Clone, Debug, Default)]
pub struct Object {
    pub external_id: Option<String>,
    pub attributes: Option<Attributes>,
    pub version: u64,
    pub links: u64,
}

/// A relationship record.
#[derive(Clone, Debug)]
pub struct Link {
    pub hub: RecordId,
    pub target: RecordId,
    pub exists: bool,
    pub version: u64,
}

/// One lane's records.
pub struct Model {
    pub account: AccountId,
    pub objects: BTreeMap<RecordId, Object>,
    pub links: BTreeMap<RecordId, Link>,
    /// Every id of both, in the order in which they were first named, to choose from.
    pub object_ids: Vec<RecordId>,
    pub link_ids: Vec<RecordId>,
}

pub fn key(text: &str) -> TypeKey {
    TypeKey::parse(text).expect("a type key")
}

impl Item {
    pub fn json(&self) -> Value {
        match self {
            Self::Post { name: Some(name), attributes } => {
                json!({"type": "item", "external_id": name, "attributes": attributes})
            }
            Self::Post { name: None, attributes } => json!({"type": "item", "attributes": attributes}),
            Self::Set { name, patch } => json!({"type": "item", "external_id": name, "attributes": patch}),
            Self::Update { id, patch } => json!({"id": id.to_string(), "attributes": patch}),
            Self::Delete { id } | Self::Unrelate { id } => json!(id.to_string()),
            Self::DeleteNamed { name } => json!({"type": "item", "external_id": name}),
            Self::Relate { hub, target } => {
                json!({"relationship_type": "likes", "source": hub.to_string(), "target": target.to_string()})
            }
            Self::Wrong { item, .. } | Self::Shared { item, .. } => item.clone(),
        }
    }
}

impl Model {
    pub fn new(account: AccountId) -> Self {
        let (object_ids, link_ids) = (Vec::new(), Vec::new());
        Self { account, objects: BTreeMap::new(), links: BTreeMap::new(), object_ids, link_ids }
    }

    pub fn id_of(&self, name: &str) -> RecordId {
        RecordId::of_external_id(&self.account, &key("item"), name)
    }

    pub fn link_id(&self, hub: RecordId, target: RecordId) -> RecordId {
        let (hub, target) = (hub.to_string(), target.to_string());
        RecordId::of_relationship(&self.account, &key("likes"), Cardinality::OneToMany, &hub, &target)
    }

    /// Applies a job whose chunks were all recorded, but for the items that are `left` (one flag an item): those that the job was
    /// stopped before. Answers with what must have come of each item.
    pub fn apply(&mut self, job: JobId, items: &[Item], left: &[bool]) -> Vec<Expected> {
        let ids: Vec<Option<RecordId>> =
            (0..).zip(items).map(|(position, item)| self.object_of(job, position, item)).collect();
        let mut sizes: HashMap<RecordId, usize> = HashMap::new();
        for id in ids.iter().flatten() {
            *sizes.entry(*id).or_default() += 1;
        }
        // Of each record, which of the chunks of its chain wrote it. Mostly there is no chain: all its items share a chunk.
        let mut seen: HashMap<RecordId, usize> = HashMap::new();
        let mut written: BTreeSet<(RecordId, usize)> = BTreeSet::new();
        let mut expected = Vec::with_capacity(items.len());
        for ((item, id), left) in items.iter().zip(ids).zip(left) {
            let outcome = if *left { Expected::Left } else { self.apply_one(item, id) };
            if let Some(id) = id {
                let before = seen.entry(id).or_default();
                let chunk = if sizes[&id] > ITEMS_PER_CHUNK { *before / ITEMS_PER_CHUNK } else { 0 };
                *before += 1;
                if matches!(outcome, Expected::Done(_)) {
                    written.insert((id, chunk));
                }
            }
            expected.push(outcome);
        }
        for (id, _) in written {
            self.object(id).version += 1;
        }
        expected
    }

    fn object_of(&self, job: JobId, position: u32, item: &Item) -> Option<RecordId> {
        match item {
            Item::Post { name: None, .. } => Some(RecordId::of_item(&self.account, job, position)),
            Item::Post { name: Some(name), .. } | Item::Set { name, .. } | Item::DeleteNamed { name } => {
                Some(self.id_of(name))
            }
            Item::Update { id, .. } | Item::Delete { id } => Some(*id),
            Item::Relate { .. } | Item::Unrelate { .. } | Item::Wrong { .. } | Item::Shared { .. } => None,
        }
    }

    fn object(&mut self, id: RecordId) -> &mut Object {
        self.objects.entry(id).or_insert_with(|| {
            self.object_ids.push(id);
            Object::default()
        })
    }

    fn apply_one(&mut self, item: &Item, id: Option<RecordId>) -> Expected {
        match (item, id) {
            (Item::Post { name, attributes }, Some(id)) => self.post(id, name.as_ref(), attributes),
            (Item::Set { name, patch }, Some(id)) => {
                let object = self.object(id);
                let merged = merged(object.attributes.clone().unwrap_or_default(), patch);
                object.put(id, Some(name), merged)
            }
            (Item::Update { patch, .. }, Some(id)) => {
                let object = self.object(id);
                match object.attributes.clone() {
                    None => fails(format!("No record has the id \"{id}\"")),
                    Some(attributes) => object.put(id, None, merged(attributes, patch)),
                }
            }
            (Item::Delete { .. }, Some(id)) => self.object(id).delete(id, || format!("No record has the id \"{id}\"")),
            (Item::DeleteNamed { name }, Some(id)) => {
                self.object(id).delete(id, || format!("No record of type item has the external id \"{name}\""))
            }
            (Item::Relate { hub, target }, _) => self.relate(*hub, *target),
            (Item::Unrelate { id }, _) => self.unrelate(*id),
            (Item::Wrong { detail, .. }, _) => fails(detail.clone()),
            (_, _) => Expected::Open,
        }
    }

    /// An item that is wrong in itself and whose external id is taken fails for one of the two reasons: the first worker
    /// of a chunk of posts reads no rows, and finds what is wrong with the item; a later one reads them, and finds the
    /// external id taken.
    fn post(&mut self, id: RecordId, name: Option<&String>, attributes: &Attributes) -> Expected {
        let object = self.object(id);
        if object.attributes.is_none() {
            return object.put(id, name, attributes.clone());
        }
        let taken = vec!["External Id is already in use for the Resource Type key: item".to_owned()];
        match broken(attributes) {
            broken if broken.is_empty() => Expected::Fails(taken),
            broken => Expected::FailsEither(taken, broken),
        }
    }

    fn relate(&mut self, hub: RecordId, target: RecordId) -> Expected {
        let id = self.link_id(hub, target);
        let exists = self.links.get(&id).is_some_and(|link| link.exists);
        if exists {
            return fails(format!("A relationship record of type likes from \"{hub}\" to \"{target}\" already exists"));
        }
        if self.objects.get(&target).is_none_or(|object| object.attributes.is_none()) {
            return fails(format!("target \"{target}\" does not exist"));
        }
        self.count_link(target, 1);
        let link = self.links.entry(id).or_insert_with(|| {
            self.link_ids.push(id);
            Link { hub, target, exists: false, version: 0 }
        });
        link.exists = true;
        link.version += 1;
        Expected::Done(id)
    }

    fn unrelate(&mut self, id: RecordId) -> Expected {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.exists) else {
            return fails(format!("No relationship record has the id \"{id}\""));
        };
        link.exists = false;
        link.version += 1;
        let target = link.target;
        self.count_link(target, -1);
        Expected::Done(id)
    }

    /// A relationship is written together with the count of its ends, which is one more write of each. No job names one
    /// target twice (two of them may be one write).
    fn count_link(&mut self, target: RecordId, change: i64) {
        let object = self.object(target);
        object.links = object.links.saturating_add_signed(change);
        object.version += 1;
    }
}

impl Object {
    fn put(&mut self, id: RecordId, name: Option<&String>, attributes: Attributes) -> Expected {
        let broken = broken(&attributes);
        if !broken.is_empty() {
            return Expected::Fails(broken);
        }
        if self.attributes.is_none() {
            self.external_id = name.cloned();
        }
        self.attributes = Some(attributes);
        Expected::Done(id)
    }

    fn delete(&mut self, id: RecordId, missing: impl Fn() -> String) -> Expected {
        if self.attributes.is_none() {
            return fails(missing());
        }
        if self.links > 0 {
            return fails(format!("The record is an end of {} relationship record", self.links));
        }
        self.attributes = None;
        Expected::Done(id)
    }
}

fn fails(detail: impl Into<String>) -> Expected {
    Expected::Fails(vec![detail.into()])
}

/// The schema of `item`, as code: see `world`.
fn broken(attributes: &Attributes) -> Vec<String> {
    let mut broken = Vec::new();
    let mut breaks = |member: &str, rule: &str| broken.push(format!("attributes.{member} breaks the rule \"{rule}\""));
    if !attributes.contains_key("name") {
        breaks("name", "required");
    }
    if attributes.get("price").and_then(Value::as_i64).is_some_and(|price| price < 0) {
        breaks("price", "minimum");
    }
    if attributes.contains_key("colour") {
        breaks("colour", "additionalProperties");
    }
    broken
}

/// A merge patch of members that are no objects.
fn merged(mut attributes: Attributes, patch: &Attributes) -> Attributes {
    for (member, value) in patch {
        if value.is_null() {
            attributes.shift_remove(member);
        } else {
            attributes.insert(member.clone(), value.clone());
        }
    }
    attributes
}

/// What a result says: the id, or the details of its errors.
pub fn outcome_of(result: &Value) -> Result<RecordId, Vec<String>> {
    if result["success"] == true {
        let id = result["data"]["id"].as_str().and_then(RecordId::parse);
        return Ok(id.unwrap_or_else(|| panic!("a success without an id: {result}")));
    }
    let errors = result["errors"].as_array().unwrap_or_else(|| panic!("a failure without errors: {result}"));
    Err(errors.iter().map(|error| error["detail"].as_str().unwrap_or_default().to_owned()).collect())
}

impl Expected {
    /// Whether that is what came.
    pub fn is_met_by(&self, result: &Value) -> bool {
        match (self, outcome_of(result)) {
            (Self::Done(expected), Ok(id)) => *expected == id,
            (Self::Fails(expected), Err(details)) => are_those(expected, &details),
            (Self::FailsEither(one, other), Err(details)) => are_those(one, &details) || are_those(other, &details),
            (Self::Open, _) => true,
            (Self::Left, Err(details)) => details == [NOT_PROCESSED],
            _ => false,
        }
    }
}

fn are_those(expected: &[String], details: &[String]) -> bool {
    expected.len() == details.len()
        && expected.iter().all(|begin| details.iter().any(|detail| detail.starts_with(begin.as_str())))
}
