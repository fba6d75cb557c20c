//! Chooses tokens by their logits.

use std::collections::HashMap;

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::Sampling;

/// Candidates that are sorted at first; more only if they hold too little probability.
const FIRST_CANDIDATES: usize = 256;

/// The choice of one request's tokens: its settings, its random numbers, and what it chose so far.
pub(crate) struct Sampler {
    sampling: Sampling,
    random: StdRng,
    counts: HashMap<u32, u32>,
}

impl Sampler {
    pub fn new(sampling: Sampling) -> Self {
        let random = match sampling.seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => StdRng::from_os_rng(),
        };
        Self {
            sampling,
            random,
            counts: HashMap::new(),
        }
    }

    /// Chooses the next token by the logits of all tokens, which it changes.
    pub fn choose(&mut self, logits: &mut [f32]) -> u32 {
        self.penalize(logits);
        let token = if self.sampling.temperature <= 0.0 {
            likeliest(logits)
        } else {
            self.draw(logits)
        };
        *self.counts.entry(token).or_default() += 1;
        token
    }

    fn penalize(&self, logits: &mut [f32]) {
        let Sampling {
            frequency_penalty,
            presence_penalty,
            ..
        } = self.sampling;
        if frequency_penalty == 0.0 && presence_penalty == 0.0 {
            return;
        }
        for (token, count) in &self.counts {
            logits[*token as usize] -= frequency_penalty * *count as f32 + presence_penalty;
        }
    }

    fn draw(&mut self, logits: &[f32]) -> u32 {
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |logit: f32| ((logit - highest) / self.sampling.temperature).exp();
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
mod tests {
    use rstest::rstest;

    use super::*;

    fn sampler(change: impl FnOnce(&mut Sampling)) -> Sampler {
        let mut sampling = Sampling {
            seed: Some(1),
            ..Sampling::default()
        };
        change(&mut sampling);
        Sampler::new(sampling)
    }

    /// How often each of the tokens comes in 4000 draws.
    fn shares(sampler: &mut Sampler, logits: &[f32]) -> Vec<f32> {
        let mut counts = vec![0u16; logits.len()];
        for _ in 0..4000 {
            counts[sampler.choose(&mut logits.to_vec()) as usize] += 1;
        }
        counts.into_iter().map(|count| f32::from(count) / 4000.0).collect()
    }

    #[test]
    fn temperature_zero_takes_the_likeliest() {
        assert_eq!(
            shares(&mut sampler(|s| s.temperature = 0.0), &[0.0, 2.0, 1.0]),
            [0.0, 1.0, 0.0]
        );
    }

    #[rstest]
    #[case(1.0, [0.25, 0.75])]
    #[case(0.5, [0.1, 0.9])]
    fn draws_follow_the_tempered_probabilities(#[case] temperature: f32, #[case] expected: [f32; 2]) {
        let shares = shares(&mut sampler(|s| s.temperature = temperature), &[0.0, 3f32.ln()]);
        assert!(
            shares.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.03),
            "{shares:?}"
        );
    }

    #[test]
    fn top_k_and_top_p_cut_the_tail() {
        // Probabilities 0.1, 0.4, 0.2, 0.3.
        let logits = [0.1f32, 0.4, 0.2, 0.3].map(f32::ln);
        let kept = |mut sampler: Sampler| {
            let shares = shares(&mut sampler, &logits);
            shares.iter().map(|share| *share > 0.0).collect::<Vec<_>>()
        };
        assert_eq!(kept(sampler(|s| s.top_k = 2)), [false, true, false, true]);
        assert_eq!(kept(sampler(|s| s.top_p = 0.69)), [false, true, false, true]);
        assert_eq!(kept(sampler(|s| s.top_p = 0.01)), [false, true, false, false]);
        // 0.4 is 57 % of what top-k leaves.
        let both = |s: &mut Sampling| (s.top_k, s.top_p) = (2, 0.5);
        assert_eq!(kept(sampler(both)), [false, true, false, false]);
    }

    #[test]
    fn a_flat_distribution_needs_more_than_the_first_candidates() {
        let mut sampler = sampler(|s| s.top_p = 0.9);
        let drawn: Vec<u32> = (0..2000).map(|_| sampler.choose(&mut vec![0.0; 5000])).collect();
        assert!(drawn.iter().any(|token| *token > 4000));
        assert!(drawn.iter().all(|token| *token < 4501), "ties go to the lower token");
    }

    #[test]
    fn penalties_count_what_was_chosen() {
        let mut sampler = sampler(|s| (s.temperature, s.frequency_penalty, s.presence_penalty) = (0.0, 0.4, 0.3));
        let chosen: Vec<u32> = (0..5).map(|_| sampler.choose(&mut [1.0, 0.0])).collect();
        // 1.0, 0.3, then -0.1 < 0.0; after it 0.0 - 0.7.
        assert_eq!(chosen, [0, 0, 1, 0, 0]);
    }

    #[test]
    fn equal_seeds_choose_equally() {
        let draw = |seed| {
            let mut sampler = sampler(|s| s.seed = Some(seed));
            (0..20).map(|_| sampler.choose(&mut [0.0; 1000])).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
