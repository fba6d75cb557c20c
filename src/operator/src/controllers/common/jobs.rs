//! Jobs: what makes them try again, how they end, and what their pods say in their last words.

use k8s_openapi::api::{
    batch::v1::{
        Job, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
    },
    core::v1::Pod,
};
use kube::ResourceExt;
use protocol::report::EXIT_PERMANENT;

use super::trouble::Trouble;

/// Trying again cannot help.
pub fn permanent(container: Option<String>) -> PodFailurePolicyRule {
    PodFailurePolicyRule {
        action: "FailJob".into(),
        on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
            container_name: container,
            operator: "In".into(),
            values: vec![EXIT_PERMANENT],
        }),
        on_pod_conditions: None,
    }
}

/// A drained node is nobody's fault.
pub fn disrupted() -> PodFailurePolicyRule {
    PodFailurePolicyRule {
        action: "Ignore".into(),
        on_exit_codes: None,
        on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
            type_: "DisruptionTarget".into(),
            status: Some("True".into()),
        }]),
    }
}

/// A pod that was stopped, or that others have let down, and says so by its exit code, has used up no attempt:
/// preemption by a queue and `kubectl delete pod` leave no condition by which [`disrupted`] would know.
pub fn blameless(container: Option<String>, codes: &[i32]) -> PodFailurePolicyRule {
    PodFailurePolicyRule {
        action: "Ignore".into(),
        on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
            container_name: container,
            operator: "In".into(),
            values: codes.to_vec(),
        }),
        on_pod_conditions: None,
    }
}

/// What to do about a Job that is not tried again by itself.
pub fn with_way_out(trouble: Trouble, job: &Job) -> Trouble {
    let message = format!(
        "{}; after a change outside the spec, `kubectl delete job {}` starts it anew",
        trouble.message,
        job.name_any()
    );
    Trouble { message, ..trouble }
}

/// The message of a Job's final condition, if it holds.
pub fn ended<'a>(job: &'a Job, type_: &str) -> Option<&'a str> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|it| it.type_ == type_ && it.status == "True")?;
    Some(found.message.as_deref().unwrap_or("no reason is given"))
}

/// Whether a Job is over.
pub fn is_over(job: &Job) -> bool {
    ended(job, "Complete").is_some() || ended(job, "Failed").is_some()
}

/// The exit code of a pod's container and its termination message.
pub fn last_message(pod: &Pod) -> Option<(i32, &str)> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find_map(|container| {
        let ended = container.state.as_ref()?.terminated.as_ref()?;
        Some((ended.exit_code, ended.message.as_deref()?))
    })
}
