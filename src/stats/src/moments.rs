//! Sums over values that come in clusters: mean, variance, and how much less clustered values are worth.

use std::collections::BTreeMap;

/// Clusters whose sums are kept. One that is forgotten and comes back counts as a new one, so the variance is
/// too small where more than this many conversations are alive at once.
const CLUSTERS: usize = 1024;

/// Running sums of a value: constant time for each, bounded memory.
///
/// Values of one cluster (a conversation) may depend on each other in any way; those of different clusters
/// are independent. The variance of a mean is then the sum over clusters of squared sums of residuals (Liang &
/// Zeger 1986; Miller 2024, "Adding Error Bars to Evals", arXiv 2411.00640, 2.2), which is kept up to date
/// value by value, without waiting for a cluster to end: what is short is not counted before what is long.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Moments {
    /// The first value, from which all others are measured: squares of large numbers would cancel.
    origin: f64,
    count: u64,
    sum: f64,
    squares: f64,
    cubes: f64,
    lowest: f64,
    highest: f64,
    clusters: ClusterSums,
}

/// Sums over clusters: of squared sums, of sums times sizes, of squared sizes.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct ClusterSums {
    squares: f64,
    products: f64,
    sizes: f64,
    alive: BTreeMap<u64, Alive>,
}

/// A cluster that may still grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct Alive {
    size: f64,
    sum: f64,
    last: u64,
}

impl Moments {
    /// Adds a value of a cluster; without a cluster it stands alone.
    pub fn push(&mut self, cluster: Option<u64>, value: f64) {
        if self.count == 0 {
            self.origin = value;
        }
        let value = value - self.origin;
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
        self.cubes += value.powi(3);
        self.lowest = self.lowest.min(value);
        self.highest = self.highest.max(value);
        let count = self.count;
        let mut alone = Alive::default();
        let sums = &mut self.clusters;
        let cluster = match cluster {
            Some(key) => {
                if sums.alive.len() >= CLUSTERS && !sums.alive.contains_key(&key) {
                    forget_half(&mut sums.alive);
                }
                sums.alive.entry(key).or_default()
            }
            None => &mut alone,
        };
        sums.squares += 2.0 * cluster.sum * value + value * value;
        sums.products += cluster.sum + (cluster.size + 1.0) * value;
        sums.sizes += 2.0 * cluster.size + 1.0;
        *cluster = Alive {
            size: cluster.size + 1.0,
            sum: cluster.sum + value,
            last: count,
        };
    }

    /// How many values there are.
    pub fn count(&self) -> f64 {
        self.count as f64
    }

    /// Their mean; 0 where there are none.
    pub fn mean(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        self.origin + self.sum / self.count()
    }

    /// The sum of squared residuals, as if each value stood alone.
    pub fn residuals(&self) -> f64 {
        (self.squares - self.sum * self.sum / self.count().max(1.0)).max(0.0)
    }

    /// Their skewness: the third central moment over the deviation cubed; 0 where all are equal.
    pub fn skewness(&self) -> f64 {
        let (count, middle) = (self.count().max(1.0), self.sum / self.count().max(1.0));
        let variance = self.residuals() / count;
        let third = (self.cubes - 3.0 * middle * self.squares) / count + 2.0 * middle.powi(3);
        let skewness = third / variance.powf(1.5);
        if skewness.is_finite() { skewness } else { 0.0 }
    }

    /// How many independent values these would be if those of a cluster were all alike: (sum of sizes)^2 over
    /// the sum of squared sizes (Kish 1965).
    pub fn units(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        self.count() * self.count() / self.clusters.sizes
    }

    /// The sum over clusters of squared sums of residuals, at least as large as [`Self::residuals`], and
    /// corrected for there being few clusters. A variance below that of values that stand alone is more likely
    /// chance than clusters that balance themselves.
    pub fn clustered_residuals(&self) -> f64 {
        let units = self.units();
        if units <= 1.0 {
            return self.residuals();
        }
        (self.raw_clustered_residuals() * units / (units - 1.0)).max(self.residuals())
    }

    fn raw_clustered_residuals(&self) -> f64 {
        let mean = self.sum / self.count().max(1.0);
        let sums = &self.clusters;
        (sums.squares - 2.0 * mean * sums.products + mean * mean * sums.sizes).max(0.0)
    }

    /// The standard deviation of one value if as many independent ones were to give the same error of the
    /// mean; 0 where there are none.
    pub fn deviation(&self) -> f64 {
        (self.clustered_residuals() / self.count().max(1.0)).sqrt()
    }

    /// How many times as many values are needed as if each stood alone (the design effect, Kish 1965): exactly
    /// 1 where they do, and at most the mean size of the cluster that a value is in.
    ///
    /// It is estimated as if one more value, as far off as the farthest, had been shared by a whole cluster:
    /// of few rare events it cannot be said that they come alone.
    pub fn design_effect(&self) -> f64 {
        if self.count == 0 {
            return 1.0;
        }
        let largest = self.clusters.sizes / self.count();
        if largest <= 1.0 {
            return 1.0;
        }
        let middle = self.sum / self.count();
        let farthest = (self.highest - middle).max(middle - self.lowest).powi(2);
        if farthest <= 0.0 {
            return largest;
        }
        let effect = (self.clustered_residuals() + largest * farthest) / (self.residuals() + farthest);
        effect.clamp(1.0, largest)
    }
}

/// Forgets the half that has not grown for longest, so that it happens once in many values.
fn forget_half(alive: &mut BTreeMap<u64, Alive>) {
    let mut last: Vec<u64> = alive.values().map(|cluster| cluster.last).collect();
    last.sort_unstable();
    let since = last[last.len() / 2];
    alive.retain(|_, cluster| cluster.last >= since);
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn sums_are_those_of_the_textbook_even_far_from_zero() {
        let mut moments = Moments::default();
        for value in [1e9 + 1.0, 1e9 + 2.0, 1e9 + 4.0, 1e9 + 5.0] {
            moments.push(None, value);
        }
        assert_eq!(moments.mean(), 1e9 + 3.0);
        assert_eq!(moments.residuals(), 10.0);
        assert!((moments.clustered_residuals() - 10.0 * 4.0 / 3.0).abs() < 1e-9);
        assert_eq!((moments.units(), moments.design_effect()), (4.0, 1.0));
    }

    #[test]
    fn skewness_is_that_of_the_textbook() {
        let mut moments = Moments::default();
        assert_eq!(moments.skewness(), 0.0);
        for i in 0..100 {
            moments.push(None, if i % 10 == 3 { 4.0 } else { 3.0 });
        }
        // (1 - 2 p) / sqrt(p (1 - p)) for a tenth.
        assert!((moments.skewness() - 0.8 / 0.3).abs() < 1e-9, "{}", moments.skewness());
    }

    #[test]
    fn interleaved_clusters_give_the_same_as_one_after_another() {
        let (mut together, mut mixed) = (Moments::default(), Moments::default());
        let values = [(1, 1.0), (1, 1.5), (1, 2.5), (2, -1.0), (2, 0.0), (3, 7.0)];
        for (key, value) in values {
            together.push(Some(key), value);
        }
        for i in [0, 3, 5, 1, 4, 2] {
            mixed.push(Some(values[i].0), values[i].1);
        }
        assert!((together.clustered_residuals() - mixed.clustered_residuals()).abs() < 1e-9);
        // By hand: the mean is 11/6; sums of residuals -0.5, -14/3, 31/6; sizes 3, 2, 1, so 36/14 units.
        let sum = 0.25 + (14.0_f64 / 3.0).powi(2) + (31.0_f64 / 6.0).powi(2);
        let units: f64 = 36.0 / 14.0;
        assert!((together.clustered_residuals() - sum * units / (units - 1.0)).abs() < 1e-9);
    }

    #[test]
    fn copies_within_a_cluster_are_worth_one_and_independent_values_all() {
        let mut random = StdRng::seed_from_u64(1);
        let (mut copies, mut alone) = (Moments::default(), Moments::default());
        for key in 0..2000 {
            let value = random.random::<f64>();
            for _ in 0..5 {
                copies.push(Some(key), value);
                alone.push(Some(key), random.random());
            }
        }
        assert!((copies.design_effect() - 5.0).abs() < 0.1, "{}", copies.design_effect());
        assert!((alone.design_effect() - 1.0).abs() < 0.1, "{}", alone.design_effect());
    }

    #[test]
    fn clusters_without_any_difference_are_taken_for_copies() {
        let mut moments = Moments::default();
        for i in 0..100 {
            moments.push(Some(i / 4), 0.0);
        }
        assert_eq!(moments.design_effect(), 4.0);
    }

    #[test]
    fn memory_is_bounded_and_living_clusters_are_kept() {
        let mut moments = Moments::default();
        for i in 0..10_000 {
            moments.push(Some(i + 1), 1.0);
            moments.push(Some(0), 1.0);
        }
        assert!(moments.clusters.alive.len() <= CLUSTERS);
        assert_eq!(moments.clusters.alive[&0].size, 10_000.0);
    }
}
