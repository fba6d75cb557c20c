//! Logprobs in OpenAI's two shapes.

use engine::{TokenLogprob, TokenLogprobs, text::Tokenizer};
use serde_json::{Map, Value, json};

/// Most of the likeliest tokens that a request may ask for.
pub const MAX_TOP: u64 = 20;

/// What a token looks like: its text, or its name where it has none.
pub fn token_text(tokenizer: &Tokenizer, token: u32) -> String {
    match tokenizer.bytes(token) {
        [] => tokenizer.name(token).into(),
        bytes => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// One entry of a chat answer's `logprobs.content`.
pub fn chat_entry(tokenizer: &Tokenizer, logprobs: &TokenLogprobs) -> Value {
    let entry = |one: &TokenLogprob| {
        json!({
            "token": token_text(tokenizer, one.token),
            "logprob": one.logprob,
            "bytes": tokenizer.bytes(one.token),
        })
    };
    let mut value = entry(&logprobs.chosen);
    value["top_logprobs"] = logprobs.top.iter().map(entry).collect();
    value
}

/// The `logprobs` of a completion, token by token.
#[derive(Debug, Default)]
pub struct Legacy {
    tokens: Vec<String>,
    token_logprobs: Vec<Option<f32>>,
    top_logprobs: Vec<Value>,
    text_offset: Vec<usize>,
}

impl Legacy {
    /// Adds a token whose text begins at `offset`, and moves `offset` to its end. `logprobs` are
    /// unknown for the first token of a prompt.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: u32, logprobs: Option<&TokenLogprobs>, offset: &mut usize) {
        let text = token_text(tokenizer, token);
        self.text_offset.push(*offset);
        *offset += text.chars().count();
        self.tokens.push(text);
        self.token_logprobs
            .push(logprobs.map(|logprobs| logprobs.chosen.logprob));
        self.top_logprobs.push(logprobs.map_or(Value::Null, |logprobs| {
            let top = logprobs.top.iter();
            let entries: Map<String, Value> = top
                .map(|one| (token_text(tokenizer, one.token), one.logprob.into()))
                .collect();
            entries.into()
        }));
    }

    /// As it stands in an answer.
    pub fn into_value(self) -> Value {
        json!({
            "tokens": self.tokens,
            "token_logprobs": self.token_logprobs,
            "top_logprobs": self.top_logprobs,
            "text_offset": self.text_offset,
        })
    }
}
