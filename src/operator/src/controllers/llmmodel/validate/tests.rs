use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::controllers::llmmodel::testing::model;

#[rstest]
#[case::calibration(
    json!({"compress": {"quantization": "Int4", "calibration": {"source": {"objectStore": {"uri": "s3://b/k"}}}}}),
    "spec.compress.calibration.source.objectStore"
)]
#[case::calibration_path(
    json!({"compress": {"quantization": "Int4", "calibration": {"source": {"oci": {"image": "x"}}}}}),
    "spec.compress.calibration.source.oci without path"
)]
#[case::encoder(
    json!({"task": "Embed", "compress": {"quantization": "Int4"}}),
    "spec.compress with spec.task Embed"
)]
#[case::prompt(json!({"task": "Rerank", "prompt": {"system": "x"}}), "spec.prompt with spec.task Rerank")]
#[case::adapter_of_encoder(
    json!({"task": "Embed", "adapters": [{"name": "a", "source": {"oci": {"image": "x"}}}]}),
    "spec.adapters with spec.task Embed"
)]
#[case::foreign_adapter(
    json!({"engine": {"openAICompatible": {"image": "vllm"}}, "adapters": [{"name": "a", "source": {"oci": {"image": "x"}}}]}),
    "spec.adapters with spec.engine.openAICompatible"
)]
#[case::adapter_of_one_file(
    json!({"adapters": [{"name": "a", "source": {"http": {"url": "http://h/a", "sha256": "0"}}}]}),
    "spec.adapters[a].source.http (an adapter is two files"
)]
#[case::adapter_file(
    json!({"adapters": [{"name": "a", "source": {"objectStore": {"uri": "file:///a"}}}]}),
    "use spec.adapters[a].source.persistentVolumeClaim"
)]
#[case::trained_encoder(
    json!({"task": "Embed", "source": {"fineTuneJob": {"name": "j"}}}),
    "spec.source.fineTuneJob with spec.task Embed"
)]
#[case::source(json!({"source": {"objectStore": {"uri": "file:///m.gguf"}}}), "use spec.source.persistentVolumeClaim")]
#[case::shadow(json!({"rollout": {"strategy": "Canary", "canary": {"steps": [{"weight": 5, "gate": "Shadow"}]}}}), "gate Shadow")]
#[case::no_room_to_shadow(
    json!({"rollout": {"strategy": "Recreate", "gates": {"shadow": {"template": "t"}}}}),
    "spec.rollout.gates.shadow with spec.rollout.strategy Recreate"
)]
#[case::shadow_of_encoder(
    json!({"task": "Embed", "rollout": {"gates": {"shadow": {"template": "t"}}}}),
    "spec.rollout.gates.shadow with spec.task Embed"
)]
#[case::slo(json!({"monitoring": {"slo": {"errorRate": "1%"}}}), "spec.monitoring.slo without spec.rollout.strategy Canary")]
#[case::drift(json!({"monitoring": {"drift": {"window": "1h"}}}), "spec.monitoring.drift")]
#[case::accelerator(
    json!({"resources": {"accelerator": {"resourceName": "amd.com/gpu"}}}),
    "spec.resources.accelerator amd.com/gpu without spec.engine.openAICompatible"
)]
#[case::device_class(
    json!({"resources": {"accelerator": {"deviceClassName": "large"}}}),
    "spec.resources.accelerator large without spec.engine.openAICompatible"
)]
#[case::several(
    json!({"resources": {"accelerator": {"resourceName": "nvidia.com/gpu", "count": 2}}}),
    "spec.resources.accelerator.count above 1 without spec.engine.openAICompatible"
)]
#[case::split(
    json!({"resources": {"tensorParallel": 2}}),
    "spec.resources.tensorParallel above 1 without spec.engine.openAICompatible"
)]
#[case::accelerated_encoder(
    json!({"task": "Embed", "resources": {"accelerator": {"resourceName": "nvidia.com/gpu"}}}),
    "spec.resources.accelerator with spec.task Embed"
)]
#[case::foreign_prompt(
    json!({"engine": {"openAICompatible": {"image": "vllm"}}, "prompt": {"system": "x"}}),
    "spec.prompt.system with spec.engine.openAICompatible"
)]
#[case::foreign_template(
    json!({"engine": {"openAICompatible": {"image": "vllm"}}, "prompt": {"templateOverride": "x"}}),
    "spec.prompt.templateOverride with spec.engine.openAICompatible"
)]
#[case::foreign_evaluation(
    json!({
        "engine": {"openAICompatible": {"image": "vllm"}},
        "rollout": {"gates": {"evaluation": {"suites": [{"name": "arithmetic"}]}}},
    }),
    "spec.rollout.gates.evaluation with spec.engine.openAICompatible"
)]
#[case::prefix_cache_memory(
    json!({"engine": {"atelier": {"prefixCache": {"enabled": true, "maxMemory": "1Gi"}}}}),
    "spec.engine.atelier.prefixCache.maxMemory"
)]
#[case::prefix_cache_of_encoder(
    json!({"task": "Embed", "engine": {"atelier": {"prefixCache": {"enabled": true}}}}),
    "spec.engine.atelier.prefixCache with spec.task Embed"
)]
#[case::unchunked(
    json!({"engine": {"atelier": {"chunkedPrefill": false}}}),
    "spec.engine.atelier.chunkedPrefill false"
)]
#[case::speculative(json!({"engine": {"atelier": {"speculative": {"promptLookup": 2}}}}), "spec.engine.atelier.speculative")]
fn what_this_release_does_not_do_is_refused_by_field(#[case] spec: Value, #[case] field: &str) {
    let trouble = validate(&model(spec)).unwrap_err();
    assert_eq!(trouble.reason, reasons::NOT_SUPPORTED);
    assert!(trouble.message.contains(field), "{}", trouble.message);
}

#[test]
fn other_engines_may_do_what_ours_may_not() {
    let wanted = validate(&model(json!({
        "task": "Embed",
        "engine": {"openAICompatible": {"image": "vllm"}},
        "resources": {"accelerator": {"resourceName": "amd.com/gpu", "count": 4}, "tensorParallel": 4},
    })))
    .unwrap();
    assert_eq!((wanted.foreign.unwrap().port, wanted.tensor_parallel), (8000, 4));
    assert_eq!(wanted.accelerator.unwrap().count, 4);
}

#[test]
fn every_fault_is_told_at_once() {
    let guardrails = json!({"input": [{"name": "kind", "detector": "Toxicity"}]});
    let limits = json!({"maxTokens": 5});
    let spec = json!({"task": "Embed", "guardrails": guardrails, "limits": limits, "monitoring": {"drift": {}}});
    let message = validate(&model(spec)).unwrap_err().message;
    for field in [
        "spec.guardrails",
        "spec.limits.maxTokens with spec.task Embed",
        "spec.monitoring.drift",
    ] {
        assert!(message.contains(field), "{message}");
    }
}

#[test]
fn defaults_are_filled_in() {
    let wanted = validate(&model(json!({}))).unwrap();
    assert_eq!((wanted.cpu.as_str(), wanted.memory, wanted.replicas), ("1", None, 1));
    assert_eq!(wanted.engine.max_batch_tokens, 512);
    assert!(wanted.placement.spread_over_zones);
    assert_eq!(wanted.history_limit, 10);
}

#[test]
fn the_prefix_cache_is_used_unless_it_is_switched_off() {
    let uses = |engine: Value| {
        validate(&model(json!({"engine": {"atelier": engine}})))
            .unwrap()
            .engine
            .prefix_cache
    };
    assert!(uses(json!({})) && uses(json!({"prefixCache": {"enabled": true}, "chunkedPrefill": true})));
    assert!(!uses(json!({"prefixCache": {"enabled": false}})));
}

#[test]
fn settings_that_ask_for_nothing_are_fine() {
    let spec = json!({"compress": {"quantization": "None"}, "rollout": {"strategy": "RollingUpdate"}, "adapters": []});
    assert_eq!(validate(&model(spec)).unwrap().compress, None);
}
