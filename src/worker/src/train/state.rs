//! What the loop knows beside the trainer: kept with every checkpoint, so that going on makes no difference.

use std::collections::VecDeque;

use protocol::tune::TrainSample;
use serde::{Deserialize, Serialize};

use super::compute::Compute;

/// Steps whose mean loss is reported.
const ENDS: usize = 5;

/// Where a training is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// What it is computed with.
    #[serde(default)]
    pub compute: Option<Compute>,
    /// What was measured before the first step.
    pub before: Before,
    /// Losses of the first steps.
    pub first: Vec<f64>,
    /// Losses of the last steps.
    pub last: VecDeque<f64>,
    /// The last measurement on the validation part, and the step that it was made at.
    pub measured: Option<At>,
    /// The best one.
    pub best: Option<At>,
    /// Measurements since then.
    pub worse: u32,
    /// Whether it ended because nothing got better.
    pub stopped: bool,
    /// Tokens of input so far.
    pub tokens: u64,
    /// Seconds of training over all attempts.
    pub seconds: f64,
}

/// A loss on the validation part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct At {
    /// After so many changes of the weights.
    pub step: u64,
    /// Mean over what is learned.
    pub loss: f64,
}

/// What is known of the base.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Before {
    /// Loss on the validation part.
    pub loss: Option<f64>,
    /// Perplexity on general text.
    pub perplexity: Option<f64>,
    /// What it answers.
    pub samples: Vec<TrainSample>,
}

impl State {
    /// Takes a step down.
    pub fn add(&mut self, loss: f64, tokens: u64) {
        if self.first.len() < ENDS {
            self.first.push(loss);
        }
        self.last.push_back(loss);
        if self.last.len() > ENDS {
            self.last.pop_front();
        }
        self.tokens += tokens;
    }

    /// Takes a measurement down; returns whether it is the best so far. Progress smaller than `least` does not count.
    pub fn measure(&mut self, step: u64, loss: f64, least: f64) -> bool {
        let now = At { step, loss };
        self.measured = Some(now);
        let better = self.best.is_none_or(|best| loss < best.loss - least);
        if better {
            self.best = Some(now);
            self.worse = 0;
        } else {
            self.worse += 1;
        }
        better
    }

    /// Mean loss of the first steps.
    pub fn first_loss(&self) -> f64 {
        mean(self.first.iter())
    }

    /// Mean loss of the last steps.
    pub fn last_loss(&self) -> f64 {
        mean(self.last.iter())
    }
}

fn mean<'a>(values: impl ExactSizeIterator<Item = &'a f64>) -> f64 {
    let count = values.len().max(1);
    values.sum::<f64>() / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_means_of_up_to_five() {
        let mut state = State::default();
        assert_eq!((state.first_loss(), state.last_loss()), (0.0, 0.0));
        (1..=7).for_each(|loss| state.add(f64::from(loss), 10));
        assert_eq!((state.first_loss(), state.last_loss(), state.tokens), (3.0, 5.0, 70));
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
    }

    #[test]
    fn little_progress_is_none() {
        let mut state = State::default();
        assert!(state.measure(1, 2.0, 0.1));
        assert!(!state.measure(2, 1.95, 0.1));
        assert!(!state.measure(3, 2.5, 0.1));
        assert_eq!((state.worse, state.best.map(|it| it.step)), (2, Some(1)));
        assert!(state.measure(4, 1.8, 0.1));
        assert_eq!((state.worse, state.measured), (0, state.best));
    }
}
