//! Parsing of command-line values, beyond words and numbers.

use std::time::Duration;

use domain::account::{AccountId, Role, TokenKind};
use domain::time::Timestamp;
use http::Uri;
use jiff::{Span, SpanRelativeTo};

/// Letters of a name or a label.
const MOST_LETTERS: usize = 200;

/// The longest time, a century: beyond year 9999 nothing could show it.
const LONGEST: Duration = Duration::from_hours(24 * 36_500);

/// As many as anybody could ever make: a thousand a second for a decade are a third of it.
const MOST_RECORDS: u64 = 1_000_000_000_000;

/// The end of a token's life, counted from when it is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expiry {
    Never,
    In(Duration),
}

impl Expiry {
    pub(crate) fn from(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::In(duration) => Some(after(now, duration)),
        }
    }
}

pub(crate) fn after(now: Timestamp, duration: Duration) -> Timestamp {
    now.plus_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error(
        "an account id is 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end, so that it can be \
         the first label of a host name"
    )]
    AccountId,
    #[error("it has at most {MOST_LETTERS} letters and no control characters")]
    Label,
    #[error("a time is like 90d, 12h, 30m or 45s, and at most 36500d")]
    Duration,
    #[error("nothing can expire at once")]
    ExpiresAtOnce,
    #[error("a role is admin, agent or end_user")]
    Role,
    #[error("a kind is api or bearer")]
    TokenKind,
    #[error("it begins with http:// or https://, and a host follows")]
    Endpoint,
    #[error("it is on or off")]
    OnOff,
    #[error("it is a number from 1 to 1000000")]
    Requests,
    #[error("it is a number from 0 to {MOST_RECORDS}, or default")]
    Records,
}

/// Parses the id of an account that is to be made: also what a host name can begin with.
pub(crate) fn new_account_id(text: &str) -> Result<AccountId, Unfit> {
    let id = AccountId::parse(text).map_err(|_| Unfit::AccountId)?;
    if text.starts_with('-') || text.ends_with('-') {
        return Err(Unfit::AccountId);
    }
    Ok(id)
}

/// Parses a name or a label, which lists show.
pub(crate) fn label(text: &str) -> Result<String, Unfit> {
    if text.chars().count() > MOST_LETTERS || text.contains(char::is_control) {
        return Err(Unfit::Label);
    }
    Ok(text.to_owned())
}

pub(crate) fn role(text: &str) -> Result<Role, Unfit> {
    Role::parse(text).ok_or(Unfit::Role)
}

pub(crate) fn token_kind(text: &str) -> Result<TokenKind, Unfit> {
    TokenKind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(Unfit::TokenKind)
}

/// Parses the URL of a service. The SDK would find out about a wrong one too, and show the whole request.
pub(crate) fn endpoint(text: &str) -> Result<String, Unfit> {
    let is_http = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    text.parse().ok().filter(is_http).map(|_| text.to_owned()).ok_or(Unfit::Endpoint)
}

pub(crate) fn on_off(text: &str) -> Result<bool, Unfit> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Unfit::OnOff),
    }
}

/// Parses a number of requests a minute.
pub(crate) fn requests(text: &str) -> Result<u32, Unfit> {
    text.parse().ok().filter(|requests| (1..=1_000_000).contains(requests)).ok_or(Unfit::Requests)
}

/// Parses a number of requests a minute, or `default` for the deployment's own limit.
pub(crate) fn requests_or_default(text: &str) -> Result<RequestsPerMinute, Unfit> {
    Ok(RequestsPerMinute(if text == "default" { None } else { Some(requests(text)?) }))
}

/// An account's own limit, if it has one. Not a bare `Option`, which would say that the argument is optional.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RequestsPerMinute(pub(crate) Option<u32>);

/// Parses a number of records that an account may have, or `default`.
pub(crate) fn records_or_default(text: &str) -> Result<MostRecords, Unfit> {
    if text == "default" {
        return Ok(MostRecords(None));
    }
    text.parse()
        .ok()
        .filter(|records| *records <= MOST_RECORDS)
        .map(|records| MostRecords(Some(records)))
        .ok_or(Unfit::Records)
}

/// An account's own limit of records, if it has one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct MostRecords(pub(crate) Option<u64>);

pub(crate) fn duration(text: &str) -> Result<Duration, Unfit> {
    // Of months and years nobody knows how long they are.
    let span = text.parse::<Span>().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let duration = span.ok().and_then(|duration| Duration::try_from(duration).ok());
    duration.filter(|duration| *duration <= LONGEST).ok_or(Unfit::Duration)
}

pub(crate) fn expiry(text: &str) -> Result<Expiry, Unfit> {
    match text {
        "never" => Ok(Expiry::Never),
        text => match duration(text)? {
            Duration::ZERO => Err(Unfit::ExpiresAtOnce),
            duration => Ok(Expiry::In(duration)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_account_can_be_the_first_label_of_a_host_name() {
        for good in ["a", "acme-2", "2"] {
            assert_eq!(new_account_id(good).unwrap().as_str(), good);
        }
        for bad in ["", "-acme", "acme-", "-", "Acme", "a.b", "a_b"] {
            let error = new_account_id(bad).unwrap_err();
            assert!(error.to_string().contains("host name"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_time_is_a_number_with_a_unit() {
        let days = |days: u64| Duration::from_hours(24 * days);
        for (text, expected) in [
            ("90d", Some(days(90))),
            ("2w", Some(days(14))),
            ("12h", Some(Duration::from_hours(12))),
            ("30m", Some(Duration::from_mins(30))),
            ("45s", Some(Duration::from_secs(45))),
            ("1d12h", Some(Duration::from_hours(36))),
            ("0s", Some(Duration::ZERO)),
            ("36500d", Some(days(36_500))),
            ("36501d", None),
            ("-1d", None),
            ("1d ago", None),
            ("1mo", None),
            ("1y", None),
            ("90", None),
            ("never", None),
            ("", None),
        ] {
            assert_eq!(duration(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn what_expires_does_so_later() {
        let now = Timestamp::from_seconds(1_000);
        assert_eq!(expiry("1m").unwrap().from(now), Some(Timestamp::from_seconds(1_060)));
        assert_eq!(expiry("never").unwrap().from(now), None);
        assert_eq!(expiry("0s"), Err(Unfit::ExpiresAtOnce));
        assert_eq!(expiry("soon"), Err(Unfit::Duration));
    }

    #[test]
    fn a_label_fits_a_line_of_a_list() {
        assert_eq!(label("Deploys, since 2026").unwrap(), "Deploys, since 2026");
        for bad in ["two\nlines", "\u{1b}[31m", &"x".repeat(201)] {
            assert_eq!(label(bad), Err(Unfit::Label), "{bad}");
        }
    }

    #[test]
    fn an_endpoint_has_a_scheme_and_a_host() {
        for good in ["http://127.0.0.1:8000", "https://vpce-1.dynamodb.eu-west-1.vpce.amazonaws.com/", "http://[::1]:1"]
        {
            assert_eq!(endpoint(good).as_deref(), Ok(good));
        }
        for bad in ["", "localhost", "localhost:8000", "ftp://a", "http://", "http://a b", "/x"] {
            assert_eq!(endpoint(bad), Err(Unfit::Endpoint), "{bad}");
        }
    }

    #[test]
    fn a_limit_is_a_number_or_the_deployments() {
        assert_eq!(requests_or_default("700"), Ok(RequestsPerMinute(Some(700))));
        assert_eq!(requests_or_default("default"), Ok(RequestsPerMinute(None)));
        for bad in ["0", "1000001", "-1", "many", ""] {
            assert_eq!(requests_or_default(bad), Err(Unfit::Requests), "{bad}");
        }
    }
}
