//! The texts of a request, before the model sees them.

use std::convert::Infallible;

use ::guard::{Action, Guardrails, Stream};
use bytes::Bytes;
use serde_json::Value;

use super::{
    Counted, Guards,
    notes::{Direction, Notes},
    strict,
    texts::{self, Look},
    webhook::{Jury, Text, Verdicts, redacted},
};
use crate::{error::Error, metrics::Operation};

/// A request that may go on.
pub struct Looked {
    /// Its body, if that is another one now.
    pub body: Option<Bytes>,
    /// What was found.
    pub notes: Notes,
    /// How many answers it asks for.
    pub choices: usize,
    /// It as JSON, if webhooks have to judge its texts.
    unjudged: Option<Value>,
}

impl Looked {
    /// Asks `jury` about the texts.
    ///
    /// # Errors
    /// When it refuses them, or gives no verdict where it has to.
    pub async fn judge(&mut self, jury: &Jury, counted: &Counted) -> Result<(), Error> {
        let Some(mut body) = self.unjudged.take() else {
            return Ok(());
        };
        let mut texts = Vec::new();
        let Ok(()) = texts::visit(&mut body, &mut Texts(&mut texts));
        if texts.is_empty() {
            return Ok(());
        }
        let verdicts = jury.judge(&texts, true).await;
        let verdicts = verdicts.map_err(|unjudged| jury.unavailable(unjudged))?;
        let mut found = Notes::default();
        let all: Vec<_> = texts.iter().map(|it| it.text.len()).collect();
        verdicts.note(Direction::Input, &all, &mut found);
        counted.count_all(&found);
        if let Some(check) = verdicts.refusal() {
            return Err(Error::GuardrailViolation {
                model: jury.model.qualified(),
                check: check.into(),
            });
        }
        self.notes.extend(&found);
        let mut redacting = Redacting {
            verdicts: &verdicts,
            next: 0,
            is_changed: false,
        };
        let Ok(()) = texts::visit(&mut body, &mut redacting);
        if redacting.is_changed {
            self.body = Some(body.to_string().into());
        }
        Ok(())
    }
}

/// Collects the texts of a request.
struct Texts<'a>(&'a mut Vec<Text>);

impl Look<Infallible> for Texts<'_> {
    fn text(&mut self, text: &mut String, is_trusted: bool) -> Result<(), Infallible> {
        self.0.push(Text {
            text: text.clone(),
            trusted: is_trusted,
        });
        Ok(())
    }

    // They are there already, one after the other.
    fn joined(&mut self, _: &str, _: bool) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Replaces what has to be, in the same texts.
struct Redacting<'a> {
    verdicts: &'a Verdicts,
    next: usize,
    is_changed: bool,
}

impl Look<Infallible> for Redacting<'_> {
    fn text(&mut self, text: &mut String, _: bool) -> Result<(), Infallible> {
        let finds = self.verdicts.redactions(self.next);
        self.next += 1;
        if !finds.is_empty() {
            *text = redacted(text, &finds);
            self.is_changed = true;
        }
        Ok(())
    }

    fn joined(&mut self, _: &str, _: bool) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Looks at a request.
///
/// # Errors
/// When a check refuses it, or cannot look at it.
pub fn look(guards: &Guards, counted: &Counted, operation: Operation, body: &[u8]) -> Result<Looked, Error> {
    let model = || counted.model.qualified();
    let rails = guards.rails().map_err(|why| {
        tracing::warn!(model = model(), why, "guardrails that cannot be used refuse everything");
        Error::GuardrailsUnusable { model: model() }
    })?;
    let mut value = strict::parse(body).map_err(|error| Error::InvalidJson {
        detail: error.to_string(),
    })?;
    let mut looked = Looked {
        body: None,
        notes: Notes::default(),
        choices: choices(&value),
        unjudged: None,
    };
    if rails.look_at_answers() {
        refuse_probabilities(&value)?;
    }
    if !rails.look_at_requests() {
        return Ok(looked);
    }
    refuse_tokens(&value, operation)?;
    let mut looking = Looking {
        stream: rails.input.whole(),
        rails,
        is_changed: false,
    };
    let refused = texts::visit(&mut value, &mut looking).err();
    let Looking { stream, is_changed, .. } = looking;
    counted.note(Direction::Input, &stream, &mut looked.notes);
    if let Some(check) = refused {
        if stream.refusal().is_none() {
            counted.count(&check, Action::Refuse);
        }
        return Err(Error::GuardrailViolation { model: model(), check });
    }
    looked.body = is_changed.then(|| value.to_string().into());
    looked.unjudged = (!rails.input_webhooks.is_empty()).then_some(value);
    Ok(looked)
}

/// Looks at the texts of a request, until a check, whose name is the error, refuses one.
struct Looking<'a> {
    rails: &'a Guardrails,
    stream: Stream,
    is_changed: bool,
}

impl Look<String> for Looking<'_> {
    fn text(&mut self, text: &mut String, is_trusted: bool) -> Result<(), String> {
        let mut safe = String::new();
        self.stream.trust(is_trusted);
        let passed = self.stream.push(text, &mut safe);
        passed
            .and_then(|()| self.stream.finish(&mut safe))
            .map_err(|refusal| refusal.check)?;
        if *text != safe {
            *text = safe;
            self.is_changed = true;
        }
        Ok(())
    }

    fn joined(&mut self, text: &str, is_trusted: bool) -> Result<(), String> {
        let mut stream = self.rails.joined.whole();
        let mut safe = String::new();
        stream.trust(is_trusted);
        let passed = stream.push(text, &mut safe);
        passed
            .and_then(|()| stream.finish(&mut safe))
            .map_err(|refusal| refusal.check)?;
        // What is in one text was replaced there; what is in several can only be refused.
        let mut found = stream.report().violations(stream.guard());
        match found.find(|violations| violations.action == Action::Redact) {
            None => Ok(()),
            Some(violations) => Err(violations.check.into()),
        }
    }
}

/// Answers to each prompt, times prompts.
fn choices(body: &Value) -> usize {
    let each = body["n"].as_u64().unwrap_or(1).max(1);
    let prompts = body["prompt"].as_array().map_or(1, |prompts| prompts.len().max(1));
    usize::try_from(each).unwrap_or(usize::MAX).saturating_mul(prompts)
}

/// Probabilities come with the tokens that they are of.
fn refuse_probabilities(body: &Value) -> Result<(), Error> {
    let is_on = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
    let fields = ["logprobs", "top_logprobs", "prompt_logprobs", "return_token_ids"];
    match fields.into_iter().find(|field| body.get(field).is_some_and(is_on)) {
        None => Ok(()),
        Some(field) => Err(Error::NotWithGuardrails {
            field,
            instead: "leave it out",
        }),
    }
}

/// Nobody here can read tokens.
fn refuse_tokens(body: &Value, operation: Operation) -> Result<(), Error> {
    let field = match operation {
        Operation::TextCompletion => "prompt",
        Operation::Embeddings => "input",
        Operation::Chat | Operation::Rerank => return Ok(()),
    };
    fn has_number(value: &Value) -> bool {
        match value {
            Value::Number(_) => true,
            Value::Array(values) => values.iter().any(has_number),
            _ => false,
        }
    }
    if has_number(&body[field]) || body.get("prompt_token_ids").is_some_and(has_number) {
        return Err(Error::NotWithGuardrails {
            field,
            instead: "send text instead of tokens",
        });
    }
    Ok(())
}
