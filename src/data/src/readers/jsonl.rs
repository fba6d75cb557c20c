//! JSON Lines: a record a line.

use std::path::Path;

use super::lines::{Line, Lines};
use super::{Item, Settings, Sink, broken, decode};
use crate::failure::{Result, disk};
use crate::record::{Bad, reasons};

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
            Line::Whole(bytes) => item(line, bytes),
            Line::TooLong => Item::Bad {
                line,
                bad: Bad::too_long(settings.max_bytes),
            },
        };
        sink(item)?;
    }
}

/// What some bytes are in JSON.
pub(super) fn item(line: u64, bytes: &[u8]) -> Item {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let bad = Bad::new(reasons::NOT_UTF8, "is no UTF-8; save the file as UTF-8");
        return Item::Bad { line, bad };
    };
    match serde_json::from_str(text) {
        Ok(value) => Item::Value { line, value },
        Err(error) => {
            let bad = Bad::new(reasons::INVALID_JSON, format!("is no JSON: {error}"));
            Item::Bad { line, bad }
        }
    }
}
