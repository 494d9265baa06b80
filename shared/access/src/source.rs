//! The source of a request: the address that it comes from.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use store::settings::SettingError;
use subtle::{Choice, ConstantTimeEq};

/// By which a proxy shows that it is one that is trusted.
const X_SUNDIAL_PROXY: HeaderName = HeaderName::from_static("x-sundial-proxy");
/// In which it says the address and the port of its client.
const CLOUDFRONT_VIEWER_ADDRESS: HeaderName = HeaderName::from_static("cloudfront-viewer-address");

/// What the secrets are read from.
const TRUSTED_PROXY_SECRET: &str = "TRUSTED_PROXY_SECRET";
/// One that is trusted, and while it is changed the one that follows.
const MOST_SECRETS: usize = 2;
/// 128 random bits in hexadecimal.
const LEAST_SECRET_BYTES: usize = 32;
/// As `infra/template.yaml` has it.
const MOST_SECRET_BYTES: usize = 128;

/// An address, cut to the part that one caller has alone: for IPv6 its network, within which a caller may take any
/// address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Source(Option<IpAddr>);

impl Source {
    /// The source of all requests whose address is not known.
    pub const UNKNOWN: Self = Self(None);

    /// The source of requests from this address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(Some(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let [first, second, third, fourth, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(first, second, third, fourth, 0, 0, 0, 0))
            }
        }))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(formatter),
            None => formatter.write_str("unknown"),
        }
    }
}

/// Proxies that are trusted to say where a request comes from: those that send a secret which they share with the
/// service.
///
/// Such a proxy sends the secret in `X-Sundial-Proxy`, and the address of its client in `CloudFront-Viewer-Address`, which
/// the proxy of that name writes itself. Any other has to write it in place of what its client sent. No other header is
/// read: the beginning of `X-Forwarded-For` is whatever a client sends, and how much of its end is the proxy's depends on
/// what stands behind the proxy.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxy(Arc<[SecretString]>);

impl TrustedProxy {
    /// Reads a secret of 32 to 128 letters, digits and `+/=_.~-`, or two with a comma between, so that a proxy can change
    /// from one to the other. An empty text trusts no proxy.
    ///
    /// # Errors
    /// When it is something else; the error names the variable `TRUSTED_PROXY_SECRET`, and never its value.
    pub fn parse(text: &str) -> Result<Self, SettingError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let secrets: Vec<&str> = text.split(',').map(str::trim).collect();
        if secrets.len() > MOST_SECRETS || !secrets.iter().all(|secret| is_secret(secret)) {
            return Err(SettingError::Unreadable {
                name: TRUSTED_PROXY_SECRET,
                expected: "a secret of 32 to 128 letters, digits and +/=_.~-, or two with a comma between",
            });
        }
        Ok(Self(secrets.into_iter().map(SecretString::from).collect()))
    }

    /// Reads `TRUSTED_PROXY_SECRET`, as [`parse`](Self::parse) does. When it is missing, no proxy is trusted.
    ///
    /// # Errors
    /// When it is no such secret; the error names the variable, and never its value.
    pub fn from_environment() -> Result<Self, SettingError> {
        Self::parse(&std::env::var(TRUSTED_PROXY_SECRET).unwrap_or_default())
    }

    /// The source of a request with these headers: the client that a trusted proxy names, else `direct`, which is who
    /// sent the request to the service.
    #[must_use]
    pub fn source_of(&self, headers: &HeaderMap, direct: Source) -> Source {
        if !self.has_sent(headers) {
            return direct;
        }
        let named = only(headers, CLOUDFRONT_VIEWER_ADDRESS).and_then(|value| address_in(value.to_str().ok()?));
        named.map_or(direct, Source::of)
    }

    fn has_sent(&self, headers: &HeaderMap) -> bool {
        let Some(sent) = only(headers, X_SUNDIAL_PROXY) else { return false };
        // Each is compared, so that the time does not tell which of them it is.
        let found = self
            .0
            .iter()
            .fold(Choice::from(0), |found, secret| found | secret.expose_secret().as_bytes().ct_eq(sent.as_bytes()));
        found.into()
    }
}

fn is_secret(text: &str) -> bool {
    (LEAST_SECRET_BYTES..=MOST_SECRET_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_.~-".contains(&byte))
}

/// The value of a header that is given once. Of two it is not known which one the proxy wrote.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// The address in `ADDRESS:PORT`. One of IPv6 may be in brackets.
fn address_in(text: &str) -> Option<IpAddr> {
    // There always is a port, so the last colon stands before it, also where CloudFront writes IPv6 without brackets.
    let (address, port) = text.rsplit_once(':')?;
    // A number may be read with a sign before it, which no port has.
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if !is_port {
        return None;
    }
    match address.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => address.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const NEXT_SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZg+/=_.~-MDEyMw==";

    fn source(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    /// Where a request with these headers comes from, when it was sent from `198.51.100.7`.
    fn named(proxy: &TrustedProxy, headers: &[(HeaderName, &str)]) -> Option<Source> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let direct = source("198.51.100.7");
        Some(proxy.source_of(&map, direct)).filter(|source| *source != direct)
    }

    #[test]
    fn one_caller_is_one_source() {
        let of = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:3:4:5:6"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("2001:db8:1:2::1").to_string(), "2001:db8:1:2::");
    }

    #[test]
    fn a_proxy_that_sends_the_secret_says_where_a_request_comes_from() {
        let proxy = TrustedProxy::parse(SECRET).unwrap();
        for (address, client) in [
            ("192.0.2.1:46532", "192.0.2.1"),
            ("192.0.2.1:0", "192.0.2.1"),
            ("2001:db8:1:2::8a2e:46532", "2001:db8:1:2::"),
            ("2001:db8:1:2:::80", "2001:db8:1:2::"),
            ("2001:0db8:0001:0002:0000:8a2e:0370:7334:65535", "2001:db8:1:2::"),
            ("[2001:db8:1:2::1]:443", "2001:db8:1:2::"),
            ("::ffff:192.0.2.1:443", "192.0.2.1"),
        ] {
            let headers = [(X_SUNDIAL_PROXY, SECRET), (CLOUDFRONT_VIEWER_ADDRESS, address)];
            assert_eq!(named(&proxy, &headers), Some(source(client)), "{address}");
        }
    }

    #[test]
    fn what_is_no_address_with_a_port_names_nobody() {
        let proxy = TrustedProxy::parse(SECRET).unwrap();
        let long = "1".repeat(5_000) + ":80";
        for address in [
            "",
            ":",
            ":80",
            "192.0.2.1",
            "192.0.2.1:",
            "192.0.2.1:65536",
            "192.0.2.1:+80",
            "192.0.2.1:-1",
            "192.0.2.1:80 ",
            " 192.0.2.1:80",
            "192.0.2.1:80, 192.0.2.2:80",
            "192.0.2.1, 192.0.2.2:80",
            "192.0.2.01:80",
            "192.0.2.256:80",
            "[192.0.2.1]:80",
            "2001:db8:1:2:3:4:5:6",
            "[2001:db8::1]",
            "[2001:db8::1]80",
            "[2001:db8::1:80",
            "2001:db8::1]:80",
            "[[2001:db8::1]]:80",
            "[fe80::1%eth0]:80",
            "example.com:80",
            "unknown",
            "192.0.2.1:\u{666}",
            "\u{e9}:80",
            &long,
        ] {
            let headers = [(X_SUNDIAL_PROXY, SECRET), (CLOUDFRONT_VIEWER_ADDRESS, address)];
            assert_eq!(named(&proxy, &headers), None, "{address}");
        }
        assert_eq!(named(&proxy, &[(X_SUNDIAL_PROXY, SECRET)]), None);
        let twice = [
            (X_SUNDIAL_PROXY, SECRET),
            (CLOUDFRONT_VIEWER_ADDRESS, "192.0.2.1:80"),
            (CLOUDFRONT_VIEWER_ADDRESS, "192.0.2.1:80"),
        ];
        assert_eq!(named(&proxy, &twice), None);
    }

    #[test]
    fn whoever_does_not_send_the_secret_is_not_believed() {
        let viewer = (CLOUDFRONT_VIEWER_ADDRESS, "192.0.2.1:80");
        let proxy = TrustedProxy::parse(SECRET).unwrap();
        assert_eq!(named(&proxy, std::slice::from_ref(&viewer)), None);
        let longer = format!("{SECRET}0");
        for sent in ["", "0", &SECRET[1..], &longer, &SECRET.to_uppercase(), NEXT_SECRET, &format!("{SECRET},{SECRET}")]
        {
            assert_eq!(named(&proxy, &[(X_SUNDIAL_PROXY, sent), viewer.clone()]), None, "{sent}");
        }
        let twice = [(X_SUNDIAL_PROXY, SECRET), (X_SUNDIAL_PROXY, SECRET), viewer.clone()];
        assert_eq!(named(&proxy, &twice), None);
        // Where no proxy is trusted, no text is the secret.
        for sent in ["", SECRET] {
            assert_eq!(named(&TrustedProxy::default(), &[(X_SUNDIAL_PROXY, sent), viewer.clone()]), None, "{sent}");
        }
    }

    #[test]
    fn only_the_header_that_the_proxy_writes_is_read() {
        let proxy = TrustedProxy::parse(SECRET).unwrap();
        for name in ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip"] {
            let headers = [(X_SUNDIAL_PROXY, SECRET), (HeaderName::from_static(name), "192.0.2.1:80")];
            assert_eq!(named(&proxy, &headers), None, "{name}");
        }
    }

    #[test]
    fn while_a_secret_is_changed_both_are_good() {
        let viewer = (CLOUDFRONT_VIEWER_ADDRESS, "192.0.2.1:80");
        for text in [format!("{SECRET},{NEXT_SECRET}"), format!(" {NEXT_SECRET} , {SECRET} ")] {
            let proxy = TrustedProxy::parse(&text).unwrap();
            for sent in [SECRET, NEXT_SECRET] {
                let headers = [(X_SUNDIAL_PROXY, sent), viewer.clone()];
                assert_eq!(named(&proxy, &headers), Some(source("192.0.2.1")), "{text}: {sent}");
            }
            assert_eq!(named(&proxy, &[(X_SUNDIAL_PROXY, &text), viewer.clone()]), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_shown() {
        let (short, long) = (&SECRET[1..], "x".repeat(MOST_SECRET_BYTES + 1));
        for text in [
            short,
            &long,
            " ",
            ",",
            &format!("{SECRET},"),
            &format!(",{SECRET}"),
            &format!("{SECRET},{short}"),
            &format!("{SECRET},{SECRET},{SECRET}"),
            &format!("{SECRET} {SECRET}"),
            &format!("{SECRET}\u{e9}"),
            &format!("{SECRET}\n{SECRET}"),
            &format!("{SECRET}\""),
        ] {
            let error = TrustedProxy::parse(text).err().unwrap_or_else(|| panic!("{text:?} is read"));
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(TRUSTED_PROXY_SECRET) && !shown.contains(short), "{shown}");
        }
        assert!(TrustedProxy::parse(&"x".repeat(MOST_SECRET_BYTES)).is_ok());
    }

    #[test]
    fn a_secret_is_not_shown() {
        let proxy = TrustedProxy::parse(&format!("{SECRET},{NEXT_SECRET}")).unwrap();
        let shown = format!("{proxy:?}");
        assert!(
            shown.starts_with("TrustedProxy") && !shown.contains(SECRET) && !shown.contains(NEXT_SECRET),
            "{shown}"
        );
    }
}
