//! Plain text: a file is a document.

use std::io::Read as _;
use std::path::Path;

use super::{Item, Settings, Sink, broken, decode};
use crate::failure::{Result, disk};
use crate::record::{Bad, reasons};

pub(super) fn read(path: &Path, settings: &Settings, sink: &mut Sink<'_>) -> Result<()> {
    let mut bytes = Vec::new();
    let reader = decode::open(path).map_err(disk("open", path))?;
    if let Err(error) = reader.take(settings.max_bytes as u64 + 1).read_to_end(&mut bytes) {
        return sink(broken(&error));
    }
    let found = match bytes.len() <= settings.max_bytes {
        true => text(&bytes),
        false => Err(Bad::too_long(settings.max_bytes)),
    };
    sink(match found {
        Ok(text) => Item::Text(text.to_owned()),
        Err(bad) => Item::Bad { line: 1, bad },
    })
}

/// Bytes as text, of any format of text.
///
/// # Errors
/// When they are none. Letters of UTF-16 without a mark are UTF-8 with zeros between them, which nobody wants to learn.
pub(super) fn text(bytes: &[u8]) -> std::result::Result<&str, Bad> {
    let bad = |what: String| Bad::new(reasons::NOT_UTF8, what + "; save the file as UTF-8");
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0) => Ok(text),
        Ok(_) => Err(bad(
            "has NUL bytes, as UTF-16 without a byte order mark or no text has".into()
        )),
        Err(error) => Err(bad(format!("is no UTF-8 from its byte {} on", error.valid_up_to() + 1))),
    }
}
