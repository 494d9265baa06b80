//! Files as they are read: decompressed, and decoded to UTF-8.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use encoding_rs::{Decoder, Encoding, UTF_8, WINDOWS_1252};
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;

const BLOCK: usize = 64 * 1024;

/// A file that can be read several times, one after the other.
pub(crate) struct Source {
    file: File,
    packing: Packing,
    encoding: &'static Encoding,
    /// Of the bytes as they are in the file.
    pub(crate) hash: [u8; 32],
    /// Whether the encoding was concluded from bytes that are no UTF-8.
    pub(crate) is_guessed: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Source {
    /// Opens a file, or keeps standard input in one that nobody else sees, and looks at all of it once.
    pub(crate) fn open(path: &Path, encoding: Option<&str>) -> Result<Self, Failure> {
        let told = encoding
            .map(|label| {
                Encoding::for_label(label.as_bytes())
                    .ok_or_else(|| Failure::Usage(format!("{label} is no encoding: write utf-8 or windows-1252")))
            })
            .transpose()?;
        let file = if path.as_os_str() == "-" {
            let mut kept = tempfile::tempfile()?;
            io::copy(&mut io::stdin().lock(), &mut kept)?;
            kept.flush()?;
            kept
        } else {
            let unreadable = |error| Failure::NotDone(format!("cannot read {}: {error}", path.display()));
            let file = File::open(path).map_err(unreadable)?;
            if file.metadata()?.is_dir() {
                return Err(Failure::Usage(format!("{} is a folder: name a file", path.display())));
            }
            file
        };
        let mut source = Self { file, packing: Packing::Plain, encoding: UTF_8, hash: [0; 32], is_guessed: false };
        source.hash = source.hash_all()?;
        let mut head = [0u8; 4];
        let length = read_full(&mut source.raw()?, &mut head)?;
        source.packing = packing(&head[..length]);
        let (found, is_guessed) = match told {
            Some(encoding) => (encoding, false),
            None => source
                .find_encoding()
                .map_err(|error| Failure::NotDone(format!("{} is damaged, or was cut off: {error}", path.display())))?,
        };
        source.encoding = found;
        source.is_guessed = is_guessed;
        Ok(source)
    }

    pub(crate) fn encoding(&self) -> &'static str {
        self.encoding.name()
    }

    /// The text from its beginning, in UTF-8 and without a byte order mark.
    pub(crate) fn text(&self) -> io::Result<Decoded> {
        Ok(Decoded::new(self.unpacked()?, self.encoding))
    }

    /// The beginning of the text, at most so many bytes.
    pub(crate) fn beginning(&self, bytes: usize) -> io::Result<String> {
        let mut beginning = Vec::new();
        self.text()?.take(bytes as u64).read_to_end(&mut beginning)?;
        Ok(String::from_utf8_lossy(&beginning).into_owned())
    }

    fn raw(&self) -> io::Result<File> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    fn unpacked(&self) -> io::Result<Box<dyn Read + Send>> {
        let raw = self.raw()?;
        Ok(match self.packing {
            Packing::Plain => Box::new(raw),
            Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(BufReader::with_capacity(BLOCK, raw))),
            Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(raw)?),
        })
    }

    fn hash_all(&self) -> io::Result<[u8; 32]> {
        let mut raw = self.raw()?;
        let mut hash = Sha256::new();
        let mut block = vec![0u8; BLOCK];
        loop {
            match raw.read(&mut block)? {
                0 => return Ok(hash.finalize().into()),
                length => hash.update(&block[..length]),
            }
        }
    }

    /// The encoding by a byte order mark, else UTF-8 if all of it is, else Windows-1252.
    fn find_encoding(&self) -> io::Result<(&'static Encoding, bool)> {
        let mut unpacked = self.unpacked()?;
        let mut block = vec![0u8; BLOCK];
        let mut kept = read_full(&mut unpacked, &mut block)?;
        if let Some((encoding, _)) = Encoding::for_bom(&block[..kept]) {
            return Ok((encoding, false));
        }
        loop {
            let (valid, is_wrong) = match std::str::from_utf8(&block[..kept]) {
                Ok(_) => (kept, false),
                // A character may go on in the next block.
                Err(error) => (error.valid_up_to(), error.error_len().is_some()),
            };
            if is_wrong {
                return Ok((WINDOWS_1252, true));
            }
            block.copy_within(valid..kept, 0);
            let rest = kept - valid;
            match unpacked.read(&mut block[rest..])? {
                0 if rest > 0 => return Ok((WINDOWS_1252, true)),
                0 => return Ok((UTF_8, false)),
                length => kept = rest + length,
            }
        }
    }
}

fn packing(head: &[u8]) -> Packing {
    if head.starts_with(&[0x1f, 0x8b]) {
        Packing::Gzip
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Packing::Zstd
    } else {
        Packing::Plain
    }
}

fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match reader.read(&mut buffer[length..])? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

/// A reader of UTF-8 over a text of any encoding.
pub(crate) struct Decoded {
    inner: Box<dyn Read + Send>,
    decoder: Decoder,
    input: Vec<u8>,
    begin: usize,
    end: usize,
    output: Vec<u8>,
    read: usize,
    written: usize,
    is_last: bool,
    is_done: bool,
}

impl Decoded {
    fn new(inner: Box<dyn Read + Send>, encoding: &'static Encoding) -> Self {
        Self {
            inner,
            decoder: encoding.new_decoder_with_bom_removal(),
            input: vec![0; BLOCK],
            begin: 0,
            end: 0,
            output: vec![0; BLOCK * 3],
            read: 0,
            written: 0,
            is_last: false,
            is_done: false,
        }
    }
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.written && !self.is_done {
            if self.begin == self.end && !self.is_last {
                self.begin = 0;
                self.end = self.inner.read(&mut self.input)?;
                self.is_last = self.end == 0;
            }
            let input = &self.input[self.begin..self.end];
            let (result, read, written, _) = self.decoder.decode_to_utf8(input, &mut self.output, self.is_last);
            self.begin += read;
            self.read = 0;
            self.written = written;
            self.is_done = self.is_last && result == encoding_rs::CoderResult::InputEmpty;
        }
        let length = buffer.len().min(self.written - self.read);
        buffer[..length].copy_from_slice(&self.output[self.read..self.read + length]);
        self.read += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::Source;

    fn read(bytes: &[u8], encoding: Option<&str>) -> (String, &'static str) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let source = Source::open(file.path(), encoding).unwrap();
        let mut text = String::new();
        source.text().unwrap().read_to_string(&mut text).unwrap();
        (text, source.encoding())
    }

    #[test]
    fn encodings_are_found() {
        assert_eq!(read("Zürich".as_bytes(), None), ("Zürich".to_owned(), "UTF-8"));
        assert_eq!(read(b"\xef\xbb\xbfname", None), ("name".to_owned(), "UTF-8"));
        assert_eq!(read(b"Z\xfcrich \x80", None), ("Zürich €".to_owned(), "windows-1252"));
        assert_eq!(read(b"Z\xfcrich", Some("latin1")), ("Zürich".to_owned(), "windows-1252"));
        assert_eq!(read(b"\xff\xfea\0b\0", None), ("ab".to_owned(), "UTF-16LE"));
        // Cut off within a character, it is no UTF-8 either.
        assert_eq!(read(b"a\xc3", None).1, "windows-1252");
        assert_eq!(read(b"", None), (String::new(), "UTF-8"));
    }

    #[test]
    fn characters_may_lie_across_blocks() {
        let text = format!("a{}", "ü".repeat(100_000));
        assert_eq!(read(text.as_bytes(), None), (text, "UTF-8"));
    }

    #[test]
    fn packed_files_are_known_by_their_contents() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"\xef\xbb\xbfname").unwrap();
        assert_eq!(read(&gzip.finish().unwrap(), None).0, "name");
        assert_eq!(read(&zstd::encode_all(&b"name"[..], 1).unwrap(), None).0, "name");
    }

    #[test]
    fn a_file_that_was_cut_off_is_refused() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"name\n").unwrap();
        let packed = gzip.finish().unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&packed[..packed.len() - 6]).unwrap();
        assert!(Source::open(file.path(), None).is_err());
    }
}
