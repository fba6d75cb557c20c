//! The tokenizer that a weights file brings along.

use std::panic::{AssertUnwindSafe, catch_unwind};

use checkpoint::keys;
use gguf::Metadata;
use tokenizers::{AddedToken, models::bpe::BPE, pre_tokenizers::byte_level::ByteLevel};

use super::{byte_level::bytes_of, huggingface, pre_tokenizer};
use crate::LoadError;

/// `tokenizer.ggml.token_type` of marks like the end of a turn: never part of the text.
const CONTROL: i64 = 3;
/// `tokenizer.ggml.token_type` of words that are one token wherever they stand.
const USER_DEFINED: i64 = 4;

/// Byte-level BPE, as GPT-2 and most later models have it, from the tables of a GGUF file; or what a
/// model brings as `tokenizer.json`.
pub struct Tokenizer {
    encoder: tokenizers::Tokenizer,
    /// The bytes that each token stands for; none for control tokens.
    bytes: Vec<Vec<u8>>,
    names: Vec<String>,
    begin: Option<u32>,
    end: Option<u32>,
    /// All tokens that end an answer.
    ends: Vec<u32>,
    begin_is_added: Begin,
    leading_space: bool,
    chat_template: Option<String>,
}

/// Who puts the token of a text's beginning in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    /// Nobody.
    Nobody,
    /// We do.
    We,
    /// The post-processor of `tokenizer.json`, if it has such a step.
    PostProcessor,
}

impl Tokenizer {
    /// Builds the tokenizer of a file.
    ///
    /// # Errors
    /// When the file's is of another kind, or its tables contradict each other.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self, LoadError> {
        match metadata.get(keys::TOKENIZER) {
            Some(_) => Self::from_json(metadata),
            None => Self::from_tables(metadata),
        }
    }

    fn from_json(metadata: &Metadata) -> Result<Self, LoadError> {
        let built = huggingface::build(metadata.string(keys::TOKENIZER)?)?;
        let begin_is_added = match metadata.get("tokenizer.ggml.add_bos_token") {
            None => Begin::PostProcessor,
            Some(_) => begin_is_added(metadata)?,
        };
        Self {
            encoder: built.encoder,
            bytes: built.bytes,
            names: built.names,
            begin: None,
            end: None,
            ends: Vec::new(),
            begin_is_added,
            leading_space: built.leading_space,
            chat_template: None,
        }
        .with_marks(metadata)
    }

    fn from_tables(metadata: &Metadata) -> Result<Self, LoadError> {
        let kind = metadata.string("tokenizer.ggml.model")?;
        if kind != "gpt2" {
            return Err(LoadError::Unsupported {
                key: "tokenizer.ggml.model".into(),
                found: kind.into(),
                supported: "gpt2 (byte-level BPE) is supported",
            });
        }
        let names = metadata.strings("tokenizer.ggml.tokens")?.to_vec();
        let types = match metadata.get("tokenizer.ggml.token_type") {
            Some(_) => metadata.integers("tokenizer.ggml.token_type")?,
            None => vec![1; names.len()],
        };
        if types.len() != names.len() {
            return Err(LoadError::Tokenizer(format!(
                "{} tokens have {} types",
                names.len(),
                types.len()
            )));
        }
        Self {
            encoder: encoder(metadata, &names, &types)?,
            begin: None,
            end: None,
            ends: Vec::new(),
            begin_is_added: begin_is_added(metadata)?,
            leading_space: false,
            chat_template: None,
            bytes: names
                .iter()
                .zip(&types)
                .map(|(name, kind)| bytes(name, *kind))
                .collect(),
            names,
        }
        .with_marks(metadata)
    }

    /// Reads which tokens begin and end a text, and the chat template.
    fn with_marks(mut self, metadata: &Metadata) -> Result<Self, LoadError> {
        let count = self.names.len();
        let id = |key: &str| match metadata.get(key) {
            Some(_) => token_id(metadata.unsigned(key)?, key, count).map(Some),
            None => Ok(None),
        };
        self.begin = id("tokenizer.ggml.bos_token_id")?;
        self.end = id("tokenizer.ggml.eos_token_id")?;
        // The ends of a turn and of a message, where they are others than that of a text.
        let more = ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];
        let mut ends: Vec<u32> = self.end.into_iter().collect();
        for key in more {
            ends.extend(id(key)?.filter(|token| Some(*token) != self.end));
        }
        if metadata.get(keys::END_TOKENS).is_some() {
            for token in metadata.integers(keys::END_TOKENS)? {
                let token = token_id(token.cast_unsigned(), keys::END_TOKENS, count)?;
                ends.extend((!ends.contains(&token)).then_some(token));
            }
        }
        self.ends = ends;
        if metadata.get("tokenizer.chat_template").is_some() {
            self.chat_template = Some(metadata.string("tokenizer.chat_template")?.into());
        }
        Ok(self)
    }

    /// The tokens of a text. Names of control tokens in it become those tokens, which is how chat
    /// templates write them. `begin` puts the token of a text's beginning in front, if the model has
    /// texts begin so.
    ///
    /// # Errors
    /// When the text cannot be cut into words (a pattern that takes too many steps).
    pub fn encode(&self, text: &str, begin: bool) -> Result<Vec<u32>, String> {
        let processed = begin && self.begin_is_added == Begin::PostProcessor;
        // The crate panics where its matcher of expressions gives up.
        let encoding = catch_unwind(AssertUnwindSafe(|| self.encoder.encode_fast(text, processed)))
            .map_err(|_| "the tokenizer gave up on it".to_owned())?
            .map_err(|error| error.to_string())?;
        let first = self.begin.filter(|_| begin && self.begin_is_added == Begin::We);
        Ok(first.into_iter().chain(encoding.get_ids().iter().copied()).collect())
    }

    /// The bytes that a token stands for: part of a character at times, nothing for control tokens
    /// and for tokens that do not exist.
    pub fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], Vec::as_slice)
    }

    /// The name of a token in the vocabulary; empty if it does not exist.
    pub fn name(&self, token: u32) -> &str {
        self.names.get(token as usize).map_or("", String::as_str)
    }

    /// Number of tokens in the vocabulary.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether the vocabulary is empty.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The token of this name. Looks at all of them: for the start of a program, not for each request.
    pub fn find(&self, name: &str) -> Option<u32> {
        let index = self.names.iter().position(|own| own == name)?;
        u32::try_from(index).ok()
    }

    /// The token of a text's beginning.
    pub fn begin(&self) -> Option<u32> {
        self.begin
    }

    /// The token that ends the model's turn.
    pub fn end(&self) -> Option<u32> {
        self.end
    }

    /// All tokens that end an answer.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Whether a space is put in front of every text before it is cut into tokens, so that the first
    /// token's bytes begin with a space that is not of the text.
    pub fn leading_space(&self) -> bool {
        self.leading_space
    }

    /// The content of a `tokenizer.json` for this tokenizer.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn to_json(&self) -> Result<String, String> {
        let mut encoder = self.encoder.clone();
        if encoder.get_decoder().is_none() {
            // Only those from tables come without: their tokens are bytes.
            encoder.with_decoder(Some(ByteLevel::default()));
        }
        encoder.to_string(false).map_err(|error| error.to_string())
    }

    /// How the model wants conversations written down, in Jinja.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }
}

fn encoder(metadata: &Metadata, names: &[String], types: &[i64]) -> Result<tokenizers::Tokenizer, LoadError> {
    let failed = |error: tokenizers::Error| LoadError::Tokenizer(error.to_string());
    let pre = match metadata.get("tokenizer.ggml.pre") {
        Some(_) => metadata.string("tokenizer.ggml.pre")?,
        None => "gpt-2",
    };
    let (pre_tokenizer, ignore_merges) = pre_tokenizer::named(pre)?;
    let merges = metadata
        .strings("tokenizer.ggml.merges")?
        .iter()
        .map(|merge| match merge.split_once(' ') {
            Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
            None => Err(LoadError::Tokenizer(format!("the merge {merge:?} has no two parts"))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let vocabulary: ahash::AHashMap<String, u32> = names.iter().cloned().zip(0..).collect();
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .ignore_merges(ignore_merges)
        .build()
        .map_err(failed)?;
    let mut encoder = tokenizers::Tokenizer::new(model);
    encoder.with_pre_tokenizer(Some(pre_tokenizer));
    let of_type = |wanted: i64, special: bool| -> Vec<AddedToken> {
        let all = names.iter().zip(types).filter(|(_, kind)| **kind == wanted);
        all.map(|(name, _)| AddedToken::from(name.as_str(), special).normalized(false))
            .collect()
    };
    encoder.add_special_tokens(&of_type(CONTROL, true));
    encoder.add_tokens(&of_type(USER_DEFINED, false));
    Ok(encoder)
}

fn bytes(name: &str, kind: i64) -> Vec<u8> {
    match kind {
        CONTROL => Vec::new(),
        USER_DEFINED => name.into(),
        _ => bytes_of(name),
    }
}

fn token_id(value: u64, key: &str, tokens: usize) -> Result<u32, LoadError> {
    match u32::try_from(value) {
        Ok(id) if (id as usize) < tokens => Ok(id),
        _ => Err(LoadError::Tokenizer(format!(
            "{key} is {value}, there are {tokens} tokens"
        ))),
    }
}

fn begin_is_added(metadata: &Metadata) -> Result<Begin, LoadError> {
    let key = "tokenizer.ggml.add_bos_token";
    Ok(match metadata.get(key).is_some() && metadata.bool(key)? {
        true => Begin::We,
        false => Begin::Nobody,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use gguf::{Array, Value};
    use rstest::rstest;

    use super::*;

    /// A tokenizer of some letters, "he", "hel", " w", an end mark and the bytes of "é".
    pub(crate) fn small(changes: &[(&str, Value)]) -> Result<Tokenizer, LoadError> {
        let texts = |texts: &[&str]| Value::Array(Array::String(texts.iter().map(|text| (*text).into()).collect()));
        let tokens = [
            "<|end|>", "h", "e", "l", "o", "Ġ", "w", "he", "hel", "Ġw", "Ã", "©", "!",
        ];
        let mut types = vec![1; tokens.len()];
        types[0] = CONTROL;
        let mut metadata = vec![
            ("tokenizer.ggml.model", Value::String("gpt2".into())),
            ("tokenizer.ggml.pre", Value::String("gpt-2".into())),
            ("tokenizer.ggml.tokens", texts(&tokens)),
            ("tokenizer.ggml.token_type", Value::Array(Array::Signed(types))),
            ("tokenizer.ggml.merges", texts(&["h e", "he l", "Ġ w"])),
            ("tokenizer.ggml.eos_token_id", Value::Unsigned(0)),
            ("tokenizer.ggml.bos_token_id", Value::Unsigned(0)),
        ];
        metadata.retain(|(key, _)| changes.iter().all(|(changed, _)| changed != key));
        metadata.extend(changes.iter().cloned());
        let owned = metadata.into_iter().map(|(key, value)| (key.to_owned(), value));
        Tokenizer::from_metadata(&owned.collect())
    }

    #[test]
    fn merges_words_and_marks_become_tokens() {
        let tokenizer = small(&[]).unwrap();
        assert_eq!(
            tokenizer.encode("hello w<|end|>é", true).unwrap(),
            [8, 3, 4, 9, 0, 10, 11]
        );
        let bytes: Vec<u8> = [8, 3, 4, 9, 0, 10, 11]
            .iter()
            .flat_map(|t| tokenizer.bytes(*t).to_vec())
            .collect();
        assert_eq!(String::from_utf8(bytes).unwrap(), "hello wé");
        assert_eq!(
            (tokenizer.name(0), tokenizer.name(99), tokenizer.bytes(99)),
            ("<|end|>", "", &[][..])
        );
    }

    #[test]
    fn the_beginning_is_marked_where_the_model_has_it_so() {
        let tokenizer = small(&[("tokenizer.ggml.add_bos_token", Value::Bool(true))]).unwrap();
        assert_eq!(tokenizer.encode("h", true).unwrap(), [0, 1]);
        assert_eq!(tokenizer.encode("h", false).unwrap(), [1]);
    }

    #[rstest]
    #[case("tokenizer.ggml.model", Value::String("llama".into()), "byte-level BPE")]
    #[case("tokenizer.ggml.pre", Value::String("exotic".into()), "exotic")]
    #[case("tokenizer.ggml.eos_token_id", Value::Unsigned(13), "eos_token_id is 13")]
    #[case("tokenizer.ggml.token_type", Value::Array(Array::Signed(vec![1])), "have 1 types")]
    #[case("tokenizer.ggml.merges", Value::Array(Array::String(vec!["he".into()])), "no two parts")]
    #[case("tokenizer.ggml.merges", Value::Array(Array::String(vec!["h z".into()])), "failed to build the tokenizer")]
    fn tables_that_cannot_be_are_named(#[case] key: &str, #[case] value: Value, #[case] expected: &str) {
        let error = small(&[(key, value)]).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
