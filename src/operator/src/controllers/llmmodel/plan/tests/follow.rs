//! Models that follow what FineTuneJobs publish.

use std::collections::BTreeMap;

use api::{
    finetunejob::{OutputKind, OutputStatus, Phase},
    reasons,
};
use kube::ResourceExt;
use protocol::{PrepareOutcome, PrepareReport};
use rstest::rstest;
use serde_json::{Value, json};

use super::world::World;
use crate::controllers::llmmodel::{
    build,
    follow::{Job, missed, resolved},
    plan::{Plan, Target},
    source::Source,
    testing::{self, report, wanted},
    validate::Wanted,
    version::Version,
};

fn sha256(digit: &str) -> String {
    format!("sha256:{}", digit.repeat(64))
}

fn job(output: Option<(OutputKind, &str)>) -> Job {
    let output = output.map(|(kind, digit)| OutputStatus {
        digest: sha256(digit),
        uri: format!("pvc://tone-tune/outputs/{}", digit.repeat(64)),
        kind,
        base_version: None,
        evaluation: Vec::new(),
    });
    Job {
        claim: "tone-tune".into(),
        phase: Some(Phase::Training),
        failure: None,
        output,
        base: Some(Ok(base("models/base:1"))),
    }
}

/// What the LlmModel serves that the job trains.
fn base(image: &str) -> Version {
    let spec = json!({"source": {"oci": {"image": image}}, "prompt": {"system": "Of the base alone."}});
    Version::new(&wanted(spec), report())
}

fn follower(more: Value) -> Value {
    let mut spec = json!({"source": {"fineTuneJob": {"name": "tone"}}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// The spec as it is acted upon in this world.
fn asked(world: &World, spec: Value) -> Wanted {
    resolved(wanted(spec), &world.observed)
}

fn publish(world: &mut World, kind: OutputKind, digit: &str) {
    world.observed.followed = BTreeMap::from([("tone".to_owned(), job(Some((kind, digit))))]);
}

fn step(world: &mut World, spec: Value, second: i64) -> Plan {
    let wanted = asked(world, spec);
    world.step(&wanted, second)
}

fn known(plan: &Plan) -> &Version {
    match &plan.target {
        Target::Known(version) => version,
        other => panic!("{other:?}"),
    }
}

#[test]
fn complete_weights_are_looked_at_as_any_on_a_volume() {
    let mut world = World::default();
    publish(&mut world, OutputKind::Weights, "1");
    let plan = step(&mut world, follower(json!({})), 0);
    let args = json!(plan.jobs[0])["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    assert!(args.contains(&format!("/model/outputs/{}", "1".repeat(64))), "{args}");
    let found = PrepareReport {
        file: format!("outputs/{}", "1".repeat(64)),
        digest: sha256("1"),
        ..report()
    };
    world.prepared(&PrepareOutcome::Ready(found));
    let plan = step(&mut world, follower(json!({})), 1);
    let first = known(&plan).clone();
    assert_eq!(first.tuned, None);
    world.serves(&first.name);

    // The next output, without another spec: what serves goes on until it is looked at.
    publish(&mut world, OutputKind::Weights, "2");
    let plan = step(&mut world, follower(json!({})), 2);
    assert_eq!(plan.target, Target::Preparing(None));
    assert_eq!(plan.jobs.len(), 1);
    assert_eq!(World::versions_of(&world.observed.deployments), [first.name.as_str()]);
}

#[test]
fn an_adapter_is_served_beside_the_weights_that_its_base_has_found() {
    let mut world = World::default();
    publish(&mut world, OutputKind::Adapter, "1");
    let plan = step(&mut world, follower(json!({})), 0);
    assert!(plan.jobs.is_empty(), "its base has looked");
    let first = known(&plan).clone();
    let tuned = first.tuned.clone().unwrap();
    assert_eq!(
        (tuned.place.claim.as_str(), tuned.place.path),
        ("tone-tune", format!("outputs/{}", "1".repeat(64)))
    );
    assert_eq!(first.source, base("models/base:1").source);
    assert_eq!(first.served.system_prompt, None, "settings are the model's own");
    let pod = json!(world.observed.deployments[0])["spec"]["template"]["spec"].clone();
    let args = pod["containers"][0]["args"].to_string();
    for flags in [
        format!("\"--tuned\",\"/tuned\",\"--tuned-digest\",\"{}\"", sha256("1")),
        format!("\"--tuned-base\",\"{}\"", report().digest),
    ] {
        assert!(args.contains(&flags), "{args}");
    }
    world.serves(&first.name);

    publish(&mut world, OutputKind::Adapter, "2");
    let plan = step(&mut world, follower(json!({})), 1);
    let second = known(&plan).clone();
    assert_ne!(second.name, first.name);
    world.serves(&second.name);

    // The base moves on: what was trained before stays beside what it was trained on.
    let mut moved = job(Some((OutputKind::Adapter, "2")));
    moved.base = Some(Ok(base("models/base:2")));
    world.observed.followed.insert("tone".into(), moved);
    let plan = step(&mut world, follower(json!({})), 2);
    assert_eq!(known(&plan).source, second.source);

    // Everything of the job is gone: what serves goes on, and an earlier version can be named.
    world.observed.followed.clear();
    let plan = step(&mut world, follower(json!({"replicas": 2})), 3);
    let Target::Preparing(Some(trouble)) = &plan.target else {
        panic!("{:?}", plan.target)
    };
    // It is waited for, which is no fault.
    assert_eq!(trouble.reason, reasons::WAITING_FOR_FINE_TUNE_JOB);
    let deleted = "FineTuneJob tone that spec.source.fineTuneJob names was deleted";
    assert!(trouble.message.starts_with(deleted), "{}", trouble.message);
    assert!(
        trouble.message.contains(&format!("version {} serves on", second.name)),
        "{}",
        trouble.message
    );
    let replicas = plan.children[0].deployment.spec.as_ref().unwrap().replicas;
    assert_eq!((plan.children.len(), replicas), (1, Some(2)));
    assert!(plan.children[0].deployment.name_any().ends_with(&second.name));
    let plan = step(&mut world, follower(json!({"version": first.name})), 4);
    assert_eq!(known(&plan), &first);
}

#[rstest]
#[case::job("tone", reasons::WAITING_FOR_FINE_TUNE_JOB)]
#[case::run_of_it("tone-202601010300", reasons::WAITING_FOR_FINE_TUNE_JOB)]
#[case::trial_of_it("tone-t7", reasons::WAITING_FOR_FINE_TUNE_JOB)]
#[case::another("tones", reasons::REFERENCE_NOT_FOUND)]
#[case::one_more("tone-polish", reasons::REFERENCE_NOT_FOUND)]
fn a_job_that_is_gone_is_no_fault_while_its_output_serves(#[case] name: &str, #[case] reason: &str) {
    let mut world = World::default();
    publish(&mut world, OutputKind::Adapter, "1");
    let plan = step(&mut world, follower(json!({})), 0);
    world.serves(&known(&plan).name.clone());
    world.observed.followed.clear();
    let plan = step(&mut world, json!({"source": {"fineTuneJob": {"name": name}}}), 1);
    let (Target::Preparing(Some(trouble)) | Target::Refused(trouble)) = &plan.target else {
        panic!("{:?}", plan.target)
    };
    assert_eq!(trouble.reason, reason, "{}", trouble.message);
    assert_eq!((plan.children.len(), plan.delete.len()), (1, 0));
    // When it is there again, what it publishes is followed.
    publish(&mut world, OutputKind::Adapter, "2");
    let plan = step(&mut world, follower(json!({})), 2);
    assert_eq!(known(&plan).tuned.as_ref().unwrap().digest, sha256("2"));
}

#[test]
fn an_adapter_goes_through_the_gates() {
    let gates = json!({"rollout": {"gates": {"evaluation": {"suites": [{"name": "facts"}]}}}});
    let mut world = World::default();
    publish(&mut world, OutputKind::Adapter, "1");
    let plan = step(&mut world, follower(gates.clone()), 0);
    assert!(matches!(plan.target, Target::Evaluating(..)), "{:?}", plan.target);
    let pod = json!(plan.jobs[0])["spec"]["template"]["spec"].clone();
    let container = &pod["containers"][0];
    assert!(container["args"].to_string().contains("--tuned-digest"), "{container}");
    let mounts = container["volumeMounts"].as_array().unwrap();
    let tuned = mounts.iter().find(|it| it["name"] == "tuned").unwrap();
    assert_eq!(
        (&tuned["readOnly"], &tuned["mountPath"]),
        (&json!(true), &json!("/tuned"))
    );
    let first = plan.jobs[0].name_any();
    publish(&mut world, OutputKind::Adapter, "2");
    let plan = step(&mut world, follower(gates), 1);
    assert_ne!(plan.jobs[0].name_any(), first, "each output is judged for itself");
}

#[rstest]
#[case::waiting(Some(job(None)), json!({}), reasons::WAITING_FOR_FINE_TUNE_JOB, "tone has published nothing yet: it is in phase Training")]
#[case::failed(
    Some(Job { phase: Some(Phase::Failed), failure: Some("no memory".into()), ..job(None) }),
    json!({}),
    reasons::WAITING_FOR_FINE_TUNE_JOB,
    "phase Failed and has published nothing: no memory"
)]
#[case::missing(None, json!({}), reasons::REFERENCE_NOT_FOUND, "FineTuneJob tone that spec.source.fineTuneJob names does not exist")]
#[case::another_engine(
    Some(job(Some((OutputKind::Adapter, "1")))),
    json!({"engine": {"openAICompatible": {"image": "vllm:1"}}}),
    reasons::OUTPUT_UNUSABLE,
    "spec.engine.openAICompatible serves complete weights only"
)]
#[case::other_shapes(
    Some(job(Some((OutputKind::Adapter, "1")))),
    json!({"compress": {"pruning": {"method": "Structured", "sparsity": "20%"}}}),
    reasons::OUTPUT_UNUSABLE,
    "changes the shapes"
)]
#[case::no_base(
    Some(Job { base: None, ..job(Some((OutputKind::Adapter, "1"))) }),
    json!({}),
    reasons::OUTPUT_UNUSABLE,
    "names no base"
)]
#[case::no_digest(Some(job(Some((OutputKind::Weights, "/.")))), json!({}), reasons::OUTPUT_UNUSABLE, "that is no digest")]
fn what_is_missing_is_said(
    #[case] found: Option<Job>,
    #[case] more: Value,
    #[case] reason: &str,
    #[case] message: &str,
) {
    let mut world = World::default();
    world
        .observed
        .followed
        .extend(found.map(|job| ("tone".to_owned(), job)));
    let plan = step(&mut world, follower(more), 0);
    let trouble = match &plan.target {
        Target::Preparing(Some(trouble)) if reason == reasons::WAITING_FOR_FINE_TUNE_JOB => trouble,
        Target::Refused(trouble) => trouble,
        other => panic!("{other:?}"),
    };
    assert_eq!(trouble.reason, reason);
    assert!(trouble.message.contains(message), "{}", trouble.message);
    assert!(plan.jobs.is_empty() && plan.children.is_empty() && plan.delete.is_empty());
}

#[test]
fn one_adapter_beside_another_is_refused() {
    let mut world = World::default();
    let mut found = job(Some((OutputKind::Adapter, "1")));
    publish(&mut world, OutputKind::Adapter, "2");
    let plan = step(&mut world, follower(json!({})), 0);
    found.base = Some(Ok(known(&plan).clone()));
    let mut world = World::default();
    world.observed.followed.insert("tone".into(), found);
    let plan = step(&mut world, follower(json!({})), 0);
    let Target::Refused(trouble) = plan.target else {
        panic!("{:?}", plan.target)
    };
    assert!(
        trouble.message.contains("one adapter beside another"),
        "{}",
        trouble.message
    );
}

#[test]
fn compressed_weights_of_the_base_are_made_once_for_all_outputs() {
    let compress = json!({"compress": {"quantization": "Int4"}});
    let mut world = World::default();
    publish(&mut world, OutputKind::Adapter, "1");
    let plan = step(&mut world, follower(compress.clone()), 0);
    assert_eq!((plan.jobs.len(), plan.claims.len()), (1, 1));
    world.prepared(&PrepareOutcome::Ready(testing::compressed_report()));
    let plan = step(&mut world, follower(compress.clone()), 1);
    let first = known(&plan).clone();
    assert_eq!(first.base_digest(), report().digest);
    world.serves(&first.name);
    publish(&mut world, OutputKind::Adapter, "2");
    let plan = step(&mut world, follower(compress), 2);
    assert_ne!(known(&plan).name, first.name);
    assert!(plan.jobs.is_empty(), "{:?}", plan.jobs);
}

#[test]
fn outputs_come_into_pods_that_run() {
    let spec = || json!({"adapters": [{"name": "a", "source": {"fineTuneJob": {"name": "tone"}}}]});
    let (mut world, version) = World::rolled_out(json!({}));
    world.observed.followed.insert("tone".into(), job(None));
    step(&mut world, spec(), 1);
    assert!(world.observed.config_maps.is_empty() || list(&world).is_empty());
    let trouble = missed(&testing::model(spec()).spec, "a", &world.observed.followed).unwrap();
    assert_eq!(trouble.reason, reasons::WAITING_FOR_FINE_TUNE_JOB);

    publish(&mut world, OutputKind::Adapter, "1");
    let plan = step(&mut world, spec(), 2);
    assert_eq!(known(&plan).name, version);
    assert_eq!(list(&world), [("a".to_owned(), "1".repeat(64))]);
    let template = |world: &World| world.observed.deployments[0].spec.clone().unwrap().template;
    let before = template(&world);
    let pod = json!(before)["spec"].clone();
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let mount = mounts
        .iter()
        .find(|it| it["mountPath"] == "/adapters/mounts/a")
        .unwrap();
    assert_eq!(
        (&mount["subPath"], &mount["readOnly"]),
        (&json!("outputs"), &json!(true))
    );

    let volumes = pod["volumes"].as_array().unwrap();
    let volume = volumes.iter().find(|it| it["name"] == mount["name"]).unwrap();
    assert_eq!(volume["persistentVolumeClaim"]["claimName"], "tone-tune");

    publish(&mut world, OutputKind::Adapter, "2");
    step(&mut world, spec(), 3);
    assert_eq!(list(&world), [("a".to_owned(), "2".repeat(64))]);
    assert_eq!(template(&world), before);

    // What pods have they keep.
    world.observed.followed.clear();
    step(&mut world, spec(), 4);
    assert_eq!(list(&world), [("a".to_owned(), "2".repeat(64))]);
    assert_eq!(template(&world), before);

    publish(&mut world, OutputKind::Weights, "3");
    let trouble = missed(&testing::model(spec()).spec, "a", &world.observed.followed).unwrap();
    assert_eq!(trouble.reason, reasons::OUTPUT_UNUSABLE);
}

#[test]
fn a_claim_is_one_volume_of_a_pod() {
    let adapter = |name: &str| json!({"name": name, "source": {"fineTuneJob": {"name": "tone"}}});
    let (mut world, _) = World::rolled_out(json!({}));
    publish(&mut world, OutputKind::Adapter, "1");
    step(&mut world, json!({"adapters": [adapter("a"), adapter("b")]}), 1);
    let pod = json!(world.observed.deployments[0])["spec"]["template"]["spec"].clone();
    let of = |list: &Value, key: &str| {
        let names = list.as_array().unwrap().iter().filter_map(|it| it[key].as_str());
        names.filter(|name| *name == "outputs-tone").count()
    };
    let mounts = &pod["containers"][0]["volumeMounts"];
    assert_eq!((of(&pod["volumes"], "name"), of(mounts, "name")), (1, 2));
}

fn list(world: &World) -> Vec<(String, String)> {
    let lists = world.observed.config_maps.iter().filter_map(build::adapters_of);
    let adapters = lists.flat_map(|list| list.adapters);
    let path = |source: Value| source["mounted"]["path"].as_str().unwrap().to_owned();
    let row = |it: protocol::WantedAdapter| {
        let path = path(json!(it.source));
        // Pods compare what they load with it.
        assert_eq!(it.output, Some(format!("sha256:{path}")));
        (it.name, path)
    };
    adapters.map(row).collect()
}

#[test]
fn outputs_are_told_from_other_files_on_volumes() {
    let on = |claim: &str, path: &str| -> Source {
        serde_json::from_value(json!({"persistentVolumeClaim": {"claimName": claim, "path": path}})).unwrap()
    };
    let output = format!("outputs/{}", "a".repeat(64));
    assert!(crate::controllers::llmmodel::follow::is_output(&on(
        "tone-tune",
        &output
    )));
    for other in [on("tone-tune", "m.gguf"), on("weights", &output)] {
        assert!(!crate::controllers::llmmodel::follow::is_output(&other));
    }
}
