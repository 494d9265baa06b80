//! Standard output: tables for people, JSON for programs.

use std::io::{self, ErrorKind, Write as _};

use console::Term;
use serde_json::Value;

use crate::failure::Failure;
use crate::text::printable;

/// Standard output, and how its reader wants it.
pub(crate) struct Output {
    json: bool,
    colours: bool,
    width: Option<usize>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let terminal = Term::stdout();
        let is_terminal = terminal.is_term();
        let colours = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let width = is_terminal.then(|| usize::from(terminal.size().1));
        Self { json, colours, width }
    }

    /// Whether the reader wants the raw `data`.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// A line for people; with `--json` it goes to standard error, so that what is on standard output is JSON.
    pub(crate) fn line(&self, line: &str) -> Result<(), Failure> {
        if self.json {
            eprintln!("{line}");
            return Ok(());
        }
        write(format!("{line}\n").as_bytes())
    }

    /// Writes a table whose columns are as wide as their contents, as long as the terminal has room.
    ///
    /// Where the terminal is too narrow for that, the widest columns behind the first give way: the first is what a person copies.
    pub(crate) fn table(&self, headings: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
        let mut widths: Vec<usize> = headings.iter().map(|heading| heading.len()).collect();
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(console::measure_text_width(cell));
            }
        }
        if let Some(width) = self.width {
            fit(&mut widths, headings, width);
        }
        let headings: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
        let mut text = self.heading(&self.row(&headings, &widths));
        for row in &rows {
            text.push('\n');
            text.push_str(&self.row(row, &widths));
        }
        self.line(&text)
    }

    fn heading(&self, text: &str) -> String {
        if self.colours { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn row(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
            if index > 0 {
                line.push_str("  ");
            }
            let cell =
                if self.width.is_some() { console::truncate_str(cell, *width, "…") } else { cell.as_str().into() };
            line.push_str(&cell);
            if index + 1 < cells.len() {
                line.extend(std::iter::repeat_n(' ', width.saturating_sub(console::measure_text_width(&cell))));
            }
        }
        match self.width {
            Some(width) if width > 0 => console::truncate_str(&line, width, "…").into_owned(),
            _ => line,
        }
    }
}

/// Makes the widest columns behind the first narrower until all have room, none below its heading or a few letters.
fn fit(widths: &mut [usize], headings: &[&str], room: usize) {
    const GAP: usize = 2;
    const NARROWEST: usize = 8;
    loop {
        let used = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        if used <= room {
            return;
        }
        let spare = |index: usize, width: usize| width.saturating_sub(headings[index].len().max(NARROWEST));
        let widest = (1..widths.len()).filter(|index| spare(*index, widths[*index]) > 0).max_by_key(|it| widths[*it]);
        let Some(widest) = widest else { return };
        // To the next widest at once would save time that nobody notices.
        widths[widest] -= 1;
    }
}

/// Writes to standard output as it is.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    write_to_reader(bytes).map(|_| ())
}

/// Writes to standard output as it is, and returns whether its reader wants more.
pub(crate) fn write_to_reader(bytes: &[u8]) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    wants_more(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Whether the reader of what was written wants more.
pub(crate) fn wants_more(written: io::Result<()>) -> Result<bool, Failure> {
    match written {
        // Whoever reads has seen enough, as `head` has.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        other => {
            other?;
            Ok(true)
        }
    }
}

/// Writes JSON to standard output.
pub(crate) fn write_json(value: &Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    write(format!("{text}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn wide_columns_give_way_and_the_first_does_not() {
        let fitted = |mut widths: Vec<usize>, room| {
            fit(&mut widths, &["ID", "NAME", "ATTRIBUTES"], room);
            widths
        };
        assert_eq!(fitted(vec![36, 10, 20], 100), [36, 10, 20]);
        assert_eq!(fitted(vec![36, 10, 500], 100), [36, 10, 50]);
        assert_eq!(fitted(vec![36, 90, 90], 100), [36, 30, 30]);
        assert_eq!(fitted(vec![36, 90, 90], 20), [36, 8, 10]);
    }
}
