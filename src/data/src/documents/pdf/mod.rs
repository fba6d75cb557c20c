//! PDF: the text layer with its places, and what is recognized in pictures of the pages that have none.
//!
//! Poppler reads the file. What its `pdftohtml -xml` prints has each run of text with its box, its font's size and
//! colour, and the outline; text that is drawn invisibly, as programs for scanning put it behind their pictures, is not
//! in it: such a layer is somebody else's recognition, and not believed.

mod blocks;
mod headings;
mod hidden;
mod lines;
mod markup;
mod running;
mod scans;
mod xml;

use protocol::quarantine::Reason;

use super::build::Builder;
use super::{Document, Reader, Refused, Result};
use crate::readers::process::{self, Limits, run};

/// Fewer visible characters than this are no text layer but the stamp of a scanner.
const LEAST_CHARACTERS: usize = 20;
/// Bytes that a printed byte of text takes in XML.
const LONGER: u64 = 24;

pub(super) fn read(reader: &Reader<'_>) -> Result<Document> {
    let limits = &reader.request.limits;
    let printed = layer(reader)?;
    let mut layout = xml::parse(&printed);
    drop(printed);
    let count = layout.pages.len();
    if count > limits.pages as usize {
        let what = format!("has more than {} pages", limits.pages);
        return Err(Refused::new(Reason::TooManyPages, what));
    }
    if count == 0 {
        return Err(Refused::new(Reason::Broken, "has no pages"));
    }
    let mut builder = Builder::new(limits);
    let hidden = hidden::take(&mut layout, reader)?;
    layout.links.iter().for_each(|link| builder.link(link));
    let without: Vec<u32> = (1..)
        .zip(&layout.pages)
        .filter(|(_, page)| page.characters() < LEAST_CHARACTERS)
        .map(|(number, _)| number)
        .collect();
    let mut scanned = scans::recognize(reader, &without, &layout)?;
    let mut lines = lines::lines(&layout);
    if reader.request.clean {
        running::remove(&mut lines, count);
    }
    let mut blocks = blocks::blocks(lines, &layout);
    // What was recognized stands where its page does.
    blocks.extend(std::mem::take(&mut scanned.blocks));
    blocks.sort_by_key(|block| block.page);
    for block in blocks {
        builder.block(block)?;
    }
    for text in &hidden {
        builder.hidden(text)?;
    }
    let mut document = builder.finish();
    document.pages = Some(count as u32);
    document.doubts = std::mem::take(&mut scanned.doubts);
    document.doubts.extend(hidden::doubt(&hidden));
    document.pictures = scanned.pictures;
    Ok(document)
}

/// What pdftohtml prints of all pages, and of one more than there may be.
fn layer(reader: &Reader<'_>) -> Result<String> {
    let limits = &reader.request.limits;
    let (zoom, last) = (xml::ZOOM.to_string(), limits.pages.saturating_add(1).to_string());
    let arguments = ["-xml", "-i", "-stdout", "-q", "-zoom", &zoom, "-l", &last].map(Into::into);
    let arguments = [&arguments[..], &[reader.request.path.clone().into()]].concat();
    let most = limits.text_bytes.saturating_mul(LONGER).min(768 << 20) as usize;
    let bounds = Limits {
        time: std::time::Duration::from_secs(u64::from(limits.seconds)),
        ..Limits::text(most)
    };
    match run(&reader.programs.pdftohtml, &arguments, reader.scratch, &bounds) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(process::Refused::TooLong) => Err(super::build::too_much_text(limits.text_bytes)),
        Err(process::Refused::Because(why)) => Err(refused(&complaint(reader).unwrap_or(why))),
    }
}

/// What it says of a document that it does not read: asked for text, it has to be quiet, since it may say much.
fn complaint(reader: &Reader<'_>) -> Option<String> {
    let arguments = ["-xml", "-i", "-stdout", "-l", "1"].map(Into::into);
    let arguments = [&arguments[..], &[reader.request.path.clone().into()]].concat();
    match run(
        &reader.programs.pdftohtml,
        &arguments,
        reader.scratch,
        &Limits::text(1 << 20),
    ) {
        Err(process::Refused::Because(why)) => Some(why),
        _ => None,
    }
}

/// Why poppler reads nothing, by what it says.
fn refused(why: &str) -> Refused {
    let reason = match why {
        why if why.contains("Incorrect password") || why.contains("ncrypt") => Reason::Encrypted,
        why if why.contains("opying of text") => Reason::CopyForbidden,
        why if why.contains("did not end") => Reason::TooSlow,
        why if why.contains("memory") || why.contains("bad_alloc") => Reason::TooMuchMemory,
        why if why.contains("is not installed") => Reason::ReaderFailed,
        _ => Reason::Broken,
    };
    let detail = match reason {
        Reason::Encrypted => "needs a password".to_owned(),
        Reason::CopyForbidden => "forbids to copy its text".to_owned(),
        _ => format!("cannot be read: {why}"),
    };
    Refused::new(reason, detail)
}

/// What is made of what poppler prints.
#[cfg(any(test, fuzzing))]
pub(crate) fn printed(text: &str) -> Vec<super::Block> {
    let layout = xml::parse(text);
    let mut lines = lines::lines(&layout);
    running::remove(&mut lines, layout.pages.len());
    blocks::blocks(lines, &layout)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
