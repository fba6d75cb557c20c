//! Streams of the HTTP API as messages.

use std::{collections::BTreeMap, pin::Pin};

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use futures::{Stream, StreamExt};
use rpc::v1;
use serde_json::Value;
use tonic::Status;

use super::{answer, status};
use crate::provider::sse::Decoder;

/// Pieces of answers.
pub type Chunks<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The messages of an event stream; `read` makes them of one event. A caller that hangs up drops it, and with it the
/// answer.
pub fn chunks<T: Send + 'static>(
    response: Response<Body>,
    mut read: impl FnMut(&Value) -> Vec<T> + Send + 'static,
) -> Chunks<T> {
    let mut decoder = Decoder::default();
    let pieces = response
        .into_body()
        .into_data_stream()
        .map(Some)
        .chain(futures::stream::once(async { None }));
    let messages = pieces.map(move |piece| {
        let events = match piece {
            Some(Ok(piece)) => decoder.push(&piece).map_err(|_| broken())?,
            Some(Err(_)) => return Err(broken()),
            None => decoder.finish().map_err(|_| broken())?.into_iter().collect(),
        };
        let mut messages = Vec::new();
        for event in events.iter().filter(|event| *event != "[DONE]") {
            let event: Value = serde_json::from_str(event).map_err(|_| broken())?;
            if event["error"].is_object() {
                return Ok((messages, Some(status::told_by(StatusCode::BAD_GATEWAY, &event))));
            }
            messages.extend(read(&event));
        }
        Ok((messages, None))
    });
    let flat = messages.flat_map(|outcome| {
        let (messages, end) = match outcome {
            Ok((messages, end)) => (messages, end),
            Err(status) => (Vec::new(), Some(status)),
        };
        futures::stream::iter(messages.into_iter().map(Ok).chain(end.map(Err)))
    });
    // Nothing comes after an error.
    let until_error = flat.scan(false, |has_failed, message| {
        let passes = !std::mem::replace(has_failed, message.is_err() || *has_failed);
        std::future::ready(passes.then_some(message))
    });
    Box::pin(until_error)
}

fn broken() -> Status {
    Status::internal("the model broke off its answer")
}

/// More of a continuation.
pub fn completion(event: &Value) -> Vec<v1::GenerateChunk> {
    let choices = event["choices"].as_array().into_iter().flatten();
    let chunk = |choice| v1::GenerateChunk {
        id: answer::text(&event["id"]),
        choice,
        usage: None,
    };
    let mut chunks: Vec<_> = choices.map(|choice| chunk(Some(answer::continued(choice)))).collect();
    if let Some(usage) = answer::usage(event) {
        chunks.push(v1::GenerateChunk {
            usage: Some(usage),
            ..chunk(None)
        });
    }
    chunks
}

/// More of an answer to a conversation. Calls of tools come in pieces, and are told when they are whole.
#[derive(Default)]
pub struct ChatReader {
    /// By answer and place.
    calls: BTreeMap<(u32, u32), v1::ToolCall>,
}

impl ChatReader {
    /// The messages of one event.
    pub fn read(&mut self, event: &Value) -> Vec<v1::ChatChunk> {
        let choices = event["choices"].as_array().into_iter().flatten();
        let deltas: Vec<_> = choices.filter_map(|choice| self.delta(choice)).map(Some).collect();
        let usage = answer::usage(event);
        let last = usage.is_some().then_some(None);
        let chunk = |choice: Option<v1::ChatDelta>| v1::ChatChunk {
            id: answer::text(&event["id"]),
            usage: if choice.is_none() { usage } else { None },
            choice,
        };
        deltas.into_iter().chain(last).map(chunk).collect()
    }

    fn delta(&mut self, choice: &Value) -> Option<v1::ChatDelta> {
        let (index, delta) = (answer::number(&choice["index"]), &choice["delta"]);
        let mut tool_calls = Vec::new();
        for piece in delta["tool_calls"].as_array().into_iter().flatten() {
            let place = answer::number(&piece["index"]);
            // One that follows says that those before it are whole.
            tool_calls.extend(self.whole(index, |other| other < place));
            let (piece, call) = (answer::call(piece), self.calls.entry((index, place)).or_default());
            if call.id.is_empty() {
                call.id = piece.id;
            }
            call.name.push_str(&piece.name);
            call.arguments.push_str(&piece.arguments);
        }
        let finish_reason = answer::finish(choice);
        if finish_reason != v1::FinishReason::Unspecified as i32 {
            tool_calls.extend(self.whole(index, |_| true));
        }
        let delta = v1::ChatDelta {
            index,
            content: answer::text(&delta["content"]),
            tool_calls,
            finish_reason,
            logprobs: answer::token_objects(&choice["logprobs"]),
        };
        let empty = v1::ChatDelta {
            index,
            ..Default::default()
        };
        Some(delta).filter(|delta| *delta != empty)
    }

    fn whole(&mut self, index: u32, is_whole: impl Fn(u32) -> bool) -> Vec<v1::ToolCall> {
        let done = self
            .calls
            .extract_if((index, 0)..=(index, u32::MAX), |(_, place), _| is_whole(*place));
        done.map(|(_, call)| call).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn collected(pieces: Vec<&'static str>) -> (Vec<String>, Option<Status>) {
        let pieces = futures::stream::iter(pieces.into_iter().map(Ok::<_, std::convert::Infallible>));
        let mut reader = ChatReader::default();
        let response = Response::new(Body::from_stream(pieces));
        let mut chunks = chunks(response, move |event| reader.read(event));
        let (mut texts, mut end) = (Vec::new(), None);
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(chunk) => texts.push(chunk.choice.map(|it| it.content).unwrap_or_default()),
                Err(status) => end = Some(status),
            }
        }
        (texts, end)
    }

    #[tokio::test]
    async fn events_become_messages_however_they_are_cut() {
        let whole = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n: a comment\n\n\
                     data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n";
        for cut in 0..whole.len() {
            let (texts, end) = collected(vec![&whole[..cut], &whole[cut..]]).await;
            assert_eq!(texts, ["a", ""], "cut at {cut}");
            assert!(end.is_none());
        }
    }

    #[tokio::test]
    async fn an_error_event_ends_the_stream() {
        let (texts, end) = collected(vec![
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n\
             event: error\ndata: {\"error\":{\"message\":\"gone\",\"code\":\"upstream_failed\"}}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"}}]}\n\n",
        ])
        .await;
        assert_eq!(texts, ["a"]);
        let end = end.unwrap();
        assert_eq!((end.code(), end.message()), (tonic::Code::Internal, "gone"));
        let (_, end) = collected(vec!["data: {\n\n"]).await;
        assert_eq!(end.unwrap().code(), tonic::Code::Internal);
    }

    #[test]
    fn calls_are_told_when_they_are_whole() {
        let mut reader = ChatReader::default();
        let mut told = |delta: Value, finish: Value| {
            let event = json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
            let chunks = reader.read(&event).into_iter();
            let calls = chunks.flat_map(|chunk| chunk.choice.unwrap().tool_calls);
            calls
                .map(|call| format!("{} {}({})", call.id, call.name, call.arguments))
                .collect::<Vec<_>>()
        };
        let piece = |index: u32, id: &str, name: &str, arguments: &str| json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]});
        assert!(told(piece(0, "c0", "f", "{\"a\""), Value::Null).is_empty());
        assert!(told(piece(0, "", "", ":1}"), Value::Null).is_empty());
        assert_eq!(told(piece(1, "c1", "g", ""), Value::Null), ["c0 f({\"a\":1})"]);
        assert_eq!(told(json!({}), "tool_calls".into()), ["c1 g()"]);
    }
}
