//! Rows of a file, one after the other, as they stand there.

use std::io::{self, BufRead, BufReader};

use csv::StringRecord;

use super::source::Decoded;
use crate::arguments::Format;
use crate::failure::Failure;

/// How much of a file is looked at to find out what it is.
pub(crate) const BEGINNING: usize = 64 * 1024;
/// The longest line or element that is read: what the API takes for a whole job.
const LONGEST: usize = 4_000_000;
/// The columns that a report of failures has in front of the user's own.
pub(crate) const ERROR_COLUMNS: [&str; 2] = ["error_code", "error_detail"];
/// The column of a report that has a JSON row.
pub(crate) const JSON_COLUMN: &str = "_json";

/// What a file is, and what stands between its cells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Layout {
    Separated(u8),
    Lines,
    Array,
}

impl Layout {
    pub(crate) fn find(beginning: &str, format: Option<Format>, separator: Option<char>) -> Result<Self, Failure> {
        let told = separator
            .map(|char| {
                u8::try_from(char)
                    .ok()
                    .filter(u8::is_ascii)
                    .ok_or_else(|| Failure::Usage("a separator is one ASCII character".to_owned()))
            })
            .transpose()?;
        Ok(match format {
            Some(Format::Ndjson) => Self::Lines,
            Some(Format::Json) => Self::Array,
            Some(Format::Tsv) => Self::Separated(told.unwrap_or(b'\t')),
            Some(Format::Csv) => Self::Separated(told.unwrap_or_else(|| find_separator(beginning))),
            None if told.is_none() && beginning.trim_start().starts_with('{') => Self::Lines,
            None if told.is_none() && beginning.trim_start().starts_with('[') => Self::Array,
            None => Self::Separated(told.unwrap_or_else(|| find_separator(beginning))),
        })
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Separated(b'\t') => "tab-separated".to_owned(),
            Self::Separated(separator) => format!("separated by '{}'", char::from(separator)),
            Self::Lines => "NDJSON".to_owned(),
            Self::Array => "a JSON array".to_owned(),
        }
    }
}

/// What stands most often between cells of the first line, outside of quotes.
fn find_separator(beginning: &str) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut is_quoted = false;
    for byte in beginning.bytes() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' | b'\r' if !is_quoted => break,
            _ if is_quoted => {}
            _ => {
                for (separator, count) in &mut counts {
                    *count += u32::from(*separator == byte);
                }
            }
        }
    }
    // Of as many of two, the first of the list.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(separator, _)| *separator)
}

/// The contents of a row, before anybody asked what they mean.
#[derive(Clone, Debug)]
pub(crate) enum Raw {
    Cells(StringRecord),
    Json(String),
}

/// A row and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// As a spreadsheet or an editor counts it: the first line, or element, is 1.
    pub(crate) number: u64,
    pub(crate) raw: Raw,
    /// What makes it unreadable.
    pub(crate) damage: Option<String>,
}

/// The rows of a file, in order.
pub(crate) enum Rows {
    Separated { reader: csv::Reader<Decoded>, columns: Vec<String>, skipped: usize, number: u64 },
    Lines { reader: BufReader<Decoded>, number: u64 },
    Array { reader: BufReader<Decoded>, number: u64, is_begun: bool },
}

impl Rows {
    pub(crate) fn new(text: Decoded, layout: Layout) -> Result<Self, Failure> {
        Ok(match layout {
            Layout::Separated(separator) => {
                let mut reader =
                    csv::ReaderBuilder::new().delimiter(separator).flexible(true).has_headers(true).from_reader(text);
                let headers = reader.headers().map_err(damaged)?.clone();
                let skipped = if headers.iter().take(2).eq(ERROR_COLUMNS) { 2 } else { 0 };
                let columns = headers.iter().skip(skipped).map(|name| name.trim().to_owned()).collect();
                Self::Separated { reader, columns, skipped, number: 1 }
            }
            Layout::Lines => Self::Lines { reader: BufReader::new(text), number: 0 },
            Layout::Array => Self::Array { reader: BufReader::new(text), number: 0, is_begun: false },
        })
    }

    /// The names of the columns, or nothing for rows that are JSON.
    pub(crate) fn columns(&self) -> Option<&[String]> {
        match self {
            Self::Separated { columns, .. } if columns.as_slice() != [JSON_COLUMN] => Some(columns),
            _ => None,
        }
    }

    pub(crate) fn next(&mut self) -> Result<Option<Row>, Failure> {
        match self {
            Self::Separated { reader, columns, skipped, number } => {
                let mut record = StringRecord::new();
                if !reader.read_record(&mut record).map_err(damaged)? {
                    return Ok(None);
                }
                *number += 1;
                Ok(Some(separated(&record, columns, *skipped, *number)))
            }
            Self::Lines { reader, number } => loop {
                let mut line = Vec::new();
                if !read_line(reader, &mut line)? {
                    return Ok(None);
                }
                *number += 1;
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(json_row(&line, *number)));
                }
            },
            Self::Array { reader, number, is_begun } => {
                if !*is_begun {
                    *is_begun = true;
                    if peek(reader)? != Some(b'[') {
                        return Err(Failure::NotDone("the file is not a JSON array: it must begin with [".to_owned()));
                    }
                    reader.consume(1);
                }
                let element = read_element(reader, *number == 0)?;
                Ok(element.map(|element| {
                    *number += 1;
                    json_row(&element, *number)
                }))
            }
        }
    }
}

fn separated(record: &StringRecord, columns: &[String], skipped: usize, number: u64) -> Row {
    let cells: StringRecord = record.iter().skip(skipped).collect();
    if columns == [JSON_COLUMN] {
        return json_row(cells.get(0).unwrap_or_default().as_bytes(), number);
    }
    let surplus = cells.iter().skip(columns.len()).any(|cell| !cell.is_empty());
    let damage = (cells.len() < columns.len() || surplus)
        .then(|| format!("it has {} cells, and the first line {}", cells.len(), columns.len()));
    Row { number, raw: Raw::Cells(cells), damage }
}

fn json_row(bytes: &[u8], number: u64) -> Row {
    let damage = (bytes.len() > LONGEST).then(|| format!("it is longer than {LONGEST} bytes"));
    Row { number, raw: Raw::Json(String::from_utf8_lossy(bytes.trim_ascii()).into_owned()), damage }
}

fn damaged(error: csv::Error) -> Failure {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Failure::Io(error),
        kind => Failure::NotDone(format!("the file cannot be read as a table: {kind:?}")),
    }
}

/// Reads a line, of which no more is kept than shows that it is too long.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    let mut is_any = false;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(is_any);
        }
        is_any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(buffer.len(), |end| end + 1);
        let kept = length.min((LONGEST + 1).saturating_sub(line.len()));
        line.extend_from_slice(&buffer[..kept]);
        reader.consume(length);
        if end.is_some() {
            return Ok(true);
        }
    }
}

fn peek(reader: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let buffer = reader.fill_buf()?;
        let Some(first) = buffer.first().copied() else { return Ok(None) };
        if !first.is_ascii_whitespace() {
            return Ok(Some(first));
        }
        reader.consume(1);
    }
}

/// Reads an element of an array, whose own syntax is looked at by whoever parses it.
fn read_element(reader: &mut impl BufRead, is_first: bool) -> Result<Option<Vec<u8>>, Failure> {
    let cut_off = || Failure::NotDone("the JSON array was cut off: it has no ] at its end".to_owned());
    match peek(reader)?.ok_or_else(cut_off)? {
        b']' => {
            reader.consume(1);
            return match peek(reader)? {
                None => Ok(None),
                Some(_) => Err(Failure::NotDone("something stands behind the JSON array".to_owned())),
            };
        }
        b',' if !is_first => {
            reader.consume(1);
            peek(reader)?;
        }
        _ if is_first => {}
        _ => return Err(Failure::NotDone("a comma is missing between elements of the JSON array".to_owned())),
    }
    let mut element = Vec::new();
    let (mut depth, mut is_text, mut is_escaped) = (0u32, false, false);
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Err(cut_off());
        }
        let mut length = 0;
        let mut is_end = false;
        for byte in buffer {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if is_text => is_escaped = true,
                b'"' => is_text = !is_text,
                _ if is_text => {}
                b',' | b']' if depth == 0 => {
                    is_end = true;
                    break;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            length += 1;
        }
        let kept = length.min((LONGEST + 1).saturating_sub(element.len()));
        element.extend_from_slice(&buffer[..kept]);
        reader.consume(length);
        if is_end {
            return Ok(Some(element));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{BEGINNING, Layout, Raw, Rows};
    use crate::failure::Failure;
    use crate::import::source::Source;

    fn rows(text: &str) -> Result<(Layout, Vec<String>), Failure> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let source = Source::open(file.path(), None)?;
        let layout = Layout::find(&source.beginning(BEGINNING)?, None, None)?;
        let mut rows = Rows::new(source.text()?, layout)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let raw = match row.raw {
                Raw::Cells(cells) => cells.iter().collect::<Vec<_>>().join("/"),
                Raw::Json(json) => json,
            };
            found.push(format!("{}:{raw}{}", row.number, if row.damage.is_some() { "!" } else { "" }));
        }
        Ok((layout, found))
    }

    fn check(text: &str, layout: Layout, expected: &[&str]) {
        assert_eq!(rows(text).unwrap(), (layout, expected.iter().map(ToString::to_string).collect()), "{text}");
    }

    #[test]
    fn tables_are_read_with_the_separator_that_they_have() {
        check("a,b\n1,2\n", Layout::Separated(b','), &["2:1/2"]);
        check("a;b\r\n1,5;\"x;\ny\"\r\n3;4", Layout::Separated(b';'), &["2:1,5/x;\ny", "3:3/4"]);
        check("a\tb\n1\t2\n", Layout::Separated(b'\t'), &["2:1/2"]);
        check("\"a,b,c\";d\n1;2\n", Layout::Separated(b';'), &["2:1/2"]);
        check("a,b\n1\n1,2,\n1,2,3\n", Layout::Separated(b','), &["2:1!", "3:1/2/", "4:1/2/3!"]);
        check("a\n1\n", Layout::Separated(b','), &["2:1"]);
    }

    #[test]
    fn a_report_of_failures_is_read_without_its_errors() {
        check("error_code,error_detail,a\nX,why,1\n", Layout::Separated(b','), &["2:1"]);
        check("error_code,error_detail,_json\nX,why,\"{\"\"a\"\":1}\"\n", Layout::Separated(b','), &["2:{\"a\":1}"]);
    }

    #[test]
    fn json_is_read_by_lines_and_by_elements() {
        check("{\"a\":1}\n\n{\"a\":2}", Layout::Lines, &["1:{\"a\":1}", "3:{\"a\":2}"]);
        check(" [ {\"a\": \"],\\\"[\"} ,\n[1,2], 3 ] ", Layout::Array, &["1:{\"a\": \"],\\\"[\"}", "2:[1,2]", "3:3"]);
        check("[]", Layout::Array, &[]);
        assert!(rows("[1, 2").is_err());
        assert!(rows("[1] 2").is_err());
    }
}
