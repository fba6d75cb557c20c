//! The 16 values that the 4-bit weights of one group can have, and blocks of them (`Q4_1`).

use half::f16;

/// Largest 4-bit number.
const TOP: f32 = 15.0;
/// Weights in a block.
pub(crate) const BLOCK: usize = 32;
/// Bytes of a block: two halves, then 32 nibbles.
pub(crate) const BLOCK_BYTES: usize = 20;

/// `value = step q + minimum`; both are numbers of half precision, as the file stores them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    step: f32,
    minimum: f32,
}

impl Grid {
    pub fn new(step: f32, minimum: f32) -> Self {
        Self {
            step: f16::from_f32(step).to_f32(),
            minimum: f16::from_f32(minimum).to_f32(),
        }
    }

    /// From the smallest of the weights to the largest.
    pub fn min_max(weights: &[f32]) -> Self {
        let (minimum, maximum) = range(weights);
        Self::new((maximum - minimum) / TOP, minimum)
    }

    /// The grid with the least sum of squared errors, each times the weight's importance, among some
    /// that cut off outliers or do not, each fitted to the weights by least squares.
    pub fn fit(weights: &[f32], importance: &[f32]) -> Self {
        let start = Self::min_max(weights);
        let (minimum, maximum) = range(weights);
        let mut best = (start.error(weights, importance), start);
        if best.0 == 0.0 || maximum <= minimum {
            return start;
        }
        // As many steps as make the range a little too long, to many that make it too short.
        for tenths in (140..=220).step_by(4) {
            let step = (maximum - minimum) / (tenths as f32 / 10.0);
            for shift in [0.0, 0.5, 1.0] {
                // What is cut off is cut off below, on both sides, or above.
                let low = minimum + shift * ((maximum - minimum) - TOP * step);
                let fitted = Self::new(step, low).refitted(weights, importance);
                let error = fitted.error(weights, importance);
                if error < best.0 {
                    best = (error, fitted);
                }
            }
        }
        best.1
    }

    /// The least-squares step and minimum for the numbers that this grid gives the weights.
    fn refitted(self, weights: &[f32], importance: &[f32]) -> Self {
        let (mut one, mut q1, mut q2, mut w1, mut qw) = (0.0f64, 0.0f64, 0.0f64, 0.0f64, 0.0f64);
        for (weight, importance) in weights.iter().zip(importance) {
            let (weight, importance) = (f64::from(*weight), f64::from(*importance));
            let q = f64::from(self.quantize(weight as f32));
            one += importance;
            q1 += importance * q;
            q2 += importance * q * q;
            w1 += importance * weight;
            qw += importance * q * weight;
        }
        let determinant = one * q2 - q1 * q1;
        if determinant <= f64::EPSILON * one * q2 {
            return self;
        }
        let step = (one * qw - q1 * w1) / determinant;
        let minimum = (q2 * w1 - q1 * qw) / determinant;
        match step > 0.0 {
            true => Self::new(step as f32, minimum as f32),
            false => self,
        }
    }

    fn error(self, weights: &[f32], importance: &[f32]) -> f32 {
        let terms = weights.iter().zip(importance).map(|(weight, importance)| {
            let error = weight - self.value(self.quantize(*weight));
            importance * error * error
        });
        terms.sum()
    }

    /// The number whose value is nearest.
    #[inline]
    pub fn quantize(self, weight: f32) -> u8 {
        match self.step > 0.0 {
            true => ((weight - self.minimum) / self.step).round_ties_even().clamp(0.0, TOP) as u8,
            false => 0,
        }
    }

    /// What a number stands for.
    #[inline]
    pub fn value(self, number: u8) -> f32 {
        self.step * f32::from(number) + self.minimum
    }

    /// Step and minimum.
    pub fn parts(self) -> (f32, f32) {
        (self.step, self.minimum)
    }

    /// Writes a block of numbers.
    pub fn write(self, numbers: &[u8], block: &mut [u8]) {
        block[..2].copy_from_slice(&f16::from_f32(self.step).to_le_bytes());
        block[2..4].copy_from_slice(&f16::from_f32(self.minimum).to_le_bytes());
        let (low, high) = numbers.split_at(BLOCK / 2);
        for ((byte, low), high) in block[4..].iter_mut().zip(low).zip(high) {
            *byte = low | high << 4;
        }
    }

    /// Rounds the weights of a group to nearest and writes their blocks.
    pub fn write_nearest(self, weights: &[f32], blocks: &mut [u8]) {
        for (weights, block) in weights.chunks(BLOCK).zip(blocks.chunks_mut(BLOCK_BYTES)) {
            let mut numbers = [0; BLOCK];
            for (number, weight) in numbers.iter_mut().zip(weights) {
                *number = self.quantize(*weight);
            }
            self.write(&numbers, block);
        }
    }
}

fn range(weights: &[f32]) -> (f32, f32) {
    let start = (f32::INFINITY, f32::NEG_INFINITY);
    let wider = |(low, high): (f32, f32), weight: &f32| (low.min(*weight), high.max(*weight));
    weights.iter().fold(start, wider)
}

#[cfg(test)]
pub(crate) mod tests {
    use engine::blocks::widen;
    use gguf::GgmlType;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    /// Weights with a few large ones among many small.
    pub(crate) fn weights(count: usize, seed: u64) -> Vec<f32> {
        let mut random = StdRng::seed_from_u64(seed);
        let normal = |random: &mut StdRng| (0..6).map(|_| random.random_range(-0.5f32..0.5)).sum::<f32>();
        (0..count).map(|_| normal(&mut random).powi(3) * 0.3).collect()
    }

    fn written(grid: Grid, weights: &[f32]) -> Vec<f32> {
        let mut blocks = vec![0; weights.len() / BLOCK * BLOCK_BYTES];
        grid.write_nearest(weights, &mut blocks);
        widen(&blocks, GgmlType::Q4_1).unwrap()
    }

    #[test]
    fn what_is_written_is_the_nearest_value_and_never_half_a_step_off() {
        let weights = weights(64, 1);
        let grid = Grid::min_max(&weights);
        for (weight, value) in weights.iter().zip(written(grid, &weights)) {
            assert_eq!(value, grid.value(grid.quantize(*weight)));
            assert!(
                (weight - value).abs() <= 0.502 * grid.parts().0 + 1e-3,
                "{weight} {value}"
            );
        }
    }

    #[test]
    fn weights_on_a_grid_come_back_unchanged() {
        let grid = Grid::new(0.0123, -0.09);
        let weights: Vec<f32> = (0..32).map(|i| grid.value(i % 16)).collect();
        assert_eq!(Grid::min_max(&weights), grid);
        assert_eq!(Grid::fit(&weights, &[1.0; 32]), grid);
        assert_eq!(written(grid, &weights), weights);
    }

    #[test]
    fn a_fitted_grid_is_never_worse_and_serves_what_is_important() {
        let (mut plain, mut fitted) = (0.0, 0.0);
        for seed in 0..20 {
            let weights = weights(32, seed);
            let importance: Vec<f32> = (0..32).map(|i| if i % 8 == 0 { 100.0 } else { 1.0 }).collect();
            let of = |grid: Grid| grid.error(&weights, &importance);
            let (before, after) = (of(Grid::min_max(&weights)), of(Grid::fit(&weights, &importance)));
            assert!(after <= before);
            plain += before;
            fitted += after;
        }
        assert!(fitted < 0.8 * plain, "{fitted} {plain}");
    }

    #[test]
    fn equal_weights_are_exact() {
        let weights = [0.25f32; 32];
        assert_eq!(written(Grid::fit(&weights, &[1.0; 32]), &weights), weights);
    }
}
