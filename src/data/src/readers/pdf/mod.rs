//! PDF: the text layer, or what is recognized in pictures of the pages where there is none.
//!
//! Programs that others wrote read the file.

mod scan;

use std::path::Path;

use super::process::{Limits, Refused, run};
use super::{Item, Settings, Sink};
use crate::failure::{Result, disk};
use crate::record::Bad;

/// Fewer visible characters a page than this are no text layer but the stamp of a scanner.
const LEAST_CHARACTERS: usize = 50;

pub(super) fn read(path: &Path, settings: &Settings, sink: &mut Sink<'_>) -> Result<()> {
    // The programs run elsewhere, and no name must look like an option.
    let path = &path.canonicalize().map_err(disk("find", path))?;
    let found = text_layer(path, settings).and_then(|text| match is_scan(&text) {
        false => Ok(text.replace('\u{c}', "\n\n").trim().to_owned()),
        true => scan::recognize(path, pages(&text), settings),
    });
    sink(match found {
        Ok(text) if text.len() > settings.max_bytes => Item::Bad {
            line: 1,
            bad: Bad::too_long(settings.max_bytes),
        },
        Ok(text) => Item::Text(text),
        Err(Refused::TooLong) => Item::Bad {
            line: 1,
            bad: Bad::too_long(settings.max_bytes),
        },
        Err(Refused::Because(why)) => Item::Quarantined(why),
    })
}

/// The text of all pages, with a form feed behind each.
fn text_layer(path: &Path, settings: &Settings) -> std::result::Result<String, Refused> {
    let limits = Limits::text(settings.max_bytes.saturating_add(1 << 16));
    let arguments = ["-enc", "UTF-8", "-q"].map(Into::into);
    let arguments = [&arguments[..], &[path.into(), "-".into()]].concat();
    let bytes = run(&settings.programs.pdftotext, &arguments, &settings.scratch, &limits)?;
    String::from_utf8(bytes).map_err(|_| Refused::Because("its text layer is no UTF-8".into()))
}

fn pages(text: &str) -> usize {
    text.matches('\u{c}').count().max(1)
}

fn is_scan(text: &str) -> bool {
    let visible = text.chars().filter(|character| !character.is_whitespace()).count();
    visible < LEAST_CHARACTERS * pages(text)
}

/// What is made of what the programs print.
#[cfg(any(test, fuzzing))]
pub(crate) fn printed(text: &str) {
    let pages = pages(text);
    assert!(pages > 0);
    is_scan(text);
    scan::printed(text);
}

#[cfg(test)]
mod tests;
