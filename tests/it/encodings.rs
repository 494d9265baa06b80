//! `Content-Encoding`: five that are read, all others, and bodies that are not what they say.

use std::io::Write;

use flate2::Compression;
use reqwest::Method;
use serde_json::{Value, json};
use tests::compressed::{BODY, BROTLI, gzip, raw_deflate, zlib, zstd};
use tests::{Answer, Client, Home, answer, outcomes, text};

/// 32 MiB of spaces and one more.
const BROTLI_BOMB: &[u8] = b"\xcf\xff\xff\x7f\xf8\x25\x40\xe2\xb1\x40\x20\xf7\xfe\x9f\xff\xff\xff\xf0\x4b\x00\xc4\
    \x61\x01\x80\xee\xfd\x3f\x00\x00\x02\x20\x03";

const MOST_DECOMPRESSED: usize = 32 * 1024 * 1024;

/// [`BODY`] with spaces after it.
fn padded(bytes: usize) -> Vec<u8> {
    let mut body = BODY.as_bytes().to_vec();
    body.resize(bytes, b' ');
    body
}

async fn post(client: &Client, encoding: &str, body: Vec<u8>) -> Answer {
    let request = client.request(Method::POST, "/jobs").header("content-encoding", encoding);
    answer(request.header("content-type", "application/json").body(body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_encodings_are_read() {
    let home = Home::start().await;
    for (number, (encoding, body)) in [
        ("identity", BODY.as_bytes().to_vec()),
        ("", BODY.as_bytes().to_vec()),
        ("gzip", gzip(BODY.as_bytes())),
        ("GZip", gzip(BODY.as_bytes())),
        ("deflate", zlib(BODY.as_bytes())),
        ("deflate", raw_deflate(BODY.as_bytes())),
        ("br", BROTLI.to_vec()),
        ("zstd", zstd(BODY.as_bytes())),
        ("deflate, gzip", gzip(&zlib(BODY.as_bytes()))),
    ]
    .into_iter()
    .enumerate()
    {
        let client = home.agent(&format!("account-{number}")).await;
        client.define_product().await;
        let job = post(&client, encoding, body).await.data(201);
        let job = client.wait(text(&job["id"])).await;
        assert_eq!(outcomes(&job), ["done"], "{encoding}");
        assert_eq!(client.record("product", "1").await["attributes"], json!({"name": "Gum"}), "{encoding}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_decompress_is_a_400() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let cut = |body: Vec<u8>| body[..body.len() - 5].to_vec();
    for (encoding, body) in [
        ("gzip", BODY.as_bytes().to_vec()),
        ("gzip", Vec::new()),
        ("gzip", cut(gzip(BODY.as_bytes()))),
        ("deflate", BODY.as_bytes().to_vec()),
        ("deflate", cut(zlib(BODY.as_bytes()))),
        ("br", cut(BROTLI.to_vec())),
        ("br", gzip(BODY.as_bytes())),
        ("zstd", BODY.as_bytes().to_vec()),
        ("zstd", cut(zstd(BODY.as_bytes()))),
        ("gzip, gzip", gzip(BODY.as_bytes())),
    ] {
        let answer = post(&acme, encoding, body).await;
        assert_eq!(answer.status, 400, "{encoding}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.error(400).0, "BadRequest");
    }
    let (_, detail) = post(&acme, "gzip", gzip(b"{")).await.error(400);
    assert!(detail.contains("not JSON"), "{detail}");
    assert_eq!(acme.get("/jobs").await.data(200), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_has_at_most_32_mebibytes_once_it_is_decompressed() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let (fits, bomb) = (padded(MOST_DECOMPRESSED), padded(MOST_DECOMPRESSED + 1));
    for (encoding, body) in [
        ("gzip", gzip(&bomb)),
        ("deflate", zlib(&bomb)),
        ("br", BROTLI_BOMB.to_vec()),
        ("zstd", zstd(&bomb)),
        ("gzip, gzip", gzip(&gzip(&bomb))),
        // Nearly a gibibyte, as gzip members one after the other.
        ("gzip", gzip(&fits).repeat(4_500_000 / gzip(&fits).len())),
    ] {
        let (code, detail) = post(&acme, encoding, body).await.error(413);
        assert_eq!(code, "PayloadTooLarge");
        assert!(detail.contains("33554432"), "{encoding}: {detail}");
    }
    assert_eq!(acme.get("/jobs").await.data(200), json!([]));
    assert_eq!(post(&acme, "gzip", gzip(&fits)).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_body_is_counted_with_the_third_that_base64_adds() {
    let home = Home::start().await;
    let acme = home.acme().await;
    // Stored, not compressed: a header, a trailer and five bytes for each block around the body itself.
    let stored = |bytes: usize| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(&padded(bytes)).expect("memory");
        encoder.finish().expect("memory")
    };
    let too_large = stored(4_500_000);
    assert!(too_large.len() > 4_500_000);
    let (code, detail) = post(&acme, "gzip", too_large).await.error(413);
    assert_eq!(code, "PayloadTooLarge");
    assert!(detail.contains("4500000"), "{detail}");
    let fits = stored(4_490_000);
    assert!(fits.len() <= 4_500_000);
    assert_eq!(post(&acme, "gzip", fits).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_in_another_encoding_is_a_job_that_failed() {
    let home = Home::start().await;
    let acme = home.acme().await;
    for encoding in ["compress", "snappy", "gzip, lz4", "utf-8"] {
        let answer = post(&acme, encoding, b"whatever".to_vec()).await;
        let job = answer.data(201);
        assert_eq!(job["job_status"], "failed", "{encoding}");
        assert_eq!(job["results"], json!([]));
        assert_eq!((&job["completed_at"], &job["updated_at"]), (&job["created_at"], &job["created_at"]));
        assert_eq!(job["error"]["code"], "UnprocessableEntity");
        assert_eq!((&job["error"]["status"], &job["error"]["title"]), (&json!("422"), &json!("Unprocessable Entity")));
        let unsupported = encoding.rsplit(' ').next().expect("a word");
        let detail = text(&job["error"]["detail"]);
        assert!(detail.contains(unsupported) && detail.contains("zstd"), "{detail}");
        assert_eq!(answer.header("location"), Some(format!("/api/sunshine/jobs/{}", text(&job["id"])).as_str()));

        assert_eq!(acme.show(&job).await, job);
        let listed = acme.get("/jobs?status=failed&per_page=1").await.data(200)[0].clone();
        assert_eq!((&listed["id"], &listed["error"]), (&job["id"], &job["error"]));
        assert_eq!(listed.get("results"), None::<&Value>);
    }
    assert_eq!(acme.active_jobs().await, 0);
    assert_eq!(acme.get("/jobs").await.data(200).as_array().map(Vec::len), Some(4));
}
