//! One transformer block over whole windows.

use std::collections::BTreeMap;

use tch::{Device, TchError, Tensor};

use super::{rms_norm, unpermuted};
use crate::{ModelConfig, rope::Rope};

/// The linear layers of a block that read the same input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Query, key and value.
    Qkv,
    /// The output of attention.
    AttentionOutput,
    /// Gate and up.
    GateUp,
    /// Down.
    Down,
}

impl Layer {
    /// All of them, in the order in which they are computed.
    pub const ALL: [Self; 4] = [Self::Qkv, Self::AttentionOutput, Self::GateUp, Self::Down];

    /// The weights that read this input, by their names in files.
    pub fn weights(self) -> &'static [&'static str] {
        match self {
            Self::Qkv => &["attn_q.weight", "attn_k.weight", "attn_v.weight"],
            Self::AttentionOutput => &["attn_output.weight"],
            Self::GateUp => &["ffn_gate.weight", "ffn_up.weight"],
            Self::Down => &["ffn_down.weight"],
        }
    }
}

/// The rotary angles of windows that start at position 0.
pub struct Positions {
    rope: Rope,
    positions: Vec<i64>,
}

impl Positions {
    /// For windows of `tokens` tokens.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn new(config: &ModelConfig, tokens: usize) -> Result<Self, TchError> {
        Ok(Self {
            rope: Rope::new(config, tokens, Device::Cpu)?,
            positions: (0..tokens as i64).collect(),
        })
    }
}

/// The weights of one block in single precision, under their names in files without the block's
/// prefix (`attn_q.weight`), rows in the order of files of the family. The width of its feed-forward
/// layer is that of the tensors, whatever the configuration says.
pub struct Block {
    tensors: BTreeMap<String, Tensor>,
}

impl Block {
    /// A block of these tensors.
    pub fn new(tensors: BTreeMap<String, Tensor>) -> Self {
        Self { tensors }
    }

    /// All tensors, by name.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// The tensor of that name.
    ///
    /// # Errors
    /// When the block has none.
    pub fn get(&self, name: &str) -> Result<&Tensor, TchError> {
        let found = self.tensors.get(name);
        found.ok_or_else(|| TchError::FileFormat(format!("the block has no tensor {name:?}")))
    }

    /// Replaces, or adds, a tensor.
    pub fn set(&mut self, name: &str, tensor: Tensor) {
        self.tensors.insert(name.to_owned(), tensor);
    }

    /// Computes one window, `[tokens, hidden]`, and shows the input of each linear layer,
    /// `[tokens, columns]`, to `observe`.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit, or libtorch fails.
    pub fn forward<E: From<TchError>>(
        &self,
        config: &ModelConfig,
        positions: &Positions,
        hidden: &Tensor,
        mut observe: impl FnMut(Layer, &Tensor) -> Result<(), E>,
    ) -> Result<Tensor, E> {
        let normed = rms_norm(hidden, self.get("attn_norm.weight")?, config.norm_epsilon)?;
        observe(Layer::Qkv, &normed)?;
        let attended = self.attention(config, positions, &normed)?;
        observe(Layer::AttentionOutput, &attended)?;
        let hidden = hidden.f_add(&self.linear(&attended, "attn_output")?)?;

        let normed = rms_norm(&hidden, self.get("ffn_norm.weight")?, config.norm_epsilon)?;
        observe(Layer::GateUp, &normed)?;
        let gate = self.linear(&normed, "ffn_gate")?.f_silu()?;
        let gated = gate.f_mul(&self.linear(&normed, "ffn_up")?)?;
        observe(Layer::Down, &gated)?;
        Ok(hidden.f_add(&self.linear(&gated, "ffn_down")?)?)
    }

    /// The heads' outputs beside each other, `[tokens, heads head_dim]`.
    fn attention(&self, config: &ModelConfig, positions: &Positions, input: &Tensor) -> Result<Tensor, TchError> {
        let ModelConfig {
            architecture,
            heads,
            kv_heads,
            head_dim,
            norm_epsilon,
            ..
        } = *config;
        let tokens = input.size()[0];
        let rotated = |name: &str, heads: i64| {
            let rows = self.linear(input, name)?;
            let rows = match architecture.permuted {
                true => unpermuted(&rows.f_transpose(0, 1)?, heads)?.f_transpose(0, 1)?,
                false => rows,
            };
            let split = rows.f_reshape([tokens, heads, head_dim])?;
            let split = match architecture.head_norm {
                true => rms_norm(&split, self.get(&format!("{name}_norm.weight"))?, norm_epsilon)?,
                false => split,
            };
            positions.rope.rotate(&split, &positions.positions)
        };
        // Query heads that share a kv head are different batches: keys and values are not copied.
        let group = config.group();
        let queries = rotated("attn_q", heads)?
            .f_view([tokens, kv_heads, group, head_dim])?
            .f_permute([2, 1, 0, 3])?;
        let shared = |rows: Tensor| {
            let split = rows.f_view([1, tokens, kv_heads, head_dim])?.f_transpose(1, 2)?;
            split.f_expand([group, kv_heads, tokens, head_dim], false)
        };
        let keys = shared(rotated("attn_k", kv_heads)?)?;
        let values = shared(self.linear(input, "attn_v")?)?;
        // The causal flag is right here: queries and keys are of the same tokens.
        let no_mask = None::<&Tensor>;
        Tensor::f_scaled_dot_product_attention(&queries, &keys, &values, no_mask, 0.0, true, None, false)?
            .f_permute([2, 1, 0, 3])?
            .f_reshape([tokens, heads * head_dim])
    }

    fn linear(&self, input: &Tensor, name: &str) -> Result<Tensor, TchError> {
        let bias = self.tensors.get(&format!("{name}.bias"));
        input.f_linear(self.get(&format!("{name}.weight"))?, bias)
    }
}
