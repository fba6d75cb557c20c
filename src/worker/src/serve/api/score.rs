//! `POST /internal/score`: how likely the model finds an answer that is given: [`protocol::score`].
//!
//! Nothing is generated. The answer is cut into tokens as if the model had written it after its prompt, and the prompt is
//! computed with it.

use std::sync::Arc;

use axum::{extract::State, response::IntoResponse as _, response::Response};
use engine::{Request, text::Tokenizer};
use protocol::score::Scored;
use serde_json::Map;
use tokio::task::spawn_blocking;

use super::{
    Api, Json,
    answer::{self, Submission},
    caller::Caller,
    chat,
    error::Error,
    fields::Fields,
    sampling::Options,
};
use crate::serve::generation::Generation;

/// A prompt and an answer to it, as texts.
struct Given {
    prompt: String,
    answer: String,
    /// Whether the prompt gets the token that begins texts; templates write it themselves.
    begin: bool,
    /// Whether the end of the answer belongs to it.
    ended: bool,
}

/// Scores an answer.
pub async fn handle(State(api): State<Arc<Api>>, caller: Caller, Json(body): Json) -> Result<Response, Error> {
    let fields = Fields::new(&body);
    let model = fields.text("model")?.ok_or(Error::MissingField { field: "model" })?;
    let model = api.find_model(model).await?;
    let given = read(&api, fields)?;
    let tokenizer = api.model.tokenizer.clone();
    // Long texts take a while.
    let cut = spawn_blocking(move || given.tokens(&tokenizer)).await;
    let (tokens, first) = cut.unwrap_or_else(|error| Err(Error::Tokenizer(error.to_string())))?;
    let count = tokens.len() - first;
    let request = Request {
        prompt: tokens,
        max_tokens: 0,
        prompt_logprobs: Some(0),
        adapter: model.adapter.clone(),
        ..caller.request()
    };
    let mut nll = 0.0;
    for generation in submit(&api, &caller, request)? {
        let logprobs = answer::whole(generation).await?.prompt_logprobs;
        // They begin with the prompt's second token.
        let of_answer = logprobs.iter().rev().take(count);
        nll -= of_answer.map(|entry| f64::from(entry.chosen.logprob)).sum::<f64>();
    }
    let scored = Scored {
        tokens: count as u64,
        nll: nll.max(0.0),
    };
    Ok(axum::Json(scored).into_response())
}

/// There is nothing to choose, so no options.
fn submit(api: &Api, caller: &Caller, request: Request) -> Result<Vec<Generation>, Error> {
    let none = Map::new();
    let options = Options::read(Fields::new(&none), api.vocabulary())?;
    let submission = Submission {
        request: &request,
        options: &options,
        shown: Arc::default(),
        span: caller.span(),
    };
    answer::submit(api, &submission)
}

fn read(api: &Api, fields: Fields<'_>) -> Result<Given, Error> {
    let ended = fields.flag("ended")?;
    if fields.get("messages").is_some() {
        let (prompt, answer) = chat::answered(api, fields)?;
        return Ok(Given {
            prompt,
            answer,
            begin: false,
            ended,
        });
    }
    let text = |field: &'static str| fields.text(field)?.ok_or(Error::MissingField { field });
    Ok(Given {
        prompt: text("prompt")?.into(),
        answer: text("completion")?.into(),
        begin: true,
        ended,
    })
}

impl Given {
    /// All tokens, and which one is the first of the answer.
    fn tokens(&self, tokenizer: &Tokenizer) -> Result<(Vec<u32>, usize), Error> {
        let encode = |text: &str, begin| tokenizer.encode(text, begin).map_err(Error::Tokenizer);
        let mut tokens = encode(&self.prompt, self.begin)?;
        let first = tokens.len();
        if tokenizer.leading_space() {
            // By itself the answer would get a space in front that it has not.
            let all = encode(&format!("{}{}", self.prompt, self.answer), self.begin)?;
            if !all.starts_with(&tokens) {
                return Err(Error::Tokenizer(
                    "a token of the text lies over the border between prompt and answer".into(),
                ));
            }
            tokens = all;
        } else {
            tokens.extend(encode(&self.answer, false)?);
        }
        // Templates write the mark of the end, and often a line feed behind it that no model writes.
        let ends = tokenizer.ends();
        match tokens[first..].iter().rposition(|token| ends.contains(token)) {
            Some(end) => tokens.truncate(first + end + usize::from(self.ended)),
            None if self.ended => tokens.extend(tokenizer.end()),
            None => {}
        }
        // Of the first token of all nothing is known.
        if first == 0 || tokens.len() == first {
            return Err(Error::InvalidField {
                field: "completion".into(),
                expected: "an answer of at least one token to a prompt of at least one".into(),
            });
        }
        Ok((tokens, first))
    }
}
