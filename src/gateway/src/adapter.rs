//! Adapters beside a model. Which worker has one changes while it is added or fails, so workers are asked: one
//! that has it not answers 404 before anything else, and the request goes on to another.

use crate::{
    catalog::{Adapter, Model},
    error::Error,
    hold,
    name::ModelName,
};

/// The adapter that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// Its name and that of its model, as the caller wrote them.
    pub called: String,
}

impl Asked {
    /// What a caller asks for.
    pub fn of(name: &ModelName) -> Option<Self> {
        let adapter = name.adapter.clone()?;
        Some(Self {
            called: format!("{}:{adapter}", name.unversioned()),
            name: adapter,
        })
    }

    /// Why the request gets no answer, if that is known. `all_lack_it`: each worker was asked.
    pub fn refusal(&self, model: &Model, all_lack_it: bool) -> Option<Error> {
        match model.adapter(&self.name) {
            // No worker is started for a slip of the pen.
            None if all_lack_it || hold::wakes(model) => Some(Error::ModelNotFound {
                model: self.called.clone(),
            }),
            Some(adapter) if all_lack_it => Some(self.not_ready(adapter)),
            _ => None,
        }
    }

    fn not_ready(&self, adapter: &Adapter) -> Error {
        let message = adapter.message.clone();
        let (reason, message) = match message {
            Some(message) => ("AdapterFailed", message),
            None => ("AdaptersLoading", "the adapter is on its way to the workers".into()),
        };
        Error::ModelNotReady {
            model: self.called.clone(),
            reason: reason.into(),
            message,
        }
    }
}
