//! Whether an answer has the format that was asked for.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::answer::{Answer, ToolCall};

/// Longest schema that is compiled, in bytes. Of a longer one nothing is checked but that the answer is JSON.
const MAX_SCHEMA: usize = 256 << 10;

/// What a request asks of the form of its answer.
#[derive(Debug, Default)]
pub struct Format {
    text: Option<Text>,
    /// The functions that may be called, with the schema of their arguments.
    tools: Vec<(String, Option<Validator>)>,
}

#[derive(Debug)]
enum Text {
    /// `response_format: {type: json_object}`.
    Object,
    /// `response_format: {type: json_schema}`; without validator where the schema cannot be used.
    Schema(Option<Box<Validator>>),
}

impl Format {
    /// What a request asks for.
    pub fn of(request: &Value) -> Self {
        let format = request.get("response_format").unwrap_or(&Value::Null);
        let text = match format.get("type").and_then(Value::as_str) {
            Some("json_object") => Some(Text::Object),
            Some("json_schema") => {
                let schema = format.pointer("/json_schema/schema");
                Some(Text::Schema(schema.and_then(compile).map(Box::new)))
            }
            _ => None,
        };
        let tools = request.get("tools").and_then(Value::as_array);
        let tools = tools.into_iter().flatten().filter_map(|tool| {
            let function = tool.get("function")?;
            let name = function.get("name")?.as_str()?.to_owned();
            Some((name, function.get("parameters").and_then(compile)))
        });
        Self {
            text,
            tools: tools.collect(),
        }
    }

    /// Whether there are tools that an answer may call.
    pub fn offers_tools(&self) -> bool {
        !self.tools.is_empty()
    }

    /// Whether anything can be told about two answers, one of which is finished: JSON was asked for, or one of them
    /// calls a tool.
    pub fn applies_to(&self, answers: [&Answer; 2]) -> bool {
        self.text.is_some() || answers.iter().any(|answer| !answer.tool_calls.is_empty())
    }

    /// Whether the answer is what was asked for: calls are of tools that were offered, with arguments that are JSON and
    /// hold their schema; without calls, the whole text is JSON and holds the schema where one was asked for.
    pub fn holds(&self, answer: &Answer) -> bool {
        if !answer.is_finished() {
            return false;
        }
        if !answer.tool_calls.is_empty() {
            return answer.tool_calls.iter().all(|call| self.is_call(call));
        }
        let Some(text) = &self.text else { return true };
        let Ok(value) = serde_json::from_str::<Value>(&answer.text) else {
            return false;
        };
        match text {
            Text::Object => value.is_object(),
            Text::Schema(schema) => schema.as_ref().is_none_or(|schema| schema.is_valid(&value)),
        }
    }

    fn is_call(&self, call: &ToolCall) -> bool {
        let Some((_, schema)) = self.tools.iter().find(|(name, _)| *name == call.name) else {
            return false;
        };
        // A function without parameters may be called with nothing at all.
        let arguments = match call.arguments.trim() {
            "" => "{}",
            arguments => arguments,
        };
        let value = serde_json::from_str::<Value>(arguments);
        value.is_ok_and(|value| value.is_object() && schema.as_ref().is_none_or(|schema| schema.is_valid(&value)))
    }
}

/// Whether two answers call the same tools with the same arguments, in the same order; arguments are compared as JSON.
pub fn same_calls(one: &Answer, other: &Answer) -> bool {
    let key = |call: &ToolCall| (call.name.clone(), call.canonical_arguments());
    one.tool_calls.iter().map(key).eq(other.tool_calls.iter().map(key))
}

/// A validator of a schema that strangers wrote: references elsewhere are not followed, and patterns are matched in
/// linear time. `None` where the schema is not one.
fn compile(schema: &Value) -> Option<Validator> {
    if schema.to_string().len() > MAX_SCHEMA {
        return None;
    }
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    options.build(schema).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::answer::{
        Failure,
        testing::{called, said},
    };

    fn with_schema(schema: Value) -> Format {
        Format::of(&json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}))
    }

    #[rstest]
    #[case("{\"a\": 1}", true)]
    #[case(" {\"a\": 1}\n", true)]
    #[case("{\"a\": 1", false)]
    #[case("```json\n{\"a\": 1}\n```", false)]
    #[case("Sure! {\"a\": 1}", false)]
    #[case("[1]", false)]
    #[case("", false)]
    #[case("{\"a\": NaN}", false)]
    fn an_object_is_one_as_a_whole(#[case] text: &str, #[case] expected: bool) {
        let format = Format::of(&json!({"response_format": {"type": "json_object"}}));
        assert_eq!(format.holds(&said(text)), expected);
    }

    #[rstest]
    #[case("{\"sum\": 5}", true)]
    #[case("{\"sum\": \"5\"}", false)]
    #[case("{}", false)]
    fn a_schema_holds(#[case] text: &str, #[case] expected: bool) {
        let schema = json!({"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]});
        assert_eq!(with_schema(schema).holds(&said(text)), expected);
    }

    #[test]
    fn a_hostile_schema_costs_and_fetches_nothing() {
        let long = format!("\"{}!\"", "a".repeat(100_000));
        // Backtracking would take for ever.
        assert!(!with_schema(json!({"pattern": "^(a+)+$"})).holds(&said(&long)));
        // What is no schema, or is elsewhere, asks for JSON and nothing else.
        for schema in [
            json!({"$ref": "https://example.com/schema"}),
            json!({"type": 5}),
            json!({"enum": ["x".repeat(MAX_SCHEMA)]}),
        ] {
            assert!(with_schema(schema.clone()).holds(&said("5")));
            assert!(!with_schema(schema).holds(&said("five")));
        }
        let nested = "[".repeat(100_000);
        assert!(!with_schema(json!({})).holds(&said(&nested)));
    }

    fn with_tools() -> Format {
        Format::of(&json!({"tools": [
            {"type": "function", "function": {"name": "pay", "parameters": {"type": "object",
                "properties": {"sum": {"type": "number"}}, "required": ["sum"], "additionalProperties": false}}},
            {"type": "function", "function": {"name": "now"}},
        ]}))
    }

    #[rstest]
    #[case("pay", "{\"sum\": 5}", true)]
    #[case("now", "", true)]
    #[case("now", "{}", true)]
    #[case("pay", "{\"sum\": \"five\"}", false)]
    #[case("pay", "{\"sum\": 5, \"to\": 1}", false)]
    #[case("pay", "{\"sum\": 5", false)]
    #[case("pay", "[5]", false)]
    #[case("steal", "{}", false)]
    fn calls_are_of_what_was_offered(#[case] name: &str, #[case] arguments: &str, #[case] expected: bool) {
        assert_eq!(with_tools().holds(&called(name, arguments)), expected);
    }

    #[test]
    fn free_text_has_no_format() {
        let (text, call) = (said("Hi"), called("pay", "{}"));
        assert!(!with_tools().applies_to([&text, &text]));
        assert!(with_tools().applies_to([&text, &call]));
        assert!(with_tools().holds(&text));
        assert!(!Format::of(&json!({"response_format": {"type": "text"}})).applies_to([&text, &text]));
        // Nobody offered it.
        assert!(!Format::default().holds(&call));
    }

    #[test]
    fn a_failure_has_no_format() {
        assert!(!Format::default().holds(&Answer::failed(Failure::Timeout, 1.0)));
    }

    #[test]
    fn calls_are_equal_by_name_and_arguments() {
        let one = called("pay", r#"{"sum": 5.0, "to": {"a": 1, "b": 2}}"#);
        assert!(same_calls(&one, &called("pay", r#"{"to":{"b":2,"a":1},"sum":5}"#)));
        assert!(!same_calls(&one, &called("pay", r#"{"to":{"b":2,"a":1},"sum":6}"#)));
        assert!(!same_calls(
            &one,
            &called("give", r#"{"sum": 5.0, "to": {"a": 1, "b": 2}}"#)
        ));
        assert!(!same_calls(&one, &said("")));
        assert!(same_calls(&said("a"), &said("b")));
    }
}
