//! What a model's status says.

use api::{LlmModel, conditions::types};

/// The version that is served, if that is what the spec as it is now asks for.
pub fn ready_version(model: &LlmModel) -> Option<&str> {
    let status = model.status.as_ref()?;
    let is_current = status.observed_generation == model.metadata.generation;
    let ready = status.conditions.iter().find(|it| it.type_ == types::READY)?;
    let holds = ready.status == "True" && ready.observed_generation == model.metadata.generation;
    let settled = is_current && holds && status.candidate_version.is_none();
    status.current_version.as_deref().filter(|_| settled)
}
