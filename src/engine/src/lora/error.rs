//! Why an adapter is refused.

use std::{io, path::PathBuf};

use tch::TchError;

/// Why an adapter could not be loaded or written.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// A file cannot be read or written.
    #[error("failed to access {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is larger than any honest one.
    #[error("{file} claims {bytes} bytes, more than the {limit} that are read")]
    TooLarge {
        /// Which file, or which part of one.
        file: &'static str,
        /// Its size.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// The configuration is not one JSON object.
    #[error("adapter_config.json is not valid: {0}")]
    Json(String),
    /// A field of the configuration says what cannot be.
    #[error("adapter_config.json: the field \"{field}\" {problem}")]
    Config {
        /// The field.
        field: String,
        /// What is wrong with it, and what would work.
        problem: String,
    },
    /// The weights file is damaged, or none.
    #[error("adapter_model.safetensors is not valid: {0}")]
    Weights(String),
    /// A tensor that we do not compute with.
    #[error("adapter_model.safetensors: tensor \"{tensor}\": {why}")]
    Stranger {
        /// The tensor.
        tensor: String,
        /// Why not, and what would work.
        why: &'static str,
    },
    /// A tensor in a format that is not read.
    #[error("adapter_model.safetensors: tensor \"{tensor}\" has the type {found}; F32, F16 and BF16 are supported")]
    Type {
        /// The tensor.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// A tensor that does not fit the model.
    #[error(
        "adapter_model.safetensors: tensor \"{tensor}\" has the shape {found:?}, the model served here and rank {rank} call for \
         {expected:?}; the adapter says that it was made for {}",
        named(base)
    )]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that it should have.
        expected: [usize; 2],
        /// Rank of the module as the configuration has it.
        rank: usize,
        /// `base_model_name_or_path`.
        base: Option<String>,
    },
    /// A layer that the model does not have.
    #[error(
        "adapter_model.safetensors: tensor \"{tensor}\" belongs to layer {layer}, the model served here has {layers} layers; \
         the adapter says that it was made for {}",
        named(base)
    )]
    Layer {
        /// The tensor.
        tensor: String,
        /// Its layer.
        layer: usize,
        /// Layers of the model.
        layers: usize,
        /// `base_model_name_or_path`.
        base: Option<String>,
    },
    /// A tensor that the configuration promises and the file lacks.
    #[error(
        "adapter_model.safetensors lacks the tensor \"{tensor}\" that target_modules calls for; the adapter says that it was \
         made for {}",
        named(base)
    )]
    Missing {
        /// The tensor.
        tensor: String,
        /// `base_model_name_or_path`.
        base: Option<String>,
    },
    /// A tensor that the configuration does not target.
    #[error("adapter_model.safetensors: tensor \"{tensor}\" is not among the target_modules of adapter_config.json")]
    Untargeted {
        /// The tensor.
        tensor: String,
    },
    /// Weights that compute no numbers.
    #[error("adapter_model.safetensors: tensor \"{tensor}\" has infinite or undefined values")]
    NotFinite {
        /// The tensor.
        tensor: String,
    },
    /// Another adapter than was asked for.
    #[error(
        "the adapter has the digest {found}, expected {expected}: what is there was replaced; set sha256 in its source to \
         the new digest, or give its source another path or revision, if the change is wanted"
    )]
    Digest {
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// libtorch refused.
    #[error("failed to load the adapter: libtorch: {0}")]
    Torch(#[from] TchError),
}

fn named(base: &Option<String>) -> String {
    match base {
        Some(base) => format!("{base:?}"),
        None => "no base model that it names".into(),
    }
}

/// Why a registry does not give an adapter.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No adapter has the name.
    #[error("there is no adapter \"{name}\"")]
    Unknown {
        /// The name.
        name: String,
    },
    /// A name that cannot be one.
    #[error(
        "\"{name}\" is no name for an adapter: use 1 to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// As many adapters as there may be.
    #[error("there are {limit} adapters already; delete one first")]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
    /// An adapter that never fits.
    #[error("the adapter takes {bytes} bytes, adapters may take {budget} together: raise --adapter-memory")]
    TooLarge {
        /// What it takes.
        bytes: u64,
        /// What all may take.
        budget: u64,
    },
    /// No room, because requests use what is loaded.
    #[error(
        "the adapter takes {bytes} bytes, and running requests use the adapters that fill the {budget} bytes for all: try again, or raise --adapter-memory"
    )]
    Busy {
        /// What it takes.
        bytes: u64,
        /// What all may take.
        budget: u64,
    },
    /// Its files cannot be used.
    #[error("{0}")]
    Adapter(#[from] AdapterError),
}
