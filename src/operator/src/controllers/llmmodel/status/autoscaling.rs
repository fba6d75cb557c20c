//! Where the number of replicas follows the load.

use api::{LlmModel, llmmodel::RolloutStrategy, reasons};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use super::{Facts, Replicas};
use crate::controllers::llmmodel::{dereference::version_of, plan::Target, trouble::Trouble};

/// Whether the load decides: with `replicas: 0` the model is off.
fn is_on(model: &LlmModel) -> bool {
    model.spec.autoscaling.is_some() && model.spec.replicas > 0
}

/// Whether a version has as many replicas as the spec asks of one that is to serve.
pub fn is_sized(model: &LlmModel, pods: Replicas) -> bool {
    match is_on(model) {
        true => pods.wanted > 0,
        false => pods.wanted == model.spec.replicas,
    }
}

/// How many replicas there should be at this moment.
pub fn wanted(model: &LlmModel, pods: Replicas) -> i32 {
    if is_on(model) { pods.wanted } else { model.spec.replicas }
}

/// How many replicas must be ready for the model to do what its spec asks.
pub fn needed(model: &LlmModel, pods: Replicas) -> i32 {
    match &model.spec.autoscaling {
        Some(asked) if is_on(model) => pods.wanted.min(asked.min_replicas.max(1)),
        _ => pods.wanted,
    }
}

/// Whether the current version has no replicas because nobody asks.
pub fn is_asleep(facts: &Facts<'_>, current: &str, pods: Replicas) -> bool {
    let asked = facts.model.spec.autoscaling.as_ref();
    if !is_on(facts.model) || asked.is_none_or(|asked| asked.scale_to_zero.is_none()) || pods.wanted > 0 {
        return false;
    }
    let rollout = facts.model.spec.rollout.as_ref();
    let makes_room = rollout.is_some_and(|rollout| rollout.strategy == RolloutStrategy::Recreate)
        && matches!(&facts.plan.target, Target::Known(version) if version.name != current);
    !makes_room
}

/// Why the number of replicas does not follow the load.
pub fn trouble(facts: &Facts<'_>, current: Option<&str>) -> Option<Trouble> {
    let hpas = facts.observed.hpas.iter();
    let mut of_current = hpas.filter(|hpa| current.is_some() && version_of(*hpa) == current);
    failure(of_current.next()?)
}

fn failure(hpa: &HorizontalPodAutoscaler) -> Option<Trouble> {
    let conditions = hpa.status.as_ref()?.conditions.iter().flatten();
    let mut failed = conditions.filter(|it| it.status == "False" && it.reason.as_deref() != Some("ScalingDisabled"));
    let failed = failed.find(|it| it.type_ == "ScalingActive" || it.type_ == "AbleToScale")?;
    let message = format!(
        "the number of replicas stays as it is: {}. CPU needs a metrics server in the cluster, the other targets \
         that the APIService v1beta1.external.metrics.k8s.io leads to Atelier's operator",
        failed.message.as_deref().unwrap_or_default()
    );
    Some(Trouble::new(reasons::AUTOSCALING_FAILED, message))
}
