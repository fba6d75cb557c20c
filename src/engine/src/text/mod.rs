//! Between text and tokens.

mod byte_level;
pub(crate) mod huggingface;
mod pre_tokenizer;
mod stream;
mod tokenizer;

pub use stream::{Piece, TextStream};
pub use tokenizer::Tokenizer;
