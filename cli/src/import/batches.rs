//! Rows gathered into jobs, each within the API's limits.

use super::items::{Converter, Problem};
use super::rows::{Row, Rows};
use crate::failure::Failure;

/// What the lines of a job have together at the most, before they are compressed: below the API's 4,500,000.
const LARGEST_BODY: usize = 3_900_000;

/// Some rows in a row: those that fit, as items of one job, and those that do not.
#[derive(Default)]
pub(crate) struct Batch {
    /// How many rows of the file stand before its first.
    pub(crate) first: u64,
    /// How many rows of the file stand before the first behind it.
    pub(crate) end: u64,
    pub(crate) rows: Vec<Row>,
    pub(crate) lines: Vec<u8>,
    pub(crate) invalid: Vec<(Row, Vec<Problem>)>,
}

/// The batches of a file. Where one begins depends on the file and the options alone, so that a restart makes the same ones.
pub(crate) struct Batches {
    rows: Rows,
    converter: Converter,
    job_size: usize,
    position: u64,
    /// A row that did not go into the last batch any more.
    next: Option<(Row, String)>,
    is_at_end: bool,
}

impl Batches {
    /// Begins behind the first `done` rows.
    pub(crate) fn new(mut rows: Rows, converter: Converter, job_size: usize, done: u64) -> Result<Self, Failure> {
        for _ in 0..done {
            rows.next()?;
        }
        Ok(Self { rows, converter, job_size, position: done, next: None, is_at_end: false })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Batch>, Failure> {
        if self.is_at_end {
            return Ok(None);
        }
        let mut batch = Batch { first: self.position, end: self.position, ..Batch::default() };
        loop {
            let (row, line) = match self.next.take() {
                Some(kept) => kept,
                None => match self.rows.next()? {
                    None => {
                        self.is_at_end = true;
                        return Ok((batch.end > batch.first).then_some(batch));
                    }
                    Some(row) => match self.converter.item(&row) {
                        Ok(line) => (row, line),
                        Err(problems) => {
                            batch.end += 1;
                            self.position += 1;
                            batch.invalid.push((row, problems));
                            // A file of nothing but mistakes may not fill the memory either.
                            if batch.invalid.len() >= self.job_size {
                                return Ok(Some(batch));
                            }
                            continue;
                        }
                    },
                },
            };
            let is_full = batch.rows.len() >= self.job_size || batch.lines.len() + line.len() + 1 > LARGEST_BODY;
            if is_full && !batch.rows.is_empty() {
                self.next = Some((row, line));
                return Ok(Some(batch));
            }
            batch.lines.extend_from_slice(line.as_bytes());
            batch.lines.push(b'\n');
            batch.rows.push(row);
            batch.end += 1;
            self.position += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use clap::Parser as _;
    use serde_json::json;

    use super::super::rows::{Layout, Rows};
    use super::super::source::Source;
    use super::{Batches, Converter, LARGEST_BODY};
    use crate::arguments::{Arguments, Command};

    /// First and end of each batch, and how many of its rows do not fit.
    fn batches(text: &str, layout: Layout, job_size: usize, done: u64) -> Vec<(u64, u64, usize)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let source = Source::open(file.path(), None).unwrap();
        let arguments = Arguments::try_parse_from(["sundial", "import", "f", "--type", "shop"]).unwrap();
        let Command::Import(options) = arguments.command else { panic!("it is an import") };
        let rows = Rows::new(source.text().unwrap(), layout).unwrap();
        let schema = json!({"properties": {"name": {"type": "string"}, "price": {"type": "number"}}});
        let converter = Converter::new(&options, &schema, rows.columns()).unwrap();
        let mut batches = Batches::new(rows, converter, job_size, done).unwrap();
        let mut found = Vec::new();
        while let Some(batch) = batches.next().unwrap() {
            assert!(batch.lines.len() <= LARGEST_BODY && batch.rows.len() <= job_size);
            found.push((batch.first, batch.end, batch.invalid.len()));
        }
        assert!(batches.next().unwrap().is_none());
        found
    }

    #[test]
    fn a_restart_makes_the_same_batches() {
        let text = "name,price\na,1\nb,x\nc,3\nd,4\ne,x\n";
        let layout = Layout::Separated(b',');
        assert_eq!(batches(text, layout, 2, 0), [(0, 3, 1), (3, 5, 1)]);
        assert_eq!(batches(text, layout, 2, 3), [(3, 5, 1)]);
        assert_eq!(batches(text, layout, 2, 5), []);
    }

    #[test]
    fn a_body_has_its_limit_in_bytes() {
        let row = format!("{{\"name\": \"{}\"}},", "a".repeat(1_000_000));
        let text = format!("[{}{{}}]", row.repeat(5));
        assert_eq!(batches(&text, Layout::Array, 10, 0), [(0, 3, 0), (3, 6, 0)]);
    }
}
