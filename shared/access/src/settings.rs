//! Settings of access, read once.

use std::time::Duration;

use store::settings::SettingError;

/// Settings of [`Access`](crate::Access).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The time for which credentials that were found right are not looked up again. It is also how long it can take
    /// until a revocation, or a change of a user or an account, has its effect everywhere.
    pub remembered_for: Duration,
    /// Requests a minute of an account that has no limit of its own.
    pub requests_per_minute: u32,
    /// The domain beneath which each account has a host name, `{account}.{base domain}`, that serves it and lets no
    /// other account in. In lower case, without a dot at either end.
    pub base_domain: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { remembered_for: Duration::from_mins(1), requests_per_minute: 700, base_domain: None }
    }
}

impl Settings {
    /// Reads `ACCESS_CACHE_SECONDS` (0 to 3600; 60 when it is missing), `REQUESTS_PER_MINUTE` (1 to 1000000; 700) and
    /// `BASE_DOMAIN`. What is empty is missing.
    ///
    /// # Errors
    /// When one is something else; the error names it.
    pub fn from_environment() -> Result<Self, SettingError> {
        let read = |name| std::env::var(name).ok();
        Self::of(read("ACCESS_CACHE_SECONDS"), read("REQUESTS_PER_MINUTE"), read("BASE_DOMAIN"))
    }

    fn of(cache: Option<String>, requests: Option<String>, base: Option<String>) -> Result<Self, SettingError> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let mut settings = Self::default();
        if let Some(seconds) = given(cache) {
            let seconds = seconds.parse().ok().filter(|seconds| *seconds <= 3_600);
            settings.remembered_for = Duration::from_secs(seconds.ok_or(SettingError::Unreadable {
                name: "ACCESS_CACHE_SECONDS",
                expected: "a number of seconds from 0 to 3600",
            })?);
        }
        if let Some(requests) = given(requests) {
            let requests = requests.parse().ok().filter(|requests| (1..=1_000_000).contains(requests));
            settings.requests_per_minute = requests.ok_or(SettingError::Unreadable {
                name: "REQUESTS_PER_MINUTE",
                expected: "a number from 1 to 1000000",
            })?;
        }
        settings.base_domain = given(base).map(|base| base.trim_matches('.').to_ascii_lowercase());
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cache: &str, requests: &str, base: &str) -> Result<Settings, SettingError> {
        let given = |text: &str| Some(text.to_owned());
        Settings::of(given(cache), given(requests), given(base))
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        assert_eq!(of("", "", "").unwrap(), Settings::default());
        assert_eq!(Settings::of(None, None, None).unwrap(), Settings::default());
        let settings = of("0", "5", "Jobs.Example.com.").unwrap();
        assert_eq!((settings.remembered_for, settings.requests_per_minute), (Duration::ZERO, 5));
        assert_eq!(settings.base_domain.as_deref(), Some("jobs.example.com"));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (cache, requests, name) in [
            ("-1", "", "ACCESS_CACHE_SECONDS"),
            ("3601", "", "ACCESS_CACHE_SECONDS"),
            ("", "0", "REQUESTS_PER_MINUTE"),
            ("", "many", "REQUESTS_PER_MINUTE"),
        ] {
            assert!(of(cache, requests, "").unwrap_err().to_string().contains(name), "{name}");
        }
    }
}
