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
    /// The FineTuneJob whose outputs it follows; which one is filled into the source later.
    pub follows: Option<String>,
}

impl Adapter {
    /// Those of a spec, of the sources that this release knows.
    pub fn of(spec: &LlmModelSpec) -> Vec<Self> {
        let adapter = |it: &api::llmmodel::Adapter| {
            Some(Self {
                name: it.name.clone(),
                source: source(&it.source)?,
                follows: it.source.fine_tune_job.as_ref().map(|job| job.name.clone()),
            })
        };
        spec.adapters.iter().filter_map(adapter).collect()
    }
}
