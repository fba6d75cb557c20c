//! Which earlier runs and trials a training keeps on the volume that they share. Pure.
//!
//! The pod that trains removes data and states of all others before it. A run that is removed too early costs a
//! training, one that stays too long fills the volume: runs that are under way stay, the last one that published, and
//! the last one if it failed, because that is what people try again.

use api::{
    FineTuneJob,
    finetunejob::{Phase, RunStatus},
};

use super::{
    sweep::has_ended,
    validate::{Owner, Role},
};

/// The names of those that a child of `parent` keeps; nothing where nothing is to be removed.
pub fn kept(owner: &Owner, parent: Option<&FineTuneJob>) -> Option<Vec<String>> {
    let role = owner.parent.as_ref()?.role;
    let parent = parent?;
    let status = parent.status.as_ref()?;
    // A status that does not know this one may lack others as well.
    match role {
        Role::Run => {
            let own = status.runs.iter().position(|run| run.name == owner.name)?;
            Some(runs(&status.runs[own + 1..], &status.runs[..own]))
        }
        Role::Trial => {
            let own = status.trials.iter().position(|trial| trial.name == owner.name)?;
            let others = status.trials[..own].iter();
            Some(
                others
                    .filter(|it| !has_ended(it.phase))
                    .map(|it| it.name.clone())
                    .collect(),
            )
        }
    }
}

/// Those of the runs `before` that stay, given those `after`. All of them are newest first.
fn runs(before: &[RunStatus], after: &[RunStatus]) -> Vec<String> {
    let has_published = |run: &RunStatus| run.output_digest.is_some();
    let later = after.iter().any(has_published);
    let last = before.iter().position(has_published).filter(|_| !later);
    let stays = |(index, run): &(usize, &RunStatus)| {
        let is_to_be_tried_again = *index == 0 && run.phase == Phase::Failed;
        !has_ended(run.phase) || last == Some(*index) || is_to_be_tried_again
    };
    let kept = before.iter().enumerate().filter(stays);
    kept.map(|(_, run)| run.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::controllers::finetunejob::testing::job;

    /// A child of `tune` with this annotation.
    fn child(name: &str, annotation: &str) -> Owner {
        let mut child = job(json!({}));
        child.metadata = serde_json::from_value(json!({
            "name": name, "namespace": "ns", "uid": "c", "labels": {api::names::LABEL_PARENT: "tune"},
            "annotations": {annotation: "2026-01-02T00:00:00Z"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "FineTuneJob", "name": "tune", "uid": "p"}],
        }))
        .unwrap();
        Owner::new(&child).unwrap()
    }

    fn parent(status: Value) -> FineTuneJob {
        let mut parent = job(json!({}));
        parent.status = serde_json::from_value(status).unwrap();
        parent
    }

    #[rstest]
    #[case::the_last_that_published(&["Training", "Succeeded+", "Succeeded+", "Failed"], 0, &["1"])]
    #[case::also_before_runs_without_new_data(&["Training", "Succeeded", "Succeeded+", "Succeeded+"], 0, &["2"])]
    #[case::a_failed_one_may_be_tried_again(&["Training", "Failed", "Failed", "Succeeded+"], 0, &["1", "3"])]
    #[case::those_under_way(&["Training", "Suspended", "Training", "Succeeded+"], 0, &["1", "2", "3"])]
    #[case::later_ones_count(&["Succeeded+", "Training", "Succeeded+"], 1, &[])]
    fn runs_stay_as_long_as_they_are_needed(#[case] phases: &[&str], #[case] own: usize, #[case] expected: &[&str]) {
        let runs = phases.iter().enumerate().map(|(index, phase)| {
            let output = phase.ends_with('+').then_some("sha256:0");
            json!({"name": index.to_string(), "phase": phase.trim_end_matches('+'), "outputDigest": output})
        });
        let runs: Vec<Value> = runs.collect();
        let parent = parent(json!({"runs": runs}));
        let owner = child(&own.to_string(), api::names::ANNOTATION_SCHEDULED);
        assert_eq!(kept(&owner, Some(&parent)).unwrap(), expected);
    }

    #[test]
    fn trials_under_way_stay() {
        let trial = |number: u32, phase: &str| json!({"name": format!("tune-t{number}"), "phase": phase});
        let trials = [
            trial(1, "Succeeded"),
            trial(2, "Training"),
            trial(3, "Failed"),
            trial(4, "Pending"),
            trial(5, "Training"),
        ];
        let parent = parent(json!({"trials": trials}));
        let owner = child("tune-t4", api::names::ANNOTATION_TRIAL);
        assert_eq!(kept(&owner, Some(&parent)).unwrap(), ["tune-t2"]);
    }

    #[test]
    fn who_is_not_known_removes_nothing() {
        let owner = child("tune-t4", api::names::ANNOTATION_TRIAL);
        assert_eq!(kept(&owner, None), None);
        assert_eq!(kept(&owner, Some(&parent(json!({"trials": []})))), None);
        let alone = Owner::new(&job(json!({}))).unwrap();
        assert_eq!(kept(&alone, Some(&parent(json!({})))), None);
    }
}
