//! Looks at all that is visible, and measures the best.

use super::{Block, Candidate, Probe, Top};

/// How the scores of all visible chunks lie: what is far above them all stands out, whatever the model's cosines are.
/// Sums are of integers, so that they do not depend on the order of chunks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread {
    count: u64,
    sum: i64,
    squares: i64,
}

impl Spread {
    /// A cosine's steps. Squares of them fit for more than any index has chunks.
    const STEPS: f32 = 32768.0;

    #[inline]
    fn add(&mut self, score: f32) {
        let steps = i64::from((score * Self::STEPS) as i32);
        self.count += 1;
        self.sum += steps;
        self.squares += steps * steps;
    }

    /// By how many standard deviations of all scores a score is above their mean: 0 where they do not differ. Among n
    /// chunks it is at most (n-1)/sqrt(n).
    pub(crate) fn margin(&self, score: f32) -> f32 {
        if self.count < 2 {
            return 0.0;
        }
        let (count, steps) = (self.count as f64, f64::from(Self::STEPS));
        let mean = self.sum as f64 / count;
        let variance = self.squares as f64 / count - mean * mean;
        // Less than a step is nothing but rounding.
        if variance < 1.0 {
            return 0.0;
        }
        ((f64::from(score) * steps - mean) / variance.sqrt()) as f32
    }
}

/// The best `keep` chunks by a look at all of `blocks`, from the best.
pub(crate) fn look(blocks: &[&Block], probe: &Probe, keep: usize) -> (Vec<Candidate>, Spread) {
    let (mut top, mut spread) = (Top::new(keep), Spread::default());
    let mut scores = Vec::new();
    for (number, block) in (0..).zip(blocks) {
        let (codes, scales) = block.codes();
        probe.look(codes, scales, &mut scores);
        for (row, score) in (0..).zip(scores.iter().copied()) {
            spread.add(score);
            if top.may_take(score) {
                let (chunk, block) = (block.chunk(row), number);
                top.offer(Candidate {
                    score,
                    chunk,
                    block,
                    row,
                });
            }
        }
    }
    (top.into_sorted(), spread)
}

/// Gives candidates their cosine for a score, and sorts them by it from the best.
pub(crate) fn measure(blocks: &[&Block], probe: &mut Probe, candidates: &mut [Candidate]) {
    for candidate in candidates.iter_mut() {
        candidate.score = probe.measure(blocks[candidate.block as usize].halves(candidate.row as usize));
    }
    candidates.sort_unstable_by(|a, b| b.cmp(a));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_out_has_a_margin() {
        let mut spread = Spread::default();
        assert_eq!(spread.margin(1.0), 0.0);
        (0..100).for_each(|i| spread.add(0.5 + 0.01 * (i % 2) as f32));
        assert!((spread.margin(0.605) - 20.0).abs() < 0.1, "{}", spread.margin(0.605));
        let mut flat = Spread::default();
        (0..100).for_each(|_| flat.add(0.25));
        assert_eq!(flat.margin(0.25), 0.0);
    }
}
