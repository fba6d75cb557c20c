//! Matrix products with weights in the form that is fast on this processor.

use engine_sys::Packed;
use tch::{Device, Kind, TchError, Tensor};

use super::self_bench;

/// The weights of a linear layer, `[out, in]`.
pub(crate) enum Linear {
    /// Plain numbers of the type that is computed in.
    Dense(Tensor),
    /// Packed matrices one below the other, for activations in bfloat16.
    Packed(Vec<Packed>),
}

impl Linear {
    /// `input weight^T + bias`, `[rows, out]` in the type of `input`.
    pub fn forward(&self, input: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, TchError> {
        self.forward_as(input, bias, input.kind())
    }

    /// As [`Self::forward`], in the type `kind`.
    pub fn forward_as(&self, input: &Tensor, bias: Option<&Tensor>, kind: Kind) -> Result<Tensor, TchError> {
        match self {
            // A GPU sums in single precision anyway and need not round the sums; other devices lack this.
            Self::Dense(weight) if kind == Kind::Float && rounds_on_gpu(weight) && bias.is_none() => {
                input.f_mm_dtype(&weight.f_transpose(0, 1)?, kind)
            }
            Self::Dense(weight) => input.f_linear(weight, bias)?.f_to_kind(kind),
            Self::Packed(parts) => packed(parts, input, bias, kind),
        }
    }

    /// The listed rows: embeddings of tokens.
    pub fn select(&self, indices: &[i64], kind: Kind) -> Result<Tensor, TchError> {
        match self {
            Self::Dense(weight) => {
                let indices = Tensor::f_from_slice(indices)?.f_to_device(weight.device())?;
                weight.f_index_select(0, &indices)?.f_to_kind(kind)
            }
            Self::Packed(parts) => match parts.as_slice() {
                [only] => only.select_rows(indices, kind),
                _ => Err(TchError::Shape("rows of a matrix in several parts".into())),
            },
        }
    }
}

fn rounds_on_gpu(weight: &Tensor) -> bool {
    matches!(weight.device(), Device::Cuda(_)) && weight.kind() == Kind::BFloat16
}

fn packed(parts: &[Packed], input: &Tensor, bias: Option<&Tensor>, kind: Kind) -> Result<Tensor, TchError> {
    let (rows, _) = input.size2()?;
    if let [only] = parts {
        return match self_bench::widens(only.format(), rows) {
            true => widened(only, input, bias, kind),
            false => engine_sys::linear(input, only, bias, kind),
        };
    }
    let width: i64 = parts.iter().map(|part| part.rows() as i64).sum();
    let output = Tensor::f_empty([rows, width], (kind, input.device()))?;
    let mut first = 0;
    for part in parts {
        let count = part.rows() as i64;
        let bias = bias.map(|bias| bias.f_narrow(0, first, count)).transpose()?;
        let mut columns = output.f_narrow(1, first, count)?;
        match self_bench::widens(part.format(), rows) {
            true => columns.f_copy_(&widened(part, input, bias.as_ref(), kind)?)?,
            false => engine_sys::linear_into(input, part, bias.as_ref(), &mut columns)?,
        }
        first += count;
    }
    Ok(output)
}

/// The product by libtorch, with the weights as plain numbers for as long as it takes.
pub(super) fn widened(weight: &Packed, input: &Tensor, bias: Option<&Tensor>, kind: Kind) -> Result<Tensor, TchError> {
    // Without instructions for bfloat16, libtorch computes it many times slower than single precision.
    let fast = match engine_sys::has_bf16_products() || engine_sys::has_tiles() {
        true => Kind::BFloat16,
        false => Kind::Float,
    };
    let weight = weight.dequantize_rows(weight.rows(), fast)?;
    let bias = bias.map(|bias| bias.f_to_kind(fast)).transpose()?;
    input.f_to_kind(fast)?.f_linear(&weight, bias.as_ref())?.f_to_kind(kind)
}
