//! An answer out of what comes over the wire, in bounded memory.

use serde_json::Value;

use super::{Answer, Failure, Finish, Outcome, Timings, ToolCall};

/// Bytes of an answer's text and calls that are kept. A longer answer has failed: what cannot be kept cannot be compared.
pub const MAX_TEXT: usize = 1 << 20;
/// Calls that are kept.
const MAX_CALLS: usize = 128;

/// Hears an answer: the events of a stream one by one, or one whole body.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    text: String,
    calls: Vec<ToolCall>,
    bytes: usize,
    is_marked_refusal: bool,
    finish: Option<Finish>,
    failure: Option<Failure>,
    first: Option<f64>,
    last: Option<f64>,
    pieces: u64,
    tokens_in: Option<u64>,
    tokens_out: Option<u64>,
    nll: f64,
    nll_tokens: u64,
}

impl Listener {
    /// Hears the data of an event (`data: {...}`) that came `at` seconds after the request was sent. Only the first
    /// choice is heard.
    pub fn event(&mut self, event: &Value, at: f64) {
        if self.hear(event, "delta") {
            self.first = self.first.or(Some(at));
            self.last = Some(at);
            self.pieces += 1;
        }
    }

    /// Hears a body that came as a whole. It has no times of tokens.
    pub fn whole(&mut self, body: &Value) {
        if body.get("choices").and_then(Value::as_array).is_none() && body.get("error").is_none() {
            self.failure = Some(Failure::Malformed);
        }
        self.hear(body, "message");
    }

    /// What was answered, `total` seconds after the request was sent. An answer that nothing ended broke off.
    pub fn finish(self, total: f64) -> Answer {
        let outcome = match (self.failure, self.finish) {
            (Some(failure), _) => Outcome::Failed(failure),
            (None, Some(finish)) => Outcome::Finished(finish),
            (None, None) => Outcome::Failed(Failure::Broken),
        };
        // Servers may put several tokens into an event, so what they count comes first.
        let tokens = self.tokens_out.unwrap_or(self.pieces);
        let span = self.first.zip(self.last).map(|(first, last)| last - first);
        let inter_token = span.filter(|_| tokens > 1).map(|span| span / (tokens - 1) as f64);
        Answer {
            text: self.text,
            tool_calls: self.calls,
            is_marked_refusal: self.is_marked_refusal,
            outcome,
            timings: Timings {
                first_token: self.first,
                inter_token,
                total,
            },
            tokens_in: self.tokens_in,
            tokens_out: self.tokens_out,
            mean_nll: (self.nll_tokens > 0).then(|| self.nll / self.nll_tokens as f64),
            violations: None,
        }
    }

    /// Whether a part of the answer itself was heard.
    fn hear(&mut self, body: &Value, message: &str) -> bool {
        if body.get("error").is_some_and(|error| !error.is_null()) {
            self.failure = Some(Failure::Server);
        }
        if let Some(usage) = body.get("usage") {
            let count = |name| usage.get(name).and_then(Value::as_u64);
            self.tokens_in = count("prompt_tokens").or(self.tokens_in);
            self.tokens_out = count("completion_tokens").or(self.tokens_out);
        }
        let choices = body.get("choices").and_then(Value::as_array);
        let is_first = |choice: &&Value| choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0;
        let Some(choice) = choices.and_then(|choices| choices.iter().find(is_first)) else {
            return false;
        };
        let before = self.bytes;
        // `text` of completions stands in the choice itself.
        for part in [Some(choice), choice.get(message)].into_iter().flatten() {
            for name in ["text", "content"] {
                if let Some(text) = part.get(name).and_then(Value::as_str) {
                    self.keep(text.len());
                    self.text.push_str(if self.failure.is_none() { text } else { "" });
                }
            }
            if let Some(refusal) = part.get("refusal").and_then(Value::as_str) {
                self.is_marked_refusal = true;
                self.keep(refusal.len());
                self.text.push_str(if self.failure.is_none() { refusal } else { "" });
            }
            let calls = part.get("tool_calls").and_then(Value::as_array);
            for (place, call) in calls.into_iter().flatten().enumerate() {
                self.call(place, call);
            }
        }
        self.finish = choice
            .get("finish_reason")
            .and_then(Value::as_str)
            .map(finish)
            .or(self.finish);
        self.logprobs(choice.get("logprobs"));
        self.bytes > before
    }

    fn call(&mut self, place: usize, call: &Value) {
        let index = call.get("index").and_then(Value::as_u64).unwrap_or(place as u64);
        let Some(index) = usize::try_from(index).ok().filter(|index| *index < MAX_CALLS) else {
            self.failure = Some(Failure::TooLarge);
            return;
        };
        let function = call.get("function").unwrap_or(&Value::Null);
        let text = |name| function.get(name).and_then(Value::as_str).unwrap_or_default();
        let (name, arguments) = (text("name"), text("arguments"));
        self.keep(name.len() + arguments.len());
        if self.failure.is_some() {
            return;
        }
        let empty = || ToolCall {
            name: String::new(),
            arguments: String::new(),
        };
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, empty);
        }
        self.calls[index].name.push_str(name);
        self.calls[index].arguments.push_str(arguments);
    }

    /// Both shapes: a list of objects in chats, a list of numbers in completions.
    fn logprobs(&mut self, logprobs: Option<&Value>) {
        let Some(logprobs) = logprobs else { return };
        let list = |name| logprobs.get(name).and_then(Value::as_array).into_iter().flatten();
        let chat = list("content").filter_map(|entry| entry.get("logprob")?.as_f64());
        let legacy = list("token_logprobs").filter_map(Value::as_f64);
        // No probability is greater than one; a server that says so, or that one is nothing, is not heard.
        for logprob in chat.chain(legacy).filter(|it| it.is_finite() && *it <= 0.0) {
            self.nll -= logprob;
            self.nll_tokens += 1;
        }
    }

    fn keep(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_TEXT {
            self.failure = Some(Failure::TooLarge);
        }
    }
}

fn finish(reason: &str) -> Finish {
    match reason {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        _ => Finish::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn delta(delta: Value) -> Value {
        json!({"choices": [{"index": 0, "delta": delta}]})
    }

    fn end(reason: &str) -> Value {
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    }

    #[test]
    fn a_stream_is_put_together_and_timed() {
        let mut listener = Listener::default();
        listener.event(&delta(json!({"role": "assistant", "content": ""})), 0.1);
        listener.event(&delta(json!({"content": "Hel"})), 0.5);
        listener.event(
            &json!({"choices": [{"index": 1, "delta": {"content": "other choice"}}]}),
            0.6,
        );
        listener.event(&delta(json!({"content": "lo"})), 0.9);
        listener.event(&end("stop"), 1.0);
        listener.event(
            &json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}),
            1.1,
        );
        let answer = listener.finish(1.2);
        assert_eq!(
            (answer.text.as_str(), answer.outcome),
            ("Hello", Outcome::Finished(Finish::Stop))
        );
        assert_eq!((answer.tokens_in, answer.tokens_out), (Some(7), Some(3)));
        assert_eq!(answer.timings.first_token, Some(0.5));
        // Two intervals between three tokens, over 0.4 s.
        assert!((answer.timings.inter_token.unwrap() - 0.2).abs() < 1e-12);
    }

    #[test]
    fn calls_come_in_pieces() {
        let mut listener = Listener::default();
        listener.event(
            &delta(json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "pay", "arguments": ""}}]})),
            0.1,
        );
        listener.event(
            &delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"sum\""}}]})),
            0.2,
        );
        listener.event(
            &delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": ": 5}"}}]})),
            0.3,
        );
        listener.event(&end("tool_calls"), 0.4);
        let answer = listener.finish(0.4);
        let arguments = "{\"sum\": 5}".to_owned();
        assert_eq!(
            answer.tool_calls,
            [ToolCall {
                name: "pay".into(),
                arguments
            }]
        );
    }

    #[test]
    fn a_whole_body_has_no_times_of_tokens() {
        let mut listener = Listener::default();
        listener.whole(
            &json!({"choices": [{"message": {"content": "Hi"}, "finish_reason": "length",
            "logprobs": {"content": [{"logprob": -0.5}, {"logprob": -1.5}]}}], "usage": {"completion_tokens": 2}}),
        );
        let answer = listener.finish(3.0);
        assert_eq!((answer.timings.first_token, answer.timings.inter_token), (None, None));
        assert_eq!(
            (answer.outcome, answer.mean_nll),
            (Outcome::Finished(Finish::Length), Some(1.0))
        );
    }

    #[test]
    fn completions_are_heard_as_well() {
        let mut listener = Listener::default();
        listener.event(
            &json!({"choices": [{"text": "a", "logprobs": {"token_logprobs": [null, -2.0]}}]}),
            0.1,
        );
        listener.event(&json!({"choices": [{"text": "b", "finish_reason": "stop"}]}), 0.1);
        let answer = listener.finish(0.2);
        assert_eq!((answer.text.as_str(), answer.mean_nll), ("ab", Some(2.0)));
    }

    #[test]
    fn what_nothing_ends_broke_off() {
        let mut listener = Listener::default();
        listener.event(&delta(json!({"content": "Hel"})), 0.5);
        assert_eq!(listener.finish(1.0).outcome, Outcome::Failed(Failure::Broken));
        assert_eq!(
            Listener::default().finish(1.0).outcome,
            Outcome::Failed(Failure::Broken)
        );
    }

    #[test]
    fn an_error_within_a_stream_is_a_failure() {
        let mut listener = Listener::default();
        listener.event(&delta(json!({"content": "Hel"})), 0.5);
        listener.event(&json!({"error": {"message": "out of memory"}}), 0.6);
        listener.event(&end("stop"), 0.7);
        assert_eq!(listener.finish(1.0).outcome, Outcome::Failed(Failure::Server));
    }

    #[test]
    fn a_body_that_is_no_answer_is_malformed() {
        for body in [json!(null), json!([1]), json!({"choices": 3}), json!("x")] {
            let mut listener = Listener::default();
            listener.whole(&body);
            assert_eq!(
                listener.finish(1.0).outcome,
                Outcome::Failed(Failure::Malformed),
                "{body}"
            );
        }
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let mut listener = Listener::default();
        let piece = "x".repeat(100_000);
        for _ in 0..50 {
            listener.event(
                &delta(json!({"content": piece, "tool_calls": [{"function": {"arguments": piece}}]})),
                0.5,
            );
        }
        listener.event(&end("stop"), 1.0);
        assert!(listener.text.len() + listener.calls[0].arguments.len() <= MAX_TEXT);
        assert_eq!(listener.finish(1.0).outcome, Outcome::Failed(Failure::TooLarge));
        let mut listener = Listener::default();
        listener.event(
            &delta(json!({"tool_calls": [{"index": u64::MAX, "function": {"name": "f"}}]})),
            0.5,
        );
        assert_eq!(listener.finish(1.0).outcome, Outcome::Failed(Failure::TooLarge));
    }

    #[test]
    fn probabilities_that_are_none_are_not_heard() {
        let mut listener = Listener::default();
        listener.whole(
            &json!({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop",
            "logprobs": {"content": [{"logprob": 5.0}, {"logprob": "x"}, {"logprob": -1.0}, 7]}}]}),
        );
        assert_eq!(listener.finish(1.0).mean_nll, Some(1.0));
    }
}
