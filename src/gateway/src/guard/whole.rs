//! Answers that are no streams.

use ::guard::Guardrails;
use axum::body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use super::{Counted, choice::Choice, chunk::KEPT, notes::Notes, webhook::Jury};
use crate::error::Error;

/// An answer with many choices is far below.
const MAX_ANSWER: usize = 64 << 20;

/// The answer in `body` without what must not reach the caller, and with what is told of it.
///
/// # Errors
/// When it breaks off, or is none that can be looked at.
pub async fn look(
    body: Body,
    rails: &Guardrails,
    counted: &Counted,
    jury: &Jury,
    mut notes: Notes,
) -> Result<(String, Notes), Error> {
    let model = || counted.model.qualified();
    let unguarded = || Error::Unguarded { model: model() };
    let collected = Limited::new(body, MAX_ANSWER).collect().await;
    let bytes = collected.map_err(|error| match error.is::<LengthLimitError>() {
        true => unguarded(),
        false => Error::UpstreamFailed { model: model() },
    })?;
    let answer: Map<String, Value> = serde_json::from_slice(&bytes.to_bytes()).map_err(|_| unguarded())?;
    let mut passed = Map::new();
    let mut choices = None;
    for (name, value) in answer {
        match value {
            Value::Array(values) if name == "choices" => choices = Some(values),
            value if KEPT.contains(&name.as_str()) => drop(passed.insert(name, value)),
            _ => {}
        }
    }
    let mut choices = choices.ok_or_else(unguarded)?;
    for choice in &mut choices {
        let piece = choice.as_object_mut().ok_or_else(unguarded)?;
        let mut choice = Choice::new(rails, true);
        choice.pass(piece);
        let judged = choice.judge(jury, piece).await;
        judged.map_err(|unjudged| jury.unavailable(unjudged))?;
        choice.note(counted, &mut notes);
    }
    passed.insert("choices".into(), Value::Array(choices));
    if let Some(field) = notes.field() {
        passed.insert("atelier".into(), field);
    }
    Ok((Value::Object(passed).to_string(), notes))
}
