//! The facts of a model, from its file's header, and whether this release can serve it.
//!
//! Everything that the worker would refuse at start is refused here already, where the refusal
//! becomes a condition instead of a crash loop.

mod tokenizer;
mod weights;

use std::path::Path;

use checkpoint::{Checkpoint, Files};
use gguf::{Dimensions, Header};
use protocol::report::reasons;
use protocol::{ModelFacts, PrepareFailure};

use crate::digest::unreadable;

/// Reads the facts that memory estimates and the status need from the header of a file in `format`,
/// and checks that the worker can serve the model.
///
/// # Errors
/// When the architecture, the tokenizer or a tensor's type is not supported, or when the header
/// contradicts itself.
pub fn model_facts(header: &Header, format: &str) -> Result<ModelFacts, PrepareFailure> {
    let dimensions = Dimensions::from_header(header).map_err(failure)?;
    tokenizer::check(&header.metadata, dimensions.vocabulary_size)?;
    weights::check_types(&header.tensors)?;
    Ok(ModelFacts {
        format: format.into(),
        architecture: dimensions.architecture.name.into(),
        quantization: weights::quantization(&header.tensors),
        parameters: weights::parameters(&header.tensors),
        packed_bytes: Some(weights::packed_bytes(&header.tensors)),
        layers: dimensions.layers,
        hidden_size: dimensions.hidden_size,
        feed_forward_size: dimensions.feed_forward_size,
        heads: dimensions.heads,
        kv_heads: dimensions.kv_heads,
        head_dim: dimensions.head_dim,
        context_length: dimensions.context_length,
        vocabulary_size: dimensions.vocabulary_size,
    })
}

/// The facts of the model at `path`, and the size of its weights files in bytes.
///
/// # Errors
/// When it cannot be read, or as [`model_facts`].
pub fn of_path(path: &Path) -> Result<(ModelFacts, u64), PrepareFailure> {
    let named = |found: PrepareFailure| {
        let message = format!("{}: {}", path.display(), found.message);
        PrepareFailure::new(&found.reason, message, found.retryable)
    };
    let bytes = size(path)?;
    let model = Checkpoint::open(path).map_err(|error| match error {
        checkpoint::Error::Io { file, source } => unreadable(&file, &source),
        checkpoint::Error::Header(gguf::Error::Io { source, .. }) => unreadable(path, &source),
        other => named(of_checkpoint(other)),
    })?;
    let facts = model_facts(model.header(), model.format()).map_err(named)?;
    Ok((facts, bytes))
}

/// Bytes of the files that hold weights.
fn size(path: &Path) -> Result<u64, PrepareFailure> {
    let length = |path: &Path| {
        let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        Ok::<_, PrepareFailure>(metadata.len())
    };
    if !checkpoint::is_safetensors(path) {
        return length(path);
    }
    let files = Files::of(path).map_err(of_checkpoint)?;
    let lengths = files.weights.iter().map(|name| length(&files.dir.join(name)));
    lengths.sum()
}

/// The failure that a fault of a model's files is.
pub(crate) fn of_checkpoint(error: checkpoint::Error) -> PrepareFailure {
    use checkpoint::Error;
    let reason = match error {
        Error::Header(error) => return failure(error),
        Error::Io { file, source } => return unreadable(&file, &source),
        Error::Missing { .. } => reasons::FILE_NOT_FOUND,
        Error::Truncated { .. } => reasons::TRUNCATED,
        Error::Invalid { .. } => reasons::INVALID_FILE,
        Error::Unsupported { .. } => reasons::UNSUPPORTED_ARCHITECTURE,
    };
    PrepareFailure::new(reason, error.to_string(), false)
}

/// The failure that a header's fault is.
fn failure(error: gguf::Error) -> PrepareFailure {
    use gguf::Error;
    let (reason, retryable) = match &error {
        Error::Io { .. } => (reasons::INTERNAL, true),
        Error::Truncated { .. } => (reasons::TRUNCATED, false),
        Error::WrongMagic { .. } | Error::UnsupportedVersion { .. } | Error::UnknownTensorType { .. } => {
            (reasons::UNSUPPORTED_FORMAT, false)
        }
        Error::UnsupportedArchitecture { .. } | Error::UnknownTensor { .. } | Error::Unsupported { .. } => {
            (reasons::UNSUPPORTED_ARCHITECTURE, false)
        }
        Error::HeaderTooLarge { .. }
        | Error::Invalid { .. }
        | Error::MissingKey { .. }
        | Error::WrongType { .. }
        | Error::MissingTensor { .. } => (reasons::INVALID_FILE, false),
    };
    PrepareFailure::new(reason, error.to_string(), retryable)
}

fn unsupported(message: impl Into<String>) -> PrepareFailure {
    PrepareFailure::new(reasons::UNSUPPORTED_ARCHITECTURE, message, false)
}

fn invalid(message: impl Into<String>) -> PrepareFailure {
    PrepareFailure::new(reasons::INVALID_FILE, message, false)
}

/// A text of the file, short enough for a message.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use gguf::Value;
    use rstest::rstest;

    use super::*;
    use crate::testing::{header, tiny_model, tiny_model_with};

    #[test]
    fn a_header_gives_the_facts() {
        let facts = model_facts(&header(&tiny_model()), "gguf").unwrap();
        let expected = ModelFacts {
            format: "gguf".into(),
            architecture: "llama".into(),
            quantization: "Q4_1".into(),
            // Embeddings 64 x 32; per layer q, o 32 x 32, k, v 16 x 32, three of 64 x 32, two norms; last norm.
            parameters: 2048 + 2 * (2 * 1024 + 2 * 512 + 3 * 2048 + 2 * 32) + 32,
            // Matrices take 5 bits a weight, norms 16.
            packed_bytes: Some((2048 + 2 * (2 * 1024 + 2 * 512 + 3 * 2048)) * 5 / 8 + (2 * 2 * 32 + 32) * 2),
            layers: 2,
            hidden_size: 32,
            feed_forward_size: 64,
            heads: 4,
            kv_heads: 2,
            head_dim: 8,
            context_length: 128,
            vocabulary_size: 64,
        };
        assert_eq!(facts, expected);
    }

    #[rstest]
    #[case("general.architecture", Value::String("bloom".into()), reasons::UNSUPPORTED_ARCHITECTURE, "\"bloom\"")]
    #[case("general.architecture", Value::String("bloom".into()), reasons::UNSUPPORTED_ARCHITECTURE, "serves llama")]
    #[case(
        "general.architecture",
        Value::Unsigned(1),
        reasons::INVALID_FILE,
        "general.architecture"
    )]
    #[case(
        "llama.attention.head_count",
        Value::Unsigned(0),
        reasons::INVALID_FILE,
        "head_count"
    )]
    #[case(
        "llama.attention.head_count_kv",
        Value::Unsigned(3),
        reasons::INVALID_FILE,
        "head_count_kv"
    )]
    #[case(
        "llama.attention.key_length",
        Value::Unsigned(7),
        reasons::INVALID_FILE,
        "key_length"
    )]
    #[case(
        "llama.block_count",
        Value::Unsigned(3),
        reasons::INVALID_FILE,
        "blk.2.attn_q.weight"
    )]
    #[case("llama.block_count", Value::Unsigned(u64::MAX), reasons::INVALID_FILE, "block_count")]
    #[case(
        "llama.embedding_length",
        Value::Unsigned(64),
        reasons::INVALID_FILE,
        "token_embd.weight"
    )]
    #[case("llama.feed_forward_length", Value::Unsigned(65), reasons::INVALID_FILE, "ffn_up")]
    #[case("llama.rope.scaling.type", Value::String("yarn".into()), reasons::UNSUPPORTED_ARCHITECTURE, "yarn")]
    #[case(
        "llama.rope.dimension_count",
        Value::Unsigned(4),
        reasons::UNSUPPORTED_ARCHITECTURE,
        "dimension_count"
    )]
    #[case(
        "llama.expert_count",
        Value::Unsigned(8),
        reasons::UNSUPPORTED_ARCHITECTURE,
        "expert"
    )]
    #[case("tokenizer.ggml.model", Value::String("llama".into()), reasons::UNSUPPORTED_ARCHITECTURE, "gpt2")]
    fn what_cannot_be_served_is_named(
        #[case] key: &str,
        #[case] value: Value,
        #[case] reason: &str,
        #[case] says: &str,
    ) {
        let failure = model_facts(&header(&tiny_model_with(&[(key, Some(value))])), "gguf").unwrap_err();
        assert_eq!(
            (failure.reason.as_str(), failure.retryable),
            (reason, false),
            "{failure}"
        );
        assert!(failure.message.contains(says), "{failure}");
    }

    #[rstest]
    #[case("general.architecture")]
    #[case("llama.block_count")]
    #[case("llama.context_length")]
    #[case("llama.attention.layer_norm_rms_epsilon")]
    #[case("tokenizer.ggml.model")]
    #[case("tokenizer.ggml.tokens")]
    #[case("tokenizer.ggml.merges")]
    fn a_missing_key_is_named(#[case] key: &str) {
        let failure = model_facts(&header(&tiny_model_with(&[(key, None)])), "gguf").unwrap_err();
        assert_eq!(failure.reason, reasons::INVALID_FILE, "{failure}");
        assert!(failure.message.contains(key), "{failure}");
    }

    #[test]
    fn a_hostile_name_is_shortened() {
        let name = Value::String("x".repeat(100_000));
        let bytes = tiny_model_with(&[("general.architecture", Some(name))]);
        let failure = model_facts(&header(&bytes), "gguf").unwrap_err();
        assert!(failure.message.len() < 300, "{}", failure.message.len());
    }

    #[rstest]
    #[case::magic(&|bytes: &mut Vec<u8>| bytes[3] = b'X', reasons::UNSUPPORTED_FORMAT, "GGUF")]
    #[case::truncated(&|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2), reasons::TRUNCATED, "bytes")]
    #[case::empty(&|bytes: &mut Vec<u8>| bytes.clear(), reasons::TRUNCATED, "bytes")]
    #[case::version(&|bytes: &mut Vec<u8>| bytes[4] = 1, reasons::UNSUPPORTED_FORMAT, "version")]
    fn damaged_files_are_told_with_their_path(
        #[case] damage: &dyn Fn(&mut Vec<u8>),
        #[case] reason: &str,
        #[case] says: &str,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.gguf");
        let mut bytes = tiny_model();
        damage(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        let failure = of_path(&path).unwrap_err();
        assert_eq!(failure.reason, reason, "{failure}");
        assert!(
            failure.message.contains(says) && failure.message.contains("m.gguf"),
            "{failure}"
        );
    }
}
