//! Adapters beside the model.

use api::LlmModelSpec;

use super::source;
use crate::controllers::llmmodel::source::Source;

/// An adapter that is loaded beside the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// What callers name after the model.
    pub name: String,
    /// Where it is.
    pub source: Source,
}

impl Adapter {
    /// Those of a spec, of the sources that this release knows.
    pub fn of(spec: &LlmModelSpec) -> Vec<Self> {
        let adapter = |it: &api::llmmodel::Adapter| {
            Some(Self {
                name: it.name.clone(),
                source: source(&it.source)?,
            })
        };
        spec.adapters.iter().filter_map(adapter).collect()
    }
}
