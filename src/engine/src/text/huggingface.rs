//! Tokenizers that a model brings as `tokenizer.json`, built by the `tokenizers` crate.

use std::panic::{AssertUnwindSafe, catch_unwind};

use checkpoint::tokenizer_json::{Spelling, TokenizerJson};

use super::byte_level;
use crate::LoadError;

/// A tokenizer with what its tokens stand for.
pub(crate) struct Built {
    pub encoder: tokenizers::Tokenizer,
    /// Of every token, its bytes; none for marks.
    pub bytes: Vec<Vec<u8>>,
    pub names: Vec<String>,
    /// A space is put in front of every text.
    pub leading_space: bool,
}

/// Builds the tokenizer of `text`, the content of a `tokenizer.json`.
///
/// # Errors
/// When it is of a kind that is not supported, or contradicts itself.
pub(crate) fn build(text: &str) -> Result<Built, LoadError> {
    let checked = TokenizerJson::check(text).map_err(LoadError::Tokenizer)?;
    let failed = |error: tokenizers::Error| LoadError::Tokenizer(error.to_string());
    // The crate has places that panic on files nobody writes by accident.
    let built = catch_unwind(AssertUnwindSafe(|| text.parse::<tokenizers::Tokenizer>()));
    let mut encoder = built
        .map_err(|_| LoadError::Tokenizer("tokenizer.json cannot be understood".into()))?
        .map_err(failed)?;
    // Whoever calls decides how long a text may be.
    encoder.with_truncation(None).map_err(failed)?;
    encoder.with_padding(None);
    check_added(&checked, &encoder)?;
    check_marks(&checked, &encoder)?;
    let mut names = vec![String::new(); checked.tokens as usize];
    for (name, token) in encoder.get_vocab(true) {
        if let Some(place) = names.get_mut(token as usize) {
            *place = name;
        }
    }
    let mut bytes: Vec<Vec<u8>> = names.iter().map(|name| spelled(name, checked.spelling)).collect();
    for added in &checked.added {
        if let Some(bytes) = bytes.get_mut(added.id as usize) {
            *bytes = match added.special {
                true => Vec::new(),
                false => added.content.clone().into(),
            };
        }
    }
    Ok(Built {
        encoder,
        bytes,
        names,
        leading_space: checked.spelling == Spelling::Metaspace { leading_space: true },
    })
}

/// Checks that added tokens have the numbers that the file says. The crate counts on from the model's
/// last token instead, and would make tokens that the model does not have.
fn check_added(checked: &TokenizerJson, encoder: &tokenizers::Tokenizer) -> Result<(), LoadError> {
    for token in &checked.added {
        let number = encoder.token_to_id(&token.content);
        if number != Some(token.id) {
            return Err(LoadError::Tokenizer(format!(
                "field \"added_tokens\": {:?} has the number {}, the other tokens leave {} to it",
                token.content,
                token.id,
                number.map_or("none".into(), |number| number.to_string())
            )));
        }
    }
    Ok(())
}

/// Checks that the marks around texts are tokens of the model: the post-processor names them by number.
fn check_marks(checked: &TokenizerJson, encoder: &tokenizers::Tokenizer) -> Result<(), LoadError> {
    // Nothing but marks comes of an empty text.
    let encode = || Ok([encoder.encode_fast("", true)?, encoder.encode_fast(("", ""), true)?]);
    let marks: Result<_, tokenizers::Error> = catch_unwind(AssertUnwindSafe(encode))
        .map_err(|_| LoadError::Tokenizer("field \"post_processor\" cannot be applied".into()))?;
    let marks = marks.map_err(|error| LoadError::Tokenizer(error.to_string()))?;
    let stranger = |marks: &tokenizers::Encoding| marks.get_ids().iter().copied().find(|mark| *mark >= checked.tokens);
    match marks.iter().find_map(stranger) {
        Some(mark) => Err(LoadError::Tokenizer(format!(
            "field \"post_processor\" adds token {mark}, there are {} tokens",
            checked.tokens
        ))),
        None => Ok(()),
    }
}

/// The bytes that a name stands for.
fn spelled(name: &str, spelling: Spelling) -> Vec<u8> {
    match spelling {
        Spelling::ByteLevel => byte_level::bytes_of(name),
        Spelling::Metaspace { .. } => match byte(name) {
            Some(byte) => vec![byte],
            None => name.replace('▁', " ").into(),
        },
        Spelling::WordPiece => match name.strip_prefix("##") {
            Some(rest) => rest.into(),
            None => format!(" {name}").into(),
        },
    }
}

/// `<0x0A>`: a byte that has no token of its own.
fn byte(name: &str) -> Option<u8> {
    let digits = name.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2)
        .then(|| u8::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::text::Tokenizer;

    fn tokenizer(file: &Value) -> Tokenizer {
        let metadata = [
            (checkpoint::keys::TOKENIZER, gguf::Value::String(file.to_string())),
            ("tokenizer.ggml.bos_token_id", gguf::Value::Unsigned(1)),
            ("tokenizer.ggml.eos_token_id", gguf::Value::Unsigned(2)),
            (
                checkpoint::keys::END_TOKENS,
                gguf::Value::Array(gguf::Array::Unsigned(vec![2, 0])),
            ),
        ];
        let owned = metadata.into_iter().map(|(key, value)| (key.to_owned(), value));
        Tokenizer::from_metadata(&owned.collect()).unwrap()
    }

    /// SentencePiece as Llama 2 and Mistral have it: marks, bytes, then pieces.
    fn sentencepiece() -> Tokenizer {
        let mut vocab = serde_json::Map::new();
        for name in ["<unk>", "<s>", "</s>"] {
            vocab.insert(name.into(), vocab.len().into());
        }
        for byte in 0..=255 {
            vocab.insert(format!("<0x{byte:02X}>"), vocab.len().into());
        }
        for name in ["▁", "h", "i", "▁h", "▁hi", "!"] {
            vocab.insert(name.into(), vocab.len().into());
        }
        let special = |id: u32, content: &str| {
            json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false,
                   "rstrip": false, "normalized": false})
        };
        tokenizer(&json!({
            "version": "1.0",
            "added_tokens": [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ]},
            "pre_tokenizer": null,
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
            },
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ]},
            "model": {
                "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "vocab": vocab,
                "merges": [["▁", "h"], ["▁h", "i"]],
            },
        }))
    }

    #[rstest]
    #[case("hi", true, &[1, 263])]
    #[case("hi", false, &[263])]
    #[case("hi hi!", false, &[263, 263, 264])]
    // The bytes of "é" have no token of their own.
    #[case("é", false, &[259, 3 + 0xc3, 3 + 0xa9])]
    #[case("hi</s>", false, &[263, 2])]
    fn sentencepiece_is_read(#[case] text: &str, #[case] begin: bool, #[case] expected: &[u32]) {
        let tokenizer = sentencepiece();
        assert_eq!(tokenizer.encode(text, begin).unwrap(), expected);
        let bytes: Vec<u8> = expected
            .iter()
            .flat_map(|token| tokenizer.bytes(*token).to_vec())
            .collect();
        let shown = String::from_utf8(bytes).unwrap();
        assert_eq!(shown.strip_prefix(' ').unwrap(), text.replace("</s>", ""));
        assert!(tokenizer.leading_space());
    }

    #[test]
    fn every_end_ends_an_answer() {
        let tokenizer = sentencepiece();
        assert_eq!((tokenizer.end(), tokenizer.ends()), (Some(2), &[2, 0][..]));
    }

    fn byte_level() -> Value {
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})
    }

    #[rstest]
    #[case(json!([{"id": 0, "content": "b", "special": true}]), "\"b\" has the number 0, the other tokens leave 1")]
    #[case(json!([{"id": 7, "content": "b", "special": true}]), "\"b\" has the number 7, the other tokens leave 1")]
    fn added_tokens_have_their_own_numbers(#[case] mut added: Value, #[case] says: &str) {
        for flag in ["single_word", "lstrip", "rstrip", "normalized"] {
            added[0][flag] = false.into();
        }
        let model = json!({"type": "BPE", "vocab": {"a": 0}, "merges": []});
        let file = json!({"model": model, "decoder": byte_level(), "added_tokens": added}).to_string();
        let error = super::build(&file).err().unwrap().to_string();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn marks_are_tokens_of_the_model() {
        for (mark, good) in [(0, true), (1, false)] {
            let post = json!({"type": "BertProcessing", "sep": ["a", 0], "cls": ["b", mark]});
            let model = json!({"type": "BPE", "vocab": {"a": 0}, "merges": []});
            let file = json!({"model": model, "decoder": byte_level(), "post_processor": post}).to_string();
            let built = super::build(&file).map(drop).map_err(|error| error.to_string());
            assert_eq!(built.is_ok(), good, "{built:?}");
            assert!(good || built.unwrap_err().contains("adds token 1, there are 1 tokens"));
        }
    }

    #[test]
    fn files_that_make_the_crate_stumble_are_errors() {
        let model = json!({"type": "BPE", "vocab": {"a": 0}, "merges": []});
        let good = json!({"model": model, "decoder": byte_level()}).to_string();
        assert!(super::build(&good).is_ok());
        // A merge of what is not in the vocabulary; a template of a mark that is not defined.
        let model = json!({"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]});
        let file = json!({"model": model, "decoder": byte_level()}).to_string();
        assert!(super::build(&file).is_err());
        let template = json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}],
            "pair": [], "special_tokens": {}});
        let model = json!({"type": "BPE", "vocab": {"a": 0}, "merges": []});
        let file = json!({"model": model, "decoder": byte_level(), "post_processor": template}).to_string();
        assert!(super::build(&file).is_err());
    }
}
