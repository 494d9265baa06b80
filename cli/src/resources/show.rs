//! How lists and single things are shown: as tables, or as the JSON of the API.

use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, write_json};

pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A time of the API to the minute, as a person reads it: `2017-11-03 16:00`.
pub(crate) fn time(value: &Value) -> String {
    let text = plain(value);
    match (text.get(..10), text.get(10..11), text.get(11..16)) {
        (Some(day), Some("T"), Some(minute)) => format!("{day} {minute}"),
        _ => text,
    }
}

pub(crate) fn show_list(
    output: &Output,
    entries: &[Value],
    headings: &[&str],
    cells: impl Fn(&Value) -> Vec<String>,
) -> Result<(), Failure> {
    if output.is_json() {
        return write_json(&Value::Array(entries.to_vec()));
    }
    output.table(headings, &entries.iter().map(cells).collect::<Vec<_>>())
}

/// Shows the members of one thing, each on a line.
pub(crate) fn show_one(output: &Output, value: &Value) -> Result<(), Failure> {
    if output.is_json() {
        return write_json(value);
    }
    let mut rows = Vec::new();
    for (name, member) in value.as_object().into_iter().flatten() {
        match member {
            Value::Object(inner) if name == "attributes" => {
                rows.extend(inner.iter().map(|(name, value)| vec![format!("attributes.{name}"), plain(value)]));
            }
            _ => rows.push(vec![name.clone(), plain(member)]),
        }
    }
    output.table(&["MEMBER", "VALUE"], &rows)
}

pub(crate) fn say_deleted(output: &Output, name: &str) -> Result<(), Failure> {
    if output.is_json() { Ok(()) } else { output.line(&crate::text::printable(&format!("Deleted {name}."))) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::time;

    #[test]
    fn a_time_is_shown_to_the_minute() {
        assert_eq!(time(&json!("2017-11-03T16:00:06.400Z")), "2017-11-03 16:00");
        assert_eq!(time(&json!("2017-11-03T16:00:06Z")), "2017-11-03 16:00");
        assert_eq!(time(&json!("yesterday")), "yesterday");
        assert_eq!(time(&json!(null)), "");
    }
}
