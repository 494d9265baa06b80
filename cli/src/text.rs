//! Text that came from elsewhere, made safe to show.

/// The text on one line, without characters that a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|char| if is_control(char) { '\u{fffd}' } else { char }).collect()
}

/// The text with its lines, without other characters that a terminal would obey.
pub(crate) fn printable_lines(text: &str) -> String {
    text.chars().map(|char| if is_control(char) && char != '\n' { '\u{fffd}' } else { char }).collect()
}

/// The number with a comma at each thousand.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 row", "2,000 rows".
pub(crate) fn rows(number: u64) -> String {
    format!("{} row{}", grouped(number), if number == 1 { "" } else { "s" })
}

fn is_control(char: char) -> bool {
    char.is_control() || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{grouped, printable};

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1_000, 28_298, 1_000_000].map(grouped), ["0", "999", "1,000", "28,298", "1,000,000"]);
    }

    #[test]
    fn a_terminal_is_told_nothing_by_text_of_others() {
        assert_eq!(printable("a\u{1b}[31mb\nc\u{202e}d"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}d");
    }
}
