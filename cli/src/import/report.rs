//! What came of each row, in two tables beside the file.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::items::Problem;
use super::ledger::Done;
use super::rows::{ERROR_COLUMNS, JSON_COLUMN, Raw, Row};

/// `FILE.succeeded.csv` and `FILE.failed.csv`.
pub(crate) struct Reports {
    succeeded: File,
    failed: File,
    columns: Option<Vec<String>>,
    succeeded_rows: Vec<u8>,
    failed_rows: Vec<u8>,
}

/// The path with something behind the file's whole name.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

impl Reports {
    /// Opens the reports as they were when the rows before `done.end` were done.
    pub(crate) fn open(path: &Path, columns: Option<&[String]>, done: &Done) -> io::Result<Self> {
        let succeeded_path = beside(path, ".succeeded.csv");
        let failed_path = beside(path, ".failed.csv");
        let succeeded = open_at(&succeeded_path, done.succeeded_bytes)?;
        let failed = open_at(&failed_path, done.failed_bytes)?;
        let columns = columns.map(<[String]>::to_vec);
        let mut reports = Self { succeeded, failed, columns, succeeded_rows: Vec::new(), failed_rows: Vec::new() };
        if done.succeeded_bytes == 0 {
            reports.succeeded_rows.extend_from_slice(b"row,id\n");
        }
        if done.failed_bytes == 0 {
            let columns = reports.columns.clone().unwrap_or_else(|| vec![JSON_COLUMN.to_owned()]);
            let headings = ERROR_COLUMNS.iter().map(|name| (*name).to_owned()).chain(columns);
            write_row(&mut reports.failed_rows, headings)?;
        }
        Ok(reports)
    }

    pub(crate) fn succeeded(&mut self, row: &Row, id: &str) -> io::Result<()> {
        write_row(&mut self.succeeded_rows, [row.number.to_string(), id.to_owned()])
    }

    /// Writes the row as the user had it, behind what is wrong with it.
    pub(crate) fn failed(&mut self, row: &Row, code: &str, detail: &str) -> io::Result<()> {
        let mut cells = vec![code.to_owned(), detail.to_owned()];
        match &row.raw {
            Raw::Cells(record) => {
                cells.extend(record.iter().map(ToOwned::to_owned));
                let width = self.columns.as_ref().map_or(0, Vec::len) + ERROR_COLUMNS.len();
                if cells.len() < width {
                    cells.resize(width, String::new());
                }
            }
            Raw::Json(text) => cells.push(text.clone()),
        }
        write_row(&mut self.failed_rows, cells)
    }

    pub(crate) fn invalid(&mut self, row: &Row, problems: &[Problem]) -> io::Result<()> {
        self.failed(row, "Invalid", &described(problems))
    }

    /// Returns how long the reports are, when all of them is on the disk.
    pub(crate) fn flush(&mut self) -> io::Result<(u64, u64)> {
        Ok((append(&mut self.succeeded, &mut self.succeeded_rows)?, append(&mut self.failed, &mut self.failed_rows)?))
    }
}

pub(crate) fn described(problems: &[Problem]) -> String {
    let texts = problems.iter().map(|problem| {
        if problem.column.is_empty() { problem.text.clone() } else { format!("{}: {}", problem.column, problem.text) }
    });
    texts.collect::<Vec<_>>().join("; ")
}

fn open_at(path: &Path, length: u64) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| io::Error::new(error.kind(), format!("the report {}: {error}", path.display())))?;
    if file.metadata()?.len() < length {
        let text = format!("the report {} was changed: move it away, and import with --again", path.display());
        return Err(io::Error::other(text));
    }
    file.set_len(length)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

fn append(file: &mut File, rows: &mut Vec<u8>) -> io::Result<u64> {
    if !rows.is_empty() {
        file.write_all(rows)?;
        file.sync_data()?;
        rows.clear();
    }
    file.stream_position()
}

fn write_row(rows: &mut Vec<u8>, cells: impl IntoIterator<Item = String>) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(rows);
    writer.write_record(cells.into_iter().map(String::into_bytes))?;
    writer.flush()
}
