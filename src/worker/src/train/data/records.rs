//! The records of a cleaned data set, as they lie in its files.

use serde::Deserialize;

use crate::serve::chat_template::Message;

/// Something to learn from.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A conversation.
    Chat(Vec<Message>),
    /// A question and its answer.
    Answer {
        /// The question.
        prompt: String,
        /// The answer.
        completion: String,
    },
    /// A question and two answers.
    Preference {
        /// The question.
        prompt: String,
        /// The better one.
        chosen: String,
        /// The worse one.
        rejected: String,
    },
    /// A document.
    Text(String),
}

#[derive(Deserialize)]
struct Line {
    messages: Option<Vec<Turn>>,
    prompt: Option<String>,
    completion: Option<String>,
    chosen: Option<String>,
    rejected: Option<String>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: String,
}

impl Record {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it, and what it should be.
    pub fn parse(line: &str) -> Result<Self, String> {
        let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
        match line {
            Line {
                messages: Some(turns), ..
            } if turns.is_empty() => Err("messages is empty".into()),
            Line {
                messages: Some(turns), ..
            } => Ok(Self::Chat(
                turns
                    .iter()
                    .map(|turn| Message::new(&turn.role, &turn.content))
                    .collect(),
            )),
            Line {
                prompt: Some(prompt),
                completion: Some(completion),
                ..
            } => Ok(Self::Answer { prompt, completion }),
            Line {
                prompt: Some(prompt),
                chosen: Some(chosen),
                rejected: Some(rejected),
                ..
            } => Ok(Self::Preference {
                prompt,
                chosen,
                rejected,
            }),
            Line { text: Some(text), .. } => Ok(Self::Text(text)),
            _ => Err(
                "it has neither messages, nor prompt and completion, nor prompt, chosen and rejected, nor text".into(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn every_form_is_read() {
        let chat = Record::parse(r#"{"messages": [{"role": "user", "content": "a", "name": "b"}], "id": 3}"#);
        assert_eq!(chat.unwrap(), Record::Chat(vec![Message::new("user", "a")]));
        let text = |text: &str| text.to_owned();
        let (prompt, completion) = (text("a"), text("b"));
        let answer = Record::parse(r#"{"prompt": "a", "completion": "b"}"#);
        assert_eq!(answer.unwrap(), Record::Answer { prompt, completion });
        let (prompt, chosen, rejected) = (text("a"), text("b"), text("c"));
        let preference = Record::parse(r#"{"prompt": "a", "chosen": "b", "rejected": "c"}"#);
        assert_eq!(
            preference.unwrap(),
            Record::Preference {
                prompt,
                chosen,
                rejected
            }
        );
        assert_eq!(Record::parse(r#"{"text": "a"}"#).unwrap(), Record::Text("a".into()));
    }

    #[rstest]
    #[case("", "EOF")]
    #[case("{", "EOF")]
    #[case("[]", "invalid length")]
    #[case("7", "invalid type")]
    #[case(r#"{"messages": []}"#, "messages is empty")]
    #[case(r#"{"messages": [{"role": "user"}]}"#, "content")]
    #[case(r#"{"prompt": "a"}"#, "neither messages")]
    #[case(r#"{"prompt": "a", "chosen": "b"}"#, "neither messages")]
    #[case(r#"{"prompt": 1, "completion": "b"}"#, "expected a string")]
    fn what_is_no_record_is_said(#[case] line: &str, #[case] expected: &str) {
        let error = Record::parse(line).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
