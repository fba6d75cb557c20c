//! `POST /v1/chat/completions`

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use engine::{Request, text::Tokenizer};
use futures::future::try_join_all;
use serde_json::{Map, Value, json};

use super::{
    Api, Json,
    answer::{self, Frame, Usage, Whole, finish_reason},
    caller::Caller,
    error::Error,
    fields::Fields,
    logprobs::{MAX_TOP, chat_entry},
    sampling::Options,
    stream,
};
use crate::serve::{chat_template::Message, generation::Output};

/// Answers a conversation.
pub async fn handle(State(api): State<Arc<Api>>, caller: Caller, Json(body): Json) -> Result<Response, Error> {
    let fields = Fields::new(&body);
    let model = fields.text("model")?.ok_or(Error::MissingField { field: "model" })?;
    api.check_model(model)?;
    fields.refuse(&[
        ("tools", "this release calls no tools"),
        ("functions", "this release calls no tools"),
        ("audio", "this release reads text only"),
        ("guided_json", "this release does not constrain answers"),
        ("guided_regex", "this release does not constrain answers"),
    ])?;
    check_response_format(fields)?;
    let options = Options::read(fields)?;
    let logprobs = logprobs(fields)?;
    let context = api.model.engine.options().context_length as u64;
    let max_tokens = match fields.integer("max_completion_tokens", 1..=context)? {
        Some(tokens) => tokens,
        None => fields.integer("max_tokens", 1..=context)?.unwrap_or(context),
    };

    let prompt = write_down(&api, messages(fields)?)?;
    let request = Request {
        prompt: answer::encode(&api, prompt, false).await?,
        max_tokens: max_tokens as usize,
        logprobs,
        ..caller.request()
    };
    let generations = answer::submit(&api, &request, &options)?;
    let prompt_tokens = request.prompt.len();
    let tokenizer = api.model.tokenizer.clone();
    if options.stream {
        let frame = Frame::new(&api, "chatcmpl", "chat.completion.chunk");
        let wants_logprobs = logprobs.is_some();
        let choice = move |index, output| piece(&tokenizer, index, output, wants_logprobs);
        return stream::respond(
            frame,
            generations,
            choice,
            options.include_usage.then_some(prompt_tokens),
        )
        .await;
    }
    let answers = try_join_all(generations.into_iter().map(answer::whole)).await?;
    let usage = Usage {
        prompt: prompt_tokens,
        cached: answers.first().map_or(0, |answer| answer.cached),
        answer: answers.iter().map(|answer| answer.tokens).sum(),
    };
    let choices = answers.into_iter().enumerate();
    let choices = choices.map(|(index, answer)| choice(&tokenizer, index, answer, logprobs.is_some()));
    let frame = Frame::new(&api, "chatcmpl", "chat.completion");
    Ok(axum::Json(frame.around(choices.collect(), Some(usage))).into_response())
}

fn check_response_format(fields: Fields<'_>) -> Result<(), Error> {
    let kind = fields.get("response_format").map(|format| &format["type"]);
    match kind {
        None => Ok(()),
        Some(kind) if kind == "text" => Ok(()),
        Some(_) => Err(Error::UnsupportedField {
            field: "response_format".into(),
            hint: "this release does not constrain answers; only the type \"text\" is understood",
        }),
    }
}

fn logprobs(fields: Fields<'_>) -> Result<Option<usize>, Error> {
    let top = fields.integer("top_logprobs", 0..=MAX_TOP)?;
    match (fields.flag("logprobs")?, top) {
        (true, top) => Ok(Some(top.unwrap_or(0) as usize)),
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => Err(fields.invalid("top_logprobs", "left out, or \"logprobs\" true")),
    }
}

fn messages(fields: Fields<'_>) -> Result<Vec<Message>, Error> {
    let Some(messages) = fields.get("messages") else {
        return Err(Error::MissingField { field: "messages" });
    };
    let messages = messages.as_array().filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| fields.invalid("messages", "an array with at least one message"))?;
    let read = |(index, message): (usize, &Value)| match message {
        Value::Object(object) => read_message(Fields::inside(object, &format!("messages[{index}]."))),
        _ => Err(fields.invalid(&format!("messages[{index}]"), "an object")),
    };
    messages.iter().enumerate().map(read).collect()
}

fn read_message(fields: Fields<'_>) -> Result<Message, Error> {
    fields.refuse(&[
        ("tool_calls", "this release calls no tools"),
        ("function_call", "this release calls no tools"),
    ])?;
    let role = match fields.text("role")? {
        // OpenAI's newer name.
        Some("developer") => "system",
        Some(role @ ("system" | "user" | "assistant")) => role,
        _ => return Err(fields.invalid("role", "system, developer, user or assistant")),
    };
    let content = match fields.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts
            .iter()
            .map(text_part)
            .collect::<Option<String>>()
            .ok_or_else(|| fields.invalid("content", "a string or an array of parts of type \"text\""))?,
        _ => return Err(fields.invalid("content", "a string or an array of parts of type \"text\"")),
    };
    Ok(Message {
        role: role.into(),
        content,
    })
}

fn text_part(part: &Value) -> Option<&str> {
    let part: &Map<String, Value> = part.as_object()?;
    part.get("type").filter(|kind| *kind == "text")?;
    part.get("text")?.as_str()
}

fn write_down(api: &Api, mut messages: Vec<Message>) -> Result<String, Error> {
    let template = api.model.template.as_ref().ok_or(Error::NoChatTemplate)?;
    if let Some(system) = &api.model.system_prompt
        && messages.iter().all(|message| message.role != "system")
    {
        let system = Message {
            role: "system".into(),
            content: system.clone(),
        };
        messages.insert(0, system);
    }
    template.render(&messages).map_err(Error::Template)
}

fn choice(tokenizer: &Tokenizer, index: usize, answer: Whole, wants_logprobs: bool) -> Value {
    let logprobs = wants_logprobs.then(|| {
        let content: Vec<Value> = answer
            .logprobs
            .iter()
            .map(|entry| chat_entry(tokenizer, entry))
            .collect();
        json!({"content": content})
    });
    json!({
        "index": index,
        "message": {"role": "assistant", "content": answer.text},
        "logprobs": logprobs,
        "finish_reason": finish_reason(answer.reason),
    })
}

fn piece(tokenizer: &Tokenizer, index: usize, output: Output, wants_logprobs: bool) -> Option<Value> {
    let (delta, logprobs, reason) = match output {
        Output::Prompt(_) => (json!({"role": "assistant", "content": ""}), None, None),
        Output::Text { text, logprobs } if !text.is_empty() || logprobs.is_some() => {
            let entries = logprobs.iter().map(|entry| chat_entry(tokenizer, entry));
            let entries: Vec<Value> = entries.collect();
            (
                json!({"content": text}),
                wants_logprobs.then(|| json!({"content": entries})),
                None,
            )
        }
        Output::Text { .. } => return None,
        Output::End(reason) => (json!({}), None, Some(finish_reason(reason))),
    };
    Some(json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}))
}
