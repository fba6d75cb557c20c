//! The names of adapter tensors: which layer of the base model each belongs to.

use super::{AdapterError, Projection};

/// What stands before the number of a block.
const BLOCKS: &str = "base_model.model.model.layers.";

/// A linear layer of the base model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ModuleName {
    pub layer: usize,
    pub projection: Projection,
}

/// One of the two matrices of a module: `A` reads, `B` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    A,
    B,
}

impl ModuleName {
    /// Its path in the base model, which patterns of the configuration match.
    pub fn path(self) -> String {
        let Self { layer, projection } = self;
        format!("model.layers.{layer}.{}.{projection}", projection.parent())
    }

    /// The name of one of its tensors in the file.
    pub fn tensor(self, side: Side) -> String {
        format!("base_model.model.{}.lora_{side:?}.weight", self.path())
    }
}

/// Reads the name of a tensor.
pub(crate) fn parse(tensor: &str) -> Result<(ModuleName, Side), AdapterError> {
    let read = || {
        let mut words = tensor.strip_prefix(BLOCKS)?.split('.');
        let mut next = || words.next();
        let (layer, parent, projection, matrix, last) = (next()?, next()?, next()?, next()?, next()?);
        let module = ModuleName {
            layer: layer.parse().ok()?,
            projection: Projection::named(projection)?,
        };
        let side = match matrix {
            "lora_A" => Side::A,
            "lora_B" => Side::B,
            _ => return None,
        };
        // Written again, it must be the same: no leading zeros, nothing left over.
        let whole = module.projection.parent() == parent && last == "weight" && module.tensor(side) == tensor;
        whole.then_some((module, side))
    };
    read().ok_or_else(|| AdapterError::Stranger {
        tensor: tensor.into(),
        why: why_not(tensor),
    })
}

fn why_not(tensor: &str) -> &'static str {
    let has = |word: &str| tensor.contains(word);
    if has("lora_magnitude_vector") {
        "DoRA is not supported; train with use_dora false"
    } else if has("lm_head") || has("embed_tokens") || has("lora_embedding") {
        "adapters of lm_head and embed_tokens are not supported; take them out of target_modules"
    } else if has(".lora_B.bias") {
        "biases are not supported; train with lora_bias false"
    } else if has("lora_A") || has("lora_B") {
        "the model has no such linear layer (q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj can be adapted)"
    } else {
        "only lora_A and lora_B matrices are supported"
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for projection in Projection::ALL {
            for side in [Side::A, Side::B] {
                let module = ModuleName { layer: 17, projection };
                assert_eq!(parse(&module.tensor(side)).unwrap(), (module, side));
            }
        }
    }

    #[rstest]
    #[case("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", "DoRA")]
    #[case("base_model.model.lm_head.lora_A.weight", "lm_head")]
    #[case("base_model.model.model.embed_tokens.lora_embedding_A", "embed_tokens")]
    #[case("base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias", "lora_bias")]
    #[case("base_model.model.model.layers.00.self_attn.q_proj.lora_A.weight", "no such")]
    #[case("base_model.model.model.layers.0.mlp.q_proj.lora_A.weight", "no such")]
    #[case("base_model.model.model.layers.-1.mlp.up_proj.lora_A.weight", "no such")]
    #[case(
        "base_model.model.model.layers.99999999999999999999.mlp.up_proj.lora_A.weight",
        "no such"
    )]
    #[case("base_model.model.model.layers.0.mlp.up_proj.lora_A.weight.weight", "no such")]
    #[case("base_model.model.transformer.h.0.attn.c_attn.lora_A.weight", "no such")]
    #[case("model.layers.0.self_attn.q_proj.weight", "only lora_A")]
    #[case("", "only lora_A")]
    fn strangers_are_explained(#[case] tensor: &str, #[case] why: &str) {
        let error = parse(tensor).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
