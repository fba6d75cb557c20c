use api::{conditions, reasons};
use jiff::Timestamp;
use protocol::tune::TrainProgress;
use serde_json::json;

use super::*;
use crate::controllers::finetunejob::testing::{job, the_owner, wanted};

fn progress(step: u64) -> TrainProgress {
    TrainProgress {
        stage: "Training".into(),
        step,
        total_steps: 100,
        epoch: 0.5,
        loss: Some(2.0),
        eval_loss: None,
        learning_rate: 2e-4,
        tokens_per_second: 812.4,
        remaining_seconds: Some(60),
        memory: 1 << 30,
        checkpoint: Some(20),
    }
}

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).unwrap())
}

fn after(job: &FineTuneJob, progress: TrainProgress, now: &Time) -> FineTuneJobStatus {
    let (owner, wanted) = (the_owner(), wanted(json!({"parallelism": {"data": 2}})));
    let observed = Observed {
        progress: Some(Progress::Train(progress)),
        ..Observed::default()
    };
    let plan = Plan {
        stage: Stage::Training(None),
        key: Some("p-1".into()),
        ..Plan::default()
    };
    let facts = Facts {
        job,
        owner: &owner,
        wanted: Some(&wanted),
        observed: &observed,
        plan: &plan,
        failure: None,
    };
    compute(&facts, now)
}

#[test]
fn progress_is_told_in_figures() {
    let mut job = job(json!({}));
    let first = after(&job, progress(25), &at(1000));
    assert_eq!(first.phase, Some(Phase::Training));
    assert_eq!((first.step, first.total_steps), (Some(25), Some(100)));
    assert_eq!(first.loss.as_deref(), Some("2.0000"));
    assert_eq!(first.learning_rate.as_deref(), Some("2.000e-4"));
    assert_eq!(first.tokens_per_second.as_deref(), Some("812"));
    assert_eq!(first.eta, Some(at(1060)));
    assert_eq!(first.resource_use.as_ref().unwrap().memory, Some(2 << 30));
    let checkpoint = first.checkpoint.clone().unwrap();
    assert_eq!((checkpoint.step, checkpoint.created), (20, Some(at(1000))));
    assert!(checkpoint.uri.starts_with("pvc://tune-tune/checkpoints/tune/"));

    // The same figures later say nothing new.
    job.status = Some(first.clone());
    assert_eq!(after(&job, progress(25), &at(1005)), first);
    let later = after(&job, progress(26), &at(1005));
    assert_ne!(later, first);
    assert!(differs_in_figures_only(&first, &later));
    let evaluating = TrainProgress {
        stage: "Evaluating".into(),
        ..progress(26)
    };
    assert!(!differs_in_figures_only(&first, &after(&job, evaluating, &at(1005))));
}

#[test]
fn numbers_that_are_none_are_left_out() {
    let odd = TrainProgress {
        loss: Some(f64::NAN),
        tokens_per_second: f64::INFINITY,
        learning_rate: f64::NAN,
        remaining_seconds: Some(u64::MAX),
        ..progress(1)
    };
    let status = after(&job(json!({})), odd, &at(1000));
    assert_eq!((status.loss, status.tokens_per_second), (None, None));
    assert_eq!((status.learning_rate, status.eta), (None, None));
}

#[test]
fn a_spec_that_is_refused_says_why_and_keeps_what_was_published() {
    let mut job = job(json!({}));
    let output = json!({"digest": "sha256:aa", "uri": "pvc://x", "kind": "Adapter"});
    job.status = serde_json::from_value(json!({"plan": "p-1", "output": output, "phase": "Succeeded"})).unwrap();
    let owner = the_owner();
    let trouble = Trouble::new(
        reasons::INVALID_SPEC,
        "spec.hyperparameters.clip must be greater than 0",
    );
    let plan = Plan {
        stage: Stage::Refused(trouble.clone()),
        ..Plan::default()
    };
    let facts = Facts {
        job: &job,
        owner: &owner,
        wanted: None,
        observed: &Observed::default(),
        plan: &plan,
        failure: None,
    };
    let status = compute(&facts, &at(1));
    assert_eq!(
        (status.phase, status.plan.as_deref()),
        (Some(Phase::Failed), Some("p-1"))
    );
    assert!(conditions::is_true(&status.conditions, "Ready"));
    let failed = conditions::find(&status.conditions, "Failed").unwrap();
    assert_eq!(
        (failed.reason.as_str(), &failed.message),
        (reasons::INVALID_SPEC, &trouble.message)
    );
    let told = notices(&FineTuneJobStatus::default(), &status);
    assert_eq!((told.len(), told[0].warning), (1, true));
}

#[test]
fn events_are_told_once() {
    let mut job = job(json!({}));
    let first = after(&job, progress(1), &at(1));
    assert_eq!(notices(&FineTuneJobStatus::default(), &first).len(), 1);
    job.status = Some(first.clone());
    let second = after(&job, progress(2), &at(2));
    assert_eq!(notices(&first, &second), []);
}
