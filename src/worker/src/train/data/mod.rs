//! From records to passes: what is learned, in which order.
//!
//! ```text
//!  train.jsonl -> records -> [render: chat template, what is learned] -> tokens on disk
//!              -> batches: rows and passes, by seed and epoch -> stream: dealt to processes and steps
//! ```

mod batches;
mod claim;
mod masked;
mod prepare;
mod records;
mod render;
mod shuffle;
mod stream;
#[cfg(test)]
mod tests;
mod tokens;

use std::io;

use train::Work;

pub use self::{
    batches::{Batch, Batching, Lengths, window, windows},
    prepare::{Dataset, manifest, prepare, sweep},
    records::Record,
    render::Renderer,
    stream::Stream,
    tokens::{Example, Tokens},
};

/// Reads what one pass learns from.
///
/// # Errors
/// When it cannot be read.
pub fn work(tokens: &Tokens, batch: &Batch) -> io::Result<Work> {
    let mut rows = Vec::new();
    let mut pairs = Vec::new();
    for row in &batch.rows {
        let mut texts = Vec::new();
        for record in row {
            match tokens.read(*record)? {
                Example::One(text) => texts.push(text),
                Example::Two(pair) => pairs.push(pair),
            }
        }
        rows.push(texts);
    }
    Ok(match pairs.is_empty() {
        true => Work::Texts(rows),
        false => Work::Pairs(pairs),
    })
}
