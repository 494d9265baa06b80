//! Bodies in the encodings that the service reads.

use std::io::Write;

use flate2::Compression;

/// A job of one product with the external id `1`.
pub const BODY: &str =
    r#"{"type":"resources","action":"post","data":[{"type":"product","external_id":"1","attributes":{"name":"Gum"}}]}"#;

/// [`BODY`], compressed by the reference tool.
pub const BROTLI: &[u8] =
    b"\x1b\x6d\x00\x00\x2c\x0e\x78\x93\xc6\x95\xa8\x38\x36\xc7\xc9\xe0\x8f\x55\x2d\xf7\xea\xd2\x32\
    \xe6\xc8\xad\x75\x58\xba\xfa\xb6\x48\xdb\xd7\xd6\x0a\x23\xd3\xc9\x89\x5f\xec\x20\x70\x6f\xe1\xd7\xca\x12\x88\x02\
    \x8f\xe1\x73\xa8\x21\x92\xed\x03\x55\x02\x18\xc9\x16\x7e\x19\x5e\x55\x2d\x61\xfc\xc2\xbb\x3c\x30\x61\x9d\xce\xbf\
    \x03";

/// # Panics
/// Never: it writes to memory.
#[must_use]
pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

/// What `deflate` means.
///
/// # Panics
/// Never: it writes to memory.
#[must_use]
pub fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

/// What some clients take `deflate` for.
///
/// # Panics
/// Never: it writes to memory.
#[must_use]
pub fn raw_deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

/// # Panics
/// Never: it writes to memory.
#[must_use]
pub fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(body, 1).expect("memory")
}
