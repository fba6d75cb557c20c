//! What is learned of an answer while it passes.

use std::time::Duration;

use axum::http::StatusCode;
use telemetry::trace::{Array, Span, Value};

use crate::usage::Usage;

/// What goes on the span of a request when its answer is over.
#[derive(Debug, Default)]
pub struct Answer {
    /// When its first bytes came, counted from the request's arrival.
    pub first_chunk: Option<Duration>,
    /// What it took.
    pub usage: Option<Usage>,
    /// What gave it.
    pub model: Option<String>,
    /// Why it ended before its time.
    pub error: Option<String>,
    /// The status of the response.
    pub status: Option<StatusCode>,
    id: Option<String>,
    finish_reasons: Vec<&'static str>,
}

/// Inside a JSON string the quotes would be escaped, so these only match fields.
const ID: &[u8] = b"\"id\":";
const FINISH_REASON: &[u8] = b"\"finish_reason\":";
/// OpenAI's words. Others are not repeated: whoever made them up may have put anything into them.
const FINISH_REASONS: [&str; 5] = ["stop", "length", "tool_calls", "content_filter", "function_call"];
/// Longest id that is kept.
const MAX_ID: usize = 128;

impl Answer {
    /// Looks for the id and the finish reasons in a piece. What lies across two pieces is not seen.
    pub fn read(&mut self, piece: &[u8]) {
        if self.id.is_none() {
            self.id = strings(piece, ID).next().filter(|id| is_id(id)).map(Into::into);
        }
        for reason in strings(piece, FINISH_REASON) {
            let known = FINISH_REASONS.into_iter().find(|known| *known == reason);
            self.finish_reasons.extend(known);
        }
    }

    /// Puts everything on `span`.
    pub fn describe(&mut self, span: &Span) {
        if let Some(status) = self.status {
            span.set("http.response.status_code", i64::from(status.as_u16()));
        }
        if let Some(after) = self.first_chunk {
            span.set("gen_ai.response.time_to_first_chunk", after.as_secs_f64());
        }
        if let Some(model) = self.model.take() {
            span.set("gen_ai.response.model", model);
        }
        if let Some(id) = self.id.take() {
            span.set("gen_ai.response.id", id);
        }
        if !self.finish_reasons.is_empty() {
            let reasons = self.finish_reasons.iter().map(|reason| (*reason).into()).collect();
            span.set("gen_ai.response.finish_reasons", Value::Array(Array::String(reasons)));
        }
        if let Some(usage) = self.usage {
            let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            span.set("gen_ai.usage.input_tokens", tokens(usage.prompt_tokens));
            span.set("gen_ai.usage.output_tokens", tokens(usage.completion_tokens));
        }
        match (&self.error, self.status) {
            // As the HTTP conventions have it, a server has not failed where its client is wrong.
            (Some(error), Some(status)) if status.is_client_error() => span.set("error.type", error.clone()),
            (Some(error), _) => span.fail(error),
            (None, _) => {}
        }
    }
}

/// The values of the fields `name` in a piece of JSON, as far as they are simple strings.
fn strings<'a>(piece: &'a [u8], name: &'static [u8]) -> impl Iterator<Item = &'a str> {
    let mut rest = piece;
    std::iter::from_fn(move || {
        loop {
            let at = rest.windows(name.len()).position(|window| window == name)?;
            rest = &rest[at + name.len()..];
            let value = rest.trim_ascii_start().strip_prefix(b"\"");
            let value = value.and_then(|value| value.get(..value.iter().position(|byte| *byte == b'"')?));
            if let Some(value) = value.and_then(|value| std::str::from_utf8(value).ok()) {
                return Some(value);
            }
        }
    })
}

fn is_id(text: &str) -> bool {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/@".contains(&byte);
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(harmless)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> (Option<String>, Vec<&'static str>) {
        let mut answer = Answer::default();
        for piece in pieces {
            answer.read(piece.as_bytes());
        }
        (answer.id, answer.finish_reasons)
    }

    #[test]
    fn ids_and_reasons_are_found_where_they_are_fields() {
        assert_eq!(
            read(&[
                r#"data: {"id":"chatcmpl-1","choices":[{"delta":{"content":"\"finish_reason\":\"length\""},"finish_reason":null}]}"#,
                r#"data: {"id":"other","choices":[{"delta":{},"finish_reason": "stop"}]}"#,
            ]),
            (Some("chatcmpl-1".into()), vec!["stop"])
        );
        let choices = r#"{"id":"x","choices":[{"finish_reason":"length"},{"finish_reason":"tool_calls"}]}"#;
        assert_eq!(read(&[choices]), (Some("x".into()), vec!["length", "tool_calls"]));
    }

    #[test]
    fn what_could_be_anything_is_not_kept() {
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(200));
        for piece in [
            r#"{"id":"a secret"}"#,
            r#"{"id":7,"finish_reason":"a secret"}"#,
            r#"{"id":"#,
            &long,
            "",
        ] {
            assert_eq!(read(&[piece]), (None, Vec::new()), "{piece}");
        }
    }
}
