//! Chooses tokens by their logits.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    Failure, Sampling, TokenConstraint, TokenMask,
    draw::{Choice, Draw},
};

/// Candidates that are sorted at first; more only if they hold too little probability.
const FIRST_CANDIDATES: usize = 256;

/// The choice of one request's tokens: its settings, its random numbers, and what it chose so far.
pub(crate) struct Sampler {
    sampling: Sampling,
    random: StdRng,
    constraint: Option<Box<dyn TokenConstraint>>,
    /// Tokens of the prompt, if they matter.
    prompt: HashSet<u32>,
    /// How often the answer has each of its tokens.
    counts: HashMap<u32, u32>,
}

impl Sampler {
    /// For the answer to `prompt`.
    pub fn new(sampling: Sampling, constraint: Option<Box<dyn TokenConstraint>>, prompt: &[u32]) -> Self {
        let random = match sampling.seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => StdRng::from_os_rng(),
        };
        Self {
            prompt: match sampling.repetition_penalty == 1.0 {
                true => HashSet::new(),
                false => prompt.iter().copied().collect(),
            },
            sampling,
            random,
            constraint,
            counts: HashMap::new(),
        }
    }

    /// Chooses the next token by the logits of all tokens, and says how unlikely the model itself
    /// found it: -ln of its probability. `log_sum_exp` is of the same logits.
    ///
    /// # Errors
    /// When the logits are no numbers, or the constraint gives up.
    pub fn choose(&mut self, logits: &[f32], log_sum_exp: f32) -> Result<(u32, f32), Failure> {
        if !log_sum_exp.is_finite() {
            return Err(Failure::NotFinite);
        }
        let mut changed = Cow::Borrowed(logits);
        if self.is_biased() {
            self.bias(changed.to_mut());
        }
        if let Some(constraint) = &mut self.constraint {
            constrain(constraint.as_mut(), changed.to_mut())?;
        }
        let token = if self.sampling.temperature <= 0.0 {
            likeliest(&changed)
        } else {
            self.draw(&changed)
        };
        // Rounding may put a token slightly above certainty.
        Ok((token, (log_sum_exp - logits[token as usize]).max(0.0)))
    }

    /// How it chooses the next token if it needs no more than the logits for that: then it can be done where
    /// they are. Each call draws a random number.
    pub fn plan(&mut self) -> Option<Choice> {
        if self.constraint.is_some() || self.is_biased() {
            return None;
        }
        let Sampling {
            temperature,
            top_p,
            top_k,
            min_p,
            ..
        } = self.sampling;
        Some(match temperature <= 0.0 {
            true => Choice::Likeliest,
            false => Choice::Drawn(Draw {
                temperature,
                top_p,
                top_k,
                min_p,
                random: self.random.random(),
            }),
        })
    }

    /// Takes note that a token is part of the answer. True if the constraint lets nothing follow.
    ///
    /// # Errors
    /// When the constraint gives up.
    pub fn accept(&mut self, token: u32) -> Result<bool, Failure> {
        *self.counts.entry(token).or_default() += 1;
        let Some(constraint) = &mut self.constraint else {
            return Ok(false);
        };
        guarded(|| {
            constraint.accept(token)?;
            Ok(constraint.is_complete())
        })
    }

    fn is_biased(&self) -> bool {
        let sampling = &self.sampling;
        !sampling.logit_bias.is_empty()
            || sampling.repetition_penalty != 1.0
            || sampling.frequency_penalty != 0.0
            || sampling.presence_penalty != 0.0
    }

    fn bias(&self, logits: &mut [f32]) {
        let Sampling {
            frequency_penalty,
            presence_penalty,
            repetition_penalty,
            ..
        } = self.sampling;
        for (token, bias) in &self.sampling.logit_bias {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit += bias;
            }
        }
        if repetition_penalty != 1.0 {
            let only_prompt = self.prompt.iter().filter(|token| !self.counts.contains_key(token));
            for token in self.counts.keys().chain(only_prompt) {
                let logit = &mut logits[*token as usize];
                *logit = match *logit > 0.0 {
                    true => *logit / repetition_penalty,
                    false => *logit * repetition_penalty,
                };
            }
        }
        for (token, count) in &self.counts {
            logits[*token as usize] -= frequency_penalty * *count as f32 + presence_penalty;
        }
    }

    fn draw(&mut self, logits: &[f32]) -> u32 {
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // The likeliest token's weight is 1.
        let weight = |logit: f32| {
            let weight = ((logit - highest) / self.sampling.temperature).exp();
            if weight < self.sampling.min_p { 0.0 } else { weight }
        };
        let limit = match self.sampling.top_k {
            0 => logits.len(),
            k => k.min(logits.len()),
        };
        if limit == logits.len() && self.sampling.top_p >= 1.0 {
            let weights: Vec<f32> = logits.iter().map(|logit| weight(*logit)).collect();
            return self.pick(
                weights
                    .iter()
                    .copied()
                    .enumerate()
                    .map(|(token, weight)| (token as u32, weight)),
            );
        }

        let total: f32 = match limit == logits.len() {
            true => logits.iter().map(|logit| weight(*logit)).sum(),
            // Top-p is of what top-k leaves.
            false => f32::NAN,
        };
        let mut tokens: Vec<u32> = (0..logits.len() as u32).collect();
        let mut sorted = FIRST_CANDIDATES.min(limit);
        loop {
            let order = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
            if sorted < tokens.len() {
                tokens.select_nth_unstable_by(sorted - 1, order);
            }
            tokens[..sorted].sort_unstable_by(order);
            let weights: Vec<f32> = tokens[..sorted]
                .iter()
                .map(|token| weight(logits[*token as usize]))
                .collect();
            let total = if total.is_nan() && sorted == limit {
                weights.iter().sum()
            } else {
                total
            };
            if let Some(kept) = nucleus(&weights, total * self.sampling.top_p).or((sorted == limit).then_some(sorted)) {
                return self.pick(tokens.iter().copied().zip(weights).take(kept));
            }
            sorted = (sorted * 8).min(limit);
        }
    }

    /// Draws one of `candidates` by their weights.
    fn pick(&mut self, candidates: impl Iterator<Item = (u32, f32)> + Clone) -> u32 {
        let total: f32 = candidates.clone().map(|(_, weight)| weight).sum();
        let mut left = self.random.random::<f32>() * total;
        let mut last = 0;
        for (token, weight) in candidates.filter(|(_, weight)| *weight > 0.0) {
            last = token;
            if left < weight {
                break;
            }
            left -= weight;
        }
        last
    }
}

fn constrain(constraint: &mut dyn TokenConstraint, logits: &mut [f32]) -> Result<(), Failure> {
    let mut allowed = TokenMask::new(logits.len());
    guarded(|| constraint.mask(&mut allowed))?;
    match allowed.apply(logits) {
        true => Ok(()),
        false => Err(Failure::Constraint("no token of the vocabulary can follow".into())),
    }
}

/// Asks a constraint. It is not the engine's own code: what panics in it fails the one request that
/// brought it, which does not ask again.
fn guarded<T>(ask: impl FnOnce() -> Result<T, String>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(ask))
        .unwrap_or_else(|_| Err("it panicked".into()))
        .map_err(Failure::Constraint)
}

/// How many of the falling `weights` it takes to reach `mass`; `None` if they do not.
fn nucleus(weights: &[f32], mass: f32) -> Option<usize> {
    let mut sum = 0.0;
    weights
        .iter()
        .position(|weight| {
            sum += weight;
            sum >= mass
        })
        .map(|index| index + 1)
}

fn likeliest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests;
