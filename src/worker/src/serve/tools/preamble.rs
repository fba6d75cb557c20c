//! Tools for models whose chat template does not know them: the system message tells of them, and
//! calls and results are written down as text, as Hermes and Qwen have it.

use super::{Tool, hermes};
use crate::serve::chat_template::Message;

/// The same conversation without anything that a simple template does not know.
pub fn without_tools(messages: Vec<Message>, tools: &[Tool]) -> Vec<Message> {
    let mut plain: Vec<Message> = Vec::with_capacity(messages.len() + 1);
    let mut after_result = false;
    for mut message in messages {
        let is_result = message.role == "tool";
        if is_result {
            message.content = format!("<tool_response>\n{}\n</tool_response>", message.content);
            message.role = "user".into();
            message.tool_call_id = None;
        }
        for call in std::mem::take(&mut message.tool_calls) {
            if !message.content.is_empty() {
                message.content.push('\n');
            }
            let call = format!(
                "{{\"name\": {}, \"arguments\": {}}}",
                serde_json::Value::from(call.function.name),
                call.function.arguments
            );
            message
                .content
                .push_str(&format!("{}\n{call}\n{}", hermes::OPEN, hermes::CLOSE));
        }
        match plain.last_mut() {
            // Roles alternate: results of several calls are one message.
            Some(last) if is_result && after_result => {
                last.content.push('\n');
                last.content.push_str(&message.content);
            }
            _ => plain.push(message),
        }
        after_result = is_result;
    }
    if !tools.is_empty() {
        let text = preamble(tools);
        match plain.first_mut().filter(|first| first.role == "system") {
            Some(system) => system.content = format!("{}\n\n{text}", system.content),
            None => plain.insert(0, Message::new("system", &text)),
        }
    }
    plain
}

fn preamble(tools: &[Tool]) -> String {
    let tools: Vec<String> = tools.iter().map(|tool| tool.for_template().to_string()).collect();
    format!(
        "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n\
         You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n{}\n</tools>\n\n\
         For each function call, return a json object with function name and arguments within {open}{close} \
         XML tags:\n{open}\n{{\"name\": <function-name>, \"arguments\": <args-json-object>}}\n{close}",
        tools.join("\n"),
        open = hermes::OPEN,
        close = hermes::CLOSE,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::serve::chat_template::{Call, Function};

    #[test]
    fn calls_and_results_become_text() {
        let tool = Tool {
            name: "add".into(),
            description: None,
            parameters: json!({"type": "object"}),
            strict: false,
        };
        let mut asks = Message::new("assistant", "One moment.");
        asks.tool_calls.push(Call {
            id: "c1".into(),
            kind: "function",
            function: Function {
                name: "add".into(),
                arguments: json!({"a": 1}),
            },
        });
        let results = ["2", "3"].map(|result| Message::new("tool", result));
        let conversation = [vec![Message::new("user", "1 + 1?"), asks], results.into()].concat();
        let plain = without_tools(conversation, &[tool]);
        let roles: Vec<&str> = plain.iter().map(|message| message.role.as_str()).collect();
        assert_eq!(roles, ["system", "user", "assistant", "user"]);
        assert!(
            plain[0]
                .content
                .contains(r#"{"type":"function","function":{"name":"add""#),
            "{plain:?}"
        );
        assert_eq!(
            plain[2].content,
            "One moment.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\":1}}\n</tool_call>"
        );
        assert_eq!(
            plain[3].content,
            "<tool_response>\n2\n</tool_response>\n<tool_response>\n3\n</tool_response>"
        );
        assert!(plain.iter().all(|message| message.tool_calls.is_empty()));
    }
}
