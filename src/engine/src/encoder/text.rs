//! Texts and pairs of texts as an encoder wants them: with marks around, no longer than it can read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use checkpoint::keys;
use gguf::Metadata;
use tokenizers::{EncodeInput, TruncationParams};

use crate::{LoadError, text::huggingface};

/// The tokens of one text or pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The tokens, marks included.
    pub tokens: Vec<u32>,
    /// Of each token, which text of a pair it is of: 0 or 1.
    pub types: Vec<u32>,
}

impl Encoded {
    /// Tokens of a single text, as a client gives them.
    pub fn of_tokens(tokens: Vec<u32>) -> Self {
        let types = vec![0; tokens.len()];
        Self { tokens, types }
    }
}

/// The tokenizer of an encoder.
pub struct TextEncoder {
    tokenizer: tokenizers::Tokenizer,
}

impl TextEncoder {
    /// Builds the tokenizer of a file; texts are cut to `max_length` tokens, of a pair the longer one.
    ///
    /// # Errors
    /// When the file brings none that can be built, or there is no room for a text between the marks.
    pub fn from_metadata(metadata: &Metadata, max_length: usize) -> Result<Self, LoadError> {
        let mut tokenizer = huggingface::build(metadata.string(keys::TOKENIZER)?)?.encoder;
        let marks = tokenizer.get_post_processor();
        let marks = marks.map_or(0, |marks| tokenizers::PostProcessor::added_tokens(marks, true));
        if marks >= max_length {
            let why = format!("{max_length} tokens have no room for a text between {marks} marks");
            return Err(LoadError::Tokenizer(why));
        }
        let truncation = TruncationParams {
            max_length,
            ..TruncationParams::default()
        };
        let failed = |error: tokenizers::Error| LoadError::Tokenizer(error.to_string());
        tokenizer.with_truncation(Some(truncation)).map_err(failed)?;
        Ok(Self { tokenizer })
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// When the tokenizer gives up on it.
    pub fn encode(&self, text: &str) -> Result<Encoded, String> {
        self.run(text.into())
    }

    /// The tokens of a pair of texts.
    ///
    /// # Errors
    /// When the tokenizer gives up on it.
    pub fn encode_pair(&self, first: &str, second: &str) -> Result<Encoded, String> {
        self.run((first, second).into())
    }

    fn run(&self, input: EncodeInput<'_>) -> Result<Encoded, String> {
        let encoding = catch_unwind(AssertUnwindSafe(|| self.tokenizer.encode_fast(input, true)))
            .map_err(|_| "the tokenizer gave up on it".to_owned())?
            .map_err(|error| error.to_string())?;
        Ok(Encoded {
            tokens: encoding.get_ids().to_vec(),
            types: encoding.get_type_ids().to_vec(),
        })
    }
}
