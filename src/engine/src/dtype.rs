//! The numeric type that the model is computed in.

use std::{fmt, str::FromStr};

use tch::Kind;

/// Type of weights, activations and KV cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dtype {
    /// bfloat16: what CPUs and GPUs compute fast. (IEEE half precision is not: on most CPUs it is
    /// many times slower.)
    #[default]
    Bf16,
    /// IEEE single precision: the reference.
    Fp32,
}

impl Dtype {
    /// libtorch's name of it.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Bf16 => Kind::BFloat16,
            Self::Fp32 => Kind::Float,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bf16 => "bf16",
            Self::Fp32 => "fp32",
        })
    }
}

impl FromStr for Dtype {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "bf16" => Ok(Self::Bf16),
            "fp32" => Ok(Self::Fp32),
            other => Err(format!("{other:?} is not a supported type: use bf16 or fp32")),
        }
    }
}
