//! What a model wrote, without anything that a program would follow or a reader not see.
//!
//! Whoever can place a document can make a model write, and whoever shows Markdown fetches its images: so an image
//! whose address holds what the model read carries it away without a click (CVE-2025-32711, "EchoLeak", by an image of
//! the reference style that filters had missed). Here nothing is recognized to be harmful; everything that has an
//! address goes, and its text stays:
//!
//! * images, links, references to links and their definitions, addresses as such, unless they lead to an allowed origin
//!   and carry no query;
//! * tags of HTML, and character references, from which others are made;
//! * control sequences of terminals, invisible characters, and marks of direction.
//!
//! Citations such as `[1]` stay.

mod markup;
mod unseen;
mod url;

#[cfg(test)]
mod tests;

pub use url::Links;

use unseen::Unseen;

/// Most bytes that are held back until it is known what they are.
const MAX_HELD: usize = 4096;

/// Cleans a whole text.
pub fn sanitize(text: &str, links: &Links) -> String {
    let mut sanitizer = Sanitizer::new(links.clone());
    let mut out = sanitizer.push(text);
    out.push_str(&sanitizer.finish());
    out
}

/// Cleans a text that comes in pieces.
#[derive(Clone, Debug)]
pub struct Sanitizer {
    links: Links,
    unseen: Unseen,
    held: String,
}

impl Sanitizer {
    /// With the links that may stay.
    pub fn new(links: Links) -> Self {
        Self {
            links,
            unseen: Unseen::default(),
            held: String::new(),
        }
    }

    /// Takes the next piece and gives out what is clean. At most some 4 KiB are held back.
    pub fn push(&mut self, piece: &str) -> String {
        let mut out = String::new();
        for c in piece.chars() {
            let before = self.held.len();
            self.unseen.push(c, &mut self.held);
            // Constructs end at spaces at the earliest, and addresses do.
            let has_ended = self.held.len() > before && self.held.ends_with(char::is_whitespace);
            if has_ended && markup::is_closed(&self.held) || self.held.len() >= MAX_HELD {
                out.push_str(&markup::clean(&self.held, &self.links));
                self.held.clear();
            }
        }
        out
    }

    /// The text ends: gives out the rest.
    pub fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        self.unseen = Unseen::default();
        markup::clean(&held, &self.links)
    }
}
