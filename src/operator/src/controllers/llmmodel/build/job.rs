//! The Job that verifies weights before anything serves them.

use api::names;
use k8s_openapi::api::{
    batch::v1::{
        Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
        PodFailurePolicyRule,
    },
    core::v1::PodSpec,
};
use protocol::report::EXIT_PERMANENT;

use super::{
    Builder,
    pod::{prepare_labels, template},
    weights,
};

/// Attempts after the first one; the pause between them doubles from 10 s on.
const RETRIES: i32 = 6;

/// The prepare Job of the wanted source.
pub fn build(builder: &Builder<'_>) -> Job {
    let source = &builder.wanted.source;
    let labels = prepare_labels(builder);
    let spec = PodSpec {
        containers: vec![weights::prepare_container(builder, source)],
        image_pull_secrets: weights::pull_secrets(source),
        // Each attempt is a pod of its own, so that the report of each can be read.
        restart_policy: Some("Never".into()),
        termination_grace_period_seconds: Some(5),
        volumes: Some(weights::volumes(source)),
        ..PodSpec::default()
    };
    Job {
        metadata: builder.metadata(names::prepare_job(&builder.owner.name, &source.key()), labels.clone()),
        spec: Some(JobSpec {
            backoff_limit: Some(RETRIES),
            pod_failure_policy: Some(PodFailurePolicy {
                rules: vec![permanent(), disrupted()],
            }),
            template: template(builder, labels, spec),
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// Trying again cannot help.
fn permanent() -> PodFailurePolicyRule {
    PodFailurePolicyRule {
        action: "FailJob".into(),
        on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
            container_name: Some(names::CONTAINER_PREPARE.into()),
            operator: "In".into(),
            values: vec![EXIT_PERMANENT],
        }),
        on_pod_conditions: None,
    }
}

/// A drained node is nobody's fault.
fn disrupted() -> PodFailurePolicyRule {
    PodFailurePolicyRule {
        action: "Ignore".into(),
        on_exit_codes: None,
        on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
            type_: "DisruptionTarget".into(),
            status: Some("True".into()),
        }]),
    }
}
