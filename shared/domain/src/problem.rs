//! Errors in the form in which a client reads them: a code, and one sentence of detail.
//!
//! A [`Problem`] is the text for the client; what only the log may know never gets into one.

use std::borrow::Cow;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// Error codes of the API. Each has one name, one status and one title wherever it is shown.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Code {
    BadRequest = 1,
    Forbidden = 2,
    NotFound = 3,
    MethodNotAllowed = 4,
    Conflict = 5,
    PayloadTooLarge = 6,
    UnsupportedMediaType = 7,
    UnprocessableEntity = 8,
    TooManyRequests = 9,
    InternalServerError = 10,
    ServiceUnavailable = 11,
    /// A client aborted the job while it was processing.
    Aborted = 12,
    /// More items of the job failed than its client allowed.
    TooManyFailures = 13,
    /// The job was stopped before it came to this item.
    NotProcessed = 14,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 14] = [
        Self::BadRequest,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::UnprocessableEntity,
        Self::TooManyRequests,
        Self::InternalServerError,
        Self::ServiceUnavailable,
        Self::Aborted,
        Self::TooManyFailures,
        Self::NotProcessed,
    ];

    /// The number it has in packed results: stable for ever.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The code with that [`number`](Self::number).
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// The `code` member of an error.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The `status` member of an error, a string on the wire.
    #[must_use]
    pub const fn status(self) -> &'static str {
        self.row().1
    }

    /// The `title` member of an error.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    const fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::BadRequest => ("BadRequest", "400", "Bad Request"),
            Self::Forbidden => ("Forbidden", "403", "Forbidden"),
            Self::NotFound => ("NotFound", "404", "Not Found"),
            Self::MethodNotAllowed => ("MethodNotAllowed", "405", "Method Not Allowed"),
            Self::Conflict => ("Conflict", "409", "Conflict"),
            Self::PayloadTooLarge => ("PayloadTooLarge", "413", "Payload Too Large"),
            Self::UnsupportedMediaType => ("UnsupportedMediaType", "415", "Unsupported Media Type"),
            Self::UnprocessableEntity => ("UnprocessableEntity", "422", "Unprocessable Entity"),
            Self::TooManyRequests => ("TooManyRequests", "429", "Too Many Requests"),
            Self::InternalServerError => ("InternalServerError", "500", "Internal Server Error"),
            Self::ServiceUnavailable => ("ServiceUnavailable", "503", "Service Unavailable"),
            Self::Aborted => ("Aborted", "409", "Aborted"),
            Self::TooManyFailures => ("TooManyFailures", "422", "Too Many Failures"),
            Self::NotProcessed => ("NotProcessed", "409", "Not Processed"),
        }
    }
}

/// One entry of an `errors` array.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    pub code: Code,
    /// One sentence for the client: the member, the limit, the value.
    pub detail: Cow<'static, str>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into() }
    }

    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::BadRequest, detail)
    }

    pub fn unprocessable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::UnprocessableEntity, detail)
    }

    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, detail)
    }

    /// A failure of the service itself (500). It does not say which: that is for the log.
    #[must_use]
    pub const fn internal() -> Self {
        Self { code: Code::InternalServerError, detail: Cow::Borrowed("An unexpected error occurred") }
    }

    /// The problem (500) of an item that was not applied and will not be tried again.
    #[must_use]
    pub const fn not_applied() -> Self {
        const DETAIL: &str = "An unexpected error occurred: this item was not applied";
        Self { code: Code::InternalServerError, detail: Cow::Borrowed(DETAIL) }
    }

    /// The problem (409) of an item that a stopped job did not come to.
    #[must_use]
    pub const fn not_processed() -> Self {
        const DETAIL: &str = "The job was stopped before it came to this item: it was not applied";
        Self { code: Code::NotProcessed, detail: Cow::Borrowed(DETAIL) }
    }

    /// The problem (500) of an item whose record no longer tells whether it was applied: it is not applied a second
    /// time.
    #[must_use]
    pub const fn outcome_unknown() -> Self {
        const DETAIL: &str =
            "An unexpected error occurred: whether this item was applied is not known, read the record to see";
        Self { code: Code::InternalServerError, detail: Cow::Borrowed(DETAIL) }
    }
}

impl Problem {
    fn members<S: Serializer>(&self, repeats_detail: bool, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Problem", 4 + usize::from(repeats_detail))?;
        members.serialize_field("code", self.code.name())?;
        members.serialize_field("status", self.code.status())?;
        members.serialize_field("title", self.code.title())?;
        members.serialize_field("detail", &self.detail)?;
        if repeats_detail {
            members.serialize_field("message", &self.detail)?;
        }
        members.end()
    }
}

/// Serializes the problem as in the results of a job. Only [`Code::TooManyRequests`] has a `message`: a published
/// client shows it to its user when it is told to slow down.
impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.members(self.code == Code::TooManyRequests, serializer)
    }
}

/// A problem as every answer outside of a job's results has it: with `message`, which repeats `detail` and which published
/// clients show to their users.
#[derive(Clone, Copy, Debug)]
pub struct WithMessage<'problem>(pub &'problem Problem);

impl Serialize for WithMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.members(true, serializer)
    }
}

/// A client's value inside an error: quoted as JSON, and cut where it is long.
#[must_use]
pub fn quoted(value: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = value.chars().take(SHOWN).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    serde_json::Value::String(shown).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back_to_their_codes() {
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(code));
        }
        assert_eq!(Code::from_number(0), None);
    }

    #[test]
    fn a_problem_is_four_strings_and_a_429_repeats_its_detail() {
        let json = |problem: Problem| serde_json::to_string(&problem).unwrap();
        assert_eq!(
            json(Problem::unprocessable("no")),
            r#"{"code":"UnprocessableEntity","status":"422","title":"Unprocessable Entity","detail":"no"}"#
        );
        assert!(json(Problem::new(Code::TooManyRequests, "slow")).ends_with(r#""detail":"slow","message":"slow"}"#));
    }

    #[test]
    fn a_value_is_quoted_whole_up_to_eighty_characters() {
        let whole = "ä".repeat(80);
        assert_eq!(quoted(&whole), format!("\"{whole}\""));
        assert_eq!(quoted(&format!("{whole}b")), format!("\"{whole}…\""));
        assert_eq!(quoted("a\"b\n"), r#""a\"b\n""#);
        assert_eq!(quoted(""), r#""""#);
    }
}
