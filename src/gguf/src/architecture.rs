//! What sets the model families apart in files. Most are Llama with small changes.

use crate::Header;

/// A family that we can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// Its name in `general.architecture`, which its metadata keys begin with.
    pub name: &'static str,
    /// The rows of query and key are stored so that neighbours are rotated together, instead of the
    /// two halves of a head.
    pub permuted: bool,
    /// Query, key and value have a bias.
    pub qkv_bias: bool,
    /// Each head of query and key is normalized before it is rotated.
    pub head_norm: bool,
}

/// All families: the next one is a row here and, where it computes something new, a few lines in the
/// engine.
const ARCHITECTURES: [Architecture; 3] = [
    // Llama itself, and what is converted under its name: SmolLM, Mistral, Bielik, TinyLlama.
    Architecture {
        name: "llama",
        permuted: true,
        qkv_bias: false,
        head_norm: false,
    },
    // Qwen 2 and 2.5.
    Architecture {
        name: "qwen2",
        permuted: false,
        qkv_bias: true,
        head_norm: false,
    },
    Architecture {
        name: "qwen3",
        permuted: false,
        qkv_bias: false,
        head_norm: true,
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

impl Architecture {
    /// The family of that name.
    pub fn named(name: &str) -> Option<Self> {
        ARCHITECTURES.into_iter().find(|architecture| architecture.name == name)
    }

    /// The names of all families, for messages.
    pub fn names() -> String {
        ARCHITECTURES.map(|architecture| architecture.name).join(", ")
    }

    /// A tensor of the file that this family does not have: without it, the network would compute
    /// something else than the file's author meant.
    pub fn stranger<'a>(&self, header: &'a Header) -> Option<&'a str> {
        let known = |name: &str| match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
            Some((_, name)) => {
                BLOCK.contains(&name)
                    || (self.qkv_bias && QKV_BIAS.contains(&name))
                    || (self.head_norm && HEAD_NORM.contains(&name))
            }
            None => OUTER.contains(&name),
        };
        let mut names = header.tensors.iter().map(|tensor| tensor.name.as_str());
        names.find(|name| !known(name))
    }
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
        assert_eq!(Architecture::named("bloom"), None);
    }
}
