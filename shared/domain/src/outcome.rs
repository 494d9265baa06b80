//! What came of an item, how it is kept, and how it is shown.

use serde::Serialize;

use crate::job::Operation;
use crate::limits;
use crate::problem::{Code, Problem};
use crate::record::RecordId;
use crate::time::Timestamp;

/// What came of one item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It was applied to this record.
    Success(RecordId),
    /// It would make a record, of which nobody knows the id before it is made: only in the results of a job that validates.
    WouldMake,
    /// It changed nothing, for these reasons. Never empty.
    Failure(Vec<Problem>),
}

impl Outcome {
    #[must_use]
    pub fn failure(problem: Problem) -> Self {
        Self::Failure(vec![problem])
    }

    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Success(_) | Self::WouldMake)
    }

    /// Appends the item's entry of `results`.
    pub fn render(&self, json: &mut Vec<u8>) {
        json.push(b'{');
        self.render_members(json);
        json.push(b'}');
    }

    /// Appends what is between the braces of the item's entry of `results`.
    pub(crate) fn render_members(&self, json: &mut Vec<u8>) {
        match self {
            Self::Success(id) => {
                json.extend_from_slice(br#""success":true,"data":{"id":""#);
                id.append_to(json);
                json.extend_from_slice(br#""}"#);
            }
            Self::WouldMake => json.extend_from_slice(br#""success":true,"data":{}"#),
            Self::Failure(problems) => {
                json.extend_from_slice(br#""success":false,"errors":"#);
                append(json, problems);
            }
        }
    }
}

/// Appends `value` as JSON.
pub(crate) fn append<Value: Serialize + ?Sized>(json: &mut Vec<u8>, value: &Value) {
    // Neither the types of this crate nor a Vec can fail to be written.
    let _ = serde_json::to_writer(json, value);
}

/// One item of a chunk in its [`Plan`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub position: u32,
    pub outcome: Outcome,
    /// For a success, the version of the row that its write depends on: 0 when there must be none.
    pub base: u64,
    /// For a failure that was judged on its record as an earlier item of the chunk leaves it, the position of that item:
    /// should that one never be applied, this failure's reason was never true.
    pub relies_on: Option<u32>,
    /// For a success, whether it makes a record where there is none: then the account has one more.
    pub makes: bool,
    /// The client's own name for the item.
    pub client_ref: Option<Box<str>>,
}

impl Entry {
    /// What relies on nothing: a failure for reasons of its own, or a success whose write depends on `base` and makes nothing.
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

    /// Appends the item's entry of a page of results, which says by itself which item it is about.
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
    /// When the first was made, in whole seconds. By the same clock, tokens of the chunk are at most seconds older.
    pub made_at: Timestamp,
    /// Whether it is the last: nobody agrees on anything after it, and nothing in it is still to be written.
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
    /// One that says nothing of any item.
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

    /// By how many records of its kind the account grows, or shrinks, when everything in it is applied.
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

    /// # Errors
    /// When the bytes were not made by [`pack`](Self::pack).
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

/// How long one item's result may be, so that the results of a whole job fit one answer.
///
/// A function's answer is JSON inside JSON: each quote and backslash of the body is escaped once more. Results are
/// measured as they stand there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budget(usize);

impl Budget {
    /// That of each item of a job of so many, none of which has a `client_ref`.
    #[must_use]
    pub fn of_job(total: u32) -> Self {
        Self::beside(total, 0, 0)
    }

    /// That of each item of a job of so many, of which any may have a `client_ref`.
    #[must_use]
    pub fn beside_refs(total: u32) -> Self {
        // What a reference takes besides its text: `,"client_ref":`, with the quotes counted as they are measured.
        const NAME: usize = 16;
        let names = total as usize * NAME;
        Self::beside(total, limits::CLIENT_REFS_BYTES + names, limits::CLIENT_REFS_PER_CHUNK)
    }

    fn beside(total: u32, refs_of_answer: usize, refs_of_row: usize) -> Self {
        // What else is in the answer: the job object, at most a few hundred bytes, and a comma after each result.
        const JOB_OBJECT: usize = 4 * 1024;
        let total = total.max(1) as usize;
        let of_answer = ((limits::ANSWER_BYTES - JOB_OBJECT).saturating_sub(refs_of_answer) / total).saturating_sub(1);
        let of_row = (limits::RESULTS_BYTES - refs_of_row) / total.min(limits::ITEMS_PER_CHUNK);
        Self(of_answer.min(of_row).min(limits::RESULT_BYTES))
    }

    /// The outcome with as many problems and as much of their details as fit, at least a part of the first, and how many
    /// more there are.
    #[must_use]
    pub fn fit(self, outcome: Outcome) -> Outcome {
        let Outcome::Failure(problems) = outcome else { return outcome };
        let mut listing = Listing::new(self);
        for problem in problems {
            listing.push(|| problem);
        }
        Outcome::Failure(listing.finish())
    }
}

/// The problems of one item, as many as its result may hold. Work and memory are those of what is listed, however many are
/// pushed.
#[derive(Debug)]
pub struct Listing {
    budget: usize,
    /// What the result takes so far, as it stands in an answer.
    taken: usize,
    problems: Vec<Problem>,
    unlisted: usize,
}

impl Listing {
    #[must_use]
    pub fn new(Budget(budget): Budget) -> Self {
        Self { budget, taken: measure(&Outcome::Failure(Vec::new())), problems: Vec::new(), unlisted: 0 }
    }

    /// Adds a problem, or only counts it when there is no room left: then it is not even made.
    pub fn push(&mut self, problem: impl FnOnce() -> Problem) {
        if self.unlisted > 0 {
            self.unlisted += 1;
            return;
        }
        let problem = problem();
        let bytes = size_of(&problem);
        if self.problems.is_empty() || self.taken + bytes <= self.budget {
            self.taken += bytes;
            self.problems.push(problem);
        } else {
            self.unlisted = 1;
        }
    }

    /// What is listed. The first is cut where it alone is too long; where some are left out, the last says how many.
    #[must_use]
    pub fn finish(self) -> Vec<Problem> {
        let Self { budget, mut taken, mut problems, mut unlisted } = self;
        while unlisted > 0 && problems.len() > 1 && taken + more(unlisted).len() > budget {
            taken -= problems.pop().as_ref().map_or(0, size_of);
            unlisted += 1;
        }
        let suffix = if unlisted > 0 { more(unlisted) } else { String::new() };
        if let [only] = problems.as_mut_slice() {
            // One byte of text takes at most seven where it is measured (a control character, `\\u0007`), so a round
            // never takes off more than is too much.
            while !only.detail.is_empty() {
                let Some(surplus) = (taken + suffix.len()).checked_sub(budget).filter(|surplus| *surplus > 0) else {
                    break;
                };
                taken -= size_of(only);
                only.detail = cut(&only.detail, surplus.div_ceil(7)).into();
                taken += size_of(only);
            }
        }
        if let Some(last) = problems.last_mut()
            && unlisted > 0
            && taken + suffix.len() <= budget
        {
            last.detail.to_mut().push_str(&suffix);
        }
        problems
    }
}

fn more(unlisted: usize) -> String {
    format!(", and {unlisted} more")
}

/// What a problem takes in a result, with the comma after it.
fn size_of(problem: &Problem) -> usize {
    let mut size = Size::default();
    // Neither the types of this crate nor a `Size` can fail to be written.
    let _ = serde_json::to_writer(&mut size, problem);
    size.0 + 1
}

/// What JSON takes where it stands in a function's answer: each quote and backslash is escaped once more.
#[must_use]
pub fn size_in_answer(json: &[u8]) -> usize {
    let mut size = Size::default();
    size.add(json);
    size.0
}

fn measure(outcome: &Outcome) -> usize {
    let mut json = Vec::new();
    outcome.render(&mut json);
    size_in_answer(&json)
}

/// Counts the bytes of JSON as they stand in a function's answer.
#[derive(Default)]
struct Size(usize);

impl Size {
    fn add(&mut self, json: &[u8]) {
        self.0 += json.iter().map(|byte| if matches!(byte, b'"' | b'\\') { 2 } else { 1 }).sum::<usize>();
    }
}

impl std::io::Write for Size {
    fn write(&mut self, json: &[u8]) -> std::io::Result<usize> {
        self.add(json);
        Ok(json.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// `detail` without at least `surplus` bytes at its end, and a sign that something is missing.
fn cut(detail: &str, surplus: usize) -> String {
    const SIGN: &str = "…";
    let kept = detail.strip_suffix(SIGN).unwrap_or(detail);
    let mut end = kept.len().saturating_sub(surplus + SIGN.len());
    while !kept.is_char_boundary(end) {
        end -= 1;
    }
    if end == 0 { String::new() } else { format!("{}{SIGN}", &kept[..end]) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(byte: u8) -> RecordId {
        RecordId::from_bytes([byte; 16])
    }

    fn rendered(outcome: &Outcome) -> String {
        let mut json = Vec::new();
        outcome.render(&mut json);
        String::from_utf8(json).unwrap()
    }

    #[test]
    fn a_plan_says_by_how_many_records_the_account_grows() {
        let entries = vec![
            Entry { makes: true, ..Entry::new(0, Outcome::Success(id(1)), 0) },
            Entry::new(1, Outcome::Success(id(1)), 0),
            Entry::new(2, Outcome::failure(Problem::internal()), 0),
            Entry::new(3, Outcome::Success(id(2)), 7),
        ];
        let plan = Plan { revision: 1, made_at: Timestamp::default(), closed: false, entries };
        for (operation, growth) in [
            (Operation::CreateObjects, 1),
            (Operation::SetObjects, 1),
            (Operation::UpdateObjects, 0),
            (Operation::DeleteObjects, -3),
            (Operation::DeleteObjectsByExternalId, -3),
            (Operation::CreateRelationships, 1),
            (Operation::DeleteRelationships, -3),
        ] {
            assert_eq!(plan.growth(operation), growth, "{operation:?}");
        }
    }

    #[test]
    fn results_look_as_published() {
        assert_eq!(
            rendered(&Outcome::Success(id(1))),
            r#"{"success":true,"data":{"id":"01010101-0101-0101-0101-010101010101"}}"#
        );
        let taken = "External Id is already in use for the Resource Type key: product";
        assert_eq!(
            rendered(&Outcome::failure(Problem::unprocessable(taken))),
            format!(
                r#"{{"success":false,"errors":[{{"code":"UnprocessableEntity","status":"422","title":"Unprocessable Entity","detail":"{taken}"}}]}}"#
            )
        );
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            any::<[u8; 16]>().prop_map(|bytes| Outcome::Success(RecordId::from_bytes(bytes))),
            proptest::collection::vec(".{0,900}", 1..12)
                .prop_map(|details| Outcome::Failure(details.into_iter().map(Problem::unprocessable).collect())),
        ]
    }

    proptest! {
        #[test]
        fn a_plan_reads_back(
            outcomes in proptest::collection::vec((1..9_u32, outcomes(), 0..=u64::MAX / 2, any::<bool>()), 0..20)
        ) {
            let mut position = 0;
            let entries = outcomes.into_iter().map(|(step, outcome, base, flag)| {
                let earlier = position;
                position += step;
                if outcome.is_success() {
                    return Entry { makes: flag, ..Entry::new(position, outcome, base) };
                }
                Entry { relies_on: flag.then_some(earlier), ..Entry::new(position, outcome, 0) }
            });
            let made_at = Timestamp::from_seconds(1_700_000_000);
            let plan = Plan { revision: 7, made_at, closed: true, entries: entries.collect() };
            prop_assert_eq!(Plan::unpack(7, true, &plan.pack()), Ok(plan));
        }

        #[test]
        fn a_plan_without_what_makes_a_record_reads_back(bases in proptest::collection::vec(any::<u64>(), 0..20)) {
            let entries = (0..).zip(&bases).map(|(position, base)| Entry::new(position, Outcome::Success(id(1)), *base));
            let plan = Plan { revision: 1, made_at: Timestamp::default(), closed: false, entries: entries.collect() };
            let mut packed = vec![FORMAT_WITHOUT_MAKING, 0];
            put_number(&mut packed, bases.len() as u64);
            for (place, base) in bases.iter().enumerate() {
                packed.extend([u8::from(place > 0), 0]);
                packed.extend_from_slice(id(1).as_bytes());
                put_number(&mut packed, *base);
            }
            prop_assert_eq!(Plan::unpack(1, false, &packed), Ok(plan));
        }

        #[test]
        fn a_plan_of_two_releases_before_reads_back(details in proptest::collection::vec(".{0,40}", 0..20)) {
            let failure = |detail: String| Outcome::failure(Problem::unprocessable(detail));
            let entries = (0..).zip(details).map(|(position, detail)| Entry::new(position, failure(detail), 0));
            let plan = Plan { revision: 1, made_at: Timestamp::default(), closed: false, entries: entries.collect() };
            // One byte less an entry, and another number before them.
            let mut packed = vec![FORMAT_WITHOUT_RELIANCE];
            put_number(&mut packed, 0);
            put_number(&mut packed, plan.entries.len() as u64);
            for (place, entry) in plan.entries.iter().enumerate() {
                put_number(&mut packed, u64::from(place > 0));
                let Outcome::Failure(problems) = &entry.outcome else { unreachable!("all of them fail") };
                packed.extend([1, problems[0].code.number()]);
                put_number(&mut packed, problems[0].detail.len() as u64);
                packed.extend_from_slice(problems[0].detail.as_bytes());
            }
            prop_assert_eq!(Plan::unpack(1, false, &packed), Ok(plan));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Plan::unpack(1, false, &bytes);
        }

        #[test]
        fn a_fitted_outcome_fits_and_says_why(outcome in outcomes(), total in 1..=10_000_u32) {
            let budget = Budget::of_job(total);
            let fitted = budget.fit(outcome.clone());
            let json = rendered(&fitted);
            let escaped: usize = serde_json::to_string(&json).unwrap().len() - 2;
            prop_assert!(escaped <= budget.0, "{} bytes in {:?}", escaped, budget);
            match (outcome, fitted) {
                (Outcome::Failure(before), Outcome::Failure(after)) => {
                    prop_assert!(!after.is_empty());
                    prop_assert!(before[0].detail.is_empty() || !after[0].detail.is_empty());
                }
                (before, after) => prop_assert_eq!(before, after),
            }
        }
    }

    #[test]
    fn the_longest_results_of_the_largest_job_fit_one_answer() {
        let total = u32::try_from(limits::ITEMS_PER_JOB).unwrap();
        let long = Outcome::Failure(vec![Problem::unprocessable("\"\\é".repeat(5_000)); 20]);
        let fitted = Budget::of_job(total).fit(long);
        let each = serde_json::to_string(&rendered(&fitted)).unwrap().len();
        assert!((each + 1) * limits::ITEMS_PER_JOB + 4_096 <= limits::ANSWER_BYTES);
    }

    #[test]
    fn more_items_than_any_job_has_leave_no_room_for_words() {
        for total in [6_287_361, u32::MAX] {
            let fitted = Budget::of_job(total).fit(Outcome::failure(Problem::not_applied()));
            let said_nothing = Problem { detail: "".into(), ..Problem::not_applied() };
            assert_eq!(fitted, Outcome::failure(said_nothing));
        }
    }

    #[test]
    fn a_chunk_of_the_longest_results_fits_its_row() {
        for total in [1, 2, 20, 250, 499, 500, 501, 10_000] {
            let long = Outcome::Failure(vec![Problem::unprocessable("x".repeat(20_000))]);
            let outcome = Budget::of_job(total).fit(long);
            let items = total.min(u32::try_from(limits::ITEMS_PER_CHUNK).unwrap());
            let entries = (0..items).map(|position| Entry::new(position, outcome.clone(), 0)).collect();
            let packed = Plan { revision: 1, made_at: Timestamp::default(), closed: false, entries }.pack().len();
            assert!(packed < 380_000, "{total}: {packed}");
        }
    }
}
