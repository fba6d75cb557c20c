//! The files around `tokenizer.json`: which tokens begin and end a text, and the chat template.

use std::path::Path;

use gguf::{Array, Value};
use serde_json::Value as Json;

use crate::config::{Config, Entries};
use crate::json::{self, Settings};
use crate::tokenizer_json::TokenizerJson;
use crate::{Error, keys};

/// The tokenizer itself.
pub(crate) const TOKENIZER: &str = "tokenizer.json";
/// Settings of the class around it.
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// Names of the special tokens, in older models.
pub(crate) const SPECIAL_TOKENS: &str = "special_tokens_map.json";
/// What ends an answer.
pub(crate) const GENERATION_CONFIG: &str = "generation_config.json";
/// The chat template, in newer models.
pub(crate) const CHAT_TEMPLATE: &str = "chat_template.jinja";
/// Largest chat template, in bytes.
const MAX_TEMPLATE: u64 = 1 << 20;
/// Most tokens that can end an answer.
const MAX_ENDS: usize = 64;

/// Metadata of the tokenizer.
pub(crate) fn read(dir: &Path, config: &Config) -> Result<Entries, Error> {
    let file = dir.join(TOKENIZER);
    let Some(text) = json::text(&file, TokenizerJson::MAX_BYTES)? else {
        let advice = "write it with `AutoTokenizer.from_pretrained(…).save_pretrained(…)` of transformers";
        return Err(Error::missing(&file, advice));
    };
    let tokenizer = TokenizerJson::check(&text).map_err(|why| Error::invalid(&file, "the tokenizer", why))?;
    if u64::from(tokenizer.tokens) > config.vocabulary_size {
        let why = format!(
            "its {} tokens do not fit the {} of vocab_size in config.json",
            tokenizer.tokens, config.vocabulary_size
        );
        return Err(Error::invalid(&file, "the vocabulary", why));
    }
    let mut metadata = vec![(keys::TOKENIZER.to_owned(), Value::String(text))];
    let settings = Settings::find(dir, TOKENIZER_CONFIG)?;
    let older = Settings::find(dir, SPECIAL_TOKENS)?;
    let mark = |field: &str| -> Result<Option<u64>, Error> {
        for settings in [&settings, &older].into_iter().flatten() {
            if let Some(name) = mark_name(settings, field)? {
                let id = tokenizer.added(&name).map(u64::from);
                return id.map(Some).ok_or_else(|| {
                    settings.invalid(field, format!("{name:?} is not among the added tokens of {TOKENIZER}"))
                });
            }
        }
        Ok(None)
    };
    let begin = mark("bos_token")?;
    let mut ends = ends(dir, config)?;
    let end = mark("eos_token")?.or(ends.first().copied());
    ends.extend(end.filter(|end| !ends.contains(end)));

    let mut id = |key: &str, id: Option<u64>| {
        metadata.extend(id.map(|id| (format!("tokenizer.ggml.{key}_token_id"), Value::Unsigned(id))));
    };
    id("bos", begin);
    id("eos", end);
    if !ends.is_empty() {
        metadata.push((keys::END_TOKENS.into(), Value::Array(Array::Unsigned(ends))));
    }
    if let Some(settings) = &settings
        && let Some(added) = settings.flag("add_bos_token")?
    {
        metadata.push((
            "tokenizer.ggml.add_bos_token".into(),
            Value::Bool(added && begin.is_some()),
        ));
    }
    if let Some(template) = chat_template(dir, settings.as_ref())? {
        metadata.push(("tokenizer.chat_template".into(), Value::String(template)));
    }
    Ok(metadata)
}

/// The longest text that the tokenizer's settings allow; they write a huge number for no limit.
pub(crate) fn longest(dir: &Path) -> Result<Option<u64>, Error> {
    let Some(settings) = Settings::find(dir, TOKENIZER_CONFIG)? else {
        return Ok(None);
    };
    let length = settings.float("model_max_length")?;
    Ok(length
        .filter(|length| (1.0..1e9).contains(length))
        .map(|length| length as u64))
}

/// A mark is written as its name, or as an object with it.
fn mark_name(settings: &Settings, field: &str) -> Result<Option<String>, Error> {
    match settings.get(field) {
        None => Ok(None),
        Some(Json::String(name)) => Ok(Some(name.clone())),
        Some(other) => match other["content"].as_str() {
            Some(name) => Ok(Some(name.into())),
            None => Err(settings.invalid(field, "expected a token's name")),
        },
    }
}

/// Tokens that end an answer, from the settings of generation or else of the network.
fn ends(dir: &Path, config: &Config) -> Result<Vec<u64>, Error> {
    let generation = Settings::find(dir, GENERATION_CONFIG)?;
    let field = "eos_token_id";
    for settings in generation.iter().chain([&config.settings]) {
        let listed = match settings.get(field) {
            None => continue,
            Some(Json::Array(listed)) => listed.iter().collect(),
            Some(one) => vec![one],
        };
        let token = |token: &Json| token.as_u64().filter(|token| *token < config.vocabulary_size);
        let tokens: Option<Vec<u64>> = listed.into_iter().map(token).collect();
        return tokens.filter(|tokens| tokens.len() <= MAX_ENDS).ok_or_else(|| {
            let expected = format!("expected up to {MAX_ENDS} tokens below {}", config.vocabulary_size);
            settings.invalid(field, expected)
        });
    }
    Ok(Vec::new())
}

fn chat_template(dir: &Path, settings: Option<&Settings>) -> Result<Option<String>, Error> {
    if let Some(template) = json::text(&dir.join(CHAT_TEMPLATE), MAX_TEMPLATE)? {
        return Ok(Some(template));
    }
    let Some(settings) = settings else { return Ok(None) };
    let field = "chat_template";
    match settings.get(field) {
        None => Ok(None),
        Some(Json::String(template)) => Ok(Some(template.clone())),
        // Several templates by name: the plain one.
        Some(Json::Array(templates)) => {
            let default = templates.iter().find(|template| template["name"] == "default");
            Ok(default
                .and_then(|template| template["template"].as_str())
                .map(Into::into))
        }
        Some(_) => Err(settings.invalid(field, "expected a template or a list of named ones")),
    }
}
