//! `tokenizer.json` before anything is built from it.
//!
//! The file can describe more than tokenizers of models: expressions that take forever, chains that
//! nest without end. Only parts that models of the supported families have are let through; the
//! `tokenizers` crate builds them.

mod growth;
mod model;
mod parts;

use serde::Deserialize;
use serde_json::Value;

use model::Model;

/// How the names of tokens stand for text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// A printable character for each byte (GPT-2 and most later models).
    ByteLevel,
    /// Spaces are written as `▁`, bytes without a token of their own as `<0x0A>` (SentencePiece).
    Metaspace {
        /// A space is put in front of every text, and taken off again.
        leading_space: bool,
    },
    /// Pieces within words begin with `##`, spaces are lost (BERT).
    WordPiece,
}

/// What the engine must know of a tokenizer beside what the `tokenizers` crate does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerJson {
    /// How names stand for text.
    pub spelling: Spelling,
    /// One more than the highest token.
    pub tokens: u32,
    /// Tokens beside those of the model.
    pub added: Vec<Added>,
}

/// A token beside those of the model, which text becomes wherever its name stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Added {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub content: String,
    /// It is a mark and no text.
    #[serde(default)]
    pub special: bool,
}

/// The whole file, with the parts that are looked at one by one.
#[derive(Deserialize)]
struct Whole {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: Model,
}

impl TokenizerJson {
    /// Largest file accepted, in bytes. The largest known vocabularies take 33 MB.
    pub const MAX_BYTES: u64 = 48 << 20;
    /// Most tokens, several times those of the largest known vocabulary.
    const MAX_TOKENS: u32 = 1 << 21;

    /// Checks a file's text.
    ///
    /// # Errors
    /// The field that is wrong or not supported, and what is.
    pub fn check(text: &str) -> Result<Self, String> {
        if text.len() as u64 > Self::MAX_BYTES {
            return Err(format!(
                "it has more than {} bytes, which no real model's does",
                Self::MAX_BYTES
            ));
        }
        let whole: Whole = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let highest = whole
            .added_tokens
            .iter()
            .map(|token| token.id)
            .chain(whole.model.vocab.highest)
            .max();
        let tokens = match highest {
            Some(highest) if highest < Self::MAX_TOKENS => highest + 1,
            Some(highest) => {
                return Err(format!(
                    "field \"vocab\": token {highest} is above {}",
                    Self::MAX_TOKENS
                ));
            }
            None => return Err("field \"vocab\": it has no tokens".into()),
        };
        parts::check("normalizer", &whole.normalizer, parts::NORMALIZERS)?;
        parts::check("pre_tokenizer", &whole.pre_tokenizer, parts::PRE_TOKENIZERS)?;
        parts::check("post_processor", &whole.post_processor, parts::POST_PROCESSORS)?;
        Ok(Self {
            spelling: model::spelling(&whole.model, &whole.normalizer, &whole.pre_tokenizer, &whole.decoder)?,
            tokens,
            added: whole.added_tokens,
        })
    }

    /// The number of an added token.
    pub fn added(&self, name: &str) -> Option<u32> {
        self.added
            .iter()
            .find(|token| token.content == name)
            .map(|token| token.id)
    }
}

#[cfg(test)]
mod tests;
