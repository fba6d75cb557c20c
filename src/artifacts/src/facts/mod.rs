//! The facts of a model, from its file's header, and whether this release can serve it.
//!
//! Everything that the worker would refuse at start is refused here already, where the refusal
//! becomes a condition instead of a crash loop.

mod dimensions;
mod tokenizer;
mod weights;

use std::path::Path;

use gguf::{Architecture, GgufFile, Header};
use protocol::report::reasons;
use protocol::{ModelFacts, PrepareFailure};

use crate::digest::unreadable;

const ARCHITECTURE_KEY: &str = "general.architecture";

/// Reads the facts that memory estimates and the status need, and checks that the worker can serve
/// the model.
///
/// # Errors
/// When the architecture, the tokenizer or a tensor's type is not supported, or when the header
/// contradicts itself.
pub fn model_facts(header: &Header) -> Result<ModelFacts, PrepareFailure> {
    let architecture = header.metadata.string(ARCHITECTURE_KEY).map_err(failure)?;
    let Some(family) = Architecture::named(architecture) else {
        return Err(unsupported(format!(
            "failed to find support for the architecture {:?}: this release serves {}; use a model of such a family",
            shortened(architecture),
            Architecture::names()
        )));
    };
    if let Some(tensor) = family.stranger(header) {
        return Err(unsupported(format!(
            "failed to find support for the tensor {:?}: models of the architecture {architecture} as this release \
             knows it have none; use a plain model of that family",
            shortened(tensor)
        )));
    }
    let dimensions = dimensions::read(header, architecture)?;
    tokenizer::check(&header.metadata, dimensions.vocabulary_size)?;
    weights::check_types(&header.tensors)?;
    Ok(ModelFacts {
        format: "gguf".into(),
        architecture: architecture.into(),
        quantization: weights::quantization(&header.tensors),
        parameters: weights::parameters(&header.tensors),
        ..dimensions
    })
}

/// The facts of the file at `path`, and its size in bytes.
pub(crate) fn of_file(path: &Path) -> Result<(ModelFacts, u64), PrepareFailure> {
    let named = |found: PrepareFailure| {
        let message = format!("{}: {}", path.display(), found.message);
        PrepareFailure::new(&found.reason, message, found.retryable)
    };
    let file = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    let bytes = file.metadata().map_err(|error| unreadable(path, &error))?.len();
    let file = GgufFile::from_file(file).map_err(|error| match error {
        gguf::Error::Io { source, .. } => unreadable(path, &source),
        other => named(failure(other)),
    })?;
    let facts = model_facts(file.header()).map_err(named)?;
    Ok((facts, bytes))
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
        let facts = model_facts(&header(&tiny_model())).unwrap();
        let expected = ModelFacts {
            format: "gguf".into(),
            architecture: "llama".into(),
            quantization: "Q4_1".into(),
            // Embeddings 64 x 32; per layer q, o 32 x 32, k, v 16 x 32, three of 64 x 32, two norms; last norm.
            parameters: 2048 + 2 * (2 * 1024 + 2 * 512 + 3 * 2048 + 2 * 32) + 32,
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
        let failure = model_facts(&header(&tiny_model_with(&[(key, Some(value))]))).unwrap_err();
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
    #[case("tokenizer.ggml.model")]
    #[case("tokenizer.ggml.tokens")]
    #[case("tokenizer.ggml.merges")]
    fn a_missing_key_is_named(#[case] key: &str) {
        let failure = model_facts(&header(&tiny_model_with(&[(key, None)]))).unwrap_err();
        assert_eq!(failure.reason, reasons::INVALID_FILE, "{failure}");
        assert!(failure.message.contains(key), "{failure}");
    }

    #[test]
    fn a_hostile_name_is_shortened() {
        let name = Value::String("x".repeat(100_000));
        let failure = model_facts(&header(&tiny_model_with(&[(ARCHITECTURE_KEY, Some(name))]))).unwrap_err();
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
        let failure = of_file(&path).unwrap_err();
        assert_eq!(failure.reason, reason, "{failure}");
        assert!(
            failure.message.contains(says) && failure.message.contains("m.gguf"),
            "{failure}"
        );
    }
}
