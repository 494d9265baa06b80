//! `sundial records export`: all records of a type, page by page, so that no more than a page is in memory.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::arguments::ExportFormat;
use crate::client::{Client, Request, escape};
use crate::failure::{Failure, Verdict};
use crate::output::{Output, wants_more, write_to_reader};
use crate::resources::Pages;
use crate::text::{grouped, printable};

/// How records are written.
enum Form {
    /// A record on each line, as the API has it.
    Lines,
    /// One array of them.
    Array,
    /// Ids and attributes in columns.
    Table { attributes: Vec<String> },
}

/// Where they are written.
enum Sink {
    Reader,
    /// A pipe, a device, or what the process was started with: written to as it is, and never replaced.
    Open(File),
    /// A file that has its name once all is in it.
    File {
        file: NamedTempFile,
        path: PathBuf,
    },
}

const STANDARD_OUTPUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
/// Where what the process was started with has names.
const STARTED_WITH: [&str; 3] = ["/dev/stderr", "/dev/fd", "/proc"];

/// How many records were written, and of how many of them something was left out.
struct Counts {
    all: u64,
    cut: u64,
}

pub(crate) async fn run(
    object_type: &str,
    format: ExportFormat,
    path: Option<&Path>,
    client: &Client,
    output: &Output,
) -> Result<Verdict, Failure> {
    if output.is_json() && format == ExportFormat::Csv {
        return Err(Failure::Usage("--json and --format csv do not go together: leave one out".to_owned()));
    }
    // Also for lines: a type that is not there is an error, and not an empty list.
    let mut answer = client.send(Request::get(&format!("/objects/types/{}", escape(object_type)))).await?;
    let form = if output.is_json() {
        Form::Array
    } else if format == ExportFormat::Csv {
        let schema = answer["data"]["schema"].take();
        let attributes = schema["properties"].as_object().map(|names| names.keys().cloned().collect());
        Form::Table { attributes: attributes.unwrap_or_default() }
    } else {
        Form::Lines
    };
    let mut sink = match path {
        Some(path) => Sink::create(path)?,
        None => Sink::Reader,
    };
    let has_file = matches!(sink, Sink::File { .. });
    let interrupted = async {
        // Nothing else leaves something behind, and there Ctrl-C ends the program at once, also while it waits for a reader.
        if has_file {
            let _ = tokio::signal::ctrl_c().await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let written = tokio::select! {
        biased;
        () = interrupted => {
            drop(sink);
            eprintln!("Stopped: nothing was exported.");
            return Ok(Verdict::Incomplete);
        }
        written = write_pages(object_type, &form, client, &mut sink) => written?,
    };
    let Some(Counts { all, cut }) = written else { return Ok(Verdict::Succeeded) };
    sink.finish()?;
    eprintln!("{} record{} exported.", grouped(all), if all == 1 { "" } else { "s" });
    if cut == 0 {
        return Ok(Verdict::Succeeded);
    }
    eprintln!(
        "{} of them have attributes that the type {} does not name, and a table has no column for: export them as NDJSON.",
        grouped(cut),
        printable(object_type)
    );
    Ok(Verdict::Incomplete)
}

/// Writes all records, unless nobody wants them all: then there are no counts.
async fn write_pages(
    object_type: &str,
    form: &Form,
    client: &Client,
    sink: &mut Sink,
) -> Result<Option<Counts>, Failure> {
    let mut pages = Pages::new(client, Request::get("/objects/records").query("type", object_type), None);
    let mut counts = Counts { all: 0, cut: 0 };
    let mut text = form.beginning()?;
    while let Some(records) = pages.next().await? {
        for record in &records {
            counts.cut += u64::from(form.write(record, counts.all == 0, &mut text)?);
            counts.all += 1;
        }
        if !sink.write(&text)? {
            return Ok(None);
        }
        text.clear();
    }
    text.extend_from_slice(form.end(counts.all == 0));
    Ok(sink.write(&text)?.then_some(counts))
}

impl Form {
    fn beginning(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        match self {
            Self::Lines => {}
            Self::Array => text.push(b'['),
            Self::Table { attributes } => {
                let names = ["id", "external_id"].into_iter().chain(attributes.iter().map(String::as_str));
                write_row(&mut text, names)?;
            }
        }
        Ok(text)
    }

    /// Returns whether something of the record was left out.
    fn write(&self, record: &Value, is_first: bool, text: &mut Vec<u8>) -> io::Result<bool> {
        match self {
            Self::Lines => writeln!(text, "{record}")?,
            Self::Array => write!(text, "{}{record}", if is_first { "\n" } else { ",\n" })?,
            Self::Table { attributes } => {
                let values = record["attributes"].as_object();
                let cells = attributes.iter().map(|name| cell(values.and_then(|values| values.get(name))));
                let ids = ["id", "external_id"].map(|name| cell(record.get(name)));
                write_row(text, ids.into_iter().chain(cells))?;
                return Ok(values.is_some_and(|values| values.keys().any(|name| !attributes.contains(name))));
            }
        }
        Ok(false)
    }

    fn end(&self, is_empty: bool) -> &'static [u8] {
        match self {
            Self::Array if is_empty => b"]\n",
            Self::Array => b"\n]\n",
            Self::Lines | Self::Table { .. } => b"",
        }
    }
}

impl Sink {
    /// Of a path where something stands that is no file nothing is replaced, and a link stays: what it leads to is written.
    fn create(path: &Path) -> Result<Self, Failure> {
        let cannot = |error: io::Error| Failure::NotDone(format!("cannot write to {}: {error}", path.display()));
        let mut path = path.to_path_buf();
        // As many links as Linux follows.
        for _ in 0..40 {
            if STANDARD_OUTPUT.iter().any(|name| path == Path::new(name)) {
                return Ok(Self::Reader);
            }
            // They are links too, but the file behind them is open: with a new one in its place nobody would see what is written.
            if STARTED_WITH.iter().any(|name| path.starts_with(name)) {
                return Ok(Self::Open(File::options().append(true).open(&path).map_err(cannot)?));
            }
            let Ok(target) = fs::read_link(&path) else { break };
            path = folder(&path).join(target);
        }
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => {
                return Err(Failure::NotDone(format!("{} is a folder: name a file in it", path.display())));
            }
            Ok(found) if found.is_file() => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // A device, or something that only opening tells what is wrong with.
            _ => return Ok(Self::Open(File::options().write(true).open(&path).map_err(cannot)?)),
        }
        let folder = folder(&path);
        // Only its owner can read it, should the program be killed and leave it behind.
        let file = NamedTempFile::new_in(folder)
            .map_err(|error| Failure::NotDone(format!("cannot write to the folder {}: {error}", folder.display())))?;
        Ok(Self::File { file, path })
    }

    /// Returns whether anybody wants more.
    fn write(&mut self, text: &[u8]) -> Result<bool, Failure> {
        match self {
            Self::Reader => write_to_reader(text),
            Self::Open(file) => wants_more(file.write_all(text)),
            Self::File { file, .. } => {
                file.write_all(text)?;
                Ok(true)
            }
        }
    }

    fn finish(self) -> Result<(), Failure> {
        if let Self::File { file, path } = self {
            // Who could read the older file can read this one, unless the file system knows nothing of that.
            #[cfg(unix)]
            if let Ok(older) = fs::metadata(&path) {
                let _ = file.as_file().set_permissions(older.permissions());
            }
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
        }
        Ok(())
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn write_row(text: &mut Vec<u8>, cells: impl IntoIterator<Item = impl AsRef<[u8]>>) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(text);
    writer.write_record(cells)?;
    writer.flush()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Form;

    #[test]
    fn a_table_has_the_types_columns_and_says_what_it_leaves_out() {
        let form = Form::Table { attributes: vec!["name".to_owned(), "tags".to_owned(), "price".to_owned()] };
        let mut text = form.beginning().unwrap();
        let record = json!({"id": "1", "external_id": null, "attributes": {"tags": ["a", "b"], "name": "x, y"}});
        assert!(!form.write(&record, true, &mut text).unwrap());
        let record = json!({"id": "2", "external_id": "e", "attributes": {"price": 1.5, "more": true}});
        assert!(form.write(&record, false, &mut text).unwrap());
        let expected = "id,external_id,name,tags,price\n1,,\"x, y\",\"[\"\"a\"\",\"\"b\"\"]\",\n2,e,,,1.5\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn an_array_is_json_however_many_there_are() {
        for count in 0..3 {
            let mut text = Form::Array.beginning().unwrap();
            for index in 0..count {
                Form::Array.write(&json!({"id": index}), index == 0, &mut text).unwrap();
            }
            text.extend_from_slice(Form::Array.end(count == 0));
            let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(value.as_array().map(Vec::len), Some(count));
        }
    }
}
