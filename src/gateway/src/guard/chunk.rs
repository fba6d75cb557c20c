//! The chunks of a stream, in OpenAI's form.

use std::collections::BTreeMap;

use ::guard::Guardrails;
use serde_json::{Map, Value};

use super::{
    Counted,
    choice::Choice,
    notes::Notes,
    webhook::{Jury, Unjudged},
};

/// Fields of an answer beside its choices. What nobody knows could hold the text again.
pub const KEPT: [&str; 7] = [
    "id",
    "object",
    "created",
    "model",
    "usage",
    "system_fingerprint",
    "service_tier",
];

/// More choices than any server makes.
const MAX_CHOICES: usize = 1024;

/// The choices of a stream.
pub struct Chunks {
    rails: Guardrails,
    choices: BTreeMap<u64, Choice>,
    counted: Counted,
    jury: Jury,
    /// What was found in the request.
    notes: Notes,
    expected: usize,
    /// What all chunks have.
    frame: Map<String, Value>,
}

impl Chunks {
    /// Of an answer with `expected` choices.
    pub fn new(rails: &Guardrails, counted: Counted, jury: Jury, notes: Notes, expected: usize) -> Self {
        Self {
            rails: rails.clone(),
            choices: BTreeMap::new(),
            counted,
            jury,
            notes,
            expected,
            frame: Map::new(),
        }
    }

    /// The model, for errors.
    pub fn model(&self) -> String {
        self.counted.model.qualified()
    }

    /// Whether nothing more will pass.
    pub fn are_refused(&self) -> bool {
        self.choices.values().filter(|choice| choice.is_refused()).count() >= self.expected
    }

    /// Who judges answers.
    pub fn jury(&self) -> &Jury {
        &self.jury
    }

    /// What may pass of a chunk.
    ///
    /// # Errors
    /// When there is no verdict where there has to be one.
    pub async fn pass(&mut self, chunk: Map<String, Value>) -> Result<Option<Value>, Unjudged> {
        let mut passed = Map::new();
        let mut pieces = Vec::new();
        for (name, value) in chunk {
            match value {
                Value::Array(values) if name == "choices" => pieces = values,
                value if KEPT.contains(&name.as_str()) => drop(passed.insert(name, value)),
                _ => {}
            }
        }
        if self.frame.is_empty() {
            self.frame = passed.clone();
            self.frame.shift_remove("usage");
        }
        let had_pieces = !pieces.is_empty();
        let mut notes = Notes::default();
        let mut safe = Vec::new();
        for piece in pieces {
            if let Value::Object(piece) = piece {
                safe.extend(self.pass_piece(piece, &mut notes).await?);
            }
        }
        let tells_usage = passed.get("usage").is_some_and(|usage| !usage.is_null());
        if safe.is_empty() && had_pieces && !tells_usage {
            return Ok(None);
        }
        Ok(Some(self.chunk(passed, safe, notes)))
    }

    /// What was held back, when the stream ends.
    ///
    /// # Errors
    /// When there is no verdict where there has to be one.
    pub async fn finish(&mut self) -> Result<Option<Value>, Unjudged> {
        let mut notes = Notes::default();
        let mut pieces = Vec::new();
        for (index, choice) in &mut self.choices {
            if choice.has_ended() {
                continue;
            }
            let mut piece = Map::from_iter([("index".to_owned(), Value::from(*index))]);
            choice.end(&mut piece);
            choice.judge(&self.jury, &mut piece).await?;
            choice.note(&self.counted, &mut notes);
            if piece.len() > 1 {
                piece.entry("finish_reason").or_insert(Value::Null);
                pieces.push(Value::Object(piece));
            }
        }
        Ok((!pieces.is_empty()).then(|| self.chunk(self.frame.clone(), pieces, notes)))
    }

    async fn pass_piece(
        &mut self,
        mut piece: Map<String, Value>,
        notes: &mut Notes,
    ) -> Result<Option<Value>, Unjudged> {
        let index = piece.get("index").and_then(Value::as_u64).unwrap_or_default();
        if self.choices.len() >= MAX_CHOICES && !self.choices.contains_key(&index) {
            return Ok(None);
        }
        let rails = &self.rails;
        let choice = self.choices.entry(index);
        let choice = choice.or_insert_with(|| Choice::new(rails, false));
        if choice.has_ended() {
            return Ok(None);
        }
        choice.pass(&mut piece);
        choice.judge(&self.jury, &mut piece).await?;
        if choice.has_ended() {
            choice.note(&self.counted, notes);
        } else if says_nothing(&piece) {
            return Ok(None);
        }
        Ok(Some(Value::Object(piece)))
    }

    fn chunk(&self, mut fields: Map<String, Value>, pieces: Vec<Value>, mut notes: Notes) -> Value {
        if pieces.iter().any(|piece| !piece["finish_reason"].is_null()) {
            notes.extend(&self.notes);
        }
        fields.insert("choices".into(), Value::Array(pieces));
        if let Some(field) = notes.field() {
            fields.insert("atelier".into(), field);
        }
        Value::Object(fields)
    }
}

/// Whether all its text is held back.
fn says_nothing(piece: &Map<String, Value>) -> bool {
    let is_empty = |value: &Value| value.as_str().is_some_and(str::is_empty);
    match (piece.get("delta"), piece.get("text")) {
        (Some(Value::Object(delta)), _) => !delta.is_empty() && delta.values().all(is_empty),
        (_, Some(text)) => is_empty(text),
        _ => false,
    }
}
