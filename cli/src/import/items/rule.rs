//! What a schema says of an attribute, and the values that it takes.

use serde_json::{Number, Value};

/// What a schema says of one attribute, as far as it is needed to read a cell.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Rule {
    kinds: Vec<String>,
}

impl Rule {
    pub(crate) fn of(property: &Value) -> Self {
        let kinds = match &property["type"] {
            Value::String(kind) => vec![kind.clone()],
            Value::Array(kinds) => kinds.iter().filter_map(|kind| kind.as_str().map(ToOwned::to_owned)).collect(),
            _ => Vec::new(),
        };
        Self { kinds }
    }

    pub(crate) fn name(&self) -> String {
        if self.kinds.is_empty() { "anything".to_owned() } else { self.kinds.join(" or ") }
    }

    /// The value that a cell means. Where a text is allowed beside others, it is what nothing else fits.
    pub(crate) fn read(&self, cell: &str) -> Result<Value, String> {
        let allows = |kind: &str| self.kinds.iter().any(|allowed| allowed == kind);
        let trimmed = cell.trim();
        let mut value = None;
        if allows("integer") || allows("number") {
            value = number(trimmed, !allows("number"));
        }
        if value.is_none() && allows("boolean") {
            value = boolean(trimmed);
        }
        if value.is_none() && (allows("array") || allows("object")) {
            value = serde_json::from_str(trimmed).ok().filter(|parsed: &Value| {
                parsed.is_array() && allows("array") || parsed.is_object() && allows("object")
            });
        }
        match value {
            Some(value) => Ok(value),
            None if self.kinds.is_empty() || allows("string") => Ok(Value::String(cell.to_owned())),
            None => {
                let hint = if (allows("number") || allows("integer")) && trimmed.contains(',') {
                    ": write decimals with a point, and no thousands separators"
                } else if allows("array") || allows("object") {
                    ": write it as JSON"
                } else {
                    ""
                };
                Err(format!("{} is not {}{hint}", quoted(cell), self.name()))
            }
        }
    }

    /// A value that is JSON already, if it is of a kind that is allowed. A null takes an attribute away.
    pub(crate) fn accept(&self, value: &Value) -> Result<Value, String> {
        let is_integer = |number: &Number| {
            number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
        };
        let fits = self.kinds.is_empty()
            || value.is_null()
            || self.kinds.iter().any(|kind| match (kind.as_str(), value) {
                ("string", Value::String(_))
                | ("number", Value::Number(_))
                | ("boolean", Value::Bool(_))
                | ("array", Value::Array(_))
                | ("object", Value::Object(_)) => true,
                ("integer", Value::Number(number)) => is_integer(number),
                _ => false,
            });
        if fits { Ok(value.clone()) } else { Err(format!("{} is not {}", quoted(&value.to_string()), self.name())) }
    }
}

pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("\"{short}{dots}\"")
}

/// A number as JSON writes it, or with a plus or zeros in front; without loss where it is an integer of 64 bits.
fn number(text: &str, is_whole: bool) -> Option<Value> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if !unsigned.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) {
        return None;
    }
    if let Ok(integer) = unsigned.parse::<i64>() {
        return Some(Value::from(integer));
    }
    if let Ok(integer) = unsigned.parse::<u64>() {
        return Some(Value::from(integer));
    }
    let double: f64 = unsigned.parse().ok()?;
    if is_whole && (double.fract() != 0.0 || double.abs() > 9_007_199_254_740_992.0) {
        return None;
    }
    Number::from_f64(double).map(Value::Number)
}

fn boolean(text: &str) -> Option<Value> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Some(Value::Bool(true)),
        "false" | "no" | "0" => Some(Value::Bool(false)),
        _ => None,
    }
}
