use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// The pieces of an answer that comes in parts of so many bytes; "+" marks calls.
fn pieces(style: Style, answer: &str, part: usize) -> Vec<String> {
    let mut parser = Parser::new(style, vec!["f".into(), "g".into()]);
    let mut pieces = Vec::new();
    let mut rest = answer;
    while !rest.is_empty() {
        let mut length = part.min(rest.len());
        while !rest.is_char_boundary(length) {
            length += 1;
        }
        let (now, later) = rest.split_at(length);
        pieces.extend(parser.push(now));
        rest = later;
    }
    pieces.extend(parser.finish());
    let mut merged: Vec<String> = Vec::new();
    let mut was_text = false;
    for piece in pieces {
        let is_text = matches!(piece, Piece::Text(_));
        match (piece, merged.last_mut()) {
            (Piece::Text(text), Some(last)) if was_text => last.push_str(&text),
            (Piece::Text(text), _) => merged.push(text),
            (Piece::Call(call), _) => merged.push(format!("+{}{}", call.name, call.arguments)),
        }
        was_text = is_text;
    }
    merged
}

const CALL: &str = r#"<tool_call>{"name": "f", "arguments": {"a": "é}"}}</tool_call>"#;
const LONG: &str = r#"<tool_call>
{"name": "g", "arguments": {"text": "</tool_call> is no end of a text that is longer than others"}}
</tool_call>"#;

#[rstest]
#[case(Style::Hermes, "Just <b>text</b>.\n", &["Just <b>text</b>.\n"])]
#[case(Style::Hermes, CALL, &[r#"+f{"a":"é}"}"#])]
#[case(Style::Hermes, LONG, &[r#"+g{"text":"</tool_call> is no end of a text that is longer than others"}"#])]
#[case(Style::Hermes, "Hm.\n<tool_call>\n{\"name\":\"f\",\"arguments\":{}}\n</tool_call>\n<tool_call>{\"name\":\"g\",\"arguments\":\"{}\"}", &["Hm.", "+f{}", "+g{}"])]
#[case(Style::Hermes, "<tool_call>{\"name\": \"h\", \"arguments\": {}}</tool_call>", &["<tool_call>{\"name\": \"h\", \"arguments\": {}}</tool_call>"])]
#[case(Style::Hermes, "<tool_call>{\"name\": \"f\"}</tool_call>!", &["<tool_call>{\"name\": \"f\"}</tool_call>!"])]
#[case(Style::Hermes, "<tool_call>{\"name\": oops", &["<tool_call>{\"name\": oops"])]
#[case(Style::Hermes, "<tool_call><tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>", &["<tool_call>", "+f{}"])]
#[case(Style::Hermes, "a <tool_", &["a <tool_"])]
#[case(Style::Mistral, r#"[TOOL_CALLS][{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {}}]"#, &[r#"+f{"a":1}"#, "+g{}"])]
#[case(Style::Mistral, r#"Yes. [TOOL_CALLS]f[ARGS]{"a": [1]}[TOOL_CALLS]g[CALL_ID]x1[ARGS]{}"#, &["Yes.", r#"+f{"a":[1]}"#, "+g{}"])]
#[case(Style::Mistral, "[TOOL_CALLS][]", &["[TOOL_CALLS][]"])]
#[case(Style::Mistral, "[TOOL_CALLS]", &["[TOOL_CALLS]"])]
#[case(Style::Mistral, "[TOOL_CALLS] what?\nno", &["[TOOL_CALLS] what?\nno"])]
#[case(Style::Llama, r#"{"name": "f", "parameters": {"a": null}}"#, &[r#"+f{"a":null}"#])]
#[case(Style::Llama, "<|python_tag|>{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {}}", &["+f{}", "+g{}"])]
#[case(Style::Llama, r#"{"answer": 4}"#, &[r#"{"answer": 4}"#])]
#[case(Style::Llama, r#"It is {"name": "f", "parameters": {}}"#, &[r#"It is {"name": "f", "parameters": {}}"#])]
#[case(Style::Llama, "<|pyth", &["<|pyth"])]
#[case(Style::Llama, "{ or not", &["{ or not"])]
fn answers_come_apart_however_they_come(#[case] style: Style, #[case] answer: &str, #[case] expected: &[&str]) {
    for part in [1, 2, 3, 7, 20, 1000] {
        assert_eq!(pieces(style, answer, part), expected, "in parts of {part}");
    }
}

#[test]
fn text_is_not_held_back_for_nothing() {
    let mut parser = Parser::new(Style::Hermes, vec!["f".into()]);
    assert_eq!(parser.push("a < b"), [Piece::Text("a < b".into())]);
    assert_eq!(parser.push(" <"), []);
    assert_eq!(parser.push("i>"), [Piece::Text(" <i>".into())]);
    let mut parser = Parser::new(Style::Llama, vec!["f".into()]);
    assert_eq!(parser.push("Hello"), [Piece::Text("Hello".into())]);
}

proptest! {
    #[test]
    fn nothing_panics_and_nothing_is_lost(
        style in prop_oneof![Just(Style::Hermes), Just(Style::Mistral), Just(Style::Llama)],
        parts in prop::collection::vec(prop_oneof![
            Just("<tool_call>".to_owned()), Just("</tool_call>".into()), Just("[TOOL_CALLS]".into()),
            Just("[ARGS]".into()), Just("<|python_tag|>".into()), Just("{\"name\": \"f\"".into()),
            Just(", \"arguments\": {}}".into()), Just("[".into()), Just("]".into()), Just(";".into()),
            Just("f".into()), "[ -~é\\n]{0,5}",
        ], 0..12),
    ) {
        let mut parser = Parser::new(style, vec!["f".into()]);
        let mut all: Vec<Piece> = parts.iter().flat_map(|part| parser.push(part)).collect();
        all.extend(parser.finish());
        if all.iter().all(|piece| matches!(piece, Piece::Text(_))) {
            let text: String = all.into_iter().map(|piece| match piece {
                Piece::Text(text) => text,
                Piece::Call(_) => String::new(),
            }).collect();
            prop_assert_eq!(text, parts.concat());
        }
    }
}
