//! Which requests are copied.
//!
//! A hash of a stable key decides, salted by the experiment's uid: all gateways decide alike without asking each other,
//! a conversation is copied as a whole or not at all, and the same people are not the first to be copied in every
//! experiment. A share that is raised keeps what it had.

mod bucket;
mod key;
mod percent;

pub use bucket::TokenBucket;
pub use key::{Asker, Key};
pub use percent::{Percent, PercentError};

use sha2::{Digest, Sha256};

/// Decides which keys belong to the share that is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampler {
    uid: String,
    percent: Percent,
}

impl Sampler {
    /// One for the ShadowDeployment with this `metadata.uid`.
    pub fn new(uid: impl Into<String>, percent: Percent) -> Self {
        Self {
            uid: uid.into(),
            percent,
        }
    }

    /// Changes the share from now on. Of two shares the larger one has all keys of the smaller one.
    pub fn set_percent(&mut self, percent: Percent) {
        self.percent = percent;
    }

    /// The share.
    pub fn percent(&self) -> Percent {
        self.percent
    }

    /// Whether requests with this key are copied.
    pub fn includes(&self, key: &Key) -> bool {
        let hash = self.hash(b"share", key);
        let mut place = [0; 8];
        place.copy_from_slice(&hash[..8]);
        self.percent.covers(u64::from_be_bytes(place))
    }

    /// What pairs with this key are counted together by: 16 hex digits that tell nothing about the key and cannot be
    /// matched with another experiment's.
    pub fn cluster(&self, key: &Key) -> String {
        // Under another label: those that are copied would all begin with the same digits otherwise.
        hex::encode(&self.hash(b"cluster", key)[..8])
    }

    fn hash(&self, label: &[u8], key: &Key) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in [label, self.uid.as_bytes(), key.as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const UID: &str = "6f1c1f6e-0d7f-4e0a-9a58-3c6f4f0a9b11";

    fn sampler(percent: &str) -> Sampler {
        Sampler::new(UID, percent.parse().unwrap())
    }

    fn chosen(sampler: &Sampler, keys: u32) -> Vec<u32> {
        (0..keys)
            .filter(|i| sampler.includes(&Key::request(&i.to_string())))
            .collect()
    }

    #[rstest]
    #[case("0%")]
    #[case("0.1%")]
    #[case("10%")]
    #[case("33.333333%")]
    #[case("50%")]
    #[case("99.9%")]
    #[case("100%")]
    fn the_share_is_that_of_a_binomial_distribution(#[case] percent: &str) {
        const KEYS: u32 = 50_000;
        let count = chosen(&sampler(percent), KEYS).len() as f64;
        let share: f64 = percent.trim_end_matches('%').parse::<f64>().unwrap() / 100.0;
        let mean = f64::from(KEYS) * share;
        let deviation = (mean * (1.0 - share)).sqrt();
        assert!((count - mean).abs() <= 3.0 * deviation, "{percent}: {count} of {KEYS}");
    }

    #[test]
    fn experiments_choose_independently() {
        let other = Sampler::new("another uid", "50%".parse().unwrap());
        let here = chosen(&sampler("50%"), 20_000);
        let both = here.iter().filter(|i| other.includes(&Key::request(&i.to_string())));
        // A quarter, to three standard deviations.
        let (mean, deviation) = (5_000.0, (20_000.0 * 0.25 * 0.75f64).sqrt());
        assert!((both.count() as f64 - mean).abs() <= 3.0 * deviation);
    }

    #[test]
    fn a_cluster_tells_neither_the_key_nor_the_place() {
        let keys: Vec<_> = (0..200).map(|i| Key::request(&i.to_string())).collect();
        let one = sampler("10%");
        let clusters: std::collections::BTreeSet<_> = keys.iter().map(|key| one.cluster(key)).collect();
        assert_eq!(clusters.len(), keys.len());
        let other = Sampler::new("another uid", "10%".parse().unwrap());
        assert!(keys.iter().all(|key| !clusters.contains(&other.cluster(key))));
        // Of those in the first tenth about a tenth, and not all, have a cluster in the first tenth.
        let within: Vec<_> = keys.iter().filter(|key| one.includes(key)).collect();
        let low = within.iter().filter(|key| one.cluster(key).starts_with(['0', '1']));
        assert!(low.count() < within.len());
    }

    proptest! {
        #[test]
        fn a_larger_share_keeps_what_it_had(few in 0u32..=100_000_000, more in 0u32..=100_000_000, key in ".*") {
            let (few, more) = (few.min(more), few.max(more));
            let key = Key::request(&key);
            let mut sampler = Sampler::new(UID, Percent::from_millionths(few));
            let was_in = sampler.includes(&key);
            sampler.set_percent(Percent::from_millionths(more));
            prop_assert!(!was_in || sampler.includes(&key));
        }
    }
}
