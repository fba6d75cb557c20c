//! Whether the file brings a tokenizer that the worker can build.

use gguf::Metadata;
use protocol::PrepareFailure;

use super::{failure, invalid, shortened, unsupported};

/// The byte-level BPE of GPT-2 and its descendants.
const SUPPORTED: &str = "gpt2";

/// Checks kind and tables of the tokenizer against the number of rows of the embedding.
pub(super) fn check(metadata: &Metadata, vocabulary_size: u64) -> Result<(), PrepareFailure> {
    let kind = metadata.string("tokenizer.ggml.model").map_err(failure)?;
    if kind != SUPPORTED {
        return Err(unsupported(format!(
            "failed to find support for the tokenizer {:?} (tokenizer.ggml.model): this release reads {SUPPORTED}, \
             byte-level BPE; use a model with such a tokenizer",
            shortened(kind)
        )));
    }
    let tokens = metadata.strings("tokenizer.ggml.tokens").map_err(failure)?.len();
    if tokens == 0 || tokens as u64 > vocabulary_size {
        return Err(invalid(format!(
            "failed to read tokenizer.ggml.tokens: {tokens} tokens do not fit the embedding's {vocabulary_size} rows"
        )));
    }
    metadata.strings("tokenizer.ggml.merges").map_err(failure)?;
    Ok(())
}
