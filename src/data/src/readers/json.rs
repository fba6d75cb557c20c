//! JSON: a list of records, or records one after the other. They are told apart byte by byte, so that no more than one
//! is in memory.

use std::io::{self, BufRead};
use std::path::Path;

use super::jsonl::item;
use super::{Item, Settings, Sink, broken, decode};
use crate::failure::{Result, disk};
use crate::record::Bad;

const ADVICE: &str = "write a list of objects, or one object after the other";

pub(super) fn read(path: &Path, settings: &Settings, sink: &mut Sink<'_>) -> Result<()> {
    let reader = decode::open(path).map_err(disk("open", path))?;
    let mut splitter = Splitter::new(reader, settings.max_bytes);
    loop {
        match splitter.next() {
            Ok(Some((line, Some(bytes)))) => sink(item(line, bytes, ADVICE))?,
            Ok(Some((line, None))) => sink(Item::Bad {
                line,
                bad: Bad::too_long(settings.max_bytes),
            })?,
            Ok(None) => return Ok(()),
            Err(error) => return sink(broken(&error)),
        }
    }
}

/// Finds where values end, without reading them.
struct Splitter<R> {
    reader: R,
    max: usize,
    /// The value so far.
    value: Vec<u8>,
    line: u64,
    /// None before the first byte of the file.
    is_list: Option<bool>,
    is_over: bool,
}

/// The line where a value begins, and its bytes unless they are too many.
type Value<'a> = (u64, Option<&'a [u8]>);

/// Where in a value the next byte is.
#[derive(Default)]
struct State {
    depth: u32,
    in_text: bool,
    is_escaped: bool,
    is_begun: bool,
    is_too_long: bool,
    first_line: u64,
}

impl<R: BufRead> Splitter<R> {
    fn new(reader: R, max: usize) -> Self {
        Self {
            reader,
            max,
            value: Vec::new(),
            line: 1,
            is_list: None,
            is_over: false,
        }
    }

    /// The next value with the line where it begins; no bytes if it is too long.
    fn next(&mut self) -> io::Result<Option<Value<'_>>> {
        self.value.clear();
        let mut state = State::default();
        while !self.is_over {
            let bytes = match self.reader.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.is_over = true;
                    return Err(error);
                }
            };
            if bytes.is_empty() {
                self.is_over = true;
                break;
            }
            let mut used = 0;
            let mut is_whole = false;
            for &byte in bytes {
                used += 1;
                self.line += u64::from(byte == b'\n');
                if self.is_list.is_none() && !byte.is_ascii_whitespace() {
                    self.is_list = Some(byte == b'[');
                    if byte == b'[' {
                        continue;
                    }
                }
                match state.step(byte, self.is_list == Some(true)) {
                    Step::Between => {}
                    Step::Inside | Step::Last => {
                        if !state.is_begun {
                            state.is_begun = true;
                            state.first_line = self.line;
                        }
                        match self.value.len() < self.max {
                            true => self.value.push(byte),
                            false => state.is_too_long = true,
                        }
                        if state.is_done(byte) {
                            is_whole = true;
                            break;
                        }
                    }
                    Step::Ended => {
                        is_whole = true;
                        break;
                    }
                }
            }
            self.reader.consume(used);
            if is_whole {
                break;
            }
        }
        if !state.is_begun {
            return Ok(None);
        }
        let value = (!state.is_too_long).then_some(self.value.as_slice());
        Ok(Some((state.first_line, value)))
    }
}

/// What a byte is.
enum Step {
    /// None of a value.
    Between,
    /// One of the value.
    Inside,
    /// The last one of the value.
    Last,
    /// The first one behind the value.
    Ended,
}

impl State {
    fn step(&mut self, byte: u8, in_list: bool) -> Step {
        if self.in_text {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return Step::Inside;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            // The end of the list itself, and whatever stands alone.
            b'}' | b']' if self.depth == 0 => return if self.is_begun { Step::Ended } else { Step::Between },
            b'}' | b']' => {
                self.depth -= 1;
                return Step::Last;
            }
            b',' if self.depth == 0 && in_list => return if self.is_begun { Step::Ended } else { Step::Between },
            _ if self.depth == 0 && byte.is_ascii_whitespace() => {
                return match (self.is_begun, in_list) {
                    (false, _) => Step::Between,
                    // Between a value and the comma behind it, or within what is no JSON.
                    (true, true) => Step::Inside,
                    (true, false) => Step::Ended,
                };
            }
            _ => {}
        }
        Step::Inside
    }

    /// Whether an object or list ends with this byte. What follows it up to a comma is none of it.
    fn is_done(&self, byte: u8) -> bool {
        !self.in_text && self.depth == 0 && matches!(byte, b'}' | b']')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn all(bytes: &[u8], max: usize) -> Vec<String> {
        // A small buffer: values lie across its ends.
        let mut splitter = Splitter::new(io::BufReader::with_capacity(3, bytes), max);
        let mut found = Vec::new();
        while let Some((line, value)) = splitter.next().unwrap() {
            let value = value.map_or("!".into(), |value| String::from_utf8_lossy(value).trim().to_owned());
            found.push(format!("{line}:{value}"));
        }
        found
    }

    #[rstest]
    #[case("", &[])]
    #[case("[]", &[])]
    #[case(" [ ] ", &[])]
    #[case(r#"[{"a":1},{"b":[1,2]}]"#, &[r#"1:{"a":1}"#, r#"1:{"b":[1,2]}"#])]
    #[case("[\n {\"a\": \"}]\\\"\"} ,\n 3, \"x,y\"\n]", &[r#"2:{"a": "}]\""}"#, "3:3", r#"3:"x,y""#])]
    #[case("{\"a\":\n1}\n{\"b\":2}", &[r#"1:{"a":
1}"#, r#"3:{"b":2}"#])]
    #[case("[[1],[2]]", &["1:[1]", "1:[2]"])]
    #[case("[{\"a\":1", &[r#"1:{"a":1"#])]
    #[case("nonsense here", &["1:nonsense", "1:here"])]
    #[case("]]}}", &[])]
    #[case("[1] [2]", &["1:1", "1:[2]"])]
    fn values_are_told_apart(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(all(text.as_bytes(), 1000), expected);
    }

    #[test]
    fn what_is_too_long_is_skipped() {
        assert_eq!(
            all(br#"[{"a":1},{"b":"0123456789"},{"c":2}]"#, 10),
            [r#"1:{"a":1}"#, "1:!", r#"1:{"c":2}"#]
        );
    }

    proptest! {
        #[test]
        fn lists_of_any_values_come_back(texts in prop::collection::vec("\\PC{0,12}", 0..8)) {
            let values: Vec<_> = texts.iter().map(|text| serde_json::json!({"t": [text, {"u": text}]})).collect();
            let json = serde_json::to_string_pretty(&values).unwrap();
            let mut splitter = Splitter::new(json.as_bytes(), 1 << 20);
            let mut found = Vec::new();
            while let Some((_, value)) = splitter.next().unwrap() {
                found.push(serde_json::from_slice::<serde_json::Value>(value.unwrap()).unwrap());
            }
            prop_assert_eq!(found, values);
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(prop::sample::select(b"[]{}\",\\ \na1\xff".to_vec()), 0..200)) {
            all(&bytes, 20);
        }
    }
}
