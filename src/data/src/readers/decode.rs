//! Bytes of a file as UTF-8: unpacked if it is gzip, and decoded if a byte order mark says that it is UTF-16.
//!
//! Other encodings are not guessed: a wrong guess teaches a model wrong letters.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

const BUFFER_BYTES: usize = 1 << 17;
/// Stands for what is no text: no UTF-8 holds it, so that whoever reads it finds out.
const NO_TEXT: u8 = 0xff;

/// Opens a file.
///
/// # Errors
/// When it cannot be opened. Errors of reading are those of the disk, or of packed bytes that are broken.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    decoded(Box::new(file))
}

fn decoded(mut bytes: Box<dyn Read>) -> io::Result<Box<dyn BufRead>> {
    let head = peek(&mut bytes)?;
    if head.starts_with(&[0x1f, 0x8b]) {
        let packed = Cursor::new(head).chain(bytes);
        let mut unpacked: Box<dyn Read> = Box::new(MultiGzDecoder::new(BufReader::new(packed)));
        return Ok(match peek(&mut unpacked) {
            Ok(head) => text(head, unpacked),
            // What is no good is told when it is read, and no more than once by its decoder.
            Err(error) => Box::new(BufReader::new(Broken(error))),
        });
    }
    Ok(text(head, bytes))
}

fn text(head: Vec<u8>, rest: Box<dyn Read>) -> Box<dyn BufRead> {
    let skipping = |count| Cursor::new(head[count..].to_vec()).chain(rest);
    let reader: Box<dyn Read> = match head.as_slice() {
        [0xef, 0xbb, 0xbf, ..] => Box::new(skipping(3)),
        [0xff, 0xfe, ..] => Box::new(Utf16::new(skipping(2), u16::from_le_bytes)),
        [0xfe, 0xff, ..] => Box::new(Utf16::new(skipping(2), u16::from_be_bytes)),
        _ => Box::new(skipping(0)),
    };
    Box::new(BufReader::with_capacity(BUFFER_BYTES, reader))
}

/// The first bytes, as many as a mark has.
fn peek(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(3).read_to_end(&mut head)?;
    Ok(head)
}

/// Bytes that cannot be unpacked.
struct Broken(io::Error);

impl Read for Broken {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::new(self.0.kind(), self.0.to_string()))
    }
}

/// UTF-16 as UTF-8.
struct Utf16<R> {
    inner: R,
    unit: fn([u8; 2]) -> u16,
    /// A first half that waits for its second one.
    high: Option<u16>,
    raw: Vec<u8>,
    out: Cursor<Vec<u8>>,
}

impl<R: Read> Utf16<R> {
    fn new(inner: R, unit: fn([u8; 2]) -> u16) -> Self {
        Self {
            inner,
            unit,
            high: None,
            raw: Vec::new(),
            out: Cursor::default(),
        }
    }

    /// Decodes some more. False at the end.
    fn refill(&mut self) -> io::Result<bool> {
        self.raw.clear();
        // A multiple of two, unless the file ends within a unit.
        (&mut self.inner).take(BUFFER_BYTES as u64).read_to_end(&mut self.raw)?;
        let mut out = Vec::with_capacity(self.raw.len());
        let units = self.raw.chunks_exact(2);
        let is_odd = !units.remainder().is_empty();
        for pair in units {
            let unit = (self.unit)([pair[0], pair[1]]);
            push(&mut out, &mut self.high, unit);
        }
        if is_odd || (self.raw.is_empty() && self.high.take().is_some()) {
            out.push(NO_TEXT);
        }
        let is_more = !out.is_empty() || !self.raw.is_empty();
        self.out = Cursor::new(out);
        Ok(is_more)
    }
}

fn push(out: &mut Vec<u8>, high: &mut Option<u16>, unit: u16) {
    let mut encoded = [0; 4];
    if let Some(first) = high.take() {
        if let Some(Ok(character)) = char::decode_utf16([first, unit]).next() {
            out.extend_from_slice(character.encode_utf8(&mut encoded).as_bytes());
            return;
        }
        out.push(NO_TEXT);
    }
    match unit {
        0xd800..0xdc00 => *high = Some(unit),
        _ => match char::from_u32(u32::from(unit)) {
            Some(character) => out.extend_from_slice(character.encode_utf8(&mut encoded).as_bytes()),
            None => out.push(NO_TEXT),
        },
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.out.read(buffer)?;
            if count > 0 || buffer.is_empty() || !self.refill()? {
                return Ok(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use rstest::rstest;

    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decoded(Box::new(Cursor::new(bytes.to_vec())))?.read_to_end(&mut out)?;
        Ok(out)
    }

    fn utf16(text: &str, to: fn(u16) -> [u8; 2]) -> Vec<u8> {
        std::iter::once(0xfeff)
            .chain(text.encode_utf16())
            .flat_map(to)
            .collect()
    }

    #[rstest]
    #[case(b"plain".to_vec(), "plain")]
    #[case(b"\xef\xbb\xbfmarked".to_vec(), "marked")]
    #[case(utf16("gr\u{fc}n \u{1f600}", u16::to_le_bytes), "gr\u{fc}n \u{1f600}")]
    #[case(utf16("gr\u{fc}n \u{1f600}", u16::to_be_bytes), "gr\u{fc}n \u{1f600}")]
    #[case(Vec::new(), "")]
    #[case(b"\xef".to_vec(), "\u{0}")]
    fn marks_say_what_bytes_are(#[case] bytes: Vec<u8>, #[case] text: &str) {
        let expected = if text == "\u{0}" {
            vec![0xef]
        } else {
            text.as_bytes().to_vec()
        };
        assert_eq!(read(&bytes).unwrap(), expected);
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&bytes).unwrap();
        assert_eq!(read(&packed.finish().unwrap()).unwrap(), expected);
    }

    #[test]
    fn long_utf16_is_whole() {
        let text = "x\u{1f600}".repeat(100_000);
        assert_eq!(read(&utf16(&text, u16::to_le_bytes)).unwrap(), text.as_bytes());
    }

    #[rstest]
    #[case(&[0xff, 0xfe, 0x00, 0xd8, 0x41, 0x00])]
    #[case(&[0xff, 0xfe, 0x00, 0xd8])]
    #[case(&[0xff, 0xfe, 0x00, 0xdc])]
    #[case(&[0xff, 0xfe, 0x41])]
    fn halves_of_characters_are_no_text(#[case] bytes: &[u8]) {
        assert!(String::from_utf8(read(bytes).unwrap()).is_err());
    }

    #[test]
    fn broken_packed_bytes_are_an_error() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&[b'x'; 1000]).unwrap();
        let mut bytes = packed.finish().unwrap();
        bytes.truncate(bytes.len() - 6);
        assert!(read(&bytes).is_err());
        assert!(read(b"\x1f\x8bnonsense").is_err());
    }
}
