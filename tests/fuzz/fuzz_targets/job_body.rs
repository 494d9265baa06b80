//! The body of Create Job, from its bytes to the messages of its chunks.

#![no_main]

use std::collections::{HashMap, HashSet};

use arbitrary::{Arbitrary, Unstructured};
use domain::chunk::{Chunk, Content, Packing, pack};
use domain::job::Operation;
use domain::limits;
use domain::problem::{Code, Problem};
use domain::request::JobRequest;
use domain::request::item::{Item, OrderingKey, client_ref};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;
use sundial_fuzz::{BodyRecipe, RECIPE, account, as_carried, is_carried_by_sqs, job};

/// What is in a message besides the items.
const ENVELOPE_BYTES: usize = 1024;

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((&RECIPE, recipe)) => {
            let Ok(recipe) = BodyRecipe::arbitrary_take_rest(Unstructured::new(recipe)) else { return };
            check(recipe.body().as_bytes());
        }
        _ => check(input),
    }
});

fn check(body: &[u8]) {
    let read = JobRequest::parse(body);
    check_reading(body, &read);
    let Ok(request) = read else { return };
    let chunks = pack(&account(), job(), &request, Packing::default()).chunks;
    check_chunks(&request, &chunks);
    check_chains(&chunks);
    for chunk in &chunks {
        check_message(chunk);
    }
}

/// What another reader makes of the body.
fn check_reading(body: &[u8], read: &Result<JobRequest<'_>, Problem>) {
    let whole: Option<&RawValue> = serde_json::from_slice(body).ok();
    match read {
        Ok(request) => {
            assert!(whole.is_some(), "a job of what is not JSON");
            assert!((1..=limits::ITEMS_PER_JOB).contains(&request.items.len()));
            let mut end = body.as_ptr().addr();
            for item in &request.items {
                let text = item.get();
                assert!(text.as_ptr().addr() >= end, "items are slices of the body, in order");
                end = text.as_ptr().addr() + text.len();
            }
            assert!(end <= body.as_ptr().addr() + body.len());
        }
        Err(problem) => {
            check_problem(problem);
            match problem.code {
                Code::BadRequest => {}
                Code::UnprocessableEntity => assert!(whole.is_some(), "what is not JSON is a bad request"),
                other => panic!("no request error is a {other:?}"),
            }
        }
    }
    // The other reader gives this member's name a meaning of its own.
    let is_plain = std::str::from_utf8(body).is_ok_and(|text| !text.contains("$serde_json"));
    let other: Option<Value> = serde_json::from_slice(body).ok().filter(|_| is_plain);
    let Some(other) = other else { return };
    let member = |name| other.get(name).and_then(Value::as_str);
    let operation = member("type").zip(member("action")).and_then(|(of, action)| Operation::of(of, action).ok());
    let items = other.get("data").and_then(Value::as_array);
    match (read, operation.zip(items)) {
        (Ok(request), Some((operation, items))) => {
            assert_eq!(request.operation, operation);
            assert_eq!(request.items.len(), items.len());
            for (raw, item) in request.items.iter().zip(items) {
                assert_eq!(&serde_json::from_str::<Value>(raw.get()).expect("the whole is JSON"), item);
            }
        }
        (Ok(_), None) => panic!("a job of a body that names no operation or has no items"),
        (Err(problem), Some((_, items))) => assert!(
            items.is_empty() || items.len() > limits::ITEMS_PER_JOB || problem.detail.ends_with("more than once"),
            "{problem:?}"
        ),
        (Err(_), None) => {}
    }
}

/// A client reads it: it is never empty, and never as long as what it is about.
fn check_problem(problem: &Problem) {
    assert!((1..=1_024).contains(&problem.detail.len()), "{problem:?}");
    assert_ne!(problem.code, Code::InternalServerError);
}

/// Every item is in one chunk, as it was sent, made small, or refused with the reason.
fn check_chunks(request: &JobRequest<'_>, chunks: &[Chunk<'_>]) {
    let mut positions = HashSet::new();
    for (place, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk.index as usize, place);
        assert_eq!(chunk.total as usize, request.items.len());
        assert_eq!(chunk.operation, request.operation);
        assert!((1..=limits::ITEMS_PER_CHUNK).contains(&chunk.items.len()));
        for item in &chunk.items {
            assert!(positions.insert(item.position), "an item is there twice");
            let sent = request.items[item.position as usize].get();
            let expected = match (client_ref(sent), Item::parse(request.operation, sent)) {
                (Ok(_), Ok(_)) if sent.len() <= limits::PLAIN_ITEM_BYTES => Ok(sent.to_owned()),
                (Ok(name), Ok(read)) => read.rewritten(name.as_deref()),
                (Err(problem), _) | (Ok(_), Err(problem)) => Err(problem),
            };
            match (&item.content, expected) {
                (Content::Raw(json), Ok(expected)) => {
                    let escaped = |text: &str| text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
                    assert_eq!(escaped(json), escaped(&expected));
                }
                (Content::Refused(problem), Err(expected)) => {
                    assert_eq!(*problem, expected);
                    check_problem(problem);
                }
                (content, expected) => panic!("{content:?} is not {expected:?}"),
            }
        }
    }
    assert_eq!(positions.len(), request.items.len(), "an item is lost");
}

/// The items of one record share a chunk, or the chunks of one chain, in the order in which they were sent.
fn check_chains(chunks: &[Chunk<'_>]) {
    let mut latest: HashMap<OrderingKey, (u32, u32)> = HashMap::new();
    let mut before = None;
    for chunk in chunks {
        // A chain is of neighbours, and of one record.
        let goes_on = before.take();
        before = chunk.then;
        assert!(chunk.then.is_none_or(|then| then == chunk.index + 1 && (then as usize) < chunks.len()));
        assert!(goes_on.is_none_or(|this| this == chunk.index));
        let mut records = HashSet::new();
        for item in &chunk.items {
            let Content::Raw(json) = &item.content else { continue };
            let Some(record) = parsed(chunk.operation, json).ordering_key(&account()) else { continue };
            records.insert(record.clone());
            if let Some((position, index)) = latest.insert(record, (item.position, chunk.index)) {
                assert!(position < item.position, "the items of a record changed places");
                assert!(
                    index == chunk.index || goes_on.is_some() && index + 1 == chunk.index,
                    "a record's items parted"
                );
            }
        }
        if chunk.then.is_some() || goes_on.is_some() {
            assert_eq!(records.len(), 1, "a chain of several records");
        }
    }
    assert_eq!(before, None, "a chain without an end");
}

/// The message is one that the queue takes, and what was put into it comes out again.
fn check_message(chunk: &Chunk<'_>) {
    let message = chunk.to_message();
    assert!(is_carried_by_sqs(&message), "the queue refuses a character");
    assert!(message.len() <= limits::CHUNK_BYTES + ENVELOPE_BYTES, "a message of {} bytes", message.len());
    let read = Chunk::from_message(&message).expect("a chunk is read from its message");
    assert_eq!(read, as_carried(chunk));
    let mut seen = HashSet::new();
    for (here, there) in sorted(chunk).into_iter().zip(&read.items) {
        let (Content::Raw(here), Content::Raw(there)) = (&here.content, &there.content) else { continue };
        if seen.insert(here) {
            check_meaning(chunk.operation, here, there);
        }
    }
}

/// The item is the same here and there, and once it is written small.
fn check_meaning(operation: Operation, here: &str, there: &str) {
    let (here, there) = (parsed(operation, here), parsed(operation, there));
    assert_eq!(here.ordering_key(&account()), there.ordering_key(&account()));
    let (here, there) = (here.rewritten(None), there.rewritten(None));
    assert_eq!(here, there, "an item means something else once it has travelled");
    if let Ok(rewritten) = here {
        assert_eq!(parsed(operation, &rewritten).rewritten(None).as_ref(), Ok(&rewritten));
    }
}

fn sorted<'chunk, 'json>(chunk: &'chunk Chunk<'json>) -> Vec<&'chunk domain::chunk::ChunkItem<'json>> {
    let mut items: Vec<_> = chunk.items.iter().collect();
    items.sort_by_key(|item| item.position);
    items
}

fn parsed(operation: Operation, json: &str) -> Item<'_> {
    Item::parse(operation, json).expect("an item that is not refused can be read")
}
