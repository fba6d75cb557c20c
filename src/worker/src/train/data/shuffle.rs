//! Random orders that take no memory.

/// A number in [0, 2^64) from another one (SplitMix64), for what has to be the same for ever.
pub fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// One number of several.
pub fn mixed(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |state, part| mix(state ^ mix(*part)))
}

const ROUNDS: u64 = 6;

/// A random order of the numbers below `count`: a Feistel network over the next power of four, whose values beyond
/// `count` are sent through again until they are below it (Black and Rogaway 2002).
#[derive(Clone, Copy, Debug)]
pub struct Shuffle {
    count: u64,
    half: u32,
    seed: u64,
}

impl Shuffle {
    /// The order of this seed.
    pub fn new(count: u64, seed: u64) -> Self {
        let bits = 64 - count.saturating_sub(1).leading_zeros();
        Self {
            count,
            half: bits.div_ceil(2).max(1),
            seed,
        }
    }

    /// The number at a place of the order; places are below `count`.
    pub fn at(&self, place: u64) -> u64 {
        debug_assert!(place < self.count, "{place} is not below {}", self.count);
        let mut number = self.round(place);
        while number >= self.count {
            number = self.round(number);
        }
        number
    }

    fn round(&self, number: u64) -> u64 {
        let mask = (1 << self.half) - 1;
        let (mut left, mut right) = (number >> self.half, number & mask);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ (mixed(&[self.seed, round, right]) & mask));
        }
        left << self.half | right
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_comes_once(count in 1u64..3000, seed: u64) {
            let shuffle = Shuffle::new(count, seed);
            let mut seen: Vec<u64> = (0..count).map(|place| shuffle.at(place)).collect();
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..count));
        }
    }

    #[test]
    fn seeds_give_other_orders() {
        let order = |seed| {
            (0..100)
                .map(|place| Shuffle::new(100, seed).at(place))
                .collect::<Vec<_>>()
        };
        assert_ne!(order(1), order(2));
        assert_eq!(order(1), order(1));
        // Neighbours do not stay neighbours.
        let near = order(1)
            .windows(2)
            .filter(|pair| pair[0].abs_diff(pair[1]) == 1)
            .count();
        assert!(near < 10, "{near}");
    }
}
