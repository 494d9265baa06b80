//! The worst that a stranger may send, held to the work of twenty ordinary requests of the same size.
//!
//! Work is the CPU time of this thread, which other processes take nothing of; the ordinary request is measured beside it in
//! the same run. What is compared is orders of magnitude: each of these inputs once took a thousand times as much, or never
//! ended.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use domain::account::AccountId;
use domain::chunk::{Chunk, Packing, pack};
use domain::clock::Clock;
use domain::job::{JobId, Operation};
use domain::limits;
use domain::plan::decide::{Agreed, Context, Step, Types, decide_object};
use domain::plan::{Budget, Outcome};
use domain::query::{Candidate, Query};
use domain::record::applied::AppliedWrites;
use domain::record::{ObjectRecord, RecordId, Row, State};
use domain::request::JobRequest;
use domain::request::item::Item;
use domain::time::Timestamp;
use domain::types::{ObjectType, Schema, TypeKey};
use rustix::time::{ClockId, clock_gettime};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The CPU time that this thread takes for something: the least of three times.
fn cpu<Answer>(mut work: impl FnMut() -> Answer) -> Duration {
    let now = || {
        let at = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(at.tv_sec.unsigned_abs(), u32::try_from(at.tv_nsec).unwrap_or_default())
    };
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let began = now();
        std::hint::black_box(work());
        least = least.min(now().saturating_sub(began));
    }
    least
}

/// What a consumer does with one item of a type with this schema: reads it, checks it, and makes of it a row or a result.
fn process(schema: &Schema, item: &str, total: u32) -> Outcome {
    let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000), 1);
    let (account, job) = (AccountId::parse("acme").unwrap(), JobId::new(&clock));
    let key = TypeKey::parse("product").unwrap();
    let mut types = Types::default();
    let now = clock.now();
    let defined = ObjectType { key: key.clone(), schema: schema.clone(), version: 1, created_at: now, updated_at: now };
    types.objects.insert(key, defined);
    let budget = Budget::of_job(total);
    let context = Context { account: &account, job, now, types: &types, positions: &[0], budget };
    let item = Item::parse(Operation::CreateObjects, item).unwrap();
    let id = item.object_id(&account, job, 0).unwrap();
    let decision = decide_object(context, id, &[Step { position: 0, item, agreed: Agreed::Nothing }], None);
    budget.fit(decision.outcomes.into_iter().next().unwrap().1)
}

fn item(attributes: &Value) -> String {
    json!({"type": "product", "attributes": attributes}).to_string()
}

/// A record of so many bytes as people have them, which keeps its schema: lists of small objects.
fn ordinary(bytes: usize) -> (Schema, String) {
    let row = json!({"name": {"type": "string", "maxLength": 40}, "size": {"type": "number", "minimum": 0}});
    let rows = json!({"type": "array", "items": {"type": "object", "properties": row, "required": ["name"]}});
    let schema = Schema::parse(&json!({"properties": {"rows": rows}})).unwrap();
    let row = json!({"name": "Strawberry Gum", "size": 12.5});
    let count = (bytes / (row.to_string().len() + 1)).max(1);
    (schema, item(&json!({"rows": vec![row; count]})))
}

/// What a request takes besides, however small it is: its HTTP, who sent it, a dozen calls of the database and the queue. In a
/// build as tests have it, it is more than this.
const REQUEST: Duration = Duration::from_micros(500);

/// Fails when an item takes more than twenty ordinary ones of its size.
#[track_caller]
fn hold(what: &str, schema: &Schema, item: &str, total: u32) {
    let (plain_schema, plain) = ordinary(item.len());
    assert!(process(&plain_schema, &plain, total).is_success());
    let usual = cpu(|| process(&plain_schema, &plain, total));
    let taken = cpu(|| process(schema, item, total));
    eprintln!(
        "{what}: {} bytes, {taken:?} against {usual:?}, {:.1}",
        item.len(),
        taken.as_secs_f64() / usual.as_secs_f64()
    );
    assert!(taken <= (REQUEST + usual) * 20, "{what}: {taken:?} against {usual:?}");
}

fn schema(properties: impl Into<Value>) -> Schema {
    Schema::parse(&json!({"properties": properties.into()})).unwrap()
}

fn problems(outcome: &Outcome) -> Vec<&str> {
    let Outcome::Failure(problems) = outcome else { panic!("{outcome:?}") };
    problems.iter().map(|problem| &*problem.detail).collect()
}

#[test]
fn a_list_of_numbers_for_a_list_of_texts() {
    let texts = schema(json!({"a": {"type": "array", "items": {"type": "string"}}}));
    for elements in [1_000, 4_000, 16_000] {
        let item = item(&json!({"a": vec![1; elements]}));
        for total in [1, 500, 10_000] {
            hold(&format!("{elements} numbers in a job of {total}"), &texts, &item, total);
            let outcome = process(&texts, &item, total);
            let problems = problems(&outcome);
            assert!(
                problems[0].starts_with(r#"attributes.a.0 breaks the rule "type": 1 is not of type "string""#),
                "{problems:?}"
            );
            let more = format!(", and {} more", elements - problems.len());
            assert!(problems.last().unwrap().ends_with(&more), "{problems:?}");
        }
    }
}

#[test]
fn attributes_that_are_all_of_the_wrong_type() {
    let names: Vec<String> = (0..60).map(|number| format!("a{number}")).collect();
    let properties: Map<String, Value> = names.iter().map(|name| (name.clone(), json!({"type": "string"}))).collect();
    let numbers: Map<String, Value> = names.iter().map(|name| (name.clone(), json!(1))).collect();
    hold("60 wrong attributes", &schema(properties), &item(&numbers.into()), 10_000);
}

#[test]
fn texts_that_match_none_of_many_patterns() {
    let patterns: Map<String, Value> = (0..200)
        .map(|number| (format!("a{number}"), json!({"type": "string", "pattern": format!("^x{number}y$")})))
        .collect();
    let texts: Map<String, Value> = (0..200).map(|number| (format!("a{number}"), json!("z".repeat(100)))).collect();
    hold("200 patterns", &schema(patterns), &item(&texts.into()), 100);
}

#[test]
fn as_many_checks_as_a_schema_may_make() {
    // Each of 16,000 elements gets all that `limits::CHECKS_PER_RECORD` leaves it, and keeps every rule.
    let rules = vec![json!({"maximum": 9}); 118];
    let list = json!({"type": "array", "items": {"type": "integer", "allOf": rules}});
    let numbers = schema(json!({"a": list}));
    let kept = item(&json!({"a": vec![1; 16_000]}));
    assert!(process(&numbers, &kept, 1).is_success());
    hold("118 rules kept by 16,000 numbers", &numbers, &kept, 1);
    // And breaks every rule.
    let broken = item(&json!({"a": vec![10; 10_000]}));
    hold("118 rules broken by 10,000 numbers", &numbers, &broken, 1);
    let outcome = process(&numbers, &broken, 1);
    let problems = problems(&outcome);
    assert!(problems[0].starts_with(r#"attributes.a.0 breaks the rule "maximum": 10"#), "{problems:?}");
    assert!(problems[1].contains("too many to say which"), "{problems:?}");
}

#[test]
fn alternatives_none_of_which_fits() {
    let branches: Vec<Value> = (0..900).map(|_| json!({"type": "null"})).collect();
    let alternatives = schema(json!({"a": {"type": "array", "anyOf": branches}}));
    let large = item(&json!({"a": vec![0; 16_000]}));
    hold("900 alternatives of a list of 16,000", &alternatives, &large, 1);
    let outcome = process(&alternatives, &large, 1);
    assert!(problems(&outcome)[0].contains("too many for its rules to say which"), "{outcome:?}");
    let small = item(&json!({"a": vec![0; 10]}));
    hold("900 alternatives of a list of 10", &alternatives, &small, 1);
    let outcome = process(&alternatives, &small, 1);
    assert!(problems(&outcome)[0].contains(r#"attributes.a breaks the rule "anyOf""#), "{outcome:?}");
}

#[test]
fn long_names_above_many_broken_rules() {
    let name = "n".repeat(255);
    let deep = (0..60).fold(
        json!({"type": "array", "items": {"type": "string"}}),
        |inner, _| json!({"type": "object", "properties": {&name: inner}}),
    );
    let Value::Object(deep) = deep else { unreachable!("made above") };
    let schema = Schema::parse(&json!({"properties": deep["properties"]})).unwrap();
    let attributes = (0..60).fold(json!(vec![1; 8_000]), |inner, _| json!({&name: inner}));
    hold("8,000 broken rules below 60 long names", &schema, &item(&attributes), 1);
}

#[test]
fn lists_whose_elements_are_hard_to_tell_apart() {
    // Every way to nest brackets: a hash that does not see where a list ends takes them for the same.
    fn nestings(pairs: usize) -> Vec<Value> {
        if pairs == 0 {
            return vec![json!([])];
        }
        let mut all = Vec::new();
        for first in 0..pairs {
            for inner in nestings(first) {
                for rest in nestings(pairs - 1 - first) {
                    let Value::Array(mut elements) = rest else { unreachable!("made above") };
                    elements.insert(0, inner.clone());
                    all.push(Value::Array(elements));
                }
            }
        }
        all
    }
    let elements: Vec<Value> = nestings(8).into_iter().take(1_400).collect();
    let twice = json!({"type": "array", "uniqueItems": true, "allOf": [{"uniqueItems": true}]});
    hold("1,400 lists that hash alike", &schema(json!({"a": twice})), &item(&json!({"a": elements})), 1);
}

#[test]
fn numbers_that_are_hard_to_divide() {
    let multiples = vec![json!({"multipleOf": 0.5}); 50];
    let list = json!({"type": "array", "items": {"allOf": multiples}});
    hold(
        "50 divisions of 4,000 large numbers",
        &schema(json!({"a": list})),
        &item(&json!({"a": vec![1e300; 4_000]})),
        1,
    );
}

#[test]
fn a_text_that_a_pattern_has_to_remember_all_of() {
    // Every byte leads to a state that was not seen before.
    let memory = schema(json!({"a": {"type": "string", "pattern": "^[ab]*a[ab]{1000}$"}}));
    let text = |length: u32| -> String {
        (0..length).map(|at| if at.wrapping_mul(2_654_435_761) >> 31 == 0 { 'a' } else { 'b' }).collect()
    };
    for length in [100, 400, 1_900, 32_000] {
        let item = item(&json!({"a": text(length)}));
        hold(&format!("a pattern of 1,000 places and a text of {length}"), &memory, &item, 1);
    }
    // One pattern again and again, and many of them.
    let again = vec![json!({"pattern": "^[ab]*a[ab]{12}$"}); 900];
    let again = schema(json!({"a": {"type": "string", "allOf": again}}));
    hold("a pattern 900 times on a text of 12,000", &again, &item(&json!({"a": text(12_000)})), 1);
    let many: Map<String, Value> = (0..40)
        .map(|at| (format!("a{at}"), json!({"type": "string", "pattern": format!("^[ab]*a[ab]{{{}}}$", 60 + at)})))
        .collect();
    let texts: Map<String, Value> = (0..40).map(|at| (format!("a{at}"), json!(text(800)))).collect();
    hold("40 such patterns on texts of 800", &schema(many), &item(&texts.into()), 1);
    let outcome = process(&memory, &item(&json!({"a": text(32_000)})), 1);
    assert!(
        problems(&outcome)[0].contains(r#"breaks the rule "pattern": the text of 32000 bytes is too long"#),
        "{outcome:?}"
    );
}

#[test]
fn a_text_that_is_held_to_be_a_pattern() {
    let regex = schema(json!({"a": {"type": "string", "format": "regex"}}));
    let names: Vec<String> = (0..400).map(|number| format!("(?<n{number}>")).collect();
    let groups = names.concat() + &")".repeat(400);
    let often = schema(json!({"a": {"type": "string", "allOf": vec![json!({"format": "regex"}); 8]}}));
    let short = (0..100).map(|number| format!("(?<n{number}>")).collect::<Vec<_>>().concat() + &")".repeat(100);
    hold("nested names of groups, 8 times", &often, &item(&json!({"a": short})), 1);
    for format in ["uri", "iri", "email", "date-time", "json-pointer", "uri-template", "hostname", "uuid"] {
        let often = schema(json!({"a": {"type": "string", "allOf": vec![json!({"format": format}); 8]}}));
        let text = format!("https://example.com/{}", "a%20/~1{x}".repeat(3_000));
        hold(&format!("{format}, 8 times"), &often, &item(&json!({"a": text})), 1);
    }
    hold("nested names of groups", &regex, &item(&json!({"a": groups})), 1);
}

/// A schema costs what it costs when its type is defined, and once in each container.
#[test]
fn schemas_at_their_limits() {
    let numbered = |count: usize, schema: &dyn Fn(usize) -> Value| -> Value {
        let properties: Map<String, Value> = (0..count).map(|number| (format!("a{number}"), schema(number))).collect();
        json!({"properties": properties})
    };
    let plain = |bytes: usize| {
        let count = (bytes / r#""a123":{"type":"string","maxLength":200},"#.len()).clamp(1, 900);
        numbered(count, &|_| json!({"type": "string", "maxLength": 200}))
    };
    let class = |letters: &str| json!({"type": "string", "pattern": letters});
    for (what, schema, allowed) in [
        ("60 large patterns", numbered(60, &|number| class(&format!("\\p{{L}}{{100}}{number}"))), false),
        ("600 large patterns", numbered(600, &|number| class(&format!("\\p{{L}}{{90}}{number}"))), false),
        ("as many classes as fit", numbered(11, &|number| class(&format!("\\p{{L}}{number}"))), true),
        ("many small patterns", numbered(200, &|number| class(&format!("^a{number}$"))), true),
        ("unfinished counts", numbered(100, &|_| class("((a{100}){100}){100}")), false),
        ("control letters", numbered(15, &|_| class(&"\\cA".repeat(340))), true),
        (
            "600 divisors",
            numbered(
                600,
                &|number| json!({"type": "number", "multipleOf": format!("{number}.01").parse::<f64>().unwrap()}),
            ),
            true,
        ),
        ("999 subschemas", numbered(1, &|_| json!({"type": "string", "allOf": vec![json!({}); 990]})), true),
        (
            "negations of negations",
            numbered(1, &|_| {
                (0..60).fold(json!({"type": "string"}), |inner, _| json!({"type": "string", "not": inner}))
            }),
            true,
        ),
        (
            "a large enum under negations",
            numbered(1, &|_| {
                (0..2).fold(
                    json!({"type": "string", "enum": vec![1; 15_000]}),
                    |inner, _| json!({"type": "string", "not": inner}),
                )
            }),
            true,
        ),
        (
            "nested alternatives",
            numbered(1, &|_| {
                (0..45).fold(
                    json!({"type": "string"}),
                    |inner, _| json!({"type": "string", "anyOf": [inner, {"type": "null"}]}),
                )
            }),
            true,
        ),
    ] {
        let text = schema.to_string();
        let made = Schema::parse(&schema);
        assert_eq!(made.is_ok(), allowed, "{what}: {:?}", made.err());
        let plain = plain(text.len());
        let usual = cpu(|| Schema::parse(&plain).unwrap());
        let taken = cpu(|| Schema::parse(&schema));
        eprintln!(
            "{what}: {} bytes, {taken:?} against {usual:?}, {:.1}",
            text.len(),
            taken.as_secs_f64() / usual.as_secs_f64()
        );
        assert!(taken <= (REQUEST + usual) * 20, "{what}: {taken:?} against {usual:?}");
    }
    for refused in ["$schema", "unevaluatedProperties", "unevaluatedItems", "patternProperties", "dependencies"] {
        let nested = (0..30).fold(json!({}), |inner, _| json!({"if": inner, "then": {}, refused: {}}));
        let problem = Schema::parse(&numbered(1, &|_| json!({"type": "object", "allOf": [nested]}))).unwrap_err();
        assert!(problem.detail.contains(refused), "{problem:?}");
    }
    assert_eq!(limits::SUBSCHEMAS, 1_000, "the cases above are made for it");
}

/// What accept does with a body, and the consumer before it decides.
fn take(body: &str) -> usize {
    let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000), 1);
    let (account, job) = (AccountId::parse("acme").unwrap(), JobId::new(&clock));
    let Ok(request) = JobRequest::parse(body.as_bytes()) else { return 0 };
    let messages = pack(&account, job, &request, Packing::default()).chunks.into_iter().map(|chunk| chunk.to_message());
    messages.map(|message| Chunk::from_message(&message).unwrap().items.len()).sum()
}

fn body(action: &str, items: &[String]) -> String {
    format!(r#"{{"type":"resources","action":"{action}","data":[{}]}}"#, items.join(","))
}

/// What an item takes besides, however small it is: its place in a chunk, and its result. In a build as tests have it, it is
/// seven times as much, and ten thousand of one byte would be held to the work of 160 ordinary items.
const ITEM: Duration = Duration::from_nanos(200);

/// Fails when a body takes more than twenty ordinary ones of its size and its number of items.
#[track_caller]
fn hold_body(what: &str, body_text: &str) {
    let product = |number: usize| {
        let text = "Strawberry chewing gum, sold by the piece ".repeat(3);
        json!({"type": "product", "external_id": number.to_string(), "attributes": {"name": text, "size": 12.5}})
            .to_string()
    };
    // What an item of an ordinary body takes is no less than this.
    let count = (body_text.len() / product(0).len()).clamp(1, limits::ITEMS_PER_JOB);
    let plain = body("external_id_set", &(0..count).map(product).collect::<Vec<_>>());
    let usual = cpu(|| take(&plain));
    let taken = cpu(|| take(body_text));
    eprintln!("{what}: {} bytes, {taken:?} against {usual:?} for {}", body_text.len(), plain.len());
    let items = u32::try_from(take(body_text)).unwrap();
    assert!(taken <= (REQUEST + usual + ITEM * items) * 20, "{what}: {taken:?} against {usual:?}");
}

#[test]
fn bodies_at_their_limits() {
    let items = |count: usize, item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<Vec<_>>();
    let set = |external_id: &str, attributes: &str| {
        format!(r#"{{"type":"product","external_id":"{external_id}","attributes":{attributes}}}"#)
    };
    let most = limits::ITEMS_PER_JOB;
    let nested = |levels: usize| format!("{}{}", r#"{"a":"#.repeat(levels - 1) + "{}", "}".repeat(levels - 1));
    for (what, body) in [
        ("as many items as there may be, of one byte", body("delete", &items(most, &|_| "1".to_owned()))),
        ("one item more", body("delete", &items(most + 1, &|_| "1".to_owned()))),
        ("as many items of one record", body("external_id_set", &items(most, &|_| set("gum", "{}")))),
        ("two records in turn", body("external_id_set", &items(most, &|at| set(["a", "b"][at % 2], "{}")))),
        (
            "the longest external ids",
            body("external_id_set", &items(5_000, &|at| set(&format!("{}{at:04}", "\u{130}".repeat(251)), "{}"))),
        ),
        (
            "external ids that are escaped",
            body("external_id_set", &items(3_000, &|at| set(&format!("{}{at:04}", "\\u0130".repeat(251)), "{}"))),
        ),
        ("external ids that are too long", body("external_id_set", &items(100, &|_| set(&"x".repeat(30_000), "{}")))),
        (
            "attributes at their size",
            body(
                "external_id_set",
                &items(150, &|at| {
                    set(&at.to_string(), &format!(r#"{{"a":"{}"}}"#, "x".repeat(limits::ATTRIBUTES_BYTES - 8)))
                }),
            ),
        ),
        (
            "attributes above it, of numbers",
            body(
                "external_id_set",
                &items(100, &|at| set(&at.to_string(), &format!(r#"{{"a":[{}1]}}"#, "1,".repeat(20_000)))),
            ),
        ),
        (
            "levels at their limit",
            body("external_id_set", &items(2_000, &|at| set(&at.to_string(), &nested(limits::JSON_LEVELS)))),
        ),
        ("many levels more", body("external_id_set", &items(1, &|at| set(&at.to_string(), &nested(500_000))))),
        (
            "a member again and again",
            body("external_id_set", &items(1, &|_| format!("{{{}}}", r#""type":1,"#.repeat(200_000) + r#""x":1"#))),
        ),
        (
            "members that nobody knows",
            format!(r#"{{{}"type":"resources","action":"delete","data":[1]}}"#, r#""x":[1],"#.repeat(300_000)),
        ),
        ("brackets alone", "[".repeat(3_000_000)),
        ("a text of escapes", format!(r#"{{"type":"{}"}}"#, "\\u0000".repeat(500_000))),
        ("a large number", format!(r#"{{"type":{}}}"#, "9".repeat(3_000_000))),
    ] {
        hold_body(what, &body);
    }
}

/// A small item may be about a large record: what it takes is that record's, and there may be as many as a chunk holds.
#[test]
fn many_small_changes_of_a_large_record() {
    let plain = schema(json!({"text": {"type": "string"}, "list": {"type": "array", "items": {"type": "number"}}}));
    let large = json!({"text": "x".repeat(8_000), "list": vec![1.5; 6_000]}).to_string();
    let taken = cpu(|| change(&plain, &large, 500));
    let each = cpu(|| change(&plain, &large, 1));
    eprintln!("500 changes of a record of {} bytes: {taken:?}, one {each:?}", large.len());
    assert!(taken <= each * 600, "what one change takes does not grow with those before it");
}

/// So many patches of one record, as one chunk has them.
fn change(schema: &Schema, attributes: &str, times: u32) -> usize {
    let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000), 1);
    let (account, job) = (AccountId::parse("acme").unwrap(), JobId::new(&clock));
    let (key, now) = (TypeKey::parse("product").unwrap(), clock.now());
    let mut types = Types::default();
    let defined = ObjectType { key: key.clone(), schema: schema.clone(), version: 1, created_at: now, updated_at: now };
    types.objects.insert(key.clone(), defined);
    let budget = Budget::of_job(times);
    let context = Context { account: &account, job, now, types: &types, positions: &[], budget };
    let id = RecordId::of_external_id(&account, &key, "gum");
    let record = ObjectRecord {
        id,
        object_type: key,
        external_id: Some("gum".to_owned()),
        attributes: attributes.to_owned(),
        created_at: now,
        position: None,
        updated_at: now,
        type_version: 1,
        links: 0,
        entries: None,
    };
    let row = Row { version: 1, applied: AppliedWrites::default(), state: State::Object(record) };
    let raw = format!(r#"{{"id":"{id}","attributes":{{"text":"y"}}}}"#);
    let item = Item::parse(Operation::UpdateObjects, &raw).unwrap();
    let steps: Vec<Step<'_>> =
        (0..times).map(|position| Step { position, item: item.clone(), agreed: Agreed::Nothing }).collect();
    decide_object(context, id, &steps, Some(&row)).outcomes.len()
}

/// The dearest queries of the dearest records: what a query takes grows with its comparisons and with the record, and with nothing else.
/// A search ends a page after so many seconds; between two looks at the clock there is one record.
#[test]
fn queries_at_their_limits() {
    let numbers = json!({"list": vec![1; 16_000]}).to_string();
    let nested = (0..90).fold(json!(vec![1; 15_000]), |inner, _| json!({"a": inner})).to_string();
    let texts = json!({"text": "ab".repeat(15_000)}).to_string();
    let short = json!({"list": vec!["a"; 8_000]}).to_string();
    let in_list: Vec<Value> = (0..400).map(|number| json!(number * 2)).collect();
    let many = |comparison: Value| json!({"$and": (0..100).map(|_| comparison.clone()).collect::<Vec<_>>()});
    let any = |comparison: Value| json!({"$or": (0..100).map(|_| comparison.clone()).collect::<Vec<_>>()});
    let deep = (0..8).fold(many(json!({"*": {"$ne": 2}})), |inner, _| json!({ "$not": inner }));
    // What each record takes before it is compared with anything.
    let reading = cpu(|| serde_json::from_str::<Value>(&numbers).unwrap());
    for (what, query, attributes) in [
        ("100 lists of 400 values", any(json!({"*": {"$in": in_list}})), &numbers),
        ("100 values that are not there", any(json!({"*": 2})), &numbers),
        ("the same 90 levels down", any(json!({"*": {"$gt": 2}})), &nested),
        ("100 needles that nearly fit", any(json!({"*": {"$contains": format!("{}b", "ab".repeat(1_000))}})), &texts),
        ("100 elements", any(json!({"list": {"$contains": "b"}})), &short),
        ("ten levels of a query", deep, &numbers),
    ] {
        let body = json!({ "query": query }).to_string();
        assert!(body.len() <= limits::QUERY_BODY_BYTES, "{what}: {}", body.len());
        let query = Query::parse(&RawValue::from_string(body).unwrap(), None).unwrap();
        let value: Value = serde_json::from_str(attributes).unwrap();
        let candidate = Candidate {
            object_type: "product",
            external_id: None,
            id: "00000000-0000-0000-0000-000000000001",
            attributes: &value,
        };
        let taken = cpu(|| query.filter.matches(&candidate));
        let each = taken.as_secs_f64() / 100.0 / reading.as_secs_f64();
        eprintln!("{what}: {taken:?}, a comparison of {} bytes {each:.2} of reading a record", attributes.len());
        assert!(taken <= reading * 100 * 20, "{what}: {taken:?}, and reading the record {reading:?}");
    }
}
