//! What comparisons on copies of live requests do to rollouts.

use api::{
    ShadowDeployment,
    shadowdeployment::{OnFail, OnPass},
};
use rstest::rstest;
use serde_json::Value;

use super::*;
use crate::controllers::llmmodel::validate::Wanted;

/// A ShadowDeployment of a version of `m`.
fn shadow(name: &str, version: &str, fields: Value) -> ShadowDeployment {
    let mut spec = json!({
        "model": {"name": "m"}, "candidate": {"version": version}, "sample": {"percent": "50%"},
        "compare": {"primary": {"metric": "RougeL"}}, "stop": {"minPairs": 30, "maxPairs": 60},
    });
    for (field, value) in fields.as_object().unwrap() {
        spec[field] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "atelier.dev/v1alpha1", "kind": "ShadowDeployment",
        "metadata": {"name": name, "namespace": "ns", "uid": name}, "spec": spec,
    }))
    .unwrap()
}

fn spec(system: &str, fields: Value) -> Value {
    let mut rollout = json!({"gates": {"shadow": {"template": "usual"}}});
    for (field, value) in fields.as_object().unwrap() {
        rollout[field] = value.clone();
    }
    json!({"prompt": {"system": system}, "rollout": rollout})
}

fn canary() -> Value {
    json!({"strategy": "Canary", "canary": {"steps": [{"weight": 10, "gate": "Manual"}]}})
}

/// A model whose second version waits for a verdict.
struct Gate {
    world: World,
    wanted: Wanted,
    first: String,
    version: String,
}

impl Gate {
    fn shut(rollout: Value) -> Self {
        let (mut world, first) = World::rolled_out(spec("one", rollout.clone()));
        world.observed.comparisons.template = Some(shadow("usual", "v-0000000000", json!({})));
        let wanted = wanted(spec("two", rollout));
        let plan = world.step(&wanted, 0);
        let version = plan.target.version().unwrap().name.clone();
        world.observed.comparisons.found.extend(plan.comparison.clone());
        let mut gate = Self {
            world,
            wanted,
            first,
            version,
        };
        assert!(plan.comparison.is_some() && !plan.may_take_over(), "{plan:?}");
        gate.ready();
        let plan = gate.step(1);
        assert!(plan.comparison.is_none() && !plan.may_take_over(), "{plan:?}");
        gate
    }

    fn ready(&mut self) {
        for deployment in &mut self.world.observed.deployments {
            let status = json!({"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1});
            deployment.status = serde_json::from_value(status).unwrap();
        }
    }

    fn step(&mut self, second: i64) -> Plan {
        self.world.step(&self.wanted, second)
    }

    /// The comparison has its verdict.
    fn says(&mut self, verdict: &str, reason: &str) {
        let status = json!({"verdict": verdict, "reason": reason, "report": "s-report-1", "conditions": [{
            "type": "Complete", "status": "True", "reason": reason, "message": "RougeL is worse than its margin of 2%",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]});
        for shadow in &mut self.world.observed.comparisons.found {
            shadow.status = serde_json::from_value(status.clone()).unwrap();
        }
    }
}

#[test]
fn a_gate_makes_the_comparison_by_its_template_and_the_version_waits_with_its_pods() {
    let mut gate = Gate::shut(json!({}));
    let made = &gate.world.observed.comparisons.found[0];
    assert_eq!(made.name_any(), names::gate_shadow("m", &gate.version, "0000000000"));
    assert_eq!(made.owner_references()[0].uid, "model-uid");
    assert_eq!(
        (made.spec.on_pass, made.spec.on_fail),
        (OnPass::Promote, OnFail::Reject)
    );
    assert_eq!(made.spec.candidate.version.as_ref(), Some(&gate.version));
    assert_eq!(made.spec.sample.as_ref().unwrap().percent, "50%");
    let plan = gate.step(2);
    let Some(Course::Shadowing(awaited, None)) = &plan.trial else {
        panic!("{plan:?}")
    };
    assert!(awaited.starts_with("the verdict of ShadowDeployment m-v-"), "{awaited}");
    let mut versions = World::versions_of(&gate.world.observed.deployments);
    versions.sort_unstable();
    let mut both = [gate.first.as_str(), gate.version.as_str()];
    both.sort_unstable();
    assert_eq!(versions, both);
    assert!(plan.retire.is_empty());
}

#[rstest]
#[case::at_once(json!({}), None)]
#[case::by_its_canary(canary(), Some(10))]
fn a_version_that_passed_goes_on(#[case] rollout: Value, #[case] weight: Option<i32>) {
    let mut gate = Gate::shut(rollout);
    gate.says("Promote", "NotWorse");
    let plan = gate.step(2);
    let share = match &plan.trial {
        None => None,
        Some(Course::On(canary, ..)) => Some(canary.weight),
        other => panic!("{other:?}"),
    };
    assert_eq!((share, plan.may_take_over()), (weight, weight.is_none()));
}

#[test]
fn onpass_promote_leaves_canary_steps_out() {
    let mut gate = Gate::shut(canary());
    gate.world.observed.comparisons.found[0].spec.on_pass = OnPass::Promote;
    gate.says("Promote", "NotWorse");
    let plan = gate.step(2);
    assert!(plan.trial.is_none() && plan.may_take_over());
}

#[test]
fn a_version_that_failed_is_rejected_with_the_evidence_and_not_tried_again() {
    let mut gate = Gate::shut(json!({}));
    gate.says("Reject", "Worse");
    let plan = gate.step(2);
    let Some(Course::Stopped(trouble)) = plan.trial else {
        panic!("{plan:?}")
    };
    assert_eq!(trouble.reason, reasons::SHADOW_REJECTED);
    for words in [
        "RougeL is worse than its margin of 2%",
        "s-report-1",
        gate.version.as_str(),
    ] {
        assert!(trouble.message.contains(words), "{}", trouble.message);
    }
    for revision in &mut gate.world.observed.revisions {
        if version_of(&*revision) == Some(&gate.version) {
            let text = serde_json::to_string(&trouble).unwrap();
            revision
                .annotations_mut()
                .insert(names::ANNOTATION_STOPPED.into(), text);
        }
    }
    let plan = gate.step(3);
    assert_eq!((&plan.target, &plan.trial), (&Target::Refused(trouble), &None));
    assert_eq!(plan.retire, [names::version_child("m", &gate.version)]);
}

#[test]
fn without_a_finding_it_waits_for_a_person() {
    let mut gate = Gate::shut(json!({}));
    gate.says("Inconclusive", "MaxPairs");
    let plan = gate.step(2);
    let Some(Course::Shadowing(_, Some(trouble))) = &plan.trial else {
        panic!("{plan:?}")
    };
    assert_eq!(trouble.reason, reasons::SHADOW_INCONCLUSIVE);
    let word = format!("{}/shadow", gate.version);
    assert!(trouble.message.contains(&word), "{}", trouble.message);
    gate.world.promoted = Some("v-0000000000/shadow".into());
    assert!(!gate.step(3).may_take_over());
    gate.world.promoted = Some(word);
    assert!(gate.step(4).may_take_over());
}

#[test]
fn a_person_s_word_goes_before_a_rejection_too() {
    let mut gate = Gate::shut(json!({}));
    gate.says("Reject", "Worse");
    gate.world.promoted = Some(format!("{}/shadow", gate.version));
    assert!(gate.step(2).may_take_over());
}

#[test]
fn a_pinned_version_asks_no_comparison() {
    let mut gate = Gate::shut(json!({}));
    gate.says("Reject", "Worse");
    let mut pinned = spec("two", json!({}));
    pinned["version"] = gate.version.clone().into();
    let plan = gate.world.step(&wanted(pinned), 2);
    assert!(plan.trial.is_none() && plan.may_take_over(), "{plan:?}");
}

#[test]
fn a_template_that_is_missing_is_said_and_the_version_waits() {
    let (mut world, _) = World::rolled_out(spec("one", json!({})));
    let plan = world.step(&wanted(spec("two", json!({}))), 0);
    let Some(Course::Shadowing(_, Some(trouble))) = &plan.trial else {
        panic!("{plan:?}")
    };
    assert_eq!(trouble.reason, reasons::REFERENCE_NOT_FOUND);
    assert!(trouble.message.contains("usual"), "{}", trouble.message);
    assert!(plan.comparison.is_none() && !plan.may_take_over());
}

#[rstest]
#[case::that_only_looks(json!({}), true)]
#[case::that_decides(json!({"onPass": "Promote"}), false)]
fn a_comparison_that_a_person_made(#[case] fields: Value, #[case] may_take_over: bool) {
    let (mut world, _) = World::rolled_out(json!({"prompt": {"system": "one"}}));
    let wanted = wanted(json!({"prompt": {"system": "two"}}));
    let version = world.plan(&wanted, 0).target.version().unwrap().name.clone();
    world.observed.comparisons.found = vec![shadow("mine", &version, fields)];
    assert_eq!(world.step(&wanted, 1).may_take_over(), may_take_over);
    // Templates and what is on its way out say nothing.
    let mine = &mut world.observed.comparisons.found[0];
    mine.annotations_mut()
        .insert(names::ANNOTATION_PAUSED.into(), "true".into());
    assert!(world.step(&wanted, 2).may_take_over());
}

#[test]
fn an_older_version_that_is_compared_has_pods_until_the_verdict() {
    let (mut world, first) = World::rolled_out(json!({"prompt": {"system": "one"}}));
    let wanted = wanted(json!({"prompt": {"system": "two"}}));
    let second = world.step(&wanted, 1).target.version().unwrap().name.clone();
    world.serves(&second);
    world.step(&wanted, 2);
    world.step(&wanted, 60);
    assert_eq!(World::versions_of(&world.observed.deployments), [second.as_str()]);
    world.observed.comparisons.found = vec![shadow("mine", &first, json!({}))];
    let plan = world.step(&wanted, 61);
    assert_eq!(World::versions_of(&world.observed.deployments).len(), 2);
    assert!(plan.may_take_over());
    for deployment in &mut world.observed.deployments {
        deployment.status = serde_json::from_value(json!({"replicas": 1, "readyReplicas": 1})).unwrap();
    }
    world.observed.comparisons.found[0].status = serde_json::from_value(json!({"verdict": "Promote"})).unwrap();
    let plan = world.step(&wanted, 62);
    assert_eq!(plan.retire, [names::version_child("m", &first)]);
}

#[test]
fn a_rejection_stops_a_canary_that_has_begun_and_no_new_comparison_holds_it() {
    let mut gate = Gate::shut(canary());
    gate.says("Promote", "NotWorse");
    let plan = gate.step(2);
    let Some(Course::On(state, ..)) = plan.trial else {
        panic!("{plan:?}")
    };
    gate.world.canary = Some(state);
    let late = shadow("late", &gate.version, json!({"onPass": "Canary", "onFail": "Reject"}));
    gate.world.observed.comparisons.found.push(late);
    assert!(matches!(gate.step(3).trial, Some(Course::On(..))));
    let status = json!({"verdict": "Reject", "reason": "Worse"});
    gate.world.observed.comparisons.found[1].status = serde_json::from_value(status).unwrap();
    assert!(matches!(gate.step(4).trial, Some(Course::Stopped(_))));
}

#[test]
fn a_gate_s_comparison_goes_when_its_version_is_wanted_no_more() {
    let mut gate = Gate::shut(json!({}));
    let name = gate.world.observed.comparisons.found[0].name_any();
    let is_deleted = |plan: &Plan| {
        plan.delete
            .iter()
            .any(|it| it.kind == Kind::ShadowDeployment && it.name == name)
    };
    assert!(!is_deleted(&gate.step(2)));
    let back = wanted(spec("one", json!({})));
    assert!(is_deleted(&gate.world.plan(&back, 3)));
    // Evidence stays as long as the version is known.
    gate.says("Promote", "NotWorse");
    assert!(!is_deleted(&gate.world.plan(&back, 4)));
    let of_version = |it: &ControllerRevision| version_of(it) == Some(&gate.version);
    gate.world.observed.revisions.retain(|it| !of_version(it));
    assert!(is_deleted(&gate.world.plan(&back, 5)));
}
