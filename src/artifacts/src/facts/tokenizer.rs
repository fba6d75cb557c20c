//! Whether the file brings a tokenizer that the worker can build.

use checkpoint::{keys, tokenizer_json::TokenizerJson};
use gguf::Metadata;
use protocol::PrepareFailure;

use super::{failure, invalid, shortened, unsupported};

/// The byte-level BPE of GPT-2 and its descendants.
const SUPPORTED: &str = "gpt2";

/// Checks kind and tables of the tokenizer against the number of rows of the embedding.
pub(super) fn check(metadata: &Metadata, vocabulary_size: u64) -> Result<(), PrepareFailure> {
    if metadata.get(keys::TOKENIZER).is_some() {
        let text = metadata.string(keys::TOKENIZER).map_err(failure)?;
        let checked = TokenizerJson::check(text)
            .map_err(|why| unsupported(format!("failed to find support for {}: {why}", keys::TOKENIZER)))?;
        return fits(keys::TOKENIZER, u64::from(checked.tokens), vocabulary_size);
    }
    let kind = metadata.string("tokenizer.ggml.model").map_err(failure)?;
    if kind != SUPPORTED {
        return Err(unsupported(format!(
            "failed to find support for the tokenizer {:?} (tokenizer.ggml.model): this release reads {SUPPORTED}, \
             byte-level BPE; use a model with such a tokenizer",
            shortened(kind)
        )));
    }
    let tokens = metadata.strings("tokenizer.ggml.tokens").map_err(failure)?.len();
    fits("tokenizer.ggml.tokens", tokens as u64, vocabulary_size)?;
    metadata.strings("tokenizer.ggml.merges").map_err(failure)?;
    Ok(())
}

fn fits(key: &str, tokens: u64, vocabulary_size: u64) -> Result<(), PrepareFailure> {
    match tokens == 0 || tokens > vocabulary_size {
        true => Err(invalid(format!(
            "failed to read {key}: {tokens} tokens do not fit the embedding's {vocabulary_size} rows"
        ))),
        false => Ok(()),
    }
}
