//! Where in a text as it came its sentences stand, once it was cleaned and cut.

use std::{collections::VecDeque, ops::Range};

use super::sanitize::Clean;

/// Follows a text that is cleaned in pieces and given out in sentences, of which it loses nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// Pieces that are not given out yet: where each ends in the clean text, and in the text as it came.
    pieces: VecDeque<(usize, usize)>,
    /// Bytes of the clean text so far, and those of them that were given out.
    written: usize,
    given: usize,
    /// Where the text as it came goes on behind the pieces that were given out.
    start: usize,
}

impl Places {
    /// Takes the next piece.
    pub fn add(&mut self, piece: &Clean) {
        self.written += piece.text.len();
        self.pieces.push_back((self.written, piece.read));
    }

    /// The place of the next sentence, without the spaces around it. Where it ends within a piece, it has all of that piece,
    /// and so has the one after it: nobody knows what of a link belongs to which.
    pub fn next(&mut self, sentence: &str) -> Range<usize> {
        let begins = self.given + (sentence.len() - sentence.trim_start().len());
        let ends = self.given + sentence.trim_end().len();
        self.given += sentence.len();
        while let Some((written, read)) = self.pieces.front().copied()
            && written <= begins
        {
            self.start = read;
            self.pieces.pop_front();
        }
        let last = self.pieces.iter().find(|(written, _)| *written >= ends);
        let end = last.filter(|_| begins < ends).map_or(self.start, |(_, read)| *read);
        self.start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_found_among_pieces() {
        let mut places = Places::default();
        // "One ", an image that went, "two. ", another one, and a link with two sentences in it.
        for (text, read) in [("One ", 4), ("", 30), ("two. ", 35), (" ", 50), ("a. b. ", 60)] {
            places.add(&Clean {
                text: text.into(),
                read,
            });
        }
        assert_eq!(places.next("One two.  "), 0..35);
        assert_eq!(places.next("a. "), 50..60);
        assert_eq!(places.next("b. "), 50..60);
        assert_eq!(places.next(""), 60..60);
        // Behind all that came there is nothing.
        assert_eq!(places.next("c"), 60..60);
    }

    #[test]
    fn spaces_alone_have_no_place() {
        let mut places = Places::default();
        places.add(&Clean {
            text: "a.\n".into(),
            read: 3,
        });
        places.add(&Clean {
            text: "\n".into(),
            read: 4,
        });
        assert_eq!(places.next("a.\n"), 0..3);
        assert_eq!(places.next("\n"), 4..4);
    }
}
