//! Points in time, and the forms in which the API shows them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Timestamp(u64);

impl Timestamp {
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> u64 {
        self.0 / 1_000
    }

    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    #[must_use]
    pub const fn minus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_sub(millis))
    }

    /// Reads RFC 3339, with or without a fraction, `T` or a blank before the time of day; `None` for any other text.
    /// A time finer than a millisecond is rounded up, and one before 1970 counts as the beginning of 1970.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let nanoseconds = text.parse::<jiff::Timestamp>().ok()?.as_nanosecond();
        let millis = u128::try_from(nanoseconds).unwrap_or(0).div_ceil(1_000_000);
        u64::try_from(millis).ok().map(Self)
    }

    /// How a job shows a time: RFC 3339 in whole seconds, `2017-11-03T16:00:06Z`.
    #[must_use]
    pub fn in_seconds(self) -> impl fmt::Display {
        Rfc3339 { at: self, fraction_digits: 0 }
    }

    /// How a record or a type shows a time: RFC 3339 with three digits, `2017-11-03T16:00:06.123Z`.
    #[must_use]
    pub fn in_millis(self) -> impl fmt::Display {
        Rfc3339 { at: self, fraction_digits: 3 }
    }
}

struct Rfc3339 {
    at: Timestamp,
    fraction_digits: usize,
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.at.0).map_err(|_| fmt::Error)?;
        let timestamp = jiff::Timestamp::from_millisecond(millis).map_err(|_| fmt::Error)?;
        if self.fraction_digits == 0 {
            // jiff rounds a printed fraction towards zero, which is what "whole seconds" means here.
            write!(formatter, "{timestamp:.0}")
        } else {
            write!(formatter, "{timestamp:.3}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_show_whole_seconds_and_records_show_milliseconds() {
        let at = Timestamp::from_millis(1_509_724_806_123);
        assert_eq!(at.in_seconds().to_string(), "2017-11-03T16:00:06Z");
        assert_eq!(at.in_millis().to_string(), "2017-11-03T16:00:06.123Z");
        assert_eq!(Timestamp::from_millis(1_509_724_806_999).in_seconds().to_string(), "2017-11-03T16:00:06Z");
        assert_eq!(Timestamp::from_seconds(1_509_724_806).in_millis().to_string(), "2017-11-03T16:00:06.000Z");
    }

    #[test]
    fn seconds_are_rounded_down() {
        let seconds = [0, 999, 1_000, 1_999].map(|millis| Timestamp::from_millis(millis).as_seconds());
        assert_eq!(seconds, [0, 0, 1, 1]);
        assert_eq!(Timestamp::from_seconds(1_509_724_806).as_seconds(), 1_509_724_806);
    }

    #[test]
    fn a_time_is_read_to_the_millisecond_and_rounded_up() {
        let millis = |text: &str| Timestamp::parse(text).map(Timestamp::as_millis);
        assert_eq!(millis("2017-11-03T16:00:06Z"), Some(1_509_724_806_000));
        assert_eq!(millis("2017-11-03 16:00:06.123+00:00"), Some(1_509_724_806_123));
        assert_eq!(millis("2017-11-03T18:00:06.1230001+02:00"), Some(1_509_724_806_124));
        assert_eq!(millis("1969-12-31T23:59:59Z"), Some(0));
        for text in ["", "yesterday", "2017-11-03", "2017-11-03T16:00:06", "1509724806"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
