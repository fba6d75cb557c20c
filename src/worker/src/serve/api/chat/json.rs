//! Messages of the assistant as OpenAI's JSON.

use engine::{TokenLogprobs, text::Tokenizer};
use serde_json::{Value, json};

use super::{CallDelta, Delta, Reply};
use crate::serve::api::logprobs::chat_entry;

/// A choice of a whole answer.
pub fn choice(tokenizer: &Tokenizer, index: usize, reply: Reply, wants_logprobs: bool) -> Value {
    let mut message = json!({"role": "assistant", "content": reply.content});
    if !reply.calls.is_empty() {
        if reply.content.is_empty() {
            message["content"] = Value::Null;
        }
        let call = |call: CallDelta| {
            json!({
                "id": call.id,
                "type": "function",
                "function": {"name": call.call.name, "arguments": call.call.arguments},
            })
        };
        message["tool_calls"] = reply.calls.into_iter().map(call).collect();
    }
    json!({
        "index": index,
        "message": message,
        "logprobs": wants_logprobs.then(|| logprobs(tokenizer, &reply.logprobs)),
        "finish_reason": reply.finish.name(),
    })
}

/// The choices of a stream that show a delta. A call takes two: its name, then its arguments.
pub fn deltas(tokenizer: &Tokenizer, index: usize, delta: Delta, wants_logprobs: bool) -> Vec<Value> {
    let choice = |delta: Value, logprobs: Option<Value>, finish: Option<&str>| json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish});
    match delta {
        Delta::Begin => vec![choice(json!({"role": "assistant", "content": ""}), None, None)],
        Delta::Text(text, entry) => {
            let entries = wants_logprobs.then(|| logprobs(tokenizer, entry.as_slice()));
            vec![choice(json!({"content": text}), entries, None)]
        }
        Delta::Call(CallDelta { index, id, call }) => {
            let begin = json!({
                "index": index,
                "id": id,
                "type": "function",
                "function": {"name": call.name, "arguments": ""},
            });
            let arguments = json!({"index": index, "function": {"arguments": call.arguments}});
            [begin, arguments]
                .map(|call| choice(json!({"tool_calls": [call]}), None, None))
                .into()
        }
        Delta::End(finish) => vec![choice(json!({}), None, Some(finish.name()))],
    }
}

fn logprobs(tokenizer: &Tokenizer, entries: &[TokenLogprobs]) -> Value {
    let entries = entries.iter().map(|entry| chat_entry(tokenizer, entry));
    json!({"content": entries.collect::<Vec<Value>>()})
}
