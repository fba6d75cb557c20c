//! How text is cut into words before BPE. GGUF files only name the rule (`tokenizer.ggml.pre`); a
//! wrong one gives other tokens than the model was trained on, so unknown names are refused.

use tokenizers::{
    PreTokenizerWrapper, SplitDelimiterBehavior,
    pre_tokenizers::{
        byte_level::ByteLevel,
        digits::Digits,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

use crate::LoadError;

/// Words with at most one leading mark, numbers of up to three digits, runs of marks, line ends, spaces.
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same with every digit alone.
const QWEN_2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The rule called `name`, and whether whole words of the vocabulary are tokens whatever the merges say.
pub(super) fn named(name: &str) -> Result<(PreTokenizerWrapper, bool), LoadError> {
    Ok(match name {
        "gpt-2" => (ByteLevel::new(false, true, true).into(), false),
        "smollm" => (
            sequence(Digits::new(true).into(), ByteLevel::new(false, true, true)),
            false,
        ),
        "llama-bpe" => (split(LLAMA_3)?, true),
        "qwen2" => (split(QWEN_2)?, false),
        other => {
            return Err(LoadError::Unsupported {
                key: "tokenizer.ggml.pre".into(),
                found: other.into(),
                supported: "gpt-2, smollm, llama-bpe and qwen2 are supported",
            });
        }
    })
}

fn split(pattern: &str) -> Result<PreTokenizerWrapper, LoadError> {
    let pattern = SplitPattern::Regex(pattern.into());
    let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
        .map_err(|error| LoadError::Tokenizer(error.to_string()))?;
    Ok(sequence(split.into(), ByteLevel::new(false, true, false)))
}

fn sequence(first: PreTokenizerWrapper, bytes: ByteLevel) -> PreTokenizerWrapper {
    Sequence::new(vec![first, bytes.into()]).into()
}
