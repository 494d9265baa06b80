//! The ledger beside a file: what was posted, and what is done, so that nothing is sent twice and nothing forgotten.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;

/// The first line: which import this is.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Header {
    /// Of the file's bytes, the options and the service.
    pub(crate) fingerprint: String,
    /// The schema that rows are read by, also when the type has another one by then: the same rows are the same items.
    pub(crate) schema: Value,
    pub(crate) rows: u64,
    /// What sets this import apart from an earlier one of the same file.
    pub(crate) again: Option<String>,
}

/// A line: something that is so from now on.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    Import(Header),
    Posting(Posting),
    Posted { first: u64, job: String },
    Done(Done),
    Finished { at: u64 },
}

/// A job that is about to be posted: whether it was is unknown until `Posted`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Posting {
    /// How many rows stand before its first one.
    pub(crate) first: u64,
    /// How many rows stand before the first one behind it.
    pub(crate) end: u64,
    pub(crate) key: String,
    pub(crate) max_failures: Option<u64>,
    /// In seconds of Unix time.
    pub(crate) at: u64,
}

/// All rows before `end` are reported.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Done {
    pub(crate) end: u64,
    /// Counts of the rows before `end`.
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
    /// How long the reports were: what is behind that was being written when the process died.
    pub(crate) succeeded_bytes: u64,
    pub(crate) failed_bytes: u64,
}

/// A ledger that no other process writes.
pub(crate) struct Ledger {
    path: PathBuf,
    file: File,
    pub(crate) header: Option<Header>,
    pub(crate) done: Done,
    pub(crate) is_finished: bool,
    postings: HashMap<u64, Posting>,
    jobs: HashMap<u64, String>,
}

impl Ledger {
    /// Opens the ledger at this path, or makes one that is empty.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let unusable = |error: &io::Error| {
            Failure::NotDone(format!("cannot write the ledger {}: {error}; copy the file elsewhere", path.display()))
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| unusable(&error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::NotDone("another import of this file is running: wait for it to end".to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(&error)),
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        // Behind the last line's end is what was being written when the process died.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        let mut ledger = Self {
            path: path.to_owned(),
            file,
            header: None,
            done: Done::default(),
            is_finished: false,
            postings: HashMap::new(),
            jobs: HashMap::new(),
        };
        for (index, line) in text[..whole].split(|byte| *byte == b'\n').enumerate() {
            if !line.is_empty() {
                let entry = serde_json::from_slice(line).map_err(|_| {
                    Failure::NotDone(format!(
                        "line {} of the ledger {} is damaged: with --again the file is sent anew",
                        index + 1,
                        path.display()
                    ))
                })?;
                ledger.apply(entry);
            }
        }
        Ok(ledger)
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Import(header) => self.header = Some(header),
            Entry::Posting(posting) => {
                self.postings.insert(posting.first, posting);
            }
            Entry::Posted { first, job } => {
                self.jobs.insert(first, job);
            }
            Entry::Done(done) => {
                self.postings.retain(|first, _| *first >= done.end);
                self.jobs.retain(|first, _| *first >= done.end);
                self.done = done;
            }
            Entry::Finished { .. } => self.is_finished = true,
        }
    }

    pub(crate) fn posting(&self, first: u64) -> Option<&Posting> {
        self.postings.get(&first)
    }

    pub(crate) fn job(&self, first: u64) -> Option<&str> {
        self.jobs.get(&first).map(String::as_str)
    }

    /// Forgets the import that was here, and begins another.
    pub(crate) fn begin(&mut self, header: Header) -> Result<(), Failure> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.done = Done::default();
        self.is_finished = false;
        self.postings.clear();
        self.jobs.clear();
        self.write(Entry::Import(header))?;
        // The name of a new file is kept by its folder.
        if let Some(folder) = self.path.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            if let Ok(folder) = File::open(folder) {
                folder.sync_all()?;
            }
        }
        Ok(())
    }

    /// Returns when the line is on the disk.
    pub(crate) fn write(&mut self, entry: Entry) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(&entry).map_err(io::Error::from)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.apply(entry);
        Ok(())
    }

    /// Removes a ledger in which nothing was begun.
    pub(crate) fn discard_if_empty(self) {
        if self.header.is_none() {
            // It holds nothing: one that stays does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::{Done, Entry, Header, Ledger, Posting};

    fn header() -> Header {
        Header { fingerprint: "f".to_owned(), schema: json!({}), rows: 3, again: None }
    }

    #[test]
    fn what_was_written_is_there_again_but_a_line_that_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.begin(header()).unwrap();
        let posting = |first| Posting { first, end: first + 1, key: "k".to_owned(), max_failures: None, at: 0 };
        ledger.write(Entry::Posting(posting(0))).unwrap();
        ledger.write(Entry::Posted { first: 0, job: "a".to_owned() }).unwrap();
        ledger.write(Entry::Posting(posting(1))).unwrap();
        let done = Done { end: 1, succeeded: 1, ..Done::default() };
        ledger.write(Entry::Done(done)).unwrap();
        assert!(Ledger::open(&path).is_err(), "it is locked");
        drop(ledger);
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"posted\":{\"fir");
        fs::write(&path, text).unwrap();

        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.done, done);
        assert!(ledger.posting(0).is_none() && ledger.job(0).is_none());
        assert_eq!(ledger.posting(1).unwrap().key, "k");
        assert!(ledger.job(1).is_none() && !ledger.is_finished);
        assert!(fs::read(&path).unwrap().ends_with(b"}\n"));
    }
}
