//! The reports that `atelier-worker prepare` would leave: facts of one small model, digests from the names of
//! what was read.

use k8s_openapi::api::core::v1::Pod;
use protocol::{CompressionReport, ModelFacts, PrepareFailure, PrepareOutcome, PrepareReport, report::reasons};
use sha2::{Digest as _, Sha256};

/// Size of the model in bytes.
const BYTES: u64 = 98_362_432;

/// What a pod that prepares finds.
pub fn of(pod: &Pod) -> PrepareOutcome {
    let arguments = arguments(pod);
    let source = image(pod).unwrap_or_else(|| arguments.join(" "));
    if source.contains("broken") {
        let message = format!("{source} holds no weights that we read");
        return PrepareOutcome::Failed(PrepareFailure::new(reasons::UNSUPPORTED_FORMAT, message, false));
    }
    let read = PrepareReport {
        digest: digest(&source),
        bytes: BYTES,
        file: "model.gguf".into(),
        revision: None,
        model: facts(),
        compression: None,
    };
    PrepareOutcome::Ready(match option(&arguments, "--quantization") {
        Some(quantization) => compressed(read, quantization, &arguments),
        None => read,
    })
}

/// The image that a pod has its weights from.
pub fn image(pod: &Pod) -> Option<String> {
    let mut volumes = pod.spec.as_ref()?.volumes.iter().flatten();
    volumes.find_map(|volume| volume.image.as_ref()?.reference.clone())
}

fn arguments(pod: &Pod) -> Vec<String> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.flat_map(|it| it.args.clone().unwrap_or_default()).collect()
}

fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}

fn compressed(read: PrepareReport, quantization: &str, arguments: &[String]) -> PrepareReport {
    let digits = hex::encode(Sha256::digest(format!("{} {quantization}", read.digest)));
    let name = |text: &str| match text {
        "int4" => "Int4".to_owned(),
        "int8" => "Int8".to_owned(),
        other => other.to_uppercase(),
    };
    PrepareReport {
        digest: format!("sha256:{digits}"),
        bytes: BYTES / 2,
        file: format!("sha256-{digits}/model.gguf"),
        compression: Some(CompressionReport {
            source_digest: read.digest.clone(),
            source_bytes: read.bytes,
            quantization: name(quantization),
            method: option(arguments, "--method").map(str::to_uppercase),
            pruning: None,
            structure: None,
            sparsity: None,
            perplexity_before: "20.0000".into(),
            perplexity_after: "20.2000".into(),
            increase: "1.00%".into(),
            limit: option(arguments, "--max-perplexity-increase").map(str::to_owned),
        }),
        ..read
    }
}

fn digest(of: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(of)))
}

fn facts() -> ModelFacts {
    ModelFacts {
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
    }
}
