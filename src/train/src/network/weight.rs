//! Matrices and vectors of a network, as they are kept.

use tch::{Kind, TchError, Tensor};

use super::four_bits::FourBits;
use crate::parameters::{ParameterId, Parameters};

/// A weight: how it is kept depends on what is trained.
pub(crate) enum Weight {
    /// In the type that is computed in; it never changes.
    Frozen(Tensor),
    /// Rounded to four bits, widened whenever it is used.
    FourBits(FourBits),
    /// Trained, in single precision; rounded whenever it is used.
    Trained(ParameterId),
}

impl Weight {
    /// Its values in `kind`.
    pub fn get(&self, parameters: &Parameters, kind: Kind) -> Result<Tensor, TchError> {
        match self {
            Self::Frozen(tensor) => Ok(tensor.shallow_clone()),
            Self::FourBits(packed) => packed.widen(kind),
            Self::Trained(id) => parameters.cast(*id, kind),
        }
    }

    /// The trained tensor that it is.
    pub fn trained(&self) -> Option<ParameterId> {
        match self {
            Self::Trained(id) => Some(*id),
            Self::Frozen(_) | Self::FourBits(_) => None,
        }
    }
}

/// How the weights of a network are kept.
pub(crate) enum Keep<'a> {
    /// All frozen.
    Frozen,
    /// Matrices of the blocks in four bits, all else frozen.
    FourBits,
    /// All trained.
    Trained(&'a mut Parameters),
}

impl Keep<'_> {
    /// The type that tensors are to be read in.
    pub fn reads(&self, compute: Kind, matrix: bool) -> Kind {
        match self {
            Self::Frozen => compute,
            Self::FourBits if !matrix => compute,
            Self::FourBits | Self::Trained(_) => Kind::Float,
        }
    }

    /// Keeps a tensor that was read in that type; `matrix` tells those that four bits are for.
    pub fn weight(&mut self, name: &str, tensor: Tensor, matrix: bool) -> Result<Weight, TchError> {
        match self {
            Self::FourBits if matrix => Ok(Weight::FourBits(FourBits::round(&tensor)?)),
            Self::Frozen | Self::FourBits => Ok(Weight::Frozen(tensor)),
            // Norms and biases have one dimension and are not shrunk.
            Self::Trained(parameters) => {
                let decay = tensor.dim() > 1;
                Ok(Weight::Trained(parameters.add(name.to_owned(), &tensor, decay)?))
            }
        }
    }
}
