//! What a request may ask of the form of its answer, and how much of it.

use llguidance::api::TopLevelGrammar;
use serde_json::{Map, Value, json};

use super::alternatives;

/// Largest schema, as JSON text, and largest grammar in bytes.
const MAX_GRAMMAR: usize = 128 << 10;
/// Longest regular expression in bytes.
const MAX_REGEX: usize = 8 << 10;
/// Most texts to choose from, and their length together.
const MAX_CHOICES: usize = 1024;
/// Spaces and line ends between two parts of JSON: a model that likes them too much must go on.
const WHITESPACE: &str = r"[ \n\t]{1,20}";

/// The form of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Grammar {
    /// JSON that is valid by a schema.
    JsonSchema(Value),
    /// Text that a regular expression matches as a whole.
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// Text of a grammar in llguidance's Lark syntax.
    Lark(String),
}

impl Grammar {
    /// Any JSON object.
    pub fn json_object() -> Self {
        Self::JsonSchema(json!({"type": "object"}))
    }

    /// Checks that it is not too large to be compiled.
    ///
    /// # Errors
    /// Which bound it exceeds.
    pub fn check(&self) -> Result<(), String> {
        let bounded = |what: &str, found: usize, most: usize| match found > most {
            true => Err(format!("it has {found} {what}, at most {most} are allowed")),
            false => Ok(()),
        };
        match self {
            Self::JsonSchema(schema) => {
                bounded("bytes", schema.to_string().len(), MAX_GRAMMAR)?;
                alternatives::check(schema)
            }
            Self::Regex(regex) => bounded("bytes", regex.len(), MAX_REGEX),
            Self::Lark(grammar) => bounded("bytes", grammar.len(), MAX_GRAMMAR),
            Self::Choice(choices) => {
                if choices.is_empty() || choices.iter().any(String::is_empty) {
                    return Err("it needs at least one text, and none may be empty".into());
                }
                bounded("texts", choices.len(), MAX_CHOICES)?;
                bounded("bytes", choices.iter().map(String::len).sum(), MAX_GRAMMAR)
            }
        }
    }

    /// As the compiler takes it.
    pub(super) fn compiler_input(&self) -> TopLevelGrammar {
        match self {
            Self::JsonSchema(schema) => TopLevelGrammar::from_json_schema(with_bounded_whitespace(schema)),
            Self::Regex(regex) => TopLevelGrammar::from_regex(regex),
            Self::Choice(choices) => {
                let choices: Vec<String> = choices.iter().map(|choice| lark_text(choice)).collect();
                TopLevelGrammar::from_lark(format!("start: {}", choices.join(" | ")))
            }
            Self::Lark(grammar) => TopLevelGrammar::from_lark(grammar.clone()),
        }
    }
}

/// A schema as part of a Lark grammar.
pub fn lark_schema(schema: &Value) -> String {
    format!("%json {}", with_bounded_whitespace(schema))
}

/// A text as part of a Lark grammar.
pub fn lark_text(text: &str) -> String {
    Value::from(text).to_string()
}

fn with_bounded_whitespace(schema: &Value) -> Value {
    let mut schema = match schema {
        Value::Object(schema) => schema.clone(),
        // `true` allows everything.
        Value::Bool(true) => Map::new(),
        other => return other.clone(),
    };
    schema
        .entry("x-guidance")
        .or_insert_with(|| json!({"whitespace_pattern": WHITESPACE}));
    schema.into()
}
