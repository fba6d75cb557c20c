//! What the fuzz target `body` does with an input.

use serde_json::{Map, Value};

use super::{
    chat::{messages, tools},
    completions,
    constraint::Form,
    encode::{input, rerank},
    fields::Fields,
    sampling::Options,
};
use crate::serve::{
    chat_template::ChatTemplate,
    fuzz::{answer, tokenizer},
    tools::{Calls, Style, Tool},
};

/// Tokens that the model knows.
const VOCABULARY: usize = 128;
/// Writes messages and calls down; tools are told in the system message.
const TEMPLATE: &str = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ m.tool_calls|tojson }}\n{% endfor %}";

/// Reads the body of a request as each of the routes does.
pub fn body(input: &[u8]) {
    let Ok(Value::Object(body)) = serde_json::from_slice(input) else {
        return;
    };
    let fields = Fields::new(&body);
    if let Ok(options) = Options::read(fields, VOCABULARY) {
        options.sampling_of(options.answers);
    }
    if let Ok(Some(form)) = Form::read(fields) {
        answer(form.grammar);
    }
    chat(&body);
    // Each may refuse the body.
    let _ = completions::prompts_of(fields);
    let _ = input::read(fields);
    let _ = rerank::documents(fields);
}

/// Writes a conversation down, and makes the grammar of its calls.
fn chat(body: &Map<String, Value>) {
    let fields = Fields::new(body);
    let (messages, tools) = (messages::read(fields), tools::read(fields));
    let Ok(tools) = tools else { return };
    if let (Ok(messages), Ok(template)) = (messages, ChatTemplate::new(TEMPLATE.into(), ["", ""])) {
        let _ = template.render(messages, tools.offered());
    }
    let callable: Vec<&Tool> = tools.offered().iter().collect();
    if callable.is_empty() {
        return;
    }
    for style in [Style::Hermes, Style::Mistral, Style::Llama] {
        let calls = Calls {
            tools: &callable,
            parallel: tools.parallel,
            must: style == Style::Mistral,
        };
        answer(calls.grammar(style, &tokenizer()));
    }
}
