//! Upper bounds of what checking a record by a schema can cost, worked out before the schema is accepted.
//!
//! Without references a schema is a tree, and so is a record: each subschema looks at each value once at the most. The two
//! multiply only where a subschema is for every value of a kind (`items`, `contains`, `additionalProperties`, …): what stands
//! under `properties` looks at one value. So with
//!
//! - *once*: the checks of all subschemas that look at one value, and
//! - *each*: the most checks that any other value gets, from all subschemas that look at it,
//!
//! a record of at most [`limits::ATTRIBUTES_BYTES`], which has at most half as many values, costs *once* + 16,384 × *each*
//! checks. A check is what one keyword does with one value in some 10 ns, such as `type` or `maximum`. `enum` counts for as many as
//! it compares, a `format` for 20, and what is linear in a text is paid for by the text's bytes.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::Extent;
use crate::limits;
use crate::problem::{Problem, quoted};

/// The most values that attributes have: each takes two bytes, itself and a comma.
const VALUES: u64 = (limits::ATTRIBUTES_BYTES / 2) as u64;

/// Keywords whose value is data, whatever it looks like.
pub(super) const DATA: [&str; 5] = ["enum", "const", "default", "examples", "dependentRequired"];

/// Upper bounds of a schema's cost.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Bounds {
    /// Checks of a record however few values it has.
    once: u64,
    /// Checks of each further value.
    each: u64,
    /// Whether it has `anyOf` or `oneOf`, of which an error holds the errors of every branch.
    pub(super) has_alternatives: bool,
    /// Whether it has keywords of our own, of which an error has a copy of the text or number that it is about.
    pub(super) has_own_keywords: bool,
    /// Bytes of all that stands under a `not`, as often as it stands under one: each keeps a copy of its schema.
    pub(super) negated: usize,
    /// Every pattern, and where in the schema it stands first.
    pub(super) patterns: BTreeMap<String, String>,
}

impl Bounds {
    /// Works them out for the schema that `members` are.
    ///
    /// # Errors
    /// When one of them is beyond its limit; the problem names it.
    pub(super) fn of(members: &Map<String, Value>) -> Result<Self, Problem> {
        let mut survey = Survey::default();
        survey.walk(members, "schema")?;
        let cost = Cost::of(&[members])?;
        let bounds = Self { once: cost.once, each: cost.each, ..survey.found };
        let most = bounds.checks(VALUES);
        if most > limits::CHECKS_PER_RECORD {
            return Err(Problem::unprocessable(format!(
                "schema costs too much to check: up to {most} checks for one record, of which {} may be made. \
                 {} for each of {VALUES} values that a list or an open object may have: use fewer subschemas there",
                limits::CHECKS_PER_RECORD,
                bounds.each,
            )));
        }
        Ok(bounds)
    }

    /// How many checks so many values take at the most.
    pub(super) const fn checks(&self, values: u64) -> u64 {
        self.once.saturating_add(self.each.saturating_mul(values))
    }

    /// The memory of copies of what each check looks at, at the most: all there is, for what looks once.
    pub(super) const fn copies(&self, extent: Extent) -> u64 {
        self.once.saturating_mul(extent.bytes).saturating_add(self.each.saturating_mul(extent.within))
    }

    /// The same of texts and numbers alone.
    pub(super) const fn copies_of_texts(&self, extent: Extent) -> u64 {
        self.once.saturating_mul(extent.longest_text).saturating_add(self.each.saturating_mul(extent.bytes))
    }
}

/// Where a subschema looks, seen from the value that its parent looks at.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
enum Place<'schema> {
    /// At the same value.
    Here,
    /// At one member of it, by its name or its position.
    Member(&'schema str),
    Element(usize),
    /// At every member, element or name.
    Each,
    /// Nowhere: nothing refers to it.
    Nowhere,
}

/// The subschemas of a schema: the keyword, where it looks, and the schema if it is an object.
fn subschemas<'schema>(
    members: &'schema Map<String, Value>,
) -> impl Iterator<Item = (&'schema str, Place<'schema>, &'schema Map<String, Value>)> {
    members.iter().flat_map(|(keyword, value)| {
        let keyword = keyword.as_str();
        let found: Vec<(Place<'schema>, &'schema Value)> = match (keyword, value) {
            ("not" | "if" | "then" | "else", _) => vec![(Place::Here, value)],
            ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => {
                schemas.iter().map(|schema| (Place::Here, schema)).collect()
            }
            ("dependentSchemas", Value::Object(named)) => named.values().map(|schema| (Place::Here, schema)).collect(),
            ("properties", Value::Object(named)) => {
                named.iter().map(|(name, schema)| (Place::Member(name), schema)).collect()
            }
            // No schema of this draft has a list of `items`, and it is refused later; until then it counts.
            ("prefixItems" | "items", Value::Array(schemas)) => {
                schemas.iter().enumerate().map(|(at, schema)| (Place::Element(at), schema)).collect()
            }
            ("items" | "contains" | "additionalProperties" | "additionalItems" | "propertyNames", _) => {
                vec![(Place::Each, value)]
            }
            ("$defs" | "definitions", Value::Object(named)) => {
                named.values().map(|schema| (Place::Nowhere, schema)).collect()
            }
            ("contentSchema", _) => vec![(Place::Nowhere, value)],
            _ => Vec::new(),
        };
        found.into_iter().filter_map(move |(place, schema)| Some((keyword, place, schema.as_object()?)))
    })
}

/// What is counted over all subschemas.
#[derive(Default)]
struct Survey {
    subschemas: usize,
    /// Without the checks.
    found: Bounds,
}

impl Survey {
    fn walk(&mut self, members: &Map<String, Value>, place: &str) -> Result<(), Problem> {
        self.subschemas += 1;
        if self.subschemas > limits::SUBSCHEMAS {
            let most = limits::SUBSCHEMAS;
            return Err(Problem::unprocessable(format!("schema must have at most {most} subschemas: it has more")));
        }
        if let Some(Value::Object(named)) = members.get("properties")
            && let Some(name) = named.keys().find(|name| name.chars().count() > limits::PROPERTY_NAME_CHARACTERS)
        {
            return Err(Problem::unprocessable(format!(
                "{place}.properties: the name {} must be at most {} characters, not {}",
                quoted(name),
                limits::PROPERTY_NAME_CHARACTERS,
                name.chars().count()
            )));
        }
        if let Some(pattern) = members.get("pattern").and_then(Value::as_str) {
            if pattern.len() > limits::PATTERN_BYTES {
                return Err(Problem::unprocessable(format!(
                    "{place}.pattern must be at most {} bytes, not {}",
                    limits::PATTERN_BYTES,
                    pattern.len()
                )));
            }
            self.found.patterns.entry(pattern.to_owned()).or_insert_with(|| format!("{place}.pattern"));
        }
        if let Some(negated) = members.get("not") {
            self.found.negated += negated.to_string().len();
            if self.found.negated > limits::NEGATED_BYTES {
                return Err(Problem::unprocessable(format!(
                    "{place}.not: at most {} bytes of a schema may stand under \"not\", counted once for each \"not\"",
                    limits::NEGATED_BYTES
                )));
            }
        }
        self.found.has_own_keywords |= members.contains_key("pattern") || members.contains_key("multipleOf");
        self.found.has_alternatives |= members.contains_key("anyOf") || members.contains_key("oneOf");
        for (keyword, at, schema) in subschemas(members) {
            match at {
                Place::Member(name) => self.walk(schema, &format!("{place}.{keyword}.{name}"))?,
                Place::Element(at) => self.walk(schema, &format!("{place}.{keyword}.{at}"))?,
                Place::Here | Place::Each | Place::Nowhere => self.walk(schema, &format!("{place}.{keyword}"))?,
            }
        }
        Ok(())
    }
}

/// Checks of the value that some schemas look at, and of all within it.
#[derive(Clone, Copy, Default)]
struct Cost {
    /// Of the value and what is named in it.
    once: u64,
    /// The most of any one value among those of which there may be many.
    each: u64,
    /// The most of any one value.
    most: u64,
}

impl Cost {
    fn of(schemas: &[&Map<String, Value>]) -> Result<Self, Problem> {
        let mut here: Vec<&Map<String, Value>> = Vec::new();
        let mut open: Vec<&Map<String, Value>> = schemas.to_vec();
        let mut inside: HashMap<Place<'_>, Vec<&Map<String, Value>>> = HashMap::new();
        while let Some(schema) = open.pop() {
            here.push(schema);
            for (_, place, subschema) in subschemas(schema) {
                match place {
                    Place::Here => open.push(subschema),
                    Place::Nowhere => {}
                    Place::Member(_) | Place::Element(_) | Place::Each => {
                        inside.entry(place).or_default().push(subschema);
                    }
                }
            }
        }
        for (keyword, most) in [("uniqueItems", limits::UNIQUE_ITEMS_PER_VALUE), ("format", limits::FORMATS_PER_VALUE)]
        {
            let count = here.iter().filter(|schema| schema.contains_key(keyword)).count();
            if count > most {
                return Err(Problem::unprocessable(format!(
                    "schema must not hold one value to \"{keyword}\" more than {most} times, not {count} times"
                )));
            }
        }
        let own = here.iter().map(|schema| schema.iter().map(|(keyword, value)| weight(keyword, value)).sum::<u64>());
        let own: u64 = own.sum();
        let many = inside.remove(&Place::Each).map(|schemas| Self::of(&schemas)).transpose()?.unwrap_or_default();
        let mut cost = Self { once: own, each: many.most, most: own };
        for schemas in inside.values() {
            let one = Self::of(schemas)?;
            cost.once = cost.once.saturating_add(one.once);
            cost.each = cost.each.max(one.each.saturating_add(many.most));
            // What looks at each member looks at the named ones too.
            cost.most = cost.most.max(one.most.saturating_add(many.most));
        }
        cost.most = cost.most.max(many.most);
        Ok(cost)
    }
}

/// How many checks a keyword makes of one value, its subschemas not counted.
fn weight(keyword: &str, value: &Value) -> u64 {
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    match (keyword, value) {
        // Texts are looked up by their hash. Numbers are searched for among whole ones, and compared one by one in a few
        // nanoseconds where they are not; other values are compared at length.
        ("enum", Value::Array(options)) if options.iter().all(|option| option.is_string() || option.is_null()) => 1,
        ("enum", Value::Array(options)) if options.iter().all(Value::is_number) => 1 + count(options.len() / 4),
        ("enum", Value::Array(options)) => count(options.len()),
        ("pattern", _) => 4,
        // What a text is a regular expression by takes a tenth of a millisecond for the longest that is looked at.
        ("format", Value::String(format)) if format == "regex" => 10_000,
        ("format", _) => 20,
        ("required", Value::Array(names)) => 1 + count(names.len() / 4),
        ("dependentRequired", Value::Object(named)) => {
            1 + count(named.values().filter_map(Value::as_array).map(|names| 1 + names.len() / 4).sum())
        }
        ("$defs" | "definitions" | "title" | "description" | "default" | "examples" | "$comment", _) => 0,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bounds(schema: &Value) -> Result<Bounds, String> {
        Bounds::of(schema.as_object().unwrap()).map_err(|problem| problem.detail.into_owned())
    }

    #[test]
    fn what_is_named_costs_once_and_what_may_be_many_costs_each() {
        let each = |schema: &Value| bounds(schema).map(|bounds| (bounds.once, bounds.each)).unwrap();
        // type and maxLength of one value, and `properties` itself.
        assert_eq!(each(&json!({"properties": {"a": {"type": "string", "maxLength": 3}}})), (3, 0));
        // type and items of one value; of its elements, type.
        assert_eq!(each(&json!({"properties": {"a": {"type": "array", "items": {"type": "string"}}}})), (3, 1));
        // Two lists share a record's values: the dearer one counts. Two rules for one list add up.
        let list = |schema: Value| json!({"type": "array", "items": schema});
        let two = json!({"properties": {"a": list(json!({"type": "string"})), "b": list(json!({"type": "string", "maxLength": 1}))}});
        assert_eq!(each(&two).1, 2);
        let twice = json!({"properties": {"a": {"type": "array", "allOf": [{"items": {"type": "string"}}, {"items": {"maxLength": 2}}]}}});
        assert_eq!(each(&twice).1, 2);
        // A list of lists of objects: no value is an element twice.
        let nested = json!({"properties": {"a": list(list(json!({"properties": {"x": {"type": "string"}}})))}});
        assert_eq!(each(&nested).1, 2);
        assert_eq!(each(&json!({"properties": {"a": {"enum": ["x", "y", null]}}})).0, 2);
        assert_eq!(each(&json!({"properties": {"a": {"enum": [1, 2, 3, 4]}}})).0, 3);
        assert_eq!(each(&json!({"properties": {"a": {"enum": [1, "2", []]}}})).0, 4);
        // What looks at every member looks at the elements beneath a named one too.
        let named = json!({"b": list(json!({"type": "string"}))});
        let every = json!({"properties": {"b": {"items": {"maxLength": 1, "minLength": 1}}}});
        let both = json!({"properties": {"a": {"properties": named, "additionalProperties": every}}});
        assert!(each(&both).1 >= 3, "{both}");
    }

    #[test]
    fn a_schema_beyond_a_bound_is_refused_with_the_bound_named() {
        let property = |schema: Value| json!({"properties": {"a": schema}});
        let nots = |count: usize| (0..count).fold(json!({"enum": vec![1; 3_000]}), |inner, _| json!({"not": inner}));
        for (schema, words) in [
            (
                property(json!({"items": {"allOf": vec![json!({"maximum": 1}); 200]}})),
                "of which 2000000 may be made. 201 for each of 16384 values",
            ),
            (property(json!({"items": {"allOf": vec![json!({"not": {}}); 400]}})), "401 for each of 16384 values"),
            (property(json!({"additionalProperties": {"enum": vec![json!([]); 200]}})), "200 for each"),
            (property(json!({"allOf": vec![json!({}); 1_001]})), "at most 1000 subschemas"),
            (json!({"properties": {"a".repeat(256): {}}}), "at most 255 characters, not 256"),
            (
                property(json!({"pattern": "a".repeat(1_025)})),
                "schema.properties.a.pattern must be at most 1024 bytes, not 1025",
            ),
            (property(json!({"allOf": vec![json!({"uniqueItems": true}); 3]})), "more than 2 times, not 3 times"),
            (property(nots(50)), "at most 65536 bytes"),
        ] {
            let refusal = bounds(&schema).unwrap_err();
            assert!(refusal.contains(words), "{refusal}");
        }
    }

    #[test]
    fn a_schema_may_cost_as_much_as_the_bound() {
        // 122 checks of each of 16,384 values, and of a value once: two, and one for each option of an enumeration.
        let once = usize::try_from(limits::CHECKS_PER_RECORD - 122 * VALUES - 2).unwrap();
        let schema = |options: usize| {
            let list = json!({"items": {"allOf": vec![json!({"maximum": 1}); 121]}});
            json!({"properties": {"a": list, "b": {"enum": vec![json!([]); options]}}})
        };
        assert_eq!(bounds(&schema(once)).unwrap().checks(VALUES), limits::CHECKS_PER_RECORD);
        assert!(bounds(&schema(once + 1)).is_err());
    }

    #[test]
    fn subschemas_are_found_under_each_keyword_that_has_some() {
        let once = |schema: Value| bounds(&json!({"properties": {"a": schema}})).unwrap().once;
        let rule = json!({"maxLength": 3});
        // `properties`, the keyword, and the rules under it.
        for (keyword, under, rules) in [
            ("not", rule.clone(), 1),
            ("if", rule.clone(), 1),
            ("anyOf", json!([rule, rule]), 2),
            ("dependentSchemas", json!({"x": rule}), 1),
            ("properties", json!({"x": rule, "y": rule}), 2),
            ("prefixItems", json!([rule, rule]), 2),
            ("contains", rule.clone(), 0),
            ("contentSchema", rule.clone(), 0),
        ] {
            assert_eq!(once(json!({(keyword): under})), 2 + rules, "{keyword}");
        }
    }

    #[test]
    fn a_schema_may_have_as_much_of_each_thing_as_its_bound() {
        let property = |schema: Value| json!({"properties": {"a": schema}});
        let negated = |text: usize| property(json!({"not": {"enum": ["x".repeat(text)]}}));
        let around = r#"{"enum":[""]}"#.len();
        for (fits, is_over) in [
            // The schema itself and that of the property are two.
            (
                property(json!({"allOf": vec![json!({}); limits::SUBSCHEMAS - 2]})),
                property(json!({"allOf": vec![json!({}); limits::SUBSCHEMAS - 1]})),
            ),
            (json!({"properties": {"ä".repeat(255): {}}}), json!({"properties": {"ä".repeat(256): {}}})),
            (
                property(json!({"pattern": "a".repeat(limits::PATTERN_BYTES)})),
                property(json!({"pattern": "a".repeat(limits::PATTERN_BYTES + 1)})),
            ),
            (negated(limits::NEGATED_BYTES - around), negated(limits::NEGATED_BYTES - around + 1)),
        ] {
            assert!(bounds(&fits).is_ok());
            assert!(bounds(&is_over).is_err());
        }
    }

    #[test]
    fn what_errors_copy_is_known_wherever_in_the_schema_it_stands() {
        let flags = |first: Value, second: Value| {
            let bounds = bounds(&json!({"properties": {"a": first, "b": second}})).unwrap();
            (bounds.has_own_keywords, bounds.has_alternatives)
        };
        assert_eq!(flags(json!({"maxLength": 1}), json!({"allOf": [{}]})), (false, false));
        for own in [json!({"pattern": "a"}), json!({"multipleOf": 2})] {
            assert_eq!(flags(own.clone(), json!({})), (true, false), "{own}");
            assert_eq!(flags(json!({}), own), (true, false));
        }
        for alternatives in [json!({"anyOf": [{}]}), json!({"oneOf": [{}]})] {
            assert_eq!(flags(alternatives.clone(), json!({})), (false, true), "{alternatives}");
            assert_eq!(flags(json!({}), alternatives), (false, true));
        }
        // What nothing refers to is compiled all the same.
        for nowhere in [json!({"$defs": {"x": {"pattern": "a"}}}), json!({"contentSchema": {"pattern": "a"}})] {
            let found = bounds(&json!({"properties": {"a": nowhere}})).unwrap();
            assert_eq!(found.patterns.keys().collect::<Vec<_>>(), ["a"], "{nowhere}");
        }
    }

    #[test]
    fn a_keyword_weighs_as_many_checks_as_it_makes() {
        for (keyword, value, checks) in [
            ("type", json!("string"), 1),
            ("maximum", json!(3), 1),
            ("enum", json!(["a", "b", "c", "d", null]), 1),
            ("enum", json!([1, 2, 3, 4, 5, 6, 7, 8]), 3),
            ("enum", json!([1, "2", []]), 3),
            ("pattern", json!("a"), 4),
            ("format", json!("date"), 20),
            ("format", json!("regex"), 10_000),
            ("required", json!(["a", "b", "c", "d", "e", "f", "g", "h"]), 3),
            ("dependentRequired", json!({"a": ["b", "c", "d", "e"], "f": []}), 1 + 2 + 1),
            ("title", json!("a"), 0),
            ("$defs", json!({"a": {}}), 0),
        ] {
            assert_eq!(weight(keyword, &value), checks, "{keyword}: {value}");
        }
    }

    #[test]
    fn one_value_may_be_held_to_a_few_formats() {
        let formats = |count: usize| json!({"properties": {"a": {"allOf": vec![json!({"format": "date"}); count]}}});
        assert!(bounds(&formats(limits::FORMATS_PER_VALUE)).is_ok());
        let refusal = bounds(&formats(limits::FORMATS_PER_VALUE + 1)).unwrap_err();
        assert!(refusal.contains("\"format\" more than"), "{refusal}");
    }

    #[test]
    fn errors_have_copies_of_all_that_is_looked_at_once_and_of_what_is_within_each() {
        let bounds = Bounds { once: 2, each: 3, ..Bounds::default() };
        let extent = Extent { values: 4, bytes: 515, within: 1_161, longest_text: 5, longest_path: 9 };
        assert_eq!(bounds.copies(extent), 2 * 515 + 3 * 1_161);
        assert_eq!(bounds.copies_of_texts(extent), 2 * 5 + 3 * 515);
    }

    #[test]
    fn a_large_everyday_schema_is_far_from_the_bounds() {
        let address = json!({"type": "object", "properties": {
            "street": {"type": "string", "maxLength": 200},
            "country": {"type": "string", "enum": (0..250).map(|code| format!("{code:02}")).collect::<Vec<_>>()},
            "zip": {"type": "string", "pattern": "^[0-9]{5}$"},
        }, "required": ["street", "country"]});
        let mut properties: Map<String, Value> =
            (0..400).map(|number| (format!("a{number}"), json!({"type": "string"}))).collect();
        properties.insert("addresses".to_owned(), json!({"type": "array", "items": address, "uniqueItems": true}));
        let bounds = bounds(&json!({"properties": properties, "required": ["a1", "a2"]})).unwrap();
        assert!(bounds.checks(VALUES) * 4 < limits::CHECKS_PER_RECORD, "{bounds:?}");
        assert_eq!(bounds.patterns["^[0-9]{5}$"], "schema.properties.addresses.items.properties.zip.pattern");
    }
}
