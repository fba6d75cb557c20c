//! Models that somebody else hosts. They have no weights, no versions and no pods: all that is decided here is
//! whether the spec makes sense, what the status says of it, and that nothing is left of workers before.

mod faults;
mod status;
#[cfg(test)]
mod tests;

use std::time::Duration;

use api::{LlmModel, llmmodel::Provider, reasons};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::runtime::controller::Action;

use super::{
    Context, apply,
    dereference::{self, Observed},
    plan::Plan,
    recollection::{After, Before},
    route, status as model_status,
    trouble::Trouble,
    validate::Owner,
};
use crate::controllers::common::{
    apply::ApplyError,
    dereference::DereferenceError,
    reconcile::{ReconcileError, SETTLED},
};
use status::Facts;

/// Between looks at a route that was deleted, or is to be.
const LEFTOVER: Duration = Duration::from_secs(10);

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
    observed.routes = route::look(&context.cluster, model, owner)
        .await
        .map_err(DereferenceError::from)?;
    let has_route = !observed.routes.found.is_empty();
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
        // Somebody may make it anew, with the model still in it.
        return Ok(Action::requeue(SETTLED));
    }
    let facts = Facts {
        model,
        owner,
        provider,
        trouble: trouble.as_ref(),
        has_route,
        gateway_namespace: &context.settings.gateway_namespace,
    };
    let after = status::compute(&facts, &Time(Timestamp::now()));
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
    // No watch tells that a route is gone.
    if has_route {
        return Ok(Action::requeue(LEFTOVER));
    }
    Ok(Action::requeue(SETTLED.mul_f64(1.0 - rand::random::<f64>() / 4.0)))
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
    let faults = faults::faults(&model.spec, provider);
    (!faults.is_empty()).then(|| Trouble::new(reasons::INVALID_SPEC, faults.join("; ")))
}
