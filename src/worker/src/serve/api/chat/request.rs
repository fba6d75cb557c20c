//! From the fields of a request to answers on their way.

use std::sync::Arc;

use engine::Request;
use serde_json::{Map, Value};

use super::{
    messages,
    speaker::Speaker,
    tools::{self, Choice},
};
use crate::serve::{
    api::{
        Api, Served,
        answer::{self, Submission},
        caller::Caller,
        constraint::Form,
        error::Error,
        fields::Fields,
        logprobs::MAX_TOP,
        sampling::Options,
    },
    chat_template::Message,
    generation::Generation,
    tools::{Calls, Parser, Style, Tool},
};

/// A conversation whose answers are under way.
pub struct Chat {
    /// The answers.
    pub generations: Vec<Generation>,
    /// Makes messages of each.
    pub speakers: Vec<Speaker>,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// How the answers are made.
    pub options: Options,
    /// Whether logprobs are to be shown.
    pub wants_logprobs: bool,
    /// What answers.
    pub model: Served,
}

/// Begins to answer the request `body`.
///
/// # Errors
/// Its first fault, or what keeps the engine from taking it.
pub async fn begin(api: &Arc<Api>, caller: &Caller, body: &Map<String, Value>) -> Result<Chat, Error> {
    let fields = Fields::new(body);
    let model = fields.text("model")?.ok_or(Error::MissingField { field: "model" })?;
    let model = api.find_model(model).await?;
    fields.refuse(&[
        ("functions", "use tools"),
        ("function_call", "use tool_choice"),
        ("audio", "this release reads text only"),
    ])?;
    let options = Options::read(fields, api.vocabulary())?;
    let logprobs = logprobs(fields)?;
    let context = api.model.engine.options().model.context_length as u64;
    let max_tokens = match fields.integer("max_completion_tokens", 1..=context)? {
        Some(tokens) => tokens,
        None => fields.integer("max_tokens", 1..=context)?.unwrap_or(context),
    };
    let tools = tools::read(fields)?;
    let messages = messages::read(fields)?;
    let form = Form::read(fields)?;
    let style = match tools.offered() {
        [] => None,
        _ => Some(style(api)?),
    };
    let form = match (form, style.and_then(|style| calling_form(api, style, &tools))) {
        (Some(form), _) if style.is_some() => {
            return Err(Error::InvalidField {
                field: form.field,
                expected: "left out where tools may be called; or set \"tool_choice\" to \"none\"".into(),
            });
        }
        (form, calling) => form.or(calling),
    };

    let prompt = write_down(api, messages, tools.offered())?;
    let request = Request {
        prompt: answer::encode(api, prompt, false).await?,
        max_tokens: max_tokens as usize,
        logprobs,
        adapter: model.adapter.clone(),
        constraint: match form {
            Some(form) => Some(form.compile(api).await?),
            None => None,
        },
        ..caller.request()
    };
    let marks = style.map_or(&[][..], Style::marks);
    let submission = Submission {
        request: &request,
        options: &options,
        shown: marks.iter().filter_map(|mark| api.model.tokenizer.find(mark)).collect(),
        span: caller.span(),
    };
    let generations = answer::submit(api, &submission)?;
    let generations: Vec<_> = generations.into_iter().map(Generation::into_whole_text).collect();
    let names: Vec<String> = tools.offered().iter().map(|tool| tool.name.clone()).collect();
    let speaker = || Speaker::new(style.map(|style| (style, Parser::new(style, names.clone()))));
    Ok(Chat {
        speakers: generations.iter().map(|_| speaker()).collect(),
        generations,
        prompt_tokens: request.prompt.len(),
        wants_logprobs: logprobs.is_some(),
        options,
        model,
    })
}

fn logprobs(fields: Fields<'_>) -> Result<Option<usize>, Error> {
    let top = fields.integer("top_logprobs", 0..=MAX_TOP)?;
    match (fields.flag("logprobs")?, top) {
        (true, top) => Ok(Some(top.unwrap_or(0) as usize)),
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => Err(fields.invalid("top_logprobs", "left out, or \"logprobs\" true")),
    }
}

fn style(api: &Api) -> Result<Style, Error> {
    let template = api.model.template.as_ref().ok_or(Error::NoChatTemplate)?;
    template.style().ok_or(Error::UnsupportedField {
        field: "tools".into(),
        hint: "the model's chat template has calls written in a way that this release cannot read; \
               set spec.prompt.templateOverride to one in the style of Hermes, Mistral or Llama 3",
    })
}

/// The form of an answer that must call, or whose calls must keep to a schema.
fn calling_form(api: &Api, style: Style, tools: &tools::Tools) -> Option<Form> {
    let all = || tools.tools.iter().collect();
    let (callable, must): (Vec<&Tool>, bool) = match &tools.choice {
        Choice::Auto if tools.tools.iter().any(|tool| tool.strict) => (all(), false),
        Choice::None | Choice::Auto => return None,
        Choice::Required => (all(), true),
        Choice::Function(name) => (tools.tools.iter().filter(|tool| tool.name == *name).collect(), true),
    };
    let calls = Calls {
        tools: &callable,
        parallel: tools.parallel,
        must,
    };
    Some(Form {
        field: "tools".into(),
        grammar: calls.grammar(style, &api.model.tokenizer),
    })
}

fn write_down(api: &Api, messages: Vec<Message>, tools: &[Tool]) -> Result<String, Error> {
    let template = api.model.template.as_ref().ok_or(Error::NoChatTemplate)?;
    template
        .render(with_system(api, messages), tools)
        .map_err(Error::Template)
}

fn with_system(api: &Api, mut messages: Vec<Message>) -> Vec<Message> {
    if let Some(system) = &api.model.system_prompt
        && messages.iter().all(|message| message.role != "system")
    {
        messages.insert(0, Message::new("system", system));
    }
    messages
}

/// A conversation that ends in an answer: what the model would have read, and what it would have written.
///
/// # Errors
/// The first fault of the request, or what the template says against it.
pub fn answered(api: &Api, fields: Fields<'_>) -> Result<(String, String), Error> {
    let tools = tools::read(fields)?;
    let messages = messages::read(fields)?;
    let is_answered = messages.len() > 1 && messages.last().is_some_and(|last| last.role == "assistant");
    if !is_answered {
        return Err(fields.invalid("messages", "a conversation whose last message is the assistant's"));
    }
    let template = api.model.template.as_ref().ok_or(Error::NoChatTemplate)?;
    template
        .render_answer(with_system(api, messages), tools.offered())
        .map_err(Error::Template)
}
