//! A provider's stream in OpenAI's form, whatever the pieces that it comes in.

use serde_json::Value;

use super::{Asking, Broken, sse::Decoder};
use crate::usage::Usage;

/// Turns the events of one provider into OpenAI's chunks.
pub trait Translate: Send {
    /// The chunks that an event means.
    ///
    /// # Errors
    /// When it is none of the provider's, or tells of a failure.
    fn event(&mut self, data: &str) -> Result<Vec<Value>, Broken>;

    /// Whether an answer may end here.
    fn is_complete(&self) -> bool;
}

/// A stream on its way through.
pub struct Stream {
    asked: Asking,
    decoder: Decoder,
    translate: Box<dyn Translate>,
    usage: Option<Usage>,
}

impl Stream {
    /// A stream of `translate`'s provider.
    pub fn new(translate: Box<dyn Translate>, asked: Asking) -> Self {
        Self {
            asked,
            decoder: Decoder::default(),
            translate,
            usage: None,
        }
    }

    /// The events for the caller that `bytes` complete.
    ///
    /// # Errors
    /// When they are none of the provider's, or tell of a failure.
    pub fn push(&mut self, bytes: &[u8]) -> Result<String, Broken> {
        let mut told = String::new();
        for data in self.decoder.push(bytes).map_err(|_| Broken)? {
            self.tell(&data, &mut told)?;
        }
        Ok(told)
    }

    /// The last events, when the provider has said all.
    ///
    /// # Errors
    /// When it stopped in the middle.
    pub fn finish(&mut self) -> Result<String, Broken> {
        let mut told = String::new();
        if let Some(data) = self.decoder.finish().map_err(|_| Broken)? {
            self.tell(&data, &mut told)?;
        }
        if !self.translate.is_complete() {
            return Err(Broken);
        }
        told.push_str("data: [DONE]\n\n");
        Ok(told)
    }

    /// Whether the answer may end here.
    pub fn is_complete(&self) -> bool {
        self.translate.is_complete()
    }

    /// The tokens that were stated so far.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn tell(&mut self, data: &str, told: &mut String) -> Result<(), Broken> {
        for mut chunk in self.translate.event(data)? {
            if !self.admit(&mut chunk) {
                continue;
            }
            told.push_str("data: ");
            told.push_str(&chunk.to_string());
            told.push_str("\n\n");
        }
        Ok(())
    }

    /// Makes a chunk the caller's; `false` if it says only what the caller did not ask for.
    fn admit(&mut self, chunk: &mut Value) -> bool {
        let Some(fields) = chunk.as_object_mut() else {
            return false;
        };
        fields.insert("model".into(), self.asked.model.clone().into());
        let stated = fields.get("usage").filter(|usage| !usage.is_null()).cloned();
        let usage = stated.and_then(|usage| serde_json::from_value(usage).ok());
        self.usage = usage.or(self.usage);
        if self.asked.include_usage {
            return true;
        }
        fields.shift_remove("usage");
        let is_empty = chunk["choices"].as_array().is_some_and(Vec::is_empty);
        !(is_empty && usage.is_some())
    }
}
