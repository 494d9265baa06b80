//! The outcome of an item, how it is shown, and how much of it an answer can hold.

use serde::Serialize;

use crate::limits;
use crate::problem::Problem;
use crate::record::RecordId;

/// The outcome of one item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It was applied to this record.
    Success(RecordId),
    /// The item would make a record, whose id is not known before it is made: only in the results of a job that
    /// validates.
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

/// How long one item's result may be, so that the results of a whole job fit one answer.
///
/// A function's answer is JSON inside JSON: each quote and backslash of the body is escaped once more. Results are
/// measured as they stand there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budget(pub(super) usize);

impl Budget {
    /// The budget of each item of a job of `total` items, none of which has a `client_ref`.
    #[must_use]
    pub fn of_job(total: u32) -> Self {
        Self::beside(total, 0, 0)
    }

    /// The budget of each item of a job of `total` items, any of which may have a `client_ref`.
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

/// The problems of one item, as many as its result may hold. Work and memory grow with what is listed, not with what is
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

    /// The listed problems. The first is cut where it alone is too long; where some are left out, the last says how
    /// many.
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

/// Bytes that JSON takes inside a function's answer, where each quote and backslash is escaped once more.
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
    use super::*;

    #[test]
    fn what_is_cut_is_shorter_by_what_is_too_much_and_begins_as_before() {
        for letter in ["x", "é", "日", "𝄞"] {
            let text = letter.repeat(30);
            for detail in [text.clone(), format!("{text}…")] {
                for surplus in 1..=text.len() {
                    let shorter = cut(&detail, surplus);
                    assert!(shorter.len() + surplus <= detail.len() || shorter.is_empty(), "{surplus} of {detail}");
                    // No more is taken away than that, the sign, and what is left of a letter.
                    assert!(shorter.len() + surplus + 10 > text.len(), "{surplus} of {detail}");
                    assert!(shorter.is_empty() || text.starts_with(shorter.strip_suffix('…').unwrap()));
                }
            }
        }
    }
}
