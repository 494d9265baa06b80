//! What inputs make others pay: for each, the memory that is asked for and the CPU time are held to its size.
//!
//! The bounds are far above what an everyday input takes and far below what each finding so far took: those that began this
//! target asked for gigabytes, or ran for minutes, on a few hundred bytes.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use accept::encoding::Encoding;
use arbitrary::{Arbitrary, Unstructured};
use domain::chunk::{Chunk, Packing, pack};
use domain::clock::Clock;
use domain::job::Operation;
use domain::plan::Budget;
use domain::plan::decide::{Context, Types, decide_object};
use domain::plan::groups::{group, items};
use domain::request::JobRequest;
use domain::request::item::Item;
use domain::time::Timestamp;
use domain::types::{ObjectType, Schema, TypeKey};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use rustix::time::{ClockId, clock_gettime};
use serde_json::value::RawValue;
use sundial_fuzz::{BodyRecipe, ValueRecipe, account, chosen, job};
use wire::CursorKey;

fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else { return };
    let mut recipe = Unstructured::new(rest);
    match kind % 6 {
        0 => check_body(rest),
        1 => {
            if let Ok(recipe) = BodyRecipe::arbitrary_take_rest(recipe) {
                check_body(recipe.body().as_bytes());
            }
        }
        2 => check_coded(rest),
        3 => {
            // A schema, a line, and attributes.
            let Some((schema, attributes)) = std::str::from_utf8(rest).ok().and_then(|text| text.split_once('\n'))
            else {
                return;
            };
            check_schema(schema, attributes);
        }
        4 => {
            let Ok(rule) = Rule::arbitrary(&mut recipe) else { return };
            let Ok(attributes) = Attributes::arbitrary_take_rest(recipe) else { return };
            let schema = format!(r#"{{"properties":{{"a":{}}}}}"#, rule.property());
            check_schema(&schema, &format!(r#"{{"a":{}}}"#, attributes.json()));
        }
        _ => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            hold("a cursor", rest.len(), Price { bytes: 64 * 1024, bytes_each: 16, ..EVERYDAY }, || {
                drop(CursorKey::new([7; 32]).scope(&account(), "jobs").open(text));
            });
        }
    }
});

/// What an input may take: so much, and so much more for each of its bytes.
#[derive(Clone, Copy)]
struct Price {
    bytes: usize,
    bytes_each: usize,
    time: Duration,
    time_each: Duration,
}

/// An item of two bytes becomes a result of some hundreds.
const EVERYDAY: Price = Price {
    bytes: 1024 * 1024,
    bytes_each: 2 * 1024,
    time: Duration::from_millis(100),
    time_each: Duration::from_micros(4),
};

/// Fails when the work takes more than its price.
#[track_caller]
fn hold<Answer>(what: &str, size: usize, price: Price, work: impl FnOnce() -> Answer) -> Answer {
    let now = || {
        let at = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(at.tv_sec.unsigned_abs(), u32::try_from(at.tv_nsec).unwrap_or_default())
    };
    let (bytes, began) = (ALLOCATED.load(Ordering::Relaxed), now());
    let answer = work();
    let time = now().saturating_sub(began);
    let bytes = ALLOCATED.load(Ordering::Relaxed).wrapping_sub(bytes);
    let most = price.bytes + price.bytes_each * size;
    assert!(bytes <= most, "{what} of {size} bytes asked for {bytes} bytes of memory in all, of {most}");
    let most = price.time + price.time_each * u32::try_from(size).unwrap_or(u32::MAX);
    assert!(time <= most, "{what} of {size} bytes took {time:?}, of {most:?}");
    answer
}

/// Bytes that were asked for so far, given back or not.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: it hands on to the system's allocator, and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the rules of the same method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static NOW: Timestamp = Timestamp::from_seconds(1_700_000_100);

/// A job's way from its bytes to what its items come to where none of their types is defined.
fn check_body(body: &[u8]) {
    hold("a body", body.len(), EVERYDAY, || {
        let Ok(request) = JobRequest::parse(body) else { return };
        for chunk in pack(&account(), job(), &request, Packing::default()).chunks {
            let message = chunk.to_message();
            check_message(&Chunk::from_message(&message).expect("it was just written"));
        }
    });
}

fn check_message(chunk: &Chunk<'_>) {
    let types = Types::default();
    let budget = Budget::of_job(chunk.total);
    let positions: Vec<u32> = chunk.items.iter().map(|item| item.position).collect();
    let context =
        Context { account: &chunk.account, job: chunk.job, now: NOW, types: &types, positions: &positions, budget };
    let (items, _) = items(chunk);
    let (groups, _) = group(context, items, None);
    if !matches!(chunk.operation, Operation::CreateRelationships | Operation::DeleteRelationships) {
        for group in &groups {
            for (_, outcome) in decide_object(context, group.id, &group.steps, None).outcomes {
                drop(budget.fit(outcome));
            }
        }
    }
}

/// The first byte says which codings the rest has.
fn check_coded(input: &[u8]) {
    const CODINGS: [&str; 8] =
        ["gzip", "deflate", "br", "zstd", "gzip, gzip", "br, gzip", "zstd, deflate", "deflate, br"];
    let Some((coding, body)) = input.split_first() else { return };
    let coding = HeaderValue::from_static(chosen::<&'static str>(&CODINGS, *coding));
    let headers: HeaderMap = [(CONTENT_ENCODING, coding)].into_iter().collect();
    let encoding = Encoding::of(&headers).expect("they are read");
    let body = bytes::Bytes::copy_from_slice(body);
    let began = ALLOCATED.load(Ordering::Relaxed);
    // What comes out is part of the size, and known only afterwards.
    let free = Price { bytes: usize::MAX / 2, bytes_each: 0, time: Duration::MAX / 2, time_each: Duration::ZERO };
    let price = Price { time: Duration::from_secs(1), time_each: Duration::from_micros(1), ..free };
    let out = hold("a coded body", body.len(), price, || encoding.decode(&body)).map_or(0, |decoded| decoded.len());
    let bytes = ALLOCATED.load(Ordering::Relaxed).wrapping_sub(began);
    // A vector that doubles until it has 32 MiB asks for 64 in all, and that of an inner body for 9.
    let most = 80 * 1024 * 1024 + 8 * (body.len() + out);
    assert!(bytes <= most, "a coded body of {} bytes, {out} decoded, asked for {bytes} bytes, of {most}", body.len());
}

/// Defines a type, and checks a record of it.
fn check_schema(schema: &str, attributes: &str) {
    static JOB: LazyLock<domain::job::JobId> =
        LazyLock::new(|| domain::job::JobId::new(&Clock::manual(Timestamp::from_seconds(1_700_000_000), 1)));
    let Ok(raw) = serde_json::from_str::<&RawValue>(schema) else { return };
    let price =
        Price { bytes: 16 * 1024 * 1024, bytes_each: 8 * 1024, time_each: Duration::from_micros(50), ..EVERYDAY };
    let made = hold("a schema", schema.len(), price, || {
        domain::request::json::read("schema", raw).and_then(|schema| Schema::parse(&schema)).ok()
    });
    let Some(schema) = made else { return };
    let item = format!(r#"{{"type":"product","attributes":{attributes}}}"#);
    let Ok(item) = Item::parse(Operation::CreateObjects, &item) else { return };
    let key = TypeKey::parse("product").expect("this is a key");
    let mut types = Types::default();
    let product = ObjectType { key: key.clone(), schema, version: 1, created_at: NOW, updated_at: NOW };
    types.objects.insert(key, product);
    let acme = account();
    let budget = Budget::of_job(1);
    let context = Context { account: &acme, job: *JOB, now: NOW, types: &types, positions: &[0], budget };
    let id = item.object_id(&acme, *JOB, 0).expect("it is about an object");
    let steps = [domain::plan::decide::Step { position: 0, item, agreed: domain::plan::decide::Agreed::Nothing }];
    // Besides what it is, the errors that are looked at before the first of them are shown: three times their bound, as
    // vectors grow. A text made for a pattern is followed until the effort of a record is spent, twice: once to see whether the
    // record keeps its rules, once to say which it breaks. That takes 130 ms in this build, whose every branch is counted.
    let price = Price {
        bytes: 64 * 1024 * 1024,
        time: Duration::from_millis(300),
        time_each: Duration::from_micros(20),
        ..EVERYDAY
    };
    hold("an item", attributes.len(), price, || decide_object(context, id, &steps, None));
}

/// How to make a schema, of all that one may use.
#[derive(Arbitrary, Debug)]
enum Rule {
    Type(u8),
    Limit { keyword: u8, number: u16 },
    Multiple(f64),
    Enum { kind: u8, count: u16 },
    Pattern { piece: u8, count: u8, times: u16 },
    Format(u8),
    Unique,
    Required { count: u8 },
    One { keyword: u8, rule: Box<Rule> },
    Many { keyword: u8, rules: Vec<Rule>, copies: u8 },
    Named { keyword: u8, rules: Vec<Rule>, copies: u8 },
    Both(Box<Rule>, Box<Rule>),
}

/// No schema is made longer than one may be.
const LONGEST: usize = 32 * 1024;

impl Rule {
    /// A schema with a type, which a property has to have.
    fn property(&self) -> String {
        let members = self.members();
        if members.contains(r#""type":"#) {
            format!("{{{members}}}")
        } else {
            format!(r#"{{"type":["array","string","object","number"],{members}}}"#)
        }
    }

    fn schema(&self) -> String {
        format!("{{{}}}", self.members())
    }

    /// The members of the schema, at least one.
    fn members(&self) -> String {
        const TYPES: [&str; 6] = ["string", "array", "object", "number", "integer", "null"];
        const LIMITS: [&str; 10] = [
            "minimum",
            "maximum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "minProperties",
            "maxProperties",
            "exclusiveMinimum",
            "minContains",
        ];
        const ONE: [&str; 11] = [
            "items",
            "contains",
            "additionalProperties",
            "propertyNames",
            "not",
            "if",
            "then",
            "else",
            "unevaluatedProperties",
            "unevaluatedItems",
            "contentSchema",
        ];
        const MANY: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
        const NAMED: [&str; 5] = ["properties", "dependentSchemas", "$defs", "patternProperties", "dependencies"];
        const FORMATS: [&str; 12] = [
            "regex",
            "date",
            "date-time",
            "email",
            "hostname",
            "ipv4",
            "ipv6",
            "uri",
            "iri",
            "uuid",
            "json-pointer",
            "uri-template",
        ];
        const PIECES: [&str; 8] = ["a", "[ab]", ".", "\\\\p{L}", "(a|b)", "[^x]", "(?:a?)", "[ab]*a"];
        match self {
            Self::Type(kind) => format!(r#""type":"{}""#, chosen(&TYPES, *kind)),
            Self::Limit { keyword, number } => format!(r#""{}":{number}"#, chosen(&LIMITS, *keyword)),
            Self::Multiple(number) if number.is_finite() && *number > 0.0 => format!(r#""multipleOf":{number:e}"#),
            Self::Multiple(_) => r#""multipleOf":0.5"#.to_owned(),
            Self::Enum { kind, count } => {
                let option = chosen(&["1", r#""x""#, "[]", "{}", "null", "1.5", "[[[]]]"], *kind);
                let count = usize::from(*count).min(LONGEST / (option.len() + 1));
                format!(r#""enum":[{}]"#, [*option].repeat(count.max(1)).join(","))
            }
            Self::Pattern { piece, count, times } => {
                format!(
                    r#""pattern":"^{}{{{count}}}{}""#,
                    chosen(&PIECES, *piece),
                    (*chosen(&PIECES, *piece)).repeat(usize::from(times % 400))
                )
            }
            Self::Format(format) => format!(r#""format":"{}""#, chosen(&FORMATS, *format)),
            Self::Unique => r#""uniqueItems":true"#.to_owned(),
            Self::Required { count } => {
                let names: Vec<String> = (0..=*count).map(|number| format!(r#""n{number}""#)).collect();
                format!(r#""required":[{}]"#, names.join(","))
            }
            Self::One { keyword, rule } => format!(r#""{}":{}"#, chosen(&ONE, *keyword), rule.schema()),
            Self::Many { keyword, rules, copies } => {
                format!(r#""{}":[{}]"#, chosen(&MANY, *keyword), listed(rules, *copies).join(","))
            }
            Self::Named { keyword, rules, copies } => {
                let mut named = String::new();
                for (number, schema) in listed(rules, *copies).iter().enumerate() {
                    // Writing to a String never fails.
                    let _ = write!(named, r#"{}"n{number}":{schema}"#, if number == 0 { "" } else { "," });
                }
                format!(r#""{}":{{{named}}}"#, chosen(&NAMED, *keyword))
            }
            Self::Both(first, second) => format!("{},{}", first.members(), second.members()),
        }
    }
}

/// The schemas, so many times, as far as they fit.
fn listed(rules: &[Rule], copies: u8) -> Vec<String> {
    let each: Vec<String> = rules.iter().map(Rule::schema).collect();
    let bytes = each.iter().map(|schema| schema.len() + 1).sum::<usize>().max(1);
    let times = (1 + usize::from(copies) * 16).min(LONGEST / bytes + 1);
    if each.is_empty() { vec!["{}".to_owned()] } else { std::iter::repeat_n(each, times).flatten().collect() }
}

/// How to make attributes: a value, or many of it in a list or under names.
#[derive(Arbitrary, Debug)]
struct Attributes<'input> {
    wraps: Vec<Wrap>,
    value: ValueRecipe<'input>,
}

#[derive(Arbitrary, Debug)]
enum Wrap {
    List { copies: u16 },
    Named { copies: u8 },
}

impl Attributes<'_> {
    fn json(&self) -> String {
        let mut json = self.value.json();
        for wrap in self.wraps.iter().take(40) {
            let fits = LONGEST / (json.len() + 1);
            json = match wrap {
                Wrap::List { copies } => {
                    format!("[{}]", vec![json.as_str(); usize::from(*copies).min(fits)].join(","))
                }
                Wrap::Named { copies } => {
                    let copies = usize::from(*copies).min(LONGEST / (json.len() + 7)).max(1);
                    let members: Vec<String> = (0..copies).map(|number| format!(r#""n{number}":{json}"#)).collect();
                    format!("{{{}}}", members.join(","))
                }
            };
        }
        json
    }
}
