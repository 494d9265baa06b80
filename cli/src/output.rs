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

    /// Writes a table whose columns are as wide as their contents, the last cut where the terminal ends.
    pub(crate) fn table(&self, headings: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
        let mut widths: Vec<usize> = headings.iter().map(|heading| heading.len()).collect();
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(console::measure_text_width(cell));
            }
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
            line.push_str(cell);
            if index + 1 < cells.len() {
                line.extend(std::iter::repeat_n(' ', width.saturating_sub(console::measure_text_width(cell))));
            }
        }
        match self.width {
            Some(width) if width > 0 => console::truncate_str(&line, width, "…").into_owned(),
            _ => line,
        }
    }
}

/// Writes to standard output as it is.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        // Whoever reads has seen enough, as `head` has.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Writes JSON to standard output.
pub(crate) fn write_json(value: &Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    write(format!("{text}\n").as_bytes())
}
