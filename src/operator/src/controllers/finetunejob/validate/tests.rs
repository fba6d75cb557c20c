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
#[case(json!({"sweep": {"maxTrials": 2, "metric": "manners", "space": [{"name": "lora.r", "values": ["4"]}]}}), "spec.sweep.metric manners")]
#[case(json!({"sweep": {"maxTrials": 2, "space": [{"name": "lora.r", "values": ["4"]}]}, "dataset": unmeasured()}), "spec.sweep.metric evalLoss")]
#[case(json!({"sweep": {"maxTrials": 2, "algorithm": "ASHA", "metric": "manners", "space": [{"name": "lora.r", "values": ["4"]}]}, "evaluate": {"suites": [{"name": "manners"}]}}), "spec.sweep.stopPoor")]
#[case(json!({"evaluate": {"earlyStopping": {"patience": 2}}, "dataset": unmeasured()}), "earlyStopping")]
#[case(json!({"evaluate": {"gate": {"maxRegression": "1%"}}, "dataset": unmeasured()}), "spec.evaluate.gate")]
#[case(json!({"dataset": {"sources": [{"name": "a", "oci": {"image": "x"}}], "format": "Chat", "template": "\"".repeat(60000)}}), "spec.dataset.template")]
#[case(json!({"dataset": {"sources": (0..9).map(query).collect::<Vec<_>>(), "format": "Chat"}}), "spec.dataset has")]
fn nonsense_is_named(#[case] spec: Value, #[case] words: &str) {
    let trouble = trouble(spec);
    assert_eq!(trouble.reason, reasons::INVALID_SPEC);
    assert!(trouble.message.contains(words), "{}", trouble.message);
}

#[test]
fn suites_have_limits() {
    let suites = json!([{"name": "facts", "minScore": "0.5"}, {"name": "arithmetic", "maxRegression": "0.1"}, {"name": "manners"}]);
    let limits = wanted(json!({"evaluate": {"suites": suites, "gate": {}}})).limits;
    assert_eq!(limits.keys().collect::<Vec<_>>(), ["arithmetic", "facts"]);
    assert_eq!(
        (limits["facts"].min_score, limits["arithmetic"].max_regression),
        (Some(0.5), Some(0.1))
    );
}

/// Data of which nothing is held back.
fn unmeasured() -> Value {
    json!({
        "sources": [{"name": "a", "oci": {"image": "x"}}], "format": "Chat",
        "split": {"validation": "0%", "test": "0%", "seed": 1},
    })
}

fn query(number: usize) -> Value {
    let secret = json!({"name": "db", "key": "url"});
    json!({"name": format!("a{number}"), "sql": {"connectionSecretRef": secret, "query": "x".repeat(16000)}})
}

#[rstest]
#[case(json!({"evaluate": {"gate": {"maxRegression": "1%"}, "suites": [{"name": "manners"}]}, "dataset": unmeasured()}))]
#[case(json!({"sweep": {"maxTrials": 2, "algorithm": "ASHA", "stopPoor": false, "metric": "manners",
    "space": [{"name": "lora.r", "values": ["4"]}]}, "evaluate": {"suites": [{"name": "manners"}]}}))]
#[case(json!({"dataset": {"sources": (0..6).map(query).collect::<Vec<_>>(), "format": "Chat", "template": "x".repeat(65536)}}))]
fn what_can_be_measured_is_taken(#[case] spec: Value) {
    wanted(spec);
}

#[rstest]
#[case(json!({"resources": {"memory": "3Gi"}}))]
#[case(json!({"placement": {"zones": ["a"]}}))]
#[case(json!({"queueName": "night"}))]
#[case(json!({"podOverrides": {"env": [{"name": "A", "value": "b"}]}}))]
#[case(json!({"dataset": {"sources": [{"name": "chats", "oci": {"image": "data/chats:1", "pullSecrets": [{"name": "r"}]}}], "format": "Chat"}}))]
fn what_may_keep_pods_from_starting_changes_their_shape(#[case] spec: Value) {
    let (plain, other) = (wanted(json!({})), wanted(spec));
    assert_eq!(plain.key, other.key);
    assert_ne!(plain.shape, other.shape);
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
