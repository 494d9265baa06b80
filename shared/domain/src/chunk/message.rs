//! The message of a chunk: the text that travels through the queue, which any worker can read.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::account::AccountId;
use crate::job::{ChunkKey, JobId, JobKey, Operation};
use crate::problem::{Code, Problem};
use crate::request::item::client_ref;

/// One item of a chunk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChunkItem<'json> {
    /// Its index in `data`, and in `results`.
    pub position: u32,
    pub content: Content<'json>,
    /// The client's own name for it, which its result repeats.
    pub client_ref: Option<Cow<'json, str>>,
}

/// The content of an item in a chunk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Content<'json> {
    /// Raw JSON that [`Item::parse`](crate::request::item::Item::parse) reads.
    Raw(Cow<'json, str>),
    /// The problem of an item that is known to fail already: only its result travels.
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
    /// Whether nothing of the chunk is to be written: see [`crate::job::JobOptions::validate_only`].
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
    /// The key of the chunk's job.
    #[must_use]
    pub const fn job_key(&self) -> JobKey<'_> {
        self.job.of(&self.account)
    }

    /// The key of the chunk.
    #[must_use]
    pub const fn key(&self) -> ChunkKey<'_> {
        self.job_key().chunk(self.index)
    }

    /// The chunk as a message: JSON that SQS carries unchanged.
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

    /// Reads a chunk from its message.
    ///
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
pub(super) fn carried_by_sqs(text: Cow<'_, str>) -> Cow<'_, str> {
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
pub(super) fn cost(item: &ChunkItem<'_>) -> usize {
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
