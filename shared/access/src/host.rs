//! The account that a host name stands for.

use domain::account::AccountId;

/// The account that a request's host name stands for, if it stands for one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Host {
    /// The name stands for no account: credentials of every account are let in.
    Any,
    /// `{account}.{base domain}`: credentials of this account alone are let in.
    Of(AccountId),
    /// The name is beneath the base domain but is no account's: nobody is let in.
    Nobody,
}

impl Host {
    /// Reads a `Host` header, with or without a port. Without a base domain no name stands for an account.
    pub(crate) fn of(host: Option<&str>, base_domain: Option<&str>) -> Self {
        let (Some(host), Some(base)) = (host, base_domain) else { return Self::Any };
        let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        match name.strip_suffix(base).and_then(|rest| rest.strip_suffix('.')) {
            Some(label) => AccountId::parse(label).map_or(Self::Nobody, Self::Of),
            None => Self::Any,
        }
    }

    pub(crate) fn admits(&self, account: &AccountId) -> bool {
        match self {
            Self::Any => true,
            Self::Of(own) => own == account,
            Self::Nobody => false,
        }
    }

    /// A text that tells hosts apart as far as admission depends on them.
    pub(crate) fn scope(&self) -> &str {
        match self {
            Self::Any => "",
            Self::Of(account) => account.as_str(),
            // No account id.
            Self::Nobody => "#",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, expected: &Host) {
        assert_eq!(&Host::of(Some(host), Some("jobs.example.com")), expected, "{host}");
    }

    #[test]
    fn a_name_beneath_the_base_domain_stands_for_an_account() {
        let acme = Host::Of(AccountId::parse("acme").unwrap());
        for host in
            ["acme.jobs.example.com", "ACME.Jobs.Example.com", "acme.jobs.example.com:8443", "acme.jobs.example.com."]
        {
            check(host, &acme);
        }
        for host in ["a.acme.jobs.example.com", "a_b.jobs.example.com", ".jobs.example.com"] {
            check(host, &Host::Nobody);
        }
        for host in
            ["", "jobs.example.com", "acmejobs.example.com", "acme.jobs.example.org", "127.0.0.1:80", "[::1]:80"]
        {
            check(host, &Host::Any);
        }
        assert_eq!(Host::of(Some("acme.jobs.example.com"), None), Host::Any);
        assert_eq!(Host::of(None, Some("jobs.example.com")), Host::Any);
    }
}
