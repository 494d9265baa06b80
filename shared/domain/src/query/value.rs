//! Values as a query compares them: numbers by what they are, not by how they are written or kept.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// A text, a number or a boolean.
///
/// The order is total and exact: booleans before numbers before texts, numbers by size, texts by code point.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Scalar {
    Boolean(bool),
    Number(Exact),
    Text(String),
}

impl Scalar {
    /// The scalar that a JSON value is; `None` for null, an array and an object.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        Borrowed::of(value).map(|scalar| match scalar {
            Borrowed::Boolean(boolean) => Self::Boolean(boolean),
            Borrowed::Number(number) => Self::Number(number),
            Borrowed::Text(text) => Self::Text(text.to_owned()),
        })
    }

    /// The scalar as JSON, a number in its shortest form: `1` for `1.0`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Boolean(boolean) => Value::Bool(*boolean),
            Self::Number(number) => number.to_value(),
            Self::Text(text) => Value::String(text.clone()),
        }
    }

    pub(super) fn borrowed(&self) -> Borrowed<'_> {
        match self {
            Self::Boolean(boolean) => Borrowed::Boolean(*boolean),
            Self::Number(number) => Borrowed::Number(*number),
            Self::Text(text) => Borrowed::Text(text),
        }
    }
}

/// A [`Scalar`] that stands in a record.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Borrowed<'json> {
    Boolean(bool),
    Number(Exact),
    /// UTF-8 is in the order of the code points.
    Text(&'json str),
}

impl<'json> Borrowed<'json> {
    pub(super) fn of(value: &'json Value) -> Option<Self> {
        match value {
            Value::Bool(boolean) => Some(Self::Boolean(*boolean)),
            Value::Number(number) => Some(Self::Number(Exact::of(number))),
            Value::String(text) => Some(Self::Text(text)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Compares two scalars; `None` when they are of different kinds.
    pub(super) fn compare_alike(self, other: Borrowed<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Boolean(one), Borrowed::Boolean(other)) => Some(one.cmp(&other)),
            (Self::Number(one), Borrowed::Number(other)) => Some(one.cmp(&other)),
            (Self::Text(one), Borrowed::Text(other)) => Some(one.cmp(other)),
            _ => None,
        }
    }
}

/// A number that compares by its exact value, however it is written: `1` is `1.0`, and 2⁵³ + 1 is above
/// `9007199254740992.0`, to which a float would round it.
#[derive(Clone, Copy, Debug)]
pub struct Exact(Kept);

#[derive(Clone, Copy, Debug)]
enum Kept {
    /// Below 2⁶⁴, and not below -2⁶³.
    Integer(i128),
    /// Any other: it has a fraction, or is out of that range.
    Float(f64),
}

impl Exact {
    fn of(number: &Number) -> Self {
        const ABOVE: f64 = 18_446_744_073_709_551_616.0;
        const LOWEST: f64 = -9_223_372_036_854_775_808.0;
        if let Some(integer) = number.as_i64() {
            return Self(Kept::Integer(integer.into()));
        }
        if let Some(integer) = number.as_u64() {
            return Self(Kept::Integer(integer.into()));
        }
        let float = number.as_f64().unwrap_or_default();
        if float.fract() == 0.0 && (LOWEST..ABOVE).contains(&float) {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it has no fraction and is within the range of the integers"
            )]
            return Self(Kept::Integer(float as i128));
        }
        Self(Kept::Float(float))
    }

    fn to_value(self) -> Value {
        match self.0 {
            Kept::Integer(integer) => Number::from_i128(integer).map_or(Value::Null, Value::Number),
            Kept::Float(float) => Value::from(float),
        }
    }
}

impl Ord for Exact {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Kept::Integer(one), Kept::Integer(other)) => one.cmp(&other),
            (Kept::Integer(one), Kept::Float(other)) => compare_to_float(one, other),
            (Kept::Float(one), Kept::Integer(other)) => compare_to_float(other, one).reverse(),
            // Neither is a zero, of which there are two, and JSON has no NaN.
            (Kept::Float(one), Kept::Float(other)) => one.total_cmp(&other),
        }
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Exact {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Exact {}

/// An integer with a float that is none of those that [`Kept`] has integers for, so they are never equal.
fn compare_to_float(integer: i128, float: f64) -> Ordering {
    // From there on no float has a fraction, so such a one is beyond all the integers.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    let integer_is_below = if float.abs() < WHOLE {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the fraction is what is to be cut, and 54 bits hold the rest"
        )]
        let towards_zero = i128::from(float as i64);
        // Of the two integers around it, the one towards zero is the lower one when it is positive.
        integer < towards_zero || (integer == towards_zero && float > 0.0)
    } else {
        float > 0.0
    };
    if integer_is_below { Ordering::Less } else { Ordering::Greater }
}

/// Whether the two are the same JSON value: objects whatever the order of their members.
pub(super) fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Null, Value::Null) => true,
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| equal(value, other)))
        }
        _ => Borrowed::of(one).is_some_and(|one| Borrowed::of(other) == Some(one)),
    }
}
