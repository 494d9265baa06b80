//! Static pages that need no authentication: the console, at `/console`, beside the API and on its origin; and the
//! API's specification, beneath it.
//!
//! They are files of this program with no data in them: the console asks the API for what it shows, with the
//! credentials of who has signed in. `build.rs` compresses them; a browser may keep them, and asks each time whether
//! they have changed.

use std::future::ready;
use std::io::Read;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    LOCATION, REFERRER_POLICY,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::read::GzDecoder;
use tower::ServiceExt;

/// Nothing but these files runs or is shown, nothing of them is shown elsewhere, and they ask nobody but the API.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Clone, Copy)]
enum Kind {
    Html,
    Css,
    Script,
    Svg,
    Json,
}

impl Kind {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Css => "text/css; charset=utf-8",
            Self::Script => "text/javascript; charset=utf-8",
            Self::Svg => "image/svg+xml",
            Self::Json => "application/json; charset=utf-8",
        }
    }
}

struct File {
    path: &'static str,
    kind: Kind,
    /// As gzip.
    compressed: &'static [u8],
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The page that `/console` itself is.
const CONSOLE: &str = "/console/index.html";

impl File {
    /// A mark of the content: gzip ends with a checksum of it and its length.
    fn mark(&self) -> String {
        let trailer = self.compressed.last_chunk::<8>().map_or(0, |trailer| u64::from_le_bytes(*trailer));
        format!("\"{trailer:016x}\"")
    }

    /// The file decompressed; an error where the program itself is damaged.
    fn content(&self) -> std::io::Result<Vec<u8>> {
        let mut content = Vec::new();
        GzDecoder::new(self.compressed).read_to_end(&mut content)?;
        Ok(content)
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let mark = self.mark();
        let shared = [
            (CACHE_CONTROL, "no-cache"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (REFERRER_POLICY, "no-referrer"),
            (ETAG, mark.as_str()),
        ];
        let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        // A proxy that compresses what passes makes a mark weak.
        let is_known =
            known.flat_map(|value| value.split(',')).any(|known| known.trim().trim_start_matches("W/") == mark);
        if is_known {
            return (StatusCode::NOT_MODIFIED, shared).into_response();
        }
        let content_type = [(CONTENT_TYPE, self.kind.content_type())];
        // Which is there only where gzip is wanted: see `wire::for_anybody`.
        if headers.contains_key(ACCEPT_ENCODING) {
            return (shared, content_type, [(CONTENT_ENCODING, "gzip")], self.compressed).into_response();
        }
        match self.content() {
            Ok(content) => (shared, content_type, content).into_response(),
            Err(_) => in_words(StatusCode::INTERNAL_SERVER_ERROR, "This cannot be read\n"),
        }
    }
}

/// Puts the pages in front of the API: paths that are no page's go on to the API.
pub fn in_front_of(api: Router) -> Router {
    api.layer(from_fn(async |request: Request, next: Next| {
        if !is_page(request.uri().path()) {
            return next.run(request).await;
        }
        match PAGES.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }))
}

fn is_page(path: &str) -> bool {
    path == "/console"
        || path.starts_with("/console/")
        || path == DOCS_WITH_SLASH
        || FILES.iter().any(|file| file.path == path)
}

const DOCS_WITH_SLASH: &str = "/api/sunshine/docs/";

/// Made for the first page that is asked for, which most containers of the function never are.
static PAGES: LazyLock<Router> = LazyLock::new(|| {
    let nothing_here = || in_words(StatusCode::NOT_FOUND, "There is nothing here\n");
    let moved = |path: &'static str| get(move || ready((StatusCode::PERMANENT_REDIRECT, [(LOCATION, path)])));
    let mut pages = Router::new()
        .route("/console/", moved("/console"))
        .route("/console/{*path}", get(move || ready(nothing_here())))
        .route(DOCS_WITH_SLASH, moved("/api/sunshine/docs"));
    for file in FILES {
        let answer = get(move |headers: HeaderMap| ready(file.answer(&headers)));
        if file.path == CONSOLE {
            pages = pages.route("/console", answer.clone());
        }
        pages = pages.route(file.path, answer);
    }
    let only_read = async || in_words(StatusCode::METHOD_NOT_ALLOWED, "This is only to be read\n");
    wire::for_anybody(pages.method_not_allowed_fallback(only_read))
});

fn in_words(status: StatusCode, words: &'static str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], words).into_response()
}
