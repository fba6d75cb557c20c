use serde_json::json;

use super::*;
use crate::controllers::llmmodel::testing::{compressed_report, compression_report, report, wanted};

#[test]
fn the_name_follows_from_what_changes_answers() {
    let base = Version::new(&wanted(json!({})), report());
    assert_eq!(base.name.len(), 12);
    for (spec, same) in [
        (json!({"replicas": 3}), true),
        (json!({"resources": {"memory": "4Gi"}}), true),
        (json!({"source": {"oci": {"image": "moved:1"}}}), true),
        (json!({"engine": {"atelier": {"contextLength": 4096}}}), true),
        (json!({"engine": {"atelier": {"contextLength": 512}}}), false),
        (json!({"engine": {"atelier": {"prefixCache": {"enabled": true}}}}), true),
        (
            json!({"engine": {"atelier": {"prefixCache": {"enabled": false}}}}),
            false,
        ),
        (json!({"prompt": {"system": "Be brief."}}), false),
        (json!({"engine": {"openAICompatible": {"image": "vllm:1"}}}), false),
        (
            json!({"resources": {"accelerator": {"resourceName": "nvidia.com/gpu"}}}),
            true,
        ),
        (json!({"prompt": {"templateOverride": "{{ x }}"}}), false),
    ] {
        let other = Version::new(&wanted(spec.clone()), report());
        assert_eq!(other.name == base.name, same, "{spec}");
    }
    let mut changed = report();
    changed.digest = format!("sha256:{}", "1".repeat(64));
    assert_ne!(Version::new(&wanted(json!({})), changed).name, base.name);
}

#[test]
fn compression_and_its_limit_belong_to_the_name() {
    let named = |spec| Version::new(&wanted(json!({"compress": spec})), compressed_report()).name;
    let base = named(json!({"quantization": "Int4"}));
    assert_eq!(base, named(json!({"quantization": "Int4", "method": "GPTQ"})));
    for other in [
        json!({"quantization": "Int4", "method": "RTN"}),
        json!({"quantization": "Int4", "groupSize": 64}),
        json!({"quantization": "Int4", "maxPerplexityIncrease": "1%"}),
    ] {
        assert_ne!(base, named(other));
    }
    assert_ne!(base, Version::new(&wanted(json!({})), compressed_report()).name);
}

#[test]
fn the_adapter_of_a_training_belongs_to_the_name() {
    let named = |digest: Option<&str>, claim: &str| {
        let mut wanted = wanted(json!({}));
        wanted.tuned = digest.map(|digest| tuned(digest, claim));
        Version::new(&wanted, report()).name
    };
    assert_eq!(named(Some("sha256:1"), "a-tune"), named(Some("sha256:1"), "b-tune"));
    assert_ne!(named(Some("sha256:1"), "a-tune"), named(Some("sha256:2"), "a-tune"));
    assert_ne!(named(Some("sha256:1"), "a-tune"), named(None, ""));
    assert_eq!(named(None, ""), Version::new(&wanted(json!({})), report()).name);
}

fn tuned(digest: &str, claim: &str) -> Tuned {
    Tuned {
        digest: digest.into(),
        place: TunedPlace {
            claim: claim.into(),
            path: "outputs/1".into(),
        },
    }
}

#[test]
fn a_revision_keeps_everything() {
    let mut follower = wanted(json!({}));
    follower.tuned = Some(tuned("sha256:1", "a-tune"));
    let compress = wanted(json!({"compress": {"quantization": "Int4", "maxPerplexityIncrease": "0.1%"}}));
    for version in [
        Version::new(&wanted(json!({})), report()),
        Version::new(&compress, compressed_report()),
        Version::new(
            &wanted(json!({"engine": {"openAICompatible": {"image": "vllm:1"}}})),
            report(),
        ),
        Version::rejected(&compress, report(), compression_report()),
        Version::new(&follower, report()),
    ] {
        let revision = json!({
            "metadata": {"name": "m", "labels": {LABEL_VERSION: version.name}, "annotations": {ANNOTATION_SOURCE: version.place()}},
            "data": version.data(),
            "revision": 1,
        });
        let revision = serde_json::from_value(revision).unwrap();
        assert_eq!(Version::from_revision(&revision), Some(version));
    }
}

#[test]
fn all_of_another_engine_belongs_to_the_name() {
    let named = |engine| Version::new(&wanted(json!({"engine": {"openAICompatible": engine}})), report()).name;
    let base = named(json!({"image": "vllm:1"}));
    assert_eq!(
        base,
        named(json!({"image": "vllm:1", "port": 8000, "healthPath": "/health"}))
    );
    for other in [
        json!({"image": "vllm:2"}),
        json!({"image": "vllm:1", "args": ["--model=$(MODEL_PATH)"]}),
        json!({"image": "vllm:1", "port": 8001}),
        json!({"image": "vllm:1", "healthPath": "/healthz"}),
    ] {
        assert_ne!(base, named(other));
    }
}

#[test]
fn encoders_take_no_memory_for_what_they_do_not_cache() {
    let mut encoder = report();
    encoder.model.architecture = "bert".into();
    let version = Version::new(&wanted(json!({"task": "Embed"})), encoder);
    assert_eq!(
        (version.served.dtype.as_str(), version.estimate().kv_per_token),
        ("fp32", 0)
    );
    assert_eq!(version.estimate().weights, 4 * report().model.parameters);
}

#[test]
fn what_earlier_releases_did_not_know_changes_no_snapshot() {
    let mut before = report();
    before.model.packed_bytes = None;
    let [before, now] = [before, report()].map(|report| Version::new(&wanted(json!({})), report));
    assert_eq!((&before.name, before.data()), (&now.name, now.data()));
    // As earlier releases have named it.
    assert_eq!(now.name, "v-87c1e783a5");
    assert!(now.data().get("tuned").is_none() && !now.place().contains("tuned"));
    assert!(before.estimate().weights > now.estimate().weights);
}

#[test]
fn a_short_model_gets_its_own_context() {
    let mut short = report();
    short.model.context_length = 1024;
    assert_eq!(Version::new(&wanted(json!({})), short).served.context_length, 1024);
    assert_eq!(Version::new(&wanted(json!({})), report()).served.context_length, 4096);
}
