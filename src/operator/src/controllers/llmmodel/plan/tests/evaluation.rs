//! A version is asked questions before it gets traffic.

use protocol::{EvaluationOutcome, EvaluationReport, SuiteScore};
use rstest::rstest;
use serde_json::Value;

use super::*;

fn spec(system: &str) -> Value {
    json!({
        "prompt": {"system": system},
        "rollout": {"gates": {"evaluation": {"suites": [{"name": "facts", "minScore": "0.5", "maxRegression": "0.1"}]}}},
    })
}

fn scored(score: &str) -> EvaluationOutcome {
    let score = SuiteScore {
        suite: "facts".into(),
        digest: "sha256:0".into(),
        score: score.into(),
        questions: 40,
        failed: vec!["q1".into()],
    };
    EvaluationOutcome::Scored(EvaluationReport { suites: vec![score] })
}

impl World {
    /// The first version, which scored this.
    fn evaluated(score: &str) -> (Self, String) {
        let mut world = Self::default();
        let wanted = wanted(spec("one"));
        world.step(&wanted, 0);
        world.prepared(&PrepareOutcome::Ready(crate::controllers::llmmodel::testing::report()));
        let plan = world.step(&wanted, 0);
        let Target::Evaluating(version, None) = &plan.target else {
            panic!("{plan:?}")
        };
        let version = version.name.clone();
        assert!(plan.children.is_empty());
        assert_eq!(World::versions_of(&world.observed.revisions), [version.as_str()]);
        let plan = world.step(&wanted, 0);
        let names: Vec<_> = plan.jobs.iter().map(ResourceExt::name_any).collect();
        assert!(
            names[0].starts_with("m-e-") && names[0].ends_with("-evaluate"),
            "{names:?}"
        );
        world.ended(&scored(score));
        let plan = world.step(&wanted, 0);
        assert_eq!(plan.target.version().unwrap().name, version);
        world.serves(&version);
        let plan = world.step(&wanted, 1);
        assert!(plan.jobs.is_empty() && plan.scores.is_empty(), "{plan:?}");
        assert!(world.observed.jobs.is_empty());
        (world, version)
    }

    /// The pod of the newest Job ends with this outcome.
    fn ended(&mut self, outcome: &EvaluationOutcome) {
        self.ends(
            serde_json::to_string(outcome).unwrap(),
            i32::from(!matches!(outcome, EvaluationOutcome::Scored(_))) * 65,
        );
    }
}

#[rstest]
#[case::better("0.9000", true)]
#[case::a_little_worse("0.7000", true)]
#[case::much_worse("0.6999", false)]
fn a_version_serves_when_it_scores_enough(#[case] score: &str, #[case] passes: bool) {
    let (mut world, first) = World::evaluated("0.8000");
    let changed = wanted(spec("two"));
    let plan = world.step(&changed, 2);
    assert!(matches!(plan.target, Target::Evaluating(..)), "{plan:?}");
    // What serves is not touched, and was not asked again.
    assert_eq!(World::versions_of(&world.observed.deployments), [first.as_str()]);
    assert_eq!(plan.jobs.len(), 1);
    world.ended(&scored(score));
    let plan = world.step(&changed, 3);
    assert_eq!(plan.scores.len(), 1);
    let plan = world.step(&changed, 4);
    match plan.target {
        Target::Known(_) => assert!(passes),
        Target::Refused(trouble) => {
            assert!(!passes);
            assert_eq!(trouble.reason, reasons::EVALUATION_FAILED);
            assert!(
                trouble.message.contains("under the 0.8000 of the version that serves"),
                "{}",
                trouble.message
            );
            assert!(plan.refused.is_some() && plan.jobs.is_empty());
            // Whoever names it gets it.
            let mut named = spec("two");
            named["version"] = json!(plan.refused);
            assert_eq!(
                world.step(&wanted(named), 5).target.version().unwrap().name,
                plan.refused.unwrap()
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_judge_what_was_measured_before() {
    let (mut world, _) = World::evaluated("0.8000");
    let changed = wanted(spec("two"));
    world.step(&changed, 2);
    world.ended(&scored("0.5500"));
    world.step(&changed, 3);
    assert!(matches!(world.step(&changed, 4).target, Target::Refused(_)));
    let mut allowed = spec("two");
    allowed["rollout"]["gates"]["evaluation"]["suites"][0]["maxRegression"] = json!("0.5");
    let plan = world.step(&wanted(allowed), 5);
    assert!(plan.target.version().is_some() && plan.jobs.is_empty());
}

#[test]
fn what_serves_is_asked_when_it_never_was() {
    let (mut world, first) = World::rolled_out(json!({}));
    let changed = wanted(spec("two"));
    world.step(&changed, 2);
    world.ended(&scored("0.8000"));
    // Its own score is there; that of the other is not.
    let plan = world.step(&changed, 3);
    assert!(matches!(plan.target, Target::Evaluating(..)), "{plan:?}");
    let plan = world.step(&changed, 4);
    assert_eq!(plan.jobs.len(), 1);
    world.ended(&scored("0.8500"));
    let plan = world.step(&changed, 5);
    assert_eq!(plan.scores.iter().map(|it| &it.version).collect::<Vec<_>>(), [&first]);
    assert!(plan.target.version().is_some());
}

#[test]
fn an_evaluation_that_fails_holds_the_version_back() {
    let (mut world, _) = World::evaluated("0.8000");
    let changed = wanted(spec("two"));
    world.step(&changed, 2);
    let failure = PrepareFailure::new("InvalidSuite", "line 3 has no expectation", false);
    world.ended(&EvaluationOutcome::Failed(failure));
    let Target::Refused(trouble) = world.step(&changed, 3).target else {
        panic!()
    };
    assert_eq!(trouble.reason, "InvalidSuite");
    assert!(trouble.message.contains("line 3"), "{}", trouble.message);
    assert!(
        trouble.message.contains("kubectl delete job m-e-"),
        "{}",
        trouble.message
    );
}
