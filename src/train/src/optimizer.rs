//! What changes the weights. libtorch's own optimizers cannot save what they remember.

use engine_sys::learn::{self, AdamW};
use protocol::tune::Optimizer as Kind;
use tch::{TchError, Tensor};

use crate::parameters::Parameters;

/// Decay of the mean and of the mean square of gradients, and what is added to the root (Kingma and Ba 2014).
const ADAM: (f64, f64) = (0.9, 0.999);
const ADAM_EPSILON: f64 = 1e-8;
/// Decays of the update and of the mean (Chen et al. 2023).
const LION: (f64, f64) = (0.9, 0.99);
const MOMENTUM: f64 = 0.9;

/// Changes weights by their gradients.
pub(crate) struct Optimizer {
    kind: Kind,
    weight_decay: f64,
    /// What is remembered of each trained tensor, in the order of [`Optimizer::slots`].
    memory: Vec<Vec<Tensor>>,
}

impl Optimizer {
    pub fn new(kind: Kind, weight_decay: f64, parameters: &Parameters) -> Result<Self, TchError> {
        let _guard = tch::no_grad_guard();
        let zeros = |value: &Tensor| slots(kind).iter().map(|_| value.f_zeros_like()).collect();
        let memory = parameters.all().iter().map(|it| zeros(&it.value));
        Ok(Self {
            kind,
            weight_decay,
            memory: memory.collect::<Result<_, _>>()?,
        })
    }

    /// Everything that is remembered: the place of the trained tensor, a name, the values.
    pub fn memory(&self) -> impl Iterator<Item = (usize, &'static str, &Tensor)> {
        let of = |(index, tensors)| {
            let named = slots(self.kind).iter().zip::<&Vec<Tensor>>(tensors);
            named.map(move |(name, tensor)| (index, *name, tensor))
        };
        self.memory.iter().enumerate().flat_map(of)
    }

    /// Changes all weights at the learning rate `rate`; `step` counts from 0. Gradients may change, too.
    pub fn apply(
        &mut self,
        parameters: &mut Parameters,
        gradients: &[Tensor],
        rate: f64,
        step: u64,
    ) -> Result<(), TchError> {
        let _guard = tch::no_grad_guard();
        let memory = self.memory.iter_mut();
        for ((parameter, memory), gradient) in parameters.all_mut().iter_mut().zip(memory).zip(gradients) {
            let decay = if parameter.decay { self.weight_decay } else { 0.0 };
            let mut value = parameter.value.f_detach()?;
            match (self.kind, &mut memory[..]) {
                (Kind::AdamW, [mean, square]) => {
                    let settings = AdamW {
                        rate,
                        decay,
                        betas: ADAM,
                        epsilon: ADAM_EPSILON,
                        count: i32::try_from(step + 1).unwrap_or(i32::MAX),
                        scale: 1.0,
                    };
                    learn::adamw([&mut value, mean, square], gradient, settings)?;
                }
                (Kind::SGD, [momentum]) => {
                    let decayed = gradient.f_add(&value.f_mul_scalar(decay)?)?;
                    let _ = momentum.f_mul_scalar_(MOMENTUM)?.f_add_(&decayed)?;
                    let _ = value.f_sub_(&momentum.f_mul_scalar(rate)?)?;
                }
                (Kind::Lion, [mean]) => {
                    let update = mean.f_lerp(gradient, 1.0 - LION.0)?.f_sign()?;
                    let _ = value.f_mul_scalar_(1.0 - rate * decay)?;
                    let _ = value.f_sub_(&update.f_mul_scalar(rate)?)?;
                    let _ = mean.f_lerp_(gradient, 1.0 - LION.1)?;
                }
                (_, memory) => {
                    return Err(TchError::Shape(format!("{} tensors are remembered", memory.len())));
                }
            }
        }
        Ok(())
    }
}

/// Names of what is remembered.
fn slots(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::AdamW => &["mean", "square"],
        Kind::SGD | Kind::Lion => &["mean"],
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn one(value: f32) -> Tensor {
        Tensor::from_slice(&[value])
    }

    /// Two steps by hand: value 1, gradients 0.5 and -0.25, rate 0.1, decay 0.01.
    #[rstest]
    #[case(Kind::AdamW, true, 0.871_467)]
    #[case(Kind::AdamW, false, 0.873_366)]
    #[case(Kind::SGD, true, 0.927_151)]
    #[case(Kind::Lion, true, 0.998_101)]
    fn values_move_as_they_should(#[case] kind: Kind, #[case] decay: bool, #[case] expected: f64) {
        let mut parameters = Parameters::default();
        let id = parameters.add("x".into(), &one(1.0), decay).unwrap();
        let mut optimizer = Optimizer::new(kind, 0.01, &parameters).unwrap();
        for (step, gradient) in [0.5, -0.25].into_iter().enumerate() {
            optimizer
                .apply(&mut parameters, &[one(gradient)], 0.1, step as u64)
                .unwrap();
        }
        let found = parameters.value(id).double_value(&[0]);
        assert!((found - expected).abs() < 2e-6, "{found}");
    }
}
