//! Reading of `Content-Encoding`, and decoding of bodies within bounds.
//!
//! A coded body may make work without making bytes: gzip members and blocks with nothing in them, one after the other. So
//! what comes out is not the only thing that is bounded. A coding may be fed at most `BYTES_WITHOUT_OUTPUT` and twice what
//! has come out of it (`Fed`), and what a body has under its outermost coding may be no larger than a compressed body.
//! Decoding is then at most `MOST_CODINGS` times the work of 4.5 MB of the worst coding.

use std::cell::Cell;
use std::io::{BufRead, Read};
use std::rc::Rc;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use bytes::Bytes;
use domain::limits;

/// How many codings a body may have: nobody compresses one more often than twice in good faith.
const MOST_CODINGS: usize = 2;

/// What a body may have, compressed, as it reaches the process: base64 makes four bytes of three.
const COMPRESSED_BYTES: usize = limits::BODY_BYTES / 4 * 3;

/// How much of its input a coding may take beyond twice its output. Compressed text is hardly ever larger than the text, what
/// stands around it (a file name, a dictionary's id) is short, and zstd takes in a block of 128 KiB before it gives it out.
const BYTES_WITHOUT_OUTPUT: usize = 192 * 1024;

/// A coding that a body may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The content codings of a body, in the order in which they were applied; empty for an identity body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Encoding(Vec<Coding>);

/// A content coding that is not read here: a job with such a body fails at once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unsupported {
    /// The coding as it was sent, or what else is wrong with the header.
    pub coding: String,
}

/// The reason why a body does not decompress.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    #[error("the body is not what its Content-Encoding says")]
    Corrupt,
    /// Most of the body decompresses to nothing.
    #[error("the body takes more work than its contents are worth")]
    Wasteful,
    /// The body is damaged: something on the way took the compressed bytes for text, and replaced those that are no
    /// UTF-8.
    #[error("the body was damaged on its way")]
    Damaged,
    #[error("the body is over the limit once it is decompressed")]
    TooLarge,
}

impl Encoding {
    /// Reads the request's `Content-Encoding`.
    ///
    /// # Errors
    /// When the request names a coding that is not read here.
    pub fn of(headers: &HeaderMap) -> Result<Self, Unsupported> {
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
        if self.0.is_empty() { limits::BODY_BYTES } else { COMPRESSED_BYTES }
    }

    /// Whether the body has no coding.
    #[must_use]
    pub const fn is_identity(&self) -> bool {
        self.0.is_empty()
    }

    /// Decodes a body: to at most [`limits::DECOMPRESSED_BODY_BYTES`], which also bounds the memory that it takes.
    ///
    /// # Errors
    /// When it does not decompress, or decompresses to more than that, or to far less than was sent.
    pub fn decode(&self, body: &Bytes) -> Result<Bytes, DecodeError> {
        let mut decoded = body.clone();
        for (place, coding) in self.0.iter().enumerate().rev() {
            let most = if place == 0 { limits::DECOMPRESSED_BODY_BYTES } else { COMPRESSED_BYTES };
            decoded = match decode(*coding, &decoded, most) {
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

fn decode(coding: Coding, body: &[u8], most: usize) -> Result<Vec<u8>, DecodeError> {
    match coding {
        Coding::Gzip => read(body, most, |fed| Ok(flate2::bufread::MultiGzDecoder::new(fed))),
        // The standard says zlib; some clients send what zlib wraps.
        Coding::Deflate => match read(body, most, |fed| Ok(flate2::bufread::ZlibDecoder::new(fed))) {
            Err(DecodeError::Corrupt) => read(body, most, |fed| Ok(flate2::bufread::DeflateDecoder::new(fed))),
            decoded => decoded,
        },
        Coding::Brotli => read(body, most, |fed| Ok(brotli_decompressor::Decompressor::new(fed, PIECE_BYTES))),
        Coding::Zstd => read(body, most, |fed| {
            /// 2²⁵ bytes, 32 MiB: a window need not be larger than what may come out.
            const WINDOW_LOG: u32 = 25;
            let mut decoder = zstd::stream::read::Decoder::with_buffer(fed)?;
            decoder.window_log_max(WINDOW_LOG)?;
            Ok(decoder)
        }),
    }
}

/// So much of a coding's input is handed to it at a time, and so much of its output taken.
const PIECE_BYTES: usize = 8 * 1024;

/// Feeds `body` to a decoder and collects at most `most` bytes of what comes out.
fn read<'body, Decoder: Read>(
    body: &'body [u8],
    most: usize,
    decoder: impl FnOnce(Fed<'body>) -> std::io::Result<Decoder>,
) -> Result<Vec<u8>, DecodeError> {
    let spent = Rc::new(Spent::default());
    let stopped = |_| if spent.is_over.get() { DecodeError::Wasteful } else { DecodeError::Corrupt };
    let mut decoder = decoder(Fed { rest: body, spent: Rc::clone(&spent) }).map_err(stopped)?;
    let mut decoded = Vec::new();
    let mut piece = [0; PIECE_BYTES];
    loop {
        let count = decoder.read(&mut piece).map_err(stopped)?;
        if count == 0 {
            return Ok(decoded);
        }
        if decoded.len() + count > most {
            return Err(DecodeError::TooLarge);
        }
        decoded.extend_from_slice(&piece[..count]);
        spent.output.set(decoded.len());
    }
}

/// What a decoder has taken and given so far.
#[derive(Default)]
struct Spent {
    input: Cell<usize>,
    output: Cell<usize>,
    /// Whether the input was cut off because nothing comes of it.
    is_over: Cell<bool>,
}

/// A body on its way into a decoder, piece by piece, for as long as enough comes out.
struct Fed<'body> {
    rest: &'body [u8],
    spent: Rc<Spent>,
}

impl BufRead for Fed<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.spent.input.get() > BYTES_WITHOUT_OUTPUT + 2 * self.spent.output.get() {
            self.spent.is_over.set(true);
            return Err(std::io::Error::other("too little comes out of it"));
        }
        Ok(&self.rest[..self.rest.len().min(PIECE_BYTES)])
    }

    fn consume(&mut self, count: usize) {
        self.rest = &self.rest[count..];
        self.spent.input.set(self.spent.input.get() + count);
    }
}

impl Read for Fed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
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
        assert_eq!(unsupported(&["gzip", "gzip, gzip"]), "3 codings at once");
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

    /// Members, frames and blocks with nothing in them: the least that each coding can say it with.
    fn nothings() -> [(&'static str, Vec<u8>); 6] {
        let empty_member = gzip(b"");
        // Stored, not the last block, no bytes.
        let empty_block = [0, 0, 0, 0xff, 0xff];
        let deflate = empty_block.repeat(400_000);
        let zlib = [&[0x78, 0x9c], deflate.as_slice()].concat();
        // The magic number of a frame to be skipped, and its length.
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
        // The header of a window of 64 KiB, then meta-blocks that skip nothing.
        let brotli = vec![0x0c; 2_000_000];
        [
            ("gzip", empty_member.repeat(100_000)),
            ("gzip, gzip", gzip(&empty_member.repeat(100_000))),
            ("deflate", deflate),
            ("deflate", zlib),
            ("zstd", skipped.repeat(250_000)),
            ("br", brotli),
        ]
    }

    #[test]
    fn a_body_that_decompresses_to_nothing_is_not_read_to_its_end() {
        for (coding, body) in nothings() {
            let answer = encoding(coding).decode(&body.into());
            assert!(matches!(answer, Err(DecodeError::Wasteful | DecodeError::Corrupt)), "{coding}: {answer:?}");
        }
        let (coding, members) = &nothings()[0];
        assert_eq!(encoding(coding).decode(&members.clone().into()), Err(DecodeError::Wasteful));
        // As many members as hold something are read: some programs compress files in pieces.
        let pieces = gzip(b"a piece of a body").repeat(2_000);
        assert_eq!(encoding("gzip").decode(&pieces.into()).unwrap().len(), 2_000 * 17);
    }

    #[test]
    fn what_is_under_the_outermost_coding_is_no_larger_than_a_compressed_body() {
        let zeros = vec![0; COMPRESSED_BYTES + 1];
        assert_eq!(encoding("gzip, gzip").decode(&gzip(&zeros).into()), Err(DecodeError::TooLarge));
    }

    #[test]
    fn what_cannot_be_compressed_is_read_all_the_same() {
        let noise: Vec<u8> = (0_u32..50_000).flat_map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        for (coding, body) in [
            ("gzip", gzip(&noise)),
            ("deflate", zlib(&noise)),
            ("deflate", raw_deflate(&noise)),
            ("gzip, gzip", gzip(&gzip(&noise))),
        ] {
            assert_eq!(encoding(coding).decode(&body.into()).unwrap(), noise, "{coding}");
        }
        // Three quarters of its size, in blocks that come out whole.
        let letters: Vec<u8> = noise.iter().map(|byte| b'0' + byte % 64).collect();
        let compressed = zstd::bulk::compress(&letters, 3).unwrap();
        assert!(compressed.len() * 3 > letters.len() * 2, "{}", compressed.len());
        assert_eq!(encoding("zstd").decode(&compressed.into()).unwrap(), letters);
    }

    #[test]
    fn exactly_the_limit_is_accepted() {
        let zeros = vec![0; limits::DECOMPRESSED_BODY_BYTES];
        assert_eq!(encoding("gzip").decode(&gzip(&zeros).into()).unwrap().len(), zeros.len());
    }
}
