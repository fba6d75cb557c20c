//! The webhooks of one direction, asked about one request.

use std::sync::Arc;

use ::guard::Action;
use futures::future::join_all;

use super::{
    super::{
        Guards,
        notes::{Direction, Notes},
    },
    Webhooks,
    wire::{Find, Judgement, Question, Text, VERSION},
};
use crate::{catalog::Model, error::Error, metrics::Operation};

/// Asks the webhooks of one direction about one request.
#[derive(Clone)]
pub struct Jury {
    /// Who asks.
    pub webhooks: Arc<Webhooks>,
    /// Who is asked.
    pub guards: Arc<Guards>,
    /// About whose texts.
    pub model: Arc<Model>,
    /// What was asked of it.
    pub operation: Operation,
    /// The id of the request.
    pub id: Arc<str>,
    /// Whose texts they are.
    pub direction: Direction,
}

/// The check that should have given a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unjudged(pub String);

/// What was said about texts by those who found something.
#[derive(Debug, Default)]
pub struct Verdicts(Vec<(String, Action, Judgement)>);

impl Jury {
    /// What all of them say about `texts`, which are all if `is_final`.
    ///
    /// # Errors
    /// When one says nothing that has to.
    pub async fn judge(&self, texts: &[Text], is_final: bool) -> Result<Verdicts, Unjudged> {
        let model = self.model.qualified();
        let hooks = self.guards.hooks(self.direction);
        let asking = hooks.iter().map(async |hook| {
            let question = Question {
                version: VERSION,
                id: &self.id,
                model: &model,
                operation: self.operation.name(),
                check: &hook.check,
                direction: self.direction.name(),
                is_final,
                texts,
            };
            self.webhooks.ask(hook, &self.model, &question).await
        });
        let mut verdicts = Verdicts::default();
        for (hook, outcome) in hooks.iter().zip(join_all(asking).await) {
            match outcome {
                Ok(Judgement { action: None, .. }) => {}
                Ok(judgement) => {
                    let action = judgement.action.unwrap_or_default();
                    verdicts.0.push((hook.check.clone(), action, judgement));
                }
                Err(_) if hook.may_fail() => {}
                Err(_) => return Err(Unjudged(hook.check.clone())),
            }
        }
        Ok(verdicts)
    }

    /// What callers are told where `check` gave no verdict.
    pub fn unavailable(&self, Unjudged(check): Unjudged) -> Error {
        Error::GuardrailUnavailable {
            model: self.model.qualified(),
            check,
        }
    }
}

impl Verdicts {
    /// The check that refuses the texts.
    pub fn refusal(&self) -> Option<&str> {
        let refusal = self.0.iter().find(|(_, action, _)| *action == Action::Refuse);
        refusal.map(|(check, ..)| check.as_str())
    }

    /// All that was found in a text, in order and apart.
    pub fn finds(&self, text: usize) -> Vec<Find> {
        merged(self.0.iter(), text)
    }

    /// What has to be replaced there.
    pub fn redactions(&self, text: usize) -> Vec<Find> {
        merged(self.0.iter().filter(|(_, action, _)| *action == Action::Redact), text)
    }

    /// Tells what was found in the first `ends[i]` bytes of each text.
    pub fn note(&self, direction: Direction, ends: &[usize], notes: &mut Notes) {
        for (check, action, judgement) in &self.0 {
            let kinds = judgement.kinds(ends);
            // A find that comes later is told of then.
            if kinds.is_empty() && judgement.finds.iter().any(|finds| !finds.is_empty()) {
                continue;
            }
            notes.add(direction, check, *action, &kinds);
        }
    }
}

fn merged<'a>(verdicts: impl Iterator<Item = &'a (String, Action, Judgement)>, text: usize) -> Vec<Find> {
    let mut finds: Vec<Find> = verdicts
        .filter_map(|(_, _, judgement)| judgement.finds.get(text))
        .flatten()
        .cloned()
        .collect();
    super::wire::merge(&mut finds);
    finds
}
