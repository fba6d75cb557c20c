//! `config.json`: what the network is. Whatever would compute something else than we do is refused.

mod decoder;
mod encoder;

use std::path::Path;

use gguf::Value;

use crate::Error;
use crate::json::Settings;
use crate::names::{self, Name};

/// Metadata to be: keys and values of a GGUF file.
pub(crate) type Entries = Vec<(String, Value)>;

/// A supported network.
pub(crate) struct Config {
    pub metadata: Entries,
    /// The family's name in GGUF files.
    pub architecture: &'static str,
    /// The head is the embedding, whatever the file holds beside it.
    pub tied: bool,
    /// It scores a pair of texts.
    pub cross_encoder: bool,
    /// Rows that the embedding should have.
    pub vocabulary_size: u64,
    /// The settings themselves, for what else they say.
    pub settings: Settings,
}

impl Config {
    /// Reads the settings in `dir`.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        let settings = Settings::read(dir, "config.json")?;
        if settings.get("quantization_config").is_some() {
            let why = "give the weights in F32, F16 or BF16, or a GGUF file; `prepare` can quantize them";
            return Err(Error::unsupported(&settings.file, "field \"quantization_config\"", why));
        }
        let kind = settings.text("model_type")?;
        let kind = kind.ok_or_else(|| settings.invalid("model_type", "the file does not have it"))?;
        match kind {
            "llama" | "mistral" | "qwen2" | "qwen3" => decoder::read(settings),
            "bert" => encoder::read(settings),
            _ => {
                let why = "this release serves llama, mistral, qwen2, qwen3 and bert; use a model of such a family";
                Err(settings.unsupported("model_type", why))
            }
        }
    }

    /// The name of a tensor in GGUF files.
    pub fn name(&self, tensor: &str) -> Name {
        match self.architecture {
            encoder::ARCHITECTURE => names::of_encoder(tensor, self.cross_encoder),
            _ if self.tied && tensor == "lm_head.weight" => Name::Unused,
            _ => names::of_decoder(tensor),
        }
    }
}

/// Collects the keys of one architecture.
struct Keys {
    architecture: &'static str,
    metadata: Entries,
}

impl Keys {
    fn new(architecture: &'static str) -> Self {
        let name = ("general.architecture".into(), Value::String(architecture.into()));
        Self {
            architecture,
            metadata: vec![name],
        }
    }

    fn number(&mut self, key: &str, value: u64) {
        self.add(key, Value::Unsigned(value));
    }

    fn add(&mut self, key: &str, value: Value) {
        self.metadata.push((format!("{}.{key}", self.architecture), value));
    }
}
