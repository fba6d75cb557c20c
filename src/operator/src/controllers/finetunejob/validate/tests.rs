use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::controllers::{
    finetunejob::testing::{job, wanted},
    llmmodel::testing::settings,
};

fn trouble(spec: Value) -> Trouble {
    validate(&job(spec), &settings()).unwrap_err()
}

#[test]
fn defaults_are_those_of_the_method() {
    let lora = wanted(json!({})).hyperparameters;
    assert_eq!((lora.learning_rate, lora.dropout, lora.epochs), (2e-4, 0.05, 3));
    let settings = lora.lora.unwrap();
    assert_eq!((settings.r, settings.alpha), (16, 32.0));
    assert_eq!(lora.warmup, tune::Warmup::Share(0.03));
    let full = wanted(json!({"method": "Full"})).hyperparameters;
    assert_eq!((full.learning_rate, full.dropout), (2e-5, 0.0));
    assert_eq!(full.lora, None);
    let prefix = wanted(json!({"method": "Prefix"})).hyperparameters;
    assert_eq!(prefix.virtual_tokens, Some(20));
    let all = wanted(json!({}));
    assert_eq!((all.split.validation, all.members), (0.05, 1));
    assert_eq!(all.checkpoint.every_seconds, Some(600));
    assert_eq!(
        wanted(json!({"method": "Adapter"}))
            .hyperparameters
            .adapter
            .unwrap()
            .bottleneck,
        64
    );
}

#[rstest]
#[case(json!({"hyperparameters": {"steps": 5, "warmup": "2", "optimizer": "Lion"}}))]
#[case(json!({"evaluate": {"gate": {"against": "Current", "maxRegression": "5%"}}}))]
#[case(json!({"dataset": {"sources": [{"name": "a", "pvc": {"claimName": "c"}}], "format": "Chat"}}))]
#[case(json!({"parallelism": {"data": 2}}))]
fn what_changes_the_result_changes_the_key(#[case] spec: Value) {
    assert_ne!(wanted(json!({})).key, wanted(spec).key);
}

#[rstest]
#[case(json!({"suspend": true, "retries": 9, "queueName": "q"}))]
#[case(json!({"resources": {"cpu": "2", "memory": "3Gi"}}))]
#[case(json!({"checkpoint": {"everySteps": 10}}))]
#[case(json!({"ttlSecondsAfterFinished": 5, "storage": {"size": "20Gi"}}))]
fn how_it_runs_does_not(#[case] spec: Value) {
    assert_eq!(wanted(json!({})).key, wanted(spec).key);
}

#[test]
fn a_gate_is_no_part_of_a_saved_state() {
    let gated = wanted(json!({"evaluate": {"gate": {"maxRegression": "5%"}}}));
    let strict = wanted(json!({"evaluate": {"gate": {"maxRegression": "1%"}}}));
    assert_ne!(gated.key, strict.key);
    assert_eq!(gated.state, strict.state);
    let other = wanted(json!({"hyperparameters": {"seed": 7}, "evaluate": {"gate": {"maxRegression": "1%"}}}));
    assert_ne!(other.state, strict.state);
}

#[rstest]
#[case(json!({"resources": {"accelerator": {"resourceName": "nvidia.com/gpu"}}}), "spec.resources.accelerator")]
#[case(json!({"placement": {"nodeCache": true}}), "spec.placement.nodeCache")]
#[case(
    json!({"dataset": {"sources": [{"name": "a", "oci": {"image": "x:1", "type": "Artifact"}}], "format": "Chat"}}),
    "sources[a].oci.type Artifact"
)]
#[case(
    json!({"evaluate": {"suites": [{"name": "q", "source": {"http": {"url": "http://x/q", "sha256": "a1".repeat(32)}}}]}}),
    "suites[q].source"
)]
fn what_is_not_there_is_refused_by_name(#[case] spec: Value, #[case] field: &str) {
    let trouble = trouble(spec);
    assert_eq!(trouble.reason, reasons::NOT_SUPPORTED);
    assert!(trouble.message.contains(field), "{}", trouble.message);
}

#[rstest]
#[case(json!({"dataset": {"sources": [{"name": "a", "oci": {"image": "x"}}], "format": "Chat", "split": {"validation": "60%", "test": "40%", "seed": 1}}}), "nothing to learn from")]
#[case(json!({"hyperparameters": {"sequenceLength": 512, "batchTokens": 256}}), "sequenceLength 512")]
#[case(json!({"hyperparameters": {"learningRate": "0"}}), "learningRate must be greater")]
#[case(json!({"schedule": {"cron": "61 * * * *"}}), "schedule.cron")]
#[case(json!({"schedule": {"cron": "@daily", "timeZone": "Mars/Olympus"}}), "timeZone")]
#[case(json!({"sweep": {"maxTrials": 2, "space": [{"name": "speed", "values": ["1"]}]}}), "sweep.space[speed]")]
#[case(json!({"sweep": {"maxTrials": 2, "space": [{"name": "lora.r", "values": ["many"]}]}}), "lora.r")]
#[case(json!({"sweep": {"maxTrials": 2, "space": [{"name": "learningRate", "min": "1", "max": "0.1"}]}}), "greater than max")]
fn nonsense_is_named(#[case] spec: Value, #[case] words: &str) {
    let trouble = trouble(spec);
    assert_eq!(trouble.reason, reasons::INVALID_SPEC);
    assert!(trouble.message.contains(words), "{}", trouble.message);
}

#[test]
fn names_of_children_must_fit() {
    let named = |length: usize, spec| {
        let mut job = job(spec);
        job.metadata.name = Some("a".repeat(length));
        validate(&job, &settings()).map(|_| ())
    };
    let schedule = || json!({"schedule": {"cron": "@daily"}});
    assert_eq!(named(27, schedule()), Ok(()));
    assert!(named(28, schedule()).unwrap_err().message.contains("27 characters"));
    assert_eq!(named(40, json!({})), Ok(()));
}

#[test]
fn a_model_from_scratch_has_the_usual_width() {
    let shape =
        json!({"layers": 4, "hiddenSize": 256, "heads": 4, "contextLength": 256, "tokenizer": {"name": "small"}});
    let shape = architecture(&serde_json::from_value(shape).unwrap());
    assert_eq!((shape.feed_forward_size, shape.kv_heads), (704, 4));
}
