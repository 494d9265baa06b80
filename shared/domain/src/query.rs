//! Search: which records a client's query asks for, and in what order.
//!
//! A [`Query`] is read once from the body of a request. Its [`Filter`] then says of one record at a time whether it
//! matches, and a planner learns from it where no match can be ([`Query::types`], [`Query::ids`] …).
//!
//! What matching one record costs: a filter has at most [`COMPARISONS`] tests, and each passes over the values of the
//! record twice at the most and over its texts once. 32 KiB of attributes are at most 16,384 values (`[1,1,…]`, two
//! bytes each), so the worst of queries takes 100 × 2 × 16,384 steps of some 10 ns, or of some 40 ns with long lists:
//! 30 to 150 milliseconds, so whoever matches many records keeps an eye on the time. An everyday query takes less than
//! a microsecond. What keeps it so: a path never goes back, a list is searched in halves, a text is searched without
//! starting again, and under `*` nothing is compared with a whole array or object.

mod facts;
mod filter;
mod matching;
mod order;
pub mod plan;
mod text;
mod value;
mod window;

#[cfg(test)]
mod tests;

use serde_json::Value;
use serde_json::value::RawValue;

pub use self::filter::Filter;
pub use self::matching::{Candidate, attribute_at};
pub use self::order::{Order, Sort, SortBy};
pub use self::plan::IndexPlan;
pub use self::text::folded;
pub use self::value::{Exact, Scalar};
pub use self::window::Window;
use crate::problem::{Code, Problem};
use crate::request::members::NoMembers;
use crate::request::{json, members};

/// Most levels of a query: what stands in `query` is the first, and each `$and`, `$or` and `$not` around a query is one
/// more. Reading and matching go down by recursion, so it bounds their stack.
pub const LEVELS: usize = 10;

/// Most comparisons of a query: each operator of each attribute counts, at any level, and so does a query or a list of
/// queries that is empty. With [`LEVELS`] that is at most 100 × 10 steps around the comparisons themselves.
pub const COMPARISONS: usize = 100;

/// Most values of one `$in`. They are kept sorted: 9 steps to find one of 400. All lists of a query together: 40,000
/// values.
pub const VALUES_IN_LIST: usize = 400;

/// A search as a client asks for it.
#[derive(Clone, Debug)]
pub struct Query {
    pub filter: Filter,
    /// The span of time in which matches were created.
    pub created_at: Window,
    /// The span of time in which matches were updated last.
    pub updated_at: Window,
    pub sort: Sort,
}

impl Query {
    /// Reads the body `{"query", "_created_at"?, "_updated_at"?, "sort_by"?}`; other members are passed over, and null
    /// is as good as absent. `order` is the one in the request's query string, which goes before the one in `sort_by`.
    ///
    /// # Errors
    /// 400 naming the member, and the limit where there is one: `query` missing or no object, an operator that is not
    /// known, a value of the wrong kind, a date that cannot be read, another `sort_by`, more than [`LEVELS`],
    /// [`COMPARISONS`] or [`VALUES_IN_LIST`], a member given more than once at any depth.
    pub fn parse(body: &RawValue, order: Option<Order>) -> Result<Self, Problem> {
        let names = ["query", "_created_at", "_updated_at", "sort_by"];
        let found = members::members(body.get(), names).map_err(|error| match error {
            NoMembers::Twice(_) => Problem::bad_request(error.to_string()),
            NoMembers::NotAnObject => Problem::bad_request(format!(
                "The body must be an object with the member query, not {}",
                members::kind_of(body)
            )),
        })?;
        let [query, created_at, updated_at, sort_by] = found;
        let filter = Filter::parse(&read("query", query)?)?;
        let created_at = Window::parse("_created_at", &read("_created_at", created_at)?)?;
        let updated_at = Window::parse("_updated_at", &read("_updated_at", updated_at)?)?;
        let sort = Sort::parse(&read("sort_by", sort_by)?)?;
        Ok(Self { filter, created_at, updated_at, sort: Sort { order: order.unwrap_or(sort.order), ..sort } })
    }

    /// Whether no record can match, because one of the spans of time is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.created_at.is_empty() || self.updated_at.is_empty()
    }
}

/// Null when the member is absent.
fn read(name: &str, raw: Option<&RawValue>) -> Result<Value, Problem> {
    raw.map_or(Ok(Value::Null), |raw| {
        json::read(name, raw).map_err(|problem| Problem::new(Code::BadRequest, problem.detail))
    })
}

/// What kind of JSON value it is, in the words of an error.
const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
