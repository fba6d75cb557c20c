//! Tables of text (RFC 4180): the first row names the fields of the others.
//!
//! A quotation mark that nobody closes makes the rest of a file one value, so values are counted while they are read.

use std::collections::HashSet;
use std::io::{self, BufRead};
use std::path::Path;

use serde_json::{Map, Value};

use super::{Item, Settings, Sink, broken, decode, text};
use crate::failure::{Result, disk};
use crate::record::{Bad, reasons};

/// Columns that a table may have.
const MAX_COLUMNS: usize = 10_000;

pub(super) fn read(path: &Path, delimiter: u8, settings: &Settings, sink: &mut Sink<'_>) -> Result<()> {
    let reader = decode::open(path).map_err(disk("open", path))?;
    let mut rows = Rows::new(reader, delimiter, settings.max_bytes);
    let header = match rows.next() {
        Ok(Some((line, row))) => match row.and_then(|row| names(&row)) {
            Ok(names) => names,
            Err(bad) => {
                sink(Item::Bad { line, bad })?;
                return sink(Item::Broken("has no header that can be read".into()));
            }
        },
        Ok(None) => return Ok(()),
        Err(error) => return sink(broken(&error)),
    };
    loop {
        let (line, row) = match rows.next() {
            Ok(Some(next)) => next,
            Ok(None) => return Ok(()),
            Err(error) => return sink(broken(&error)),
        };
        sink(match row.and_then(|row| object(&header, &row)) {
            Ok(value) => Item::Value { line, value },
            Err(bad) => Item::Bad { line, bad },
        })?;
    }
}

fn names(row: &[&[u8]]) -> std::result::Result<Vec<String>, Bad> {
    if row.len() > MAX_COLUMNS {
        let what = format!("is a header of {} columns; {MAX_COLUMNS} are read at most", row.len());
        return Err(Bad::new(reasons::INVALID_ROW, what));
    }
    let mut names = Vec::with_capacity(row.len());
    let mut known = HashSet::new();
    for name in row {
        let name = text(name)?.trim();
        // Which of the two is meant only its writer knows. Those without a name are nobody's field.
        if !name.is_empty() && !known.insert(name) {
            let shown: String = name.chars().take(40).collect();
            let what = format!("is a header with two columns `{shown}`; rename or remove one of them");
            return Err(Bad::new(reasons::INVALID_ROW, what));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn object(header: &[String], row: &[&[u8]]) -> std::result::Result<Value, Bad> {
    if row.len() != header.len() {
        let (found, expected) = (row.len(), header.len());
        let what =
            format!("has {found} columns, and the header has {expected}; put values with commas in quotation marks");
        return Err(Bad::new(reasons::INVALID_ROW, what));
    }
    let mut object = Map::new();
    for (name, field) in header.iter().zip(row) {
        object.insert(name.clone(), Value::String(text(field)?.to_owned()));
    }
    Ok(Value::Object(object))
}

/// Reads row by row.
struct Rows<R> {
    reader: R,
    delimiter: u8,
    max: usize,
    line: u64,
    is_over: bool,
    /// All fields of a row, one behind the other.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Where in a row the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quotation mark in a quoted field: it ended it, or is the first of two that mean one.
    QuoteInQuoted,
}

/// How a row ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    TooLong,
    /// The file ends within quotation marks.
    Open,
}

fn open() -> Bad {
    let what =
        "has a quotation mark that nobody closes, so that all behind it is one value; close it, or write it twice";
    Bad::new(reasons::INVALID_ROW, what)
}

type Row<'a> = std::result::Result<Vec<&'a [u8]>, Bad>;

impl<R: BufRead> Rows<R> {
    fn new(reader: R, delimiter: u8, max: usize) -> Self {
        Self {
            reader,
            delimiter,
            max,
            line: 1,
            is_over: false,
            bytes: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// The next row that is not empty, with the line where it begins.
    fn next(&mut self) -> io::Result<Option<(u64, Row<'_>)>> {
        loop {
            let first_line = self.line;
            let Some(end) = self.fill()? else {
                return Ok(None);
            };
            match end {
                End::Whole if self.ends.len() == 1 && self.bytes.is_empty() => continue,
                End::Whole => {}
                End::TooLong => return Ok(Some((first_line, Err(Bad::too_long(self.max))))),
                End::Open => return Ok(Some((first_line, Err(open())))),
            }
            let mut start = 0;
            let fields = self.ends.iter().map(|end| {
                let field = &self.bytes[start..*end];
                start = *end;
                field
            });
            return Ok(Some((first_line, Ok(fields.collect()))));
        }
    }

    /// Reads a row to its end. None at the end of the file.
    fn fill(&mut self) -> io::Result<Option<End>> {
        self.bytes.clear();
        self.ends.clear();
        let mut state = State::FieldStart;
        let mut count = 0_usize;
        let mut is_any = false;
        // The first half of the end of a line, and no part of a quoted field.
        let mut is_return = false;
        while !self.is_over {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.is_over = true;
                    return Err(error);
                }
            };
            if buffer.is_empty() {
                self.is_over = true;
                break;
            }
            let mut used = 0;
            let mut is_whole = false;
            for &byte in buffer {
                used += 1;
                is_any = true;
                self.line += u64::from(byte == b'\n');
                let mut kept = None;
                state = match (state, byte) {
                    (State::Quoted, b'"') => State::QuoteInQuoted,
                    (State::Quoted, _) => {
                        kept = Some(byte);
                        State::Quoted
                    }
                    (State::QuoteInQuoted, b'"') => {
                        kept = Some(byte);
                        State::Quoted
                    }
                    (State::FieldStart, b'"') => State::Quoted,
                    (_, b'\n') => {
                        is_whole = true;
                        State::FieldStart
                    }
                    (_, byte) if byte == self.delimiter => {
                        // What is too long is not kept, nor are its fields.
                        if self.ends.len() <= MAX_COLUMNS {
                            self.ends.push(self.bytes.len());
                        }
                        State::FieldStart
                    }
                    (_, byte) => {
                        kept = Some(byte);
                        State::Plain
                    }
                };
                is_return = kept == Some(b'\r') && state == State::Plain || is_return && is_whole;
                if let Some(byte) = kept {
                    count += 1;
                    if count <= self.max.saturating_add(1) {
                        self.bytes.push(byte);
                    }
                }
                if is_whole {
                    break;
                }
            }
            self.reader.consume(used);
            if is_whole {
                break;
            }
        }
        if !is_any {
            return Ok(None);
        }
        if is_return {
            if count == self.bytes.len() {
                self.bytes.pop();
            }
            count -= 1;
        }
        self.ends.push(self.bytes.len());
        Ok(Some(match state {
            State::Quoted => End::Open,
            _ if count > self.max => End::TooLong,
            _ => End::Whole,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn all(bytes: &[u8], max: usize) -> Vec<(u64, Option<Vec<String>>)> {
        let mut rows = Rows::new(io::BufReader::with_capacity(3, bytes), b',', max);
        let mut found = Vec::new();
        while let Some((line, row)) = rows.next().unwrap() {
            let texts = |row: Vec<&[u8]>| {
                row.iter()
                    .map(|field| String::from_utf8_lossy(field).into_owned())
                    .collect()
            };
            found.push((line, row.ok().map(texts)));
        }
        found
    }

    #[rstest]
    #[case("", &[])]
    #[case("a,b\n1,2\n", &["1:a|b", "2:1|2"])]
    #[case("a,b\r\n1,\r\n\r\n,2", &["1:a|b", "2:1|", "4:|2"])]
    #[case("\"x,\"\"y\"\"\nz\",2\n3,4", &["1:x,\"y\"\nz|2", "3:3|4"])]
    #[case("a\"b,\"c\"d\n", &["1:a\"b|cd"])]
    #[case("\"a\r\"\r\n", &["1:a\r"])]
    #[case("\"open\",1\n\"\"", &["1:open|1"])]
    fn rows_have_fields(#[case] text: &str, #[case] expected: &[&str]) {
        let shown = |(line, row): (u64, Option<Vec<String>>)| format!("{line}:{}", row.unwrap().join("|"));
        let found: Vec<String> = all(text.as_bytes(), 1000).into_iter().map(shown).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_row_that_is_too_long_is_skipped() {
        let rows = all(b"a,b\n1,23456789\n\"x\",y\n", 8);
        assert_eq!(rows[1], (2, None));
        assert_eq!(rows[2].0, 3);
    }

    #[test]
    fn a_mark_that_nobody_closes_takes_no_memory() {
        let endless = io::Cursor::new(b"\"").chain(io::repeat(b',').take(1 << 26));
        let mut rows = Rows::new(io::BufReader::new(endless), b',', 1000);
        assert!(matches!(rows.next().unwrap(), Some((1, Err(bad))) if bad.what.contains("nobody closes")));
        let separators = io::repeat(b',').take(1 << 26);
        let mut rows = Rows::new(io::BufReader::new(separators), b',', 1000);
        rows.next().unwrap();
        assert!(rows.ends.capacity() < 1 << 16 && rows.bytes.capacity() < 1 << 16);
    }

    proptest! {
        /// The `csv` crate is the oracle, on what it writes.
        #[test]
        fn what_others_write_is_read(table in prop::collection::vec(prop::collection::vec("[a-c\",\n\r \u{e9}]{0,6}", 3), 1..6)) {
            let mut writer = ::csv::Writer::from_writer(Vec::new());
            for row in &table {
                writer.write_record(row).unwrap();
            }
            let bytes = writer.into_inner().unwrap();
            let found: Vec<_> = all(&bytes, 1000).into_iter().map(|(_, row)| row.unwrap()).collect();
            prop_assert_eq!(found, table);
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(prop::sample::select(b"a,\"\r\n\xff".to_vec()), 0..200)) {
            all(&bytes, 20);
        }
    }
}
