//! One vector out of those of a text's tokens.

use checkpoint::keys;
use gguf::Metadata;
use tch::{TchError, Tensor};

use crate::LoadError;

/// How an embedding is made of the vectors of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their average.
    Mean,
    /// That of the first token, a mark.
    First,
    /// The largest number at each place.
    Max,
}

impl Pooling {
    /// What a file says, in our word or in the number of GGUF files.
    pub(super) fn of(metadata: &Metadata) -> Result<Self, LoadError> {
        let number = "bert.pooling_type";
        let unsupported = |key: &str, found: String| LoadError::Unsupported {
            key: key.into(),
            found,
            supported: "mean (1), cls (2) and max are supported",
        };
        if metadata.get(keys::POOLING).is_some() {
            return match metadata.string(keys::POOLING)? {
                "mean" => Ok(Self::Mean),
                "cls" => Ok(Self::First),
                "max" => Ok(Self::Max),
                other => Err(unsupported(keys::POOLING, other.into())),
            };
        }
        if metadata.get(number).is_none() {
            return Ok(Self::Mean);
        }
        match metadata.unsigned(number)? {
            // 4 is the first token's, scored; what scores is known by its tensors.
            1 | 4 => Ok(Self::Mean),
            2 => Ok(Self::First),
            other => Err(unsupported(number, other.to_string())),
        }
    }

    /// Pools `[texts, tokens, hidden]` to `[texts, hidden]`.
    pub(super) fn apply(self, hidden: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Mean => hidden.f_mean_dim(Some(&[1i64][..]), false, None),
            Self::First => hidden.f_select(1, 0),
            Self::Max => hidden.f_amax([1i64].as_slice(), false),
        }
    }
}

/// Makes a vector's length one; a vector of zeros stays as it is.
pub fn normalize(vector: &mut [f32]) {
    let square: f64 = vector.iter().map(|value| f64::from(*value).powi(2)).sum();
    let length = square.sqrt().max(1e-12);
    for value in vector {
        *value = (f64::from(*value) / length) as f32;
    }
}
