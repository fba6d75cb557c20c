//! `POST /v1/completions`: text that goes on, with logprobs of a given text by `echo`.

use std::{iter, sync::Arc};

use axum::{extract::State, response::Response};
use engine::{Request, TokenLogprobs, text::Tokenizer};
use futures::future::try_join_all;
use serde_json::{Map, Value, json};

use super::{
    Api, Json, Served,
    answer::{self, Finish, Frame, Submission, Usage, Whole},
    caller::Caller,
    constraint::Form,
    error::Error,
    fields::Fields,
    logprobs::{Legacy, MAX_TOP, token_text},
    sampling::Options,
    stream,
};
use crate::serve::generation::{Generation, Output};

/// OpenAI's default length.
const MAX_TOKENS: u64 = 16;
/// Most prompts of one request.
const MAX_PROMPTS: usize = 64;

/// Continues prompts.
pub async fn handle(State(api): State<Arc<Api>>, caller: Caller, Json(body): Json) -> Result<Response, Error> {
    let Completions {
        generations,
        mut writers,
        prompt_tokens,
        options,
        model,
    } = begin(&api, &caller, &body).await?;
    let frame = Frame::new(&model, "cmpl", "text_completion");
    if options.stream {
        let choices = move |index: usize, output| writers[index].piece(index, output).into_iter().collect();
        let usage = options.include_usage.then_some(prompt_tokens);
        return stream::respond(frame, generations, choices, usage).await;
    }
    let answers = try_join_all(generations.into_iter().map(answer::whole)).await?;
    let usage = Usage::new(prompt_tokens, &answers);
    let choices = writers.iter_mut().zip(answers).enumerate();
    let choices = choices.map(|(index, (writer, answer))| writer.whole(index, answer));
    Ok(frame.respond(choices.collect(), usage))
}

/// Prompts whose continuations are under way.
pub struct Completions {
    /// The answers.
    pub generations: Vec<Generation>,
    writers: Vec<Writer>,
    /// Tokens of all prompts.
    pub prompt_tokens: usize,
    /// How the answers are made.
    pub options: Options,
    /// What answers.
    pub model: Served,
}

/// Begins to answer the request `body`.
///
/// # Errors
/// Its first fault, or what keeps the engine from taking it.
pub async fn begin(api: &Arc<Api>, caller: &Caller, body: &Map<String, Value>) -> Result<Completions, Error> {
    let fields = Fields::new(body);
    let model = fields.text("model")?.ok_or(Error::MissingField { field: "model" })?;
    let model = api.find_model(model).await?;
    fields.refuse(&[("suffix", "leave it out")])?;
    let options = Options::read(fields, api.vocabulary())?;
    let echo = fields.flag("echo")?;
    let logprobs = fields.integer("logprobs", 0..=MAX_TOP)?.map(|top| top as usize);
    let context = api.model.engine.options().model.context_length as u64;
    let max_tokens = fields
        .integer("max_tokens", 0..=context)?
        .unwrap_or(MAX_TOKENS.min(context));

    let mut prompts = Vec::new();
    for prompt in prompts_of(fields)? {
        prompts.push(match prompt {
            Prompt::Text(text) => answer::encode(api, text, true).await?,
            Prompt::Tokens(tokens) => tokens,
        });
    }
    let constraint = match Form::read(fields)? {
        Some(form) => Some(form.compile(api).await?),
        None => None,
    };
    let mut generations = Vec::new();
    let mut writers = Vec::new();
    for prompt in &prompts {
        let request = Request {
            prompt: prompt.clone(),
            max_tokens: max_tokens as usize,
            logprobs,
            prompt_logprobs: logprobs.filter(|_| echo),
            constraint: constraint.clone(),
            adapter: model.adapter.clone(),
            ..caller.request()
        };
        generations.extend(answer::submit(
            api,
            &Submission {
                request: &request,
                options: &options,
                shown: Arc::default(),
                span: caller.span(),
            },
        )?);
        writers.extend((0..options.answers).map(|_| Writer {
            tokenizer: api.model.tokenizer.clone(),
            prompt: echo.then(|| prompt.clone()),
            wants_logprobs: logprobs.is_some(),
            offset: 0,
        }));
    }
    Ok(Completions {
        generations,
        writers,
        prompt_tokens: prompts.iter().map(Vec::len).sum(),
        options,
        model,
    })
}

/// A prompt as the client gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Text.
    Text(String),
    /// Tokens of the model.
    Tokens(Vec<u32>),
}

/// A text, tokens, or an array of either.
pub fn prompts_of(fields: Fields<'_>) -> Result<Vec<Prompt>, Error> {
    let expected = || {
        fields.invalid(
            "prompt",
            format!("a string, an array of tokens, or up to {MAX_PROMPTS} of these"),
        )
    };
    let value = fields.get("prompt").ok_or(Error::MissingField { field: "prompt" })?;
    let one = |value: &Value| match value {
        Value::String(text) => Some(Prompt::Text(text.clone())),
        Value::Array(tokens) => {
            let token = |token: &Value| token.as_u64().and_then(|token| u32::try_from(token).ok());
            tokens.iter().map(token).collect::<Option<_>>().map(Prompt::Tokens)
        }
        _ => None,
    };
    let prompts = match value {
        Value::Array(prompts) if prompts.iter().any(|prompt| !prompt.is_number()) => {
            prompts.iter().map(one).collect::<Option<Vec<_>>>()
        }
        other => one(other).map(|prompt| vec![prompt]),
    };
    prompts
        .filter(|prompts| prompts.len() <= MAX_PROMPTS)
        .ok_or_else(expected)
}

/// Writes one choice, at once or piece by piece.
struct Writer {
    tokenizer: Arc<Tokenizer>,
    /// The prompt, if it is to be repeated.
    prompt: Option<Vec<u32>>,
    wants_logprobs: bool,
    /// Characters written so far.
    offset: usize,
}

impl Writer {
    fn whole(&mut self, index: usize, answer: Whole) -> Value {
        let mut logprobs = Legacy::default();
        let mut text = self.echo(&answer.prompt_logprobs, &mut logprobs);
        text.push_str(&answer.text);
        for entry in &answer.logprobs {
            logprobs.push(&self.tokenizer, entry.chosen.token, Some(entry), &mut self.offset);
        }
        self.choice(index, text, logprobs, Some(Finish::from(answer.reason).name()))
    }

    fn piece(&mut self, index: usize, output: Output) -> Option<Value> {
        let mut logprobs = Legacy::default();
        match output {
            Output::Prompt(prompt) => {
                self.prompt.as_ref()?;
                let text = self.echo(&prompt, &mut logprobs);
                Some(self.choice(index, text, logprobs, None))
            }
            Output::Text { text, logprobs: entry } => {
                if text.is_empty() && entry.is_none() {
                    return None;
                }
                if let Some(entry) = &entry {
                    logprobs.push(&self.tokenizer, entry.chosen.token, Some(entry), &mut self.offset);
                }
                Some(self.choice(index, text, logprobs, None))
            }
            Output::End(reason) => Some(self.choice(index, String::new(), logprobs, Some(Finish::from(reason).name()))),
        }
    }

    /// The text of the prompt, if it is to be repeated. Nothing is known of its first token.
    fn echo(&mut self, entries: &[TokenLogprobs], logprobs: &mut Legacy) -> String {
        let Some(prompt) = &self.prompt else {
            return String::new();
        };
        if self.wants_logprobs {
            let entries = iter::once(None).chain(entries.iter().map(Some));
            for (token, entry) in prompt.iter().zip(entries) {
                logprobs.push(&self.tokenizer, *token, entry, &mut self.offset);
            }
        }
        let bytes = prompt.iter().flat_map(|token| match self.tokenizer.bytes(*token) {
            [] => token_text(&self.tokenizer, *token).into_bytes(),
            bytes => bytes.to_vec(),
        });
        let mut bytes: Vec<u8> = bytes.collect();
        if self.tokenizer.leading_space() && bytes.first() == Some(&b' ') {
            bytes.remove(0);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn choice(&self, index: usize, text: String, logprobs: Legacy, reason: Option<&str>) -> Value {
        json!({
            "index": index,
            "text": text,
            "logprobs": self.wants_logprobs.then(|| logprobs.into_value()),
            "finish_reason": reason,
        })
    }
}
