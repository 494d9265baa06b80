//! Chunks: the pieces of a job that travel through the queue, and how a job is packed into them.
//!
//! Items that touch one record share a chunk, in order. Where they are too many for one, the next chunk of them follows
//! only when the one before is recorded: see [`Chunk::then`].

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::account::AccountId;
use crate::item::{Item, OrderingKey, client_ref};
use crate::job::{JobId, Operation};
use crate::limits;
use crate::outcome::size_in_answer;
use crate::problem::{Code, Problem};
use crate::request::JobRequest;
use crate::types::TypesMade;

/// One element of `data` on its way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChunkItem<'json> {
    /// Its index in `data`, and in `results`.
    pub position: u32,
    pub content: Content<'json>,
    /// The client's own name for it, which its result repeats.
    pub client_ref: Option<Cow<'json, str>>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Content<'json> {
    /// Raw JSON that [`Item::parse`] reads.
    Raw(Cow<'json, str>),
    /// Known to fail already: only its result travels.
    Refused(Problem),
}

/// Some items of one job: the unit of delivery, of redelivery and of results.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chunk<'json> {
    pub account: AccountId,
    pub job: JobId,
    pub operation: Operation,
    /// Its place among the job's chunks, from 0.
    pub index: u32,
    /// Items in the whole job, which bounds how long one result may be.
    pub total: u32,
    /// The chunk that goes on with the same record, to be sent once this one is recorded.
    pub then: Option<u32>,
    /// Nothing of it is to be written: see [`crate::job::JobOptions::validate_only`].
    pub validate_only: bool,
    pub items: Vec<ChunkItem<'json>>,
}

/// The text is no chunk that this version can read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableChunk {
    #[error("the message is not a chunk: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the message has version {0}, which this function does not know")]
    Version(u32),
    #[error("the message breaks the rules of a chunk: {0}")]
    Broken(&'static str),
}

const VERSION: u32 = 1;

/// The version of a chunk that only validates: to a function of a release before there were any it is unreadable, and not something to
/// write.
const VERSION_THAT_VALIDATES: u32 = 2;

#[derive(Deserialize)]
struct Spelled<'json> {
    v: u32,
    account: String,
    job: String,
    #[serde(rename = "type")]
    job_type: String,
    action: String,
    chunk: u32,
    total: u32,
    then: Option<u32>,
    positions: Vec<u32>,
    #[serde(borrow)]
    items: Vec<&'json RawValue>,
    #[serde(default)]
    refused: Vec<(u32, u8, String)>,
    /// Of those that are refused: the others have theirs in them.
    #[serde(default)]
    refs: HashMap<u32, String>,
}

impl<'json> Chunk<'json> {
    /// The message: JSON that SQS carries as it is.
    #[must_use]
    pub fn to_message(&self) -> String {
        let raw_bytes: usize = self.items.iter().map(cost).sum();
        let mut text = String::with_capacity(raw_bytes + 256);
        let (operation, job, index) = (self.operation, self.job, self.index);
        let version = if self.validate_only { VERSION_THAT_VALIDATES } else { VERSION };
        // Writing to a String never fails.
        let _ = write!(
            text,
            r#"{{"v":{version},"account":"{}","job":"{job}","type":"{}","action":"{}","chunk":{index},"total":{}"#,
            self.account,
            operation.job_type(),
            operation.action(),
            self.total,
        );
        if let Some(then) = self.then {
            let _ = write!(text, r#","then":{then}"#);
        }
        let raw = |item: &ChunkItem<'json>| matches!(item.content, Content::Raw(_));
        text.push_str(r#","positions":["#);
        for (order, item) in self.items.iter().filter(|item| raw(item)).enumerate() {
            let comma = if order == 0 { "" } else { "," };
            let _ = write!(text, "{comma}{}", item.position);
        }
        text.push_str(r#"],"items":["#);
        let mut first = true;
        for item in &self.items {
            if let Content::Raw(json) = &item.content {
                if !first {
                    text.push(',');
                }
                first = false;
                text.push_str(json);
            }
        }
        text.push(']');
        let refused: Vec<_> = self
            .items
            .iter()
            .filter_map(|item| match &item.content {
                Content::Raw(_) => None,
                Content::Refused(problem) => Some((item.position, problem.code.number(), &problem.detail)),
            })
            .collect();
        if !refused.is_empty() {
            text.push_str(r#","refused":"#);
            text.push_str(&serde_json::json!(refused).to_string());
        }
        // In order, so that one chunk is always one message.
        let refs: BTreeMap<u32, &str> = (self.items.iter())
            .filter(|item| !raw(item))
            .filter_map(|item| Some((item.position, item.client_ref.as_deref()?)))
            .collect();
        if !refs.is_empty() {
            text.push_str(r#","refs":"#);
            text.push_str(&serde_json::json!(refs).to_string());
        }
        text.push('}');
        carried_by_sqs(text.into()).into_owned()
    }

    /// # Errors
    /// When the message is no chunk of a version this code knows.
    pub fn from_message(message: &'json str) -> Result<Self, UnreadableChunk> {
        let mut spelled: Spelled<'json> = serde_json::from_str(message)?;
        if !matches!(spelled.v, VERSION | VERSION_THAT_VALIDATES) {
            return Err(UnreadableChunk::Version(spelled.v));
        }
        if spelled.positions.len() != spelled.items.len() {
            return Err(UnreadableChunk::Broken("it has another number of positions than of items"));
        }
        let raw = spelled
            .positions
            .into_iter()
            .zip(spelled.items)
            // One that cannot be read was refused where the job was accepted, and then it is not here.
            .map(|(position, item)| {
                let client_ref = client_ref(item.get()).unwrap_or_default();
                ChunkItem { position, content: Content::Raw(Cow::Borrowed(item.get())), client_ref }
            });
        let mut items: Vec<_> = raw.collect();
        for (position, code, detail) in spelled.refused {
            let code =
                Code::from_number(code).ok_or(UnreadableChunk::Broken("it refuses an item with no known code"))?;
            let client_ref = spelled.refs.remove(&position).map(Cow::Owned);
            items.push(ChunkItem { position, content: Content::Refused(Problem::new(code, detail)), client_ref });
        }
        items.sort_by_key(|item| item.position);
        Ok(Self {
            account: AccountId::parse(&spelled.account)
                .map_err(|_| UnreadableChunk::Broken("its account is no account id"))?,
            job: JobId::parse(&spelled.job).ok_or(UnreadableChunk::Broken("its job is no job id"))?,
            operation: Operation::of(&spelled.job_type, &spelled.action)
                .map_err(|_| UnreadableChunk::Broken("it has an operation that is not in the table"))?,
            index: spelled.chunk,
            total: spelled.total,
            then: spelled.then,
            validate_only: spelled.v == VERSION_THAT_VALIDATES,
            items,
        })
    }
}

/// SQS refuses a message with U+FFFE or U+FFFF in it. JSON text has them only inside strings, where an escape means the
/// same.
fn carried_by_sqs(text: Cow<'_, str>) -> Cow<'_, str> {
    /// What both begin with as UTF-8, and few others: looked for first, because that takes a tenth of the time.
    const FIRST_BYTE: u8 = 0xEF;
    if memchr::memchr(FIRST_BYTE, text.as_bytes()).is_some() && text.contains(['\u{fffe}', '\u{ffff}']) {
        text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff").into()
    } else {
        text
    }
}

/// How much of a message an item takes. Its name is counted once more, because it takes room in the results as well: see
/// [`limits::CLIENT_REFS_PER_CHUNK`].
fn cost(item: &ChunkItem<'_>) -> usize {
    let name = item.client_ref.as_ref().map_or(0, |client_ref| match item.content {
        Content::Raw(_) => client_ref.len(),
        // It is written once more, with its position and with escapes, of which the queue may need some besides.
        Content::Refused(_) => 16 + 2 * serde_json::to_vec(client_ref).map_or(0, |json| json.len()),
    });
    cost_of_content(&item.content) + name
}

fn cost_of_content(content: &Content<'_>) -> usize {
    const POSITION_AND_COMMAS: usize = 8;
    POSITION_AND_COMMAS
        + match content {
            Content::Raw(json) => json.len(),
            // Code, brackets and quotes; a detail's own quotes are escaped.
            Content::Refused(problem) => 16 + problem.detail.len() * 2,
        }
}

/// How much a chunk may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packing {
    pub items: usize,
    /// Of its items' text, about.
    pub bytes: usize,
}

impl Default for Packing {
    /// [`limits::ITEMS_PER_CHUNK`] and [`limits::CHUNK_BYTES`]: what every deployment uses.
    fn default() -> Self {
        Self { items: limits::ITEMS_PER_CHUNK, bytes: limits::CHUNK_BYTES }
    }
}

impl Packing {
    fn takes(self, items: usize, bytes: usize) -> bool {
        items <= self.items && bytes <= self.bytes
    }
}

/// A request as it travels.
#[derive(Debug)]
pub struct Packed<'body> {
    pub chunks: Vec<Chunk<'body>>,
    /// The types whose records its items may make.
    pub makes: TypesMade,
    /// What every `client_ref` takes, as they stand in an answer.
    pub refs_bytes: usize,
}

/// Packs a request into chunks.
#[must_use]
pub fn pack<'body>(account: &AccountId, job: JobId, request: &JobRequest<'body>, packing: Packing) -> Packed<'body> {
    let mut packer = Packer { account, job, request, packing, chunks: Vec::new(), open: None };
    let mut makes = TypesMade::default();
    let mut refs_bytes = 0;
    for group in groups(account, request, &mut makes, &mut refs_bytes) {
        packer.place(group);
    }
    Packed { chunks: packer.chunks, makes, refs_bytes }
}

/// The items of a request, those of one record together, in the order in which each record is first named. Their text is
/// already as the queue carries it, since the escapes take room that a chunk must have.
fn groups<'body>(
    account: &AccountId,
    request: &JobRequest<'body>,
    makes: &mut TypesMade,
    refs_bytes: &mut usize,
) -> Vec<Vec<ChunkItem<'body>>> {
    let may_make = request.operation.may_make();
    let mut groups: Vec<Vec<ChunkItem<'body>>> = Vec::with_capacity(request.items.len());
    let mut places: HashMap<OrderingKey, usize> = HashMap::with_capacity(request.items.len());
    for (position, raw) in (0_u32..).zip(&request.items) {
        let (client_ref, parsed) = match client_ref(raw.get()) {
            Ok(client_ref) => (client_ref, Item::parse(request.operation, raw.get())),
            Err(problem) => (None, Err(problem)),
        };
        if let Some(client_ref) = &client_ref {
            *refs_bytes += size_in_answer(&serde_json::to_vec(client_ref).unwrap_or_default());
        }
        if let Some(named) = parsed.as_ref().ok().and_then(Item::type_key).filter(|_| may_make) {
            makes.note(named);
        }
        let (key, content) = match parsed {
            Err(problem) => (None, Content::Refused(problem)),
            Ok(item) if raw.get().len() <= limits::PLAIN_ITEM_BYTES => {
                (item.ordering_key(account), Content::Raw(carried_by_sqs(raw.get().into())))
            }
            Ok(item) => match item.rewritten(client_ref.as_deref()) {
                Ok(json) => (item.ordering_key(account), Content::Raw(carried_by_sqs(json.into()))),
                Err(problem) => (None, Content::Refused(problem)),
            },
        };
        let item = ChunkItem { position, content, client_ref };
        match key {
            None => groups.push(vec![item]),
            Some(key) => {
                let place = *places.entry(key).or_insert(groups.len());
                match groups.get_mut(place) {
                    Some(group) => group.push(item),
                    None => groups.push(vec![item]),
                }
            }
        }
    }
    groups
}

struct Packer<'packing, 'body> {
    account: &'packing AccountId,
    job: JobId,
    request: &'packing JobRequest<'body>,
    packing: Packing,
    chunks: Vec<Chunk<'body>>,
    /// The chunk that still takes groups: its place and how many bytes it holds.
    open: Option<(usize, usize)>,
}

impl<'body> Packer<'_, 'body> {
    fn place(&mut self, group: Vec<ChunkItem<'body>>) {
        let bytes = group.iter().map(cost).sum();
        if !self.packing.takes(group.len(), bytes) {
            self.chain(group);
            return;
        }
        match self.open {
            Some((place, held)) if self.packing.takes(self.chunks[place].items.len() + group.len(), held + bytes) => {
                self.chunks[place].items.extend(group);
                self.open = Some((place, held + bytes));
            }
            _ => {
                let place = self.start();
                self.chunks[place].items = group;
                self.open = Some((place, bytes));
            }
        }
    }

    /// Spreads a group that no chunk can hold over chunks of its own, each of which names the next.
    fn chain(&mut self, group: Vec<ChunkItem<'body>>) {
        let mut place = self.start();
        let mut held = 0;
        for item in group {
            let bytes = cost(&item);
            if !self.packing.takes(self.chunks[place].items.len() + 1, held + bytes) {
                let next = self.start();
                self.chunks[place].then = Some(self.chunks[next].index);
                place = next;
                held = 0;
            }
            held += bytes;
            self.chunks[place].items.push(item);
        }
    }

    fn start(&mut self) -> usize {
        let place = self.chunks.len();
        self.chunks.push(Chunk {
            account: self.account.clone(),
            job: self.job,
            operation: self.request.operation,
            // At most 10,000 items, so at most as many chunks.
            index: u32::try_from(place).unwrap_or(u32::MAX),
            total: u32::try_from(self.request.items.len()).unwrap_or(u32::MAX),
            then: None,
            validate_only: self.request.validate_only,
            items: Vec::new(),
        });
        place
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::clock::Clock;
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
                format_args!(
                    r#"{{"v":1,"account":"acme","job":"{job}","type":"resources","action":"external_id_set","#
                ),
                r#""chunk":0,"total":2,"positions":[0],"items":[{"type":"product","external_id":"a","attributes":{"a":"x"}}],"#,
                r#""refused":[[1,8,"item must be an object, not a number"]]}"#,
            )
        );
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
        assert!(matches!(
            Chunk::from_message(&message.replace("\"v\":1", "\"v\":3")),
            Err(UnreadableChunk::Version(3))
        ));
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
}
