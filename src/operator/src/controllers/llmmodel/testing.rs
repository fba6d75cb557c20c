//! Objects that the tests share.

use api::{LlmModel, llmmodel::ImagePullPolicy};
use protocol::{CompressionReport, ModelFacts, PrepareReport};
use serde_json::{Value, json};

use super::validate::{Owner, Settings, Storage, Wanted, owner, validate};

/// A model whose spec has these fields; without a source it is an image's.
pub fn model(mut spec: Value) -> LlmModel {
    if spec.get("source").is_none() {
        spec["source"] = json!({"oci": {"image": "models/small:1"}});
    }
    serde_json::from_value(json!({
        "apiVersion": "atelier.dev/v1alpha1",
        "kind": "LlmModel",
        "metadata": {"name": "m", "namespace": "ns", "uid": "model-uid", "generation": 1},
        "spec": spec,
    }))
    .unwrap()
}

/// The validated form of [`model`].
pub fn wanted(spec: Value) -> Wanted {
    validate(&model(spec)).unwrap()
}

/// The owner of children of [`model`].
pub fn the_owner() -> Owner {
    owner(&model(json!({}))).unwrap()
}

/// An installation.
pub fn settings() -> Settings {
    Settings {
        worker_image: "atelier/worker:1".into(),
        worker_pull_policy: ImagePullPolicy::IfNotPresent,
        data_image: Some("atelier/data:1".into()),
        gateway_namespace: "atelier-system".into(),
        storage: Storage::default(),
        node_cache: None,
        otlp_endpoint: None,
    }
}

/// What the prepare step says of SmolLM2-135M.
pub fn report() -> PrepareReport {
    PrepareReport {
        digest: format!("sha256:{}", "b1".repeat(32)),
        bytes: 98_362_432,
        file: "model.gguf".into(),
        revision: None,
        model: ModelFacts {
            format: "gguf".into(),
            architecture: "llama".into(),
            quantization: "Q4_1".into(),
            parameters: 134_515_008,
            packed_bytes: Some(98_275_968),
            layers: 30,
            hidden_size: 576,
            feed_forward_size: 1536,
            heads: 9,
            kv_heads: 3,
            head_dim: 64,
            context_length: 8192,
            vocabulary_size: 49152,
        },
        compression: None,
    }
}

/// What the prepare step says of SmolLM2-135M in four bits.
pub fn compressed_report() -> PrepareReport {
    let digits = "c4".repeat(32);
    PrepareReport {
        digest: format!("sha256:{digits}"),
        bytes: 98_000_000,
        file: format!("sha256-{digits}/model.gguf"),
        compression: Some(compression_report()),
        ..report()
    }
}

/// What compression to four bits did.
pub fn compression_report() -> CompressionReport {
    CompressionReport {
        source_digest: report().digest,
        source_bytes: report().bytes,
        quantization: "Int4".into(),
        method: Some("GPTQ".into()),
        pruning: None,
        structure: None,
        sparsity: None,
        perplexity_before: "4.7580".into(),
        perplexity_after: "4.8679".into(),
        increase: "2.31%".into(),
        limit: Some("5%".into()),
    }
}
