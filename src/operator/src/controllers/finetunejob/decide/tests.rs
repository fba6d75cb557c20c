use protocol::tune::{TrainFailure, TrainOutcome};
use serde_json::json;

use super::{
    world::{World, data, report},
    *,
};
use crate::controllers::{
    finetunejob::{testing::base, validate},
    llmmodel::testing::settings,
};

#[test]
fn from_data_to_an_output_and_no_further() {
    let mut world = World::new(json!({}));
    let plan = world.pass();
    assert!(plan.claim.is_some());
    assert_eq!((plan.jobs.len(), plan.policies.len()), (1, 1));
    assert_eq!(world.phase(), Phase::Preparing);
    assert!(world.pass().jobs.is_empty());

    world.data_ready();
    let plan = world.pass();
    assert_eq!(plan.jobs[0].name_any(), "tune-train");
    assert_eq!((plan.policies.len(), plan.service.is_none()), (1, true));
    let dataset = world.status().dataset.unwrap();
    assert_eq!((dataset.documents, dataset.dropped["duplicate"]), (90, 5));

    world.trained(&TrainOutcome::Published(report("sha256:aa", None)));
    world.pass();
    let status = world.status();
    assert_eq!(world.phase(), Phase::Succeeded);
    let output = status.output.clone().unwrap();
    assert_eq!(output.uri, "pvc://tune-tune/outputs/aa");
    assert_eq!(world.reason("Complete"), reasons::PUBLISHED);
    assert_eq!(status.report.unwrap().last_loss, "1.5000");

    // Nothing is written in the steady state, even when everything but the status is lost.
    world.forget_pods();
    let before = world.status();
    let plan = world.pass();
    assert!(plan.jobs.is_empty() && plan.delete.is_empty(), "{plan:?}");
    assert_eq!(world.status(), before);
    world.observed.jobs.clear();
    world.now = world.now.checked_add(std::time::Duration::from_secs(99999)).unwrap();
    assert!(world.pass().jobs.is_empty());
    assert_eq!(world.status(), before);
}

#[test]
fn a_gate_that_fails_publishes_nothing_and_tells_the_numbers() {
    let mut world = World::new(json!({"evaluate": {"gate": {"maxRegression": "0%"}}}));
    world.pass();
    world.data_ready();
    world.pass();
    world.trained(&TrainOutcome::Rejected(report("sha256:aa", Some(false))));
    world.pass();
    let status = world.status();
    assert_eq!((world.phase(), status.output.is_none()), (Phase::Failed, true));
    assert_eq!(world.reason("Complete"), reasons::GATE_FAILED);
    let complete = api::conditions::find(&status.conditions, "Complete").unwrap();
    assert!(complete.message.contains("1.75 against 2.50"), "{}", complete.message);
    assert_eq!(status.report.unwrap().passed, Some(false));
    // It is not trained again, even when its Jobs are gone.
    world.observed.jobs.clear();
    assert!(world.pass().jobs.is_empty());
}

#[test]
fn a_bad_edit_that_is_taken_back_leaves_the_outcome_as_it_was() {
    for (words, phase) in [
        (TrainOutcome::Published(report("sha256:aa", None)), Phase::Succeeded),
        (TrainOutcome::Rejected(report("sha256:aa", Some(false))), Phase::Failed),
    ] {
        let mut world = World::new(json!({}));
        world.pass();
        world.data_ready();
        world.pass();
        world.trained(&words);
        world.pass();
        let before = world.status();
        world.job.spec.hyperparameters = serde_json::from_value(json!({"clip": "0"})).unwrap();
        world.refused();
        assert_eq!(
            (world.phase(), world.reason("Failed")),
            (Phase::Failed, reasons::INVALID_SPEC.into())
        );
        world.job.spec.hyperparameters = None;
        // Its Jobs may be gone by then.
        world.observed.jobs.clear();
        assert!(world.pass().jobs.is_empty());
        assert_eq!(world.phase(), phase);
        let of = |status: &FineTuneJobStatus| {
            let told = status
                .conditions
                .iter()
                .map(|it| (it.type_.clone(), it.status.clone(), it.reason.clone()));
            told.collect::<Vec<_>>()
        };
        assert_eq!(of(&world.status()), of(&before));
    }
}

#[test]
fn lost_words_are_asked_for_again() {
    let mut world = World::new(json!({}));
    world.pass();
    world.data_ready();
    world.pass();
    world.trained(&TrainOutcome::Published(report("sha256:aa", None)));
    world.forget_pods();
    assert_eq!(world.pass().delete.len(), 1);
    // The data are known; the training finds what it has published.
    let plan = world.pass();
    assert_eq!(plan.jobs.iter().map(Job::name_any).collect::<Vec<_>>(), ["tune-train"]);
}

#[test]
fn failures_are_tried_anew_when_their_job_is_deleted() {
    let mut world = World::new(json!({}));
    world.pass();
    world.data_ready();
    world.pass();
    let failure = TrainOutcome::Failed(TrainFailure {
        reason: "NotFinite".into(),
        message: "the loss of batch 7 is NaN".into(),
        retryable: false,
    });
    world.ends("tune-train", &serde_json::to_string(&failure).unwrap(), Some("Failed"));
    world.pass();
    assert_eq!(
        (world.phase(), world.reason("Failed")),
        (Phase::Failed, "NotFinite".into())
    );
    assert!(world.pass().jobs.is_empty());
    world.observed.jobs.retain(|job| job.name_any() != "tune-train");
    // Its data may be gone: whoever prepares them looks.
    assert_eq!(world.pass().delete[0].0, "tune-data");
    let status = world.status();
    assert_eq!((status.completed, status.dataset), (None, None));
    world.forget_pods();
    assert_eq!(world.pass().jobs[0].name_any(), "tune-data");
    world.data_ready();
    assert_eq!(world.pass().jobs[0].name_any(), "tune-train");
}

#[test]
fn a_base_that_goes_stops_nothing_that_is_at_work() {
    let mut world = World::new(json!({}));
    world.pass();
    world.data_ready();
    world.pass();
    let gone = Trouble::new(reasons::BASE_NOT_READY, "LlmModel small does not exist");
    world.observed.base = Some(Base::Missing(gone));
    let plan = world.pass();
    assert!(plan.jobs.is_empty() && plan.delete.is_empty());
    assert_eq!(plan.stage, Stage::Training(None));
    // An attempt whose words are lost waits for it, and says so.
    world.trained(&TrainOutcome::Published(report("sha256:aa", None)));
    world.forget_pods();
    assert_eq!(world.pass().delete.len(), 1);
    assert!(world.pass().jobs.is_empty());
    assert_eq!(
        (world.phase(), world.reason("Progressing")),
        (Phase::Pending, reasons::BASE_NOT_READY.into())
    );
}

#[test]
fn a_changed_spec_waits_for_what_is_at_work() {
    let mut world = World::new(json!({}));
    world.pass();
    world.data_ready();
    world.pass();
    world.job.status.as_mut().unwrap().step = Some(1);
    let before = world.status().plan;
    world.job.spec.hyperparameters = serde_json::from_value(json!({"epochs": 9})).unwrap();
    let plan = world.pass();
    assert!(plan.jobs.is_empty() && plan.delete.is_empty());
    assert_eq!(world.status().plan, before);
    // It ends, which is noted as that of the former spec.
    world.trained(&TrainOutcome::Published(report("sha256:aa", None)));
    world.pass();
    assert_eq!(world.status().plan, before);
    assert!(world.status().completed.is_some());
    // Then the new one begins; what was published stays.
    assert_eq!(world.pass().delete.len(), 2);
    world.forget_pods();
    let plan = world.pass();
    assert_eq!(plan.jobs[0].name_any(), "tune-data");
    let status = world.status();
    assert_ne!(status.plan, before);
    assert_eq!(
        (status.output.unwrap().digest.as_str(), status.report),
        ("sha256:aa", None)
    );
}

#[test]
fn suspension_stops_pods_and_lets_them_go_on() {
    let mut world = World::new(json!({}));
    world.pass();
    world.data_ready();
    world.pass();
    world.job.spec.suspend = true;
    assert_eq!(world.pass().suspend, [("tune-train".to_owned(), true)]);
    assert_eq!(world.phase(), Phase::Suspended);
    assert!(world.pass().suspend.is_empty());
    world.job.spec.suspend = false;
    assert_eq!(world.pass().suspend, [("tune-train".to_owned(), false)]);
}

#[test]
fn a_queue_admits_and_suspension_takes_the_job_away() {
    let mut world = World::new(json!({"queueName": "night"}));
    world.pass();
    world.data_ready();
    let plan = world.pass();
    assert_eq!(plan.jobs[0].spec.as_ref().unwrap().suspend, Some(true));
    assert_eq!(world.phase(), Phase::Pending);
    assert_eq!(world.reason("Progressing"), reasons::QUEUED);
    // It is the queue's to admit it.
    assert!(world.pass().suspend.is_empty());
    world.job.spec.suspend = true;
    assert_eq!(world.pass().delete.len(), 1);
    assert_eq!(world.pass().stage, Stage::Suspended);
}

#[test]
fn without_a_base_it_waits_and_says_so() {
    let mut world = World::new(json!({}));
    world.observed.base = Some(Base::Missing(Trouble::new(
        reasons::BASE_NOT_READY,
        "LlmModel small has no version",
    )));
    world.pass();
    world.data_ready();
    assert!(world.pass().jobs.is_empty());
    assert_eq!(
        (world.phase(), world.reason("Progressing")),
        (Phase::Pending, reasons::BASE_NOT_READY.into())
    );
    world.observed.base = Some(Base::Ready(Box::new(base())));
    assert_eq!(world.pass().jobs.len(), 1);
}

#[test]
fn jobs_go_when_their_time_is_over_and_nothing_begins_again() {
    let mut world = World::new(json!({"ttlSecondsAfterFinished": 60}));
    world.pass();
    world.data_ready();
    world.pass();
    world.trained(&TrainOutcome::Published(report("sha256:aa", None)));
    world.pass();
    assert!(world.pass().delete.is_empty());
    world.now = world.now.checked_add(std::time::Duration::from_secs(61)).unwrap();
    assert_eq!(world.pass().delete.len(), 2);
    let plan = world.pass();
    assert!(plan.jobs.is_empty());
    assert_eq!(world.phase(), Phase::Succeeded);
}

/// A run of the schedule of `tune`.
fn run(world: &World, digest: &str) -> World {
    let mut run = World::new(json!({}));
    run.job.metadata = serde_json::from_value(json!({
        "name": "tune", "namespace": "ns", "uid": "run-uid", "generation": 1,
        "labels": {names::LABEL_PARENT: "parent"},
        "annotations": {names::ANNOTATION_SCHEDULED: "2026-01-02T00:00:00Z"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "FineTuneJob", "name": "parent", "uid": "p"}],
    }))
    .unwrap();
    run.observed.parent = Some(Box::new(world.job.clone()));
    run.pass();
    run.ends(
        "tune-data",
        &serde_json::to_string(&data(digest)).unwrap(),
        Some("Complete"),
    );
    run
}

#[test]
fn unchanged_data_are_not_learned_again() {
    let mut parent = World::new(json!({"schedule": {"cron": "@daily"}}));
    let key = validate::validate(&parent.job, &settings()).unwrap().key;
    let published = json!({"name": "parent-1", "phase": "Succeeded", "plan": key, "reason": "Published",
        "datasetDigest": "sha256:d1", "outputDigest": "sha256:aa", "baseDigest": base().report.digest});
    parent.job.status = serde_json::from_value(json!({"runs": [published]})).unwrap();
    let mut same = run(&parent, "sha256:d1");
    assert!(same.pass().jobs.is_empty());
    assert_eq!(
        (same.phase(), same.reason("Complete")),
        (Phase::Succeeded, reasons::DATA_UNCHANGED.into())
    );
    assert_eq!(run(&parent, "sha256:d2").pass().jobs.len(), 1);
    // The gate would keep it from being published once more.
    let row = |parent: &mut World, change: fn(&mut api::finetunejob::RunStatus)| {
        change(&mut parent.job.status.as_mut().unwrap().runs[0]);
    };
    row(&mut parent, |run| run.reason = Some(reasons::GATE_FAILED.into()));
    assert!(run(&parent, "sha256:d1").pass().jobs.is_empty());
    row(&mut parent, |run| run.reason = Some(reasons::DATA_UNCHANGED.into()));
    let mut same = run(&parent, "sha256:d1");
    assert!(same.pass().jobs.is_empty());
    assert_eq!(same.status().base.unwrap().digest, base().report.digest);
    // What broke off is tried again.
    row(&mut parent, |run| run.reason = Some(reasons::TRAINING_FAILED.into()));
    assert_eq!(run(&parent, "sha256:d1").pass().jobs.len(), 1);
    // Another base, or another spec, makes another model of the same data.
    row(&mut parent, |run| run.reason = Some(reasons::PUBLISHED.into()));
    row(&mut parent, |run| run.base_digest = Some("sha256:other".into()));
    assert_eq!(run(&parent, "sha256:d1").pass().jobs.len(), 1);
    row(&mut parent, |run| run.base_digest = Some(base().report.digest));
    assert!(run(&parent, "sha256:d1").pass().jobs.is_empty());
    row(&mut parent, |run| run.plan = Some("p-other".into()));
    assert_eq!(run(&parent, "sha256:d1").pass().jobs.len(), 1);
}

#[test]
fn what_is_published_names_the_version_it_was_trained_on() {
    let mut world = World::new(json!({}));
    world.pass();
    world.data_ready();
    world.pass();
    // The model has another version by then, which is not looked at.
    world.observed.base = None;
    world.job.status.as_mut().unwrap().base = None;
    world.trained(&TrainOutcome::Published(report("sha256:aa", None)));
    world.pass();
    assert_eq!(world.status().output.unwrap().base_version, Some(base().name));
}
