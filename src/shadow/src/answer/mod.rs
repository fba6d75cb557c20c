//! What a model answered, and how long it took.

mod listen;

pub use listen::{Listener, MAX_TEXT};

use serde::{Deserialize, Serialize};

use crate::canonical;

/// One answer, whole or as far as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What the model wrote, without its thoughts.
    pub text: String,
    /// Tools that it wants called. Nobody calls them.
    pub tool_calls: Vec<ToolCall>,
    /// Whether the model itself marked the answer as a refusal (`refusal` of a message).
    pub is_marked_refusal: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub timings: Timings,
    /// Tokens of the prompt, as the server states them.
    pub tokens_in: Option<u64>,
    /// Tokens of the answer, as the server states them.
    pub tokens_out: Option<u64>,
    /// Mean negative log likelihood of the answer's tokens under the model that wrote it, in nats.
    pub mean_nll: Option<f64>,
    /// Guardrails that the answer failed; `None` where none were asked.
    pub violations: Option<u32>,
}

/// A tool that a model wants called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The function.
    pub name: String,
    /// Its arguments, as the model wrote them: JSON, if all is well.
    pub arguments: String,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The model came to an end.
    Finished(Finish),
    /// There is no answer that a user could have used.
    Failed(Failure),
    /// The user left before the end: nobody's fault, and nothing to compare. Only live answers end like this.
    Abandoned,
}

/// Why a model came to an end, by OpenAI's `finish_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was done: `stop`.
    Stop,
    /// It had written as much as it may: `length`.
    Length,
    /// It wants tools called: `tool_calls`.
    ToolCalls,
    /// A filter cut it off: `content_filter`.
    ContentFilter,
    /// Whatever else a server says.
    Other,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Failure {
    /// It took longer than it may.
    Timeout,
    /// Nobody took the request, or 503.
    Unavailable,
    /// 429: too many requests.
    Overloaded,
    /// 5xx.
    Server,
    /// 4xx: the request is not to the server's liking, such as one that is too long for it.
    Invalid,
    /// The connection or the stream broke off.
    Broken,
    /// What came is no answer.
    Malformed,
    /// More came than is read.
    TooLarge,
}

impl Failure {
    /// What a status code other than 2xx stands for.
    pub fn of_status(status: u16) -> Self {
        match status {
            408 | 504 => Self::Timeout,
            429 => Self::Overloaded,
            503 => Self::Unavailable,
            400..=499 => Self::Invalid,
            _ => Self::Server,
        }
    }
}

/// How long an answer took, in seconds since the request was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// Until the first token came; `None` where the answer did not stream.
    pub first_token: Option<f64>,
    /// Mean time between tokens after the first; `None` for fewer than two, or where the answer did not stream.
    pub inter_token: Option<f64>,
    /// Until the end.
    pub total: f64,
}

impl Answer {
    /// One that failed after `total` seconds.
    pub fn failed(failure: Failure, total: f64) -> Self {
        Self {
            text: String::new(),
            tool_calls: Vec::new(),
            is_marked_refusal: false,
            outcome: Outcome::Failed(failure),
            timings: Timings {
                total,
                ..Timings::default()
            },
            tokens_in: None,
            tokens_out: None,
            mean_nll: None,
            violations: None,
        }
    }

    /// Whether it came to an end that a user could use.
    pub fn is_finished(&self) -> bool {
        matches!(self.outcome, Outcome::Finished(_))
    }

    /// Whether there is no answer.
    pub fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }

    /// What is compared of it as a text: what was written, and then the calls, with arguments in one spelling. Of two
    /// answers that only call tools the texts alone would be equal.
    pub fn compared(&self) -> String {
        let mut text = self.text.clone();
        for call in &self.tool_calls {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&call.name);
            text.push(' ');
            text.push_str(&call.canonical_arguments());
        }
        text
    }
}

impl ToolCall {
    /// The arguments in one spelling, or as they are where they are no JSON.
    pub fn canonical_arguments(&self) -> String {
        serde_json::from_str(&self.arguments).map_or_else(|_| self.arguments.clone(), |value| canonical::json(&value))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// An answer of which only the text matters.
    pub fn said(text: &str) -> Answer {
        Answer {
            text: text.into(),
            outcome: Outcome::Finished(Finish::Stop),
            violations: Some(0),
            tokens_out: Some(text.split_whitespace().count() as u64),
            timings: Timings {
                first_token: Some(0.2),
                inter_token: Some(0.02),
                total: 1.0,
            },
            ..Answer::failed(Failure::Broken, 1.0)
        }
    }

    /// An answer that calls a tool.
    pub fn called(name: &str, arguments: &str) -> Answer {
        Answer {
            tool_calls: vec![ToolCall {
                name: name.into(),
                arguments: arguments.into(),
            }],
            outcome: Outcome::Finished(Finish::ToolCalls),
            ..said("")
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(400, Failure::Invalid)]
    #[case(404, Failure::Invalid)]
    #[case(408, Failure::Timeout)]
    #[case(429, Failure::Overloaded)]
    #[case(500, Failure::Server)]
    #[case(503, Failure::Unavailable)]
    #[case(504, Failure::Timeout)]
    #[case(302, Failure::Server)]
    fn a_status_tells_why(#[case] status: u16, #[case] failure: Failure) {
        assert_eq!(Failure::of_status(status), failure);
    }

    #[test]
    fn calls_are_compared_in_one_spelling() {
        let one = testing::called("pay", r#"{"to": "Ann", "sum": 5.0}"#);
        let other = testing::called("pay", r#"{"sum":5,"to":"Ann"}"#);
        assert_eq!(one.compared(), other.compared());
        assert_ne!(
            one.compared(),
            testing::called("pay", r#"{"sum":6,"to":"Ann"}"#).compared()
        );
        assert_eq!(testing::called("pay", "{not json").compared(), "pay {not json");
    }
}
