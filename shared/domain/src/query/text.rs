//! Comparing texts without regard to case.

use std::borrow::Cow;

use crate::limits;

/// The text in the form in which `$contains` and `$prefix` compare: each character in Unicode lower case, and the sigma
/// that ends a word as any other.
///
/// Unlike `str::to_lowercase` it looks at one character alone, so that a part of a text is a part of the folded text,
/// too.
#[must_use]
pub fn folded(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(folded_characters(text).collect())
    }
}

fn folded_characters(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase).map(|character| if character == 'ς' { 'σ' } else { character })
}

/// The text in Unicode lower case, in which types and external ids are compared everywhere.
pub(super) fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

/// A text to be looked for in others. Looking takes time in proportion to the text alone, whatever the needle (Knuth,
/// Morris and Pratt), and copies nothing. A needle takes up to 12 bytes for each of its characters.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    folded: Vec<char>,
    /// For each leading part of the needle: how long the longest shorter one is that ends it. After so many characters
    /// have been found, a wrong one leaves that many.
    falls_back_to: Vec<usize>,
}

impl Needle {
    /// A needle that is longer than any attribute is cut: it is in no text either way. Only one character of two bytes
    /// (`İ`) folds to two characters, and none to more, so a folded text has no more characters than the text has bytes.
    const LONGEST: usize = limits::ATTRIBUTES_BYTES + 1;

    pub(super) fn new(text: &str) -> Self {
        let folded: Vec<char> = folded_characters(text).take(Self::LONGEST).collect();
        let mut falls_back_to = vec![0; folded.len()];
        let mut found = 0;
        for at in 1..folded.len() {
            found = step(&folded, &falls_back_to, found, folded[at]);
            falls_back_to[at] = found;
        }
        Self { folded, falls_back_to }
    }

    /// The needle as [`folded`] has it.
    pub(super) fn folded(&self) -> String {
        self.folded.iter().collect()
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        if text.is_ascii() {
            // A character of ASCII folds to one of ASCII, which leaves nothing to look up.
            self.is_among(text.bytes().map(|byte| char::from(byte.to_ascii_lowercase())))
        } else {
            self.is_among(folded_characters(text))
        }
    }

    fn is_among(&self, mut characters: impl Iterator<Item = char>) -> bool {
        let mut found = 0;
        self.folded.is_empty()
            || characters.any(|character| {
                found = step(&self.folded, &self.falls_back_to, found, character);
                found == self.folded.len()
            })
    }

    pub(super) fn begins(&self, text: &str) -> bool {
        let mut characters = folded_characters(text);
        self.folded.iter().all(|wanted| characters.next() == Some(*wanted))
    }
}

/// How many characters of the needle are found once `character` follows the `found` ones, fewer than all.
fn step(needle: &[char], falls_back_to: &[usize], mut found: usize, character: char) -> usize {
    while found > 0 && needle[found] != character {
        found = falls_back_to[found - 1];
    }
    if needle[found] == character { found + 1 } else { 0 }
}
