//! What sets the model families apart in files. Most are Llama with small changes.

use crate::{Error, Header};

/// The metadata key that names the family.
const ARCHITECTURE_KEY: &str = "general.architecture";

/// A family that we can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// Its name in `general.architecture`, which its metadata keys begin with.
    pub name: &'static str,
    /// It computes one vector for a text instead of the text's next token.
    pub encoder: bool,
    /// GGUF files of the family store the rows of query and key so that neighbours are rotated
    /// together, instead of the two halves of a head.
    pub permuted: bool,
    /// Query, key and value have a bias.
    pub qkv_bias: bool,
    /// Each head of query and key is normalized before it is rotated.
    pub head_norm: bool,
}

/// All families: the next one is a row here and, where it computes something new, a few lines in the
/// engine.
const ARCHITECTURES: [Architecture; 4] = [
    // Llama itself, and what is converted under its name: SmolLM, Mistral, Bielik, TinyLlama.
    Architecture {
        name: "llama",
        encoder: false,
        permuted: true,
        qkv_bias: false,
        head_norm: false,
    },
    // Qwen 2 and 2.5.
    Architecture {
        name: "qwen2",
        encoder: false,
        permuted: false,
        qkv_bias: true,
        head_norm: false,
    },
    Architecture {
        name: "qwen3",
        encoder: false,
        permuted: false,
        qkv_bias: false,
        head_norm: true,
    },
    // BERT and what has its shape: MiniLM, BGE, E5.
    Architecture {
        name: "bert",
        encoder: true,
        permuted: false,
        qkv_bias: true,
        head_norm: false,
    },
];

/// Tensors outside the blocks.
const OUTER: [&str; 3] = ["token_embd.weight", "output_norm.weight", "output.weight"];
/// Tensors of every block.
const BLOCK: [&str; 9] = [
    "attn_norm.weight",
    "attn_q.weight",
    "attn_k.weight",
    "attn_v.weight",
    "attn_output.weight",
    "ffn_norm.weight",
    "ffn_gate.weight",
    "ffn_up.weight",
    "ffn_down.weight",
];
const QKV_BIAS: [&str; 3] = ["attn_q.bias", "attn_k.bias", "attn_v.bias"];
const HEAD_NORM: [&str; 2] = ["attn_q_norm.weight", "attn_k_norm.weight"];
/// Tensors of an encoder outside the blocks, without `.weight` and `.bias`. Those that begin with
/// `cls` are of cross-encoders.
const ENCODER_OUTER: [&str; 6] = [
    "token_embd",
    "position_embd",
    "token_types",
    "token_embd_norm",
    "cls",
    "cls.output",
];
/// Tensors of every block of an encoder, likewise.
const ENCODER_BLOCK: [&str; 8] = [
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "attn_output_norm",
    "ffn_up",
    "ffn_down",
    "layer_output_norm",
];

impl Architecture {
    /// The family of that name.
    pub fn named(name: &str) -> Option<Self> {
        ARCHITECTURES.into_iter().find(|architecture| architecture.name == name)
    }

    /// The family of a file, which has no tensors that are strange to it.
    ///
    /// # Errors
    /// When the family is not supported, or the file has a tensor that the family does not have:
    /// without it, the network would compute something else than the file's author meant.
    pub fn of(header: &Header) -> Result<Self, Error> {
        let name = header.metadata.string(ARCHITECTURE_KEY)?;
        let Some(architecture) = Self::named(name) else {
            return Err(Error::UnsupportedArchitecture { found: shortened(name) });
        };
        match architecture.stranger(header) {
            Some(tensor) => Err(Error::UnknownTensor {
                tensor: shortened(tensor),
                architecture: architecture.name,
            }),
            None => Ok(architecture),
        }
    }

    /// The names of all families, for messages.
    pub fn names() -> String {
        ARCHITECTURES.map(|architecture| architecture.name).join(", ")
    }

    /// The metadata key of what the norm adds, without the family's name.
    pub fn norm_epsilon_key(&self) -> &'static str {
        match self.encoder {
            true => "attention.layer_norm_epsilon",
            false => "attention.layer_norm_rms_epsilon",
        }
    }

    /// A tensor of the file that this family does not have.
    fn stranger<'a>(&self, header: &'a Header) -> Option<&'a str> {
        let mut names = header.tensors.iter().map(|tensor| tensor.name.as_str());
        names.find(|name| match self.encoder {
            true => !Self::is_of_encoder(name),
            false => !self.is_of_decoder(name),
        })
    }

    fn is_of_encoder(name: &str) -> bool {
        let Some(name) = name.strip_suffix(".weight").or_else(|| name.strip_suffix(".bias")) else {
            return false;
        };
        match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
            Some((_, name)) => ENCODER_BLOCK.contains(&name),
            None => ENCODER_OUTER.contains(&name),
        }
    }

    fn is_of_decoder(&self, name: &str) -> bool {
        match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
            Some((_, name)) => {
                BLOCK.contains(&name)
                    || (self.qkv_bias && QKV_BIAS.contains(&name))
                    || (self.head_norm && HEAD_NORM.contains(&name))
            }
            None => OUTER.contains(&name),
        }
    }
}

/// A text of the file, short enough for a message.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GgmlType, write};

    fn stranger(architecture: &str, tensors: &[&str]) -> Option<String> {
        let tensor = |name: &&str| write::Tensor {
            name: (*name).into(),
            shape: vec![1],
            ggml_type: GgmlType::F32,
            bytes: vec![0; 4],
        };
        let bytes = write::to_bytes(&[], &tensors.iter().map(tensor).collect::<Vec<_>>());
        let header = Header::read(bytes.as_slice(), bytes.len() as u64).unwrap();
        let family = Architecture::named(architecture).unwrap();
        family.stranger(&header).map(Into::into)
    }

    #[test]
    fn each_family_has_its_own_tensors() {
        let bias = ["token_embd.weight", "blk.0.attn_q.weight", "blk.11.attn_q.bias"];
        assert_eq!(stranger("qwen2", &bias), None);
        assert_eq!(stranger("llama", &bias).as_deref(), Some("blk.11.attn_q.bias"));
        assert_eq!(
            stranger("qwen2", &["blk.0.attn_q_norm.weight"]).as_deref(),
            Some("blk.0.attn_q_norm.weight")
        );
        assert_eq!(stranger("qwen3", &["blk.0.attn_q_norm.weight", "output.weight"]), None);
        assert_eq!(
            stranger("llama", &["rope_freqs.weight"]).as_deref(),
            Some("rope_freqs.weight")
        );
        let norm = [
            "blk.0.attn_output_norm.bias",
            "cls.output.weight",
            "position_embd.weight",
        ];
        assert_eq!(stranger("bert", &norm), None);
        assert_eq!(
            stranger("bert", &["output_norm.weight"]).as_deref(),
            Some("output_norm.weight")
        );
        assert_eq!(Architecture::named("bloom"), None);
    }
}
