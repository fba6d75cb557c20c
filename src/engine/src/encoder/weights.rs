//! Reads the tensors of an encoder.

use checkpoint::Checkpoint;
use tch::{Kind, TchError, Tensor};

use super::EncoderConfig;
use crate::{LoadError, dequantize::dequantize};

/// A linear layer: `[out, in]` and `[out]`.
pub(super) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Computes in the type of the weights.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor, TchError> {
        input
            .f_to_kind(self.weight.kind())?
            .f_linear(&self.weight, Some(&self.bias))
    }

    fn to_kind(&self, kind: Kind) -> Result<Self, TchError> {
        Ok(Self {
            weight: self.weight.f_to_kind(kind)?,
            bias: self.bias.f_to_kind(kind)?,
        })
    }
}

/// Layer normalization: scale and shift, `[hidden]` each, always in single precision.
pub(super) struct LayerNorm {
    scale: Tensor,
    shift: Tensor,
    epsilon: f64,
}

impl LayerNorm {
    pub fn forward(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        hidden.f_layer_norm(
            self.scale.size(),
            Some(&self.scale),
            Some(&self.shift),
            self.epsilon,
            false,
        )
    }

    fn shallow_clone(&self) -> Self {
        Self {
            scale: self.scale.shallow_clone(),
            shift: self.shift.shallow_clone(),
            epsilon: self.epsilon,
        }
    }
}

/// One transformer block. What reads the same input is one matrix.
pub(super) struct Block {
    /// `[3 hidden, hidden]`: query, key, value
    pub qkv: Linear,
    pub attention_output: Linear,
    pub attention_norm: LayerNorm,
    pub up: Linear,
    pub down: Linear,
    pub norm: LayerNorm,
}

/// What scores a pair of texts: a layer with tanh over the first token, then one number.
pub(super) struct Classifier {
    pub pooler: Linear,
    pub output: Linear,
}

/// All weights.
pub(super) struct Weights {
    /// `[vocabulary, hidden]`
    pub tokens: Tensor,
    /// `[context, hidden]`
    pub positions: Tensor,
    /// `[types, hidden]`
    pub types: Tensor,
    pub norm: LayerNorm,
    pub blocks: Vec<Block>,
    pub classifier: Option<Classifier>,
}

impl Weights {
    /// Reads every tensor in single precision.
    ///
    /// # Errors
    /// When one is missing or has another shape than the configuration calls for.
    pub fn load(file: &Checkpoint, config: &EncoderConfig) -> Result<Self, LoadError> {
        let reader = Reader { file, config };
        let hidden = config.hidden_size;
        let classifier = || {
            Ok::<_, LoadError>(Classifier {
                pooler: reader.linear("cls", hidden, hidden)?,
                output: reader.linear("cls.output", 1, hidden)?,
            })
        };
        Ok(Self {
            tokens: reader.tensor("token_embd.weight", &[config.vocabulary_size, hidden])?,
            positions: reader.tensor("position_embd.weight", &[config.context_length as i64, hidden])?,
            types: reader.tensor("token_types.weight", &[config.token_types, hidden])?,
            norm: reader.norm("token_embd_norm")?,
            blocks: (0..config.layers)
                .map(|index| reader.block(index))
                .collect::<Result<_, _>>()?,
            classifier: config.cross_encoder.then(classifier).transpose()?,
        })
    }

    /// The same with linear layers in another type; what is added and normalized stays as it is.
    pub fn to_kind(&self, kind: Kind) -> Result<Self, TchError> {
        let block = |block: &Block| {
            Ok::<_, TchError>(Block {
                qkv: block.qkv.to_kind(kind)?,
                attention_output: block.attention_output.to_kind(kind)?,
                attention_norm: block.attention_norm.shallow_clone(),
                up: block.up.to_kind(kind)?,
                down: block.down.to_kind(kind)?,
                norm: block.norm.shallow_clone(),
            })
        };
        let classifier = |classifier: &Classifier| {
            Ok::<_, TchError>(Classifier {
                pooler: classifier.pooler.to_kind(Kind::Float)?,
                output: classifier.output.to_kind(Kind::Float)?,
            })
        };
        Ok(Self {
            tokens: self.tokens.shallow_clone(),
            positions: self.positions.shallow_clone(),
            types: self.types.shallow_clone(),
            norm: self.norm.shallow_clone(),
            blocks: self.blocks.iter().map(block).collect::<Result<_, _>>()?,
            classifier: self.classifier.as_ref().map(classifier).transpose()?,
        })
    }
}

struct Reader<'a> {
    file: &'a Checkpoint,
    config: &'a EncoderConfig,
}

impl Reader<'_> {
    fn block(&self, index: usize) -> Result<Block, LoadError> {
        let (hidden, wide) = (self.config.hidden_size, self.config.feed_forward_size);
        let name = |part: &str| format!("blk.{index}.{part}");
        let of = |part: &str| self.linear(&name(part), hidden, hidden);
        let [query, key, value] = [of("attn_q")?, of("attn_k")?, of("attn_v")?];
        Ok(Block {
            qkv: Linear {
                weight: Tensor::f_cat(&[query.weight, key.weight, value.weight], 0)?,
                bias: Tensor::f_cat(&[query.bias, key.bias, value.bias], 0)?,
            },
            attention_output: of("attn_output")?,
            attention_norm: self.norm(&name("attn_output_norm"))?,
            up: self.linear(&name("ffn_up"), wide, hidden)?,
            down: self.linear(&name("ffn_down"), hidden, wide)?,
            norm: self.norm(&name("layer_output_norm"))?,
        })
    }

    fn linear(&self, name: &str, outputs: i64, inputs: i64) -> Result<Linear, LoadError> {
        Ok(Linear {
            weight: self.tensor(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: self.tensor(&format!("{name}.bias"), &[outputs])?,
        })
    }

    fn norm(&self, name: &str) -> Result<LayerNorm, LoadError> {
        let hidden = [self.config.hidden_size];
        Ok(LayerNorm {
            scale: self.tensor(&format!("{name}.weight"), &hidden)?,
            shift: self.tensor(&format!("{name}.bias"), &hidden)?,
            epsilon: self.config.norm_epsilon,
        })
    }

    fn tensor(&self, name: &str, shape: &[i64]) -> Result<Tensor, LoadError> {
        let info = self.file.header().tensor(name)?;
        let expected: Vec<u64> = shape.iter().map(|size| size.unsigned_abs()).collect();
        if info.shape != expected {
            return Err(LoadError::Shape {
                tensor: name.into(),
                found: info.shape.clone(),
                expected,
            });
        }
        let bytes = self.file.read_tensor(info)?;
        let weights = dequantize::<f32>(&bytes, info.ggml_type).ok_or_else(|| LoadError::TensorType {
            tensor: info.name.clone(),
            found: info.ggml_type,
        })?;
        Ok(Tensor::f_from_slice(&weights)?.f_view(shape)?)
    }
}
