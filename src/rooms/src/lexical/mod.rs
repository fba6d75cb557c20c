//! Which chunks have a question's words.
//!
//! Words are ranked by BM25, whose weights are statistics: how many chunks there are, how many have a word, how long they
//! are. All of them are taken over the chunks that the grant sees, for each question anew. Taken over the Room they would
//! tell anybody who may search how many hidden chunks have a word.

mod postings;
mod rank;
mod words;

pub(crate) use postings::{MAX_ROWS, Posting, Postings};
pub(crate) use rank::Question;
pub(crate) use words::Words;
