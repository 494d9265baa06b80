//! Reading the `query` of a search.

use serde_json::Value;

use super::text::{Needle, lower};
use super::value::Scalar;
use super::{COMPARISONS, LEVELS, VALUES_IN_LIST, kind_of};
use crate::problem::{Problem, quoted};
use crate::record::RecordId;

/// The condition that a record must meet to match, apart from its times.
///
/// What the documentation of the API leaves open is settled here:
///
/// - `{}` and `{"$and": []}` match every record, `{"$or": []}` none. A comparison without any operator is refused,
///   because whoever sends one does not mean every record.
/// - A member whose name starts with `$` is an operator, and one that starts with `_` a field of the record: others of
///   these are refused. No attribute of a type can start with `_`; one that starts with `$` cannot be searched by name.
/// - How a path is read: see [`attribute_at`](super::attribute_at).
/// - `null` is what absent attributes are: `$eq` and a bare `null` match what is absent, `$ne` what is there, `$in`
///   what is absent if `null` is among its values. An attribute that holds null is absent.
/// - `$eq`, `$ne` and `$contains` take any JSON value, `$in` only texts, numbers, booleans and null. Under `*` none
///   takes an array or an object.
/// - `$contains` looks for an element in an array by equality, with regard to case, and never for a member in an
///   object. Every text contains the empty text and begins with it.
/// - `*` stands for the members of objects and the elements of arrays at every depth, and for no field. `$ne` holds
///   when none of them is equal, `$exists` when there is any, or none; what else a comparison asks must hold for one
///   value together.
/// - `_type`, `_external_id` and `_id` take texts, and `_external_id` an integer for its decimal text, as elsewhere.
///   They compare in lower case with every operator. An id may be written in any way that a UUID can be.
#[derive(Clone, Debug)]
pub struct Filter {
    pub(super) condition: Condition,
}

#[derive(Clone, Debug)]
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// All tests hold for what the subject is.
    Comparison(Subject, Vec<Test>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Subject {
    Type,
    ExternalId,
    Id,
    /// The path of an attribute.
    Attribute(String),
    Anywhere,
}

/// What a comparison asks of a value. Of a [`Subject`] that compares without case, the operand is in lower case.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// Never null: that is `Exists(false)`.
    Equal(Value),
    /// Never null: that is `Exists(true)`.
    NotEqual(Value),
    Ordered(Relation, Scalar),
    In(List),
    Contains {
        element: Value,
        /// When the element is a text.
        part: Option<Needle>,
    },
    Prefix(Needle),
    Exists(bool),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Relation {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Clone, Debug)]
pub(super) struct List {
    /// Sorted.
    pub(super) values: Vec<Scalar>,
    /// Whether null is among them.
    pub(super) absent: bool,
}

impl Filter {
    /// Reads a `query`; null is as good as absent.
    ///
    /// # Errors
    /// 400 naming the member by its path: see [`Query::parse`](super::Query::parse).
    pub fn parse(query: &Value) -> Result<Self, Problem> {
        if query.is_null() {
            return Err(Problem::bad_request("query is required and must be an object"));
        }
        let condition = Reader { comparisons: 0 }.query(query, Place::Query, 1)?;
        Ok(Self { condition })
    }
}

/// Where in the query something stands: shown as `query.$and[1].price.$gt`.
#[derive(Clone, Copy)]
enum Place<'query> {
    Query,
    Member(&'query Place<'query>, &'query str),
    Element(&'query Place<'query>, usize),
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const PLAIN: usize = 80;
        match self {
            Self::Query => formatter.write_str("query"),
            Self::Member(parent, name) => {
                let plain = |character: char| character.is_alphanumeric() || "_-.$*".contains(character);
                if name.len() <= PLAIN && !name.is_empty() && name.chars().all(plain) {
                    write!(formatter, "{parent}.{name}")
                } else {
                    write!(formatter, "{parent}.{}", quoted(name))
                }
            }
            Self::Element(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

struct Reader {
    /// How many there were so far.
    comparisons: usize,
}

impl Reader {
    fn query(&mut self, value: &Value, place: Place<'_>, level: usize) -> Result<Condition, Problem> {
        if level > LEVELS {
            return Err(Problem::bad_request(format!("{place} is too deep: a query may have at most {LEVELS} levels")));
        }
        let Value::Object(members) = value else {
            return Err(must_be(place, "an object", value));
        };
        if members.is_empty() {
            self.count()?;
        }
        let mut conditions = Vec::with_capacity(members.len().min(COMPARISONS));
        for (name, value) in members {
            conditions.push(self.member(name, value, Place::Member(&place, name), level)?);
        }
        Ok(Condition::All(conditions))
    }

    fn member(&mut self, name: &str, value: &Value, place: Place<'_>, level: usize) -> Result<Condition, Problem> {
        let subject = match name {
            "$and" => return Ok(Condition::All(self.queries(value, place, level)?)),
            "$or" => return Ok(Condition::Any(self.queries(value, place, level)?)),
            "$not" => return Ok(Condition::Not(Box::new(self.query(value, place, level + 1)?))),
            "_type" => Subject::Type,
            "_external_id" => Subject::ExternalId,
            "_id" => Subject::Id,
            "*" => Subject::Anywhere,
            _ if name.starts_with('$') => {
                return Err(Problem::bad_request(format!("{place} is not known: it must be $and, $or or $not")));
            }
            _ if name.starts_with('_') => {
                return Err(Problem::bad_request(format!(
                    "{place} is not known: it must be _type, _external_id, _id or an attribute"
                )));
            }
            _ => Subject::Attribute(name.to_owned()),
        };
        let tests = self.tests(&subject, value, place)?;
        Ok(Condition::Comparison(subject, tests))
    }

    fn queries(&mut self, value: &Value, place: Place<'_>, level: usize) -> Result<Vec<Condition>, Problem> {
        let Value::Array(queries) = value else {
            return Err(must_be(place, "an array of queries", value));
        };
        if queries.is_empty() {
            self.count()?;
        }
        let mut conditions = Vec::with_capacity(queries.len().min(COMPARISONS));
        for (index, query) in queries.iter().enumerate() {
            conditions.push(self.query(query, Place::Element(&place, index), level + 1)?);
        }
        Ok(conditions)
    }

    fn tests(&mut self, subject: &Subject, value: &Value, place: Place<'_>) -> Result<Vec<Test>, Problem> {
        match value {
            Value::Object(operators) => {
                if operators.is_empty() {
                    return Err(Problem::bad_request(format!("{place} must have an operator: {OPERATORS}")));
                }
                let mut tests = Vec::with_capacity(operators.len().min(COMPARISONS));
                for (operator, value) in operators {
                    self.count()?;
                    tests.push(test(subject, operator, value, Place::Member(&place, operator))?);
                }
                Ok(tests)
            }
            Value::Array(_) => {
                Err(must_be(place, "an object of operators, a string, a number, a boolean or null", value))
            }
            _ => {
                self.count()?;
                Ok(vec![test(subject, "$eq", value, place)?])
            }
        }
    }

    fn count(&mut self) -> Result<(), Problem> {
        self.comparisons += 1;
        if self.comparisons > COMPARISONS {
            return Err(Problem::bad_request(format!("query may have at most {COMPARISONS} comparisons")));
        }
        Ok(())
    }
}

const OPERATORS: &str = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $contains, $prefix or $exists";

fn test(subject: &Subject, operator: &str, value: &Value, place: Place<'_>) -> Result<Test, Problem> {
    match operator {
        "$eq" => Ok(match operand(subject, value, place)? {
            Value::Null => Test::Exists(false),
            value => Test::Equal(value),
        }),
        "$ne" => Ok(match operand(subject, value, place)? {
            Value::Null => Test::Exists(true),
            value => Test::NotEqual(value),
        }),
        "$gt" => ordered(Relation::Greater, subject, value, place),
        "$gte" => ordered(Relation::GreaterOrEqual, subject, value, place),
        "$lt" => ordered(Relation::Less, subject, value, place),
        "$lte" => ordered(Relation::LessOrEqual, subject, value, place),
        "$in" => list(subject, value, place).map(Test::In),
        "$contains" => contains(subject, value, place),
        "$prefix" => Ok(Test::Prefix(Needle::new(&text(subject, value, place)?))),
        "$exists" => match value {
            Value::Bool(wanted) => Ok(Test::Exists(*wanted)),
            _ => Err(must_be(place, "true or false", value)),
        },
        _ => Err(Problem::bad_request(format!("{place} is not an operator: it must be {OPERATORS}"))),
    }
}

/// What a value is compared with: as it is given, or of a field in lower case.
fn operand(subject: &Subject, value: &Value, place: Place<'_>) -> Result<Value, Problem> {
    match (subject, value) {
        (Subject::Anywhere, Value::Array(_) | Value::Object(_)) => {
            Err(must_be(place, "a string, a number, a boolean or null", value))
        }
        (_, Value::Null) | (Subject::Attribute(_) | Subject::Anywhere, _) => Ok(value.clone()),
        (Subject::Type | Subject::ExternalId | Subject::Id, _) => {
            let text = text(subject, value, place)?;
            let id = (*subject == Subject::Id).then(|| RecordId::parse(&text)).flatten();
            Ok(Value::String(id.map_or_else(|| lower(&text).into_owned(), |id| id.to_string())))
        }
    }
}

/// The text that a value is: an external id may be given as an integer.
fn text(subject: &Subject, value: &Value, place: Place<'_>) -> Result<String, Problem> {
    match (subject, value) {
        (_, Value::String(text)) => Ok(text.clone()),
        (Subject::ExternalId, Value::Number(number)) if !number.is_f64() => Ok(number.to_string()),
        _ => Err(must_be(place, text_kind(subject), value)),
    }
}

const fn text_kind(subject: &Subject) -> &'static str {
    if matches!(subject, Subject::ExternalId) { "a string or an integer" } else { "a string" }
}

fn ordered(relation: Relation, subject: &Subject, value: &Value, place: Place<'_>) -> Result<Test, Problem> {
    let kinds = match subject {
        Subject::Attribute(_) | Subject::Anywhere => "a number or a string",
        Subject::Type | Subject::ExternalId | Subject::Id => text_kind(subject),
    };
    match value {
        Value::Number(_) | Value::String(_) => Scalar::of(&operand(subject, value, place)?),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
    .map(|scalar| Test::Ordered(relation, scalar))
    .ok_or_else(|| must_be(place, kinds, value))
}

fn list(subject: &Subject, value: &Value, place: Place<'_>) -> Result<List, Problem> {
    let Value::Array(elements) = value else {
        return Err(must_be(place, "an array", value));
    };
    if elements.len() > VALUES_IN_LIST {
        let count = elements.len();
        return Err(Problem::bad_request(format!("{place} may have at most {VALUES_IN_LIST} values, not {count}")));
    }
    let mut values = Vec::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        let place = Place::Element(&place, index);
        match Scalar::of(&operand(subject, element, place)?) {
            Some(scalar) => values.push(scalar),
            None if element.is_null() => {}
            None => return Err(must_be(place, "a string, a number, a boolean or null", element)),
        }
    }
    values.sort_unstable();
    Ok(List { values, absent: elements.iter().any(Value::is_null) })
}

fn contains(subject: &Subject, value: &Value, place: Place<'_>) -> Result<Test, Problem> {
    let element = match subject {
        Subject::Attribute(_) | Subject::Anywhere => operand(subject, value, place)?,
        Subject::Type | Subject::ExternalId | Subject::Id => Value::String(text(subject, value, place)?),
    };
    let part = element.as_str().map(Needle::new);
    Ok(Test::Contains { element, part })
}

fn must_be(place: Place<'_>, wanted: &str, value: &Value) -> Problem {
    Problem::bad_request(format!("{place} must be {wanted}, not {}", kind_of(value)))
}
