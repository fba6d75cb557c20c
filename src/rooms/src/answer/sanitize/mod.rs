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

/// A piece of a clean text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clean {
    /// The piece.
    pub text: String,
    /// Bytes of the text as it came that were read for this piece and all before it.
    pub read: usize,
}

/// Cleans a text that comes in pieces.
#[derive(Clone, Debug)]
pub struct Sanitizer {
    links: Links,
    unseen: Unseen,
    held: String,
    read: usize,
}

impl Sanitizer {
    /// With the links that may stay.
    pub fn new(links: Links) -> Self {
        Self {
            links,
            unseen: Unseen::default(),
            held: String::new(),
            read: 0,
        }
    }

    /// Takes the next piece and gives out what is clean. At most some 4 KiB are held back.
    pub fn push(&mut self, piece: &str) -> String {
        self.push_placed(piece).into_iter().map(|clean| clean.text).collect()
    }

    /// The same, with the places of what is clean: a piece for each construct, which is mostly a word.
    pub fn push_placed(&mut self, piece: &str) -> Vec<Clean> {
        let mut out = Vec::new();
        for c in piece.chars() {
            let before = self.held.len();
            self.unseen.push(c, &mut self.held);
            self.read += c.len_utf8();
            // Constructs end at spaces at the earliest, and addresses do.
            let has_ended = self.held.len() > before && self.held.ends_with(char::is_whitespace);
            if has_ended && markup::is_closed(&self.held) || self.held.len() >= MAX_HELD {
                out.push(Clean {
                    text: markup::clean(&self.held, &self.links),
                    read: self.read,
                });
                self.held.clear();
            }
        }
        out
    }

    /// The text ends: gives out the rest.
    pub fn finish(&mut self) -> String {
        self.finish_placed().text
    }

    /// The same, with its place.
    pub fn finish_placed(&mut self) -> Clean {
        let held = std::mem::take(&mut self.held);
        self.unseen = Unseen::default();
        Clean {
            text: markup::clean(&held, &self.links),
            read: self.read,
        }
    }
}
