//! Planning a search: which index of the records' types leads to its matches at the least cost.

use super::{Query, SortBy, folded};
use crate::types::indexes::{text_key, value_key};
use crate::types::{Indexes, TypeKey};

/// Most values that a search looks up in an index. Each takes eight reads of its own, one for each part that a type is
/// spread over.
pub const VALUES_LOOKED_UP: usize = 10;

/// Lists of entries that a search goes through together, one for each value and type. Each is eight reads at the same time: 160 at most.
const LISTS_LOOKED_UP: usize = 20;

/// A way to the matches through indexes. It leads to every record that matches, and may lead to others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IndexPlan {
    /// Records whose attribute has one of some values, in the order of their creation.
    Values { path: String, within: Vec<Within> },
    /// Records whose attribute begins with a text, in the order of what they hold.
    Prefix { path: String, within: Vec<Within> },
    /// All records of the types, in the order of their last update.
    Updates(Vec<TypeKey>),
}

/// Where to look for the records of one type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Within {
    pub key: TypeKey,
    /// The slot of the attribute in that type.
    pub slot: usize,
    /// The texts that the entries to be found begin with: one for each value, or one prefix. Empty when no record of
    /// any type matches.
    pub beginnings: Vec<String>,
}

impl Query {
    /// Whether some index could help the search: if not, the indexes of the types need not be known.
    #[must_use]
    pub fn asks_of_indexes(&self) -> bool {
        self.filter.narrows_attributes() || self.asks_of_updates()
    }

    /// Whether the index of the last update could help.
    fn asks_of_updates(&self) -> bool {
        self.sort.by == SortBy::UpdatedAt || self.updated_at.start.is_some()
    }

    /// The plans by indexes that all of these types have, the most promising first: a few values, then a prefix, then
    /// the last update.
    #[must_use]
    pub fn index_plans(&self, types: &[(TypeKey, Indexes)]) -> Vec<IndexPlan> {
        let Some((_, first)) = types.first() else { return Vec::new() };
        let mut plans = Vec::new();
        let mut fewest: Option<(usize, IndexPlan)> = None;
        for path in first.paths() {
            let Some(values) = self.equalities(path).filter(|values| values.len() <= VALUES_LOOKED_UP) else {
                continue;
            };
            if fewest.as_ref().is_some_and(|(count, _)| *count <= values.len()) {
                continue;
            }
            // Values that differ by case alone have one entry.
            let mut beginnings: Vec<String> = values.iter().map(|value| value_key(path, value)).collect();
            beginnings.sort_unstable();
            beginnings.dedup();
            if let Some(within) = within(types, path, &beginnings) {
                fewest = Some((values.len(), IndexPlan::Values { path: path.to_owned(), within }));
            }
        }
        plans.extend(fewest.map(|(_, plan)| plan));
        let prefixes = first.paths().filter_map(|path| {
            let prefix = self.prefix(path)?;
            let within = within(types, path, &[text_key(path, &folded(&prefix))])?;
            Some((prefix.len(), IndexPlan::Prefix { path: path.to_owned(), within }))
        });
        plans.extend(prefixes.max_by_key(|(length, _)| *length).map(|(_, plan)| plan));
        if self.asks_of_updates() && types.iter().all(|(_, indexes)| indexes.has_updated_at()) {
            plans.push(IndexPlan::Updates(types.iter().map(|(key, _)| key.clone()).collect()));
        }
        plans
    }
}

/// Where the attribute has its entries in each type; `None` where some type has no index of it, or they are too many together.
fn within(types: &[(TypeKey, Indexes)], path: &str, beginnings: &[String]) -> Option<Vec<Within>> {
    if beginnings.len() * types.len() > LISTS_LOOKED_UP {
        return None;
    }
    let of_type = |(key, indexes): &(TypeKey, Indexes)| {
        Some(Within { key: key.clone(), slot: indexes.slot(path)?, beginnings: beginnings.to_vec() })
    };
    types.iter().map(of_type).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn types(names: &[&[&str]]) -> Vec<(TypeKey, Indexes)> {
        let of_type = |(number, names): (usize, &&[&str])| {
            let schema = json!({"properties": {"a": {}, "b": {}, "c": {}}, "x-indexed": names});
            let key = TypeKey::parse(&format!("type{number}")).unwrap();
            (key, Indexes::of_schema(schema.as_object().unwrap()).unwrap())
        };
        names.iter().enumerate().map(of_type).collect()
    }

    /// The plans of a search in these types, as the words by which they are told apart.
    fn plans(body: &Value, names: &[&[&str]]) -> Vec<String> {
        let query = Query::parse(&serde_json::value::to_raw_value(body).unwrap(), None).unwrap();
        let said = |plan: IndexPlan| match plan {
            IndexPlan::Values { path, within } => {
                let slots: Vec<_> = within.iter().map(|within| within.slot).collect();
                format!("{path} {} {slots:?}", within[0].beginnings.len())
            }
            IndexPlan::Prefix { path, within } => format!("{path} {}", within[0].beginnings[0].replace('\u{1f}', "|")),
            IndexPlan::Updates(types) => format!("updates of {}", types.len()),
        };
        query.index_plans(&types(names)).into_iter().map(said).collect()
    }

    #[test]
    fn the_index_with_the_fewest_values_goes_first_and_only_what_all_types_have() {
        let one: &[&[&str]] = &[&["a", "b", "_updated_at"]];
        let none: [&str; 0] = [];
        for (query, expected) in [
            (json!({"a": 1}), vec!["a 1 [0]"]),
            (json!({"a": {"$in": [1, 2]}, "b": "x"}), vec!["b 1 [1]"]),
            (json!({"b": {"$in": ["x", "X"]}}), vec!["b 1 [1]"]),
            (json!({"b": {"$in": []}}), vec!["b 0 [1]"]),
            (json!({"b": {"$prefix": "Xy"}}), vec!["b b|txy"]),
            (json!({"a": 1, "b": {"$prefix": "Xy"}}), vec!["a 1 [0]", "b b|txy"]),
            (json!({"$or": [{"a": 1}, {"a": 2}]}), vec!["a 2 [0]"]),
            (json!({"$or": [{"a": 1}, {"b": 2}]}), vec![]),
            (json!({"c": 1}), vec![]),
            (json!({"a": {"$ne": 1}}), vec![]),
            (json!({"a": {"$in": (0..11).collect::<Vec<_>>()}}), vec![]),
        ] {
            assert_eq!(plans(&json!({"query": query}), one), expected, "{query}");
        }
        let both = json!({"query": {"a": 1}});
        assert_eq!(plans(&both, &[&["a", "b"], &["b", "a"]]), ["a 1 [0, 1]"]);
        assert_eq!(plans(&both, &[&["a", "b"], &["b"]]), none);
        assert_eq!(plans(&both, &[]), none);
        let many: Vec<&[&str]> = vec![&["a"]; 11];
        assert_eq!(plans(&json!({"query": {"a": {"$in": [1, 2]}}}), &many), none);
        assert_eq!(plans(&json!({"query": {"a": {"$in": [1, 2]}}}), &many[..10]).len(), 1, "as many lists as may be");
        assert_eq!(plans(&json!({"query": {"a": 1}}), &many).len(), 1);
    }

    #[test]
    fn the_index_of_updates_serves_their_order_and_what_changed_since() {
        let of = |body: Value| plans(&body, &[&["_updated_at"], &["a", "_updated_at"]]);
        let since = json!({"start": "2026-01-01T00:00:00Z"});
        assert_eq!(of(json!({"query": {}, "sort_by": "_updated_at"})), ["updates of 2"]);
        assert_eq!(of(json!({"query": {}, "_updated_at": since})), ["updates of 2"]);
        assert!(of(json!({"query": {}})).is_empty());
        assert!(of(json!({"query": {}, "_updated_at": {"end": "2026-01-01T00:00:00Z"}})).is_empty());
        assert!(plans(&json!({"query": {}, "sort_by": "_updated_at"}), &[&["_updated_at"], &["a"]]).is_empty());
    }
}
