//! `POST /v1/chat/completions`

mod json;
pub(super) mod messages;
mod request;
mod speaker;
pub(super) mod tools;

use std::sync::Arc;

use axum::{extract::State, response::Response};
use futures::future::try_join_all;

pub use self::{
    request::{Chat, answered, begin},
    speaker::{CallDelta, Delta, Reply},
};
use super::{
    Api, Json,
    answer::{self, Frame, Usage},
    caller::Caller,
    error::Error,
    stream,
};

/// Answers a conversation.
pub async fn handle(State(api): State<Arc<Api>>, caller: Caller, Json(body): Json) -> Result<Response, Error> {
    let Chat {
        generations,
        mut speakers,
        prompt_tokens,
        options,
        wants_logprobs,
        model,
    } = begin(&api, &caller, &body).await?;
    let tokenizer = api.model.tokenizer.clone();
    if options.stream {
        let frame = Frame::new(&model, "chatcmpl", "chat.completion.chunk");
        let choices = move |index: usize, output| {
            let deltas = speakers[index].hear(output);
            let choice = |delta| json::deltas(&tokenizer, index, delta, wants_logprobs);
            deltas.into_iter().flat_map(choice).collect()
        };
        let usage = options.include_usage.then_some(prompt_tokens);
        return stream::respond(frame, generations, choices, usage).await;
    }
    let answers = try_join_all(generations.into_iter().map(answer::whole)).await?;
    let usage = Usage::new(prompt_tokens, &answers);
    let replies = speakers.iter_mut().zip(answers).enumerate();
    let choices = replies
        .map(|(index, (speaker, answer))| json::choice(&tokenizer, index, speaker.reply(answer), wants_logprobs));
    let frame = Frame::new(&model, "chatcmpl", "chat.completion");
    Ok(frame.respond(choices.collect(), usage))
}
