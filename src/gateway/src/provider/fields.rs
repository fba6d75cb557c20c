//! The top level of a request's body, taken apart field by field.

use serde_json::{Map, Value};

use super::Refusal;

/// Fields that were not looked at yet, and those that the provider does not have.
pub struct Fields {
    left: Map<String, Value>,
    refused: Vec<String>,
}

impl Fields {
    /// All fields of a body.
    pub fn new(body: Map<String, Value>) -> Self {
        Self {
            left: body,
            refused: Vec::new(),
        }
    }

    /// Takes a field; `null` is as good as absent.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.left.shift_remove(name).filter(|value| !value.is_null())
    }

    /// Takes a field that changes nothing about an answer.
    pub fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.left.shift_remove(*name);
        }
    }

    /// Takes fields that the provider does not have; a value that asks for nothing is fine.
    pub fn refuse(&mut self, names: &[(&str, &[Value])]) {
        for (name, harmless) in names {
            if self.take(name).is_some_and(|value| !harmless.contains(&value)) {
                self.refused.push((*name).into());
            }
        }
    }

    /// Refuses something that was taken.
    pub fn refuse_as(&mut self, name: impl Into<String>) {
        self.refused.push(name.into());
    }

    /// What nobody knew, which is the provider's to judge.
    ///
    /// # Errors
    /// When there were fields that it does not have.
    pub fn rest(self) -> Result<Map<String, Value>, Refusal> {
        match self.refused.is_empty() {
            true => Ok(self.left),
            false => Err(Refusal::Fields(self.refused)),
        }
    }
}
