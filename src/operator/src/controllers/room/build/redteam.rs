//! The Job that tries to make a Room leak.

use api::{
    common::{Placement, PodOverrides},
    names::{ANNOTATION_PLAN, COMPONENT_REDTEAM, CONTAINER_REDTEAM, redteam_job, room_redteam},
};
use k8s_openapi::api::{
    batch::v1::{Job, JobSpec, PodFailurePolicy},
    core::v1::{EnvVar, PodSpec},
};
use protocol::{
    paths::GATEWAY_TOKEN_DIR,
    redteam::{ANSWERS, RedTeamPlan},
    tune::PLAN_VARIABLE,
};

use super::{
    Builder,
    job::{TOKEN_VOLUME, token},
    labels, metadata, plan,
};
use crate::controllers::{
    common::jobs::{disrupted, permanent},
    llmmodel::build::{
        job::mount,
        pod::{container, literal, memory_and_cpu, placed},
    },
};

/// Memory: what it has asked and was answered, one at a time.
const MEMORY: &str = "256Mi";
/// CPU: it waits most of the time.
const CPU: &str = "100m";
/// Attempts after the first one.
const RETRIES: i32 = 1;
/// Longest run.
const DEADLINE: i64 = 3 * 3600;
/// Seconds that a pod may take to end.
const GRACE: i64 = 10;

/// Memory and CPU of its pods, for messages.
pub fn size() -> (&'static str, &'static str) {
    (MEMORY, CPU)
}

/// The Job. It is made once and never changed.
pub fn build(builder: &Builder<'_>, run: i64, key: &str) -> Job {
    let owner = builder.owner;
    let suites = builder.wanted.red_team.iter().flat_map(|wanted| &wanted.suites);
    let plan = RedTeamPlan {
        namespace: owner.namespace.clone(),
        room: owner.name.clone(),
        gateway: plan::gateway(builder),
        suites: suites.map(|suite| suite.as_str().to_owned()).collect(),
        run: run.unsigned_abs(),
        answers: ANSWERS,
    };
    let plan = serde_json::to_string(&plan).expect("our own types are representable as JSON");
    let mut main = container(&builder.settings.common, CONTAINER_REDTEAM, vec!["redteam".into()]);
    main.image.clone_from(&builder.settings.common.data_image);
    main.env = Some(vec![EnvVar {
        name: PLAN_VARIABLE.into(),
        value: Some(literal(&plan)),
        value_from: None,
    }]);
    main.resources = Some(memory_and_cpu(MEMORY, CPU));
    let mounts = main.volume_mounts.get_or_insert_default();
    mounts.push(mount(TOKEN_VOLUME, GATEWAY_TOKEN_DIR, Some(true)));
    let spec = PodSpec {
        containers: vec![main],
        // Each attempt is a pod of its own, so that the report of each can be read.
        restart_policy: Some("Never".into()),
        termination_grace_period_seconds: Some(GRACE),
        volumes: Some(vec![token(builder)]),
        ..PodSpec::default()
    };
    let overrides = PodOverrides {
        service_account_name: Some(room_redteam(&owner.name)),
        ..PodOverrides::default()
    };
    let mut metadata = metadata(owner, redteam_job(&owner.name, run), COMPONENT_REDTEAM);
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.insert(ANNOTATION_PLAN.into(), key.into());
    Job {
        metadata,
        spec: Some(JobSpec {
            active_deadline_seconds: Some(DEADLINE),
            backoff_limit: Some(RETRIES),
            pod_failure_policy: Some(PodFailurePolicy {
                rules: vec![permanent(Some(CONTAINER_REDTEAM.to_owned())), disrupted()],
            }),
            pod_replacement_policy: Some("Failed".into()),
            template: placed(
                &Placement::default(),
                &overrides,
                labels(owner, COMPONENT_REDTEAM),
                spec,
            ),
            ..JobSpec::default()
        }),
        status: None,
    }
}
