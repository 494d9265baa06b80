//! The console: pages for people, at `/console`, beside the API and on its origin.
//!
//! They are files of this program, read by anybody, and there is no data in them: what they show they ask the API for, as whoever has signed in.
//! A browser may keep them, and asks each time whether they are still these.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, REFERRER_POLICY,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

/// Nothing but these files runs or is shown, nothing of them is shown elsewhere, and they ask nobody but the API.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the console.
struct File {
    /// Beneath `/console/`.
    path: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

macro_rules! file {
    ($path:literal, $content_type:expr) => {
        File { path: $path, content_type: $content_type, content: include_bytes!(concat!("../console/", $path)) }
    };
}

const FILES: [File; 17] = [
    file!("index.html", HTML),
    file!("console.css", CSS),
    file!("icon.svg", SVG),
    file!("js/api.js", SCRIPT),
    file!("js/dom.js", SCRIPT),
    file!("js/download.js", SCRIPT),
    file!("js/failures.js", SCRIPT),
    file!("js/format.js", SCRIPT),
    file!("js/grid.js", SCRIPT),
    file!("js/job.js", SCRIPT),
    file!("js/jobs.js", SCRIPT),
    file!("js/main.js", SCRIPT),
    file!("js/pages.js", SCRIPT),
    file!("js/parts.js", SCRIPT),
    file!("js/poll.js", SCRIPT),
    file!("js/results.js", SCRIPT),
    file!("js/signin.js", SCRIPT),
];

/// A mark of each file's content, in their order.
static MARKS: LazyLock<Vec<String>> = LazyLock::new(|| {
    FILES.iter().map(|file| format!("\"{}\"", &hex::encode(Sha256::digest(file.content))[..32])).collect()
});

/// Puts the console in front of the API: what is no page of it is the API's.
pub fn in_front_of(api: Router) -> Router {
    let pages = Router::new()
        .route("/console", get(async |headers: HeaderMap| answer("index.html", &headers)))
        .route("/console/", get(async || (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "/console")])))
        .route("/console/{*path}", get(async |Path(path): Path<String>, headers: HeaderMap| answer(&path, &headers)))
        .method_not_allowed_fallback(async || in_words(StatusCode::METHOD_NOT_ALLOWED, "This is only to be read\n"));
    wire::for_anybody(pages).fallback_service(api)
}

fn in_words(status: StatusCode, words: &'static str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], words).into_response()
}

fn answer(path: &str, headers: &HeaderMap) -> Response {
    let Some((file, mark)) = FILES.iter().zip(MARKS.iter()).find(|(file, _)| file.path == path) else {
        return in_words(StatusCode::NOT_FOUND, "There is nothing here\n");
    };
    let shared = [
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (ETAG, mark.as_str()),
    ];
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    // A proxy that compresses what passes makes a mark weak.
    let is_known = known.flat_map(|value| value.split(',')).any(|known| known.trim().trim_start_matches("W/") == mark);
    if is_known {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    (shared, [(CONTENT_TYPE, file.content_type)], file.content).into_response()
}
