//! What tests and fuzz targets do with readers: the whole of one, without programs of others.

use std::borrow::Cow;

use protocol::ingest::Limits;

use super::{Document, Result, csv, decode, docx, html, kind, markdown, ocr, pdf, text};

/// Limits that inputs of a few KiB reach.
fn limits() -> Limits {
    Limits {
        unpacked_bytes: 1 << 20,
        text_bytes: 1 << 18,
        ..Limits::default()
    }
}

/// Reads bytes as a kind of document.
///
/// # Panics
/// When what is found cannot be true.
pub fn read(kind: &str, bytes: &[u8]) {
    let limits = limits();
    let decoded = |read: &dyn Fn(Cow<'_, str>) -> Result<Document>| decode::text(bytes).and_then(read);
    for clean in [true, false] {
        let found = match kind {
            "docx" => docx::read(bytes, &limits, clean),
            "word" => docx::body(bytes, &limits),
            "html" => decode::html(bytes, None).and_then(|text| html::read(&text, &limits, clean)),
            "markdown" => decoded(&|text| markdown::read(&text, &limits, clean)),
            "csv" => decoded(&|text| csv::read(&text, b',', &limits)),
            _ => decoded(&|text| text::read(&text, &limits)),
        };
        match found {
            Ok(document) => check(&document, &limits),
            Err(refused) => assert!(!refused.detail.is_empty()),
        }
    }
    if kind == "html" {
        html::links(bytes, None);
    }
}

/// Reads what programs print of a PDF and of a scan.
///
/// # Panics
/// When what is found cannot be true.
pub fn printed(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for blocks in [pdf::printed(&text), ocr::printed(&text)] {
        for block in blocks {
            let area = block.area.expect("what is on a page has a place");
            assert!(area.iter().all(|share| (0.0..=1.0).contains(share)), "{area:?}");
        }
    }
    // A name decides only where content does not.
    let _ = kind::of(bytes, "a.txt", None);
}

fn check(document: &Document, limits: &Limits) {
    let bytes: usize = document.blocks.iter().map(|block| block.text.len()).sum();
    assert!(bytes as u64 <= limits.text_bytes);
    assert!(document.blocks.iter().all(|block| !block.text.trim().is_empty()));
}

/// Reads bytes as a document of this name, in this process.
///
/// # Errors
/// See [`super::read`].
///
/// # Panics
/// Without room for a file.
#[cfg(test)]
pub(crate) fn of_bytes(name: &str, bytes: &[u8], change: impl FnOnce(&mut super::Request)) -> Result<Document> {
    let dir = tempfile::tempdir().expect("there is room");
    let path = dir.path().join("document");
    std::fs::write(&path, bytes).expect("there is room");
    let mut request = super::Request {
        path,
        name: name.into(),
        media_type: None,
        clean: true,
        ocr: None,
        limits: Limits::default(),
    };
    change(&mut request);
    super::read(&request, &crate::readers::Programs::default(), dir.path())
}
