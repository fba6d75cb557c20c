//! The vocabulary and how its names stand for text.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};

use super::Spelling;
use super::parts;

/// Longest word that BERT's algorithm looks at; its time grows with the square.
const MAX_WORD: u64 = 1000;

/// The part that cuts words into tokens.
#[derive(Deserialize)]
pub(super) struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    pub vocab: Vocabulary,
    #[serde(default)]
    merges: Option<IgnoredAny>,
    #[serde(default)]
    dropout: Value,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    max_input_chars_per_word: Option<u64>,
}

/// Numbers of the tokens; the names are left to the `tokenizers` crate.
#[derive(Default)]
pub(super) struct Vocabulary {
    pub highest: Option<u32>,
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl<'de> Visitor<'de> for Numbers {
            type Value = Vocabulary;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tokens and their numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocabulary, A::Error> {
                let mut highest = None;
                while let Some((IgnoredAny, number)) = map.next_entry::<IgnoredAny, u32>()? {
                    highest = highest.max(Some(number));
                }
                Ok(Vocabulary { highest })
            }
        }
        deserializer.deserialize_map(Numbers)
    }
}

/// How the names of the model's tokens stand for text.
pub(super) fn spelling(
    model: &Model,
    normalizer: &Value,
    pre_tokenizer: &Value,
    decoder: &Value,
) -> Result<Spelling, String> {
    let prefix = model.continuing_subword_prefix.as_deref().unwrap_or_default();
    match model.kind.as_deref().or(model.merges.map(|_| "BPE")) {
        Some("WordPiece") => {
            if prefix != "##" {
                return Err("field \"continuing_subword_prefix\": only \"##\" is supported".into());
            }
            match model.max_input_chars_per_word.unwrap_or(100) {
                0..=MAX_WORD => Ok(Spelling::WordPiece),
                more => Err(format!(
                    "field \"max_input_chars_per_word\" is {more}, at most {MAX_WORD} is supported"
                )),
            }
        }
        Some("BPE") => {
            if !(model.dropout.is_null() || model.dropout.as_f64() == Some(0.0)) {
                return Err("field \"dropout\": a text must always give the same tokens; set it to null".into());
            }
            if !prefix.is_empty() || !model.end_of_word_suffix.as_deref().unwrap_or_default().is_empty() {
                return Err("fields \"continuing_subword_prefix\" and \"end_of_word_suffix\" are not supported".into());
            }
            of_decoder(normalizer, pre_tokenizer, decoder)
        }
        other => Err(format!(
            "field \"model.type\" is {other:?}: BPE and WordPiece are supported"
        )),
    }
}

/// Decoders of BPE: bytes, or SentencePiece in one of its spellings.
fn of_decoder(normalizer: &Value, pre_tokenizer: &Value, decoder: &Value) -> Result<Spelling, String> {
    if parts::kind(decoder) == Some("ByteLevel") {
        return Ok(Spelling::ByteLevel);
    }
    let steps = parts::steps(decoder);
    if steps.iter().any(|step| parts::kind(step) == Some("ByteLevel")) && steps.len() == 1 {
        return Ok(Spelling::ByteLevel);
    }
    let space = |step: &Value| {
        let replaces = step["pattern"] == json!({"String": "▁"}) && step["content"] == " ";
        parts::kind(step) == Some("Metaspace") || (parts::kind(step) == Some("Replace") && replaces)
    };
    let harmless = |step: &Value| match parts::kind(step) {
        Some("ByteFallback" | "Fuse") => true,
        Some("Strip") => step["content"] == " " && step["stop"] == 0,
        _ => space(step),
    };
    if steps.is_empty() || !steps.iter().all(|step| harmless(step)) || !steps.iter().any(|step| space(step)) {
        return Err(format!(
            "field \"decoder\" is {}: ByteLevel, Metaspace and the usual sequence for SentencePiece are supported",
            parts::shortened(decoder)
        ));
    }
    let puts_space = |part: &Value| match parts::kind(part) {
        Some("Prepend") => part["prepend"] == "▁",
        // Older files have a flag, newer ones a word.
        Some("Metaspace") => part["prepend_scheme"]
            .as_str()
            .map_or(part["add_prefix_space"] != false, |word| word != "never"),
        _ => false,
    };
    let both = [normalizer, pre_tokenizer].map(parts::steps);
    Ok(Spelling::Metaspace {
        leading_space: both.iter().flatten().any(|part| puts_space(part)),
    })
}
