//! The `pattern` keyword, compiled once for a schema and within a bound for all its patterns together.
//!
//! A pattern is an automaton whose sets of states are made into the states of another when a text first needs them. An
//! everyday pattern needs a few, and then runs at a nanosecond a byte on texts of any length. But there are patterns of which
//! a text made for it needs a new one for each byte, and making it takes as long as the pattern is large. So patterns are
//! bounded by [`limits::PATTERNS_BYTES`], their sets by [`SETS_BYTES`], and what one record may take beyond these by
//! [`EFFORT_PER_RECORD`]: a text that needs more is refused.
//!
//! A pattern with `\b` cannot be run so on a text that is not ASCII: that is followed state by state, at the record's expense.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jsonschema::paths::Location;
use jsonschema::{Keyword, ValidationError};
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::pool::Pool;
use regex_automata::{Input, MatchErrorKind};
use serde_json::{Map, Value};

use super::{MadeKeyword, shortened};
use crate::limits;
use crate::problem::{Problem, quoted};

/// What is kept of the sets of states of a schema's patterns, for each thread that is matching; and the most of one pattern.
const SETS_BYTES: usize = 2 * 1024 * 1024;
const SETS_BYTES_EACH: usize = 256 * 1024;

/// States times bytes that a record may have followed one by one, at 3 ns each: 6 ms.
const EFFORT_PER_RECORD: usize = 2_000_000;

/// What it counts for to make a pattern's sets anew: as long as it takes to fill the largest.
const EFFORT_OF_SETS: usize = 500_000;

thread_local! {
    /// What is left of it for the record that this thread is checking. Keywords are not told which that is.
    static EFFORT: Cell<usize> = const { Cell::new(0) };
    /// Whether it was not enough for one of its texts. Under `not`, what does not match by that is no match all the same.
    static GAVE_UP: Cell<bool> = const { Cell::new(false) };
}

/// Begins the check of a record, with all of [`EFFORT_PER_RECORD`]: what others before it have taken does not count.
pub(super) fn start_record() {
    EFFORT.set(EFFORT_PER_RECORD);
    GAVE_UP.set(false);
}

/// Whether a text of the record was not held to a pattern, so that nobody knows whether the record keeps its schema.
pub(super) fn gave_up() -> bool {
    GAVE_UP.get()
}

/// Takes so much of what the record may take, if it is there.
fn take_effort(effort: usize) -> bool {
    EFFORT.get().checked_sub(effort).inspect(|left| EFFORT.set(*left)).is_some()
}

/// The patterns of one schema, by their texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns {
    compiled: HashMap<String, Arc<Compiled>>,
    bytes: usize,
}

#[derive(Debug)]
struct Compiled {
    automaton: NFA,
    sets: DFA,
    caches: Pool<Cache, Box<dyn Fn() -> Cache + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>>,
}

/// Whether a text matches a pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Match {
    Found,
    Missing,
    /// To find out would take too long.
    TooMuch,
}

impl Compiled {
    fn new(automaton: NFA, sets_bytes: usize) -> Option<Self> {
        let config = DFA::config()
            .cache_capacity(sets_bytes)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(0))
            .unicode_word_boundary(true);
        let sets = DFA::builder().configure(config).build_from_nfa(automaton.clone()).ok()?;
        let made = sets.clone();
        Some(Self { automaton, sets, caches: Pool::new(Box::new(move || made.create_cache())) })
    }

    fn find(&self, text: &str) -> Match {
        let found = self.find_within_effort(text);
        if found == Match::TooMuch {
            GAVE_UP.set(true);
        }
        found
    }

    fn find_within_effort(&self, text: &str) -> Match {
        let input = Input::new(text).earliest(true);
        // What runs through sets that are there takes a nanosecond or two a byte.
        if !take_effort(text.len()) {
            return Match::TooMuch;
        }
        let told = |found: bool| if found { Match::Found } else { Match::Missing };
        let mut cache = self.caches.get();
        let gave_up = match self.sets.try_search_fwd(&mut cache, &input) {
            Ok(found) => return told(found.is_some()),
            Err(error) => matches!(error.kind(), MatchErrorKind::GaveUp { .. }),
        };
        // What earlier texts have left may be in the way.
        if gave_up && take_effort(EFFORT_OF_SETS) {
            cache.reset(&self.sets);
            if let Ok(found) = self.sets.try_search_fwd(&mut cache, &input) {
                return told(found.is_some());
            }
        }
        drop(cache);
        if !take_effort(self.automaton.states().len().saturating_mul(text.len())) {
            return Match::TooMuch;
        }
        let Ok(machine) = PikeVM::new_from_nfa(self.automaton.clone()) else { return Match::TooMuch };
        told(machine.is_match(&mut machine.create_cache(), input))
    }
}

impl Patterns {
    /// Compiles patterns, which are named by where they stand.
    ///
    /// # Errors
    /// When one is no regular expression of the supported kind, or they are larger together than
    /// [`limits::PATTERNS_BYTES`].
    pub(super) fn compile(patterns: &BTreeMap<String, String>) -> Result<Self, Problem> {
        let sets_bytes = (SETS_BYTES / patterns.len().max(1)).min(SETS_BYTES_EACH);
        let mut compiled = HashMap::with_capacity(patterns.len());
        let mut bytes = 0;
        for (pattern, place) in patterns {
            let unsupported = || {
                Problem::unprocessable(format!(
                    "{place} is not valid: {} is no regular expression of ECMA-262 without look-around and backreferences",
                    quoted(pattern)
                ))
            };
            let translated = jsonschema_regex::to_rust_regex(pattern).map_err(|()| unsupported())?;
            let config = thompson::Config::new()
                .nfa_size_limit(Some(limits::PATTERNS_BYTES - bytes))
                .which_captures(WhichCaptures::None);
            let automaton = thompson::Compiler::new().configure(config).build(&translated).map_err(|error| {
                if error.size_limit().is_none() {
                    return unsupported();
                }
                Problem::unprocessable(format!(
                    "{place}: the patterns of a schema may take {} bytes together, compiled. Large counts and classes such \
                     as \\p{{L}} take the most: use maxLength in place of a count",
                    limits::PATTERNS_BYTES
                ))
            })?;
            bytes = (bytes + automaton.memory_usage()).min(limits::PATTERNS_BYTES);
            let made = Compiled::new(automaton, sets_bytes).ok_or_else(unsupported)?;
            compiled.insert(pattern.clone(), Arc::new(made));
        }
        Ok(Self { compiled, bytes })
    }

    /// The memory that they may take, for one thread.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + (self.compiled.len() * SETS_BYTES_EACH).min(SETS_BYTES)
    }

    /// The factory of the keyword.
    pub(super) fn keyword(
        &self,
    ) -> impl for<'schema> Fn(&'schema Map<String, Value>, &'schema Value, Location) -> MadeKeyword<'schema>
    + Send
    + Sync
    + 'static {
        let compiled = self.compiled.clone();
        move |_, value, _| {
            let found = value.as_str().and_then(|text| Some((text.to_owned(), compiled.get(text)?.clone())));
            let (text, compiled) = found.ok_or_else(|| ValidationError::schema("it is not a pattern"))?;
            Ok(Box::new(Pattern { text, compiled }))
        }
    }
}

struct Pattern {
    text: String,
    compiled: Arc<Compiled>,
}

impl<'instance> Keyword<'instance> for Pattern {
    fn validate(&self, instance: &'instance Value) -> Result<(), ValidationError<'instance>> {
        let Some(text) = instance.as_str() else { return Ok(()) };
        let pattern = || shortened(&self.text);
        match self.compiled.find(text) {
            Match::Found => Ok(()),
            Match::Missing => {
                let why = format!("{} does not match \"{}\"", shortened(instance), pattern());
                Err(ValidationError::custom(why))
            }
            Match::TooMuch => {
                let bytes = text.len();
                let why = format!("the text of {bytes} bytes is too long for a pattern as large as \"{}\"", pattern());
                Err(ValidationError::custom(why))
            }
        }
    }

    fn is_valid(&self, instance: &'instance Value) -> bool {
        instance.as_str().is_none_or(|text| self.compiled.find(text) == Match::Found)
    }
}

/// A text of `a` and `b` in no order that a pattern such as `^[ab]*a[ab]{1000}$` could do without remembering.
#[cfg(test)]
pub(super) fn made_for_a_pattern(length: u32) -> String {
    (0..length).map(|at| if at.wrapping_mul(2_654_435_761) >> 31 == 0 { 'a' } else { 'b' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(patterns: &[&str]) -> Result<Patterns, String> {
        let placed = patterns.iter().map(|pattern| ((*pattern).to_owned(), "schema.place".to_owned())).collect();
        Patterns::compile(&placed).map_err(|problem| problem.detail.into_owned())
    }

    #[test]
    fn patterns_that_people_use_fit_many_times_and_run_on_texts_of_any_length() {
        let used = [
            (r"^[A-Z]{2}\d{4}$", "DE1234"),
            (r"^[^@\s]+@[^@\s]+\.[^@\s]+$", &format!("{}@{}.de", "ä".repeat(8_000), "b".repeat(8_000))),
            (r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", "01234567-89ab-cdef-0123-456789abcdef"),
            (r"^https?://[^/]+(/.*)?$", &format!("https://example.com/{}", "日本".repeat(5_000))),
            (r"^\+?[0-9 ()-]{5,20}$", "+49 (30) 123456"),
            (r"^\p{L}[\p{L} '-]*$", &"Jürgen O'Neill 日本 Ελλάδα Ясень ".repeat(600)),
            (r"^(?:[01]\d|2[0-3]):[0-5]\d$", "23:59"),
            (r"^#[0-9a-fA-F]{6}$", "#00ffAA"),
            (r"\bgum\b", "chewing gum, ünd süß"),
        ];
        for (pattern, text) in used {
            let patterns = compile(&[pattern]).unwrap();
            let bytes = patterns.bytes;
            start_record();
            assert!(bytes * 5 < limits::PATTERNS_BYTES, "{pattern}: {bytes}");
            assert_eq!(patterns.compiled[pattern].find(text), Match::Found, "{pattern}");
            assert_eq!(patterns.compiled[pattern].find("\u{0}"), Match::Missing, "{pattern}");
        }
        assert!(compile(&used.map(|(pattern, _)| pattern)).unwrap().bytes * 3 < limits::PATTERNS_BYTES);
        let counted = compile(&["^.{1,255}$"]).unwrap();
        for letter in ["a", "ä", "日", "𝄞"] {
            start_record();
            assert_eq!(counted.compiled["^.{1,255}$"].find(&letter.repeat(255)), Match::Found);
            assert_eq!(counted.compiled["^.{1,255}$"].find(&letter.repeat(256)), Match::Missing);
        }
    }

    #[test]
    fn a_text_made_for_a_pattern_is_refused_where_it_is_long_and_matched_where_it_is_short() {
        let pattern = "^[ab]*a[ab]{1000}$";
        let compiled = &compile(&[pattern]).unwrap().compiled[pattern];
        start_record();
        assert_eq!(compiled.find(&made_for_a_pattern(20_000)), Match::TooMuch);
        // And leaves nothing behind that would be in the way of the next record.
        for _ in 0..3 {
            start_record();
            assert_eq!(compiled.find(&made_for_a_pattern(100)), Match::Missing);
            assert_eq!(compiled.find(&format!("a{}", "b".repeat(1_000))), Match::Found);
        }
    }

    #[test]
    fn a_word_boundary_in_a_text_that_is_not_ascii_is_found_at_the_records_expense() {
        let compiled = &compile(&[r"\b\p{L}+\b$"]).unwrap().compiled[r"\b\p{L}+\b$"];
        start_record();
        for _ in 0..20 {
            assert_eq!(compiled.find("süß und Gum"), Match::Found);
        }
        let found =
            (0..1_000).map(|_| compiled.find(&"süß ".repeat(50))).filter(|found| *found == Match::TooMuch).count();
        assert!((500..1_000).contains(&found), "{found}");
    }

    #[test]
    fn patterns_share_the_memory_for_their_sets() {
        for count in [1, 4, 8, 100] {
            let texts: Vec<String> = (0..count).map(|number| format!("a{number}")).collect();
            let patterns = compile(&texts.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
            let each = (SETS_BYTES / count).min(SETS_BYTES_EACH);
            for compiled in patterns.compiled.values() {
                assert_eq!(compiled.sets.get_config().get_cache_capacity(), each);
            }
            let automata: usize = patterns.compiled.values().map(|compiled| compiled.automaton.memory_usage()).sum();
            assert_eq!(patterns.bytes(), automata + (SETS_BYTES_EACH * count).min(SETS_BYTES));
            assert!(each * count <= SETS_BYTES);
        }
        assert_eq!(SETS_BYTES_EACH, SETS_BYTES / 8);
    }

    #[test]
    fn patterns_that_are_too_large_together_are_refused_and_so_is_what_is_none() {
        let large: Vec<String> = (0..60).map(|number| format!("\\p{{L}}{{100}}{number}")).collect();
        let large: Vec<&str> = large.iter().map(String::as_str).collect();
        let classes: Vec<String> = (0..60).map(|number| format!("\\p{{L}}{number}")).collect();
        let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
        let words =
            format!("schema.place: the patterns of a schema may take {} bytes together", limits::PATTERNS_BYTES);
        for patterns in [&large[..1], &large, &classes, &["((a{100}){100}){100}"], &[r"(?:[^\x00]{500}){500}"]] {
            let refusal = compile(patterns).unwrap_err();
            assert!(refusal.starts_with(&words), "{refusal}");
        }
        for pattern in ["(", "(?=x)", r"(a)\1", "[z-a]"] {
            let refusal = compile(&[pattern]).unwrap_err();
            assert!(refusal.starts_with("schema.place is not valid: "), "{refusal}");
        }
    }
}
