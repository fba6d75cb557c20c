//! Lines that take no more memory than they may.

use std::io::{self, BufRead, Read as _};

/// Bytes that are thrown away at once.
const SKIPPED_AT_ONCE: u64 = 1 << 16;

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It was longer than it may be and is skipped.
    TooLong,
}

/// Reads line by line.
pub(super) struct Lines<R> {
    reader: R,
    max: usize,
    buffer: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// With lines of at most so many bytes.
    pub(super) fn new(reader: R, max: usize) -> Self {
        Self {
            reader,
            max,
            buffer: Vec::new(),
            number: 0,
        }
    }

    /// The next line, with its number from 1.
    ///
    /// # Errors
    /// When reading fails.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        self.buffer.clear();
        // The end of the line may take two bytes.
        let limit = self.max as u64 + 2;
        if (&mut self.reader).take(limit).read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let mut is_ended = self.buffer.ends_with(b"\n");
        let is_cut = !is_ended && self.buffer.len() as u64 == limit;
        let text = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let length = text.strip_suffix(b"\r").unwrap_or(text).len();
        if length <= self.max && !is_cut {
            return Ok(Some((self.number, Line::Whole(&self.buffer[..length]))));
        }
        while !is_ended {
            self.buffer.clear();
            let count = (&mut self.reader)
                .take(SKIPPED_AT_ONCE)
                .read_until(b'\n', &mut self.buffer)?;
            is_ended = count == 0 || self.buffer.ends_with(b"\n");
        }
        Ok(Some((self.number, Line::TooLong)))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn all(bytes: &[u8], max: usize) -> Vec<String> {
        let mut lines = Lines::new(bytes, max);
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            found.push(match line {
                Line::Whole(bytes) => format!("{number}:{}", String::from_utf8_lossy(bytes)),
                Line::TooLong => format!("{number}!"),
            });
        }
        found
    }

    #[rstest]
    #[case(b"", &[])]
    #[case(b"a", &["1:a"])]
    #[case(b"a\n", &["1:a"])]
    #[case(b"a\r\n\nb", &["1:a", "2:", "3:b"])]
    #[case(b"1234\n12345\n1234", &["1:1234", "2!", "3:1234"])]
    #[case(b"1234\r\n12345\r\n", &["1:1234", "2!"])]
    #[case(b"123456789\n1", &["1!", "2:1"])]
    #[case(b"12345", &["1!"])]
    #[case(b"123456", &["1!"])]
    fn lines_have_numbers_and_limits(#[case] bytes: &[u8], #[case] expected: &[&str]) {
        assert_eq!(all(bytes, 4), expected);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let endless = io::repeat(b'x').take(1 << 28);
        let mut lines = Lines::new(io::BufReader::new(endless), 1000);
        assert_eq!(lines.next().unwrap(), Some((1, Line::TooLong)));
        assert!(lines.buffer.capacity() < 1 << 18, "{}", lines.buffer.capacity());
        assert_eq!(lines.next().unwrap(), None);
    }
}
