//! Models that somebody else hosts. They have no weights, no versions and no pods: all that is decided here is
//! whether the spec makes sense, what the status says of it, and that nothing is left of workers before.

mod faults;
mod status;
#[cfg(test)]
mod tests;

use std::time::Duration;

use api::{LlmModel, LlmModelStatus, llmmodel::Provider, reasons};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::runtime::controller::Action;

use super::{
    Context,
    apply::{self, ApplyError},
    dereference::{self, DereferenceError, Observed},
    plan::Plan,
    recollection::{After, Before},
    reconcile::ReconcileError,
    status as model_status,
    trouble::Trouble,
    validate::Owner,
};

/// Between looks at what has no children: a watch can miss something.
const SETTLED: Duration = Duration::from_secs(600);

/// One pass over a model that `provider` hosts.
pub async fn pass(
    context: &Context,
    model: &LlmModel,
    owner: &Owner,
    provider: &Provider,
    before: Before,
) -> Result<Action, ReconcileError> {
    let listed = before.listed();
    let mut observed = dereference::observe(&context.cluster, owner, before)
        .await
        .map_err(DereferenceError::from)?;
    let trouble = validate(model, provider);
    // A slip of the pen must not cost the workers that served before.
    let leaves = trouble.is_none() && !owner.paused;
    let plan = if leaves {
        Plan::clear(&observed)
    } else {
        Plan::clear(&Observed::default())
    };
    let applied = apply::apply(&context.cluster, &context.recollection, owner, &plan, &mut observed).await;
    context.sleepers.note(model, &observed);
    if let Err(ApplyError::Cluster(error)) = &applied
        && error.is_namespace_leaving()
    {
        return Ok(Action::await_change());
    }
    let after = after(context, model, owner, provider, trouble.as_ref());
    let written = model_status::write(&context.cluster, model, owner, &after).await;
    if written.map_err(ReconcileError::Status)? {
        let before = model.status.clone().unwrap_or_default();
        for notice in model_status::notices(&before, &after) {
            context.events.publish(model, &notice).await;
        }
    }
    applied?;
    let settled = plan.delete.is_empty();
    let after = After {
        observed,
        again: apply::unheard(&plan),
        listed,
        settled,
    };
    let generation = model.metadata.generation;
    context
        .recollection
        .keep(&owner.namespace, &owner.name, generation, after);
    Ok(Action::requeue(SETTLED.mul_f64(1.0 - rand::random::<f64>() / 4.0)))
}

fn after(
    context: &Context,
    model: &LlmModel,
    owner: &Owner,
    provider: &Provider,
    trouble: Option<&Trouble>,
) -> LlmModelStatus {
    let gateway = &context.settings.gateway_namespace;
    status::compute(model, owner, provider, trouble, gateway, &Time(Timestamp::now()))
}

/// What is wrong with the spec, if anything is.
pub fn validate(model: &LlmModel, provider: &Provider) -> Option<Trouble> {
    let unsupported = faults::unsupported(&model.spec, provider);
    if !unsupported.is_empty() {
        let message = format!(
            "this release does not support {}: remove it from the spec",
            unsupported.join(", ")
        );
        return Some(Trouble::new(reasons::NOT_SUPPORTED, message));
    }
    let faults = faults::faults(provider);
    (!faults.is_empty()).then(|| Trouble::new(reasons::INVALID_SPEC, faults.join("; ")))
}
