use api::finetunejob::Phase;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::*;
use crate::controllers::finetunejob::decide::world::World;

fn sweep(fields: Value) -> World {
    let mut sweep = json!({"maxTrials": 4, "parallelTrials": 2, "algorithm": "Grid",
        "space": [{"name": "learningRate", "values": ["1e-5", "1e-4", "1e-3", "1e-2"]}]});
    for (field, value) in fields.as_object().unwrap() {
        sweep[field] = value.clone();
    }
    let mut world = World::new(json!({"sweep": sweep}));
    world.pass();
    world.data_ready();
    world
}

fn report(world: &mut World, name: &str, status: Value) {
    let child = world
        .observed
        .children
        .iter_mut()
        .find(|it| it.name_any() == name)
        .unwrap();
    child.status = serde_json::from_value(status).unwrap();
}

fn succeed(world: &mut World, name: &str, loss: &str) {
    let output = json!({"digest": format!("sha256:{name}"), "uri": "pvc://x", "kind": "Adapter"});
    report(
        world,
        name,
        json!({"phase": "Succeeded", "evalLoss": loss, "step": 40, "output": output}),
    );
}

fn names(plan: &Plan) -> Vec<String> {
    plan.create.iter().map(FineTuneJob::name_any).collect()
}

#[test]
fn trials_begin_while_there_is_room_and_the_best_is_published() {
    let mut world = sweep(json!({}));
    assert_eq!(names(&world.pass()), ["tune-t1", "tune-t2"]);
    assert!(names(&world.pass()).is_empty());
    succeed(&mut world, "tune-t2", "1.5");
    assert_eq!(names(&world.pass()), ["tune-t3"]);
    report(&mut world, "tune-t1", json!({"phase": "Failed", "evalLoss": "1.1"}));
    assert_eq!(names(&world.pass()), ["tune-t4"]);
    succeed(&mut world, "tune-t3", "1.2");
    succeed(&mut world, "tune-t4", "9");
    world.pass();
    let status = world.status();
    assert_eq!(world.phase(), Phase::Succeeded);
    assert_eq!(status.output.unwrap().digest, "sha256:tune-t3");
    let rates: Vec<_> = status
        .trials
        .iter()
        .map(|it| it.settings["learningRate"].clone())
        .collect();
    assert_eq!(rates, ["1e-5", "1e-4", "1e-3", "1e-2"]);
    // It is over.
    let before = world.status();
    world.pass();
    assert_eq!(world.status(), before);
}

#[test]
fn without_a_passing_trial_nothing_is_published() {
    let mut world = sweep(json!({"maxTrials": 2}));
    world.pass();
    for name in ["tune-t1", "tune-t2"] {
        let condition = json!({"type": "Complete", "status": "False", "reason": "GateFailed", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        report(&mut world, name, json!({"phase": "Failed", "conditions": [condition]}));
    }
    world.pass();
    assert_eq!(
        (world.phase(), world.reason("Complete")),
        (Phase::Failed, reasons::NO_TRIAL_PASSED.into())
    );
    let complete = conditions::find(&world.job.status.as_ref().unwrap().conditions, "Complete").cloned();
    assert!(complete.unwrap().message.contains("tune-t1: GateFailed"));
}

#[test]
fn poor_trials_are_stopped_after_the_status_says_so() {
    let mut world = sweep(json!({"stopPoor": true, "parallelTrials": 3}));
    world.pass();
    for (step, losses) in [(10, ["2.0", "1.9", "3.0"]), (20, ["1.5", "1.4", "2.9"])] {
        for (number, loss) in (1..).zip(losses) {
            let status = json!({"phase": "Training", "step": step, "evalLoss": loss});
            report(&mut world, &format!("tune-t{number}"), status);
        }
        let plan = world.pass();
        assert!(plan.delete_children.is_empty());
    }
    let stopped = world.status().trials[2].clone();
    assert_eq!(
        (stopped.phase, stopped.reason.as_deref()),
        (Phase::Failed, Some(reasons::STOPPED))
    );
    let plan = world.pass();
    assert_eq!(plan.delete_children[0].0, "tune-t3");
    // Its row stays, and it does not begin again; the next one has begun in its place.
    assert!(names(&world.pass()).is_empty());
    let status = world.status();
    assert_eq!(status.trials.len(), 4);
    assert_eq!(status.trials[2].reason.as_deref(), Some(reasons::STOPPED));
}

#[test]
fn a_trial_that_somebody_deletes_begins_again() {
    let mut world = sweep(json!({}));
    world.pass();
    world.observed.children.retain(|child| child.name_any() != "tune-t1");
    assert_eq!(names(&world.pass()), ["tune-t1"]);
    // One that has ended does not.
    succeed(&mut world, "tune-t1", "1.5");
    world.pass();
    world.observed.children.retain(|child| child.name_any() != "tune-t1");
    assert!(!names(&world.pass()).contains(&"tune-t1".to_owned()));
}

#[test]
fn trials_of_a_former_spec_end_first() {
    let mut world = sweep(json!({}));
    world.pass();
    for name in ["tune-t1", "tune-t2"] {
        report(&mut world, name, json!({"phase": "Training", "step": 3}));
    }
    world.job.spec.hyperparameters = serde_json::from_value(json!({"epochs": 2})).unwrap();
    let plan = world.pass();
    assert!(plan.create.is_empty() && plan.delete_children.is_empty());
    for name in ["tune-t1", "tune-t2"] {
        succeed(&mut world, name, "1.0");
    }
    assert_eq!(world.pass().delete_children.len(), 2);
    world.forget_pods();
    world.pass();
    assert_eq!(world.pass().jobs.len(), 1);
}

#[test]
fn a_suspended_sweep_begins_no_trial() {
    let mut world = sweep(json!({}));
    world.job.spec.suspend = true;
    let plan = world.pass();
    assert!(plan.create.is_empty());
    assert_eq!(world.phase(), Phase::Suspended);
}

#[test]
fn trials_that_never_began_do_not_keep_a_spec_waiting() {
    let mut world = sweep(json!({}));
    world.pass();
    report(&mut world, "tune-t1", json!({"phase": "Training", "step": 3}));
    report(&mut world, "tune-t2", json!({"phase": "Pending"}));
    // How pods run changes no result: only the one that waits is made anew.
    world.job.spec.resources = serde_json::from_value(json!({"memory": "3Gi"})).unwrap();
    assert_eq!(world.pass().delete_children[0].0, "tune-t2");
    let plan = world.pass();
    assert_eq!(
        (names(&plan), plan.delete_children.len()),
        (vec!["tune-t2".to_owned()], 0)
    );
    assert_eq!(
        plan.create[0].spec.resources.as_ref().unwrap().memory.as_deref(),
        Some("3Gi")
    );

    world.job.spec.hyperparameters = serde_json::from_value(json!({"epochs": 2})).unwrap();
    let plan = world.pass();
    assert_eq!(
        plan.delete_children.iter().map(|it| it.0.as_str()).collect::<Vec<_>>(),
        ["tune-t2"]
    );
}

#[test]
fn curves_are_kept_only_to_compare_trials() {
    let mut world = sweep(json!({}));
    world.pass();
    report(
        &mut world,
        "tune-t1",
        json!({"phase": "Training", "step": 3, "evalLoss": "2.0"}),
    );
    world.pass();
    let trial = world.status().trials[0].clone();
    assert_eq!((trial.metric.as_deref(), trial.curve.len()), (Some("2.0"), 0));
}
