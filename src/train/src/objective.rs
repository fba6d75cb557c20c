//! What is learned from texts and from pairs of answers: losses, and their way back to what is trained.

use tch::{TchError, Tensor};

use crate::{
    Error, Pair, Sequence,
    head::{self, Wanted},
    network::{Batch, Network, Pass},
    passes::Kept,
};

/// Figures of learning from pairs, as the `trl` library names them.
pub(crate) const METRICS: [&str; 6] = [
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "logps/chosen",
    "logps/rejected",
];

/// What came of a batch: sums over what it is divided by later.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub loss: f64,
    /// Targets or pairs.
    pub weight: f64,
    /// Targets that were likeliest, where that was asked, or pairs in the right order.
    pub correct: u64,
    /// Of pairs only.
    pub metrics: [f64; METRICS.len()],
}

/// A network and how it is gone through.
#[derive(Clone, Copy)]
pub(crate) struct Learner<'a> {
    pub network: &'a Network,
    pub pass: Pass<'a>,
    /// Whether blocks are computed again on the way back.
    pub by_block: bool,
}

impl Learner<'_> {
    /// Learns from texts.
    pub fn texts(&self, texts: &[&Sequence]) -> Result<Outcome, Error> {
        let batch = self.batch(texts.iter().copied())?;
        let weight: usize = batch.counts.iter().sum();
        if weight == 0 {
            return Ok(Outcome::default());
        }
        let kept = Kept::forward(self.network, self.pass, &batch, self.by_block)?;
        let losses = self.back(kept, &batch, None)?;
        Ok(Outcome {
            loss: total(&losses),
            weight: weight as f64,
            ..Outcome::default()
        })
    }

    /// Learns from pairs (direct preference optimization, Rafailov et al. 2023, <https://arxiv.org/abs/2305.18290>).
    /// `reference` has the base's log-probabilities of the answers: chosen, rejected, chosen, ...
    pub fn pairs(&self, pairs: &[Pair], beta: f64, reference: &[f64]) -> Result<Outcome, Error> {
        let batch = self.batch(answers(pairs))?;
        if batch.targets.numel() == 0 {
            return Ok(preferences(&vec![0.0; 2 * pairs.len()], reference, beta).0);
        }
        let kept = Kept::forward(self.network, self.pass, &batch, self.by_block)?;
        // What a target weighs follows from the sums over all of them, so the head is computed twice.
        let weight = self.head()?;
        let losses = head::losses(kept.states(), &weight, &batch.targets, Wanted::default())?.losses;
        drop(weight);
        let (outcome, factors) = preferences(&log_probabilities(&losses, &batch.counts), reference, beta);
        let each = factors.iter().zip(&batch.counts);
        let rows: Vec<f32> = each
            .flat_map(|(factor, count)| std::iter::repeat_n(*factor as f32, *count))
            .collect();
        self.back(kept, &batch, Some(&Tensor::f_from_slice(&rows)?))?;
        Ok(outcome)
    }

    /// Goes back from the head; each target's loss counts `factors` times, `[targets]`.
    fn back(&self, kept: Kept<'_>, batch: &Batch, factors: Option<&Tensor>) -> Result<Vec<f32>, Error> {
        let trained = self.network.head().trained();
        let wanted = Wanted {
            gradients: Some(factors),
            weight: trained.is_some(),
        };
        let found = head::losses(kept.states(), &self.head()?, &batch.targets, wanted)?;
        if let Some(states) = &found.states {
            kept.backward(states)?;
        }
        if let (Some(id), Some(gradient)) = (trained, &found.weight) {
            self.pass.parameters.add_gradient(id, gradient)?;
        }
        Ok(found.losses)
    }

    /// Measures texts without learning.
    pub fn measure_texts(&self, texts: &[&Sequence]) -> Result<Outcome, Error> {
        let batch = self.batch(texts.iter().copied())?;
        let found = self.measure(&batch)?;
        Ok(Outcome {
            loss: total(&found.losses),
            weight: found.losses.len() as f64,
            correct: found.correct,
            ..Outcome::default()
        })
    }

    /// The log-probability of each answer: chosen, rejected, chosen, ...
    pub fn measure_pairs(&self, pairs: &[Pair]) -> Result<Vec<f64>, Error> {
        let batch = self.batch(answers(pairs))?;
        let found = self.measure(&batch)?;
        Ok(log_probabilities(&found.losses, &batch.counts))
    }

    fn measure(&self, batch: &Batch) -> Result<head::Losses, Error> {
        let _guard = tch::no_grad_guard();
        let rows = self.network.rows(self.pass, batch)?;
        let hidden = self.network.forward(self.pass, batch, &rows)?;
        let states = self.network.states(self.pass, &hidden, &batch.places)?;
        drop(hidden);
        Ok(head::losses(&states, &self.head()?, &batch.targets, Wanted::default())?)
    }

    /// The likeliest token after a text.
    pub fn next(&self, tokens: &[i64]) -> Result<i64, Error> {
        let last = tokens.len() as i64 - 1;
        Ok(self
            .logits_at(tokens, &[last])?
            .f_argmax(-1, false)?
            .f_int64_value(&[0])?)
    }

    /// What follows each token, `[tokens, vocabulary]`.
    #[cfg(test)]
    pub fn logits(&self, tokens: &[i64]) -> Result<Tensor, Error> {
        self.logits_at(tokens, &(0..tokens.len() as i64).collect::<Vec<_>>())
    }

    fn logits_at(&self, tokens: &[i64], places: &[i64]) -> Result<Tensor, Error> {
        let _guard = tch::no_grad_guard();
        let text = Sequence {
            tokens: tokens.to_vec(),
            targets: vec![crate::IGNORE; tokens.len()],
        };
        let batch = self.batch([&text])?;
        let rows = self.network.rows(self.pass, &batch)?;
        let hidden = self.network.forward(self.pass, &batch, &rows)?;
        let states = self
            .network
            .states(self.pass, &hidden, &Tensor::f_from_slice(places)?)?;
        Ok(states.f_linear::<Tensor>(&self.head()?, None)?)
    }

    fn batch<'t>(&self, texts: impl IntoIterator<Item = &'t Sequence>) -> Result<Batch, Error> {
        Batch::new(texts, self.network.config.vocabulary_size)
    }

    fn head(&self) -> Result<Tensor, TchError> {
        let _guard = tch::no_grad_guard();
        self.network.head().get(self.pass.parameters, self.network.kind)
    }
}

/// The loss of pairs, and what the loss of a target of each answer counts in its gradient.
pub(crate) fn preferences(answers: &[f64], reference: &[f64], beta: f64) -> (Outcome, Vec<f64>) {
    let mut outcome = Outcome::default();
    let mut factors = Vec::with_capacity(answers.len());
    for (mine, base) in answers.chunks_exact(2).zip(reference.chunks_exact(2)) {
        let rewards = [beta * (mine[0] - base[0]), beta * (mine[1] - base[1])];
        let margin = rewards[0] - rewards[1];
        let right = margin > 0.0;
        // The logarithm of a sigmoid, without overflow.
        outcome.loss += (-margin).max(0.0) + (-margin.abs()).exp().ln_1p();
        outcome.weight += 1.0;
        outcome.correct += u64::from(right);
        let figures = [
            rewards[0],
            rewards[1],
            margin,
            f64::from(u8::from(right)),
            mine[0],
            mine[1],
        ];
        for (sum, figure) in outcome.metrics.iter_mut().zip(figures) {
            *sum += figure;
        }
        let wrong = 1.0 / (1.0 + margin.exp());
        factors.extend([beta * wrong, -beta * wrong]);
    }
    (outcome, factors)
}

fn answers(pairs: &[Pair]) -> impl Iterator<Item = &Sequence> {
    pairs.iter().flat_map(|pair| [&pair.chosen, &pair.rejected])
}

fn total(losses: &[f32]) -> f64 {
    losses.iter().copied().map(f64::from).sum()
}

fn log_probabilities(losses: &[f32], counts: &[usize]) -> Vec<f64> {
    let mut rest = losses;
    let of = |count: &usize| {
        let (mine, others) = rest.split_at(*count);
        rest = others;
        -total(mine)
    };
    counts.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_a_sigmoid_of_the_margin() {
        let (outcome, factors) = preferences(&[-1.0, -1.0], &[-1.0, -1.0], 0.1);
        assert!((outcome.loss - std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!(outcome.correct, 0);
        assert!((factors[0] - 0.05).abs() < 1e-12 && (factors[1] + 0.05).abs() < 1e-12);

        let (outcome, _) = preferences(&[-1.0, -9.0], &[-2.0, -4.0], 0.5);
        assert_eq!(outcome.metrics, [0.5, -2.5, 3.0, 1.0, -1.0, -9.0]);
        let far = preferences(&[-9e5, 0.0], &[0.0, 0.0], 1.0);
        assert!(far.0.loss == 9e5 && (far.1[0] - 1.0).abs() < 1e-12);
        // The factors are the derivative.
        let loss = |first: f64| preferences(&[first, -3.0], &[-1.5, -2.5], 0.3).0.loss;
        let slope = (loss(-1.0 + 1e-6) - loss(-1.0 - 1e-6)) / 2e-6;
        let (_, factors) = preferences(&[-1.0, -3.0], &[-1.5, -2.5], 0.3);
        assert!((slope + factors[0]).abs() < 1e-6, "{slope} {factors:?}");
    }
}
