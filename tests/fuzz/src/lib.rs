//! What the targets share: the account and the job that everything is of, and recipes for the bodies of jobs.

use std::fmt::Write;

use arbitrary::Arbitrary;
use domain::account::AccountId;
use domain::chunk::{Chunk, Content};
use domain::clock::Clock;
use domain::job::{JobId, Operation};
use domain::time::Timestamp;

/// The account of every job.
///
/// # Panics
/// Never.
#[must_use]
pub fn account() -> AccountId {
    AccountId::parse("acme").expect("this is an account id")
}

/// The one job.
#[must_use]
pub fn job() -> JobId {
    JobId::new(&Clock::manual(Timestamp::from_seconds(1_700_000_000), 1))
}

/// What an input starts with when the rest is a recipe. No text that a target reads starts with it in earnest.
pub const RECIPE: u8 = 0;

/// A chunk as it comes out of its message: its items in order, and in them no character that the queue refuses.
#[must_use]
pub fn as_carried(chunk: &Chunk<'_>) -> Chunk<'static> {
    let mut items: Vec<_> = chunk
        .items
        .iter()
        .map(|item| domain::chunk::ChunkItem {
            position: item.position,
            content: match &item.content {
                Content::Raw(json) => {
                    let escaped = json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
                    Content::Raw(escaped.into())
                }
                Content::Refused(problem) => Content::Refused(problem.clone()),
            },
            client_ref: item.client_ref.as_deref().map(|client_ref| client_ref.to_owned().into()),
        })
        .collect();
    items.sort_by_key(|item| item.position);
    Chunk {
        account: chunk.account.clone(),
        job: chunk.job,
        operation: chunk.operation,
        index: chunk.index,
        total: chunk.total,
        then: chunk.then,
        validate_only: chunk.validate_only,
        items,
    }
}

/// Whether a queue takes the text: the characters of XML 1.0.
#[must_use]
pub fn is_carried_by_sqs(text: &str) -> bool {
    text.chars().all(|letter| {
        matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
    })
}

/// How to make a body: large ones, many items of one record and deep nesting, from few bytes of input.
#[derive(Arbitrary, Debug)]
pub struct BodyRecipe<'input> {
    operation: u8,
    lines: Vec<Line<'input>>,
}

/// Items that are alike.
#[derive(Arbitrary, Debug)]
struct Line<'input> {
    item: ItemRecipe<'input>,
    copies: Copies,
}

#[derive(Arbitrary, Debug)]
enum Copies {
    One,
    Few(u8),
    Many(u16),
}

#[derive(Arbitrary, Debug)]
enum ItemRecipe<'input> {
    /// It need not be JSON.
    Text(&'input str),
    Value(ValueRecipe<'input>),
    Object(Vec<(Name<'input>, ValueRecipe<'input>)>),
    /// What the operation wants, of one of some records.
    Fitting {
        record: u8,
        text: ValueRecipe<'input>,
        more: Option<(Name<'input>, ValueRecipe<'input>)>,
    },
}

#[derive(Arbitrary, Debug)]
enum Name<'input> {
    Known(u8),
    Other(&'input str),
}

/// How to make a JSON value.
#[derive(Arbitrary, Debug)]
pub enum ValueRecipe<'input> {
    Known(u8),
    Number(f64),
    Text(&'input str),
    /// One character again and again.
    Long {
        letter: u8,
        count: u16,
    },
    Nested {
        kind: u8,
        levels: u16,
    },
}

const NAMES: [&str; 10] =
    ["type", "external_id", "attributes", "id", "relationship_type", "source", "target", "name", "tags", "\\u0061t"];

const VALUES: [&str; 16] = [
    "null",
    "true",
    "{}",
    "[]",
    "0",
    "-0",
    "1e999",
    "18446744073709551616",
    r#""product""#,
    r#""Owns""#,
    r#""zen:user:1""#,
    r#""40E83A4E-8438-8BB9-8F6F-51124535CE9F""#,
    r#""\ud800""#,
    r#"{"name":"a","name":"b"}"#,
    r#"{ "name" : "a" , "tags":[1.50, null]}"#,
    r#"{"$serde_json::private::RawValue":"1"}"#,
];

/// Some that take one byte, more, an escape in JSON, and an escape on the queue.
const LETTERS: [&str; 8] = ["x", "é", "\u{ffff}", "\u{fffe}", "\\\"", "\\u0001", "😀", "\\ud800"];

/// No body is made longer than this: it is more than one chunk takes.
const LONGEST: usize = 320 * 1024;

impl BodyRecipe<'_> {
    /// The body. Whether it makes a job depends on its items.
    #[must_use]
    pub fn body(&self) -> String {
        let operation = chosen(&Operation::ALL, self.operation);
        let mut body = format!(r#"{{"type":"{}","action":"{}","data":["#, operation.job_type(), operation.action());
        let mut first = true;
        'lines: for line in &self.lines {
            let item = line.item.json(*operation);
            for _ in 0..line.copies.count() {
                if body.len() + item.len() > LONGEST {
                    break 'lines;
                }
                if !std::mem::take(&mut first) {
                    body.push(',');
                }
                body.push_str(&item);
            }
        }
        body.push_str("]}");
        body
    }
}

impl Copies {
    fn count(&self) -> usize {
        match self {
            Self::One => 1,
            Self::Few(count) => usize::from(*count),
            Self::Many(count) => usize::from(*count) % 12_000,
        }
    }
}

impl ItemRecipe<'_> {
    fn json(&self, operation: Operation) -> String {
        match self {
            Self::Text(text) => (*text).to_owned(),
            Self::Value(value) => value.json(),
            Self::Object(members) => object(members.iter().map(|(name, value)| (name.text(), value.json()))),
            Self::Fitting { record, text, more } => {
                // Whole numbers of a small range, so that items meet.
                let number = record % 8;
                let id = format!("\"00000000-0000-8000-8000-00000000000{number}\"");
                let object_type = ("type", "\"product\"".to_owned());
                let external_id = ("external_id", format!("\"record-{number}\""));
                let attributes = ("attributes", format!(r#"{{"name":{}}}"#, text.json()));
                let mut members = match operation {
                    Operation::DeleteObjects | Operation::DeleteRelationships => return id,
                    Operation::CreateObjects | Operation::SetObjects => vec![object_type, external_id, attributes],
                    Operation::UpdateObjects => vec![("id", id), attributes],
                    Operation::DeleteObjectsByExternalId => vec![object_type, external_id],
                    Operation::CreateRelationships => vec![
                        ("relationship_type", "\"owns\"".to_owned()),
                        ("source", format!("\"zen:user:{number}\"")),
                        ("target", id),
                    ],
                };
                members.extend(more.iter().map(|(name, value)| (name.text(), value.json())));
                object(members.into_iter())
            }
        }
    }
}

impl Name<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Known(choice) => NAMES[usize::from(*choice) % NAMES.len()],
            Self::Other(text) => text,
        }
    }
}

impl ValueRecipe<'_> {
    /// The value. A few are no JSON that every reader reads.
    #[must_use]
    pub fn json(&self) -> String {
        match self {
            Self::Known(choice) => (*chosen(&VALUES, *choice)).to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => serde_json::Value::from(*text).to_string(),
            Self::Long { letter, count } => format!("\"{}\"", chosen(&LETTERS, *letter).repeat(usize::from(*count))),
            Self::Nested { kind, levels } => {
                let (open, inner, close) =
                    *chosen(&[("[", "", "]"), (r#"{"name":"#, "1", "}"), (r#"{"tags":["#, "", "]}")], *kind);
                format!("{}{inner}{}", open.repeat(usize::from(*levels)), close.repeat(usize::from(*levels)))
            }
        }
    }
}

/// Names are not escaped: what is wrong with one is the reader's business.
fn object<Text: AsRef<str>>(members: impl Iterator<Item = (Text, String)>) -> String {
    let mut json = "{".to_owned();
    for (place, (name, value)) in members.enumerate() {
        let comma = if place == 0 { "" } else { "," };
        // Writing to a String never fails.
        let _ = write!(json, "{comma}\"{}\":{value}", name.as_ref());
    }
    json.push('}');
    json
}

/// One of the choices, whatever the number is.
///
/// # Panics
/// When there is no choice.
#[must_use]
pub fn chosen<Choice>(choices: &[Choice], choice: u8) -> &Choice {
    &choices[usize::from(choice) % choices.len()]
}
