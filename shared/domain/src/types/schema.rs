//! The schema of an object type: the subset of JSON Schema that is allowed, compiled, and within bounds.
//!
//! Who defines a type and who sends its records may be one attacker. So what a record can cost to check, in steps and in
//! memory, is worked out and bounded before a schema is accepted (`bounds`), and what is reported of a record that breaks it
//! grows with what a result can hold and not with what is wrong.

mod bounds;
mod multiples;
mod patterns;
mod subset;

use std::fmt::{self, Display, Write};
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, Keyword, ValidationError, Validator};
use serde_json::Value;

use self::bounds::Bounds;
use self::patterns::Patterns;
pub(super) use self::subset::shown;
use self::subset::{check_subset, effective, refused};
use super::indexes::Indexes;
use crate::limits;
use crate::plan::{Budget, Listing};
use crate::problem::Problem;

/// A keyword of our own, as a factory of the validator's makes it.
type MadeKeyword<'schema> = Result<Box<dyn for<'instance> Keyword<'instance>>, ValidationError<'schema>>;

/// A schema that was accepted, as compact JSON, and what it compiles to.
#[derive(Clone, Debug)]
pub struct Schema {
    text: Arc<str>,
    validator: Arc<Validator>,
    bounds: Arc<Bounds>,
    indexes: Indexes,
    bytes: usize,
}

impl Schema {
    /// Reads a schema, checks that it is allowed, and compiles it.
    ///
    /// # Errors
    /// When the schema is outside the subset of JSON Schema that the contract allows, or one of its bounds.
    pub fn parse(schema: &Value) -> Result<Self, Problem> {
        let Value::Object(members) = schema else {
            return Err(Problem::unprocessable("schema must be an object"));
        };
        let text = schema.to_string();
        if text.len() > limits::SCHEMA_BYTES {
            return Err(Problem::unprocessable(format!(
                "schema must be at most {} bytes as compact JSON, not {}",
                limits::SCHEMA_BYTES,
                text.len()
            )));
        }
        check_subset(members)?;
        let indexes = Indexes::of_schema(members)?;
        let effective = effective(members);
        let bounds = Bounds::of(&effective)?;
        let patterns = Patterns::compile(&bounds.patterns)?;
        // It holds the schema to that of schemas, too.
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .with_format("regex", is_regex)
            .with_keyword("pattern", patterns.keyword())
            .with_keyword("multipleOf", multiples::keyword)
            .offline()
            .build(&Value::Object(effective))
            .map_err(|error| refused(&error))?;
        let bytes = (text.len() + bounds.negated) * COMPILED_BYTES_PER_BYTE + patterns.bytes();
        Ok(Self { text: text.into(), validator: Arc::new(validator), bounds: Arc::new(bounds), indexes, bytes })
    }

    /// The schema as compact JSON, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The indexes that it asks for.
    #[must_use]
    pub const fn indexes(&self) -> &Indexes {
        &self.indexes
    }

    /// The memory that it takes, compiled: an upper estimate.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The attributes as compact JSON, if they keep every rule.
    ///
    /// # Errors
    /// The broken rules, as many as `budget` holds, the last with how many more there are; or the size over the limit.
    pub fn check(&self, attributes: &Value, budget: Budget) -> Result<String, Vec<Problem>> {
        // Looking for what is wrong takes memory and time that whoever keeps the rules does not owe.
        patterns::start_record();
        if self.validator.is_valid(attributes) && !patterns::gave_up() {
            return sized(attributes).map_err(|problem| vec![problem]);
        }
        Err(self.broken_rules(attributes, budget))
    }

    fn broken_rules(&self, attributes: &Value, budget: Budget) -> Vec<Problem> {
        let extent = Extent::of(attributes);
        patterns::start_record();
        let mut listing = Listing::new(budget);
        if self.bytes_of_errors(extent) <= BYTES_OF_ERRORS {
            for error in self.validator.iter_errors(attributes) {
                list(&mut listing, &error);
            }
        } else if self.bounds.has_alternatives {
            listing.push(|| {
                Problem::unprocessable(format!(
                    "attributes break the schema of their type. They have {} values, too many for its rules to say which: \
                     send smaller ones to see",
                    extent.values
                ))
            });
        } else if let Err(error) = self.validator.validate(attributes) {
            list(&mut listing, &error);
            listing.push(|| {
                Problem::unprocessable(format!(
                    "attributes may break more rules: they have {} values, too many to say which",
                    extent.values
                ))
            });
        }
        let problems = listing.finish();
        if !problems.is_empty() {
            return problems;
        }
        vec![if patterns::gave_up() {
            Problem::unprocessable(
                "attributes cannot be checked: a text is too long for a pattern of their type as large as it is",
            )
        } else {
            // The validator does not contradict itself; if it did, the item must fail all the same.
            Problem::internal()
        }]
    }

    /// The memory that all errors of such attributes may take at the same time. The validator makes them all at once.
    fn bytes_of_errors(&self, extent: Extent) -> u64 {
        /// Of an error: what it says of itself.
        const ERROR: u64 = 512;
        let errors = self.bounds.checks(extent.values);
        let listed = errors.saturating_mul(ERROR + extent.longest_path);
        // Under `anyOf` and `oneOf` each error has a copy of what it is about, which may be all there is.
        let copies = if self.bounds.has_alternatives {
            self.bounds.copies(extent)
        } else if self.bounds.has_own_keywords {
            self.bounds.copies_of_texts(extent)
        } else {
            0
        };
        listed.saturating_add(copies)
    }
}

/// The most memory that the errors of one record take. A record of the largest size of which every value breaks a rule stays
/// below: 16,384 errors of half a kilobyte are 8 MiB.
const BYTES_OF_ERRORS: u64 = 16 * 1024 * 1024;

/// What a byte of a schema becomes when it is compiled: a number in an `enum`, two bytes with its comma, is kept twice as a
/// value of 80 bytes.
const COMPILED_BYTES_PER_BYTE: usize = 80;

/// The longest text that is looked at as a regular expression: that takes a time that grows with its square.
const REGEX_BYTES: usize = 1024;

fn is_regex(text: &str) -> bool {
    text.len() <= REGEX_BYTES && jsonschema_regex::is_valid_ecma_regex(text)
}

/// How large attributes are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Extent {
    /// All values, those within others counted too.
    values: u64,
    /// Bytes that they take in memory.
    bytes: u64,
    /// For each of them, the bytes that it takes with what it has within it; all of these together.
    within: u64,
    /// Bytes of the longest text.
    longest_text: u64,
    /// Bytes of the longest path to one.
    longest_path: u64,
}

impl Extent {
    fn of(value: &Value) -> Self {
        fn walk(value: &Value, level: u64, path: u64, extent: &mut Extent) {
            /// Of a value: what it is, and its name.
            const VALUE: u64 = 128;
            let text = value.as_str().map_or(0, |text| text.len() as u64);
            extent.values += 1;
            extent.bytes += VALUE + text;
            // On level 3 it is within itself and two others.
            extent.within += level * (VALUE + text);
            extent.longest_text = extent.longest_text.max(text);
            extent.longest_path = extent.longest_path.max(path);
            match value {
                Value::Array(elements) => {
                    for element in elements {
                        walk(element, level + 1, path + 6, extent);
                    }
                }
                Value::Object(members) => {
                    for (name, member) in members {
                        walk(member, level + 1, path + 1 + name.len() as u64, extent);
                    }
                }
                _ => {}
            }
        }
        let mut extent = Self::default();
        // As deep as JSON may nest here, see `limits::JSON_LEVELS`.
        walk(value, 1, 0, &mut extent);
        extent
    }
}

fn list(listing: &mut Listing, error: &ValidationError<'_>) {
    let place = || format!("attributes{}", error.instance_path().as_str().replace('/', "."));
    let broken = |place: &str, rule: &str, why: &dyn Display| {
        Problem::unprocessable(format!("{} breaks the rule \"{rule}\": {}", shortened(place), shortened(why)))
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            for name in unexpected {
                let why = "the type has no such attribute";
                listing.push(|| broken(&format!("{}.{name}", place()), "additionalProperties", &why));
            }
        }
        ValidationErrorKind::Required { property } => listing.push(|| {
            let name = property.as_str().unwrap_or_default();
            broken(&format!("{}.{name}", place()), "required", &"the attribute is missing")
        }),
        kind => listing.push(|| broken(&place(), kind.keyword(), error)),
    }
}

/// A text cut to what a person reads. What is cut off is not even written.
fn shortened(text: &(impl Display + ?Sized)) -> String {
    struct Shortened {
        text: String,
        left: usize,
    }

    impl Write for Shortened {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            match text.char_indices().nth(self.left) {
                None => {
                    self.left -= text.chars().count();
                    self.text.push_str(text);
                    Ok(())
                }
                Some((end, _)) => {
                    self.text.push_str(&text[..end]);
                    self.text.push('…');
                    Err(fmt::Error)
                }
            }
        }
    }

    let mut shortened = Shortened { text: String::new(), left: 240 };
    // The one error is that there is more.
    let _ = write!(shortened, "{text}");
    shortened.text
}

/// The attributes as compact JSON, if they are not too large.
///
/// # Errors
/// When they are over [`limits::ATTRIBUTES_BYTES`].
pub fn sized(attributes: &Value) -> Result<String, Problem> {
    let text = attributes.to_string();
    if text.len() > limits::ATTRIBUTES_BYTES { Err(oversized(text.len())) } else { Ok(text) }
}

/// The problem (422) that attributes are too large: they take `bytes` as compact JSON.
#[must_use]
pub fn oversized(bytes: usize) -> Problem {
    Problem::unprocessable(format!(
        "attributes must be at most {} bytes as compact JSON, not {bytes}",
        limits::ATTRIBUTES_BYTES
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;
    use crate::request::json;

    /// Of a small job.
    fn budget() -> Budget {
        Budget::of_job(1)
    }

    fn refusal(schema: &Value) -> String {
        Schema::parse(schema).unwrap_err().detail.into_owned()
    }

    #[test]
    fn the_published_mistakes_have_the_published_texts() {
        let name = json!({"name": {"type": "string"}});
        let missing = |property: &str| format!("data.schema object has missing required properties ([\"{property}\"])");
        let not_allowed = |keyword: &str| {
            format!("data.schema object instance has properties which are not allowed by the schema: [\"{keyword}\"]")
        };
        for (schema, detail) in [
            (json!({}), "The schema for a legacy object type cannot be empty.".to_owned()),
            (json!({"properties": {}}), "The properties element of a schema cannot be empty.".to_owned()),
            (json!({"title": "x"}), missing("properties")),
            (json!({"properties": {"a": {}}}), missing("type")),
            (
                json!({"properties": name, "additionalProperties": true}),
                "additionalProperties cannot be set to true".to_owned(),
            ),
            (json!({"properties": name, "$schema": "x"}), not_allowed("$schema")),
            (json!({"properties": name, "patternProperties": {}}), not_allowed("patternProperties")),
            (json!({"properties": name, "$ref": "#"}), not_allowed("$ref")),
            (
                json!({"properties": {"a": {"type": "object", "patternProperties": {}}}}),
                not_allowed("patternProperties"),
            ),
        ] {
            assert_eq!(refusal(&schema), detail);
        }
    }

    #[test]
    fn what_is_always_so_stands_in_what_is_shown() {
        for (given, expected) in [
            (r#"{"properties":{}}"#, r#"{"properties":{},"additionalProperties":false}"#),
            (r#"{"additionalProperties":false,"title":"x"}"#, r#"{"additionalProperties":false,"title":"x"}"#),
            (
                r#"{"properties":{"additionalProperties":{"type":"null"}}}"#,
                r#"{"properties":{"additionalProperties":{"type":"null"}},"additionalProperties":false}"#,
            ),
        ] {
            assert_eq!(shown(given), expected);
        }
    }

    #[test]
    fn a_schema_outside_the_subset_is_refused_with_the_member_named() {
        let name = json!({"name": {"type": "string"}});
        for (schema, word) in [
            (json!([]), "must be an object"),
            (json!({"properties": []}), "schema.properties must be an object"),
            (json!({"properties": {"_a": {"type": "string"}}}), "\"_a\""),
            (json!({"properties": {"*": {"type": "string"}}}), "\"*\""),
            (json!({"properties": {"a\u{7}": {"type": "string"}}}), "control character"),
            (json!({"properties": name, "additionalProperties": {}}), "additionalProperties can only be false"),
            (json!({"properties": name, "type": "array"}), "schema.type"),
            (json!({"properties": name, "required": ["other"]}), "\"other\""),
            (json!({"properties": {"a": {"type": "no such"}}}), "schema.properties.a.type"),
            (json!({"properties": {"a": {"type": "string", "pattern": "("}}}), "is not valid"),
            (json!({"properties": {"a": {"type": "string", "pattern": "(?=x)"}}}), "is not valid"),
            (json!({"properties": name, "allOf": [{"$ref": "#"}]}), "$ref"),
            (json!({"properties": {"a": {"type": "array", "items": {"$ref": "#"}}}}), "$ref"),
            (
                json!({"properties": {"a": {"type": "array", "not": {"contains": {"unevaluatedItems": {}}}}}}),
                "unevaluatedItems",
            ),
            (json!({"properties": name, "dependentSchemas": {"name": {"$dynamicRef": "#"}}}), "$dynamicRef"),
            (json!({"properties": {"a": {"type": "string", "$ref": "http://127.0.0.1/"}}}), "$ref"),
            (json!({"properties": {"a": {"type": "string", "description": "x".repeat(33_000)}}}), "32768"),
        ] {
            let detail = refusal(&schema);
            assert!(detail.contains(word), "{detail:?} names {word:?}");
        }
        // A property may be called what a keyword is called.
        Schema::parse(&json!({"properties": {"$ref": {"type": "string"}, "properties": {"type": "string"}}})).unwrap();
        // And data is no schema.
        let data =
            json!({"type": "object", "enum": [{"$ref": "#"}], "default": {"$id": 1}, "examples": [{"$schema": 1}]});
        Schema::parse(&json!({"properties": {"a": data}})).unwrap();
    }

    #[test]
    fn every_broken_rule_is_one_problem_that_names_attribute_and_rule() {
        let schema = Schema::parse(&json!({
            "properties": {
                "name": {"type": "string", "maxLength": 3},
                "lat": {"type": "number", "minimum": -90},
                "country": {"type": "string", "enum": ["US", "FR"]},
                "day": {"type": "string", "format": "date"},
            },
            "required": ["name", "country"],
        }))
        .unwrap();
        let broken =
            schema.check(&json!({"lat": "x", "country": "DE", "day": "soon", "extra": 1, "more": 2}), budget());
        let details: Vec<_> = broken.unwrap_err().into_iter().map(|problem| problem.detail.into_owned()).collect();
        for (attribute, rule) in [
            ("attributes.name", "required"),
            ("attributes.lat", "type"),
            ("attributes.country", "enum"),
            ("attributes.day", "format"),
            ("attributes.extra", "additionalProperties"),
            ("attributes.more", "additionalProperties"),
        ] {
            let start = format!("{attribute} breaks the rule \"{rule}\"");
            assert_eq!(details.iter().filter(|detail| detail.starts_with(&start)).count(), 1, "{start}: {details:?}");
        }
        assert_eq!(details.len(), 6);
        assert_eq!(
            schema.check(&json!({"country": "US", "name": "a"}), budget()).unwrap(),
            r#"{"country":"US","name":"a"}"#
        );
    }

    #[test]
    fn a_text_that_does_not_match_is_shown_with_its_pattern_and_one_that_is_too_long_with_its_length() {
        let rules = json!({"type": "string", "pattern": "^[ab]*a[ab]{1000}$"});
        let schema = Schema::parse(&json!({"properties": {"a": rules}})).unwrap();
        let refusal =
            |text: &str| schema.check(&json!({"a": text}), budget()).unwrap_err()[0].detail.clone().into_owned();
        let short = refusal("b");
        assert_eq!(short, r#"attributes.a breaks the rule "pattern": "b" does not match "^[ab]*a[ab]{1000}$""#);
        let long = patterns::made_for_a_pattern(30_000);
        assert!(refusal(&long).contains("the text of 30000 bytes is too long for a pattern as large as \"^[ab]"));
    }

    #[test]
    fn what_a_pattern_gave_up_on_is_no_match_under_a_not_either() {
        let pattern = json!({"pattern": "^[ab]*a[ab]{1000}$"});
        let schema = Schema::parse(&json!({"properties": {"a": {"type": "string", "not": pattern}}})).unwrap();
        let text = patterns::made_for_a_pattern(30_000);
        let problems = schema.check(&json!({"a": text}), budget()).unwrap_err();
        assert!(problems[0].detail.starts_with("attributes cannot be checked"), "{problems:?}");
        assert!(schema.check(&json!({"a": "b"}), budget()).is_ok());
    }

    #[test]
    fn attributes_are_held_to_their_size_as_compact_json() {
        let schema = Schema::parse(&json!({"properties": {"name": {"type": "string"}}})).unwrap();
        let fits = limits::ATTRIBUTES_BYTES - r#"{"name":""}"#.len();
        assert!(schema.check(&json!({"name": "x".repeat(fits)}), budget()).is_ok());
        let problems = schema.check(&json!({"name": "x".repeat(fits + 1)}), budget()).unwrap_err();
        assert!(problems[0].detail.contains("32768") && problems[0].detail.contains("32769"));
    }

    #[test]
    fn numbers_come_out_as_they_went_in() {
        let schema = Schema::parse(&json!({"properties": {"at": {"type": "number"}}})).unwrap();
        for number in ["-101.473911", "3435.0", "0.1", "18446744073709551615", "-9223372036854775808"] {
            let text = format!("{{\"at\":{number}}}");
            assert_eq!(schema.check(&serde_json::from_str(&text).unwrap(), budget()).unwrap(), text);
        }
    }

    #[test]
    fn a_schema_is_kept_as_it_was_given_and_may_be_as_large_as_its_limit() {
        let of = |title: usize| json!({"properties": {"a": {"type": "string"}}, "title": "x".repeat(title)});
        let fits = limits::SCHEMA_BYTES - of(0).to_string().len();
        let largest = Schema::parse(&of(fits)).unwrap();
        assert_eq!((largest.as_str().len(), largest.as_str()), (limits::SCHEMA_BYTES, of(fits).to_string().as_str()));
        let detail = refusal(&of(fits + 1));
        assert!(detail.contains(&format!("at most {}", limits::SCHEMA_BYTES)), "{detail}");
    }

    #[test]
    fn what_a_schema_takes_compiled_grows_with_its_text_and_with_what_has_to_be_kept_beside() {
        let schema = |rules: Value| {
            let mut rules = rules;
            rules["type"] = "string".into();
            Schema::parse(&json!({"properties": {"a": rules}})).unwrap()
        };
        let plain = schema(json!({"minLength": 3}));
        assert_eq!(plain.bytes(), plain.as_str().len() * COMPILED_BYTES_PER_BYTE);
        let negated = schema(json!({"not": {"enum": ["a", "b"]}}));
        let patterned = schema(json!({"pattern": "^[a-z]+$"}));
        for more in [negated, patterned] {
            assert!(more.bytes() > more.as_str().len() * COMPILED_BYTES_PER_BYTE, "{}", more.as_str());
            assert!(more.bytes() < 100 * plain.bytes(), "{} takes {}", more.as_str(), more.bytes());
        }
    }

    #[test]
    fn the_extent_of_attributes_counts_each_value_with_what_is_around_it() {
        let expected = Extent {
            values: 4,
            bytes: 4 * 128 + 3,
            within: 128 + 2 * 128 + 3 * (128 + 3) + 3 * 128,
            longest_text: 3,
            longest_path: "/ab".len() as u64 + 6,
        };
        assert_eq!(Extent::of(&json!({"ab": ["xyz", 1]})), expected);
    }

    #[test]
    fn a_text_is_a_regular_expression_up_to_a_length() {
        assert!(is_regex("^a+$") && !is_regex("("));
        assert!(is_regex(&"a".repeat(REGEX_BYTES)) && !is_regex(&"a".repeat(REGEX_BYTES + 1)));
    }

    #[test]
    fn what_a_person_reads_is_cut_in_whichever_pieces_it_is_written() {
        let (a, b, c) = ("a".repeat(100), "ä".repeat(100), "c".repeat(100));
        assert_eq!(shortened(&format_args!("{a}{b}{c}")), format!("{a}{b}{}…", "c".repeat(40)));
        assert_eq!(shortened(&format_args!("{a}{b}")), format!("{a}{b}"));
    }

    /// How many problems are listed, and the last of them.
    fn told(schema: &Value, attributes: &Value) -> (usize, String) {
        let problems = Schema::parse(schema).unwrap().check(attributes, budget()).unwrap_err();
        (problems.len(), problems.last().unwrap().detail.clone().into_owned())
    }

    /// The errors of one record are all in memory at the same time, so beyond 16 MiB of them nobody asks for all.
    #[test]
    fn what_breaks_too_many_rules_is_told_of_in_few_words() {
        let many = json!({"a": vec![1; 12_000]});
        let list = |rules: Value| json!({"properties": {"a": {"type": "array", "items": rules}}});
        let rules = json!({"type": "string", "enum": ["x"], "const": "x", "maximum": 0});
        let (listed, last) = told(&list(rules.clone()), &many);
        assert!(listed == 2 && last.starts_with("attributes may break more rules: they have 12002 values"), "{last}");
        let (listed, last) = told(&list(rules), &json!({"a": [1, 1]}));
        assert!(listed > 2 && !last.contains("may break more"), "{listed}: {last}");
        // Each error of alternatives has a copy of what it is about.
        let alternatives = list(json!({"anyOf": [{"type": "string"}, {"type": "boolean"}]}));
        let (listed, last) = told(&alternatives, &many);
        assert!(
            listed == 1 && last.starts_with("attributes break the schema of their type. They have 12002"),
            "{last}"
        );
        let (_, last) = told(&alternatives, &json!({"a": [1, 1]}));
        assert!(last.contains("anyOf"), "{last}");
        // Each error has its own place, which may be long.
        for (name, is_too_much) in [("n".repeat(255), true), ("n".to_owned(), false)] {
            let within = |inner: Value| json!({"type": "object", "properties": {(name.as_str()): inner}});
            let schema = (0..8).fold(json!({"type": "array", "items": {"type": "string"}}), |inner, _| within(inner));
            let texts = json!(vec![1; 8_000]);
            let attributes = (0..8).fold(texts, |inner, _| json!({(name.as_str()): inner}));
            let (_, last) = told(&schema, &attributes);
            assert_eq!(last.contains("too many to say which"), is_too_much, "{last}");
        }
    }

    /// `inner` in so many times `open` and `close`.
    fn nested(times: usize, open: &str, inner: &str, close: &str) -> String {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    }

    #[test]
    fn a_schema_that_nests_as_deep_as_it_may_is_compiled_and_held_to() {
        // Tests run on 2 MiB of stack, as the threads of a server do.
        for (open, close) in [
            (r#"{"not":"#, "}"),
            (r#"{"allOf":["#, "]}"),
            (r#"{"items":"#, "}"),
            (r#"{"type":"object","properties":{"a":"#, "}}"),
            (r#"{"if":{},"then":"#, "}"),
            (r#"{"dependentSchemas":{"a":"#, "}}"),
        ] {
            let levels_each = open.matches(['[', '{']).count() - open.matches('}').count();
            // Four levels lead there, and the innermost schema is one.
            let inner = nested((limits::JSON_LEVELS - 5) / levels_each, open, r#"{"type":"string"}"#, close);
            let schema = format!(r#"{{"properties":{{"a":{{"type":["object","array"],"allOf":[{inner}]}}}}}}"#);
            let schema = json::read("schema", &RawValue::from_string(schema).unwrap()).unwrap();
            let schema = Schema::parse(&schema).unwrap();
            for attributes in [nested(50, r#"{"a":["#, "", "]}"), nested(99, r#"{"a":"#, "{}", "}")] {
                let attributes = json::read("attributes", &RawValue::from_string(attributes).unwrap()).unwrap();
                // Whether they keep the schema is another matter.
                drop(schema.check(&attributes, budget()));
            }
        }
    }
}
