//! What bodies may be packed in, both ways, and what may be in them.

use std::io::Read;

use form_urlencoded::byte_serialize;
use reqwest::Method;
use serde_json::{Value, json};
use tests::compressed::{BODY, BROTLI, gzip, raw_deflate, zlib, zstd};
use tests::{answer, outcomes, text};

use crate::home::{Home, Kind, not_here};

/// What a body of JSON may be called.
const CONTENT_TYPES: [Option<&str>; 3] = [None, Some("application/merge-patch+json"), Some("application/json")];

/// The content types with which compressed bytes reach a function of this home as they were sent.
fn content_types() -> &'static [Option<&'static str>] {
    if Kind::chosen() != Kind::MiniStack {
        return &CONTENT_TYPES;
    }
    not_here(
        "compressed bodies called application/json",
        "MiniStack's HTTP API takes their bytes for UTF-8 and replaces what is none before a function sees them",
    );
    &CONTENT_TYPES[..2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_body_is_read_and_one_in_an_unknown_encoding_is_a_job_that_failed() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let post = async |encoding: &str, content_type: Option<&str>, body: Vec<u8>| {
        let request = agent.request(Method::POST, "/jobs").header("content-encoding", encoding).body(body);
        answer(content_type.into_iter().fold(request, |request, it| request.header("content-type", it))).await
    };
    let encodings = [
        ("identity", BODY.as_bytes().to_vec()),
        ("gzip", gzip(BODY.as_bytes())),
        ("deflate", zlib(BODY.as_bytes())),
        ("deflate", raw_deflate(BODY.as_bytes())),
        ("br", BROTLI.to_vec()),
        ("zstd", zstd(BODY.as_bytes())),
        ("deflate, gzip", gzip(&zlib(BODY.as_bytes()))),
    ];
    for content_type in content_types() {
        for (encoding, body) in &encodings {
            let job = post(encoding, *content_type, body.clone()).await.data(201);
            assert_eq!(outcomes(&agent.wait(text(&job["id"])).await), ["done"], "{encoding} {content_type:?}");
            assert_eq!(agent.record("product", "1").await["attributes"], json!({"name": "Gum"}), "{encoding}");
            let deletion = json!([{"type": "product", "external_id": "1"}]);
            let deleted = agent.run_job("resources", "external_id_delete", deletion).await;
            assert_eq!(outcomes(&deleted), ["done"], "{encoding} {content_type:?}");
        }
    }
    if Kind::chosen() == Kind::MiniStack {
        let damaged = post("gzip", Some("application/json"), gzip(BODY.as_bytes())).await.error(400);
        assert!(damaged.1.contains("taken for text"), "{damaged:?}");
    }
    assert_eq!(post("gzip", None, BODY.as_bytes().to_vec()).await.error(400).0, "BadRequest", "it does not decompress");

    let failed = post("compress", Some("application/json"), b"whatever".to_vec()).await.data(201);
    assert_eq!((&failed["job_status"], &failed["results"]), (&json!("failed"), &json!([])));
    assert!(failed["completed_at"].is_string(), "{failed}");
    assert!(text(&failed["error"]["detail"]).contains("compress"), "{failed}");
    assert_eq!(agent.show(&failed).await, failed);
    assert_eq!(agent.active_jobs().await, 0);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_get_answers_gzip_when_asked_to_and_a_head_nothing_but_headers() {
    let home = Home::start().await;
    let agent = home.agent().await;
    let job = agent.run_job("resources", "post", json!(vec![json!({}); 300])).await;
    let path = format!("/jobs/{}", text(&job["id"]));
    let plain = agent.get(&path).await;
    assert_eq!(plain.header("content-encoding"), None);

    let packed = answer(agent.request(Method::GET, &path).header("accept-encoding", "gzip")).await;
    assert_eq!((packed.status.as_u16(), packed.header("content-encoding")), (200, Some("gzip")));
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut body).expect("gzip");
    assert!(body == plain.body && packed.body.len() * 4 < body.len(), "{} of {}", packed.body.len(), body.len());

    for (path, status) in [(path.as_str(), 200), ("/jobs", 200), ("/objects/types", 200), ("/jobs/none", 404)] {
        let (head, get) = (answer(agent.request(Method::HEAD, path)).await, agent.get(path).await);
        assert_eq!((head.status.as_u16(), get.status.as_u16()), (status, status), "{path}");
        assert!(head.body.is_empty(), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_of_any_script_come_back_as_they_were_sent() {
    let home = Home::start().await;
    let agent = home.agent().await;
    agent.define_product().await;
    let names = [
        "ÄPFEL-Straße",
        "寿司 🍣",
        "Жвачка",
        "\" \\ / # % & = ? +",
        "a b",
        "%41",
        "comma, semicolon; colon:",
        "\u{7}\t\n\u{7f}",
        "\u{10ffff}\u{ffff}",
    ];
    // The same text, once as it is and once in escapes.
    let escaped = |name: &str| name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat();
    let items: Vec<String> = names
        .iter()
        .map(|name| {
            let (id, name) = (escaped(name), json!(name));
            format!(r#"{{"type":"product","external_id":"{id}","attributes":{{"name":{name}}}}}"#)
        })
        .collect();
    let job = agent.run_items("resources", "post", &items).await;
    assert_eq!(outcomes(&job), vec!["done"; names.len()]);
    for (position, name) in names.into_iter().enumerate() {
        let query: String = byte_serialize(name.as_bytes()).collect();
        let record = agent.record("product", &query).await;
        assert_eq!((&record["external_id"], &record["attributes"]["name"]), (&json!(name), &json!(name)));
        assert_eq!(record["id"], job["results"][position]["data"]["id"], "{name:?}");
        assert_eq!(agent.record("product", &query.replace('+', "%20")).await, record, "{name:?}");
    }
    // Compared without regard to case.
    let query: String = byte_serialize("äpfel-straße".as_bytes()).collect();
    let found: Value = agent.record("product", &query).await;
    assert_eq!(found["external_id"], names[0]);
    home.stop().await;
}
