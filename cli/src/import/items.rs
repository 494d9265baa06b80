//! Rows made into items of a job, by the schema of their type.

mod columns;
mod rule;

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::rows::{Raw, Row};
use crate::arguments::{Action, ImportArguments};
use crate::failure::Failure;
use rule::{Rule, quoted};

pub(crate) use columns::Target;

/// What is wrong with a row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem {
    /// Empty when it is about the row as a whole.
    pub(crate) column: String,
    pub(crate) text: String,
}

/// The rules by which the rows of a file become items.
pub(crate) struct Converter {
    object_type: String,
    action: Action,
    schema: Value,
    columns: Vec<(String, Target)>,
    maps: HashMap<String, String>,
    ignored: Vec<String>,
    id: String,
    external_id: String,
    constants: Vec<(Vec<String>, Value)>,
    required: Vec<String>,
}

impl Converter {
    /// `columns` are those of a table; rows that are JSON name theirs themselves.
    pub(crate) fn new(options: &ImportArguments, schema: &Value, columns: Option<&[String]>) -> Result<Self, Failure> {
        let mut converter = Self {
            object_type: options.object_type.clone(),
            action: options.action,
            schema: schema.clone(),
            columns: Vec::new(),
            maps: options.maps.iter().cloned().collect(),
            ignored: options.ignored.clone(),
            id: options.id.clone().unwrap_or_else(|| "id".to_owned()),
            external_id: options.external_id.clone().unwrap_or_else(|| "external_id".to_owned()),
            constants: Vec::new(),
            required: Vec::new(),
        };
        if options.action == Action::Post
            && let Some(required) = schema["required"].as_array()
        {
            converter.required = required.iter().filter_map(|name| name.as_str().map(ToOwned::to_owned)).collect();
        }
        for (name, text) in &options.sets {
            let (path, rule) =
                converter.attribute(name).ok_or_else(|| Failure::Usage(converter.no_attribute("--set", name)))?;
            let value = rule.read(text).map_err(|why| Failure::Usage(format!("--set {name}={text}: {why}")))?;
            converter.constants.push((path, value));
        }
        if let Some(columns) = columns {
            converter.match_columns(options, columns)?;
        }
        Ok(converter)
    }

    pub(crate) fn columns(&self) -> &[(String, Target)] {
        &self.columns
    }

    /// The row as an item on a line, without the line's end, or all that is wrong with it.
    pub(crate) fn item(&self, row: &Row) -> Result<String, Vec<Problem>> {
        if let Some(damage) = &row.damage {
            return Err(vec![problem("", damage)]);
        }
        let mut draft = Draft::default();
        match &row.raw {
            Raw::Cells(cells) => {
                for ((name, target), cell) in self.columns.iter().zip(cells) {
                    if !cell.is_empty() {
                        draft.put(name, target, |rule| rule.read(cell), || cell.to_owned());
                    }
                }
            }
            Raw::Json(text) => self.draft_json(text, &mut draft)?,
        }
        for (path, value) in &self.constants {
            if let Err(text) = put(&mut draft.attributes, path, value.clone()) {
                draft.problems.push(problem(&path.join("."), &text));
            }
        }
        for name in &self.required {
            if draft.attributes.get(name).is_none_or(Value::is_null)
                && !draft.problems.iter().any(|known| known.column == *name)
            {
                let column = self
                    .columns
                    .iter()
                    .find(|(_, target)| matches!(target, Target::Attribute { path, .. } if path.first() == Some(name)));
                let column = column.map_or(name, |(column, _)| column);
                if !draft.problems.iter().any(|known| known.column == *column) {
                    draft.problems.push(problem(column, &format!("{name} is required, and there is none")));
                }
            }
        }
        if self.action.needs_id() && draft.id.is_none() {
            draft.problems.push(problem(&self.id, "there is no id"));
        }
        if self.action.needs_external_id() && draft.external_id.is_none() {
            draft.problems.push(problem(&self.external_id, "there is no external id"));
        }
        if draft.problems.is_empty() { Ok(self.line(draft, row.number)) } else { Err(draft.problems) }
    }

    fn draft_json(&self, text: &str, draft: &mut Draft) -> Result<(), Vec<Problem>> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| vec![problem("", &format!("it is not JSON: {error}"))])?;
        let object = match value {
            Value::Object(object) => object,
            Value::String(id) if self.action == Action::Delete => {
                draft.id = Some(id);
                return Ok(());
            }
            _ => return Err(vec![problem("", "it is not a JSON object")]),
        };
        // An item as the API has it, unless the type itself has such an attribute.
        let is_item = object.get("attributes").is_some_and(Value::is_object) && self.attribute("attributes").is_none();
        let is_named = |name: &str| name == self.id || name == self.external_id;
        if let Some(problem) = self.other_type(&object, is_item) {
            draft.problems.push(problem);
        }
        let members: Vec<(String, Value)> = if is_item {
            let (inner, outer): (Vec<_>, Vec<_>) = object.into_iter().partition(|(name, _)| name == "attributes");
            let outer = outer.into_iter().filter(|(name, _)| is_named(name));
            let inner = inner.into_iter().filter_map(|(_, value)| match value {
                Value::Object(attributes) => Some(attributes),
                _ => None,
            });
            outer.chain(inner.flatten()).collect()
        } else {
            object.into_iter().collect()
        };
        for (name, value) in members {
            let Some(target) = self.target(&name) else {
                // An id or external id that this action has no use for, in an item of the API.
                if !(is_item && is_named(&name)) {
                    draft.problems.push(problem(&name, "the type has no such attribute"));
                }
                continue;
            };
            let text = match &value {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            if !text.is_empty() || !matches!(target, Target::Id | Target::ExternalId) {
                draft.put(&name, &target, |rule| rule.accept(&value), || text);
            }
        }
        Ok(())
    }

    /// What is wrong with an item that says to be of another type. The `type` of other rows may be one of their attributes, and `--ignore type`
    /// takes the item as one of the type that is imported.
    fn other_type(&self, object: &Map<String, Value>, is_item: bool) -> Option<Problem> {
        const NAME: &str = "type";
        let is_column = self.id == NAME || self.external_id == NAME || self.ignored.iter().any(|name| name == NAME);
        // An item of a deletion has no attributes to know it by.
        let is_attribute = || self.maps.contains_key(NAME) || self.attribute(NAME).is_some();
        if is_column || !(is_item || self.action.is_delete() && !is_attribute()) {
            return None;
        }
        let text = match object.get(NAME)? {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let is_same = text.to_lowercase() == self.object_type.to_lowercase();
        let why = || format!("the item is of the type {}, and --type is {}", quoted(&text), quoted(&self.object_type));
        (!is_same).then(|| problem(NAME, &why()))
    }

    fn line(&self, draft: Draft, number: u64) -> String {
        let mut item = Map::new();
        if self.action != Action::Update && self.action != Action::Delete {
            item.insert("type".to_owned(), Value::String(self.object_type.clone()));
        }
        if let Some(id) = draft.id {
            item.insert("id".to_owned(), Value::String(id));
        }
        if let Some(external_id) = draft.external_id {
            item.insert("external_id".to_owned(), Value::String(external_id));
        }
        if !self.action.is_delete() {
            item.insert("attributes".to_owned(), Value::Object(draft.attributes));
        }
        item.insert("client_ref".to_owned(), Value::String(number.to_string()));
        Value::Object(item).to_string()
    }
}

/// An item that is being put together.
#[derive(Default)]
struct Draft {
    id: Option<String>,
    external_id: Option<String>,
    attributes: Map<String, Value>,
    problems: Vec<Problem>,
}

impl Draft {
    fn put(
        &mut self,
        column: &str,
        target: &Target,
        value: impl FnOnce(&Rule) -> Result<Value, String>,
        text: impl FnOnce() -> String,
    ) {
        match target {
            Target::Nothing => {}
            Target::Id => self.id = Some(text().trim().to_owned()),
            Target::ExternalId => self.external_id = Some(text()),
            Target::Attribute { path, rule } => {
                let result = value(rule).and_then(|value| put(&mut self.attributes, path, value));
                if let Err(why) = result {
                    self.problems.push(problem(column, &why));
                }
            }
        }
    }
}

fn problem(column: &str, text: &str) -> Problem {
    Problem { column: column.to_owned(), text: text.to_owned() }
}

fn put(attributes: &mut Map<String, Value>, path: &[String], value: Value) -> Result<(), String> {
    let (name, parents) = path.split_last().ok_or("the attribute has no name")?;
    let mut object = attributes;
    for parent in parents {
        object = object
            .entry(parent)
            .or_insert_with(|| Value::Object(Map::new()))
            .as_object_mut()
            .ok_or_else(|| format!("{parent} is a value already, and no object"))?;
    }
    object.insert(name.clone(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use csv::StringRecord;
    use serde_json::{Value, json};

    use super::{Converter, Raw, Row};
    use crate::arguments::{Arguments, Command, ImportArguments};
    use crate::failure::Failure;

    fn options(arguments: &[&str]) -> ImportArguments {
        let all = ["sundial", "import", "f", "--type", "shop"].iter().chain(arguments);
        match Arguments::try_parse_from(all).unwrap().command {
            Command::Import(options) => options,
            other => panic!("{other:?}"),
        }
    }

    fn schema() -> Value {
        json!({"required": ["name"], "properties": {
            "name": {"type": "string"}, "Open Days": {"type": "integer"}, "price": {"type": "number"},
            "open": {"type": "boolean"}, "tags": {"type": "array"}, "either": {"type": ["integer", "string"]},
            "address": {"type": "object", "properties": {"city": {"type": "string"}}},
        }})
    }

    fn converter(arguments: &[&str], columns: &[&str]) -> Result<Converter, Failure> {
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        Converter::new(&options(arguments), &schema(), Some(&columns))
    }

    fn convert(arguments: &[&str], columns: &[&str], cells: &[&str]) -> Result<Value, Vec<(String, String)>> {
        let row = Row { number: 7, raw: Raw::Cells(StringRecord::from(cells)), damage: None };
        result(&converter(arguments, columns).unwrap(), &row)
    }

    fn convert_json(arguments: &[&str], text: &str) -> Result<Value, Vec<(String, String)>> {
        let row = Row { number: 7, raw: Raw::Json(text.to_owned()), damage: None };
        result(&Converter::new(&options(arguments), &schema(), None).unwrap(), &row)
    }

    fn result(converter: &Converter, row: &Row) -> Result<Value, Vec<(String, String)>> {
        match converter.item(row) {
            Ok(line) => Ok(serde_json::from_str(&line).unwrap()),
            Err(problems) => Err(problems.into_iter().map(|problem| (problem.column, problem.text)).collect()),
        }
    }

    fn attributes(columns: &[&str], cells: &[&str]) -> Value {
        convert(&["--set", "name=x"], columns, cells).unwrap()["attributes"].take()
    }

    #[test]
    fn cells_become_what_the_schema_says() {
        assert_eq!(attributes(&["open days"], &[" 007 "]), json!({"Open Days": 7, "name": "x"}));
        assert_eq!(attributes(&["OPEN_DAYS"], &["3.0"]), json!({"Open Days": 3.0, "name": "x"}));
        assert_eq!(
            attributes(&["price"], &["9007199254740993"]),
            json!({"price": 9_007_199_254_740_993_i64, "name": "x"})
        );
        assert_eq!(
            attributes(&["price", "open"], &["-1.5e3", "No"]),
            json!({"price": -1500.0, "open": false, "name": "x"})
        );
        assert_eq!(attributes(&["tags"], &["[1, \"a\"]"]), json!({"tags": [1, "a"], "name": "x"}));
        assert_eq!(attributes(&["address.city"], &["Leoti"]), json!({"address": {"city": "Leoti"}, "name": "x"}));
        assert_eq!(attributes(&["either"], &["12"]), json!({"either": 12, "name": "x"}));
        assert_eq!(attributes(&["either"], &["12a"]), json!({"either": "12a", "name": "x"}));
        assert_eq!(attributes(&["price", "open"], &["", ""]), json!({"name": "x"}));
    }

    #[test]
    fn a_row_is_an_item_with_its_number() {
        let item = convert(&["--external-id", "code"], &["code", "name"], &["A 1", " gum "]).unwrap();
        let expected = json!({
            "type": "shop", "external_id": "A 1", "attributes": {"name": " gum "}, "client_ref": "7",
        });
        assert_eq!(item, expected);
        let item = convert(&["--action", "update"], &["id", "price"], &["u", "2"]).unwrap();
        assert_eq!(item, json!({"id": "u", "attributes": {"price": 2}, "client_ref": "7"}));
        let item = convert(&["--action", "delete"], &["row", "id"], &["1", "u"]).unwrap();
        assert_eq!(item, json!({"id": "u", "client_ref": "7"}));
    }

    #[test]
    fn all_that_is_wrong_is_said() {
        let columns = ["name", "price", "open", "tags", "Open Days"];
        let problems = convert(&[], &columns, &["", "1,5", "maybe", "a", "1.5"]).unwrap_err();
        let columns: Vec<&str> = problems.iter().map(|(column, _)| column.as_str()).collect();
        assert_eq!(columns, ["price", "open", "tags", "Open Days", "name"]);
        assert!(problems[0].1.contains("\"1,5\" is not number"), "{problems:?}");
        assert!(convert(&[], &["name", "price"], &["a", "NaN"]).is_err());
        assert!(convert(&["--action", "external_id_set"], &["external_id"], &[""]).is_err());
    }

    #[test]
    fn columns_that_nobody_knows_stop_the_import() {
        assert!(converter(&[], &["name", "colour"]).is_err_and(|failure| failure.to_string().contains("colour")));
        assert!(converter(&["--ignore", "colour"], &["name", "colour"]).is_ok());
        assert!(converter(&["--map", "colour=name"], &["colour"]).is_ok());
        assert!(converter(&["--map", "colour=color"], &["colour"]).is_err());
        assert!(converter(&["--ignore", "color"], &["name"]).is_err());
        assert!(converter(&[], &["name", "NAME"]).is_err());
        assert!(converter(&["--action", "update"], &["name"]).is_err());
    }

    #[test]
    fn json_rows_are_flat_or_items_of_the_api() {
        let expected = json!({"type": "shop", "external_id": "3", "attributes": {"name": "x"}, "client_ref": "7"});
        assert_eq!(convert_json(&[], r#"{"external_id": 3, "name": "x"}"#).unwrap(), expected);
        let item = r#"{"type": "Shop", "id": "u", "external_id": "3", "attributes": {"name": "x"}}"#;
        assert_eq!(convert_json(&[], item).unwrap(), expected);
        assert_eq!(convert_json(&["--action", "delete"], "\"u\"").unwrap(), json!({"id": "u", "client_ref": "7"}));
        let patch = convert_json(&["--action", "update"], r#"{"id": "u", "price": null}"#).unwrap();
        assert_eq!(patch["attributes"], json!({"price": null}));
        assert_eq!(convert_json(&[], r#"{"name": 5, "colour": 1}"#).unwrap_err().len(), 2);
        assert!(convert_json(&[], "[1]").is_err());
        assert!(convert_json(&[], "{").is_err());
    }

    #[test]
    fn an_item_of_another_type_does_not_fit() {
        let wrong = |arguments: &[&str], text: &str| {
            let problems = convert_json(arguments, text).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].0 == "type" && problems[0].1.contains("\"shop\""), "{problems:?}");
            problems[0].1.clone()
        };
        let item = r#"{"type": "other", "id": "u", "external_id": "3", "attributes": {"name": "x"}}"#;
        for arguments in [&[][..], &["--action", "external_id_set"], &["--action", "update"]] {
            assert!(wrong(arguments, item).contains("\"other\""));
        }
        assert!(wrong(&[], r#"{"type": 5, "attributes": {"name": "x"}}"#).contains("\"5\""));
        for action in ["delete", "external_id_delete"] {
            assert!(wrong(&["--action", action], item).contains("\"other\""));
            let short = r#"{"type": "other", "id": "u", "external_id": "3"}"#;
            assert!(wrong(&["--action", action], short).contains("\"other\""));
            assert!(convert_json(&["--action", action], &short.replace("other", "SHOP")).is_ok());
        }
        assert!(convert_json(&[], &item.replace("\"other\"", "null")).is_ok());
        assert_eq!(convert_json(&["--ignore", "type"], item).unwrap()["type"], "shop");
        // In a row that is no item it is a column.
        let problems = convert_json(&[], r#"{"type": "other", "name": "x"}"#).unwrap_err();
        assert_eq!(problems, [("type".to_owned(), "the type has no such attribute".to_owned())]);
    }
}
