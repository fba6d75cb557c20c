//! Plain text: a file is a document.

use std::io::Read as _;
use std::path::Path;

use super::{Item, Settings, Sink, broken, decode};
use crate::failure::{Result, disk};
use crate::record::{Bad, reasons};

pub(super) fn read(path: &Path, settings: &Settings, sink: &mut Sink<'_>) -> Result<()> {
    let mut text = Vec::new();
    let reader = decode::open(path).map_err(disk("open", path))?;
    if let Err(error) = reader.take(settings.max_bytes as u64 + 1).read_to_end(&mut text) {
        return sink(broken(&error));
    }
    let bad = match String::from_utf8(text) {
        Ok(text) if text.len() <= settings.max_bytes => return sink(Item::Text(text)),
        Err(error) if error.as_bytes().len() <= settings.max_bytes => {
            Bad::new(reasons::NOT_UTF8, "is no UTF-8; save the file as UTF-8")
        }
        _ => Bad::too_long(settings.max_bytes),
    };
    sink(Item::Bad { line: 1, bad })
}
