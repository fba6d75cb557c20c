//! Streams of Gemini: each event is an answer with the pieces that are new.

use serde_json::{Value, json};

use super::{Said, finish_reason, said, usage};
use crate::provider::{Broken, Translate};

/// Events in OpenAI's form.
#[derive(Debug)]
pub struct Events {
    created: u64,
    has_begun: bool,
    calls: usize,
    is_complete: bool,
}

impl Events {
    /// Those of an answer that was begun then, in seconds since the Unix epoch.
    pub fn new(created: u64) -> Self {
        Self {
            created,
            has_begun: false,
            calls: 0,
            is_complete: false,
        }
    }
}

impl Translate for Events {
    fn event(&mut self, data: &str) -> Result<Vec<Value>, Broken> {
        let answer: Value = serde_json::from_str(data).map_err(|_| Broken)?;
        if !answer.is_object() || !answer["error"].is_null() {
            return Err(Broken);
        }
        let id = answer["responseId"].as_str().unwrap_or_default();
        let created = self.created;
        let chunk = |choices: Value| json!({"id": id, "object": "chat.completion.chunk", "created": created, "choices": choices});
        let delta = |index: &Value, delta: Value, reason: Option<&str>| {
            chunk(json!([{"index": index, "delta": delta, "finish_reason": reason}]))
        };
        let zero = json!(0);
        let mut chunks = Vec::new();
        if !std::mem::replace(&mut self.has_begun, true) {
            chunks.push(delta(&zero, json!({"role": "assistant", "content": ""}), None));
        }
        for candidate in answer["candidates"].as_array().into_iter().flatten() {
            let index = Some(&candidate["index"]).filter(|it| it.is_u64()).unwrap_or(&zero);
            let mut place = self.calls;
            for said in said(candidate, id, &mut self.calls)? {
                chunks.push(match said {
                    Said::Text(text) => delta(index, json!({"content": text}), None),
                    Said::Call(mut call) => {
                        call["index"] = place.into();
                        place += 1;
                        delta(index, json!({"tool_calls": [call]}), None)
                    }
                });
            }
            if let Some(reason) = candidate["finishReason"].as_str() {
                self.is_complete = true;
                chunks.push(delta(index, json!({}), Some(finish_reason(reason, self.calls > 0))));
            }
        }
        if !answer["promptFeedback"]["blockReason"].is_null() {
            self.is_complete = true;
            chunks.push(delta(&zero, json!({}), Some("content_filter")));
        }
        // Each event states all tokens so far: only the last counts.
        if self.is_complete
            && let Some(usage) = usage(&answer)
        {
            let mut last = chunk(json!([]));
            last["usage"] = usage;
            chunks.push(last);
        }
        Ok(chunks)
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}
