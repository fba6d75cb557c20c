//! Suites of questions: JSON Lines, one question or one text a line.
//!
//! ```text
//! {"id": "sum-1", "prompt": "What is 2 + 3?", "expect": {"numeric": 5}}
//! {"prompt": "Name the capital of France.", "expect": {"contains": ["Paris"]}}
//! {"messages": [{"role": "user", "content": "..."}], "maxTokens": 64, "expect": {"jsonSchema": {"type": "object"}}}
//! {"text": "Plain text, whose perplexity is the score."}
//! ```
//!
//! Every part of an expectation must hold: `exact`, `regex`, `contains` and `notContains` (texts or lists of
//! them, all or none of which the answer has), `numeric` (a number, or `{"value", "tolerance"}`),
//! `jsonSchema`, and `refusal` (whether the answer declines).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::grade::Check;

/// Tokens of an answer where the question does not say.
const MAX_TOKENS: u32 = 128;
/// Longest suite, in lines.
const MAX_LINES: usize = 100_000;

/// A suite, read.
#[derive(Debug)]
pub enum Suite {
    /// Questions with known answers.
    Questions(Vec<Question>),
    /// Texts to measure the perplexity on.
    Texts(Vec<String>),
}

/// A question and what its answer must be.
#[derive(Debug)]
pub struct Question {
    /// Its name in reports.
    pub id: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Tokens that the answer may have.
    pub max_tokens: u32,
    /// What must hold of the answer.
    pub check: Check,
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Its text.
    pub content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    id: Option<String>,
    prompt: Option<String>,
    messages: Option<Vec<Message>>,
    text: Option<String>,
    max_tokens: Option<u32>,
    expect: Option<Value>,
}

impl Suite {
    /// Reads the lines.
    ///
    /// # Errors
    /// The first line that cannot be asked, by its number, and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut questions = Vec::new();
        let mut texts = Vec::new();
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        for (index, line) in lines {
            let number = index + 1;
            let fault = |what: &dyn std::fmt::Display| format!("line {number}: {what}");
            if number > MAX_LINES {
                return Err(fault(&format_args!("at most {MAX_LINES} lines are asked")));
            }
            let line: Line = serde_json::from_str(line).map_err(|error| fault(&error))?;
            match line {
                Line {
                    text: Some(text),
                    prompt: None,
                    messages: None,
                    expect: None,
                    ..
                } => texts.push(text),
                line => questions.push(question(line, number).map_err(|what| fault(&what))?),
            }
        }
        match (questions.is_empty(), texts.is_empty()) {
            (false, true) => Ok(Self::Questions(questions)),
            (true, false) => Ok(Self::Texts(texts)),
            (true, true) => Err("it has no lines".into()),
            (false, false) => {
                Err("it has both questions and texts: their scores are different things, so split it".into())
            }
        }
    }

    /// Questions or texts.
    pub fn len(&self) -> usize {
        match self {
            Self::Questions(questions) => questions.len(),
            Self::Texts(texts) => texts.len(),
        }
    }
}

fn question(line: Line, number: usize) -> Result<Question, String> {
    let messages = match (line.prompt, line.messages) {
        (Some(content), None) => vec![Message {
            role: "user".into(),
            content,
        }],
        (None, Some(messages)) if !messages.is_empty() => messages,
        _ => return Err("it needs exactly one of prompt, messages and text".into()),
    };
    if line.text.is_some() {
        return Err("text stands alone: give prompt or messages instead".into());
    }
    let expect = line.expect.ok_or("expect is missing: without it no answer is wrong")?;
    Ok(Question {
        id: line.id.unwrap_or_else(|| format!("line-{number}")),
        messages,
        max_tokens: line.max_tokens.unwrap_or(MAX_TOKENS).max(1),
        check: Check::parse(expect)?,
    })
}

/// A suite that comes with the worker.
pub fn bundled(name: &str) -> Option<&'static str> {
    BUNDLED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The names of those suites.
pub fn names() -> Vec<&'static str> {
    BUNDLED.iter().map(|(name, _)| *name).collect()
}

const BUNDLED: [(&str, &str); 5] = [
    ("arithmetic", include_str!("../../suites/arithmetic.jsonl")),
    ("facts", include_str!("../../suites/facts.jsonl")),
    ("formats", include_str!("../../suites/formats.jsonl")),
    ("injections", include_str!("../../suites/injections.jsonl")),
    ("refusals", include_str!("../../suites/refusals.jsonl")),
];

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::empty("\n \n", "no lines")]
    #[case::no_json("{", "line 1: ")]
    #[case::unknown(r#"{"prompt": "a", "expected": {}}"#, "unknown field `expected`")]
    #[case::nothing_expected(r#"{"prompt": "a"}"#, "line 1: expect is missing")]
    #[case::no_question(
        "{\"text\": \"a\"}\n{\"expect\": {\"exact\": \"a\"}}",
        "line 2: it needs exactly one of"
    )]
    #[case::both(r#"{"prompt": "a", "text": "b", "expect": {"exact": "a"}}"#, "text stands alone")]
    #[case::mixed("{\"text\": \"a\"}\n{\"prompt\": \"a\", \"expect\": {\"exact\": \"a\"}}", "split it")]
    fn what_cannot_be_asked_is_said(#[case] text: &str, #[case] expected: &str) {
        let error = Suite::parse(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn bundled_suites_can_be_asked() {
        for name in names() {
            let suite = Suite::parse(bundled(name).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
            let Suite::Questions(questions) = suite else {
                panic!("{name} has no questions")
            };
            assert!(questions.len() >= 10, "{name}");
            let mut ids: Vec<_> = questions.iter().map(|question| &question.id).collect();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), questions.len(), "{name}");
        }
        assert_eq!(bundled("none"), None);
    }
}
