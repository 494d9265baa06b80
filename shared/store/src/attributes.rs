//! Reading and writing the attributes of a row.

use std::borrow::Cow;
use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::time::Timestamp;

use crate::StoreError;

/// A row as the SDK has it.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// The value of an attribute that is to be written, borrowed from its source where possible.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'row> {
    Text(Cow<'row, str>),
    Number(u64),
    Binary(Vec<u8>),
    Null,
    True,
}

/// The key of a row, in a table that has both a partition key and a sort key.
pub(crate) fn row_key(partition: impl Into<String>, sort: impl Into<String>) -> Attributes {
    Attributes::from([("pk".to_owned(), text(partition)), ("sk".to_owned(), text(sort))])
}

impl<'row> Value<'row> {
    pub(crate) fn text(text: impl Into<Cow<'row, str>>) -> Self {
        Self::Text(text.into())
    }
}

impl From<Value<'_>> for AttributeValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Text(value) => text(value),
            Value::Number(value) => number(value),
            Value::Binary(value) => binary(value),
            Value::Null => Self::Null(true),
            Value::True => Self::Bool(true),
        }
    }
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl Into<u64>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

pub(crate) fn binary(value: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// TTL wants whole seconds.
pub(crate) fn seconds(at: Timestamp) -> AttributeValue {
    number(at.as_seconds())
}

pub(crate) fn millis(at: Timestamp) -> AttributeValue {
    number(at.as_millis())
}

/// Typed reading of a row's attributes.
pub(crate) struct Reader<'row>(pub(crate) &'row Attributes);

impl<'row> Reader<'row> {
    pub(crate) fn text(&self, name: &'static str) -> Result<&'row str, StoreError> {
        self.optional_text(name)?.ok_or_else(|| broken(name))
    }

    /// The text of an attribute; `None` where it is absent or null.
    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<&'row str>, StoreError> {
        match self.0.get(name) {
            None | Some(AttributeValue::Null(_)) => Ok(None),
            Some(AttributeValue::S(text)) => Ok(Some(text)),
            Some(_) => Err(broken(name)),
        }
    }

    pub(crate) fn number(&self, name: &'static str) -> Result<u64, StoreError> {
        self.optional_number(name)?.ok_or_else(|| broken(name))
    }

    pub(crate) fn optional_number(&self, name: &'static str) -> Result<Option<u64>, StoreError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(AttributeValue::N(number)) => number.parse().map(Some).map_err(|_| broken(name)),
            Some(_) => Err(broken(name)),
        }
    }

    /// A number that may be negative.
    pub(crate) fn optional_signed(&self, name: &'static str) -> Result<Option<i64>, StoreError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(AttributeValue::N(number)) => number.parse().map(Some).map_err(|_| broken(name)),
            Some(_) => Err(broken(name)),
        }
    }

    /// A number that the service itself keeps below 2³².
    pub(crate) fn count(&self, name: &'static str) -> Result<u32, StoreError> {
        u32::try_from(self.number(name)?).map_err(|_| broken(name))
    }

    pub(crate) fn boolean(&self, name: &'static str) -> Result<bool, StoreError> {
        match self.0.get(name) {
            Some(AttributeValue::Bool(value)) => Ok(*value),
            _ => Err(broken(name)),
        }
    }

    pub(crate) fn millis(&self, name: &'static str) -> Result<Timestamp, StoreError> {
        self.number(name).map(Timestamp::from_millis)
    }

    pub(crate) fn seconds(&self, name: &'static str) -> Result<Timestamp, StoreError> {
        self.number(name).map(Timestamp::from_seconds)
    }

    pub(crate) fn optional_binary(&self, name: &'static str) -> Result<Option<&'row [u8]>, StoreError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(AttributeValue::B(bytes)) => Ok(Some(bytes.as_ref())),
            Some(_) => Err(broken(name)),
        }
    }
}

/// The error for a row that is not as this code writes it. Names the attribute, never its value.
pub(crate) fn broken(name: &str) -> StoreError {
    StoreError::UnreadableRow(format!("its attribute {name} is missing or of the wrong kind"))
}
