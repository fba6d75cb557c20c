//! Matrix products with weights in the form that is fast on this processor.

use engine_sys::Packed;
use tch::{Kind, TchError, Tensor};

/// Rows from which on a product with plain numbers is faster than one with packed weights, if the
/// processor multiplies tiles (AMX): its time is then that of widening the weights.
const MANY_ROWS: i64 = 64;

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

fn packed(parts: &[Packed], input: &Tensor, bias: Option<&Tensor>, kind: Kind) -> Result<Tensor, TchError> {
    let many = engine_sys::has_tiles() && input.size()[0] >= MANY_ROWS;
    if let ([only], false) = (parts, many) {
        return engine_sys::linear(input, only, bias, kind);
    }
    let mut outputs = Vec::with_capacity(parts.len());
    let mut first = 0;
    for part in parts {
        let rows = part.rows();
        let bias = bias.map(|bias| bias.f_narrow(0, first, rows as i64)).transpose()?;
        outputs.push(match many {
            true => {
                let weight = part.dequantize_rows(rows, input.kind())?;
                input.f_linear(&weight, bias.as_ref())?.f_to_kind(kind)?
            }
            false => engine_sys::linear(input, part, bias.as_ref(), kind)?,
        });
        first += rows as i64;
    }
    Tensor::f_cat(&outputs, 1)
}
