//! A stream on its way through.

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http_body_util::BodyExt;
use serde_json::{Map, Value};

use super::chunk::Chunks;
use crate::{error::Error, events::WholeEvents, metrics::Ending, provider::sse::Decoder};

/// What callers read at the end.
const DONE: &str = "data: [DONE]\n\n";

/// The events of `answer` that may pass. Where nothing more may, the stream ends, and with it whoever computes.
pub fn body(answer: Body, chunks: Chunks, ending: Ending) -> Body {
    let passage = Passage {
        answer: Some(answer),
        decoder: Decoder::default(),
        is_inside: false,
        chunks,
        ending,
    };
    Body::from_stream(stream::unfold(passage, async |mut passage| {
        let next = passage.next().await?;
        Some((next, passage))
    }))
}

struct Passage {
    answer: Option<Body>,
    decoder: Decoder,
    /// Whether an event has begun and not ended.
    is_inside: bool,
    chunks: Chunks,
    ending: Ending,
}

impl Passage {
    async fn next(&mut self) -> Option<Result<Bytes, axum::Error>> {
        while let Some(answer) = &mut self.answer {
            let mut told = String::new();
            let outcome = match answer.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    // It keeps the connection alive.
                    Ok(data) if !self.is_inside && is_comment(&data) => return Some(Ok(data)),
                    Ok(data) => self.push(&data, &mut told).await,
                    Err(_trailers) => continue,
                },
                Some(Err(error)) => {
                    self.answer = None;
                    return Some(Err(error));
                }
                None => {
                    self.answer = None;
                    self.finish(&mut told).await
                }
            };
            if let Err(error) = outcome {
                self.answer = None;
                let model = self.chunks.model();
                tracing::warn!(model, code = error.code(), "guardrails end a stream");
                self.ending.because(error.code());
                let error = WholeEvents::default().fail(&error);
                return Some(Ok([Bytes::from(told), error].concat().into()));
            }
            if !told.is_empty() {
                return Some(Ok(told.into()));
            }
        }
        None
    }

    /// For an event that cannot be looked at.
    fn blind(&self) -> Error {
        Error::Unguarded {
            model: self.chunks.model(),
        }
    }

    async fn push(&mut self, data: &[u8], told: &mut String) -> Result<(), Error> {
        self.is_inside = !(data.ends_with(b"\n\n") || data.ends_with(b"\n\r\n"));
        for event in self.decoder.push(data).map_err(|_| self.blind())? {
            self.tell(&event, told).await?;
            if self.chunks.are_refused() {
                self.ending.because("guardrail_violation");
                self.answer = None;
                told.push_str(DONE);
                break;
            }
        }
        Ok(())
    }

    async fn finish(&mut self, told: &mut String) -> Result<(), Error> {
        if let Some(event) = self.decoder.finish().map_err(|_| self.blind())? {
            self.tell(&event, told).await?;
        }
        self.rest(told).await
    }

    async fn tell(&mut self, event: &str, told: &mut String) -> Result<(), Error> {
        if event == "[DONE]" {
            self.rest(told).await?;
            told.push_str(DONE);
            return Ok(());
        }
        let mut chunk: Map<String, Value> = serde_json::from_str(event).map_err(|_| self.blind())?;
        match chunk.shift_remove("error") {
            Some(error) if !error.is_null() => {
                let error = Map::from_iter([("error".to_owned(), error)]);
                told.push_str("event: error\n");
                data(&Value::Object(error), told);
            }
            _ => {
                let passed = self.chunks.pass(chunk).await;
                if let Some(chunk) = passed.map_err(|unjudged| self.chunks.jury().unavailable(unjudged))? {
                    data(&chunk, told);
                }
            }
        }
        Ok(())
    }

    async fn rest(&mut self, told: &mut String) -> Result<(), Error> {
        let rest = self.chunks.finish().await;
        if let Some(chunk) = rest.map_err(|unjudged| self.chunks.jury().unavailable(unjudged))? {
            data(&chunk, told);
        }
        Ok(())
    }
}

fn data(value: &Value, told: &mut String) {
    told.push_str("data: ");
    told.push_str(&value.to_string());
    told.push_str("\n\n");
}

fn is_comment(bytes: &[u8]) -> bool {
    if !bytes.starts_with(b":") {
        return false;
    }
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    lines.all(|line| line.is_empty() || line.starts_with(b":"))
}
