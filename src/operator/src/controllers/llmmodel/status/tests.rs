use api::{conditions::Status, reasons};
use k8s_openapi::jiff::Timestamp;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::controllers::llmmodel::{
    build::Builder,
    plan::{Course, Target},
    testing::{self, report, settings, the_owner, wanted},
    version::Version,
};

fn version(spec: Value) -> Version {
    Version::new(&wanted(spec), report())
}

/// The children of versions, of which so many pods of one are ready.
fn observed(versions: &[(&Version, i32)]) -> Observed {
    let (owner, settings, wanted) = (the_owner(), settings(), wanted(json!({})));
    let builder = Builder {
        owner: &owner,
        wanted: &wanted,
        settings: &settings,
    };
    let mut observed = Observed::default();
    for (number, (version, ready)) in versions.iter().enumerate() {
        let children = builder.children(version, number as i64 + 1);
        let mut deployment = children.deployment;
        deployment.metadata.generation = Some(1);
        deployment.status = serde_json::from_value(json!({
            "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": ready, "readyReplicas": ready,
        }))
        .unwrap();
        observed.deployments.push(deployment);
        observed.revisions.push(children.revision);
    }
    observed
}

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).unwrap())
}

struct Case {
    model: LlmModel,
    observed: Observed,
    target: Target,
    trial: Option<Course>,
    trouble: Option<Trouble>,
    paused: bool,
}

impl Case {
    fn compute(&self) -> LlmModelStatus {
        self.compute_at(1)
    }

    fn compute_at(&self, second: i64) -> LlmModelStatus {
        let (mut owner, settings) = (the_owner(), settings());
        owner.paused = self.paused;
        let plan = Plan {
            trial: self.trial.clone(),
            ..Plan::nothing(self.target.clone())
        };
        let facts = Facts {
            model: &self.model,
            owner: &owner,
            settings: &settings,
            observed: &self.observed,
            plan: &plan,
            compression: None,
            suites: &[],
            trouble: self.trouble.as_ref(),
            current_trouble: None,
        };
        compute(&facts, &at(second))
    }

    /// Asks for another version, which has a Deployment; returns the one that serves.
    fn next_of(&mut self, other: &Version) -> String {
        let status = self.compute();
        let current = status.current_version.clone().unwrap();
        self.model.status = Some(status);
        let deployments = observed(&[(other, 0)]).deployments;
        self.observed.deployments.extend(deployments);
        self.target = Target::Known(Box::new(other.clone()));
        current
    }

    /// The same a moment later, with the status as it was written.
    fn next(mut self, generation: i64) -> Self {
        self.model.status = Some(self.compute());
        self.model.metadata.generation = Some(generation);
        self
    }
}

fn ready(status: &LlmModelStatus) -> (&str, &str, Option<i64>) {
    let ready = conditions::find(&status.conditions, types::READY).unwrap();
    (&ready.status, &ready.reason, ready.observed_generation)
}

#[test]
fn a_training_that_takes_its_time_is_no_fault() {
    let mut case = serving_case();
    let told = |status: &LlmModelStatus, type_: &str| {
        let found = conditions::find(&status.conditions, type_).unwrap();
        (found.status.clone(), found.reason.clone())
    };
    case.model.status = Some(case.compute());
    let trouble = Trouble::new(
        reasons::WAITING_FOR_FINE_TUNE_JOB,
        "FineTuneJob tone has published nothing yet",
    );
    case.target = Target::Preparing(Some(trouble.clone()));
    case.trouble = Some(trouble);
    let status = case.compute();
    let waits = |value: &str| (value.to_owned(), reasons::WAITING_FOR_FINE_TUNE_JOB.to_owned());
    assert_eq!(told(&status, types::WEIGHTS_READY), waits("False"));
    assert_eq!(told(&status, types::PROGRESSING), waits("True"));
    assert_eq!(told(&status, types::DEGRADED).0, "False");
    assert_eq!(told(&status, types::SERVING).0, "True");
    // What is missing for good is one.
    let trouble = Trouble::new(reasons::REFERENCE_NOT_FOUND, "FineTuneJob tone does not exist");
    case.target = Target::Refused(trouble.clone());
    case.trouble = Some(trouble);
    assert_eq!(told(&case.compute(), types::DEGRADED).0, "True");
}

#[test]
fn a_version_that_stopped_for_its_successor_says_so() {
    let mut case = serving_case();
    let second = version(json!({"prompt": {"system": "x"}}));
    let first = case.next_of(&second);
    for deployment in &mut case.observed.deployments {
        deployment.spec.as_mut().unwrap().replicas = Some(0);
        deployment.status = serde_json::from_value(json!({"observedGeneration": 1})).unwrap();
    }
    let status = case.compute();
    assert_eq!(status.current_version, Some(first));
    assert_eq!(ready(&status).1, reasons::ROLLING_OUT);
    let progressing = conditions::find(&status.conditions, types::PROGRESSING).unwrap();
    assert!(progressing.message.contains("have ended"), "{}", progressing.message);
}

#[test]
fn a_version_on_trial_shows_its_share_and_takes_over_when_it_ends() {
    let mut case = serving_case();
    let second = version(json!({"prompt": {"system": "x"}}));
    let first = case.next_of(&second);
    case.observed = observed(&[(&version(json!({})), 1), (&second, 1)]);
    let canary = api::llmmodel::CanaryStatus {
        version: second.name.clone(),
        weight: 25,
        step: 2,
        since: at(7),
        requests_before: 3,
    };
    case.trial = Some(Course::On(canary.clone(), "its time".into(), std::time::Duration::ZERO));
    let status = case.compute();
    assert_eq!((&status.current_version, &status.canary), (&Some(first), &Some(canary)));
    let progressing = conditions::find(&status.conditions, types::PROGRESSING).unwrap();
    assert_eq!(
        (progressing.status.as_str(), progressing.reason.as_str()),
        ("True", reasons::CANARY)
    );
    assert!(
        progressing.message.contains("25 % of the traffic in step 2"),
        "{}",
        progressing.message
    );
    let told = notices(&case.model.status.clone().unwrap(), &status);
    assert!(told.iter().any(|it| it.note.starts_with("step 2")), "{told:?}");
    assert!(notices(&status, &status).is_empty());

    // A replica is lost at the last moment: it keeps its share until it has taken over.
    case.trial = Some(Course::Over);
    case.model.status = Some(status.clone());
    case.observed = observed(&[(&version(json!({})), 1), (&second, 0)]);
    assert_eq!(case.compute().canary, status.canary);
    case.observed = observed(&[(&version(json!({})), 1), (&second, 1)]);
    let status = case.compute();
    assert_eq!((status.current_version, status.canary), (Some(second.name), None));
}

fn serving_case() -> Case {
    let first = version(json!({}));
    Case {
        model: testing::model(json!({})),
        observed: observed(&[(&first, 1)]),
        target: Target::Known(Box::new(first)),
        trial: None,
        trouble: None,
        paused: false,
    }
}

#[test]
fn a_version_serves_as_soon_as_all_its_replicas_are_ready() {
    let mut case = serving_case();
    case.observed = observed(&[(&version(json!({})), 0)]);
    let status = case.compute();
    assert_eq!(ready(&status), ("False", reasons::ROLLING_OUT, Some(1)));
    assert_eq!(status.current_version, None);
    assert_eq!(status.candidate_version, Some(version(json!({})).name));

    let status = serving_case().compute();
    assert_eq!(ready(&status), ("True", reasons::SERVING, Some(1)));
    assert_eq!((status.ready.as_deref(), status.ready_replicas), (Some("1/1"), Some(1)));
    assert_eq!(status.candidate_version, None);
    assert_eq!(status.estimate.unwrap().kv_per_token, 2 * 30 * 3 * 64 * 2);
    assert!(
        !status
            .conditions
            .iter()
            .any(|condition| condition.type_ == types::PAUSED)
    );
}

#[test]
fn a_second_look_changes_nothing() {
    let case = serving_case().next(1);
    assert_eq!(case.model.status.as_ref(), Some(&case.compute()));
}

#[test]
fn ready_speaks_of_the_old_spec_until_the_new_version_serves() {
    let mut case = serving_case().next(2);
    let (first, second) = (version(json!({})), version(json!({"prompt": {"system": "x"}})));
    case.target = Target::Known(Box::new(second.clone()));
    case.observed = observed(&[(&first, 1), (&second, 0)]);
    let status = case.compute();
    assert_eq!(ready(&status), ("True", reasons::SERVING_PREVIOUS, Some(1)));
    assert_eq!(status.current_version.as_ref(), Some(&first.name));

    case.observed = observed(&[(&first, 1), (&second, 1)]);
    let status = case.compute();
    assert_eq!(ready(&status), ("True", reasons::SERVING, Some(2)));
    assert_eq!(status.current_version.as_ref(), Some(&second.name));
    let states: Vec<_> = status.versions.iter().map(|version| version.state).collect();
    assert_eq!(
        states,
        [
            api::llmmodel::VersionState::Serving,
            api::llmmodel::VersionState::Retired
        ]
    );
}

#[test]
fn pods_of_the_old_template_do_not_make_a_new_spec_ready() {
    let mut case = serving_case();
    case.observed = observed(&[(&version(json!({})), 0)]);
    let mut case = case.next(2);
    case.model.status.as_mut().unwrap().current_version = Some(version(json!({})).name);
    case = case.next(2);
    assert_eq!(
        ready(case.model.status.as_ref().unwrap()),
        ("False", reasons::REPLICAS_NOT_READY, Some(2))
    );
    // One of the template before is ready, one of the present template is not.
    let deployment = &mut case.observed.deployments[0];
    deployment.status = serde_json::from_value(json!({
        "observedGeneration": 1, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1,
    }))
    .unwrap();
    assert_eq!(ready(&case.compute()), ("True", reasons::SERVING, Some(1)));
}

#[rstest]
#[case::serving(true, Status::True, reasons::SERVING_PREVIOUS)]
#[case::nothing_served(false, Status::False, reasons::IMAGE_PULL_FAILED)]
fn a_bad_candidate_stops_progress_and_nothing_else(#[case] served: bool, #[case] status: Status, #[case] reason: &str) {
    let mut case = serving_case();
    if served {
        case = case.next(2);
    }
    let trouble = Trouble::new(reasons::IMAGE_PULL_FAILED, "image x cannot be pulled");
    case.target = Target::Preparing(Some(trouble.clone()));
    case.trouble = Some(trouble);
    let found = case.compute();
    let generation = case.model.metadata.generation;
    assert_eq!(ready(&found), (status.as_str(), reason, generation));
    let progressing = conditions::find(&found.conditions, types::PROGRESSING).unwrap();
    assert_eq!(
        (progressing.status.as_str(), progressing.reason.as_str()),
        ("False", reasons::IMAGE_PULL_FAILED)
    );
    assert_eq!(conditions::is_true(&found.conditions, types::SERVING), served);
}

#[test]
fn a_candidate_that_waits_for_room_decides_nothing() {
    let mut case = serving_case().next(2);
    let trouble = Trouble::new(reasons::UNSCHEDULABLE, "no node takes it");
    case.target = Target::Preparing(Some(trouble.clone()));
    case.trouble = Some(trouble);
    assert_eq!(ready(&case.compute()), ("True", reasons::SERVING_PREVIOUS, Some(1)));
}

#[test]
fn a_paused_model_reports_and_does_not_switch() {
    let mut case = serving_case().next(2);
    let (first, second) = (version(json!({})), version(json!({"prompt": {"system": "x"}})));
    case.target = Target::Known(Box::new(second.clone()));
    case.observed = observed(&[(&first, 1), (&second, 1)]);
    case.paused = true;
    let status = case.compute();
    assert_eq!(status.current_version, Some(first.name));
    assert!(conditions::is_true(&status.conditions, types::PAUSED));
    assert_eq!(ready(&status), ("True", reasons::SERVING_PREVIOUS, Some(1)));
}

#[rstest]
#[case::unseen(json!({"observedGeneration": 0, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1}), false)]
#[case::old_pod(json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2, "readyReplicas": 2}), false)]
#[case::complete(json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1}), true)]
fn a_deployment_is_complete_when_nothing_is_left_to_do(#[case] status: Value, #[case] complete: bool) {
    let mut deployment = observed(&[(&version(json!({})), 0)]).deployments.remove(0);
    deployment.status = serde_json::from_value(status).unwrap();
    assert_eq!(replicas(Some(&deployment)).complete, complete);
}

/// One version of which so many pods are there and ready, with autoscaling between 2 and 5.
fn autoscaled(spec: Value, replicas: i32, ready: i32) -> Case {
    let mut case = serving_case();
    let mut all = json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 5, "scaleToZero": {}}});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    case.model = testing::model(all);
    case.model.status = Some(LlmModelStatus {
        current_version: Some(version(json!({})).name),
        ..LlmModelStatus::default()
    });
    let deployment = &mut case.observed.deployments[0];
    deployment.spec.as_mut().unwrap().replicas = Some(replicas);
    deployment.status = serde_json::from_value(json!({
        "observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas,
        "availableReplicas": ready, "readyReplicas": ready,
    }))
    .unwrap();
    case
}

#[rstest]
#[case::grows(4, 3, "True", reasons::SERVING, "3/4")]
#[case::fewest(4, 2, "True", reasons::SERVING, "2/4")]
#[case::too_few(4, 1, "False", reasons::REPLICAS_NOT_READY, "1/4")]
#[case::asleep(0, 0, "True", reasons::SCALED_TO_ZERO, "0/0")]
#[case::wakes(2, 0, "False", reasons::REPLICAS_NOT_READY, "0/2")]
fn a_model_whose_size_follows_the_load_tells_how_it_is(
    #[case] replicas: i32,
    #[case] pods: i32,
    #[case] status: &str,
    #[case] reason: &str,
    #[case] shown: &str,
) {
    let found = autoscaled(json!({}), replicas, pods).compute();
    let is_ready = ready(&found);
    assert_eq!((is_ready.0, is_ready.1), (status, reason));
    assert_eq!(found.ready.as_deref(), Some(shown));
}

#[test]
fn a_model_that_sleeps_or_is_off_says_which() {
    let message = |case: &Case| {
        let status = case.compute();
        let ready = conditions::find(&status.conditions, types::READY).unwrap();
        assert_eq!(
            (ready.status.as_str(), ready.reason.as_str()),
            ("True", reasons::SCALED_TO_ZERO)
        );
        ready.message.clone()
    };
    assert!(message(&autoscaled(json!({}), 0, 0)).contains("next request"));
    assert!(message(&autoscaled(json!({"replicas": 0}), 0, 0)).contains("as the spec asks"));
}

#[test]
fn a_version_of_any_size_serves_as_soon_as_it_is_complete() {
    let mut case = autoscaled(json!({}), 4, 4);
    case.model.status = None;
    assert_eq!(case.compute().current_version, Some(version(json!({})).name));
    let mut case = autoscaled(json!({}), 0, 0);
    case.model.status = None;
    assert_eq!(case.compute().current_version, None);
}

#[test]
fn a_load_that_cannot_be_measured_is_told() {
    let mut case = autoscaled(json!({}), 2, 2);
    let hpa = |reason: &str| {
        let current = version(json!({})).name;
        let condition = json!({"type": "ScalingActive", "status": "False", "reason": reason, "message": "no metrics"});
        serde_json::from_value(json!({
            "metadata": {"name": "h", "labels": {names::LABEL_VERSION: current}},
            "spec": {"maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": "d"}},
            "status": {"currentReplicas": 2, "desiredReplicas": 2, "conditions": [condition]},
        }))
        .unwrap()
    };
    for (reason, is_told) in [("FailedGetExternalMetric", true), ("ScalingDisabled", false)] {
        case.observed.hpas = vec![hpa(reason)];
        let status = case.compute();
        let degraded = conditions::find(&status.conditions, types::DEGRADED).unwrap();
        assert_eq!(
            degraded.reason == reasons::AUTOSCALING_FAILED,
            is_told,
            "{}",
            degraded.message
        );
        assert_eq!(ready(&status).0, "True");
    }
}

#[test]
fn how_long_a_version_served_is_kept_when_it_stops() {
    let (first, second) = (version(json!({})), version(json!({"prompt": {"system": "x"}})));
    let mut case = serving_case();
    let told = |status: &LlmModelStatus, name: &str| {
        let version = status.versions.iter().find(|version| version.name == name).unwrap();
        (version.serving_since.clone(), version.served_seconds)
    };
    for (current, now, expected) in [
        // first, and again; then second; then first again.
        (&first, 100, [(Some(at(100)), None), (None, None)]),
        (&first, 150, [(Some(at(100)), None), (None, None)]),
        (&second, 160, [(None, Some(60)), (Some(at(160)), None)]),
        (&first, 200, [(Some(at(200)), Some(60)), (None, Some(40))]),
    ] {
        case.observed = observed(&[(&first, 1), (&second, 1)]);
        case.target = Target::Known(Box::new(current.clone()));
        let status = case.compute_at(now);
        assert_eq!([told(&status, &first.name), told(&status, &second.name)], expected);
        case.model.status = Some(status);
    }
}
