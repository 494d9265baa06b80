//! `Content-Encoding`: which codings a body has, and taking them off within bounds.

use std::io::{Cursor, Read};

use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use bytes::Bytes;
use domain::limits;

/// A coding that a body may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings of a body, in the order in which they were applied. None for an identity body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Encoding(Vec<Coding>);

/// A coding that is not read here: such a job fails at once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unsupported {
    /// The coding as it was sent, or what else is wrong with the header.
    pub coding: String,
}

/// Why a body does not decompress.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    #[error("the body is not what its Content-Encoding says")]
    Corrupt,
    /// Something on the way took the compressed bytes for text and replaced those that are none.
    #[error("the body was damaged on its way")]
    Damaged,
    #[error("the body is over the limit once it is decompressed")]
    TooLarge,
}

impl Encoding {
    /// # Errors
    /// When the request names a coding that is not read here.
    pub fn of(headers: &HeaderMap) -> Result<Self, Unsupported> {
        /// Nobody compresses a body more often than this in good faith.
        const MOST_CODINGS: usize = 3;
        let mut codings = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            let value = value.to_str().map_err(|_| Unsupported { coding: "not ASCII text".to_owned() })?;
            for coding in value.split(',').map(str::trim).filter(|coding| !coding.is_empty()) {
                codings.push(match coding.to_ascii_lowercase().as_str() {
                    "identity" => continue,
                    "gzip" | "x-gzip" => Coding::Gzip,
                    "deflate" => Coding::Deflate,
                    "br" => Coding::Brotli,
                    "zstd" => Coding::Zstd,
                    _ => return Err(Unsupported { coding: coding.to_owned() }),
                });
            }
        }
        if codings.len() > MOST_CODINGS {
            return Err(Unsupported { coding: format!("{} codings at once", codings.len()) });
        }
        Ok(Self(codings))
    }

    /// The most bytes that a body with these codings may have as they reach the process. A compressed body reaches a
    /// function as base64, four bytes for three.
    #[must_use]
    pub const fn most_bytes(&self) -> usize {
        if self.0.is_empty() { limits::BODY_BYTES } else { limits::BODY_BYTES / 4 * 3 }
    }

    /// The body without its codings: at most [`limits::DECOMPRESSED_BODY_BYTES`], which is also what bounds the memory.
    ///
    /// # Errors
    /// When it does not decompress, or to more than that.
    pub fn decode(&self, body: &Bytes) -> Result<Bytes, DecodeError> {
        let mut decoded = body.clone();
        for coding in self.0.iter().rev() {
            decoded = match decode(*coding, &decoded) {
                Err(DecodeError::Corrupt) if is_damaged(body) => return Err(DecodeError::Damaged),
                other => other?.into(),
            };
        }
        Ok(decoded)
    }
}

/// Compressed bytes are no UTF-8, unless somebody made them so.
fn is_damaged(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| text.contains(char::REPLACEMENT_CHARACTER))
}

fn decode(coding: Coding, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    match coding {
        Coding::Gzip => read(flate2::bufread::MultiGzDecoder::new(body)),
        // The standard says zlib; some clients send what zlib wraps.
        Coding::Deflate => match read(flate2::bufread::ZlibDecoder::new(body)) {
            Err(DecodeError::Corrupt) => read(flate2::bufread::DeflateDecoder::new(body)),
            decoded => decoded,
        },
        Coding::Brotli => read(brotli_decompressor::Decompressor::new(body, 8 * 1024)),
        Coding::Zstd => {
            /// 2²⁵ bytes, 32 MiB: a window need not be larger than what may come out.
            const WINDOW_LOG: u32 = 25;
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(Cursor::new(body)).map_err(|_| DecodeError::Corrupt)?;
            decoder.window_log_max(WINDOW_LOG).map_err(|_| DecodeError::Corrupt)?;
            read(decoder)
        }
    }
}

fn read(decoder: impl Read) -> Result<Vec<u8>, DecodeError> {
    let mut decoded = Vec::new();
    let bound = limits::DECOMPRESSED_BODY_BYTES as u64 + 1;
    decoder.take(bound).read_to_end(&mut decoded).map_err(|_| DecodeError::Corrupt)?;
    if decoded.len() > limits::DECOMPRESSED_BODY_BYTES { Err(DecodeError::TooLarge) } else { Ok(decoded) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value))).collect()
    }

    fn encoding(value: &'static str) -> Encoding {
        Encoding::of(&headers(&[value])).unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A brotli stream of "hello", made with the reference tool.
    const BROTLI_HELLO: [u8; 9] = [0x0b, 0x02, 0x80, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x03];

    #[test]
    fn a_body_that_was_taken_for_text_on_its_way_is_told_from_one_that_was_never_compressed() {
        let sent = gzip(br#"{"type":"resources"}"#);
        let arrived = String::from_utf8_lossy(&sent).into_owned();
        assert_eq!(encoding("gzip").decode(&arrived.into()), Err(DecodeError::Damaged));
        assert_eq!(encoding("gzip").decode(&Bytes::from_static(b"{}")), Err(DecodeError::Corrupt));
        assert_eq!(encoding("gzip").decode(&sent[1..].to_vec().into()), Err(DecodeError::Corrupt));
    }

    #[test]
    fn each_coding_comes_off() {
        let check = |coding, body: &[u8]| {
            assert_eq!(
                encoding(coding).decode(&body.to_vec().into()).unwrap(),
                Bytes::from_static(b"hello"),
                "{coding}"
            );
        };
        check("identity", b"hello");
        check("gzip", &gzip(b"hello"));
        check("X-GZip", &gzip(b"hello"));
        check("deflate", &zlib(b"hello"));
        check("deflate", &raw_deflate(b"hello"));
        check("br", &BROTLI_HELLO);
        check("zstd", &zstd::bulk::compress(b"hello", 3).unwrap());
        check("deflate, gzip", &gzip(&zlib(b"hello")));
        check("gzip, identity", &gzip(b"hello"));
    }

    #[test]
    fn what_is_not_read_here_is_named() {
        let unsupported = |values| Encoding::of(&headers(values)).unwrap_err().coding;
        assert_eq!(unsupported(&["compress"]), "compress");
        assert_eq!(unsupported(&["gzip, snappy"]), "snappy");
        assert_eq!(unsupported(&["gzip", "gzip, gzip, gzip"]), "4 codings at once");
    }

    #[test]
    fn a_bomb_is_refused_within_bounds_and_garbage_is_corrupt() {
        let zeros = vec![0; limits::DECOMPRESSED_BODY_BYTES + 1];
        for (coding, bomb) in [
            ("gzip", gzip(&zeros)),
            ("deflate", zlib(&zeros)),
            ("zstd", zstd::bulk::compress(&zeros, 3).unwrap()),
            ("gzip, gzip", gzip(&gzip(&zeros))),
        ] {
            assert_eq!(encoding(coding).decode(&bomb.into()), Err(DecodeError::TooLarge), "{coding}");
        }
        for coding in ["gzip", "deflate", "br", "zstd"] {
            let garbage = Bytes::from_static(b"\xff\xfe nothing that any of them reads");
            assert_eq!(encoding(coding).decode(&garbage), Err(DecodeError::Corrupt), "{coding}");
        }
        let cut = gzip(b"hello, this is cut short");
        assert_eq!(encoding("gzip").decode(&cut[..cut.len() - 9].to_vec().into()), Err(DecodeError::Corrupt));
    }

    #[test]
    fn exactly_the_limit_is_accepted() {
        let zeros = vec![0; limits::DECOMPRESSED_BODY_BYTES];
        assert_eq!(encoding("gzip").decode(&gzip(&zeros).into()).unwrap().len(), zeros.len());
    }
}
