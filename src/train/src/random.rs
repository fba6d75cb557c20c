//! Random numbers that follow from a seed alone: libtorch's own generator is one for the whole process, and other
//! threads take numbers from it.

use tch::{Kind, TchError, Tensor};

/// SplitMix64 (Steele et al. 2014): fast, and as random as dropout and initial values need.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence that belongs to these numbers.
    pub fn new(seeds: &[u64]) -> Self {
        let mut random = Self(0x6a09_e667_f3bc_c909);
        for seed in seeds {
            random.0 = random.next() ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        random
    }

    /// The sequence that belongs to a name.
    pub fn named(seed: u64, name: &str) -> Self {
        let bytes = name.bytes().map(u64::from);
        Self::new(&[seed].into_iter().chain(bytes).collect::<Vec<_>>())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 up to, and without, 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Equally likely values between `-bound` and `bound`.
    pub fn uniform(&mut self, shape: &[i64], bound: f64) -> Result<Tensor, TchError> {
        let count = shape.iter().product::<i64>();
        let values: Vec<f32> = (0..count).map(|_| ((2.0 * self.unit() - 1.0) * bound) as f32).collect();
        Tensor::f_from_slice(&values)?.f_view(shape)
    }

    /// Normally distributed values around zero (Box and Muller).
    pub fn normal(&mut self, shape: &[i64], deviation: f64) -> Result<Tensor, TchError> {
        let count = shape.iter().product::<i64>() as usize;
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            // The logarithm of zero is not finite.
            let radius = deviation * (-2.0 * (1.0 - self.unit()).ln()).sqrt();
            let angle = std::f64::consts::TAU * self.unit();
            values.push((radius * angle.cos()) as f32);
            values.push((radius * angle.sin()) as f32);
        }
        values.truncate(count);
        Tensor::f_from_slice(&values)?.f_view(shape)
    }

    /// What dropout multiplies activations with: 0 for `share` of them, and for the others what keeps the mean.
    pub fn mask(&mut self, shape: &[i64], share: f64, kind: Kind) -> Result<Tensor, TchError> {
        let count = shape.iter().product::<i64>() as usize;
        let mut bits: Vec<i16> = Vec::with_capacity(count + 3);
        while bits.len() < count {
            let four = self.next();
            bits.extend([0, 16, 32, 48].map(|shift| (four >> shift) as i16));
        }
        bits.truncate(count);
        let threshold = (share * 65_536.0).round() as i64 - 32_768;
        let kept = Tensor::f_from_slice(&bits)?.f_view(shape)?.f_ge(threshold)?;
        kept.f_to_kind(kind)?.f_mul_scalar(1.0 / (1.0 - share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_from_the_seed_and_are_spread_as_they_should_be() {
        let draw = |seed| Random::new(&[seed]).normal(&[100, 101], 2.0).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let deviation = draw(1).std(false).double_value(&[]);
        assert!((deviation - 2.0).abs() < 0.05, "{deviation}");
        let uniform = Random::named(1, "a").uniform(&[10_000], 0.5).unwrap();
        assert!(uniform.abs().max().double_value(&[]) <= 0.5);
        assert!(uniform.mean(Kind::Double).double_value(&[]).abs() < 0.01);
    }

    #[test]
    fn a_mask_keeps_the_mean() {
        let mask = Random::new(&[3]).mask(&[100, 333], 0.1, Kind::Float).unwrap();
        let zeros = mask.eq(0.0).to_kind(Kind::Float).mean(Kind::Double).double_value(&[]);
        assert!((zeros - 0.1).abs() < 0.01, "{zeros}");
        let mean = mask.mean(Kind::Double).double_value(&[]);
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
    }
}
