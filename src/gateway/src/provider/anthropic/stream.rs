//! Streams of Anthropic.

use serde_json::{Value, json};

use super::{finish_reason, usage};
use crate::provider::{Broken, Translate};

/// Events in OpenAI's form.
#[derive(Debug)]
pub struct Events {
    created: u64,
    id: Value,
    usage: Value,
    /// Content blocks that are calls, in the order that they came.
    calls: Vec<u64>,
    /// The arguments of the last one have begun.
    has_arguments: bool,
    is_complete: bool,
}

impl Events {
    /// Those of an answer that was begun then, in seconds since the Unix epoch.
    pub fn new(created: u64) -> Self {
        Self {
            created,
            id: Value::Null,
            usage: json!({}),
            calls: Vec::new(),
            has_arguments: false,
            is_complete: false,
        }
    }

    fn chunk(&self, choices: Value) -> Value {
        json!({"id": self.id, "object": "chat.completion.chunk", "created": self.created, "choices": choices})
    }

    fn delta(&self, delta: Value) -> Vec<Value> {
        vec![self.chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]))]
    }

    /// What is stated of tokens replaces what was stated before.
    fn count(&mut self, stated: &Value) {
        let stated = stated.as_object().into_iter().flatten();
        for (name, value) in stated.filter(|(_, value)| !value.is_null()) {
            self.usage[name] = value.clone();
        }
    }

    /// A block begins: only calls have a beginning in OpenAI's form.
    fn begin(&mut self, event: &Value) -> Result<Vec<Value>, Broken> {
        let block = &event["content_block"];
        if block["type"] != "tool_use" {
            return Ok(Vec::new());
        }
        self.calls.push(event["index"].as_u64().ok_or(Broken)?);
        self.has_arguments = false;
        let function = json!({"name": block["name"], "arguments": ""});
        let index = self.calls.len() - 1;
        Ok(self.delta(json!({"tool_calls": [
            {"index": index, "id": block["id"], "type": "function", "function": function},
        ]})))
    }

    /// A block ends: a call without arguments has an empty object of them.
    fn end(&self, event: &Value) -> Vec<Value> {
        match self.has_arguments {
            true => Vec::new(),
            false => self.arguments(event, "{}"),
        }
    }

    /// A piece of the arguments of a call. Calls of Anthropic's own tools are none of the caller's.
    fn arguments(&self, event: &Value, piece: &str) -> Vec<Value> {
        let block = event["index"].as_u64();
        let Some(index) = self.calls.iter().position(|call| Some(*call) == block) else {
            return Vec::new();
        };
        let function = json!({"arguments": piece});
        self.delta(json!({"tool_calls": [{"index": index, "function": function}]}))
    }

    fn goes_on(&mut self, event: &Value) -> Result<Vec<Value>, Broken> {
        let delta = &event["delta"];
        match delta["type"].as_str() {
            Some("text_delta") => Ok(self.delta(json!({"content": delta["text"]}))),
            Some("input_json_delta") => {
                let Some(piece) = delta["partial_json"].as_str().filter(|piece| !piece.is_empty()) else {
                    return Ok(Vec::new());
                };
                self.has_arguments = true;
                Ok(self.arguments(event, piece))
            }
            // Thoughts and signatures have no place in OpenAI's form.
            Some(_) => Ok(Vec::new()),
            None => Err(Broken),
        }
    }
}

impl Translate for Events {
    fn event(&mut self, data: &str) -> Result<Vec<Value>, Broken> {
        let event: Value = serde_json::from_str(data).map_err(|_| Broken)?;
        match event["type"].as_str() {
            Some("message_start") => {
                self.id = event["message"]["id"].clone();
                self.count(&event["message"]["usage"]);
                Ok(self.delta(json!({"role": "assistant", "content": ""})))
            }
            Some("content_block_start") => self.begin(&event),
            Some("content_block_delta") => self.goes_on(&event),
            Some("content_block_stop") => Ok(self.end(&event)),
            Some("message_delta") => {
                self.count(&event["usage"]);
                let reason = finish_reason(&event["delta"]["stop_reason"]);
                Ok(vec![
                    self.chunk(json!([{"index": 0, "delta": {}, "finish_reason": reason}])),
                ])
            }
            Some("message_stop") => {
                self.is_complete = true;
                let mut last = self.chunk(json!([]));
                last["usage"] = usage(&self.usage);
                Ok(vec![last])
            }
            Some("error") | None => Err(Broken),
            // "ping", and what is added one day.
            Some(_) => Ok(Vec::new()),
        }
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}
