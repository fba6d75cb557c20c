//! A request that was sent on, until its answer has ended.

use std::{cell::Cell, time::Instant};

use axum::http::StatusCode;
use store::audit::{Draft, Kind, Opened, Place, content::Content};

use super::event::Closing;
use crate::usage::Usage;

/// What an answer's id may be made of.
const LONGEST_ID: usize = 128;

/// Writes how a request ended, when it is dropped. Unless told otherwise, the client left.
pub struct Entry {
    opened: Option<Opened>,
    request: String,
    subject: String,
    received: Instant,
    closing: Closing,
    usage: Cell<Option<Usage>>,
    has_begun: bool,
    error: String,
    /// The answer, where it is kept.
    answer: Option<Content>,
}

impl Entry {
    pub(super) fn new(
        opened: Opened,
        request: &str,
        subject: &str,
        received: Instant,
        answer: Option<Content>,
    ) -> Self {
        Self {
            closing: Closing {
                opened: opened.place().seq,
                ..Closing::default()
            },
            opened: Some(opened),
            request: request.into(),
            subject: subject.into(),
            received,
            usage: Cell::default(),
            has_begun: false,
            error: CLIENT_GONE.into(),
            answer,
        }
    }

    /// Where the row is that opened it.
    pub fn place(&self) -> Option<Place> {
        self.opened.as_ref().map(|opened| opened.place().clone())
    }

    /// The version that answers.
    pub fn served_by(&mut self, version: &str) {
        self.closing.version = Some(version.into());
    }

    /// The head of the answer is there.
    pub fn answered(&mut self, status: StatusCode) {
        self.closing.status = Some(status.as_u16());
    }

    /// The first bytes of a stream are.
    pub fn first_token(&mut self) {
        self.closing.first_token = Some(self.milliseconds());
    }

    /// A piece of the answer. The first one holds its id.
    pub fn piece(&mut self, bytes: &[u8]) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.closing.answer = answer_id(bytes);
        }
        if let Some(answer) = &mut self.answer {
            answer.push(bytes);
        }
    }

    /// What it took.
    pub fn used(&self, usage: Usage) {
        self.usage.set(Some(usage));
    }

    /// It has ended: well if `error` is empty.
    pub fn ended(&mut self, error: &str) {
        self.error = error.into();
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.received.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

const CLIENT_GONE: &str = "client_gone";

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(opened) = self.opened.take() else { return };
        let mut closing = std::mem::take(&mut self.closing);
        closing.duration = self.milliseconds();
        closing.prompt_tokens = self.usage.get().map(|usage| usage.prompt_tokens);
        closing.completion_tokens = self.usage.get().map(|usage| usage.completion_tokens);
        closing.finish = match &*self.error {
            "" => "complete",
            CLIENT_GONE => CLIENT_GONE,
            _ => "failed",
        };
        closing.error = Some(std::mem::take(&mut self.error)).filter(|error| !error.is_empty());
        let answer = self.answer.take();
        opened.close(Draft::with(
            Kind::Closed,
            &self.request,
            &self.subject,
            &closing,
            answer,
        ));
    }
}

/// The value of `id` where it is the first field of the first object, as in everything that is generated.
fn answer_id(bytes: &[u8]) -> Option<String> {
    let mut rest = bytes.trim_ascii_start();
    rest = rest.strip_prefix(b"data:").unwrap_or(rest);
    for token in [&b"{"[..], b"\"id\"", b":", b"\""] {
        rest = rest.trim_ascii_start().strip_prefix(token)?;
    }
    let id = rest
        .split(|byte| *byte == b'"')
        .next()
        .filter(|id| id.len() < rest.len())?;
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-:".contains(byte);
    let is_id = (1..=LONGEST_ID).contains(&id.len()) && id.iter().all(is_plain);
    is_id.then(|| String::from_utf8_lossy(id).into_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#"{"id":"chatcmpl-1","object":"x"}"#, Some("chatcmpl-1"))]
    #[case("data: { \"id\" : \"a.b_c\" }\n\n", Some("a.b_c"))]
    #[case(r#"{"object":"x","id":"chatcmpl-1"}"#, None)]
    #[case(r#"{"id":"cut"#, None)]
    #[case(r#"{"id":""}"#, None)]
    #[case(r#"{"id":"a\u0000b"}"#, None)]
    #[case(r#"{"id":7}"#, None)]
    #[case(": keep-alive\n\n", None)]
    fn the_id_of_an_answer_is_found(#[case] bytes: &str, #[case] id: Option<&str>) {
        assert_eq!(answer_id(bytes.as_bytes()).as_deref(), id);
    }
}
