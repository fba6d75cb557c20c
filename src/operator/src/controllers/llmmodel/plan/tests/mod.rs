mod adapters;
mod autoscaling;
mod canary;
mod compression;
mod devices;
mod evaluation;
mod follow;
mod route;
mod shadow;
mod world;

use api::{names, reasons};
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use kube::ResourceExt;
use protocol::{PrepareFailure, PrepareOutcome, report::reasons as prepare_reasons};
use serde_json::json;
use world::World;

use super::*;
use crate::controllers::llmmodel::testing::wanted;

#[test]
fn a_source_is_prepared_before_anything_is_served() {
    let mut world = World::default();
    let plan = world.step(&wanted(json!({})), 0);
    assert_eq!(plan.target, Target::Preparing(None));
    assert!(plan.children.is_empty());
    assert!(plan.jobs[0].name_any().starts_with("m-s-"));
}

#[test]
fn the_report_becomes_a_version_and_then_the_job_goes() {
    let (mut world, version) = World::rolled_out(json!({}));
    assert_eq!(World::versions_of(&world.observed.deployments), [version.as_str()]);
    assert!(world.observed.jobs.is_empty());
    let plan = world.step(&wanted(json!({})), 1);
    assert!(
        plan.jobs.is_empty() && plan.delete.is_empty() && plan.retire.is_empty(),
        "{plan:?}"
    );
    assert_eq!(plan.drained_in, None);
}

#[test]
fn failed_weights_are_refused_and_what_serves_stays() {
    let (mut world, version) = World::rolled_out(json!({}));
    let other = wanted(json!({"source": {"oci": {"image": "models/broken:1"}}}));
    world.step(&other, 1);
    world.prepared(&PrepareOutcome::Failed(PrepareFailure::new(
        prepare_reasons::TRUNCATED,
        "too short",
        false,
    )));
    let plan = world.step(&other, 2);
    let Target::Refused(trouble) = &plan.target else {
        panic!("{plan:?}")
    };
    assert_eq!(trouble.reason, prepare_reasons::TRUNCATED);
    assert_eq!(World::versions_of(&world.observed.deployments), [version.as_str()]);
    // Going back needs no second look at the first source, and leaves nothing of the broken one.
    let plan = world.step(&wanted(json!({})), 3);
    assert_eq!(plan.target.version().unwrap().name, version);
    assert!(world.observed.jobs.is_empty());
}

#[test]
fn the_version_before_serves_until_it_is_drained() {
    let (mut world, first) = World::rolled_out(json!({}));
    let changed = wanted(json!({"prompt": {"system": "Be brief."}}));
    let plan = world.step(&changed, 10);
    let second = plan.target.version().unwrap().name.clone();
    assert_ne!(first, second);
    assert!(plan.retire.is_empty() && plan.delete.is_empty() && plan.jobs.is_empty());
    assert_eq!(World::versions_of(&world.observed.services).len(), 2);

    world.serves(&second);
    let plan = world.step(&changed, 20);
    assert_eq!(plan.retire, [names::version_child("m", &first)]);
    assert!(plan.delete.is_empty());
    let plan = world.step(&changed, 30);
    assert_eq!(plan.drained_in, Some(Duration::from_secs(5)));
    assert!(plan.delete.is_empty());
    let plan = world.step(&changed, 35);
    let kinds: Vec<_> = plan.delete.iter().map(|deletion| deletion.kind).collect();
    assert_eq!(
        kinds,
        [
            Kind::Deployment,
            Kind::Service,
            Kind::PodDisruptionBudget,
            Kind::NetworkPolicy
        ]
    );
    assert!(
        plan.delete
            .iter()
            .all(|deletion| deletion.uid.starts_with("uid-of-m-v-"))
    );
    assert_eq!(World::versions_of(&world.observed.revisions).len(), 2);
    assert!(world.step(&changed, 36).delete.is_empty());
}

#[test]
fn with_recreate_one_version_stops_before_the_next_starts() {
    let replicas = |plan: &Plan| {
        let of = |children: &Children| children.deployment.spec.as_ref().and_then(|spec| spec.replicas);
        let version = |children: &Children| version_of(&children.deployment).map(ToOwned::to_owned);
        plan.children.iter().map(|it| (version(it), of(it))).collect::<Vec<_>>()
    };
    let (mut world, first) = World::rolled_out(json!({"rollout": {"strategy": "Recreate"}}));
    let pod = json!({"metadata": {"name": "old", "labels": {names::LABEL_VERSION: first}}});
    world.observed.pods.push(serde_json::from_value(pod).unwrap());
    // Another source is looked at while the first one serves.
    let changed = wanted(json!({"rollout": {"strategy": "Recreate"}, "source": {"oci": {"image": "models/other:1"}}}));
    assert_eq!(replicas(&world.plan(&changed, 1)), [(Some(first.clone()), Some(1))]);

    let changed =
        wanted(json!({"rollout": {"strategy": "Recreate"}, "prompt": {"system": "Be brief."}, "replicas": 2}));
    let plan = world.step(&changed, 1);
    let second = plan.target.version().unwrap().name.clone();
    assert_eq!(
        replicas(&plan),
        [(Some(second.clone()), Some(0)), (Some(first.clone()), Some(0))]
    );
    world.observed.pods.clear();
    let plan = world.step(&changed, 2);
    assert_eq!(
        replicas(&plan),
        [(Some(second.clone()), Some(2)), (Some(first), Some(0))]
    );
    world.serves(&second);
    assert_eq!(replicas(&world.step(&changed, 3)), [(Some(second), Some(2))]);
}

#[test]
fn what_serves_keeps_its_pods_while_another_version_starts() {
    let (mut world, first) = World::rolled_out(json!({}));
    let memory = |plan: &Plan, version: &str| {
        let children = plan
            .children
            .iter()
            .find(|it| version_of(&it.deployment) == Some(version));
        let deployment = children.unwrap().deployment.clone();
        let spec = deployment.spec.unwrap();
        let resources = spec.template.spec.unwrap().containers[0].resources.clone().unwrap();
        (spec.replicas, resources.limits.unwrap()["memory"].0.clone())
    };
    let before = memory(&world.plan(&wanted(json!({})), 0), &first).1;
    let changed = wanted(json!({"prompt": {"system": "x"}, "resources": {"memory": "5Gi"}, "replicas": 2}));
    let plan = world.step(&changed, 1);
    let second = plan.target.version().unwrap().name.clone();
    assert_eq!(memory(&plan, &second), (Some(2), "5Gi".into()));
    // Replicas are no matter of pods as they are.
    assert_eq!(memory(&plan, &first), (Some(2), before));
    // The same settings for the version that serves are for its own pods.
    let plan = world.plan(&wanted(json!({"resources": {"memory": "5Gi"}})), 2);
    assert_eq!(memory(&plan, &first).1, "5Gi");
}

#[test]
fn the_network_policy_stays_as_long_as_there_are_pods() {
    let (mut world, first) = World::rolled_out(json!({}));
    let changed = wanted(json!({"prompt": {"system": "Be brief."}}));
    let second = world.step(&changed, 0).target.version().unwrap().name.clone();
    world.serves(&second);
    world.step(&changed, 1);
    let labels = names::version_labels("m", &first);
    let leaving =
        json!({"metadata": {"name": "leaving", "labels": labels, "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    world.observed.pods.push(serde_json::from_value(leaving).unwrap());
    world.step(&changed, 100);
    assert_eq!(World::versions_of(&world.observed.services), [second.as_str()]);
    assert_eq!(World::versions_of(&world.observed.network_policies).len(), 2);
    world.observed.pods.retain(|pod| pod.name_any() != "leaving");
    world.step(&changed, 101);
    assert_eq!(World::versions_of(&world.observed.network_policies), [second.as_str()]);
}

#[test]
fn a_revert_during_the_drain_revives_the_version_before() {
    let (mut world, first) = World::rolled_out(json!({}));
    let changed = wanted(json!({"prompt": {"system": "Be brief."}}));
    let second = world.step(&changed, 1).target.version().unwrap().name.clone();
    world.serves(&second);
    world.step(&changed, 2);
    let plan = world.step(&wanted(json!({})), 3);
    assert_eq!(plan.revive, [names::version_child("m", &first)]);
    assert!(plan.delete.is_empty());
}

#[test]
fn a_candidate_that_never_got_ready_goes_at_once() {
    let (mut world, first) = World::rolled_out(json!({}));
    world.step(&wanted(json!({"prompt": {"system": "Be brief."}})), 1);
    world.step(&wanted(json!({})), 2);
    assert_eq!(World::versions_of(&world.observed.deployments), [first.as_str()]);
}

#[test]
fn pins_take_a_version_from_the_history() {
    let (mut world, first) = World::rolled_out(json!({}));
    let changed = json!({"prompt": {"system": "Be brief."}});
    let second = world
        .step(&wanted(changed.clone()), 1)
        .target
        .version()
        .unwrap()
        .name
        .clone();
    world.serves(&second);
    let mut pinned = changed.clone();
    pinned["version"] = json!(first);
    assert_eq!(world.plan(&wanted(pinned), 2).target.version().unwrap().name, first);

    let mut unknown = changed;
    unknown["version"] = json!("v-0000000000");
    let plan = world.plan(&wanted(unknown), 2);
    let Target::Refused(trouble) = &plan.target else {
        panic!("{plan:?}")
    };
    assert_eq!(trouble.reason, reasons::VERSION_NOT_FOUND);
    assert!(trouble.message.contains("spec.version") && trouble.message.contains("v-0000000000"));
    // What serves is kept as it is.
    assert_eq!(plan.children.len(), 1);
    assert_eq!(version_of(&plan.children[0].deployment), Some(second.as_str()));
}

#[test]
fn the_history_is_cut_at_its_limit() {
    let (mut world, _) = World::rolled_out(json!({}));
    for turn in 0..5 {
        let changed = wanted(json!({"prompt": {"system": format!("{turn}")}, "rollout": {"historyLimit": 2}}));
        let version = world.step(&changed, 0).target.version().unwrap().name.clone();
        world.serves(&version);
        world.step(&changed, 100);
        world.step(&changed, 200);
        world.step(&changed, 300);
    }
    assert_eq!(world.observed.revisions.len(), 3);
    let numbers: Vec<_> = world
        .observed
        .revisions
        .iter()
        .map(|it: &ControllerRevision| it.revision)
        .collect();
    assert_eq!(numbers, [4, 5, 6]);
}

#[test]
fn what_serves_survives_the_loss_of_its_snapshot() {
    let (mut world, first) = World::rolled_out(json!({}));
    world.observed.revisions.clear();
    let plan = world.step(&wanted(json!({})), 1);
    assert!(!plan.jobs.is_empty());
    let left: Vec<_> = world
        .observed
        .deployments
        .iter()
        .map(|it: &Deployment| version_of(it))
        .collect();
    assert_eq!(left, [Some(first.as_str())]);
}

#[test]
fn a_prepare_job_that_would_be_built_otherwise_is_replaced_unless_it_is_over() {
    let mut world = World::default();
    world.step(&wanted(json!({})), 0);
    let moved = wanted(json!({"placement": {"nodeSelector": {"disk": "fast"}}}));
    let plan = world.step(&moved, 1);
    assert_eq!(plan.delete[0].kind, Kind::Job);
    assert!(plan.jobs.is_empty());
    assert!(!world.step(&moved, 2).jobs.is_empty());
}
