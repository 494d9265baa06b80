//! A span of time that a search is narrowed to.

use jiff::civil;
use serde_json::{Map, Value};

use super::kind_of;
use crate::problem::{Problem, quoted};
use crate::time::Timestamp;

/// A span of time: from its start, which belongs to it, to its end, which does not. Without one of them it has no bound
/// there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Window {
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
}

impl Window {
    /// Reads `{"start"?, "end"?}`. A problem calls it `name`; other members are passed over, and null is as good as
    /// absent.
    ///
    /// A date is `2020-01-31 23:59:59.999` or RFC 3339: `T` or a blank between date and time, a fraction of any length
    /// or none, `Z` or an offset or neither, which is UTC. Times are kept in milliseconds, so a finer date counts as
    /// the next one: from there on at the start, and up to there at the end. A date before 1970 counts as 1970, before
    /// which there is no record.
    ///
    /// # Errors
    /// 400 naming the member and what it is.
    pub fn parse(name: &str, value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Null => Ok(Self::default()),
            Value::Object(members) => {
                Ok(Self { start: bound(name, members, "start")?, end: bound(name, members, "end")? })
            }
            _ => Err(Problem::bad_request(format!("{name} must be an object, not {}", kind_of(value)))),
        }
    }

    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= at) && self.end.is_none_or(|end| at < end)
    }

    /// Whether the span contains no time at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match (self.start, self.end) {
            (Some(start), Some(end)) => start >= end,
            (None, Some(end)) => end == Timestamp::default(),
            (_, None) => false,
        }
    }
}

fn bound(name: &str, members: &Map<String, Value>, member: &str) -> Result<Option<Timestamp>, Problem> {
    let given = match members.get(member) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => match timestamp(text) {
            Some(timestamp) => return Ok(Some(timestamp)),
            None => quoted(text),
        },
        Some(other) => kind_of(other).to_owned(),
    };
    Err(Problem::bad_request(format!(
        "{name}.{member} must be a date like \"2020-01-31 23:59:59.999\" or \"2020-01-31T23:59:59Z\", not {given}"
    )))
}

/// Read by hand: what may stand there is then what the documentation says, and no more.
fn timestamp(text: &str) -> Option<Timestamp> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    one_of(&mut rest, b"-")?;
    let month = digits(&mut rest, 2)?;
    one_of(&mut rest, b"-")?;
    let day = digits(&mut rest, 2)?;
    one_of(&mut rest, b" Tt")?;
    let hour = digits(&mut rest, 2)?;
    one_of(&mut rest, b":")?;
    let minute = digits(&mut rest, 2)?;
    one_of(&mut rest, b":")?;
    let second = digits(&mut rest, 2)?;
    let millis = fraction(&mut rest)?;
    let offset_seconds = offset(&mut rest)?;
    let small = |number: i16| i8::try_from(number).ok();
    let at =
        civil::DateTime::new(year, small(month)?, small(day)?, small(hour)?, small(minute)?, small(second)?, 0).ok()?;
    // By the calendar: as a `jiff::Timestamp` the last days of the year 9999 could not be had.
    let seconds = at.duration_since(civil::date(1970, 1, 1).at(0, 0, 0, 0)).as_secs() - offset_seconds;
    Some(Timestamp::from_millis(u64::try_from(seconds * 1_000 + millis).unwrap_or(0)))
}

/// The number that the next `count` digits are, at most four.
fn digits(rest: &mut &[u8], count: usize) -> Option<i16> {
    let (digits, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    digits.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i16::from(byte - b'0')))
}

fn one_of(rest: &mut &[u8], allowed: &[u8]) -> Option<u8> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    allowed.contains(first).then_some(*first)
}

/// Milliseconds, rounded up.
fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let Some(behind) = rest.strip_prefix(b".") else { return Some(0) };
    let length = behind.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, behind) = behind.split_at(length);
    *rest = behind;
    let digit = |position: usize| digits.get(position).map_or(0, |byte| i64::from(byte - b'0'));
    let finer = digits.iter().skip(3).any(|byte| *byte != b'0');
    (length > 0).then(|| digit(0) * 100 + digit(1) * 10 + digit(2) + i64::from(finer))
}

/// Seconds east of UTC: all that is left of the text.
fn offset(rest: &mut &[u8]) -> Option<i64> {
    if matches!(*rest, b"" | b"Z" | b"z") {
        return Some(0);
    }
    let sign = if one_of(rest, b"+-")? == b'+' { 1 } else { -1 };
    let hours = digits(rest, 2)?;
    one_of(rest, b":")?;
    let minutes = digits(rest, 2)?;
    (rest.is_empty() && hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 60 + minutes) * 60)
}
