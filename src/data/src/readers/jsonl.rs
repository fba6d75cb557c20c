//! JSON Lines: a record a line.

use std::path::Path;

use serde_json::Value;

use super::lines::{Line, Lines};
use super::{Item, Settings, Sink, broken, decode, text};
use crate::failure::{Result, disk};
use crate::record::{Bad, reasons};

/// Marks outside of texts that a value may stand behind: an object of nine bytes takes hundreds in memory.
const MAX_MARKS: usize = 250_000;
const ADVICE: &str = "write one object a line, or name the file .json";

pub(super) fn read(path: &Path, settings: &Settings, sink: &mut Sink<'_>) -> Result<()> {
    let reader = decode::open(path).map_err(disk("open", path))?;
    let mut lines = Lines::new(reader, settings.max_bytes);
    loop {
        let (line, text) = match lines.next() {
            Ok(Some(next)) => next,
            Ok(None) => return Ok(()),
            Err(error) => return sink(broken(&error)),
        };
        let item = match text {
            Line::Whole(bytes) if bytes.trim_ascii().is_empty() => continue,
            Line::Whole(bytes) => item(line, bytes, ADVICE),
            Line::TooLong => Item::Bad {
                line,
                bad: Bad::too_long(settings.max_bytes),
            },
        };
        sink(item)?;
    }
}

/// What some bytes are in JSON that begin at this line; `advice` is for bytes that are none.
pub(super) fn item(line: u64, bytes: &[u8], advice: &str) -> Item {
    match text(bytes).and_then(|text| value(line, text, advice)) {
        Ok(value) => Item::Value { line, value },
        Err(bad) => Item::Bad { line, bad },
    }
}

fn value(line: u64, text: &str, advice: &str) -> std::result::Result<Value, Bad> {
    if marks(text) > MAX_MARKS {
        let what = format!("holds more than {MAX_MARKS} values; split it");
        return Err(Bad::new(reasons::TOO_LONG, what));
    }
    serde_json::from_str(text).map_err(|error| {
        let words = error.to_string();
        // It counts lines from the first one of the value.
        let words = words
            .rsplit_once(" at line ")
            .map_or(words.as_str(), |(words, _)| words);
        let (place, column) = (line + error.line().saturating_sub(1) as u64, error.column());
        let place = match place == line {
            true => format!("column {column}"),
            false => format!("line {place}, column {column}"),
        };
        Bad::new(
            reasons::INVALID_JSON,
            format!("is no JSON: {words} at {place}; {advice}"),
        )
    })
}

/// Marks outside of texts that a value may stand behind.
fn marks(text: &str) -> usize {
    let (mut count, mut in_text, mut is_escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b',' | b':' | b'[' | b'{' => count += usize::from(!in_text),
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_too_many_values_is_not_read() {
        assert_eq!(marks(r#"{"a,\",": [1, "[{:"]}"#), 4);
        let list = |count: usize| format!("[{}0]", r#"{"a":0},"#.repeat(count));
        assert!(value(1, &list(100), "").is_ok());
        let bad = value(1, &list(MAX_MARKS / 3 + 1), "").unwrap_err();
        assert_eq!(
            (bad.reason, bad.what.as_str()),
            (reasons::TOO_LONG, "holds more than 250000 values; split it")
        );
        // Texts may have as many as they like.
        let text = serde_json::json!({"text": ",".repeat(2 * MAX_MARKS)}).to_string();
        assert!(value(1, &text, "").is_ok());
    }
}
