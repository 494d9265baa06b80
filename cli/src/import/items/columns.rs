//! Which attribute of the type each column is.

use serde_json::Value;

use super::Converter;
use super::rule::Rule;
use crate::arguments::ImportArguments;
use crate::failure::Failure;

/// What a column is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    Nothing,
    Id,
    ExternalId,
    Attribute { path: Vec<String>, rule: Rule },
}

impl Converter {
    pub(crate) fn match_columns(&mut self, options: &ImportArguments, columns: &[String]) -> Result<(), Failure> {
        let named = options.maps.iter().map(|(column, _)| column).chain(&options.ignored);
        for name in named.chain(&options.id).chain(&options.external_id) {
            if !columns.contains(name) {
                return Err(Failure::Usage(format!(
                    "the file has no column {name}: its columns are {}",
                    columns.join(", ")
                )));
            }
        }
        let mut unknown = Vec::new();
        for (index, name) in columns.iter().enumerate() {
            if columns[..index].contains(name) {
                return Err(Failure::NotDone(format!("the file has two columns {name}: give one another name")));
            }
            let target = self.target(name).unwrap_or_else(|| {
                unknown.push(name.clone());
                Target::Nothing
            });
            if target != Target::Nothing
                && let Some((other, _)) = self.columns.iter().find(|(_, taken)| *taken == target)
            {
                return Err(Failure::Usage(format!(
                    "the columns {other} and {name} are the same attribute: --ignore one"
                )));
            }
            self.columns.push((name.clone(), target));
        }
        if !unknown.is_empty() {
            return Err(Failure::NotDone(format!(
                "nothing was sent: the type {} has no attribute for {}. Its attributes are {}. Say which one a column is with \
                 --map COLUMN=ATTRIBUTE, or leave it out with --ignore COLUMN",
                self.object_type,
                unknown.join(", "),
                self.attributes().join(", ")
            )));
        }
        let has = |wanted: &Target| self.columns.iter().any(|(_, target)| target == wanted);
        if self.action.needs_id() && !has(&Target::Id) {
            return Err(Failure::Usage(format!("{} needs the column of the id: --id COLUMN", self.action.name())));
        }
        if self.action.needs_external_id() && !has(&Target::ExternalId) {
            return Err(Failure::Usage(format!(
                "{} needs the column of the external id: --external-id COLUMN",
                self.action.name()
            )));
        }
        Ok(())
    }

    /// What a column is, or nothing when it is nothing that the type has.
    pub(crate) fn target(&self, name: &str) -> Option<Target> {
        if self.ignored.iter().any(|ignored| ignored == name) {
            return Some(Target::Nothing);
        }
        if let Some(attribute) = self.maps.get(name) {
            return self.attribute(attribute).map(|(path, rule)| Target::Attribute { path, rule });
        }
        if self.action.needs_id() && name == self.id {
            return Some(Target::Id);
        }
        if self.action.takes_external_id() && name == self.external_id {
            return Some(Target::ExternalId);
        }
        if self.action.is_delete() {
            return Some(Target::Nothing);
        }
        self.attribute(name).map(|(path, rule)| Target::Attribute { path, rule })
    }

    /// The attribute of this name, or the only one whose name differs in case, blanks and the like alone.
    pub(crate) fn attribute(&self, name: &str) -> Option<(Vec<String>, Rule)> {
        let properties = self.schema["properties"].as_object()?;
        if let Some(property) = properties.get(name) {
            return Some((vec![name.to_owned()], Rule::of(property)));
        }
        if let Some(found) = nested(&self.schema, name) {
            return Some(found);
        }
        let mut alike = properties.iter().filter(|(key, _)| folded(key) == folded(name));
        match (alike.next(), alike.next()) {
            (Some((key, property)), None) => Some((vec![key.clone()], Rule::of(property))),
            _ => None,
        }
    }

    fn attributes(&self) -> Vec<String> {
        self.schema["properties"].as_object().map(|names| names.keys().cloned().collect()).unwrap_or_default()
    }

    pub(crate) fn no_attribute(&self, option: &str, name: &str) -> String {
        format!(
            "{option}: the type {} has no attribute {name}; it has {}",
            self.object_type,
            self.attributes().join(", ")
        )
    }
}

/// The attribute that dots lead to.
fn nested(schema: &Value, name: &str) -> Option<(Vec<String>, Rule)> {
    let mut path = Vec::new();
    let mut schema = schema;
    for part in name.split('.') {
        schema = schema["properties"].as_object()?.get(part)?;
        path.push(part.to_owned());
    }
    Some((path, Rule::of(schema)))
}

fn folded(name: &str) -> String {
    name.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
