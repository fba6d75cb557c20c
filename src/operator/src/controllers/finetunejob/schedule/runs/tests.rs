use api::finetunejob::Phase;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{super::MOST, *};
use crate::controllers::finetunejob::decide::world::World;

fn schedule(fields: Value) -> World {
    let mut schedule = json!({"cron": "0 3 * * *"});
    for (field, value) in fields.as_object().unwrap() {
        schedule[field] = value.clone();
    }
    World::new(json!({"schedule": schedule}))
}

/// A pass at a time; what it begins.
fn at(world: &mut World, time: &str) -> Vec<String> {
    world.now = time.parse().unwrap();
    world.pass().create.iter().map(FineTuneJob::name_any).collect()
}

fn end(world: &mut World, name: &str, output: Option<&str>) {
    let child = world
        .observed
        .children
        .iter_mut()
        .find(|it| it.name_any() == name)
        .unwrap();
    let output = output.map(|digest| json!({"digest": digest, "uri": "pvc://x", "kind": "Adapter"}));
    child.status = serde_json::from_value(json!({"phase": "Succeeded", "output": output})).unwrap();
}

#[test]
fn a_run_begins_at_its_time_and_one_at_a_time() {
    let mut world = schedule(json!({}));
    assert!(at(&mut world, "2026-01-01T02:59:59Z").is_empty());
    assert_eq!(world.reason("Progressing"), api::reasons::SCHEDULED);
    let next = world.status().next_scheduled.unwrap().0.to_string();
    assert_eq!(next, "2026-01-01T03:00:00Z");
    assert_eq!(at(&mut world, "2026-01-01T03:00:00Z"), ["tune-202601010300"]);
    assert_eq!(world.phase(), Phase::Training);
    assert!(at(&mut world, "2026-01-01T03:00:05Z").is_empty());
    // The next day it is still under way.
    assert!(at(&mut world, "2026-01-02T03:00:00Z").is_empty());
    end(&mut world, "tune-202601010300", Some("sha256:aa"));
    // What was missed meanwhile is not too late.
    assert_eq!(at(&mut world, "2026-01-02T03:30:00Z"), ["tune-202601020300"]);
    let status = world.status();
    assert_eq!(status.output.unwrap().digest, "sha256:aa");
    let names: Vec<_> = status.runs.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(names, ["tune-202601020300", "tune-202601010300"]);
    assert_eq!(status.last_scheduled.unwrap().0.to_string(), "2026-01-02T03:00:00Z");
}

#[test]
fn a_run_whose_object_is_deleted_is_not_repeated() {
    let mut world = schedule(json!({}));
    assert_eq!(at(&mut world, "2026-01-01T03:00:00Z").len(), 1);
    world.observed.children.clear();
    assert!(at(&mut world, "2026-01-01T03:00:10Z").is_empty());
}

#[test]
fn a_run_that_never_began_is_made_anew_from_a_corrected_spec() {
    let mut world = schedule(json!({}));
    assert_eq!(at(&mut world, "2026-01-01T03:00:00Z").len(), 1);
    world.job.spec.hyperparameters = serde_json::from_value(json!({"epochs": 2})).unwrap();
    assert_eq!(at(&mut world, "2026-01-01T05:10:10Z"), ["tune-202601010510"]);
    let names: Vec<_> = world.observed.children.iter().map(FineTuneJob::name_any).collect();
    assert_eq!(names, ["tune-202601010510"]);
    // One that learns ends as it began.
    world.observed.children[0].status = serde_json::from_value(json!({"phase": "Training", "step": 1})).unwrap();
    world.job.spec.hyperparameters = None;
    assert!(at(&mut world, "2026-01-01T05:11:10Z").is_empty());
    assert_eq!(world.observed.children.len(), 1);
}

#[test]
fn a_suspended_schedule_begins_nothing() {
    let mut world = schedule(json!({"suspend": true}));
    assert!(at(&mut world, "2026-01-01T03:00:00Z").is_empty());
    assert_eq!((world.phase(), world.status().next_scheduled), (Phase::Suspended, None));
}

#[test]
fn old_runs_go_but_not_the_last_one_that_published() {
    let mut world = schedule(json!({}));
    for day in 1..=15 {
        let name = at(&mut world, &format!("2026-01-{day:02}T03:00:00Z")).pop().unwrap();
        end(&mut world, &name, (day == 2).then_some("sha256:aa"));
    }
    world.now = "2026-01-15T04:00:00Z".parse().unwrap();
    world.pass();
    let names: Vec<_> = world.observed.children.iter().map(FineTuneJob::name_any).collect();
    assert_eq!(names.len(), KEPT + 1, "{names:?}");
    assert!(names.contains(&"tune-202601020300".to_owned()));
    let status = world.status();
    assert_eq!(status.output.unwrap().digest, "sha256:aa");
    assert_eq!(status.runs.len(), KEPT + 1);
    let before = world.status();
    let plan = world.pass();
    assert!(plan.create.is_empty() && plan.delete_children.is_empty());
    assert_eq!(world.status(), before);
}

/// What became of a schedule of every minute in half an hour, whose runs take two minutes and a half: how many began,
/// how many published, and how many were under way at a time at most.
fn storm(policy: &str) -> (usize, usize, usize) {
    let mut world = schedule(json!({"cron": "* * * * *", "concurrencyPolicy": policy}));
    let begin: jiff::Timestamp = "2026-01-01T03:00:30Z".parse().unwrap();
    let mut ends: Vec<(u64, String)> = Vec::new();
    let (mut began, mut published, mut most) = (0, 0, 0);
    for second in (0..1800).step_by(5) {
        world.now = begin.checked_add(std::time::Duration::from_secs(second)).unwrap();
        let over: Vec<_> = ends.extract_if(.., |(end, _)| *end <= second).collect();
        for (_, name) in over {
            let is_there = world.observed.children.iter().any(|it| it.name_any() == name);
            if is_there {
                end(&mut world, &name, Some("sha256:aa"));
                published += 1;
            }
        }
        let plan = world.pass();
        assert!(plan.create.len() <= 1, "{:?}", plan.create);
        ends.extend(plan.create.iter().map(|run| (second + 150, run.name_any())));
        began += plan.create.len();
        let active = world.observed.children.iter().filter(|run| !has_ended(phase_of(run)));
        most = most.max(active.count());
        assert!(world.status().runs.len() <= KEPT + MOST + 1);
    }
    (began, published, most)
}

#[test]
fn a_storm_of_runs_is_met_as_the_policy_says() {
    // Each begins as soon as the one before has ended, as the latest that was missed.
    assert_eq!(storm("Forbid"), (12, 11, 1));
    // None is ever left alone for long enough.
    assert_eq!(storm("Replace"), (31, 0, 1));
    assert_eq!(storm("Allow"), (31, 28, 3));
}

#[test]
fn runs_beside_each_other_have_a_limit() {
    let mut world = schedule(json!({"cron": "* * * * *", "concurrencyPolicy": "Allow"}));
    let began: usize = (0..20)
        .map(|minute| at(&mut world, &format!("2026-01-01T03:{minute:02}:00Z")).len())
        .sum();
    assert_eq!(began, MOST);
    end(&mut world, "tune-202601010304", Some("sha256:04"));
    assert_eq!(at(&mut world, "2026-01-01T03:20:00Z"), ["tune-202601010320"]);
    assert_eq!(world.status().output.unwrap().digest, "sha256:04");
    // One that was due before and ends later is not the latest.
    end(&mut world, "tune-202601010303", Some("sha256:03"));
    world.pass();
    assert_eq!(world.status().output.unwrap().digest, "sha256:04");
}
