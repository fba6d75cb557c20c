//! What is told of checks that found something and let it pass.

use std::collections::BTreeMap;

use ::guard::Action;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// Names the checks that found something, as `input.people, output.secrets`. What was found in a stream comes too late for it.
pub const HEADER: HeaderName = HeaderName::from_static("x-atelier-guardrails");

/// Where something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    Input,
    Output,
}

impl Direction {
    /// Its name in answers, headers and questions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// What checks found, and never the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(BTreeMap<(Direction, String, Action), BTreeMap<String, u64>>);

impl Notes {
    /// Adds what a check found, by kind.
    pub fn add(&mut self, direction: Direction, check: &str, action: Action, kinds: &BTreeMap<String, u64>) {
        let known = self.0.entry((direction, check.into(), action)).or_default();
        for (kind, count) in kinds {
            *known.entry(kind.clone()).or_default() += count;
        }
    }

    /// The checks that found something, and what happened.
    pub fn checks(&self) -> impl Iterator<Item = (&str, Action)> {
        self.0.keys().map(|(_, check, action)| (check.as_str(), *action))
    }

    /// Adds what others say.
    pub fn extend(&mut self, others: &Self) {
        for ((direction, check, action), kinds) in &others.0 {
            self.add(*direction, check, *action, kinds);
        }
    }

    /// Says so in the headers of the answer.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let mut names: Vec<_> = self
            .0
            .keys()
            .map(|(from, name, _)| format!("{}.{name}", from.name()))
            .collect();
        names.dedup();
        // Names are DNS labels.
        if let Ok(value) = HeaderValue::from_str(&names.join(", "))
            && !value.is_empty()
        {
            headers.insert(HEADER, value);
        }
    }

    /// The field `atelier` of an answer, if there is something to say.
    pub fn field(&self) -> Option<Value> {
        let note = |((direction, check, action), kinds): (&(Direction, String, Action), &BTreeMap<String, u64>)| json!({"check": check, "direction": direction.name(), "action": action.name(), "found": kinds});
        let notes: Vec<_> = self.0.iter().map(note).collect();
        (!notes.is_empty()).then(|| json!({"guardrails": notes}))
    }
}
