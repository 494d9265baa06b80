//! What a run begins with, and the jobs that are posted in it.

use domain::account::AccountId;
use domain::chunk::{Packing, pack};
use domain::job::{JobId, Operation};
use domain::record::RecordId;
use domain::request::JobRequest;
use domain::types::{Cardinality, TypeKey};
use serde_json::{Value, json};

/// How a job is cut into chunks.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Shape {
    One,
    /// Three, in which duplicates of one record share one.
    Three,
    /// Three, each of which waits for the one before: all items are about one record.
    Chain,
}

impl Shape {
    pub const ALL: [Self; 3] = [Self::One, Self::Three, Self::Chain];

    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Three => "three",
            Self::Chain => "chain",
        }
    }

    pub fn packing(self) -> Packing {
        let items = match self {
            Self::One => return Packing::default(),
            Self::Three => 3,
            Self::Chain => 2,
        };
        Packing { items, ..Packing::default() }
    }

    pub const fn chunks(self) -> usize {
        match self {
            Self::One => 1,
            Self::Three | Self::Chain => 3,
        }
    }
}

/// The objects that there are at first.
pub const OBJECTS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
/// The relationships that there are at first.
pub const PAIRS: [(&str, &str); 5] = [("a", "b"), ("f", "g"), ("f", "h"), ("k", "l"), ("l", "g")];

/// No record has this id.
const NOBODY: &str = "00000000-0000-8000-8000-000000000000";

/// The object type `product`: its schema.
pub fn product_schema() -> Value {
    json!({
        "properties": {
            "name": {"type": "string"},
            "price": {"type": "number", "minimum": 0},
            "note": {"type": "string"},
        },
        "required": ["name"],
    })
}

pub fn object_id(account: &AccountId, name: &str) -> RecordId {
    RecordId::of_external_id(account, &key("product"), name)
}

pub fn pair_id(account: &AccountId, source: &str, target: &str) -> RecordId {
    let (source, target) = (object_id(account, source).to_string(), object_id(account, target).to_string());
    RecordId::of_relationship(account, &key("likes"), Cardinality::OneToMany, &source, &target)
}

fn key(text: &str) -> TypeKey {
    TypeKey::parse(text).expect("a type key")
}

/// The items of jobs of one account.
pub struct Items<'account>(pub &'account AccountId);

impl Items<'_> {
    pub fn product(name: &str, attributes: &Value) -> Value {
        json!({"type": "product", "external_id": name, "attributes": attributes})
    }

    pub fn update(&self, name: &str, attributes: &Value) -> Value {
        json!({"id": self.id(name), "attributes": attributes})
    }

    pub fn likes(&self, source: &str, target: &str) -> Value {
        json!({"relationship_type": "likes", "source": self.id(source), "target": self.id(target)})
    }

    pub fn id(&self, name: &str) -> String {
        object_id(self.0, name).to_string()
    }

    pub fn pair(&self, source: &str, target: &str) -> String {
        pair_id(self.0, source, target).to_string()
    }

    pub fn external(name: &str) -> Value {
        json!({"type": "product", "external_id": name})
    }

    /// The job that everything is about: something of everything that its action can meet.
    #[expect(clippy::too_many_lines, reason = "a table, which halves would make no clearer")]
    pub fn of(&self, operation: Operation, shape: Shape) -> Vec<Value> {
        let named = |name: &str| Self::product(name, &json!({"name": name}));
        let count = |one: usize| if shape == Shape::One { one } else { usize::MAX };
        let (all, most): (Vec<Value>, usize) = match (operation, shape) {
            (Operation::CreateObjects, Shape::Chain) => (vec![named("x"); 5], 5),
            (Operation::CreateObjects, _) => (
                vec![
                    named("x"),
                    Self::product("a", &json!({"name": "another"})),
                    Self::product("x", &json!({"name": "x again"})),
                    Self::product("y", &json!({"price": 1})),
                    json!({"type": "nothing", "attributes": {"name": "untyped"}}),
                    json!({"type": "product", "attributes": {"name": "no external id"}}),
                    named("z"),
                    named("w"),
                    named("v"),
                ],
                count(7),
            ),
            (Operation::UpdateObjects, Shape::Chain) => {
                let patches = [
                    json!({"price": 2}),
                    json!({"note": "n"}),
                    json!({"price": -1}),
                    json!({"price": 4}),
                    json!({"note": null}),
                ];
                (patches.iter().map(|patch| self.update("a", patch)).collect(), 5)
            }
            (Operation::UpdateObjects, _) => (
                vec![
                    self.update("a", &json!({"price": 2})),
                    self.update("b", &json!({"price": -1})),
                    json!({"id": NOBODY, "attributes": {"price": 2}}),
                    self.update("a", &json!({"note": "twice", "price": 3})),
                    self.update("b", &json!({"price": null})),
                    self.update("c", &json!({"price": 4})),
                    self.update("d", &json!({"price": 5})),
                    self.update("e", &json!({"price": "none"})),
                ],
                count(6),
            ),
            (Operation::SetObjects, Shape::Chain) => {
                let patches = [
                    json!({"name": "y"}),
                    json!({"price": 1}),
                    json!({"price": -1}),
                    json!({"note": "n"}),
                    json!({"price": null}),
                ];
                (patches.iter().map(|patch| Self::product("y", patch)).collect(), 5)
            }
            (Operation::SetObjects, _) => (
                vec![
                    Self::product("a", &json!({"price": 5})),
                    named("y"),
                    Self::product("y", &json!({"price": 6})),
                    Self::product("z", &json!({"price": 7})),
                    json!({"type": "nothing", "external_id": "1", "attributes": {}}),
                    Self::product("b", &json!({"note": "set"})),
                    Self::product("c", &json!({"price": 8})),
                    Self::product("d", &json!({"price": 9})),
                    named("w"),
                ],
                count(6),
            ),
            (Operation::DeleteObjects, Shape::Chain) => (vec![json!(self.id("c")); 5], 5),
            (Operation::DeleteObjects, _) => (
                ["c", "c", "", "a", "d", "e", "i", "j", "f"]
                    .iter()
                    .map(|name| if name.is_empty() { json!(NOBODY) } else { json!(self.id(name)) })
                    .collect(),
                count(6),
            ),
            (Operation::DeleteObjectsByExternalId, Shape::Chain) => (vec![Self::external("c"); 5], 5),
            (Operation::DeleteObjectsByExternalId, _) => {
                (["c", "c", "x", "a", "d", "e", "i", "j", "f"].map(Self::external).into(), count(6))
            }
            (Operation::CreateRelationships, Shape::Chain) => {
                (["c", "d", "c", "x", "e"].iter().map(|target| self.likes("b", target)).collect(), 5)
            }
            (Operation::CreateRelationships, _) => (
                vec![
                    self.likes("b", "c"),
                    self.likes("a", "b"),
                    self.likes("b", "c"),
                    self.likes("c", "x"),
                    self.likes("c", "d"),
                    self.likes("e", "c"),
                    json!({"relationship_type": "nothing", "source": self.id("a"), "target": self.id("b")}),
                    self.likes("d", "e"),
                ],
                count(6),
            ),
            (Operation::DeleteRelationships, Shape::Chain) => (vec![json!(self.pair("a", "b")); 5], 5),
            (Operation::DeleteRelationships, _) => (
                vec![
                    json!(self.pair("a", "b")),
                    json!(self.pair("a", "b")),
                    json!(NOBODY),
                    json!(self.pair("f", "g")),
                    json!(self.pair("f", "h")),
                    json!(self.pair("k", "l")),
                    json!(self.pair("l", "g")),
                    json!(self.pair("e", "c")),
                    json!(self.id("a")),
                ],
                count(5),
            ),
        };
        all.into_iter().take(most).collect()
    }

    /// A job of somebody else on the same records.
    pub fn of_other_writer(&self, against: Operation) -> (Operation, Vec<Value>) {
        match against {
            Operation::CreateObjects => {
                (Operation::DeleteObjectsByExternalId, ["x", "z", "c"].map(Self::external).into())
            }
            Operation::UpdateObjects => (
                Operation::SetObjects,
                ["a", "b", "c"].map(|name| Self::product(name, &json!({"note": "other", "price": 50}))).into(),
            ),
            Operation::SetObjects => {
                (Operation::DeleteObjectsByExternalId, ["y", "b", "c", "w"].map(Self::external).into())
            }
            Operation::DeleteObjects => (
                Operation::UpdateObjects,
                ["c", "d", "a"].iter().map(|name| self.update(name, &json!({"price": 30}))).collect(),
            ),
            Operation::DeleteObjectsByExternalId => (
                Operation::SetObjects,
                ["c", "d", "x"].map(|name| Self::product(name, &json!({"name": "other", "price": 40}))).into(),
            ),
            Operation::CreateRelationships => {
                (Operation::DeleteObjects, ["c", "d", "a"].iter().map(|name| json!(self.id(name))).collect())
            }
            Operation::DeleteRelationships => (
                Operation::CreateRelationships,
                [("a", "b"), ("f", "g"), ("a", "c")].iter().map(|(from, to)| self.likes(from, to)).collect(),
            ),
        }
    }
}

#[test]
fn the_jobs_are_cut_as_their_shapes_say() {
    let account = AccountId::parse("acme").expect("an account id");
    let job = JobId::parse("01890a5d-ac96-774b-bcce-b302099a8057").expect("a job id");
    for operation in Operation::ALL {
        for shape in Shape::ALL {
            let items = Items(&account).of(operation, shape);
            let body = json!({"type": operation.job_type(), "action": operation.action(), "data": items}).to_string();
            let request = JobRequest::parse(body.as_bytes()).expect("a request");
            let chunks = pack(&account, job, &request, shape.packing()).chunks;
            assert_eq!(chunks.len(), shape.chunks(), "{operation:?} {shape:?}");
        }
    }
}
