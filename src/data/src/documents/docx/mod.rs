//! Documents of Word: a ZIP archive of XML.

mod body;
mod package;
mod styles;
mod xml;

use protocol::ingest::Limits;
use protocol::quarantine::Reason;

use super::build::Builder;
use super::{Document, Refused, Result};
use package::Package;

const MAIN: &str = "word/document.xml";

/// Parts of the document beside its body, and whether they are read where clean text is asked for.
const PARTS: [(&str, bool); 4] = [
    ("word/footnotes.xml", true),
    ("word/endnotes.xml", true),
    ("word/header1.xml", false),
    ("word/footer1.xml", false),
];

/// Reads a document.
pub(super) fn read(bytes: &[u8], limits: &Limits, clean: bool) -> Result<Document> {
    let mut package = Package::open(bytes, limits.unpacked_bytes)?;
    let Some(main) = package.part(MAIN)? else {
        return Err(other(&package));
    };
    let styles = package
        .part("word/styles.xml")?
        .map(|part| styles::read(&part))
        .transpose()?;
    let styles = styles.unwrap_or_default();
    let mut builder = Builder::new(limits);
    if let Some(part) = package.part("docProps/core.xml")? {
        // A title that cannot be read is none.
        if let Ok(Some(title)) = xml::first_text(&part, b"title") {
            builder.title(&title);
        }
    }
    if let Some(part) = package.part("word/_rels/document.xml.rels")? {
        for link in xml::attributes(&part, b"Relationship", b"Target").unwrap_or_default() {
            if link.contains("://") {
                builder.link(&link);
            }
        }
    }
    body::read(&main, &styles, &mut builder)?;
    for (name, is_text) in PARTS {
        if let Some(part) = package.part(name)?.filter(|_| is_text || !clean) {
            body::read(&part, &styles, &mut builder)?;
        }
    }
    Ok(builder.finish())
}

/// What an archive is that is no document of Word.
fn other(package: &Package<'_>) -> Refused {
    let has = |start: &str| package.names().any(|name| name.starts_with(start));
    let (reason, what) = if has("xl/") {
        (
            Reason::UnsupportedType,
            "is a workbook of Excel; export its sheets as CSV",
        )
    } else if has("ppt/") {
        (Reason::UnsupportedType, "is a presentation; export it as PDF")
    } else if has("META-INF/container.xml") && has("mimetype") {
        (Reason::UnsupportedType, "is an e-book; make a PDF of it")
    } else if has("content.xml") {
        (Reason::UnsupportedType, "is of OpenDocument; save it as DOCX or PDF")
    } else if has("word/") {
        (Reason::Broken, "is a document of Word without a body")
    } else {
        (Reason::UnsupportedType, "is a ZIP archive; unpack it")
    };
    Refused::new(reason, what)
}

/// Reads what is in the main part of an archive.
#[cfg(any(test, fuzzing))]
pub(super) fn body(part: &[u8], limits: &Limits) -> Result<Document> {
    let mut builder = Builder::new(limits);
    let styles = styles::read(part).unwrap_or_default();
    body::read(part, &styles, &mut builder)?;
    Ok(builder.finish())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
