//! AWS X-Ray's trace context, as it travels in a header and with a message.

use std::fmt;

use domain::clock::Clock;
use http::HeaderName;

/// The header that a trace context travels in. A message of SQS has it as the system attribute `AWSTraceHeader`.
pub const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// A header is not longer than this. Lambda's own has about 120 bytes.
const MOST_BYTES: usize = 512;

/// The trace that a request belongs to, its place in it, and whether the trace is being recorded.
///
/// Displays as the header `Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1`, where the latter two
/// may be missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceContext {
    id: TraceId,
    parent: Option<u64>,
    sampled: Option<bool>,
}

/// The name of a trace, `1-67891233-abcdef012345678912345678`: what `trace.id` is in log lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceId {
    /// Seconds since the epoch.
    began: u32,
    unique: [u32; 3],
}

impl TraceContext {
    /// Reads a header's value. `None` when it names no trace, or is not as AWS writes it.
    ///
    /// Fields other than the three that are kept are skipped: load balancers add `Self`, and Lambda adds `Lineage`.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        if header.len() > MOST_BYTES {
            return None;
        }
        let (mut root, mut parent, mut sampled) = (None, None, None);
        for field in header.split(';') {
            let (name, value) = field.trim().split_once('=')?;
            let earlier = match name {
                "Root" => root.replace(value),
                "Parent" => parent.replace(value),
                "Sampled" => sampled.replace(value),
                _ => None,
            };
            if earlier.is_some() {
                return None;
            }
        }
        Some(Self {
            id: TraceId::parse(root?)?,
            parent: match parent {
                None => None,
                Some(parent) => Some(hex(parent, 16)?),
            },
            sampled: match sampled {
                Some("0") => Some(false),
                Some("1") => Some(true),
                // Asked of whoever answers: nothing is decided.
                None | Some("?") => None,
                Some(_) => return None,
            },
        })
    }

    /// Begins a new trace. Whether it is recorded is left to whoever comes next.
    #[must_use]
    pub fn begin(clock: &Clock) -> Self {
        // The format has room for seconds until 2106.
        let began = u32::try_from(clock.now().as_seconds()).unwrap_or(u32::MAX);
        let unique = [(); 3].map(|()| u32::from_le_bytes(clock.random()));
        Self { id: TraceId { began, unique }, parent: None, sampled: None }
    }

    /// The trace's id.
    #[must_use]
    pub const fn id(&self) -> TraceId {
        self.id
    }
}

impl TraceId {
    fn parse(text: &str) -> Option<Self> {
        let (began, unique) = text.strip_prefix("1-")?.split_once('-')?;
        if unique.len() != 24 || !unique.is_ascii() {
            return None;
        }
        let word = |text: &str| hex(text, 8).and_then(|word| u32::try_from(word).ok());
        Some(Self { began: word(began)?, unique: [word(&unique[..8])?, word(&unique[8..16])?, word(&unique[16..])?] })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Root={}", self.id)?;
        if let Some(parent) = self.parent {
            write!(formatter, ";Parent={parent:016x}")?;
        }
        if let Some(sampled) = self.sampled {
            write!(formatter, ";Sampled={}", u8::from(sampled))?;
        }
        Ok(())
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third] = self.unique;
        write!(formatter, "1-{:08x}-{first:08x}{second:08x}{third:08x}", self.began)
    }
}

/// The number that so many lower-case digits spell.
fn hex(text: &str, digits: usize) -> Option<u64> {
    let spelled = text.len() == digits && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if spelled { u64::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use domain::time::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const ROOT: &str = "Root=1-67891233-abcdef012345678912345678";

    /// Reads `header` and writes it again.
    fn check(header: &str, again: Option<&str>) {
        let parsed = TraceContext::parse(header).map(|trace| trace.to_string());
        assert_eq!(parsed.as_deref(), again, "{header}");
    }

    #[test]
    fn a_header_is_read_as_aws_writes_it() {
        let whole = format!("{ROOT};Parent=53995c3f42cd8ad8;Sampled=1");
        check(ROOT, Some(ROOT));
        check(&whole, Some(&whole));
        check(&format!("{ROOT};Sampled=0"), Some(&format!("{ROOT};Sampled=0")));
        check(&format!("Sampled=1; Parent=53995c3f42cd8ad8; {ROOT}"), Some(&whole));
        assert_eq!(TraceContext::parse(&whole).unwrap().id().to_string(), "1-67891233-abcdef012345678912345678");
    }

    #[test]
    fn what_lambda_and_load_balancers_add_is_skipped() {
        check(&format!("Self=1-67891234-12456789abcdef0123456789;{ROOT}"), Some(ROOT));
        check(
            &format!("{ROOT};Parent=60a7d0c22fb2f001;Sampled=0;Lineage=16f3a795:0"),
            Some(&format!("{ROOT};Parent=60a7d0c22fb2f001;Sampled=0")),
        );
        check(&format!("{ROOT};Sampled=?"), Some(ROOT));
    }

    #[test]
    fn what_is_not_a_trace_is_nobody_s() {
        for header in [
            "",
            "Root=",
            "Sampled=1",
            "Root=2-67891233-abcdef012345678912345678",
            "Root=1-6789123-abcdef012345678912345678",
            "Root=1-67891233-abcdef01234567891234567",
            "Root=1-67891233-ABCDEF012345678912345678",
            "Root=1-67891233-abcdef01234567891234567é",
            "Root=1-+7891233-abcdef012345678912345678",
            "1-67891233-abcdef012345678912345678",
            &format!("{ROOT};{ROOT}"),
            &format!("{ROOT};Parent=53995c3f42cd8ad"),
            &format!("{ROOT};Sampled=yes"),
            &format!("{ROOT};"),
            &format!("{ROOT};Lineage={}", "x".repeat(MOST_BYTES)),
        ] {
            check(header, None);
        }
    }

    #[test]
    fn a_trace_that_begins_here_has_the_time_in_its_name() {
        let clock = Clock::manual(Timestamp::from_seconds(0x6789_1233), 1);
        let (trace, another) = (TraceContext::begin(&clock), TraceContext::begin(&clock));
        assert!(trace.to_string().starts_with("Root=1-67891233-"), "{trace}");
        assert_ne!(trace, another);
    }

    proptest! {
        #[test]
        fn any_context_survives_its_header(
            began: u32,
            unique: [u32; 3],
            parent: Option<u64>,
            sampled: Option<bool>,
        ) {
            let trace = TraceContext { id: TraceId { began, unique }, parent, sampled };
            prop_assert_eq!(TraceContext::parse(&trace.to_string()), Some(trace));
        }

        #[test]
        fn a_header_with_anything_in_it_is_read_the_same_way_again_or_not_at_all(
            place in 0_usize..80,
            length in 0_usize..4,
            anything in "\\PC{0,4}|[0-9a-f;=?-]{0,4}",
        ) {
            let mut header = format!("{ROOT};Parent=53995c3f42cd8ad8;Sampled=1");
            let place = place.min(header.len());
            header.replace_range(place..(place + length).min(header.len()), &anything);
            if let Some(trace) = TraceContext::parse(&header) {
                prop_assert_eq!(TraceContext::parse(&trace.to_string()), Some(trace));
            }
        }
    }
}
