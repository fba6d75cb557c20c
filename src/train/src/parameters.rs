//! What is trained, in single precision.

use engine_sys::learn;
use tch::{Kind, TchError, Tensor};

/// A trained tensor, by its place among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParameterId(usize);

/// A trained tensor.
pub(crate) struct Parameter {
    /// What it is called in saved states.
    pub name: String,
    /// Its values; gradients gather at it.
    pub value: Tensor,
    /// Whether weight decay shrinks it.
    pub decay: bool,
}

/// All trained tensors, in the order in which they were added.
#[derive(Default)]
pub(crate) struct Parameters(Vec<Parameter>);

impl Parameters {
    /// Adds a tensor, which is copied unless it is in single precision already.
    pub fn add(&mut self, name: String, value: &Tensor, decay: bool) -> Result<ParameterId, TchError> {
        let value = value.f_detach()?.f_to_kind(Kind::Float)?.f_contiguous()?;
        let value = value.f_set_requires_grad(true)?;
        self.0.push(Parameter { name, value, decay });
        Ok(ParameterId(self.0.len() - 1))
    }

    /// The values of one, for computing with: gradients find the way back.
    pub fn cast(&self, id: ParameterId, kind: Kind) -> Result<Tensor, TchError> {
        self.value(id).f_to_kind(kind)
    }

    /// The values of one.
    pub fn value(&self, id: ParameterId) -> &Tensor {
        &self.0[id.0].value
    }

    pub fn all(&self) -> &[Parameter] {
        &self.0
    }

    pub fn all_mut(&mut self) -> &mut [Parameter] {
        &mut self.0
    }

    /// Forgets all gradients.
    pub fn zero_gradients(&mut self) {
        self.0.iter_mut().for_each(|parameter| parameter.value.zero_grad());
    }

    /// The gradients that have gathered, zeros where there are none.
    pub fn gradients(&self) -> Result<Vec<Tensor>, TchError> {
        let of = |parameter: &Parameter| {
            let gradient = parameter.value.f_grad()?;
            match gradient.defined() {
                true => Ok(gradient),
                false => parameter.value.f_detach()?.f_zeros_like(),
            }
        };
        self.0.iter().map(of).collect()
    }

    /// Adds to the gradient of one what was computed without automatic differentiation.
    pub fn add_gradient(&self, id: ParameterId, more: &Tensor) -> Result<(), TchError> {
        learn::add_gradient(self.value(id), more)
    }
}
