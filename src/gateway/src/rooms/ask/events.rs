//! The stream of a model, as its pieces of text, with their tokens where they are told.

use axum::{body::Body, http::Response};
use bytes::BytesMut;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::Value;

use super::certainty::Token;
use crate::{error::Error, events::end_of_events};

/// A longer event is none of a model's.
const MAX_EVENT: usize = 1 << 20;

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    system_fingerprint: Option<String>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    /// Not read unless it was asked for, so that it spoils no answer otherwise.
    #[serde(default)]
    logprobs: Value,
}

#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    /// What the model thinks before it answers, as some tell it: no part of the answer.
    #[serde(default, alias = "reasoning")]
    reasoning_content: Option<Value>,
}

/// A piece of what a model writes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// The text; none where only tokens came.
    pub text: String,
    /// The tokens that came with it, where the model tells them. Their text may come with another piece.
    pub tokens: Vec<Token>,
}

/// What a model writes, as it comes.
pub struct Deltas {
    body: Body,
    buffer: BytesMut,
    /// Of events that are whole.
    ready: std::collections::VecDeque<Piece>,
    is_over: bool,
    has_ended: bool,
    model: String,
    version: Option<String>,
}

impl Deltas {
    /// Of a stream of `model`.
    pub fn of(response: Response<Body>, model: String) -> Self {
        Self {
            body: response.into_body(),
            buffer: BytesMut::new(),
            ready: Default::default(),
            is_over: false,
            has_ended: false,
            model,
            version: None,
        }
    }

    /// What the model calls itself, once it has said so.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The next piece; none at the end. It may be dropped while it waits, and called again.
    ///
    /// # Errors
    /// When the model breaks off: what came so far is no answer.
    pub async fn next(&mut self) -> Result<Option<Piece>, Error> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            if self.has_ended {
                return Ok(None);
            }
            let failed = || Error::UpstreamFailed {
                model: self.model.clone(),
            };
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                    if self.buffer.len() > MAX_EVENT {
                        return Err(failed());
                    }
                    let whole = self.buffer.split_to(end_of_events(&self.buffer));
                    self.read(&whole)?;
                }
                Some(Err(_)) => return Err(failed()),
                // A stream ends with a word, or it was cut.
                None if self.is_over => self.has_ended = true,
                None => return Err(failed()),
            }
        }
    }

    fn read(&mut self, events: &[u8]) -> Result<(), Error> {
        let failed = || Error::UpstreamFailed {
            model: self.model.clone(),
        };
        let text = std::str::from_utf8(events).map_err(|_| failed())?;
        for line in text.lines() {
            let Some(data) = line.strip_prefix("data:").map(str::trim) else {
                continue;
            };
            if data == "[DONE]" {
                self.is_over = true;
                continue;
            }
            let chunk: Chunk = serde_json::from_str(data).map_err(|_| failed())?;
            if chunk.error.is_some() {
                return Err(failed());
            }
            if self.version.is_none() {
                self.version = chunk.system_fingerprint;
            }
            let Some(Choice { delta, logprobs }) = chunk.choices.into_iter().next() else {
                continue;
            };
            let thinks = delta.reasoning_content.is_some();
            let piece = Piece {
                text: delta.content.unwrap_or_default(),
                tokens: if thinks { Vec::new() } else { Token::read(&logprobs) },
            };
            if piece != Piece::default() {
                self.ready.push_back(piece);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;

    use super::*;

    fn deltas(pieces: &[&'static str]) -> Deltas {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok::<_, Infallible>(*piece)).collect();
        Deltas::of(Response::new(Body::from_stream(stream::iter(pieces))), "m".into())
    }

    async fn all(mut deltas: Deltas) -> Result<String, Error> {
        let mut text = String::new();
        while let Some(piece) = deltas.next().await? {
            text += &piece.text;
        }
        Ok(text)
    }

    #[tokio::test]
    async fn pieces_are_put_together_however_they_are_cut() {
        let whole = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}],\"system_fingerprint\":\"v-1\"}\n\n\
            : a comment\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"Só\"}}]}\n\n\
            data: {\"choices\":[{\"delta\":{\"content\":\" it is.\"}}]}\n\ndata: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n";
        assert_eq!(all(deltas(&[whole])).await, Ok("Só it is.".into()));
        let cut: Vec<&'static str> = whole.split_inclusive([':', '{', 'ó']).collect();
        assert_eq!(all(deltas(&cut)).await, Ok("Só it is.".into()));
    }

    #[tokio::test]
    async fn tokens_come_with_their_text_or_alone() {
        let mut deltas = deltas(&[
            "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"Hm\"},\"logprobs\":{\"content\":[{\"token\":\"Hm\",\"logprob\":-1}]}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"\"},\"logprobs\":{\"content\":[{\"token\":\"S\",\"logprob\":-0.5}]}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"So\"},\"logprobs\":\"nonsense\"}]}\n\ndata: [DONE]\n\n",
        ]);
        let token = Token {
            bytes: b"S".to_vec(),
            logprob: -0.5,
        };
        let mut pieces = Vec::new();
        while let Some(piece) = deltas.next().await.unwrap() {
            pieces.push((piece.text, piece.tokens));
        }
        assert_eq!(pieces, [(String::new(), vec![token]), ("So".into(), Vec::new())]);
    }

    #[tokio::test]
    async fn what_breaks_off_is_no_answer() {
        for pieces in [
            &["data: {\"choices\":[{\"delta\":{\"content\":\"So\"}}]}\n\n"][..],
            &["data: nonsense\n\n"],
            &["event: error\ndata: {\"error\":{\"code\":\"x\"}}\n\ndata: [DONE]\n\n"],
            &[],
        ] {
            assert!(all(deltas(pieces)).await.is_err(), "{pieces:?}");
        }
    }
}
