//! The grammar of answers that call tools.

use engine::text::Tokenizer;
use serde_json::json;

use super::{Style, Tool, hermes, mistral};
use crate::serve::constraint::{Grammar, lark_schema, lark_text};

/// Most calls of one answer: a model that cannot stop would go on for ever.
const MAX_CALLS: usize = 16;

/// The calls that an answer may have.
pub struct Calls<'a> {
    /// What can be called.
    pub tools: &'a [&'a Tool],
    /// Whether there may be several.
    pub parallel: bool,
    /// Whether there must be one, and nothing else.
    pub must: bool,
}

impl Calls<'_> {
    /// Answers with these calls by a model that writes in `style`.
    pub fn grammar(&self, style: Style, tokenizer: &Tokenizer) -> Grammar {
        let most = if self.parallel { MAX_CALLS } else { 1 };
        let more = |separator: &str, what: &str| match most - 1 {
            0 => String::new(),
            more => format!(" ({separator} {what}){{0,{more}}}"),
        };
        let start = match (style, self.must) {
            (Style::Hermes, true) => {
                let (open, close) = (mark(tokenizer, hermes::OPEN), mark(tokenizer, hermes::CLOSE));
                let more = more("\"\\n\"", "call");
                format!("start: call{more}\ncall: {open} \"\\n\" body \"\\n\" {close}")
            }
            (Style::Hermes, false) => {
                let (text, before) = text(tokenizer, hermes::OPEN);
                let close = mark(tokenizer, hermes::CLOSE);
                format!("start: call{{0,{most}}} TEXT\ncall: {before} \"\\n\" body \"\\n\" {close}\n{text}")
            }
            (Style::Mistral, true) => {
                let open = mark(tokenizer, mistral::OPEN);
                let more = more("\", \"", "body");
                format!("start: {open} \"[\" body{more} \"]\"")
            }
            (Style::Mistral, false) => {
                let (text, before) = text(tokenizer, mistral::OPEN);
                let more = more("\", \"", "body");
                format!("start: TEXT | calls\ncalls: {before} \"[\" body{more} \"]\"\n{text}")
            }
            // Llama 3 calls one tool at a time, at once or never.
            (Style::Llama, true) => "start: body".into(),
            (Style::Llama, false) => "start: body | TEXT\nTEXT: /[^{<\\s](?s:.*)/".into(),
        };
        let names: Vec<String> = (0..self.tools.len()).map(|index| format!("tool{index}")).collect();
        let mut grammar = format!("{start}\nbody: {}\n", names.join(" | "));
        for (index, tool) in self.tools.iter().enumerate() {
            grammar.push_str(&self.call(style, index, tool));
        }
        Grammar::Lark(grammar)
    }

    fn call(&self, style: Style, index: usize, tool: &Tool) -> String {
        let key = match style {
            Style::Llama => "parameters",
            Style::Hermes | Style::Mistral => "arguments",
        };
        let head = format!("{{\"name\": {}, \"{key}\": ", lark_text(&tool.name));
        let arguments = match self.must || tool.strict {
            true => lark_schema(&tool.parameters),
            false => lark_schema(&json!({"type": "object"})),
        };
        let head = lark_text(&head);
        format!("tool{index}: {head} args{index} \"}}\"\nargs{index}: {arguments}\n")
    }
}

/// A mark as a token of its own where the vocabulary has it as one that is no text.
fn mark(tokenizer: &Tokenizer, mark: &str) -> String {
    match token(tokenizer, mark) {
        Some(token) => format!("<[{token}]>"),
        None => lark_text(mark),
    }
}

fn token(tokenizer: &Tokenizer, mark: &str) -> Option<u32> {
    tokenizer.find(mark).filter(|token| tokenizer.bytes(*token).is_empty())
}

/// Rules for text without a mark, `TEXT`, and what stands for text up to and including one.
fn text(tokenizer: &Tokenizer, mark: &str) -> (String, String) {
    match token(tokenizer, mark) {
        Some(token) => ("TEXT: /(?s:.*)/".into(), format!("TEXT <[{token}]>")),
        None => {
            let mark = mark.replace('[', "\\[").replace(']', "\\]");
            let rules =
                format!("TEXT: /(?s:.*)/ & ~/(?s:.*){mark}(?s:.*)/\nbefore[lazy]: BEFORE\nBEFORE: /(?s:.*){mark}/");
            (rules, "before".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::Value;

    use super::*;
    use crate::serve::{
        constraint::tests::{compile, draw, tokenizer},
        tools::{Parser, Piece, ToolCall},
    };

    fn tool(name: &str, strict: bool) -> Tool {
        Tool {
            name: name.into(),
            description: None,
            parameters: json!({
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/small"}},
                "required": ["a"],
                "additionalProperties": false,
                "$defs": {"small": {"type": "integer", "minimum": 0, "maximum": 9}},
            }),
            strict,
        }
    }

    fn check(call: &ToolCall) {
        assert!(["f", "g"].contains(&call.name.as_str()));
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
        assert!(arguments["a"].as_u64().is_some_and(|a| a < 10), "{call:?}");
    }

    #[rstest]
    #[tokio::test]
    async fn what_must_call_is_read_as_calls(
        #[values(Style::Hermes, Style::Mistral, Style::Llama)] style: Style,
        #[values(true, false)] parallel: bool,
    ) {
        let calls = Calls {
            tools: &[&tool("f", false), &tool("g", false)],
            parallel,
            must: true,
        };
        let constraint = compile(calls.grammar(style, &tokenizer())).await.unwrap();
        for seed in 0..10 {
            let text = draw(constraint.clone(), seed).unwrap();
            let mut parser = Parser::new(style, vec!["f".into(), "g".into()]);
            let pieces = [parser.push(&text), parser.finish()].concat();
            assert!(!pieces.is_empty() && (parallel || pieces.len() == 1), "{text}");
            for piece in pieces {
                let Piece::Call(call) = piece else { panic!("{text}") };
                check(&call);
            }
        }
    }

    #[rstest]
    #[case(
        Style::Hermes,
        "Hm <b>. <tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\"",
        ":7}}\n</tool_call>"
    )]
    #[case(Style::Mistral, "Hm.[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\"", ":7}}]")]
    #[case(Style::Llama, "{\"name\": \"f\", \"parameters\": {\"a\"", ":7}}")]
    #[tokio::test]
    async fn strict_calls_among_text_keep_to_the_schema(#[case] style: Style, #[case] call: &str, #[case] rest: &str) {
        let calls = Calls {
            tools: &[&tool("f", true), &tool("g", false)],
            parallel: true,
            must: false,
        };
        let tokenizer = tokenizer();
        let grammar = compile(calls.grammar(style, &tokenizer)).await.unwrap();
        let follow = |text: &str| {
            let mut constraint = grammar.clone();
            let tokens = tokenizer.encode(text, false).unwrap();
            tokens.iter().try_for_each(|token| {
                let mut mask = engine::TokenMask::new(tokenizer.len());
                constraint.mask(&mut mask)?;
                match mask.allows(*token) {
                    true => constraint.accept(*token),
                    false => Err(format!("no {:?} in {text:?}", tokenizer.name(*token))),
                }
            })
        };
        assert_eq!(follow("Just text, and <more> of it."), Ok(()));
        assert_eq!(follow(&format!("{call}{rest}")), Ok(()));
        assert!(follow(&format!("{call}:true")).is_err());
        assert!(follow(&format!("{call},\"b\":1")).is_err());
        // The other one may have anything.
        let other = call.replace("\"f\"", "\"g\"");
        assert_eq!(follow(&format!("{other}:true")), Ok(()));
    }
}
