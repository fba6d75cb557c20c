//! A request as the candidate gets it.
//!
//! The copy asks the same question under the same sampling parameters. It carries nothing that says who asked, and
//! nothing that acts: tools stay in the prompt, for they change answers, but whatever a server would run or keep by
//! itself keeps a request from being copied at all. A copy without its web search would be another question.
//!
//! A seed that the user gave is kept. None is drawn where there is none: the live request has none either, and some
//! engines sample more slowly under a seed, which would be measured as the candidate's fault.
//!
//! Only the first of several choices is compared, so a copy asks for one.

mod headers;

pub use headers::{PAIR, headers};

use serde_json::{Map, Value, json};

/// What the candidate is asked for besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What `model` becomes.
    pub model: String,
    /// Whether log probabilities of the answer's tokens are needed, for `CrossPerplexity`.
    pub logprobs: bool,
}

/// Why a request is not copied. It is counted as dropped for this reason, never as a pair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCopied {
    /// The body is no chat and no completion.
    #[error("the body is neither a chat nor a completion: it needs messages or prompt")]
    Unknown,
    /// A server would run or keep something on behalf of the request.
    #[error("{0} acts on a server: only tools of type function are copied")]
    Acts(String),
    /// Nobody here knows what a field does, and so whether it may be repeated.
    #[error("{0} is a field that is not known here, so it is not known what copying it would do")]
    Field(String),
}

/// Fields that shape an answer and do nothing else.
const KEPT: &[&str] = &[
    "add_generation_prompt",
    "chat_template_kwargs",
    "continue_final_message",
    "echo",
    "frequency_penalty",
    "function_call",
    "functions",
    "grammar",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "ignore_eos",
    "include_stop_str_in_output",
    "json_schema",
    "length_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "min_p",
    "min_tokens",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "seed",
    "skip_special_tokens",
    "stop",
    "stop_token_ids",
    "structured_outputs",
    "suffix",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_a",
    "top_k",
    "top_logprobs",
    "top_p",
    "truncate_prompt_tokens",
    "verbosity",
];

/// Fields that say who asks, or where and how the answer is accounted for and kept. An answer is the same without.
const LEFT_OUT: &[&str] = &[
    "cache_salt",
    "chat_id",
    "conversation",
    "conversation_id",
    "metadata",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_retention",
    "priority",
    "request_id",
    "safety_identifier",
    "service_tier",
    "session_id",
    "thread",
    "thread_id",
    "user",
];

/// Replaced below.
const REPLACED: &[&str] = &["best_of", "model", "n", "store", "stream", "stream_options"];

/// Fields by which a server acts or reads what it has kept.
const ACTING: &[&str] = &[
    "audio",
    "background",
    "plugins",
    "previous_response_id",
    "web_search_options",
];

/// The copy of a chat or a completion.
///
/// # Errors
/// When the request is neither, or cannot be repeated without effects.
pub fn copy(body: &Value, target: &Target) -> Result<Value, NotCopied> {
    let body = body.as_object().ok_or(NotCopied::Unknown)?;
    let is_chat = body.get("messages").is_some_and(Value::is_array);
    if !is_chat && !body.contains_key("prompt") {
        return Err(NotCopied::Unknown);
    }
    let mut copy = Map::new();
    copy.insert("model".into(), target.model.as_str().into());
    for (name, value) in body {
        let is_in = |names: &[&str]| names.contains(&name.as_str());
        match value {
            _ if is_in(KEPT) => drop(copy.insert(name.clone(), value.clone())),
            _ if is_in(LEFT_OUT) || is_in(REPLACED) => {}
            Value::Null | Value::Bool(false) => {}
            _ if is_in(ACTING) => return Err(NotCopied::Acts(name.clone())),
            // As long as nothing but text is asked for.
            Value::Array(kinds) if name == "modalities" => {
                if kinds.iter().any(|kind| kind != "text") {
                    return Err(NotCopied::Acts(name.clone()));
                }
            }
            _ => return Err(NotCopied::Field(name.chars().take(64).collect())),
        }
    }
    if let Some(tools) = copy.get("tools") {
        only_functions(tools)?;
    }
    if is_chat && let Some(Value::Array(messages)) = copy.get_mut("messages") {
        messages.iter_mut().for_each(without_identity);
    }
    copy.insert("stream".into(), true.into());
    copy.insert("stream_options".into(), json!({"include_usage": true}));
    if is_chat {
        // OpenAI keeps completions of chats for some accounts unless it is told not to.
        copy.insert("store".into(), false.into());
    }
    if target.logprobs {
        ask_for_logprobs(&mut copy, is_chat);
    }
    Ok(copy.into())
}

/// Tools of other types are run by the server itself.
fn only_functions(tools: &Value) -> Result<(), NotCopied> {
    let tools = tools.as_array().map(Vec::as_slice).unwrap_or_default();
    let acting = tools.iter().enumerate().find_map(|(index, tool)| {
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or("function");
        (!matches!(kind, "function" | "custom")).then(|| format!("tools[{index}]"))
    });
    acting.map_or(Ok(()), |tool| Err(NotCopied::Acts(tool)))
}

/// Names of speakers belong to the prompt; ids and times that clients add do not.
fn without_identity(message: &mut Value) {
    const PROMPT: [&str; 9] = [
        "role",
        "content",
        "name",
        "tool_calls",
        "tool_call_id",
        "function_call",
        "refusal",
        "reasoning_content",
        "reasoning",
    ];
    if let Value::Object(message) = message {
        message.retain(|name, _| PROMPT.contains(&name.as_str()));
    }
}

fn ask_for_logprobs(copy: &mut Map<String, Value>, is_chat: bool) {
    if is_chat {
        copy.insert("logprobs".into(), true.into());
    } else if !copy.get("logprobs").is_some_and(Value::is_number) {
        // The chosen token alone, without alternatives.
        copy.insert("logprobs".into(), 0.into());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn target() -> Target {
        Target {
            model: "support-v-2".into(),
            logprobs: false,
        }
    }

    fn chat(more: Value) -> Value {
        let mut body = json!({"model": "support", "messages": [{"role": "user", "content": "Hi"}]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    #[test]
    fn the_question_and_its_parameters_stay() {
        let body = chat(
            json!({"temperature": 0.7, "top_p": 0.9, "top_k": 40, "seed": 7, "stop": ["\n"], "max_tokens": 50,
            "response_format": {"type": "json_object"}, "logit_bias": {"5": -100}}),
        );
        let copy = copy(&body, &target()).unwrap();
        assert_eq!(copy["model"], "support-v-2");
        for (name, value) in body.as_object().unwrap().iter().filter(|(name, _)| *name != "model") {
            assert_eq!(&copy[name], value, "{name}");
        }
    }

    #[test]
    fn no_seed_is_drawn() {
        assert!(copy(&chat(json!({})), &target()).unwrap().get("seed").is_none());
    }

    #[test]
    fn nothing_says_who_asked() {
        let body = chat(
            json!({"user": "jane@corp.example", "safety_identifier": "u-1", "prompt_cache_key": "jane",
            "metadata": {"tenant": "t"}, "session_id": "s", "conversation": {"id": "c"}, "cache_salt": "x"}),
        );
        let text = copy(&body, &target()).unwrap().to_string();
        for secret in ["jane", "u-1", "tenant", "\"s\"", "\"c\"", "\"x\"", "user\":"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }

    #[test]
    fn messages_keep_what_the_model_reads() {
        let body = json!({"messages": [
            {"role": "user", "content": "Hi", "name": "Ann", "id": "m-1", "createdAt": 5, "user_id": "jane"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "4"},
        ]});
        let messages = &copy(&body, &target()).unwrap()["messages"];
        assert_eq!(messages[0], json!({"role": "user", "content": "Hi", "name": "Ann"}));
        assert_eq!(messages[1], body["messages"][1]);
        assert_eq!(messages[2], body["messages"][2]);
    }

    #[test]
    fn it_streams_with_usage_and_is_kept_nowhere() {
        let body = chat(json!({"stream": false, "store": true, "n": 4}));
        let copy = copy(&body, &target()).unwrap();
        assert_eq!(copy["stream"], true);
        assert_eq!(copy["stream_options"], json!({"include_usage": true}));
        assert_eq!(copy["store"], false);
        assert!(copy.get("n").is_none());
    }

    #[test]
    fn functions_stay_in_the_prompt() {
        let tools = json!([{"type": "function", "function": {"name": "pay", "parameters": {"type": "object"}}}]);
        let copy = copy(&chat(json!({"tools": tools, "tool_choice": "auto"})), &target()).unwrap();
        assert_eq!((&copy["tools"], &copy["tool_choice"]), (&tools, &json!("auto")));
    }

    #[rstest]
    #[case(json!({"tools": [{"type": "function"}, {"type": "web_search"}]}), "tools[1]")]
    #[case(json!({"tools": [{"type": "mcp", "server_url": "https://x"}]}), "tools[0]")]
    #[case(json!({"web_search_options": {}}), "web_search_options")]
    #[case(json!({"previous_response_id": "r"}), "previous_response_id")]
    #[case(json!({"modalities": ["text", "audio"]}), "modalities")]
    #[case(json!({"background": true}), "background")]
    fn what_acts_on_a_server_is_not_copied(#[case] more: Value, #[case] field: &str) {
        assert_eq!(copy(&chat(more), &target()), Err(NotCopied::Acts(field.into())));
    }

    #[test]
    fn what_nobody_knows_is_not_copied() {
        let refused = copy(&chat(json!({"x_do_something": {"now": true}})), &target());
        assert_eq!(refused, Err(NotCopied::Field("x_do_something".into())));
        // What asks for nothing does nothing.
        assert!(copy(&chat(json!({"x_do_something": null, "background": false})), &target()).is_ok());
    }

    #[rstest]
    #[case(json!(null))]
    #[case(json!([]))]
    #[case(json!({}))]
    #[case(json!({"messages": "Hi"}))]
    #[case(json!({"input": "Hi"}))]
    fn what_is_no_request_is_not_copied(#[case] body: Value) {
        assert_eq!(copy(&body, &target()), Err(NotCopied::Unknown));
    }

    #[test]
    fn log_probabilities_are_asked_for_in_either_shape() {
        let target = Target {
            logprobs: true,
            ..target()
        };
        assert_eq!(copy(&chat(json!({})), &target).unwrap()["logprobs"], true);
        let completion = |body: Value| copy(&body, &target).unwrap()["logprobs"].clone();
        assert_eq!(completion(json!({"prompt": "Hi"})), 0);
        assert_eq!(completion(json!({"prompt": "Hi", "logprobs": 3})), 3);
        assert!(copy(&json!({"prompt": "Hi"}), &target).unwrap().get("store").is_none());
    }

    proptest! {
        #[test]
        fn a_copy_has_no_field_but_those_that_are_known(names in prop::collection::vec("[a-z_]{1,12}", 0..8)) {
            let mut body = chat(json!({}));
            names.iter().for_each(|name| body[name] = "secret".into());
            if let Ok(copy) = copy(&body, &target()) {
                for name in copy.as_object().unwrap().keys() {
                    prop_assert!(KEPT.contains(&name.as_str()) || REPLACED.contains(&name.as_str()), "{name}");
                }
            }
        }
    }
}
