//! `sundial records export`: all records of a type, page by page, so that no more than a page is in memory.

use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::arguments::ExportFormat;
use crate::client::{Client, Request, escape};
use crate::failure::{Failure, Verdict};
use crate::output::{Output, write_to_reader};
use crate::resources::Pages;
use crate::text::grouped;

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
enum Sink<'a> {
    Reader,
    /// A file that has its name once all is in it.
    File {
        file: NamedTempFile,
        path: &'a Path,
    },
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
    let mut pages = Pages::new(client, Request::get("/objects/records").query("type", object_type), None);
    let (mut count, mut cut) = (0u64, 0u64);
    let mut text = form.beginning()?;
    while let Some(records) = pages.next().await? {
        for record in &records {
            cut += u64::from(form.write(record, count == 0, &mut text)?);
            count += 1;
        }
        if !sink.write(&text)? {
            return Ok(Verdict::Succeeded);
        }
        text.clear();
    }
    text.extend_from_slice(form.end(count == 0));
    sink.write(&text)?;
    sink.finish()?;
    eprintln!("{} record{} exported.", grouped(count), if count == 1 { "" } else { "s" });
    if cut == 0 {
        return Ok(Verdict::Succeeded);
    }
    eprintln!(
        "{} of them have attributes that the type {} does not name, and a table has no column for: export them as NDJSON.",
        grouped(cut),
        crate::text::printable(object_type)
    );
    Ok(Verdict::Incomplete)
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

impl<'a> Sink<'a> {
    fn create(path: &'a Path) -> Result<Self, Failure> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As any file that a program writes: who may read it is the umask's to say.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder
            .tempfile_in(folder)
            .map_err(|error| Failure::NotDone(format!("cannot write to the folder {}: {error}", folder.display())))?;
        Ok(Self::File { file, path })
    }

    /// Returns whether anybody wants more.
    fn write(&mut self, text: &[u8]) -> Result<bool, Failure> {
        match self {
            Self::Reader => write_to_reader(text),
            Self::File { file, .. } => {
                file.write_all(text)?;
                Ok(true)
            }
        }
    }

    fn finish(self) -> Result<(), Failure> {
        if let Self::File { file, path } = self {
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
        }
        Ok(())
    }
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
