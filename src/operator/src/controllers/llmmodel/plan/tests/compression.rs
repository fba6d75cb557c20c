//! Weights that are compressed before they are served.

use kube::ResourceExt;
use protocol::{PrepareFailure, PrepareOutcome, report::reasons as prepare_reasons};
use serde_json::{Value, json};

use super::world::World;
use crate::controllers::llmmodel::{
    plan::{Plan, Step, Target},
    testing::{compressed_report, compression_report, report, wanted},
    version::Version,
};

fn int4(limit: &str) -> Value {
    json!({"compress": {"quantization": "Int4", "maxPerplexityIncrease": limit}})
}

fn exceeded() -> PrepareOutcome {
    let mut failure = PrepareFailure::new(prepare_reasons::PERPLEXITY_EXCEEDED, "too much", false);
    failure.evidence = Some(Box::new(compression_report()));
    PrepareOutcome::Failed(failure)
}

fn refusal(plan: &Plan) -> String {
    let Target::Refused(trouble) = &plan.target else {
        panic!("{plan:?}")
    };
    assert_eq!(trouble.reason, prepare_reasons::PERPLEXITY_EXCEEDED);
    trouble.message.clone()
}

/// A model in four bits that serves.
fn compressed() -> (World, String) {
    let (mut world, spec) = (World::default(), wanted(int4("5%")));
    world.step(&spec, 0);
    world.prepared(&PrepareOutcome::Ready(report()));
    world.step(&spec, 0);
    world.prepared(&PrepareOutcome::Ready(compressed_report()));
    let version = world.step(&spec, 0).target.version().unwrap().name.clone();
    world.serves(&version);
    world.step(&spec, 0);
    (world, version)
}

#[test]
fn weights_are_verified_then_compressed_into_a_claim_then_served_from_it() {
    let (mut world, spec) = (World::default(), wanted(int4("5%")));
    let plan = world.step(&spec, 0);
    assert_eq!((plan.step, plan.claims.len()), (Step::Verify, 0));
    assert!(plan.jobs[0].name_any().starts_with("m-s-"));

    world.prepared(&PrepareOutcome::Ready(report()));
    let plan = world.step(&spec, 1);
    assert_eq!((&plan.target, plan.step), (&Target::Preparing(None), Step::Compress));
    let claim = plan.claims[0].name_any();
    assert!(claim.starts_with("m-c-"), "{claim}");
    // The claim knows what the first Job found, which may go.
    let plan = world.step(&spec, 2);
    let jobs: Vec<_> = plan.jobs.iter().map(ResourceExt::name_any).collect();
    assert_eq!(jobs, [format!("{claim}-prepare")]);
    assert!(plan.claims.is_empty());

    world.prepared(&PrepareOutcome::Ready(compressed_report()));
    let plan = world.step(&spec, 3);
    let version = plan.target.version().unwrap().clone();
    assert_eq!(version.file(), compressed_report().file);
    let deployment = &plan.children[0].deployment;
    let pod = deployment.spec.clone().unwrap().template.spec.unwrap();
    let model = &pod.volumes.as_ref().unwrap()[0];
    assert_eq!(model.persistent_volume_claim.as_ref().unwrap().claim_name, claim);

    world.serves(&version.name);
    world.step(&spec, 4);
    let plan = world.step(&spec, 5);
    assert!(
        plan.jobs.is_empty() && plan.claims.is_empty() && plan.delete.is_empty(),
        "{plan:?}"
    );
    assert_eq!(world.observed.claims.len(), 1);
}

#[test]
fn too_great_a_loss_is_kept_as_evidence_while_the_version_before_serves() {
    let (mut world, first) = World::rolled_out(json!({}));
    let spec = wanted(int4("0.1%"));
    // The source is known already.
    let plan = world.step(&spec, 1);
    assert_eq!((plan.step, plan.jobs.len(), plan.claims.len()), (Step::Compress, 1, 1));
    world.prepared(&exceeded());
    let plan = world.step(&spec, 2);
    let message = refusal(&plan);
    for part in ["4.7580", "4.8679", "2.31%", "0.1%", "Int4 by GPTQ"] {
        assert!(message.contains(part), "{message}");
    }
    // The snapshot outlives the pod, and nothing else is left.
    world.observed.pods.clear();
    let plan = world.step(&spec, 3);
    assert_eq!(refusal(&plan), message);
    let plan = world.step(&spec, 4);
    assert!(
        plan.snapshot.is_none() && plan.jobs.is_empty() && plan.delete.is_empty(),
        "{plan:?}"
    );
    assert!(world.observed.claims.is_empty() && world.observed.jobs.is_empty());
    assert_eq!(World::versions_of(&world.observed.deployments), [first.as_str()]);
    let versions = world.observed.versions();
    assert_eq!((versions.len(), versions[0].rejection.is_some()), (2, true));
}

#[test]
fn another_limit_is_judged_by_what_was_measured() {
    let (mut world, first) = compressed();
    let plan = world.step(&wanted(int4("0.1%")), 1);
    refusal(&plan);
    assert!(plan.jobs.is_empty(), "nothing has to be measured again");
    world.step(&wanted(int4("0.1%")), 2);
    assert_eq!(World::versions_of(&world.observed.deployments), [first.as_str()]);

    let plan = world.step(&wanted(int4("3%")), 3);
    let second = plan.target.version().unwrap();
    assert_ne!(second.name, first);
    assert_eq!(second.report, compressed_report());
    assert!(plan.jobs.is_empty() && plan.claims.is_empty());
}

#[test]
fn a_rejection_under_a_lower_limit_does_not_count_against_a_higher_one() {
    let (mut world, _) = World::rolled_out(json!({}));
    world.step(&wanted(int4("0.1%")), 1);
    world.prepared(&exceeded());
    world.step(&wanted(int4("0.1%")), 2);
    world.step(&wanted(int4("0.1%")), 3);
    let plan = world.step(&wanted(int4("5%")), 4);
    assert_eq!((plan.step, plan.jobs.len(), plan.claims.len()), (Step::Compress, 1, 1));
    // The same one is not tried again, whatever the worker's rounding said.
    refusal(&world.plan(&wanted(int4("0.1%")), 5));
}

#[test]
fn the_rejection_of_compressed_weights_says_nothing_about_their_source() {
    let (mut world, _) = compressed();
    world.step(&wanted(int4("0.1%")), 1);
    assert!(world.observed.versions()[0].rejection.is_some());
    let plan = world.step(&wanted(json!({})), 2);
    assert_eq!((plan.step, &plan.target), (Step::Verify, &Target::Preparing(None)));
}

#[test]
fn a_change_of_the_prompt_is_served_from_the_same_claim() {
    let (mut world, first) = compressed();
    let mut spec = int4("5%");
    spec["prompt"] = json!({"system": "Be brief."});
    let plan = world.step(&wanted(spec), 1);
    let second = plan.target.version().unwrap();
    assert_ne!(second.name, first);
    assert!(plan.jobs.is_empty() && plan.claims.is_empty() && plan.delete.is_empty());
}

#[test]
fn a_claim_goes_with_the_last_version_that_needs_it() {
    let (mut world, _) = compressed();
    let mut turn = 0;
    let mut roll = |world: &mut World, prompt: &str| {
        let spec = wanted(json!({"prompt": {"system": prompt}, "rollout": {"historyLimit": 1}}));
        turn += 1000;
        world.step(&spec, turn);
        if world.plan(&spec, turn).target.version().is_none() {
            world.prepared(&PrepareOutcome::Ready(report()));
        }
        let version = world.step(&spec, turn).target.version().unwrap().name.clone();
        world.serves(&version);
        for second in [turn + 1, turn + 100, turn + 200] {
            world.step(&spec, second);
        }
    };
    roll(&mut world, "a");
    assert_eq!(
        world.observed.claims.len(),
        1,
        "the version before can be rolled back to"
    );
    roll(&mut world, "b");
    assert!(world.observed.claims.is_empty());
}

#[test]
fn a_lost_claim_is_filled_again() {
    let (mut world, first) = compressed();
    world.observed.claims.clear();
    let spec = wanted(int4("5%"));
    world.step(&spec, 1);
    world.prepared(&PrepareOutcome::Ready(report()));
    let plan = world.step(&spec, 2);
    assert_eq!((plan.step, plan.claims.len()), (Step::Compress, 1));
    assert_eq!(World::versions_of(&world.observed.deployments), [first.as_str()]);
    // The result is the same, and so is its snapshot, whatever was measured this time.
    let mut again = compressed_report();
    again.compression.as_mut().unwrap().perplexity_after = "4.8680".into();
    world.prepared(&PrepareOutcome::Ready(again));
    let plan = world.step(&spec, 3);
    assert_eq!(
        plan.target.version().map(|version| &version.report),
        Some(&compressed_report())
    );
}

#[test]
fn a_claim_on_its_way_out_is_waited_for() {
    let (mut world, spec) = (World::default(), wanted(int4("5%")));
    world.step(&spec, 0);
    world.prepared(&PrepareOutcome::Ready(report()));
    world.step(&spec, 1);
    world.observed.claims[0].metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    let plan = world.plan(&spec, 2);
    assert!(plan.jobs.is_empty() && plan.claims.is_empty());
}

#[test]
fn a_rejected_version_cannot_be_pinned() {
    let (mut world, _) = compressed();
    world.step(&wanted(int4("0.1%")), 1);
    let rejected: Version = world.observed.versions().remove(0);
    let mut spec = int4("5%");
    spec["version"] = json!(rejected.name);
    assert!(refusal(&world.plan(&wanted(spec), 2)).contains("was rejected"));
}

#[test]
fn a_failed_step_keeps_its_job_and_its_claim() {
    let (mut world, spec) = (World::default(), wanted(int4("5%")));
    world.step(&spec, 0);
    world.prepared(&PrepareOutcome::Ready(report()));
    world.step(&spec, 1);
    world.step(&spec, 2);
    world.prepared(&PrepareOutcome::Failed(PrepareFailure::new(
        prepare_reasons::NO_SPACE,
        "full",
        false,
    )));
    let plan = world.step(&spec, 3);
    let Target::Refused(trouble) = &plan.target else {
        panic!("{plan:?}")
    };
    assert_eq!(trouble.reason, prepare_reasons::NO_SPACE);
    assert!(plan.delete.is_empty());
    assert_eq!(world.observed.claims.len(), 1);
}
