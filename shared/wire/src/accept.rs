//! Content negotiation: the form of an answer, by `Accept`.

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};

use crate::answer::Links;

/// Chooses the media type among `offered` that the request's `Accept` prefers; of equals, the first. A request that
/// accepts none of them, or says nothing, gets the first, as an answer in another form is of more use than none.
#[must_use]
pub fn preferred<const N: usize>(headers: &HeaderMap, offered: [&'static str; N]) -> &'static str {
    let ranges: Vec<(&str, u16)> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(range)
        .collect();
    let mut best = (offered[0], 0);
    for form in offered {
        let quality = quality_of(&ranges, form);
        if quality > best.1 {
            best = (form, quality);
        }
    }
    best.0
}

/// A range and its quality in thousandths. What cannot be read counts as wanted.
fn range(text: &str) -> (&str, u16) {
    let mut parts = text.split(';');
    let range = parts.next().unwrap_or_default().trim();
    let quality = parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(1_000, |quality| {
        let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
        let thousandths = format!("{fraction:0<3}").get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        if whole.trim() == "0" { thousandths } else { 1_000 }
    });
    (range, quality)
}

/// That of the most specific range that takes the form.
fn quality_of(ranges: &[(&str, u16)], form: &str) -> u16 {
    let group = form.split_once('/').map_or("", |(group, _)| group);
    let specificity = |range: &str| match range.split_once('/') {
        _ if range.eq_ignore_ascii_case(form) => Some(2),
        Some((of, "*")) if of.eq_ignore_ascii_case(group) => Some(1),
        Some(("*", "*")) => Some(0),
        _ => None,
    };
    let taking = ranges.iter().filter_map(|(range, quality)| Some((specificity(range)?, *quality)));
    taking.max_by_key(|(specificity, _)| *specificity).map_or(0, |(_, quality)| quality)
}

/// The links of a page whose body has no place for them, as the header `Link` (RFC 8288); `None` where there are none.
#[must_use]
pub fn link_header(links: &Links) -> Option<HeaderValue> {
    let one = |path: &Option<String>, relation| path.as_ref().map(|path| format!("<{path}>; rel=\"{relation}\""));
    let all: Vec<String> = [one(&links.next, "next"), one(&links.previous, "prev")].into_iter().flatten().collect();
    if all.is_empty() { None } else { HeaderValue::try_from(all.join(", ")).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [&str; 3] = ["application/json", "application/x-ndjson", "text/csv"];

    fn check(accept: &[&str], expected: &str) {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(ACCEPT, value.parse().unwrap());
        }
        assert_eq!(preferred(&headers, FORMS), expected, "{accept:?}");
    }

    #[test]
    fn the_form_that_is_liked_best_is_chosen_and_json_where_none_is() {
        for json in [&[][..], &["*/*"], &["application/json"], &["image/png"], &["application/*"], &["nonsense"]] {
            check(json, "application/json");
        }
        check(&["text/csv"], "text/csv");
        check(&["Text/CSV;charset=utf-8"], "text/csv");
        check(&["text/*"], "text/csv");
        check(&["application/x-ndjson", "application/json;q=0.9"], "application/x-ndjson");
        check(&["text/html, application/json;q=0.5, text/csv;q=0.75, */*;q=0.1"], "text/csv");
        check(&["application/json;q=0, */*"], "application/x-ndjson");
        check(&["text/csv;q=0"], "application/json");
    }

    #[test]
    fn links_stand_in_a_header_where_there_are_any() {
        let links = |next: Option<&str>, previous: Option<&str>| {
            let links = Links { next: next.map(str::to_owned), previous: previous.map(str::to_owned) };
            link_header(&links).map(|header| header.to_str().unwrap().to_owned())
        };
        assert_eq!(links(None, None), None);
        assert_eq!(links(Some("/a?b=c"), None).unwrap(), r#"</a?b=c>; rel="next""#);
        assert_eq!(links(Some("/a"), Some("/b")).unwrap(), r#"</a>; rel="next", </b>; rel="prev""#);
    }
}
