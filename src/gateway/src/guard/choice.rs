//! The texts of one of several answers, each on its way through a guard.

use std::{collections::BTreeMap, sync::Arc};

use ::guard::{Guard, Guardrails, Stream};
use serde_json::{Map, Value, json};

use super::{
    Counted,
    held::Held,
    notes::{Direction, Notes},
    texts,
    webhook::{Jury, Unjudged},
};

/// Fields of a choice beside its texts. What nobody knows could hold the text again.
const KEPT: [&str; 3] = ["index", "finish_reason", "stop_reason"];

/// Where a text is in a choice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Field(String),
    /// The element that says to have this index, or is at it.
    Element(u64),
}

/// The texts of one choice so far.
pub struct Choice {
    content: Arc<Guard>,
    aside: Arc<Guard>,
    streams: BTreeMap<Vec<Step>, Stream>,
    /// What webhooks have to judge, if there are any.
    held: Option<Held>,
    is_whole: bool,
    is_refused: bool,
    has_ended: bool,
}

impl Choice {
    /// One that comes in pieces, unless it `is_whole`. Where webhooks judge, nothing leaves but by [`Self::judge`].
    pub fn new(rails: &Guardrails, is_whole: bool) -> Self {
        Self {
            content: rails.output.clone(),
            aside: rails.aside.clone(),
            streams: BTreeMap::new(),
            held: (!rails.output_webhooks.is_empty()).then(Held::default),
            is_whole,
            is_refused: false,
            has_ended: false,
        }
    }

    /// Whether its end has been told, or nothing more passes.
    pub fn has_ended(&self) -> bool {
        self.has_ended || self.is_refused
    }

    /// Whether nothing more of it passes.
    pub fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// The part of a `piece` of the choice that may pass.
    pub fn pass(&mut self, piece: &mut Map<String, Value>) {
        let mut passed = Map::new();
        for (name, mut value) in std::mem::take(piece) {
            let is_text = matches!(name.as_str(), "delta" | "message" | "text");
            if is_text {
                self.walk(&mut vec![Step::Field(name.clone())], &mut value);
            }
            if is_text || KEPT.contains(&name.as_str()) {
                passed.insert(name, value);
            }
        }
        *piece = passed;
        let ends = piece.get("finish_reason").is_some_and(|reason| !reason.is_null());
        if (ends || self.is_whole) && !self.is_refused {
            self.end(piece);
        }
        if self.is_refused {
            self.refuse(piece);
        }
    }

    /// Lets out what was held back, into `piece`.
    pub fn end(&mut self, piece: &mut Map<String, Value>) {
        self.has_ended = true;
        for (path, stream) in &mut self.streams {
            let mut rest = String::new();
            let outcome = stream.finish(&mut rest);
            match &mut self.held {
                _ if rest.is_empty() => {}
                Some(held) => held.push(path, &rest),
                None => append(piece, path, &rest),
            }
            if outcome.is_err() {
                self.is_refused = true;
                return self.refuse(piece);
            }
        }
    }

    /// Asks `jury` if that is due, and lets out into `piece` what it does not mind.
    ///
    /// # Errors
    /// When there is no verdict where there has to be one.
    pub async fn judge(&mut self, jury: &Jury, piece: &mut Map<String, Value>) -> Result<(), Unjudged> {
        let Some(held) = self.held.as_mut().filter(|held| self.has_ended || held.is_due()) else {
            return Ok(());
        };
        if self.is_refused {
            return Ok(());
        }
        match held.judged(jury, self.has_ended).await? {
            Some(released) => {
                for (path, text) in released {
                    append(piece, &path, &text);
                }
            }
            None => {
                self.is_refused = true;
                self.refuse(piece);
            }
        }
        Ok(())
    }

    fn refuse(&self, piece: &mut Map<String, Value>) {
        piece.insert("finish_reason".into(), "content_filter".into());
        // Nothing has left yet, so nothing has to.
        if self.is_whole {
            if piece.contains_key("text") {
                piece.insert("text".into(), "".into());
            }
            if piece.contains_key("message") {
                piece.insert("message".into(), json!({"role": "assistant", "content": null}));
            }
        }
    }

    /// Tells what was found.
    pub fn note(&self, counted: &Counted, notes: &mut Notes) {
        for stream in self.streams.values() {
            counted.note(Direction::Output, stream, notes);
        }
        if let Some(held) = &self.held {
            counted.count_all(&held.notes);
            notes.extend(&held.notes);
        }
    }

    fn walk(&mut self, path: &mut Vec<Step>, value: &mut Value) {
        match value {
            Value::String(text) => match self.take(path, text) {
                Ok(safe) => *text = safe,
                Err(safe) => {
                    *text = safe;
                    self.is_refused = true;
                }
            },
            Value::Array(values) => {
                for (i, value) in values.iter_mut().enumerate() {
                    path.push(Step::Element(value["index"].as_u64().unwrap_or(i as u64)));
                    self.walk(path, value);
                    path.pop();
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields.iter_mut() {
                    if value.is_string() && (name == "name" || texts::is_name(name)) {
                        continue;
                    }
                    path.push(Step::Field(name.clone()));
                    self.walk(path, value);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    /// What may pass of a piece; as an error if that is the last.
    fn take(&mut self, path: &[Step], piece: &str) -> Result<String, String> {
        if self.is_refused {
            return Err(String::new());
        }
        let stream = match self.streams.get_mut(path) {
            Some(stream) => stream,
            None => {
                let guard = if is_content(path) { &self.content } else { &self.aside };
                let stream = if self.is_whole { guard.whole() } else { guard.stream() };
                self.streams.entry(path.to_vec()).or_insert(stream)
            }
        };
        let mut safe = String::new();
        let outcome = stream.push(piece, &mut safe);
        if let Some(held) = &mut self.held {
            held.push(path, &safe);
            safe.clear();
        }
        match outcome {
            Ok(()) => Ok(safe),
            Err(_) => Err(safe),
        }
    }
}

/// Whether that is the answer itself, and nothing beside it.
fn is_content(path: &[Step]) -> bool {
    let field = |at: usize, name: &str| matches!(path.get(at), Some(Step::Field(field)) if field == name);
    field(0, "text") || field(1, "content")
}

/// Adds `rest` to the text at `path`, which may not be there.
fn append(piece: &mut Map<String, Value>, path: &[Step], rest: &str) {
    let Some((Step::Field(first), path)) = path.split_first() else {
        return;
    };
    let mut value = piece.entry(first.clone()).or_insert(Value::Null);
    for step in path {
        value = match step {
            Step::Field(name) => {
                if !value.is_object() {
                    *value = json!({});
                }
                &mut value[name]
            }
            Step::Element(index) => element(value, *index),
        };
    }
    match value {
        Value::String(text) => text.push_str(rest),
        value => *value = rest.into(),
    }
}

/// The element of a list that says to have that index, added if there is none.
fn element(list: &mut Value, index: u64) -> &mut Value {
    if !list.is_array() {
        *list = json!([]);
    }
    let at = list.as_array().map_or(0, |values| {
        let has_index = |(i, value): (usize, &Value)| value["index"].as_u64().unwrap_or(i as u64) == index;
        values.iter().enumerate().position(has_index).unwrap_or(values.len())
    });
    if let Value::Array(values) = list
        && at == values.len()
    {
        values.push(json!({"index": index}));
    }
    &mut list[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_finds_its_place() {
        let field = |name: &str| Step::Field(name.into());
        let path = [
            field("delta"),
            field("tool_calls"),
            Step::Element(1),
            field("function"),
            field("arguments"),
        ];
        let append = |mut piece: Value| {
            append(piece.as_object_mut().unwrap(), &path, "!");
            piece
        };
        let call = |arguments: &str| json!({"index": 1, "function": {"arguments": arguments}});
        assert_eq!(append(json!({})), json!({"delta": {"tool_calls": [call("!")]}}));
        assert_eq!(
            append(json!({"delta": {"tool_calls": [{"index": 0}, call("a")]}})),
            json!({"delta": {"tool_calls": [{"index": 0}, call("a!")]}})
        );
    }
}
