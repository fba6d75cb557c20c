//! Pages of the web: what their readers see of the main part.
//!
//! The tokenizer is that of browsers; no tree is built, so that nothing nests deeper than memory has room for. An open
//! element is a row in a list, with what it says of all that is inside of it.

mod element;
mod flow;
mod hidden;
mod links;

use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{Tokenizer, TokenizerOpts};
use protocol::ingest::Limits;

use super::{Document, Result};

pub(super) use hidden::is_white;
pub use links::links;

/// Fewer visible characters than this are no main part.
const LEAST_MAIN: usize = 200;

/// Reads a page. What `clean` leaves out are navigation, headers, footers and forms.
pub(super) fn read(text: &str, limits: &Limits, clean: bool) -> Result<Document> {
    let sink = flow::Sink::new(limits, clean);
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(text));
    // Scripts are not run, so that it stops nowhere.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.finish()
}

#[cfg(test)]
mod tests;
