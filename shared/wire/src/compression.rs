//! Compression of answers with gzip.
//!
//! The compression of `tower-http` does the work, but it answers 406 after the fact to a client that refuses every
//! encoding it has: a job would be made and its 201 would turn into an error. So who asks for what is decided here, and
//! what it gets to see is `gzip` or nothing. A refusal of everything is ignored, as RFC 9110 §12.5.3 allows.

use axum::extract::Request;
use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderValue, Method};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

/// The layer that compresses the answer to each request that [`plainly`] left asking for gzip, however small.
pub(crate) fn layer() -> CompressionLayer<SizeAbove> {
    CompressionLayer::new().compress_when(SizeAbove::new(1))
}

/// Rewrites `Accept-Encoding` to `gzip` or to nothing. Only answers to GET are compressed.
pub(crate) async fn plainly(mut request: Request) -> Request {
    let asked = request.method() == Method::GET && asks_for_gzip(request.headers());
    request.headers_mut().remove(ACCEPT_ENCODING);
    if asked {
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    request
}

fn asks_for_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut anything, mut identity) = (None, None, None);
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    for coding in values.flat_map(|value| value.split(',')) {
        let (name, parameter) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = Some(weight(parameter));
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = weight,
            "*" => anything = weight,
            "identity" => identity = weight,
            _ => {}
        }
    }
    let gzip = gzip.or(anything).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

/// The weight in `q=0.5`; nothing when it cannot be read.
fn weight(parameter: &str) -> f32 {
    let parameter = parameter.trim();
    let digits = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
    let weight = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0.0);
    if (0.0..=1.0).contains(&weight) { weight } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accept_encoding: &str, asked: bool) {
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_str(accept_encoding).unwrap())]);
        assert_eq!(asks_for_gzip(&headers), asked, "{accept_encoding}");
    }

    #[test]
    fn gzip_is_asked_for_by_name_or_by_star_unless_refused_or_liked_less() {
        for asked in ["gzip", "GZip", "x-gzip", "br, gzip;q=0.5", "*", "gzip;q=1.0, identity;q=0.5", "identity;q=0, *"]
        {
            check(asked, true);
        }
        for not_asked in
            ["", "br", "gzip;q=0", "gzip;q=0.000, *", "*;q=0", "identity, gzip;q=0.5", "gzip;q=nan", "gzip;"]
        {
            check(not_asked, false);
        }
        assert!(!asks_for_gzip(&HeaderMap::new()));
    }
}
