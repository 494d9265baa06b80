//! Tables for what is refused and what matches, and random queries held against a filter that is written for clarity
//! alone.

use std::cell::Cell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, json};

use super::*;
use crate::record::RecordId;
use crate::time::Timestamp;
use crate::types::{Indexes, TypeKey};

fn parse(body: &str) -> Result<Query, Problem> {
    Query::parse(&RawValue::from_string(body.to_owned()).unwrap(), None)
}

fn query(query: &Value) -> Query {
    parse(&json!({ "query": query }).to_string()).unwrap()
}

fn refused(body: &str, detail: &str) {
    let problem = parse(body).unwrap_err();
    assert_eq!((problem.code, problem.detail.as_ref()), (Code::BadRequest, detail), "{body}");
}

fn refused_query(query: &Value, detail: &str) {
    refused(&json!({ "query": query }).to_string(), detail);
}

const OPERATORS: &str = "it must be $eq, $ne, $gt, $gte, $lt, $lte, $in, $contains, $prefix or $exists";

#[test]
fn a_body_that_is_no_search_is_refused() {
    refused("[]", "The body must be an object with the member query, not an array");
    refused("null", "The body must be an object with the member query, not null");
    for absent in ["{}", r#"{"query":null}"#] {
        refused(absent, "query is required and must be an object");
    }
    for (other, kind) in [("[]", "an array"), ("1", "a number"), ("true", "a boolean"), (r#""a""#, "a string")] {
        refused(&format!(r#"{{"query":{other}}}"#), &format!("query must be an object, not {kind}"));
    }
    refused(r#"{"query":{},"query":{}}"#, "query is given more than once");
    refused(r#"{"query":{},"sort_by":null,"sort_by":null}"#, "sort_by is given more than once");
    refused(r#"{"query":{"a":1,"a":2}}"#, r#"query cannot be read: the member "a" is given more than once"#);
    refused(
        r#"{"query":{},"_created_at":{"end":"x","end":"x"}}"#,
        r#"_created_at cannot be read: the member "end" is given more than once"#,
    );
    refused(
        &format!(r#"{{"query":{{"a":{{"$eq":{}{}}}}}}}"#, "[".repeat(99), "]".repeat(99)),
        "query cannot be read: at most 100 levels may be nested",
    );
    assert!(parse(r#"{"query":{},"page":1,"page":[[]],"sort":{"a":1,"a":2}}"#).is_ok(), "others are passed over");
}

#[test]
fn what_is_wrong_in_a_query_is_named_by_its_path() {
    let scalars = "a string, a number, a boolean or null";
    for (bad, detail) in [
        // Members.
        (json!({"$nor": []}), "query.$nor is not known: it must be $and, $or or $not".to_owned()),
        (json!({"$eq": 1}), "query.$eq is not known: it must be $and, $or or $not".to_owned()),
        (
            json!({"$and": [{}, {"_created_at": {"$gt": 1}}]}),
            "query.$and[1]._created_at is not known: it must be _type, _external_id, _id or an attribute".to_owned(),
        ),
        (json!({"$and": {}}), "query.$and must be an array of queries, not an object".to_owned()),
        (json!({"$or": null}), "query.$or must be an array of queries, not null".to_owned()),
        (json!({"$or": [{}, 1]}), "query.$or[1] must be an object, not a number".to_owned()),
        (json!({"$not": []}), "query.$not must be an object, not an array".to_owned()),
        (
            json!({"$not": {"$and": [{"$or": [0]}]}}),
            "query.$not.$and[0].$or[0] must be an object, not a number".to_owned(),
        ),
        // Comparisons.
        (json!({"a": []}), format!("query.a must be an object of operators, {scalars}, not an array")),
        (
            json!({"a": {}}),
            "query.a must have an operator: $eq, $ne, $gt, $gte, $lt, $lte, $in, $contains, $prefix or $exists"
                .to_owned(),
        ),
        (json!({"a": {"$like": 1}}), format!("query.a.$like is not an operator: {OPERATORS}")),
        (json!({"a": {"b": 1}}), format!("query.a.b is not an operator: {OPERATORS}")),
        (json!({"a": {"$eq": 1, "$not": {}}}), format!("query.a.$not is not an operator: {OPERATORS}")),
        // Operands.
        (
            json!({"$and": [{}, {"a.b": {"$gt": true}}]}),
            "query.$and[1].a.b.$gt must be a number or a string, not a boolean".to_owned(),
        ),
        (json!({"a": {"$gte": null}}), "query.a.$gte must be a number or a string, not null".to_owned()),
        (json!({"a": {"$lt": []}}), "query.a.$lt must be a number or a string, not an array".to_owned()),
        (json!({"a": {"$lte": {}}}), "query.a.$lte must be a number or a string, not an object".to_owned()),
        (json!({"a": {"$in": "x"}}), "query.a.$in must be an array, not a string".to_owned()),
        (json!({"a": {"$in": [1, null, {}]}}), format!("query.a.$in[2] must be {scalars}, not an object")),
        (json!({"a": {"$prefix": 1}}), "query.a.$prefix must be a string, not a number".to_owned()),
        (json!({"a": {"$exists": 1}}), "query.a.$exists must be true or false, not a number".to_owned()),
        (json!({"*": {"$eq": [1]}}), format!("query.*.$eq must be {scalars}, not an array")),
        (json!({"*": {"$ne": {}}}), format!("query.*.$ne must be {scalars}, not an object")),
        (json!({"*": {"$contains": []}}), format!("query.*.$contains must be {scalars}, not an array")),
        (json!({"*": {"$in": [[]]}}), format!("query.*.$in[0] must be {scalars}, not an array")),
        // Fields.
        (json!({"_type": 1}), "query._type must be a string, not a number".to_owned()),
        (json!({"_type": {"$in": ["a", 1]}}), "query._type.$in[1] must be a string, not a number".to_owned()),
        (json!({"_type": {"$contains": null}}), "query._type.$contains must be a string, not null".to_owned()),
        (json!({"_id": {"$ne": true}}), "query._id.$ne must be a string, not a boolean".to_owned()),
        (json!({"_id": {"$gt": 1}}), "query._id.$gt must be a string, not a number".to_owned()),
        (json!({"_external_id": 1.5}), "query._external_id must be a string or an integer, not a number".to_owned()),
        (
            json!({"_external_id": {"$prefix": []}}),
            "query._external_id.$prefix must be a string or an integer, not an array".to_owned(),
        ),
        // Names as they are shown.
        (json!({"a b": []}), format!(r#"query."a b" must be an object of operators, {scalars}, not an array"#)),
        (json!({"": {"$in": 1}}), r#"query."".$in must be an array, not a number"#.to_owned()),
        (
            json!({"x".repeat(81): {"$in": 1}}),
            format!(r#"query."{}…".$in must be an array, not a number"#, "x".repeat(80)),
        ),
    ] {
        refused_query(&bad, &detail);
    }
}

fn nested(levels: usize, operator: &str) -> Value {
    (1..levels).fold(json!({"a": 1}), |inner, _| {
        if operator == "$not" { json!({ operator: inner }) } else { json!({ operator: [inner] }) }
    })
}

#[test]
fn so_much_may_be_asked_and_no_more() {
    for operator in ["$and", "$or", "$not"] {
        query(&nested(LEVELS, operator));
        let place = if operator == "$not" { ".$not" } else { &format!(".{operator}[0]") };
        let detail = format!("query{} is too deep: a query may have at most 10 levels", place.repeat(10));
        refused_query(&nested(LEVELS + 1, operator), &detail);
    }
    let detail = "query may have at most 100 comparisons";
    for one in [json!({"a": 1}), json!({"_type": {"$eq": "ab"}}), json!({}), json!({"$or": []}), json!({"$not": {}})] {
        query(&json!({"$and": vec![one.clone(); COMPARISONS]}));
        refused_query(&json!({"$and": vec![one; COMPARISONS + 1]}), detail);
    }
    refused_query(&json!({"$or": vec![json!({"a": {"$gt": 1, "$lt": 3}}); 51]}), detail);
    let attributes = |count: usize| Value::Object((0..count).map(|number| (format!("a{number}"), json!(1))).collect());
    query(&attributes(COMPARISONS));
    refused_query(&attributes(COMPARISONS + 1), detail);
    query(&json!({"a": {"$in": vec![1; VALUES_IN_LIST]}}));
    refused_query(&json!({"a": {"$in": vec![1; 401]}}), "query.a.$in may have at most 400 values, not 401");
}

#[test]
fn the_order_is_read_in_each_of_its_forms() {
    use Order::{Ascending, Descending};
    use SortBy::{CreatedAt, UpdatedAt};
    for (sort_by, by, order) in [
        ("null", CreatedAt, Descending),
        (r#""_created_at""#, CreatedAt, Descending),
        (r#""_created_at desc""#, CreatedAt, Descending),
        (r#"" _created_at  asc ""#, CreatedAt, Ascending),
        (r#""_updated_at""#, UpdatedAt, Descending),
        (r#""_updated_at desc""#, UpdatedAt, Descending),
        (r#""_updated_at asc""#, UpdatedAt, Ascending),
        (r#"{"_created_at":"asc"}"#, CreatedAt, Ascending),
        (r#"{"_updated_at":"desc"}"#, UpdatedAt, Descending),
    ] {
        let body = format!(r#"{{"query":{{}},"sort_by":{sort_by}}}"#);
        assert_eq!(parse(&body).unwrap().sort, Sort { by, order }, "{sort_by}");
        let body = RawValue::from_string(body).unwrap();
        for order in [Ascending, Descending] {
            assert_eq!(Query::parse(&body, Some(order)).unwrap().sort, Sort { by, order }, "{sort_by}");
        }
    }
    assert_eq!(parse(r#"{"query":{}}"#).unwrap().sort, Sort::default());
    let unknown = |given: &str| {
        format!(
            "sort_by must be \"_created_at\" or \"_updated_at\", with \"asc\" or \"desc\" behind it or not, not {given}"
        )
    };
    for (sort_by, detail) in [
        (json!(""), unknown(r#""""#)),
        (json!("name"), unknown(r#""name""#)),
        (json!("_created_at down"), unknown(r#""_created_at down""#)),
        (json!("_created_at asc desc"), unknown(r#""_created_at asc desc""#)),
        (json!("asc"), unknown(r#""asc""#)),
        (json!(1), unknown("a number")),
        (json!(["_created_at"]), unknown("an array")),
        (json!({"name": "asc"}), unknown(r#""name""#)),
        (json!({"_created_at": "up"}), r#"sort_by._created_at must be "asc" or "desc", not "up""#.to_owned()),
        (json!({"_updated_at": 1}), r#"sort_by._updated_at must be "asc" or "desc", not a number"#.to_owned()),
        (json!({}), r#"sort_by must have exactly one member, "_created_at" or "_updated_at""#.to_owned()),
        (
            json!({"_created_at": "asc", "_updated_at": "asc"}),
            r#"sort_by must have exactly one member, "_created_at" or "_updated_at""#.to_owned(),
        ),
    ] {
        refused(&json!({"query": {}, "sort_by": sort_by}).to_string(), &detail);
    }
}

fn window(start: &Value, end: &Value) -> Window {
    let body = json!({"query": {}, "_updated_at": {"start": start, "end": end, "zone": 1}});
    let query = parse(&body.to_string()).unwrap();
    assert_eq!(query.created_at, Window::default());
    query.updated_at
}

fn millis(date: &str) -> u64 {
    window(&json!(date), &Value::Null).start.unwrap().as_millis()
}

#[test]
fn dates_are_read_in_each_of_their_forms() {
    for (date, expected) in [
        ("2017-11-03 16:00:06.123", 1_509_724_806_123),
        ("2017-11-03T16:00:06.123", 1_509_724_806_123),
        ("2017-11-03t16:00:06.123z", 1_509_724_806_123),
        ("2017-11-03 16:00:06.123Z", 1_509_724_806_123),
        ("2017-11-03T17:30:06.123+01:30", 1_509_724_806_123),
        ("2017-11-03 09:00:06.123-07:00", 1_509_724_806_123),
        ("2017-11-03 16:00:06.123-00:00", 1_509_724_806_123),
        ("2017-11-03 16:00:06", 1_509_724_806_000),
        ("2017-11-03T16:00:06Z", 1_509_724_806_000),
        ("2017-11-03 16:00:06.1", 1_509_724_806_100),
        ("2017-11-03 16:00:06.12", 1_509_724_806_120),
        ("2017-11-03 16:00:06.123000000000000", 1_509_724_806_123),
        ("2017-11-03 16:00:06.123000000000001", 1_509_724_806_124),
        ("2017-11-03 16:00:06.9991Z", 1_509_724_807_000),
        ("2000-02-29 00:00:00", 951_782_400_000),
        ("1970-01-01 00:00:00", 0),
        ("1969-12-31 23:59:59.999", 0),
        ("0000-01-01 00:00:00", 0),
        ("9999-12-31 23:59:59.999", 253_402_300_799_999),
        ("9999-12-31 23:59:59.999-23:59", 253_402_387_139_999),
    ] {
        assert_eq!(millis(date), expected, "{date}");
    }
    for date in [
        "",
        "2017-11-03",
        "2017-11-03 16:00",
        "2017-13-03 16:00:06",
        "2017-02-29 16:00:06",
        "2017-11-03 24:00:00",
        "2017-11-03 16:60:06",
        "2017-11-03 16:00:60",
        "2017-11-03 16:00:06.",
        "2017-11-03 16:00:06,5",
        "2017-11-03  16:00:06",
        "2017-11-03 16:00:06 ",
        " 2017-11-03 16:00:06",
        "2017-11-03 16:00:06 UTC",
        "2017-11-03 16:00:06+0100",
        "2017-11-03 16:00:06+01",
        "2017-11-03 16:00:06+24:00",
        "2017-11-03 16:00:06+01:60",
        "2017-11-03 16:00:06Z[UTC]",
        "17-11-03 16:00:06",
        "+017-11-03 16:00:06",
        "-2017-11-03 16:00:06",
        "20171103T160006Z",
        "2017-11-03 1６:00:06",
        "1509724806123",
    ] {
        refused(
            &json!({"query": {}, "_created_at": {"start": date}}).to_string(),
            &format!(
                "_created_at.start must be a date like \"2020-01-31 23:59:59.999\" or \"2020-01-31T23:59:59Z\", not {}",
                json!(date)
            ),
        );
    }
    refused(
        r#"{"query":{},"_updated_at":{"end":1509724806123}}"#,
        "_updated_at.end must be a date like \"2020-01-31 23:59:59.999\" or \"2020-01-31T23:59:59Z\", not a number",
    );
    refused(r#"{"query":{},"_updated_at":"2017"}"#, "_updated_at must be an object, not a string");
    refused(r#"{"query":{},"_created_at":[]}"#, "_created_at must be an object, not an array");
}

#[test]
fn a_window_has_its_start_and_not_its_end() {
    let (early, late) = (json!("2017-11-03 16:00:06.123"), json!("2017-11-03 16:00:06.125"));
    let of = |window: Window| {
        (122..=126).filter(|last| window.contains(Timestamp::from_millis(1_509_724_806_000 + last))).collect::<Vec<_>>()
    };
    assert_eq!(of(window(&early, &late)), [123, 124]);
    assert_eq!(of(window(&early, &Value::Null)), [123, 124, 125, 126]);
    assert_eq!(of(window(&Value::Null, &late)), [122, 123, 124]);
    assert_eq!(of(window(&Value::Null, &Value::Null)), [122, 123, 124, 125, 126]);
    let fine = json!("2017-11-03 16:00:06.1235");
    assert_eq!(of(window(&fine, &late)), [124], "finer than what is kept");
    assert_eq!(of(window(&early, &fine)), [123]);
    for (start, end, empty) in [
        (&early, &late, false),
        (&early, &early, true),
        (&late, &early, true),
        (&early, &Value::Null, false),
        (&Value::Null, &Value::Null, false),
        (&Value::Null, &json!("1969-01-01 00:00:00"), true),
    ] {
        assert_eq!(window(start, end).is_empty(), empty, "{start} {end}");
        let body = json!({"query": {}, "_created_at": {"start": start, "end": end}});
        assert_eq!(parse(&body.to_string()).unwrap().is_empty(), empty);
    }
    for nothing in ["null", "{}"] {
        assert_eq!(
            parse(&format!(r#"{{"query":{{}},"_created_at":{nothing}}}"#)).unwrap().created_at,
            Window::default()
        );
    }
}

/// A record of a table's row: a product with the external id `A-1`.
fn matches(wanted: &Value, attributes: &Value) -> bool {
    let record = Record {
        object_type: "Product".to_owned(),
        external_id: Some("A-1".to_owned()),
        id: ID.to_owned(),
        attributes: attributes.clone(),
    };
    let matches = query(wanted).filter.matches(&record.candidate());
    assert_eq!(naive(wanted, &record), matches, "{wanted} of {attributes}");
    matches
}

const ID: &str = "40e83a4e-8438-8bb9-8f6f-51124535ce9f";

fn check(attributes: &Value, matching: &[Value], others: &[Value]) {
    for (queries, expected) in [(matching, true), (others, false)] {
        for query in queries {
            assert_eq!(matches(query, attributes), expected, "{query} of {attributes}");
        }
    }
}

#[test]
fn queries_hold_together_as_they_are_put() {
    let (yes, no) = (json!({"a": 1}), json!({"a": 2}));
    check(
        &json!({"a": 1, "b": "x"}),
        &[
            json!({}),
            json!({"$and": []}),
            json!({"$and": [yes, yes]}),
            json!({"$or": [no, yes]}),
            json!({"$not": no}),
            json!({"$not": {"$or": []}}),
            json!({"a": 1, "b": "x", "$or": [yes], "$not": no}),
            json!({"$not": {"a": 1, "b": "y"}}),
            json!({"a": {"$gt": 0, "$lt": 2, "$ne": 3}}),
        ],
        &[
            json!({"$or": []}),
            json!({"$and": [yes, no]}),
            json!({"$or": [no, no]}),
            json!({"$not": yes}),
            json!({"$not": {}}),
            json!({"a": 1, "b": "y"}),
            json!({"a": 1, "$or": [no]}),
            json!({"a": {"$gt": 0, "$lt": 1}}),
        ],
    );
}

#[test]
fn values_are_equal_as_json() {
    check(
        &json!({
            "one": 1, "big": 9_007_199_254_740_993_u64, "text": "Ä", "yes": true, "list": [1, {"x": null, "y": 2}],
        }),
        &[
            json!({"one": 1.0}),
            json!({"one": {"$eq": 1}}),
            json!({"big": {"$ne": 9_007_199_254_740_992.0}}),
            json!({"big": {"$gt": 9_007_199_254_740_992.0}}),
            json!({"text": "Ä"}),
            json!({"text": {"$ne": "ä"}}),
            json!({"yes": true}),
            json!({"yes": {"$ne": 1}}),
            json!({"list": {"$eq": [1.0, {"y": 2, "x": null}]}}),
            json!({"one": {"$in": ["1", 3, 1.0]}}),
            json!({"none": {"$ne": 1}}),
            json!({"none": null}),
            json!({"none": {"$in": [1, null]}}),
            json!({"one": {"$ne": null}}),
        ],
        &[
            json!({"one": "1"}),
            json!({"one": true}),
            json!({"text": "ä"}),
            json!({"text": "A\u{308}"}),
            json!({"big": 9_007_199_254_740_992.0}),
            json!({"list": 1}),
            json!({"list": {"$eq": [1]}}),
            json!({"list": {"$eq": [1, {"y": 2}]}}),
            json!({"list": {"$eq": [1, {"x": null}]}}),
            json!({"list": {"$eq": [1, {"x": null, "y": 2, "z": 3}]}}),
            json!({"one": {"$in": []}}),
            json!({"one": {"$in": [null]}}),
            json!({"none": {"$in": [1]}}),
            json!({"none": {"$ne": null}}),
            json!({"one": null}),
        ],
    );
}

#[test]
fn numbers_compare_with_numbers_and_texts_with_texts() {
    check(
        &json!({"n": 2, "t": "b\u{10000}", "yes": true, "list": [2]}),
        &[
            json!({"n": {"$gt": 1.5, "$gte": 2, "$lt": 2.5, "$lte": 2.0}}),
            json!({"t": {"$gt": "b\u{ffff}", "$lt": "c"}}),
            json!({"t": {"$gt": "B"}}),
            json!({"$not": {"n": {"$lt": "3"}}}),
        ],
        &[
            json!({"n": {"$gt": 2}}),
            json!({"n": {"$lt": 2}}),
            json!({"n": {"$gt": "1"}}),
            json!({"n": {"$lt": "3"}}),
            json!({"t": {"$gt": 0}}),
            json!({"yes": {"$gte": 0}}),
            json!({"list": {"$gt": 1}}),
            json!({"none": {"$lt": 1}}),
            json!({"none": {"$gte": ""}}),
        ],
    );
}

#[test]
fn parts_of_texts_are_found_without_regard_to_case_and_elements_with() {
    check(
        &json!({
            "t": "The STRAẞE of ΑΣ and ΛΌΓΟΣ", "tags": ["Red", 1, [2], {"a": 1}, null], "n": 12, "o": {"Red": 1},
        }),
        &[
            json!({"t": {"$contains": "the straße"}}),
            json!({"t": {"$contains": "ας"}}),
            json!({"t": {"$contains": "ΑΣ AND"}}),
            json!({"t": {"$contains": "ΛΌΓΟς"}}),
            json!({"t": {"$contains": "λόγο"}}),
            json!({"t": {"$contains": ""}}),
            json!({"t": {"$prefix": "tHE s"}}),
            json!({"t": {"$prefix": ""}}),
            json!({"tags": {"$contains": "Red"}}),
            json!({"tags": {"$contains": 1.0}}),
            json!({"tags": {"$contains": [2]}}),
            json!({"tags": {"$contains": {"a": 1}}}),
            json!({"tags": {"$contains": null}}),
        ],
        &[
            json!({"t": {"$contains": "strasse"}}),
            json!({"t": {"$contains": 1}}),
            json!({"t": {"$prefix": "he"}}),
            json!({"t": {"$prefix": "The STRAẞE of ΑΣ and ΛΌΓΟΣ!"}}),
            json!({"tags": {"$contains": "red"}}),
            json!({"tags": {"$contains": "e"}}),
            json!({"tags": {"$contains": 2}}),
            json!({"tags": {"$prefix": "R"}}),
            json!({"n": {"$contains": "1"}}),
            json!({"n": {"$prefix": "1"}}),
            json!({"o": {"$contains": "Red"}}),
            json!({"none": {"$contains": ""}}),
            json!({"none": {"$contains": null}}),
            json!({"none": {"$prefix": ""}}),
        ],
    );
}

#[test]
fn a_needle_of_any_length_is_looked_for() {
    let long = "aB".repeat(16_000);
    assert!(matches(&json!({"t": {"$contains": long, "$prefix": long}}), &json!({"t": long.to_uppercase()})));
    let longer = "ab".repeat(1_000_000);
    assert!(!matches(&json!({"t": {"$contains": longer}}), &json!({ "t": long })));
    assert!(!matches(&json!({"t": {"$prefix": longer}}), &json!({ "t": long })));
    // Which the bound of a needle relies on.
    assert!(('\0'..=char::MAX).all(|character| character.to_lowercase().count() <= character.len_utf8()));
}

/// Needles that begin again within themselves are found where one that starts over would run past them.
#[test]
fn every_short_text_is_found_in_every_other_that_holds_it() {
    let all = |longest: u32| {
        (1..=longest).flat_map(|length| {
            (0..1_u32 << length).map(move |bits| -> String {
                (0..length).map(|at| if bits >> at & 1 == 0 { 'a' } else { 'b' }).collect()
            })
        })
    };
    for wanted in all(5) {
        let needle = text::Needle::new(&wanted);
        for held in all(8) {
            assert_eq!(needle.is_in(&held), held.contains(&wanted), "{wanted} in {held}");
        }
    }
}

#[test]
fn a_path_takes_the_longest_name_at_each_step_and_never_goes_back() {
    check(
        &json!({
            "a": {"b": {"c": 1, "x": 2}, "d": 3, "n": null, "e.f": 4},
            "a.b": {"c": 5},
            "p.q": 6, "p": {"q": 7, "q.r": 8},
            "s": [{"t": 9}],
        }),
        &[
            json!({"a.b.c": 5}),
            json!({"a.d": 3}),
            json!({"a.e.f": 4}),
            json!({"p.q": 6}),
            json!({"a.b": {"$eq": {"c": 5}}}),
            json!({"a.b.x": {"$exists": false}}),
            json!({"p.q.r": {"$exists": false}}),
            json!({"a.n": {"$exists": false}}),
            json!({"s.t": null, "s.0.t": null, "a.": null, ".a": null, "": null, "a..d": null, "A": null}),
            json!({"a": {"$exists": true}}),
        ],
        &[
            json!({"a.b.c": 1}),
            json!({"a.b.x": 2}),
            json!({"p.q": 7}),
            json!({"p.q.r": 8}),
            json!({"s.t": 9}),
            json!({"s.t": {"$exists": true}}),
            json!({"a.n": {"$exists": true}}),
            json!({"a.b": {"$exists": false}}),
        ],
    );
}

#[test]
fn the_fields_of_a_record_compare_without_case() {
    let upper = ID.to_uppercase();
    check(
        &json!({"_type": "shop"}),
        &[
            json!({"_type": "PRODUCT"}),
            json!({"_type": {"$in": ["shop", "prODuct"]}}),
            json!({"_type": {"$prefix": "PROD", "$contains": "ODU", "$gt": "PRODUCS", "$exists": true}}),
            json!({"_external_id": "a-1"}),
            json!({"_external_id": {"$gte": "A-1", "$lt": "B"}}),
            json!({"_external_id": {"$ne": 1}}),
            json!({"_id": ID}),
            json!({"_id": upper}),
            json!({"_id": ID.replace('-', "")}),
            json!({"_id": {"$prefix": "40E83A4E-"}}),
            json!({"_id": {"$in": ["", "x", format!("{{{upper}}}")]}}),
        ],
        &[
            json!({"_type": "shop"}),
            json!({"_type": null}),
            json!({"_type": {"$ne": "Product"}}),
            json!({"_external_id": "a-2"}),
            json!({"_external_id": null}),
            json!({"_external_id": {"$exists": false}}),
            json!({"_id": "40e83a4e"}),
            json!({"*": "A-1"}),
        ],
    );
    let of = |external_id: Option<&str>, wanted: Value| {
        let record = Record {
            object_type: "shop".to_owned(),
            external_id: external_id.map(str::to_owned),
            id: ID.to_owned(),
            attributes: json!({}),
        };
        query(&json!({"_external_id": wanted})).filter.matches(&record.candidate())
    };
    assert!(of(Some("42"), json!(42)) && of(Some("42"), json!({"$in": [42]})) && of(Some("42"), json!({"$prefix": 4})));
    assert!(of(None, json!(null)) && of(None, json!({"$ne": "a"})) && of(None, json!({"$exists": false})));
    assert!(!of(None, json!({"$ne": null})) && !of(None, json!("")) && !of(None, json!({"$contains": ""})));
    // As records are: see `RecordId::of_external_id`.
    assert!(of(Some("ΑΣ"), json!("ας")) && !of(Some("ΑΣ"), json!("ασ")));
}

#[test]
fn a_star_is_any_value_at_any_depth() {
    check(
        &json!({"a": 1, "b": {"c": "Deep", "list": [5, null, {"d": [true]}]}}),
        &[
            json!({"*": 1}),
            json!({"*": "Deep"}),
            json!({"*": 5}),
            json!({"*": true}),
            json!({"*": {"$contains": "dEE"}}),
            json!({"*": {"$contains": null}}),
            json!({"*": {"$gt": 1, "$lt": 6}}),
            json!({"*": {"$ne": 2}}),
            json!({"*": {"$exists": true}}),
            json!({"*": {"$in": [null, 5]}}),
            json!({"*": {"$ne": null}}),
            json!({"$and": [{"*": {"$gt": 4}}, {"*": {"$lt": 2}}]}),
        ],
        &[
            json!({"*": 2}),
            json!({"*": false}),
            json!({"*": {"$gt": 1, "$lt": 5}}),
            json!({"*": {"$gt": 4, "$contains": "d"}}),
            json!({"*": {"$ne": 5}}),
            json!({"*": {"$ne": true, "$eq": 1}}),
            json!({"*": {"$exists": false}}),
            json!({"*": null}),
            json!({"*": {"$in": [null]}}),
        ],
    );
    for nothing in [json!({}), json!({"a": null})] {
        check(
            &nothing,
            &[
                json!({"*": null}),
                json!({"*": {"$ne": 1}}),
                json!({"*": {"$exists": false}}),
                json!({"*": {"$in": [null]}}),
            ],
            &[json!({"*": 1}), json!({"*": {"$exists": true}}), json!({"*": {"$contains": ""}})],
        );
    }
}

#[test]
fn a_search_asks_of_indexes_where_one_could_help() {
    for (body, could_help) in [
        (json!({"query": {}}), false),
        (json!({"query": {"a": {"$gt": 1}}}), false),
        (json!({"query": {"_external_id": {"$eq": "x"}}}), false),
        (json!({"query": {"$not": {"a": {"$eq": 1}}}}), false),
        (json!({"query": {"a": {"$eq": 1}}}), true),
        (json!({"query": {"a": {"$in": [1, 2]}}}), true),
        (json!({"query": {"$or": [{"b": {"$gt": 1}}, {"a": {"$prefix": "x"}}]}}), true),
        (json!({"query": {}, "sort_by": "_updated_at asc"}), true),
        (json!({"query": {}, "sort_by": "_created_at asc"}), false),
        (json!({"query": {}, "_updated_at": {"start": "2020-01-01T00:00:00Z"}}), true),
        (json!({"query": {}, "_updated_at": {"end": "2020-01-01T00:00:00Z"}}), false),
    ] {
        assert_eq!(parse(&body.to_string()).unwrap().asks_of_indexes(), could_help, "{body}");
    }
}

#[test]
fn what_every_match_has_is_known() {
    let types = |wanted| query(&wanted).types().map(|types| types.into_iter().collect::<Vec<_>>().join(" "));
    let some = |texts: &str| Some(texts.to_owned());
    assert_eq!(types(json!({"_type": "Product"})), some("product"));
    assert_eq!(types(json!({"_type": {"$in": ["Product", "shop", "SHOP"]}})), some("product shop"));
    assert_eq!(types(json!({"_type": {"$in": ["a", "b"], "$eq": "B"}})), some("b"));
    assert_eq!(
        types(json!({"$and": [{"_type": {"$in": ["a", "b"]}}, {"x": 1}, {"_type": {"$in": ["b", "c"]}}]})),
        some("b")
    );
    assert_eq!(types(json!({"$or": [{"_type": "a"}, {"x": 1, "_type": "b"}]})), some("a b"));
    assert_eq!(types(json!({"_type": "a", "$and": [{"_type": "b"}]})), some(""));
    assert_eq!(types(json!({"$or": []})), some(""));
    for any in [
        json!({}),
        json!({"x": 1}),
        json!({"_type": {"$ne": "a"}}),
        json!({"_type": {"$prefix": "a"}}),
        json!({"$not": {"_type": "a"}}),
        json!({"$or": [{"_type": "a"}, {"x": 1}]}),
        json!({"_type": {"$in": ["a", null]}}),
    ] {
        assert_eq!(types(any), None);
    }
    let ids = query(&json!({"_id": {"$in": ["x", ID.to_uppercase()]}})).ids();
    assert_eq!(ids, Some(BTreeSet::from([RecordId::parse(ID).unwrap()])));
    let external_ids = query(&json!({"_external_id": {"$in": [7, "ÄA"]}})).external_ids();
    assert_eq!(external_ids, Some(BTreeSet::from(["7".to_owned(), "äa".to_owned()])));
    let equalities =
        |wanted| query(&wanted).equalities("a").map(|values| values.iter().map(Scalar::to_value).collect::<Value>());
    let one = query(&json!({"a": {"$in": [1, 1.0]}})).equalities("a");
    assert_eq!(one, Some(BTreeSet::from([Scalar::of(&json!(1))].map(Option::unwrap))), "they are one value");
    assert_eq!(equalities(json!({"a": {"$in": ["x", 2, true]}})), Some(json!([true, 2, "x"])));
    assert_eq!(equalities(json!({"a": {"$eq": [1]}})), None);
    assert_eq!(equalities(json!({"a": null})), None);
    assert_eq!(equalities(json!({"b": 1, "a.a": 1, "*": 1})), None);
    let prefix = |wanted| query(&wanted).prefix("a");
    assert_eq!(prefix(json!({"a": {"$prefix": "ΑΣ"}})), some("ασ"));
    assert_eq!(prefix(json!({"$and": [{"a": {"$prefix": "X"}}, {"a": {"$prefix": "xY"}}]})), some("xy"));
    assert_eq!(prefix(json!({"$or": [{"a": {"$prefix": "xyz"}}, {"a": {"$prefix": "XYA"}}]})), some("xy"));
    for none in [
        json!({"$or": [{"a": {"$prefix": "x"}}, {"a": {"$prefix": "y"}}]}),
        json!({"a": {"$prefix": ""}}),
        json!({"$not": {"a": {"$prefix": "x"}}}),
        json!({"b": {"$prefix": "x"}, "*": {"$prefix": "x"}}),
        json!({"$or": []}),
    ] {
        assert_eq!(prefix(none), None);
    }
}

// From here on: random queries and records.

#[derive(Clone, Debug)]
struct Record {
    object_type: String,
    external_id: Option<String>,
    id: String,
    attributes: Value,
}

impl Record {
    fn candidate(&self) -> Candidate<'_> {
        Candidate {
            object_type: &self.object_type,
            external_id: self.external_id.as_deref(),
            id: &self.id,
            attributes: &self.attributes,
        }
    }
}

const NUMBERS: [&str; 24] = [
    "-1e300",
    "-18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775808.0",
    "-9223372036854775807",
    "-1",
    "-0.5",
    "-0.0",
    "0",
    "0.0",
    "0.5",
    "1",
    "1.0",
    "1.5",
    "2",
    "9007199254740992",
    "9007199254740992.0",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "9223372036854775808.0",
    "18446744073709551615",
    "18446744073709551616",
    "1e300",
];
const TEXTS: [&str; 14] = ["", "a", "A", "ab", "aB", "aab", "aaaB", "ß", "ẞ", "ΑΣ", "ας", "ασ", "İi", "\u{212a}k"];
const NAMES: [&str; 7] = ["a", "b", "c", "a.b", "b.c", "a.b.c", "B"];
const TYPES: [&str; 4] = ["product", "Product", "shop", "PROD"];
const EXTERNAL_IDS: [&str; 6] = ["3", "A-1", "a-1", "ΑΣ", "ας", "ασ"];
const IDS: [&str; 3] = [ID, "00000000-0000-0000-0000-000000000001", "ffffffff-0000-0000-0000-00000000000a"];

/// What a filter says of a record, read from the JSON of the query each time.
fn naive(query: &Value, record: &Record) -> bool {
    query.as_object().unwrap().iter().all(|(name, value)| match name.as_str() {
        "$and" => value.as_array().unwrap().iter().all(|query| naive(query, record)),
        "$or" => value.as_array().unwrap().iter().any(|query| naive(query, record)),
        "$not" => !naive(value, record),
        _ => naive_comparison(name, value, record),
    })
}

fn naive_comparison(name: &str, comparison: &Value, record: &Record) -> bool {
    let operators = match comparison {
        Value::Object(operators) => operators.clone(),
        scalar => Map::from_iter([("$eq".to_owned(), scalar.clone())]),
    };
    if name == "*" {
        let mut inside = Vec::new();
        naive_inside(&record.attributes, &mut inside);
        let (of_all, of_one): (Vec<_>, Vec<_>) = operators.iter().partition(|(operator, operand)| {
            ["$ne", "$exists"].contains(&operator.as_str()) || (*operator == "$eq" && operand.is_null())
        });
        let some_value_holds = if inside.is_empty() {
            of_one.iter().all(|(operator, operand)| naive_test(operator, operand, None))
        } else {
            inside
                .iter()
                .any(|value| of_one.iter().all(|(operator, operand)| naive_test(operator, operand, Some(value))))
        };
        return some_value_holds
            && of_all.iter().all(|(operator, operand)| match (operator.as_str(), operand) {
                ("$ne", Value::Null) => !inside.is_empty(),
                ("$ne", _) => inside.iter().all(|value| naive_test(operator, operand, Some(value))),
                ("$eq", _) => inside.is_empty(),
                _ => inside.is_empty() != operand.as_bool().unwrap(),
            });
    }
    let lower = |text: &str| Value::String(text.to_lowercase());
    let found = match name {
        "_type" => Some(lower(&record.object_type)),
        "_external_id" => record.external_id.as_deref().map(lower),
        "_id" => Some(lower(&record.id)),
        path => naive_path(&record.attributes, path),
    };
    operators.iter().all(|(operator, operand)| {
        let operand = if name.starts_with('_') { naive_operand(name, operand) } else { operand.clone() };
        naive_test(operator, &operand, found.as_ref())
    })
}

fn naive_operand(field: &str, operand: &Value) -> Value {
    match operand {
        Value::Array(elements) => elements.iter().map(|element| naive_operand(field, element)).collect(),
        Value::String(text) => match RecordId::parse(text) {
            Some(id) if field == "_id" => Value::String(id.to_string()),
            _ => Value::String(text.to_lowercase()),
        },
        Value::Number(number) => Value::String(number.to_string()),
        other => other.clone(),
    }
}

fn naive_inside(value: &Value, inside: &mut Vec<Value>) {
    let below: Vec<&Value> = match value {
        Value::Array(elements) => elements.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    };
    for value in below.into_iter().filter(|value| !value.is_null()) {
        inside.push(value.clone());
        naive_inside(value, inside);
    }
}

fn naive_path(value: &Value, path: &str) -> Option<Value> {
    let object = value.as_object()?;
    if let Some(value) = object.get(path) {
        return Some(value.clone()).filter(|value| !value.is_null());
    }
    // From the longest name to the shortest.
    let (dot, value) = path.rmatch_indices('.').find_map(|(dot, _)| Some((dot, object.get(&path[..dot])?)))?;
    naive_path(value, &path[dot + 1..])
}

fn naive_test(operator: &str, operand: &Value, found: Option<&Value>) -> bool {
    // Nulls and what is absent are one.
    let same = |operand: &Value| canonical(found.unwrap_or(&Value::Null)) == canonical(operand);
    let folded = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>().replace('ς', "σ");
    match (operator, operand, found) {
        ("$eq", _, _) => same(operand),
        ("$ne", _, _) => !same(operand),
        ("$in", _, _) => operand.as_array().unwrap().iter().any(same),
        ("$exists", _, _) => found.is_some() == operand.as_bool().unwrap(),
        ("$contains", _, Some(Value::Array(elements))) => {
            elements.iter().any(|element| canonical(element) == canonical(operand))
        }
        ("$contains", Value::String(part), Some(Value::String(text))) => folded(text).contains(&folded(part)),
        ("$prefix", Value::String(part), Some(Value::String(text))) => folded(text).starts_with(&folded(part)),
        ("$gt" | "$gte" | "$lt" | "$lte", _, Some(found)) => {
            let ordering = match (found, operand) {
                (Value::String(found), Value::String(operand)) => found.chars().cmp(operand.chars()),
                (Value::Number(found), Value::Number(operand)) => decimal(found).cmp(&decimal(operand)),
                _ => return false,
            };
            match operator {
                "$gt" => ordering.is_gt(),
                "$gte" => ordering.is_ge(),
                "$lt" => ordering.is_lt(),
                _ => ordering.is_le(),
            }
        }
        _ => false,
    }
}

/// The same text for the same value.
fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("{:?}", decimal(number)),
        Value::Array(elements) => format!("[{}]", elements.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(name, value)| format!("{name:?}:{}", canonical(value))).collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

/// The number written out in all its digits, so that it sorts as the number does: exact for those of these tests.
fn decimal(number: &serde_json::Number) -> (bool, String) {
    let text = if number.is_f64() { format!("{:.20}", number.as_f64().unwrap()) } else { number.to_string() };
    let (whole, fraction) = text.trim_start_matches('-').split_once('.').unwrap_or((text.trim_start_matches('-'), ""));
    let digits = format!("{whole:0>320}{fraction:0<20}");
    if text.starts_with('-') && digits.contains(|digit| digit != '0') {
        let complement = |digit: char| char::from_digit(9 - digit.to_digit(10).unwrap(), 10).unwrap();
        return (false, digits.chars().map(complement).collect());
    }
    (true, digits)
}

fn text_of(texts: &'static [&'static str]) -> BoxedStrategy<Value> {
    select(texts).prop_map(Value::from).boxed()
}

fn some_number() -> BoxedStrategy<Value> {
    select(&NUMBERS[..]).prop_map(|text| serde_json::from_str(text).unwrap()).boxed()
}

fn scalar() -> BoxedStrategy<Value> {
    prop_oneof![3 => text_of(&TEXTS), 3 => some_number(), 1 => any::<bool>().prop_map(Value::from)].boxed()
}

fn scalar_or_null() -> BoxedStrategy<Value> {
    prop_oneof![8 => scalar(), 1 => Just(Value::Null)].boxed()
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    proptest::collection::vec((select(&NAMES[..]), value), 0..5)
        .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn value() -> BoxedStrategy<Value> {
    scalar_or_null()
        .prop_recursive(3, 12, 3, |inner| {
            prop_oneof![proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from), object(inner)]
        })
        .boxed()
}

fn record() -> impl Strategy<Value = Record> {
    (select(&TYPES[..]), proptest::option::of(select(&EXTERNAL_IDS[..])), select(&IDS[..]), object(value())).prop_map(
        |(object_type, external_id, id, attributes)| Record {
            object_type: object_type.to_owned(),
            external_id: external_id.map(str::to_owned),
            id: id.to_owned(),
            attributes,
        },
    )
}

/// One or two operators of one subject: `operand` for `$eq`, `comparable` for `$gt`, `text` for `$prefix`.
fn comparison(
    operand: BoxedStrategy<Value>,
    element: BoxedStrategy<Value>,
    comparable: BoxedStrategy<Value>,
    text: BoxedStrategy<Value>,
) -> BoxedStrategy<Value> {
    let named = |names: &'static [&'static str], operand: BoxedStrategy<Value>| (select(names), operand);
    let list = proptest::collection::vec(element, 0..4).prop_map(Value::from).boxed();
    let operator = prop_oneof![
        3 => named(&["$eq", "$ne"], operand.clone()),
        2 => named(&["$gt", "$gte", "$lt", "$lte"], comparable),
        2 => named(&["$in"], list),
        3 => named(&["$contains", "$prefix"], text),
        1 => named(&["$exists"], any::<bool>().prop_map(Value::from).boxed()),
    ];
    let operators = proptest::collection::vec(operator, 1..3)
        .prop_map(|operators| operators.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    let bare = operand.prop_filter("a bare scalar", |value| !value.is_array() && !value.is_object());
    prop_oneof![1 => bare, 3 => operators].boxed()
}

/// Comparisons that hold for the record, and that something follows from.
fn that_hold(record: &Record) -> Vec<Value> {
    let mut queries = vec![
        json!({"_type": record.object_type.to_uppercase()}),
        json!({"_type": {"$in": ["other", record.object_type]}}),
        json!({"_id": record.id}),
        json!({"_id": {"$in": [record.id, ID]}}),
        json!({"_external_id": record.external_id}),
        json!({"_external_id": {"$in": [record.external_id, "other"]}}),
    ];
    for name in NAMES {
        match naive_path(&record.attributes, name) {
            Some(Value::String(text)) => {
                for length in 1..4 {
                    let beginning: String = text.chars().take(length).collect();
                    queries.push(json!({name: {"$prefix": beginning}}));
                }
                queries.push(json!({name: {"$in": ["other", text]}}));
            }
            Some(Value::Array(elements)) => queries.push(json!({name: {"$contains": elements.first()}})),
            Some(value @ Value::Object(_)) => queries.push(json!({name: {"$eq": value}})),
            Some(value) => queries.extend([json!({ name: value }), json!({name: {"$in": [value, "other"]}})]),
            None => {}
        }
    }
    queries
}

fn query_and_record() -> impl Strategy<Value = (Value, Record)> {
    record().prop_flat_map(|record| (some_query(that_hold(&record), 12), Just(record)))
}

/// Mostly of comparisons that hold, often of those of one subject alone. The record has a text and a number.
fn true_query_and_record() -> impl Strategy<Value = (Value, Record)> {
    let only = select(&[None, None, Some("_type"), Some("_external_id"), Some("_id"), Some("a"), Some("b")][..]);
    (record(), text_of(&TEXTS), some_number(), only).prop_flat_map(|(mut record, text, number, only)| {
        record.attributes["a"] = text;
        record.attributes["b"] = number;
        let mut often = that_hold(&record);
        often.retain(|query| only.is_none_or(|name| query.get(name).is_some()));
        (some_query(often, 200), Just(record))
    })
}

/// A query whose comparisons are from `often` the more often, the larger the `weight`: the others weigh 12 together.
fn some_query(often: Vec<Value>, weight: u32) -> impl Strategy<Value = Value> {
    let comparable = prop_oneof![some_number(), text_of(&TEXTS)].boxed();
    let of_field = |texts: &'static [&'static str]| {
        let or_null = prop_oneof![8 => text_of(texts), 1 => Just(Value::Null)].boxed();
        comparison(or_null.clone(), or_null, text_of(texts), text_of(texts))
    };
    let any_value = prop_oneof![4 => scalar_or_null(), 1 => value()].boxed();
    let of_attribute = comparison(any_value, scalar_or_null(), comparable.clone(), text_of(&TEXTS));
    let contains = value().prop_map(|value| json!({ "$contains": value }));
    let anywhere = comparison(scalar_or_null(), scalar_or_null(), comparable, text_of(&TEXTS));
    let named = |name: &'static str, comparison: BoxedStrategy<Value>| {
        comparison.prop_map(move |it| json!({ name: it })).boxed()
    };
    let leaf = prop_oneof![
        6 => (select(&NAMES[..]), of_attribute).prop_map(|(name, it)| json!({ name: it })),
        1 => (select(&NAMES[..]), contains).prop_map(|(name, it)| json!({ name: it })),
        1 => named("_type", of_field(&TYPES)),
        1 => named("_external_id", of_field(&EXTERNAL_IDS)),
        1 => named("_id", of_field(&IDS)),
        2 => named("*", anywhere),
        weight => select(often),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        let queries = |count| proptest::collection::vec(inner.clone(), count).prop_map(Value::from);
        let beside = |queries: Value| {
            let members = |query: &Value| query.as_object().cloned().unwrap_or_default();
            queries.as_array().into_iter().flatten().flat_map(members).collect()
        };
        prop_oneof![
            6 => (select(&["$and", "$or"][..]), queries(1..4)).prop_map(|(name, queries)| json!({ name: queries })),
            1 => (select(&["$and", "$or"][..]), queries(0..1)).prop_map(|(name, queries)| json!({ name: queries })),
            1 => inner.clone().prop_map(|query| json!({ "$not": query })),
            2 => queries(0..3).prop_map(beside),
        ]
    })
}

/// Tests 2,000 random queries and records.
fn for_many(
    queries_and_records: &impl Strategy<Value = (Value, Record)>,
    test: impl Fn(Value, Record) -> Result<(), TestCaseError>,
) {
    let mut runner = TestRunner::new(Config { cases: 2_000, failure_persistence: None, ..Config::default() });
    runner.run(queries_and_records, |(query, record)| test(query, record)).unwrap();
}

#[test]
fn a_filter_says_what_one_written_for_clarity_says() {
    let matching = Cell::new(0);
    for_many(&query_and_record(), |wanted, record| {
        let matches = query(&wanted).filter.matches(&record.candidate());
        prop_assert_eq!(matches, naive(&wanted, &record));
        matching.set(matching.get() + u32::from(matches));
        Ok(())
    });
    assert!((500..1_500).contains(&matching.get()), "{matching:?} matched: too few of one kind to say much");
}

/// What an index is asked for leads to each record that matches: an entry of the record begins so.
#[test]
fn an_index_leads_to_every_match() {
    let taken = Cell::new([0; 2]);
    let schema = json!({"properties": {"a": {}, "b": {}, "c": {}, "B": {}}, "x-indexed": ["a", "b", "a.b", "c", "B"]});
    let indexes = Indexes::of_schema(schema.as_object().unwrap()).unwrap();
    let types = [(TypeKey::parse("product").unwrap(), indexes.clone())];
    for_many(&true_query_and_record(), |wanted, record| {
        let query = query(&wanted);
        if !query.filter.matches(&record.candidate()) {
            return Ok(());
        }
        let entries = indexes.entries_of(&record.attributes);
        let plans = query.index_plans(&types);
        prop_assert!(plans.is_empty() || query.asks_of_indexes());
        let mut count = taken.get();
        for plan in plans {
            let within = match plan {
                IndexPlan::Values { within, .. } => {
                    count[0] += 1;
                    within
                }
                IndexPlan::Prefix { within, .. } => {
                    count[1] += 1;
                    within
                }
                IndexPlan::Updates(_) => continue,
            };
            let entry = entries.slots[within[0].slot].as_deref().unwrap_or_default();
            let leads = within[0].beginnings.iter().any(|beginning| entry.starts_with(beginning));
            prop_assert!(leads, "{:?} does not begin {entry:?}", within[0].beginnings);
        }
        taken.set(count);
        Ok(())
    });
    assert!(taken.get().iter().all(|count| *count >= 40), "too few plans to say much: {taken:?}");
}

#[test]
fn what_is_known_of_every_match_is_true_of_each() {
    let told = Cell::new([0; 5]);
    for_many(&true_query_and_record(), |wanted, record| {
        let query = query(&wanted);
        if !query.filter.matches(&record.candidate()) {
            return Ok(());
        }
        let mut count = told.get();
        if let Some(types) = query.types() {
            count[0] += 1;
            prop_assert!(types.contains(&record.object_type.to_lowercase()), "{types:?}");
        }
        if let Some(ids) = query.ids() {
            count[1] += 1;
            prop_assert!(ids.contains(&RecordId::parse(&record.id).unwrap()), "{ids:?}");
        }
        if let Some(external_ids) = query.external_ids() {
            count[2] += 1;
            prop_assert!(
                record.external_id.is_some_and(|id| external_ids.contains(&id.to_lowercase())),
                "{external_ids:?}"
            );
        }
        for name in NAMES {
            let found = attribute_at(&record.attributes, name);
            if let Some(values) = query.equalities(name) {
                count[3] += 1;
                prop_assert!(
                    found.and_then(Scalar::of).is_some_and(|found| values.contains(&found)),
                    "{name}: {values:?}"
                );
            }
            if let Some(prefix) = query.prefix(name) {
                count[4] += 1;
                let found = found.and_then(Value::as_str).unwrap_or_default();
                prop_assert!(folded(found).starts_with(&prefix), "{name}: {prefix}");
            }
        }
        told.set(count);
        Ok(())
    });
    assert!(told.get().iter().all(|count| *count >= 40), "too little was known to say much: {told:?}");
}

proptest! {
    #[test]
    fn a_time_is_read_back_from_whichever_offset_it_is_written_in(
        millis in 0..253_300_000_000_000_i64,
        minutes in -1_439..1_440_i64,
    ) {
        let shown = jiff::Timestamp::from_millisecond(millis).unwrap();
        let offset = jiff::tz::Offset::from_seconds(i32::try_from(minutes * 60).unwrap()).unwrap();
        let local = offset.to_datetime(shown);
        let sign = if minutes < 0 { '-' } else { '+' };
        let written = format!("{local:.3}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
        let expected = u64::try_from(shown.as_millisecond()).unwrap();
        prop_assert_eq!(self::millis(&written), expected);
        prop_assert_eq!(self::millis(&written.replace('T', " ")), expected);
        prop_assert_eq!(self::millis(&Timestamp::from_millis(expected).in_millis().to_string()), expected);
    }

    #[test]
    fn a_text_is_found_wherever_it_is_part_of_another(
        text in "[aAbßΣσς]{0,24}",
        part in "[aAbß]{0,6}|[aAb]{0,3}Σ",
        start in 0..24_usize,
    ) {
        let plain = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>().replace('ς', "σ");
        let find = |part: &str| query(&json!({"t": {"$contains": part}})).filter;
        let attributes = json!({ "t": text });
        let record = Candidate { object_type: "ab", external_id: None, id: ID, attributes: &attributes };
        prop_assert_eq!(find(&part).matches(&record), plain(&text).contains(&plain(&part)));
        let inside: String = text.chars().skip(start).take(5).collect();
        prop_assert!(find(&inside.to_uppercase()).matches(&record) || inside.contains('ß'));
        prop_assert!(find(&inside).matches(&record));
        prop_assert_eq!(folded(&text).into_owned(), plain(&text));
    }

    #[test]
    fn lower_case_is_the_same_once_more(text in "[AaΣσςİß. ]{0,8}|\\PC*") {
        // A planner may make an id of an external id that is in lower case already.
        prop_assert_eq!(text.to_lowercase().to_lowercase(), text.to_lowercase());
    }

    #[test]
    fn numbers_are_in_one_order(mut numbers in proptest::collection::vec(some_number(), 3)) {
        let scalar = |number: &Value| Scalar::of(number).unwrap();
        numbers.sort_by_key(scalar);
        let digits: Vec<_> = numbers.iter().map(|number| decimal(number.as_number().unwrap())).collect();
        prop_assert!(digits.is_sorted());
        prop_assert_eq!(scalar(&numbers[0]) == scalar(&numbers[1]), digits[0] == digits[1]);
    }
}
