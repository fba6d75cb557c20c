//! Answers of the HTTP API as messages.

use rpc::v1::{self, FinishReason};
use serde_json::Value;

/// A whole continuation.
pub fn completion(answer: &Value) -> v1::GenerateResponse {
    v1::GenerateResponse {
        id: text(&answer["id"]),
        model: text(&answer["model"]),
        created: answer["created"].as_u64().unwrap_or_default(),
        choices: list(&answer["choices"]).iter().map(continued).collect(),
        usage: usage(answer),
    }
}

/// A continuation, or more of one.
pub fn continued(choice: &Value) -> v1::Completion {
    v1::Completion {
        index: number(&choice["index"]),
        text: text(&choice["text"]),
        finish_reason: finish(choice),
        logprobs: token_lists(&choice["logprobs"]),
    }
}

/// A whole answer to a conversation.
pub fn chat(answer: &Value) -> v1::ChatResponse {
    let choice = |choice: &Value| {
        let message = &choice["message"];
        v1::ChatChoice {
            index: number(&choice["index"]),
            message: Some(v1::Message {
                role: "assistant".into(),
                content: text(&message["content"]),
                tool_calls: list(&message["tool_calls"]).iter().map(call).collect(),
                tool_call_id: String::new(),
            }),
            finish_reason: finish(choice),
            logprobs: token_objects(&choice["logprobs"]),
        }
    };
    v1::ChatResponse {
        id: text(&answer["id"]),
        model: text(&answer["model"]),
        created: answer["created"].as_u64().unwrap_or_default(),
        choices: list(&answer["choices"]).iter().map(choice).collect(),
        usage: usage(answer),
    }
}

/// The vectors of texts.
pub fn embeddings(answer: &Value) -> v1::EmbedResponse {
    let vector = |row: &Value| v1::Embedding {
        values: list(&row["embedding"]).iter().map(float).collect(),
    };
    v1::EmbedResponse {
        model: text(&answer["model"]),
        embeddings: list(&answer["data"]).iter().map(vector).collect(),
        usage: usage(answer),
    }
}

/// Documents in order.
pub fn ranking(answer: &Value) -> v1::RerankResponse {
    let result = |result: &Value| v1::RerankResult {
        index: number(&result["index"]),
        relevance_score: float(&result["relevance_score"]),
    };
    v1::RerankResponse {
        model: text(&answer["model"]),
        results: list(&answer["results"]).iter().map(result).collect(),
        usage: usage(answer),
    }
}

/// What a request took, if it is stated.
pub fn usage(answer: &Value) -> Option<v1::Usage> {
    let usage = answer["usage"].as_object()?;
    let count = |field: &str| usage.get(field).map(number).unwrap_or_default();
    Some(v1::Usage {
        prompt_tokens: count("prompt_tokens"),
        completion_tokens: count("completion_tokens"),
        mean_nll: usage.get("mean_nll").filter(|it| it.is_number()).map(float),
        cached_tokens: usage
            .get("prompt_tokens_details")
            .map(|details| number(&details["cached_tokens"]))
            .unwrap_or_default(),
    })
}

/// A whole call of a tool.
pub fn call(call: &Value) -> v1::ToolCall {
    v1::ToolCall {
        id: text(&call["id"]),
        name: text(&call["function"]["name"]),
        arguments: text(&call["function"]["arguments"]),
    }
}

/// Why an answer ended.
pub fn finish(choice: &Value) -> i32 {
    let reason = match choice["finish_reason"].as_str() {
        None => FinishReason::Unspecified,
        Some("length") => FinishReason::Length,
        Some("tool_calls" | "function_call") => FinishReason::ToolCalls,
        Some("content_filter") => FinishReason::ContentFilter,
        Some(_) => FinishReason::Stop,
    };
    reason.into()
}

/// Logprobs as chats have them: objects of tokens.
pub fn token_objects(logprobs: &Value) -> Vec<v1::TokenLogprobs> {
    let one = |entry: &Value| v1::Logprob {
        id: 0,
        token: match entry["bytes"].as_array() {
            Some(bytes) => bytes.iter().map(|byte| number(byte) as u8).collect(),
            None => text(&entry["token"]).into_bytes(),
        },
        logprob: float(&entry["logprob"]),
    };
    let all = |entry: &Value| v1::TokenLogprobs {
        chosen: Some(one(entry)),
        top: list(&entry["top_logprobs"]).iter().map(one).collect(),
    };
    list(&logprobs["content"]).iter().map(all).collect()
}

/// Logprobs as completions have them: lists side by side.
fn token_lists(logprobs: &Value) -> Vec<v1::TokenLogprobs> {
    let one = |token: &str, logprob: f32| v1::Logprob {
        id: 0,
        token: token.as_bytes().into(),
        logprob,
    };
    let tops = list(&logprobs["top_logprobs"]);
    let tokens = list(&logprobs["tokens"]).iter().zip(list(&logprobs["token_logprobs"]));
    let all = tokens.enumerate().map(|(place, (token, logprob))| {
        let top = tops.get(place).and_then(Value::as_object).into_iter().flatten();
        let mut top: Vec<_> = top.map(|(token, logprob)| one(token, float(logprob))).collect();
        top.sort_by(|a, b| b.logprob.total_cmp(&a.logprob));
        v1::TokenLogprobs {
            chosen: Some(one(token.as_str().unwrap_or_default(), float(logprob))),
            top,
        }
    });
    all.collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Text; empty where there is none.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().into()
}

/// A count or an index.
pub fn number(value: &Value) -> u32 {
    value
        .as_u64()
        .and_then(|number| number.try_into().ok())
        .unwrap_or_default()
}

fn float(value: &Value) -> f32 {
    value.as_f64().unwrap_or_default() as f32
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_chat_keeps_all_that_it_has() {
        let answer = chat(&json!({
            "id": "chatcmpl-1", "model": "m", "created": 5,
            "choices": [{
                "index": 0, "finish_reason": "tool_calls",
                "message": {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "call-1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                ]},
                "logprobs": {"content": [
                    {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": [{"token": "b", "bytes": null, "logprob": -1.0}]},
                ]},
            }],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "mean_nll": 0.25, "prompt_tokens_details": {"cached_tokens": 2}},
        }));
        assert_eq!(
            (answer.id.as_str(), answer.model.as_str(), answer.created),
            ("chatcmpl-1", "m", 5)
        );
        let choice = &answer.choices[0];
        let message = choice.message.as_ref().unwrap();
        assert_eq!(
            (message.content.as_str(), message.tool_calls[0].name.as_str()),
            ("", "f")
        );
        assert_eq!(choice.finish_reason(), FinishReason::ToolCalls);
        let logprobs = &choice.logprobs[0];
        assert_eq!(logprobs.chosen.as_ref().unwrap().token, b"a");
        assert_eq!(
            (logprobs.top[0].token.as_slice(), logprobs.top[0].logprob),
            (&b"b"[..], -1.0)
        );
        let usage = answer.usage.unwrap();
        assert_eq!(
            (
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.mean_nll,
                usage.cached_tokens
            ),
            (3, 4, Some(0.25), 2)
        );
    }

    #[test]
    fn a_completion_has_its_logprobs_side_by_side() {
        let answer = completion(&json!({
            "choices": [{"index": 1, "text": "ab", "finish_reason": "content_filter", "logprobs": {
                "tokens": ["a", "b"], "token_logprobs": [-1.0, null], "top_logprobs": [{"x": -3.0, "a": -1.0}, null],
            }}],
        }));
        let choice = &answer.choices[0];
        assert_eq!((choice.index, choice.text.as_str()), (1, "ab"));
        assert_eq!(choice.finish_reason(), FinishReason::ContentFilter);
        assert_eq!(choice.logprobs[0].top[0].token, b"a");
        assert_eq!((choice.logprobs.len(), choice.logprobs[1].top.len()), (2, 0));
        assert_eq!(answer.usage, None);
    }

    #[test]
    fn vectors_and_ranks_are_numbers() {
        let found = embeddings(&json!({"data": [{"embedding": [0.5, -1.0]}], "usage": {"prompt_tokens": 2}}));
        assert_eq!(found.embeddings[0].values, [0.5, -1.0]);
        let found = ranking(&json!({"results": [{"index": 2, "relevance_score": 0.75}]}));
        assert_eq!((found.results[0].index, found.results[0].relevance_score), (2, 0.75));
    }
}
