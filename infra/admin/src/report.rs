//! The report of a command that is done, as text or JSON.

use std::io::{self, Write};

use clap::ValueEnum;
use domain::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::failure::on_one_line;

/// The format of a report.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people
    Text,
    /// One JSON document
    Json,
}

/// The report of a command: one thing, or many of a kind.
#[derive(Debug)]
pub(crate) struct Report {
    body: Body,
    secret: Option<Secret>,
    notes: Vec<String>,
}

#[derive(Debug)]
enum Body {
    One(Thing),
    Many { kind: &'static str, things: Vec<Thing> },
}

/// The fields of one account, user or token, in order.
#[derive(Debug, Default)]
pub(crate) struct Thing(Vec<Field>);

#[derive(Debug)]
struct Field {
    name: &'static str,
    json: Value,
    text: String,
}

/// A secret, which is shown this once.
#[derive(Debug)]
pub(crate) struct Secret {
    text: SecretString,
    /// What a line begins with that shows it to a person.
    before: String,
    after: &'static str,
}

impl Secret {
    /// A token that is sent in an `Authorization` header of its own.
    pub(crate) fn bearer(text: SecretString) -> Self {
        Self { text, before: "send: Authorization: Bearer ".to_owned(), after: "" }
    }

    /// A secret that is sent with a user's name, as `curl` takes both in a shell.
    pub(crate) fn basic(user: &str, text: SecretString) -> Self {
        // An address may have an apostrophe in it, and nothing else that a shell finds in an apostrophe's quotes.
        let user = user.replace('\'', r"'\''");
        Self { text, before: format!("send: curl -u '{user}:"), after: "'" }
    }
}

impl Thing {
    pub(crate) fn text(self, name: &'static str, text: &str) -> Self {
        self.with(name, Value::from(text), text)
    }

    pub(crate) fn yes_no(self, name: &'static str, yes: bool) -> Self {
        self.with(name, Value::from(yes), if yes { "yes" } else { "no" })
    }

    /// Adds a number; `none` is shown to a person when there is none.
    pub(crate) fn number(self, name: &'static str, number: Option<u32>, none: &str) -> Self {
        self.with(name, Value::from(number), &number.map_or_else(|| none.to_owned(), |number| number.to_string()))
    }

    pub(crate) fn unsigned(self, name: &'static str, number: u64) -> Self {
        self.with(name, Value::from(number), &number.to_string())
    }

    pub(crate) fn signed(self, name: &'static str, number: i64) -> Self {
        self.with(name, Value::from(number), &number.to_string())
    }

    /// Adds a time; `none` is shown to a person when there is none.
    pub(crate) fn time(self, name: &'static str, time: Option<Timestamp>, none: &str) -> Self {
        let time = time.map(|time| time.in_seconds().to_string());
        self.optional(name, time.as_deref(), none)
    }

    /// Adds the day of a time (UTC); `none` is shown to a person when there is none.
    pub(crate) fn day(self, name: &'static str, time: Option<Timestamp>, none: &str) -> Self {
        let time = time.map(|time| time.in_seconds().to_string());
        let day = time.as_deref().and_then(|time| time.get(.."2017-11-03".len()));
        self.optional(name, day, none)
    }

    fn optional(self, name: &'static str, text: Option<&str>, none: &str) -> Self {
        self.with(name, Value::from(text), text.unwrap_or(none))
    }

    fn with(mut self, name: &'static str, json: Value, text: &str) -> Self {
        self.0.push(Field { name, json, text: on_one_line(text) });
        self
    }

    fn to_json(&self) -> Map<String, Value> {
        self.0.iter().map(|field| (field.name.to_owned(), field.json.clone())).collect()
    }
}

impl Report {
    pub(crate) const fn one(thing: Thing) -> Self {
        Self { body: Body::One(thing), secret: None, notes: Vec::new() }
    }

    /// A report of many things; `kind` is their name in the plural.
    pub(crate) fn many(kind: &'static str, things: Vec<Thing>) -> Self {
        let notes = if things.is_empty() { vec![format!("there are no {kind}")] } else { Vec::new() };
        Self { body: Body::Many { kind, things }, secret: None, notes }
    }

    pub(crate) fn with_secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self.with_note("the secret is shown now and never again")
    }

    pub(crate) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds the note that a lock-out takes effect only when containers forget whom they have let in.
    pub(crate) fn felt_later(self) -> Self {
        self.with_note(
            "whoever was just let in is remembered, for a minute unless AccessCacheSeconds of the stack says otherwise",
        )
    }

    /// The notes for a person, which are written beside the report.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        self.notes.iter().map(|note| format!("sundial-admin: {}", on_one_line(note)))
    }

    pub(crate) fn write(&self, format: Format, output: &mut impl Write) -> io::Result<()> {
        match format {
            Format::Text => self.write_text(output)?,
            Format::Json => self.write_json(output)?,
        }
        output.flush()
    }

    fn write_text(&self, output: &mut impl Write) -> io::Result<()> {
        match &self.body {
            Body::One(thing) => {
                for field in &thing.0 {
                    writeln!(output, "{}: {}", spoken(field.name), field.text)?;
                }
            }
            Body::Many { things, .. } => write_table(things, output)?,
        }
        if let Some(Secret { text, before, after }) = &self.secret {
            writeln!(output, "{before}{}{after}", text.expose_secret())?;
        }
        Ok(())
    }

    fn write_json(&self, output: &mut impl Write) -> io::Result<()> {
        let mut document = match &self.body {
            Body::One(thing) => thing.to_json(),
            Body::Many { kind, things } => {
                Map::from_iter([((*kind).to_owned(), things.iter().map(Thing::to_json).collect())])
            }
        };
        if let Some(secret) = &self.secret {
            document.insert("secret".to_owned(), secret.text.expose_secret().into());
        }
        writeln!(output, "{}", Value::Object(document))
    }
}

fn spoken(name: &str) -> String {
    name.replace('_', " ")
}

/// Columns as wide as their widest cell. All things have the same fields.
fn write_table(things: &[Thing], output: &mut impl Write) -> io::Result<()> {
    let Some(first) = things.first() else { return Ok(()) };
    let head = first.0.iter().map(|field| spoken(field.name).to_uppercase()).collect();
    let rows = things.iter().map(|thing| thing.0.iter().map(|field| field.text.clone()).collect());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..first.0.len()).map(width).collect();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(output, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(report: &Report, text: &str, json: &str) {
        for (format, expected) in [(Format::Text, text), (Format::Json, json)] {
            let mut output = Vec::new();
            report.write(format, &mut output).unwrap();
            assert_eq!(String::from_utf8(output).unwrap(), expected);
        }
    }

    fn thing(label: &str, limit: Option<u32>) -> Thing {
        let at = Timestamp::from_millis(1_509_724_806_123);
        Thing::default()
            .text("label", label)
            .yes_no("active", true)
            .number("requests_per_minute", limit, "default")
            .day("used_on", Some(at), "never")
            .time("expires_at", None, "never")
    }

    #[test]
    fn one_thing_is_lines_or_an_object() {
        check(
            &Report::one(thing("a", Some(5))),
            "label: a\nactive: yes\nrequests per minute: 5\nused on: 2017-11-03\nexpires at: never\n",
            "{\"label\":\"a\",\"active\":true,\"requests_per_minute\":5,\"used_on\":\"2017-11-03\",\"expires_at\":null}\n",
        );
    }

    #[test]
    fn many_are_a_table_or_a_list() {
        let of = |label: &str| Thing::default().text("label", label).yes_no("active", false);
        check(
            &Report::many("things", vec![of("längst"), of("b")]),
            "LABEL   ACTIVE\nlängst  no\nb       no\n",
            "{\"things\":[{\"label\":\"längst\",\"active\":false},{\"label\":\"b\",\"active\":false}]}\n",
        );
        let none = Report::many("things", Vec::new());
        check(&none, "", "{\"things\":[]}\n");
        assert_eq!(none.notes().collect::<Vec<_>>(), ["sundial-admin: there are no things"]);
    }

    #[test]
    fn a_secret_is_written_once_and_not_debugged() {
        let of = |secret| Report::one(Thing::default().text("id", "1")).with_secret(secret);
        let bearer = of(Secret::bearer("xyz".to_owned().into()));
        check(&bearer, "id: 1\nsend: Authorization: Bearer xyz\n", "{\"id\":\"1\",\"secret\":\"xyz\"}\n");
        let basic = of(Secret::basic("o'neil@b", "xyz".to_owned().into()));
        check(&basic, "id: 1\nsend: curl -u 'o'\\''neil@b:xyz'\n", "{\"id\":\"1\",\"secret\":\"xyz\"}\n");
        assert!(!format!("{basic:?}").contains("xyz"));
        assert!(!basic.notes().any(|note| note.contains("xyz")));
    }

    /// Rows may have been written by somebody else.
    #[test]
    fn a_terminal_is_shown_nothing_but_text() {
        check(
            &Report::one(Thing::default().text("name", "a\u{1b}[31m\nb")),
            "name: a [31m b\n",
            "{\"name\":\"a\\u001b[31m\\nb\"}\n",
        );
    }
}
