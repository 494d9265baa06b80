use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::message::{carried_by_sqs, cost};
use super::*;
use crate::account::AccountId;
use crate::clock::Clock;
use crate::job::{JobId, Operation};
use crate::limits;
use crate::plan::size_in_answer;
use crate::problem::Problem;
use crate::request::JobRequest;
use crate::request::item::{Item, OrderingKey};
use crate::time::Timestamp;

fn account() -> AccountId {
    AccountId::parse("acme").unwrap()
}

fn job() -> JobId {
    JobId::new(&Clock::manual(Timestamp::from_seconds(1_700_000_000), 1))
}

fn body(operation: Operation, items: &[String]) -> String {
    let (job_type, action) = (operation.job_type(), operation.action());
    format!(r#"{{"type":"{job_type}","action":"{action}","data":[{}]}}"#, items.join(","))
}

fn packed<Answer>(operation: Operation, items: &[String], look: impl FnOnce(&[Chunk<'_>]) -> Answer) -> Answer {
    let body = body(operation, items);
    let request = JobRequest::parse(body.as_bytes()).unwrap();
    look(&pack(&account(), job(), &request, Packing::default()).chunks)
}

fn set(external_id: &str, bytes: usize) -> String {
    format!(r#"{{"type":"product","external_id":"{external_id}","attributes":{{"a":"{}"}}}}"#, "x".repeat(bytes))
}

#[test]
fn a_thousand_small_items_are_two_chunks() {
    let items: Vec<_> = (0..1_000).map(|number| set(&number.to_string(), 10)).collect();
    packed(Operation::SetObjects, &items, |chunks| {
        assert_eq!(chunks.iter().map(|chunk| chunk.items.len()).collect::<Vec<_>>(), [500; 2]);
        assert!(chunks.iter().all(|chunk| chunk.then.is_none() && chunk.total == 1_000));
    });
}

#[test]
fn a_record_named_too_often_for_one_chunk_makes_a_chain() {
    let mut items = vec![set("hot", 1); 1_100];
    items.push(set("other", 1));
    packed(Operation::SetObjects, &items, |chunks| {
        let shape: Vec<_> = chunks.iter().map(|chunk| (chunk.index, chunk.items.len(), chunk.then)).collect();
        assert_eq!(shape, [(0, 500, Some(1)), (1, 500, Some(2)), (2, 100, None), (3, 1, None)]);
    });
}

#[test]
fn an_item_of_everyday_size_travels_as_it_was_sent() {
    let spaced = r#"{ "type":"product", "external_id" : "a", "attributes":{ "a": 1.50 }, "noise": 1 }"#.to_owned();
    let long = format!("{{{} {}", " ".repeat(limits::PLAIN_ITEM_BYTES), &spaced[1..]);
    packed(Operation::SetObjects, &[spaced.clone(), long], |chunks| {
        let raw = |place: usize| match &chunks[0].items[place].content {
            Content::Raw(json) => json.clone(),
            Content::Refused(problem) => panic!("{problem:?}"),
        };
        assert_eq!(raw(0), spaced);
        assert_eq!(raw(1), r#"{"type":"product","external_id":"a","attributes":{"a":1.5}}"#);
    });
}

#[test]
fn names_of_refused_items_have_their_room_in_messages_and_are_counted() {
    // Each letter takes three bytes as it is sent, and six as the queue carries it.
    let name = "\u{ffff}".repeat(limits::CLIENT_REF_CHARACTERS);
    let items: Vec<_> = (0..500).map(|_| format!(r#"{{"client_ref":"{name}"}}"#)).collect();
    packed(Operation::CreateObjects, &items, |chunks| {
        assert_eq!(chunks.iter().map(|chunk| chunk.items.len()).sum::<usize>(), items.len());
        for message in chunks.iter().map(Chunk::to_message) {
            assert!(message.len() <= limits::CHUNK_BYTES + 1_024, "{} bytes", message.len());
            assert!(message.len() * 3 > limits::CHUNK_BYTES || chunks.len() < 5, "{} bytes", message.len());
        }
    });
    let body = body(Operation::CreateObjects, &items[..3]);
    let request = JobRequest::parse(body.as_bytes()).unwrap();
    let packed = pack(&account(), job(), &request, Packing::default());
    assert_eq!(packed.refs_bytes, 3 * size_in_answer(&serde_json::to_vec(&name).unwrap()));
}

#[test]
fn an_item_that_cannot_be_kept_travels_as_its_refusal() {
    let items = [set("a", 40_000), "7".to_owned(), set("b", 1)];
    packed(Operation::SetObjects, &items, |chunks| {
        let contents: Vec<_> = chunks[0].items.iter().map(|item| &item.content).collect();
        assert!(matches!(contents[0], Content::Refused(problem) if problem.detail.contains("32768")));
        assert!(matches!(contents[1], Content::Refused(problem) if problem.detail.contains("not a number")));
        assert!(matches!(contents[2], Content::Raw(_)));
    });
}

#[test]
fn the_message_is_what_it_is() {
    let items = [set("a", 1), "7".to_owned()];
    let message = packed(Operation::SetObjects, &items, |chunks| chunks[0].to_message());
    let job = job();
    assert_eq!(
        message,
        format!(
            "{}{}{}",
            format_args!(r#"{{"v":1,"account":"acme","job":"{job}","type":"resources","action":"external_id_set","#),
            r#""chunk":0,"total":2,"positions":[0],"items":[{"type":"product","external_id":"a","attributes":{"a":"x"}}],"#,
            r#""refused":[[1,8,"item must be an object, not a number"]]}"#,
        )
    );
}

#[test]
fn a_text_is_copied_only_for_what_the_queue_does_not_carry() {
    // Its first byte is that of the two which are not carried.
    for carried in ["plain", "\u{ff01}"] {
        assert!(matches!(carried_by_sqs(carried.into()), Cow::Borrowed(text) if text == carried));
    }
    assert_eq!(carried_by_sqs("\u{fffe}-\u{ffff}\u{ff01}".into()), "\\ufffe-\\uffff\u{ff01}");
}

/// By what a chunk is cut: an item may never take more room in the message than it was counted for.
#[test]
fn an_item_costs_what_it_may_take_in_a_message() {
    let item = |content| ChunkItem { position: 9_999, content, client_ref: None };
    let raw = item(Content::Raw(r#"{"a":1}"#.into()));
    assert_eq!(cost(&raw), 8 + 7);
    let refused = item(Content::Refused(Problem::unprocessable("\"".repeat(100))));
    assert_eq!(cost(&refused), 8 + 16 + 2 * 100);

    // Position, comma, brackets, code and quotes: `[9999,8,"..."],`, each quote of the detail escaped.
    let taken = |items: Vec<ChunkItem<'static>>| {
        let (account, job, operation) = (account(), job(), Operation::SetObjects);
        let chunk = Chunk { account, job, operation, index: 0, total: 1, then: None, validate_only: false, items };
        chunk.to_message().len()
    };
    let more = |item: &ChunkItem<'static>| taken(vec![item.clone(); 3]) - taken(vec![item.clone(); 2]);
    assert_eq!(more(&raw), "9999,".len() + r#"{"a":1},"#.len());
    assert_eq!(more(&refused), r#"[9999,8,""],"#.len() + 2 * 100);
    assert!(more(&raw) <= cost(&raw) && more(&refused) <= cost(&refused));
}

/// Names of refused items are escaped in the message, control characters to six bytes each.
#[test]
fn names_of_refused_items_keep_to_the_room_of_a_message() {
    let name = "\\u0007".repeat(limits::CLIENT_REF_CHARACTERS);
    let items: Vec<String> = (0..600).map(|_| format!(r#"{{"client_ref":"{name}"}}"#)).collect();
    packed(Operation::SetObjects, &items, |chunks| {
        for chunk in chunks {
            let message = chunk.to_message();
            assert!(message.len() <= limits::CHUNK_BYTES + 1_024, "{} bytes", message.len());
            let read = Chunk::from_message(&message).unwrap();
            assert_eq!(read, *chunk);
            assert_eq!(read.to_message(), message);
        }
    });
}

#[test]
fn a_message_of_another_version_or_shape_is_refused() {
    let message = packed(Operation::SetObjects, &[set("a", 1)], |chunks| chunks[0].to_message());
    assert!(matches!(Chunk::from_message(&message.replace("\"v\":1", "\"v\":3")), Err(UnreadableChunk::Version(3))));
    for (from, to) in [
        ("\"positions\":[0]", "\"positions\":[0,1]"),
        ("acme", "A#B"),
        ("external_id_set", "nothing"),
        ("\"chunk\":0", "\"chunk\":-1"),
    ] {
        assert!(Chunk::from_message(&message.replace(from, to)).is_err(), "{to}");
    }
    assert!(Chunk::from_message("").is_err());
}

#[test]
fn characters_that_sqs_refuses_travel_escaped() {
    let item = "{\"type\":\"product\",\"external_id\":\"\u{ffff}\u{fffe}\",\"attributes\":{}}".to_owned();
    let message = packed(Operation::SetObjects, &[item], |chunks| chunks[0].to_message());
    assert!(!message.contains(['\u{fffe}', '\u{ffff}']));
    let chunk = Chunk::from_message(&message).unwrap();
    let Content::Raw(json) = &chunk.items[0].content else { panic!("the item was refused") };
    let Item::Set { external_id, .. } = Item::parse(chunk.operation, json).unwrap() else { panic!("not a set") };
    assert_eq!(external_id, "\u{ffff}\u{fffe}");
}

#[test]
fn the_room_of_a_chunk_is_counted_in_what_travels() {
    // As they are sent, the shorter ones fit one chunk; twice as much has to travel.
    for letters in [4_000, 6_000] {
        let long = "\u{ffff}".repeat(letters);
        let item = format!(r#"{{"type":"product","external_id":"a","attributes":{{"a":"{long}"}}}}"#);
        packed(Operation::SetObjects, &vec![item; 20], |chunks| {
            assert_eq!(chunks.iter().map(|chunk| chunk.items.len()).sum::<usize>(), 20);
            for chunk in chunks {
                let bytes = chunk.to_message().len();
                assert!(bytes <= limits::CHUNK_BYTES + 1_024, "{bytes} bytes of {letters} letters");
            }
        });
    }
}

proptest! {
    // Each case is hundreds of items of kilobytes.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn packing_loses_nothing_and_keeps_the_order_of_each_record(
        records in proptest::collection::vec((0..12_u8, 0..9_000_usize), 1..1_200)
    ) {
        let items: Vec<_> = records.iter().map(|(record, bytes)| set(&record.to_string(), *bytes)).collect();
        packed(Operation::SetObjects, &items, |chunks| {
            let mut seen = HashSet::new();
            let mut latest: HashMap<OrderingKey, (u32, u32)> = HashMap::new();
            let followed: HashMap<u32, u32> =
                chunks.iter().filter_map(|chunk| Some((chunk.then?, chunk.index))).collect();
            for chunk in chunks {
                let message = chunk.to_message();
                prop_assert!(message.len() <= limits::CHUNK_BYTES + 1_024);
                prop_assert!(chunk.items.len() <= limits::ITEMS_PER_CHUNK);
                let read = Chunk::from_message(&message).unwrap();
                for item in &read.items {
                    prop_assert!(seen.insert(item.position));
                    let Content::Raw(json) = &item.content else { panic!("refused") };
                    prop_assert_eq!(json.as_ref(), items[item.position as usize].as_str());
                    let key = Item::parse(read.operation, json).unwrap().ordering_key(&account()).unwrap();
                    if let Some((before, chunk_before)) = latest.insert(key, (item.position, chunk.index)) {
                        prop_assert!(before < item.position);
                        prop_assert!(chunk_before == chunk.index || followed.get(&chunk.index) == Some(&chunk_before));
                    }
                }
            }
            prop_assert_eq!(seen.len(), items.len());
            Ok(())
        })?;
    }
}
