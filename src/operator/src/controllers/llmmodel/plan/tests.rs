use api::names::ANNOTATION_RETIRED;
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, Deployment},
    core::v1::Pod,
};
use protocol::{PrepareFailure, PrepareOutcome, report::reasons as prepare_reasons};
use serde_json::{Value, json};

use super::*;
use crate::controllers::llmmodel::{
    testing::{report, settings, the_owner, wanted},
    validate::Wanted,
};

const NOW: i64 = 1_800_000_000;

/// A cluster that does what a plan says, without pods.
#[derive(Default)]
struct World {
    observed: Observed,
    current: Option<String>,
}

impl World {
    fn plan(&self, wanted: &Wanted, second: i64) -> Plan {
        let (owner, settings) = (the_owner(), settings());
        let builder = Builder {
            owner: &owner,
            wanted,
            settings: &settings,
        };
        let now = Timestamp::from_second(NOW + second).unwrap();
        decide(&builder, &self.observed, self.current.as_deref(), now)
    }

    /// Carries out a plan, as the API server would.
    fn carry_out(&mut self, plan: &Plan, second: i64) {
        for children in &plan.children {
            put(&mut self.observed.revisions, &children.revision);
            put(&mut self.observed.services, &children.service);
            put(&mut self.observed.pdbs, &children.pdb);
            put(&mut self.observed.network_policies, &children.network_policy);
            put(&mut self.observed.deployments, &children.deployment);
        }
        if let Some(job) = &plan.job {
            put(&mut self.observed.jobs, job);
        }
        let time = Timestamp::from_second(NOW + second).unwrap().to_string();
        for deployment in &mut self.observed.deployments {
            let name = deployment.name_any();
            if plan.retire.contains(&name) {
                deployment
                    .annotations_mut()
                    .insert(ANNOTATION_RETIRED.into(), time.clone());
            }
            if plan.revive.contains(&name) {
                deployment.annotations_mut().remove(ANNOTATION_RETIRED);
            }
        }
        let is_left = |kind: Kind, name: &str| !plan.delete.iter().any(|it| it.kind == kind && it.name == name);
        self.observed
            .revisions
            .retain(|it| is_left(Kind::ControllerRevision, &it.name_any()));
        self.observed
            .deployments
            .retain(|it| is_left(Kind::Deployment, &it.name_any()));
        self.observed
            .services
            .retain(|it| is_left(Kind::Service, &it.name_any()));
        self.observed
            .pdbs
            .retain(|it| is_left(Kind::PodDisruptionBudget, &it.name_any()));
        self.observed
            .network_policies
            .retain(|it| is_left(Kind::NetworkPolicy, &it.name_any()));
        self.observed.jobs.retain(|it| is_left(Kind::Job, &it.name_any()));
    }

    fn step(&mut self, wanted: &Wanted, second: i64) -> Plan {
        let plan = self.plan(wanted, second);
        self.carry_out(&plan, second);
        plan
    }

    /// The prepare Job's pod ends with this outcome.
    fn prepared(&mut self, outcome: &PrepareOutcome) {
        let message = serde_json::to_string(outcome).unwrap();
        let exit_code = if matches!(outcome, PrepareOutcome::Ready(_)) {
            0
        } else {
            65
        };
        let job = &mut self.observed.jobs[0];
        job.metadata.uid = Some("job".into());
        if exit_code != 0 {
            job.status = serde_json::from_value(json!({"conditions": [{"type": "Failed", "status": "True"}]})).unwrap();
        }
        let pod = json!({
            "metadata": {"name": "p", "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "job"}]},
            "status": {"containerStatuses": [{
                "name": "prepare", "ready": false, "restartCount": 0, "image": "w", "imageID": "",
                "state": {"terminated": {"exitCode": exit_code, "message": message}},
            }]},
        });
        self.observed.pods = vec![serde_json::from_value::<Pod>(pod).unwrap()];
    }

    /// All replicas of a version are ready, and the status says that it serves.
    fn serves(&mut self, version: &str) {
        for deployment in &mut self.observed.deployments {
            if version_of(&*deployment) == Some(version) {
                deployment.status = serde_json::from_value(json!({"readyReplicas": 1})).unwrap();
            }
        }
        self.current = Some(version.into());
    }

    fn rolled_out(spec: Value) -> (Self, String) {
        let mut world = Self::default();
        let wanted = wanted(spec);
        world.step(&wanted, 0);
        world.prepared(&PrepareOutcome::Ready(report()));
        let plan = world.step(&wanted, 0);
        let version = plan.target.version().unwrap().name.clone();
        world.serves(&version);
        world.step(&wanted, 0);
        (world, version)
    }

    fn versions_of<K: kube::Resource>(objects: &[K]) -> Vec<&str> {
        objects.iter().filter_map(version_of).collect()
    }
}

fn put<K: kube::Resource + Clone>(objects: &mut Vec<K>, object: &K) {
    match objects.iter_mut().find(|old| old.name_any() == object.name_any()) {
        Some(old) => {
            // Somebody else's annotations stay.
            let mut annotations = old.annotations().clone();
            annotations.extend(object.annotations().clone());
            *old.annotations_mut() = annotations;
        }
        None => {
            let mut object = object.clone();
            object.meta_mut().uid = Some(format!("uid-of-{}", object.name_any()));
            objects.push(object);
        }
    }
}

#[test]
fn a_source_is_prepared_before_anything_is_served() {
    let mut world = World::default();
    let plan = world.step(&wanted(json!({})), 0);
    assert_eq!(plan.target, Target::Preparing(None));
    assert!(plan.children.is_empty());
    assert!(plan.job.unwrap().name_any().starts_with("m-s-"));
}

#[test]
fn the_report_becomes_a_version_and_then_the_job_goes() {
    let (mut world, version) = World::rolled_out(json!({}));
    assert_eq!(World::versions_of(&world.observed.deployments), [version.as_str()]);
    assert!(world.observed.jobs.is_empty());
    let plan = world.step(&wanted(json!({})), 1);
    assert!(
        plan.job.is_none() && plan.delete.is_empty() && plan.retire.is_empty(),
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
    assert!(plan.retire.is_empty() && plan.delete.is_empty() && plan.job.is_none());
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
    assert!(plan.job.is_some());
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
    assert!(plan.job.is_none());
    assert!(world.step(&moved, 2).job.is_some());
}
