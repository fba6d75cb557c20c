//! What the assistant says and calls, out of the text of an answer.

use engine::{FinishReason, TokenLogprobs};
use rand::distr::{Alphanumeric, SampleString as _};

use crate::serve::{
    api::answer::{Finish, Whole},
    generation::Output,
    tools::{Parser, Piece, Style, ToolCall},
};

/// Makes a message of one answer.
pub struct Speaker {
    /// Reads calls, if there may be some.
    calls: Option<(Style, Parser)>,
    /// Calls so far.
    called: usize,
}

/// More of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// It begins.
    Begin,
    /// More content, or only the logprobs of a token that brought none.
    Text(String, Option<TokenLogprobs>),
    /// A call.
    Call(CallDelta),
    /// The end.
    End(Finish),
}

/// One call of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallDelta {
    /// Its place among the message's calls.
    pub index: usize,
    /// Names it in its result.
    pub id: String,
    /// The call.
    pub call: ToolCall,
}

/// A whole message.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// What it says.
    pub content: String,
    /// What it calls.
    pub calls: Vec<CallDelta>,
    /// Of its tokens, if they were asked for.
    pub logprobs: Vec<TokenLogprobs>,
    /// Why it ended.
    pub finish: Finish,
}

impl Speaker {
    /// For an answer that may have calls, which such a parser reads, or may not.
    pub fn new(calls: Option<(Style, Parser)>) -> Self {
        Self { calls, called: 0 }
    }

    /// What one output means to a client, possibly nothing yet.
    pub fn hear(&mut self, output: Output) -> Vec<Delta> {
        match output {
            Output::Prompt(_) => vec![Delta::Begin],
            Output::Text { text, logprobs } => {
                let pieces = match &mut self.calls {
                    Some((_, parser)) => parser.push(&text),
                    None => vec![Piece::Text(text)],
                };
                let mut deltas = self.deltas(pieces);
                if let Some(logprobs) = logprobs {
                    match deltas.iter_mut().find(|delta| matches!(delta, Delta::Text(..))) {
                        Some(Delta::Text(_, place)) => *place = Some(logprobs),
                        _ => deltas.push(Delta::Text(String::new(), Some(logprobs))),
                    }
                }
                deltas.retain(|delta| !matches!(delta, Delta::Text(text, None) if text.is_empty()));
                deltas
            }
            Output::End(reason) => {
                let rest = self.calls.as_mut().map(|(_, parser)| parser.finish());
                let mut deltas = self.deltas(rest.unwrap_or_default());
                deltas.push(Delta::End(match reason {
                    FinishReason::Stop if self.called > 0 => Finish::ToolCalls,
                    reason => reason.into(),
                }));
                deltas
            }
        }
    }

    fn deltas(&mut self, pieces: Vec<Piece>) -> Vec<Delta> {
        let mut deltas = Vec::with_capacity(pieces.len());
        for piece in pieces {
            deltas.push(match piece {
                Piece::Text(text) => Delta::Text(text, None),
                Piece::Call(call) => {
                    let index = self.called;
                    self.called += 1;
                    Delta::Call(CallDelta {
                        index,
                        id: self.id(),
                        call,
                    })
                }
            });
        }
        deltas
    }

    fn id(&self) -> String {
        let random = |length| Alphanumeric.sample_string(&mut rand::rng(), length);
        match self.calls {
            // Its templates refuse all others.
            Some((Style::Mistral, _)) => random(9),
            _ => format!("call_{}", random(24)),
        }
    }

    /// The message of a whole answer.
    pub fn reply(&mut self, answer: Whole) -> Reply {
        let text = Output::Text {
            text: answer.text,
            logprobs: None,
        };
        let mut reply = Reply {
            content: String::new(),
            calls: Vec::new(),
            logprobs: answer.logprobs,
            finish: answer.reason.into(),
        };
        let deltas = [text, Output::End(answer.reason)]
            .into_iter()
            .flat_map(|output| self.hear(output));
        for delta in deltas {
            match delta {
                Delta::Begin => {}
                Delta::Text(text, _) => reply.content.push_str(&text),
                Delta::Call(call) => reply.calls.push(call),
                Delta::End(finish) => reply.finish = finish,
            }
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(text: &str) -> Output {
        Output::Text {
            text: text.into(),
            logprobs: None,
        }
    }

    #[test]
    fn calls_end_with_their_own_reason() {
        let parser = Parser::new(Style::Hermes, vec!["f".into()]);
        let mut speaker = Speaker::new(Some((Style::Hermes, parser)));
        assert_eq!(speaker.hear(Output::Prompt(vec![])), [Delta::Begin]);
        assert_eq!(speaker.hear(output("Hm. ")), [Delta::Text("Hm.".into(), None)]);
        assert_eq!(speaker.hear(output("<tool_call>{\"name\":\"f\",")), []);
        let deltas = speaker.hear(output("\"arguments\":{}}</tool_call>"));
        let [Delta::Call(call)] = &deltas[..] else {
            panic!("{deltas:?}")
        };
        assert!((call.index, call.call.name.as_str()) == (0, "f") && call.id.starts_with("call_"));
        assert_eq!(
            speaker.hear(Output::End(FinishReason::Stop)),
            [Delta::End(Finish::ToolCalls)]
        );
    }

    #[test]
    fn without_tools_everything_is_content() {
        let mut speaker = Speaker::new(None);
        let text = "<tool_call>{}</tool_call> ";
        assert_eq!(speaker.hear(output(text)), [Delta::Text(text.into(), None)]);
        assert_eq!(speaker.hear(output("")), []);
        assert_eq!(
            speaker.hear(Output::End(FinishReason::Length)),
            [Delta::End(Finish::Length)]
        );
    }
}
