//! How much memory the program takes at the most, whatever it is sent.
//!
//! `cargo test --release -p local --test memory -- --ignored --nocapture` shows the figures.
#![cfg(target_os = "linux")]

mod program;

use std::io::Write;
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::program::Program;

/// What twenty requests may hold at once, each its body as it came and 32 MiB of it decompressed, and the program itself.
const MOST_MEBIBYTES: u64 = 20 * (6 + 32) + 100;

const AT_ONCE: usize = 20;
const MEBIBYTE: usize = 1024 * 1024;

/// A job of just under 6 MB whose items fail without being stored.
fn six_megabytes() -> Vec<u8> {
    let item = json!({"type": "nothing", "attributes": {"text": "x".repeat(550)}});
    let data: Vec<Value> = vec![item; 9_900];
    let body = json!({"type": "resources", "action": "post", "data": data}).to_string().into_bytes();
    assert!((5_800_000..6_000_000).contains(&body.len()), "{}", body.len());
    body
}

/// Gzip of so many MiB of zeros, at a ratio of about 1,000.
fn gzip_bomb(mebibytes: usize) -> Vec<u8> {
    let zeros = vec![0; MEBIBYTE];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let flushed = |encoder: &mut GzEncoder<Vec<u8>>| {
        encoder.write_all(&zeros).and_then(|()| encoder.flush()).expect("memory");
        encoder.get_ref().len()
    };
    flushed(&mut encoder);
    let start = flushed(&mut encoder);
    let end = flushed(&mut encoder);
    let bytes = encoder.get_ref();
    // After a flush the same zeros are the same bytes again.
    let mut bomb = bytes[..start].to_vec();
    for _ in 2..mebibytes {
        bomb.extend_from_slice(&bytes[start..end]);
    }
    bomb
}

/// Zstandard of so many MiB of zeros, at a ratio of some ten thousand.
fn zstd_bomb(mebibytes: usize) -> Vec<u8> {
    zstd::bulk::compress(&vec![0; 64 * MEBIBYTE], 19).expect("memory").repeat(mebibytes / 64)
}

/// Sends the body twenty times at once, all of which must be answered so, and shows what it took.
async fn send(program: &Program, what: &str, encoding: &str, body: Vec<u8>, status: u16) {
    let started = Instant::now();
    let size = body.len();
    let body = bytes::Bytes::from(body);
    let answers = (0..AT_ONCE).map(|_| {
        let request = program.request(Method::POST, "/jobs").header("content-type", "application/json");
        request.header("content-encoding", encoding).body(body.clone()).send()
    });
    for answer in join_all(answers).await {
        assert_eq!(answer.expect("an answer").status(), status, "{what}");
    }
    eprintln!(
        "{what}, {size} bytes, {AT_ONCE} at once: {status} after {:.2?}, peak {} MiB",
        started.elapsed(),
        program.peak()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run it with --release"]
async fn whatever_is_sent_memory_stays_bounded() {
    let program = Program::start(&["--memory"]);
    eprintln!("idle: peak {} MiB", program.peak());
    send(&program, "not JSON", "identity", vec![b'x'; 5_999_999], 400).await;
    send(&program, "too large", "identity", vec![b'x'; 10_000_000], 413).await;
    send(&program, "gzip of 33 MiB", "gzip", gzip_bomb(33), 413).await;
    send(&program, "gzip of 4,000 MiB", "gzip", gzip_bomb(4_000), 413).await;
    send(&program, "zstd of 10 GiB", "zstd", zstd_bomb(10 * 1024), 413).await;
    send(&program, "a job of 6 MB", "identity", six_megabytes(), 201).await;
    let mut active = AT_ONCE;
    while active > 0 {
        let completed = program.request(Method::GET, "/jobs?status=completed").send().await.expect("an answer");
        let completed: Value = completed.json().await.expect("JSON");
        active = AT_ONCE - completed["data"].as_array().expect("a list").len();
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let most = program.peak();
    eprintln!("all jobs completed: peak {most} MiB");
    assert!(most <= MOST_MEBIBYTES, "{most} MiB");
    let (status, _, _) = program.end_with("TERM");
    assert_eq!(status.code(), Some(0));
}
