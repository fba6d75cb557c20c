//! The course of a trial.

use std::sync::Arc;

use protocol::{Traffic, VersionTraffic};
use rstest::rstest;
use serde_json::Value;

use super::*;

/// Three steps: watched, by a person's word, and by the objectives.
fn spec(system: &str) -> Value {
    json!({
        "prompt": {"system": system},
        "rollout": {"strategy": "Canary", "canary": {"steps": [
            {"weight": 10, "pause": "30s"}, {"weight": 40, "gate": "Manual"}, {"weight": 80, "gate": "Slo"},
        ]}},
        "monitoring": {"slo": {"ttftP95": "500ms", "errorRate": "1%"}},
    })
}

/// What gateways have seen of a version: its failures among so many, each of them as fast as this.
fn seen(version: &str, failed: u64, all: u64, milliseconds: f64) -> Arc<Traffic> {
    let mut seen = VersionTraffic {
        namespace: "ns".into(),
        model: "m".into(),
        version: version.into(),
        succeeded: all - failed,
        failed,
        ..VersionTraffic::default()
    };
    (0..all).for_each(|_| seen.first_token.record(milliseconds));
    Arc::new(Traffic {
        versions: vec![seen],
        ..Traffic::default()
    })
}

/// A model whose second version has just begun its trial.
struct Trial {
    world: World,
    wanted: crate::controllers::llmmodel::validate::Wanted,
    version: String,
    promoted: Option<String>,
}

impl Trial {
    fn begun() -> Self {
        let (mut world, first) = World::rolled_out(spec("one"));
        let wanted = wanted(spec("two"));
        let plan = world.step(&wanted, 0);
        assert_eq!(plan.trial, Some(Course::Starting));
        assert!(!plan.may_take_over());
        let version = plan.target.version().unwrap().name.clone();
        assert_ne!(first, version);
        let mut trial = Self {
            world,
            wanted,
            version,
            promoted: None,
        };
        trial.ready(true);
        assert_eq!(trial.at(10), (1, 10));
        trial
    }

    fn ready(&mut self, is_ready: bool) {
        let count = i32::from(is_ready);
        for deployment in &mut self.world.observed.deployments {
            if version_of(&*deployment) == Some(&self.version) {
                let status =
                    json!({"replicas": 1, "updatedReplicas": 1, "availableReplicas": count, "readyReplicas": count});
                deployment.status = serde_json::from_value(status).unwrap();
            }
        }
    }

    fn sees(&mut self, failed: u64, all: u64, milliseconds: f64) {
        let traffic = seen(&self.version, failed, all, milliseconds);
        self.world.observed.traffic = Some(Ok(traffic));
    }

    fn plan(&mut self, second: i64) -> Plan {
        self.world.promoted.clone_from(&self.promoted);
        let plan = self.world.plan(&self.wanted, second);
        self.world.canary = match &plan.trial {
            Some(Course::On(state, ..)) => Some(state.clone()),
            _ => None,
        };
        plan
    }

    /// Step and weight at this second.
    fn at(&mut self, second: i64) -> (i32, i32) {
        let plan = self.plan(second);
        assert!(!plan.may_take_over());
        match plan.trial {
            Some(Course::On(state, ..)) => (state.step, state.weight),
            other => panic!("{other:?}"),
        }
    }

    fn awaited(&mut self, second: i64) -> String {
        match self.plan(second).trial {
            Some(Course::On(_, awaited, _)) => awaited,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn steps_follow_each_other_by_time_word_and_measure() {
    let mut trial = Trial::begun();
    assert_eq!(trial.at(39), (1, 10));
    assert_eq!(trial.at(40), (2, 40));
    assert!(trial.awaited(1000).contains("atelier.dev/promote: v-"));
    // A word about an earlier step, or another version, opens nothing.
    for word in [
        "v-0000000000/2".to_owned(),
        format!("{}/1", trial.version),
        trial.version.clone(),
    ] {
        trial.promoted = Some(word);
        assert_eq!(trial.at(1001), (2, 40));
    }
    trial.sees(0, 70, 100.0);
    trial.promoted = Some(format!("{}/2", trial.version));
    assert_eq!(trial.at(1002), (3, 80));
    // Only what this step has seen counts.
    trial.sees(0, 119, 100.0);
    assert_eq!(trial.awaited(1003), "50 requests of this step: it has 49");
    trial.sees(0, 120, 100.0);
    let plan = trial.plan(1004);
    assert_eq!(plan.trial, Some(Course::Over));
    assert!(plan.may_take_over());
}

#[rstest]
#[case::errors(5, 20, 100.0, Some("5 of 20 requests failed"))]
#[case::slow(
    0,
    20,
    900.0,
    Some("the first token of 20 of 20 answers took longer than the 500 ms")
)]
#[case::too_few(19, 19, 900.0, None)]
#[case::within_chance(1, 40, 100.0, None)]
#[case::fine(0, 10_000, 100.0, None)]
fn only_evidence_stops_it(#[case] failed: u64, #[case] all: u64, #[case] time: f64, #[case] expected: Option<&str>) {
    let mut trial = Trial::begun();
    trial.sees(failed, all, time);
    let plan = trial.plan(20);
    match (plan.trial, expected) {
        (Some(Course::Stopped(trouble)), Some(expected)) => {
            assert_eq!(trouble.reason, reasons::CANARY_STOPPED);
            assert!(trouble.message.contains(expected), "{}", trouble.message);
            assert!(
                trouble.message.contains("in step 1 at 10 % of the traffic"),
                "{}",
                trouble.message
            );
        }
        (Some(Course::On(..)), None) => {}
        (other, _) => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_measured_neither_stops_it_nor_lets_it_on() {
    let mut trial = Trial::begun();
    assert_eq!(trial.at(40), (2, 40));
    trial.promoted = Some(format!("{}/9", trial.version));
    assert_eq!(trial.at(41), (3, 80));
    for (traffic, text) in [
        (
            Some(Err("gateway pod g does not tell".to_owned())),
            "gateway pod g does not tell",
        ),
        (Some(Ok(Arc::default())), "gateways to see its pods"),
        (None, "the gateways are asked next"),
    ] {
        trial.world.observed.traffic = traffic;
        assert!(trial.awaited(100_000).contains(text));
    }
    // A gateway that was replaced has seen less than when the step began.
    trial.world.canary.as_mut().unwrap().requests_before = 1000;
    trial.sees(0, 60, 100.0);
    assert_eq!(trial.plan(100_001).trial, Some(Course::Over));
}

#[test]
fn a_step_does_not_end_while_replicas_are_missing() {
    let mut trial = Trial::begun();
    trial.ready(false);
    assert_eq!(trial.at(1000), (1, 10));
    assert!(trial.awaited(1000).contains("replicas"));
    trial.ready(true);
    assert_eq!(trial.at(1001), (2, 40));
}

#[test]
fn a_version_that_was_stopped_leaves_and_is_not_tried_again() {
    let mut trial = Trial::begun();
    trial.sees(20, 20, 100.0);
    let plan = trial.plan(20);
    let Some(Course::Stopped(trouble)) = plan.trial else {
        panic!("{plan:?}")
    };
    for revision in &mut trial.world.observed.revisions {
        if version_of(&*revision) == Some(&trial.version) {
            let text = serde_json::to_string(&trouble).unwrap();
            revision
                .annotations_mut()
                .insert(names::ANNOTATION_STOPPED.into(), text);
        }
    }
    let plan = trial.world.step(&trial.wanted, 21);
    assert_eq!((&plan.target, &plan.trial), (&Target::Refused(trouble), &None));
    assert_eq!(plan.retire, [names::version_child("m", &trial.version)]);
    let plan = trial.world.step(&trial.wanted, 40);
    assert!(plan.delete.iter().any(|it| it.kind == Kind::Deployment));
    assert_eq!(World::versions_of(&trial.world.observed.revisions).len(), 2);
    // Whoever names it gets it, and at once.
    let mut named = spec("two");
    named["version"] = json!(trial.version);
    let plan = trial.world.step(&wanted(named), 50);
    assert_eq!(plan.target.version().unwrap().name, trial.version);
    assert!(plan.trial.is_none() && plan.may_take_over());
}

#[test]
fn a_change_of_mind_begins_anew_and_another_strategy_ends_the_trial() {
    let mut trial = Trial::begun();
    assert_eq!(trial.at(40), (2, 40));
    let third = wanted(spec("three"));
    let plan = trial.world.plan(&third, 50);
    assert_eq!(plan.trial, Some(Course::Starting));
    let mut rolling = spec("two");
    rolling["rollout"] = json!({});
    rolling["monitoring"] = json!({});
    assert!(trial.world.plan(&wanted(rolling), 50).may_take_over());
    // Fewer steps, and other shares.
    let mut shorter = spec("two");
    shorter["rollout"]["canary"]["steps"] = json!([{"weight": 25, "pause": "1h"}]);
    trial.wanted = wanted(shorter);
    assert_eq!(trial.at(60), (1, 25));
}

#[test]
fn the_first_version_has_no_trial() {
    let (world, first) = World::rolled_out(spec("one"));
    let plan = world.plan(&wanted(spec("one")), 1);
    assert_eq!(plan.target.version().unwrap().name, first);
    assert!(plan.trial.is_none() && plan.may_take_over());
}
