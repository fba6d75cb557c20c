//! What tests look at and change inside a training.

use tch::Tensor;

use super::{Parameters, Parts, Trainer, Weights, Work};

impl Trainer {
    pub(crate) fn parameters_for_tests(&mut self) -> (&Parameters, &Parts) {
        (&self.parameters, &self.parts)
    }

    /// The gradient of the sum of losses.
    pub(crate) fn gradients_for_tests(&mut self, work: &Work) -> Vec<Tensor> {
        self.parameters.zero_gradients();
        self.learn(work, 0, 0).unwrap();
        let copied = self.parameters.gradients().unwrap();
        copied.iter().map(Tensor::copy).collect()
    }

    /// All trained numbers.
    pub(crate) fn values_for_tests(&self) -> Vec<Tensor> {
        self.parameters
            .all()
            .iter()
            .map(|it| it.value.detach().copy())
            .collect()
    }

    /// Takes on what another one has learned.
    pub(crate) fn copy_for_tests(&mut self, other: &Self) {
        let _guard = tch::no_grad_guard();
        for (mine, theirs) in self.parameters.all().iter().zip(other.parameters.all()) {
            mine.value.detach().copy_(&theirs.value);
        }
    }

    /// Puts an infinite number among those that are trained.
    pub(crate) fn poison_for_tests(&mut self) {
        let _guard = tch::no_grad_guard();
        let value = self.parameters.all()[0].value.detach();
        let _ = value.view([-1]).narrow(0, 0, 1).fill_(f64::INFINITY);
    }

    /// `[tokens, vocabulary]`
    pub(crate) fn logits_for_tests(&self, tokens: &[i64]) -> Tensor {
        self.with(Weights::Tuned, |learner| learner.logits(tokens)).unwrap()
    }
}
