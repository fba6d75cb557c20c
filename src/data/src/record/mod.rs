//! One thing to learn from, whatever it was read from.
//!
//! A record is written as a line of JSON: `{"id", "source", ...}` and the fields of its format. The id is the first 16
//! hex digits of the SHA-256 over these fields as JSON, without id and source: equal records have equal ids.

mod fields;
mod forms;

use protocol::tune::DataFormat;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub use forms::{Dialogue, name_of};

/// A record of one of the formats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Record {
    /// A conversation.
    Chat {
        /// What was said, in order.
        messages: Vec<Message>,
    },
    /// A question and its answer.
    PromptCompletion {
        /// What is given.
        prompt: String,
        /// What is learned.
        completion: String,
    },
    /// A question with a better and a worse answer.
    Preference {
        /// What is given.
        prompt: String,
        /// The better one.
        chosen: String,
        /// The worse one.
        rejected: String,
    },
    /// Text.
    Text {
        /// All of it is learned.
        text: String,
    },
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What.
    pub content: String,
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Who sets the rules.
    System,
    /// Who asks.
    User,
    /// Who answers: what is learned.
    Assistant,
    /// What a tool gave back.
    Tool,
}

/// Why something that was read is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// A name for all of the same kind: `missingField`.
    pub reason: &'static str,
    /// What is wrong; continues `line 3 of x.jsonl …`.
    pub what: String,
}

/// The reasons why something is no record.
pub mod reasons {
    /// It is no JSON.
    pub const INVALID_JSON: &str = "invalidJson";
    /// A row that does not fit its header.
    pub const INVALID_ROW: &str = "invalidRow";
    /// A field is not there, or holds something else.
    pub const MISSING_FIELD: &str = "missingField";
    /// A message of nobody we know.
    pub const INVALID_ROLE: &str = "invalidRole";
    /// It is longer than records may be.
    pub const TOO_LONG: &str = "tooLong";
    /// Its bytes are no text.
    pub const NOT_UTF8: &str = "notUtf8";
    /// There is nothing to learn from in it.
    pub const EMPTY: &str = "empty";
    /// A file of a kind that holds no records of the format.
    pub const UNKNOWN_FILE: &str = "unknownFile";
    /// A file that cannot be read to its end.
    pub const BROKEN_FILE: &str = "brokenFile";
    /// A document whose text is not good enough.
    pub const QUARANTINED: &str = "quarantined";
    /// It is in what the model is measured by.
    pub const CONTAMINATED: &str = "contaminated";
    /// It is the same as an earlier one.
    pub const DUPLICATE: &str = "duplicate";
    /// It is nearly the same as an earlier one.
    pub const NEAR_DUPLICATE: &str = "nearDuplicate";
}

impl Bad {
    /// For this reason.
    pub fn new(reason: &'static str, what: impl Into<String>) -> Self {
        Self {
            reason,
            what: what.into(),
        }
    }

    /// Longer than this many bytes.
    pub fn too_long(limit: usize) -> Self {
        Self::new(reasons::TOO_LONG, format!("is longer than {limit} bytes; split it"))
    }
}

impl Record {
    /// The record that a value is.
    ///
    /// # Errors
    /// When it is none of this format.
    pub fn of(value: Value, format: DataFormat) -> Result<Self, Bad> {
        let record = forms::read(value, format)?;
        record.check()?;
        Ok(record)
    }

    /// The record that a text is.
    ///
    /// # Errors
    /// When there is nothing in it.
    pub fn of_text(text: String) -> Result<Self, Bad> {
        let record = Self::Text { text };
        record.check()?;
        Ok(record)
    }

    /// Whether there is something to learn from in it.
    ///
    /// # Errors
    /// When there is not.
    pub fn check(&self) -> Result<(), Bad> {
        let need = |name: &str, text: &str| match text.trim().is_empty() {
            true => Err(Bad::new(
                reasons::EMPTY,
                format!("has nothing in `{name}`; fill it in or leave the record out"),
            )),
            false => Ok(()),
        };
        match self {
            Self::Chat { messages } => {
                let mut answers = messages.iter().filter(|message| message.role == Role::Assistant);
                match answers.any(|answer| !answer.content.trim().is_empty()) {
                    true => Ok(()),
                    false => Err(Bad::new(
                        reasons::EMPTY,
                        "has no message with the role assistant and a content; add the answer or leave the record out",
                    )),
                }
            }
            Self::PromptCompletion { completion, .. } => need("completion", completion),
            Self::Preference { chosen, rejected, .. } => {
                need("chosen", chosen)?;
                need("rejected", rejected)
            }
            Self::Text { text } => need("text", text),
        }
    }

    /// Its texts, in order.
    pub fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::Chat { messages } => messages.iter_mut().map(|message| &mut message.content).collect(),
            Self::PromptCompletion { prompt, completion } => vec![prompt, completion],
            Self::Preference {
                prompt,
                chosen,
                rejected,
            } => vec![prompt, chosen, rejected],
            Self::Text { text } => vec![text],
        }
    }

    /// Its texts, with an empty line between two.
    pub fn joined(&self) -> String {
        match self {
            Self::Chat { messages } => {
                let texts: Vec<&str> = messages.iter().map(|message| message.content.as_str()).collect();
                texts.join("\n\n")
            }
            Self::PromptCompletion { prompt, completion } => [prompt.as_str(), completion].join("\n\n"),
            Self::Preference {
                prompt,
                chosen,
                rejected,
            } => [prompt.as_str(), chosen, rejected].join("\n\n"),
            Self::Text { text } => text.clone(),
        }
    }

    /// Its fields as JSON.
    pub fn content(&self) -> String {
        serde_json::to_string(self).expect("a record has text keys only")
    }
}

/// SHA-256 of a record's fields as JSON.
pub fn digest(content: &str) -> [u8; 32] {
    Sha256::digest(content).into()
}

/// The line of a record's file, without its end. `content` is what [`Record::content`] gave.
pub fn line(content: &str, source: &str) -> String {
    let id = hex::encode(&digest(content)[..8]);
    let source = serde_json::to_string(source).expect("a text is JSON");
    let fields = content.strip_prefix('{').unwrap_or(content);
    format!(r#"{{"id":"{id}","source":{source},{fields}"#)
}

#[cfg(test)]
mod tests;
