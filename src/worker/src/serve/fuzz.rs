//! What the fuzz targets of the worker do with an input.

use std::sync::{Arc, LazyLock};

use engine::{TokenMask, text::Tokenizer};
use gguf::{Array, Value as Meta};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

pub use super::api::fuzz::body;
use super::{
    chat_template::{Call, ChatTemplate, Function, Message},
    constraint::{Constraints, Grammar},
    tools::Tool,
};

/// Tokens of an answer.
const ANSWER: usize = 64;

/// Compiles a chat template and writes conversations with it.
pub fn chat_template(input: &[u8]) {
    let Ok(source) = str::from_utf8(input) else { return };
    let Ok(template) = ChatTemplate::new(source.into(), ["<s>", "</s>"]) else {
        return;
    };
    let mut call = Message::new("assistant", "");
    call.tool_calls.push(Call {
        id: "call_1".into(),
        kind: "function",
        function: Function {
            name: "weather".into(),
            arguments: json!({"city": "Kraków", "days": 3, "units": null}),
        },
    });
    let tool = Tool {
        name: "weather".into(),
        description: Some("Tells <the> weather.".into()),
        parameters: json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}),
        strict: false,
    };
    let messages = vec![
        Message::new("system", "Be brief."),
        Message::new("user", "Weather?\n{{ 7 * 7 }}"),
        call,
        Message::new("tool", "Rain."),
        Message::new("assistant", "It rains."),
        Message::new("user", "Thanks."),
    ];
    // It may refuse either.
    let _ = template.render(messages[..2].to_vec(), &[]);
    let _ = template.render(messages, &[tool]);
}

/// Compiles a grammar, whose kind the first byte tells, and writes an answer with it.
pub fn constraint(input: &[u8]) {
    let Some((kind, input)) = input.split_first() else {
        return;
    };
    let Ok(text) = str::from_utf8(input) else { return };
    let grammar = match kind {
        b'j' => serde_json::from_str(text).map(Grammar::JsonSchema),
        b'c' => serde_json::from_str(text).map(Grammar::Choice),
        b'r' => Ok(Grammar::Regex(text.into())),
        b'l' => Ok(Grammar::Lark(text.into())),
        _ => return,
    };
    if let Ok(grammar) = grammar {
        answer(grammar);
    }
}

/// Writes an answer of the form that `grammar` asks for.
pub(super) fn answer(grammar: Grammar) {
    static TOKENIZER: LazyLock<Arc<Tokenizer>> = LazyLock::new(tokenizer);
    static CONSTRAINTS: LazyLock<Constraints> = LazyLock::new(|| Constraints::new(TOKENIZER.clone()));
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let mut runtime = Builder::new_current_thread();
        runtime.enable_time().build().expect("the system has a clock")
    });
    let tokens = TOKENIZER.len();
    let Ok(mut constraint) = RUNTIME.block_on(CONSTRAINTS.compile(grammar)) else {
        return;
    };
    for step in 0..ANSWER {
        let mut mask = TokenMask::new(tokens);
        if constraint.is_complete() || constraint.mask(&mut mask).is_err() {
            return;
        }
        let allowed: Vec<u32> = (0..tokens as u32).filter(|token| mask.allows(*token)).collect();
        let Some(token) = allowed.get(step * 7 % allowed.len().max(1)) else {
            return;
        };
        if Some(*token) == TOKENIZER.end() || constraint.accept(*token).is_err() {
            return;
        }
    }
}

/// The printable ASCII characters, a few words, and an end mark, which comes first.
///
/// # Panics
/// Never: all of it is given.
pub(crate) fn tokenizer() -> Arc<Tokenizer> {
    let texts = |texts: Vec<String>| Meta::Array(Array::String(texts));
    let mut tokens = vec!["<|end|>".to_owned(), "Ġ".into(), "Ċ".into()];
    tokens.extend(('!'..='~').map(String::from));
    tokens.extend(["{\"", "\":", "\",", "tr"].map(Into::into));
    let mut types = vec![1; tokens.len()];
    types[0] = 3;
    let merges = ["{ \"", "\" :", "\" ,", "t r"].map(Into::into);
    let metadata = [
        ("tokenizer.ggml.model", Meta::String("gpt2".into())),
        ("tokenizer.ggml.pre", Meta::String("gpt-2".into())),
        ("tokenizer.ggml.token_type", Meta::Array(Array::Signed(types))),
        ("tokenizer.ggml.tokens", texts(tokens)),
        ("tokenizer.ggml.merges", texts(merges.into())),
        ("tokenizer.ggml.eos_token_id", Meta::Unsigned(0)),
    ];
    let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value));
    Arc::new(Tokenizer::from_metadata(&metadata.collect()).expect("the vocabulary is whole"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;

    /// Seeds, and inputs that once failed.
    #[rstest]
    #[case("chat_template", chat_template)]
    #[case("constraint", constraint)]
    #[case("body", body)]
    fn the_corpus_is_harmless(#[case] target: &str, #[case] run: fn(&[u8])) {
        let mut files = fs::read_dir(format!("../fuzz/corpus/{target}")).unwrap().peekable();
        assert!(files.peek().is_some());
        for file in files {
            run(&fs::read(file.unwrap().path()).unwrap());
        }
    }
}
