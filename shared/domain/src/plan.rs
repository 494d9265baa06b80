//! The plan of a chunk: what its workers agree on before any of it is written, which becomes the chunk's results.

pub mod closing;
pub mod decide;
pub mod groups;
mod outcome;
pub mod round;

use crate::job::Operation;
use crate::problem::{Code, Problem};
use crate::record::RecordId;
use crate::time::Timestamp;

pub(crate) use self::outcome::append;
pub use self::outcome::{Budget, Listing, Outcome, size_in_answer};

/// One item of a chunk in its [`Plan`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub position: u32,
    pub outcome: Outcome,
    /// For a success, the version of the row that its write depends on: 0 when there must be none.
    pub base: u64,
    /// For a failure that was judged on its record as an earlier item of the chunk leaves it, the position of that
    /// item: if that item is never applied, the reason of this failure was never true.
    pub relies_on: Option<u32>,
    /// For a success, whether it makes a record where there is none: then the account has one more.
    pub makes: bool,
    /// The client's own name for the item.
    pub client_ref: Option<Box<str>>,
}

impl Entry {
    /// An entry that relies on no other: a failure for reasons of its own, or a success whose write depends on `base`
    /// and makes nothing.
    #[must_use]
    pub const fn new(position: u32, outcome: Outcome, base: u64) -> Self {
        Self { position, outcome, base, relies_on: None, makes: false, client_ref: None }
    }

    /// Appends the item's entry of `results`.
    pub fn render(&self, json: &mut Vec<u8>) {
        json.push(b'{');
        self.outcome.render_members(json);
        self.render_ref(json);
        json.push(b'}');
    }

    /// Appends the item's entry of a page of results, which includes its position.
    pub fn render_with_position(&self, json: &mut Vec<u8>) {
        json.extend_from_slice(br#"{"position":"#);
        append(json, &self.position);
        self.render_ref(json);
        json.push(b',');
        self.outcome.render_members(json);
        json.push(b'}');
    }

    fn render_ref(&self, json: &mut Vec<u8>) {
        if let Some(client_ref) = &self.client_ref {
            json.extend_from_slice(br#","client_ref":"#);
            append(json, client_ref);
        }
    }
}

/// What a chunk's workers have agreed to do: the outcome of each item, before any of it is written.
///
/// Workers agree by compare-and-set on `revision`, and each writes only what it has agreed to. When every success in
/// it is applied, the plan is the chunk's results.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// 1 for the first, one more at each agreement.
    pub revision: u64,
    /// When the chunk's first plan was made, in whole seconds. By the same clock, marks of the chunk are at most
    /// seconds older.
    pub made_at: Timestamp,
    /// Whether it is the chunk's last plan: nobody agrees on anything after it, and nothing in it is still to be
    /// written.
    pub closed: bool,
    /// Ordered by position.
    pub entries: Vec<Entry>,
}

/// The bytes are not what [`Plan::pack`] makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("packed results cannot be read")]
pub struct UnreadablePlan;

/// The second has what failures rely on, the third what makes a record. Plans of the others are read for as long as a release back
/// may have left some: a day. The fourth has what few jobs need, and only theirs are written in it: names that clients gave to items, and
/// what only a job that validates has.
const FORMAT_WITH_REFS: u8 = 4;
const FORMAT: u8 = 3;
const FORMAT_WITHOUT_MAKING: u8 = 2;
const FORMAT_WITHOUT_RELIANCE: u8 = 1;

impl Plan {
    /// A plan that has no entries and was not agreed on.
    #[must_use]
    pub const fn empty(made_at: Timestamp) -> Self {
        Self { revision: 0, made_at, closed: false, entries: Vec::new() }
    }

    #[must_use]
    pub fn succeeded(&self) -> u32 {
        u32::try_from(self.entries.iter().filter(|entry| entry.outcome.is_success()).count()).unwrap_or(u32::MAX)
    }

    #[must_use]
    pub fn failed(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX) - self.succeeded()
    }

    /// Growth of the account when everything in the plan is applied, in records of the operation's kind; negative where
    /// it shrinks.
    #[must_use]
    pub fn growth(&self, operation: Operation) -> i64 {
        let count = |is_counted: fn(&Entry) -> bool| {
            i64::try_from(self.entries.iter().filter(|entry| is_counted(entry)).count()).unwrap_or(i64::MAX)
        };
        match operation {
            Operation::CreateObjects | Operation::SetObjects | Operation::CreateRelationships => {
                count(|entry| entry.makes)
            }
            Operation::DeleteObjects | Operation::DeleteObjectsByExternalId | Operation::DeleteRelationships => {
                -count(|entry| entry.outcome.is_success())
            }
            Operation::UpdateObjects => 0,
        }
    }

    /// The entries as bytes: 19 for a success, and a failure's texts.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.entries.len() * 20);
        let is_plain = |entry: &Entry| entry.client_ref.is_none() && entry.outcome != Outcome::WouldMake;
        let has_refs = !self.entries.iter().all(is_plain);
        bytes.push(if has_refs { FORMAT_WITH_REFS } else { FORMAT });
        put_number(&mut bytes, self.made_at.as_seconds());
        put_number(&mut bytes, self.entries.len() as u64);
        let mut previous = 0;
        for entry in &self.entries {
            put_number(&mut bytes, u64::from(entry.position.wrapping_sub(previous)));
            previous = entry.position;
            if has_refs {
                bytes.push(u8::from(entry.outcome == Outcome::WouldMake));
                let client_ref = entry.client_ref.as_deref();
                // 0 for none; else one more than its bytes.
                put_number(&mut bytes, client_ref.map_or(0, |client_ref| client_ref.len() as u64 + 1));
                bytes.extend_from_slice(client_ref.unwrap_or_default().as_bytes());
            }
            match &entry.outcome {
                Outcome::WouldMake => put_number(&mut bytes, u64::from(entry.makes)),
                Outcome::Success(id) => {
                    bytes.push(0);
                    bytes.extend_from_slice(id.as_bytes());
                    // Versions are far below 2^63.
                    put_number(&mut bytes, entry.base << 1 | u64::from(entry.makes));
                }
                Outcome::Failure(problems) => {
                    put_number(&mut bytes, problems.len().max(1) as u64);
                    for problem in problems {
                        bytes.push(problem.code.number());
                        put_number(&mut bytes, problem.detail.len() as u64);
                        bytes.extend_from_slice(problem.detail.as_bytes());
                    }
                    if problems.is_empty() {
                        let problem = Problem::internal();
                        bytes.push(problem.code.number());
                        put_number(&mut bytes, problem.detail.len() as u64);
                        bytes.extend_from_slice(problem.detail.as_bytes());
                    }
                    // How many positions before it; 0 for nothing.
                    put_number(&mut bytes, entry.relies_on.map_or(0, |earlier| u64::from(entry.position - earlier)));
                }
            }
        }
        bytes
    }

    /// Reads the bytes that [`pack`](Self::pack) made.
    ///
    /// # Errors
    /// When the bytes were not made by it.
    pub fn unpack(revision: u64, closed: bool, bytes: &[u8]) -> Result<Self, UnreadablePlan> {
        let mut reader = Reader(bytes);
        let format = reader.byte()?;
        if !matches!(format, FORMAT_WITH_REFS | FORMAT | FORMAT_WITHOUT_MAKING | FORMAT_WITHOUT_RELIANCE) {
            return Err(UnreadablePlan);
        }
        let made_at = Timestamp::from_seconds(reader.number()?);
        let count = reader.number()?;
        let mut entries = Vec::with_capacity(usize::try_from(count).map_err(|_| UnreadablePlan)?.min(bytes.len()));
        let mut position = 0_u32;
        for _ in 0..count {
            let step = u32::try_from(reader.number()?).map_err(|_| UnreadablePlan)?;
            position = position.wrapping_add(step);
            let (would_make, client_ref) =
                if format == FORMAT_WITH_REFS { (reader.byte()? == 1, reader.client_ref()?) } else { (false, None) };
            if would_make {
                let makes = reader.number()? == 1;
                entries.push(Entry { makes, client_ref, ..Entry::new(position, Outcome::WouldMake, 0) });
                continue;
            }
            let problems = reader.number()?;
            entries.push(if problems == 0 {
                let id = RecordId::from_bytes(reader.take(16)?.try_into().map_err(|_| UnreadablePlan)?);
                let number = reader.number()?;
                let (base, makes) = if format >= FORMAT { (number >> 1, number & 1 == 1) } else { (number, false) };
                Entry { makes, client_ref, ..Entry::new(position, Outcome::Success(id), base) }
            } else {
                let read = (0..problems).map(|_| reader.problem()).collect::<Result<_, _>>()?;
                let back = if format == FORMAT_WITHOUT_RELIANCE { 0 } else { reader.number()? };
                let relies_on = u32::try_from(back).ok().and_then(|back| position.checked_sub(back));
                let relies_on = relies_on.ok_or(UnreadablePlan)?;
                let relies_on = (relies_on != position).then_some(relies_on);
                Entry { relies_on, client_ref, ..Entry::new(position, Outcome::Failure(read), 0) }
            });
        }
        if reader.0.is_empty() { Ok(Self { revision, made_at, closed, entries }) } else { Err(UnreadablePlan) }
    }
}

/// Little-endian base 128, as in protocol buffers.
fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(seven_bits(number) | 0x80);
        number >>= 7;
    }
    bytes.push(seven_bits(number));
}

const fn seven_bits(number: u64) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

struct Reader<'bytes>(&'bytes [u8]);

impl<'bytes> Reader<'bytes> {
    fn take(&mut self, count: usize) -> Result<&'bytes [u8], UnreadablePlan> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(UnreadablePlan)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, UnreadablePlan> {
        self.take(1)?.first().copied().ok_or(UnreadablePlan)
    }

    fn number(&mut self) -> Result<u64, UnreadablePlan> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(UnreadablePlan)
    }

    fn problem(&mut self) -> Result<Problem, UnreadablePlan> {
        let code = Code::from_number(self.byte()?).ok_or(UnreadablePlan)?;
        let length = self.number()?;
        Ok(Problem::new(code, self.text(length)?.to_owned()))
    }

    fn client_ref(&mut self) -> Result<Option<Box<str>>, UnreadablePlan> {
        match self.number()?.checked_sub(1) {
            None => Ok(None),
            Some(length) => self.text(length).map(|text| Some(text.into())),
        }
    }

    fn text(&mut self, length: u64) -> Result<&'bytes str, UnreadablePlan> {
        let length = usize::try_from(length).map_err(|_| UnreadablePlan)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| UnreadablePlan)
    }
}

#[cfg(test)]
mod tests;
