//! What anybody may read: the console's files and the specification, as a browser gets them.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use reqwest::Method;
use tests::{Home, answer};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions/status/console")
}

/// Every file of the console, by its path beneath the folder.
fn files(folder: &Path, beneath: &str, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = format!("{beneath}{}", entry.file_name().to_str().expect("UTF-8"));
        if entry.path().is_dir() {
            files(&entry.path(), &format!("{name}/"), found);
        } else {
            found.insert(name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_of_it_is_there_for_anybody_and_nothing_else() {
    /// What it may add to the function, compressed.
    const MOST_BYTES: usize = 150 * 1024;
    let home = Home::start().await;
    let mut names = BTreeSet::new();
    files(&folder(), "", &mut names);
    assert!(names.contains("index.html"));
    let mut compressed = 0;
    for name in &names {
        let path = format!("/console/{name}");
        let plain = answer(home.request(Method::GET, &path)).await;
        assert_eq!(plain.status, 200, "{path}");
        assert_eq!(plain.body, std::fs::read(folder().join(name)).expect("the file"), "{path}");
        let content_type = match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            other => panic!("{other:?}"),
        };
        assert_eq!(plain.header("content-type"), Some(content_type), "{path}");
        let policy = plain.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        for (header, value) in
            [("x-content-type-options", "nosniff"), ("cache-control", "no-cache"), ("referrer-policy", "no-referrer")]
        {
            assert_eq!(plain.header(header), Some(value), "{path}");
        }
        let mark = plain.header("etag").expect("a mark").to_owned();
        for known in [mark.clone(), format!("W/{mark}"), format!("\"other\", {mark}")] {
            let again = answer(home.request(Method::GET, &path).header("if-none-match", &known)).await;
            assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{path} {known}");
        }
        let zipped = answer(home.request(Method::GET, &path).header("accept-encoding", "gzip")).await;
        assert_eq!(zipped.header("content-encoding"), Some("gzip"), "{path}");
        compressed += zipped.body.len();
    }
    assert!(compressed <= MOST_BYTES, "{compressed} bytes");
    let page = answer(home.request(Method::GET, "/console")).await;
    assert_eq!(page.body, std::fs::read(folder().join("index.html")).expect("the file"));
    // What is no file is told so, and everything else is the API's, which asks who is calling.
    for (path, status) in
        [("/console/none.js", 404), ("/console/js", 404), ("/consoles", 401), ("/", 401), ("/api/sunshine/jobs", 401)]
    {
        assert_eq!(answer(home.request(Method::GET, path)).await.status, status, "{path}");
    }
    assert_eq!(answer(home.request(Method::POST, "/console")).await.status, 405);
    home.run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_specification_is_there_for_anybody() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let home = Home::start().await;
    for (path, name, content_type) in [
        ("/api/sunshine/openapi.json", "openapi.json", "application/json; charset=utf-8"),
        ("/api/sunshine/docs", "reference.html", "text/html; charset=utf-8"),
        // What the page asks for by its name.
        ("/api/sunshine/reference.css", "reference.css", "text/css; charset=utf-8"),
    ] {
        let plain = answer(home.request(Method::GET, path)).await;
        assert_eq!((plain.status.as_u16(), plain.header("content-type")), (200, Some(content_type)), "{path}");
        assert_eq!(plain.body, std::fs::read(docs.join(name)).expect("the file"), "{path}");
        let zipped = answer(home.request(Method::GET, path).header("accept-encoding", "gzip")).await;
        assert_eq!(zipped.header("content-encoding"), Some("gzip"), "{path}");
        let mut unzipped = Vec::new();
        GzDecoder::new(&*zipped.body).read_to_end(&mut unzipped).expect("gzip");
        assert_eq!(unzipped, plain.body, "{path}");
        assert_eq!(answer(home.request(Method::HEAD, path)).await.status, 200, "{path}");
        assert_eq!(answer(home.request(Method::POST, path)).await.status, 405, "{path}");
    }
    home.run.stop().await;
}
