//! How often values occurred, by buckets of equal relative width.

use std::collections::BTreeMap;

/// Relative width of a bucket: quantiles are known to half a percent.
const WIDTH: f64 = 0.005;

/// Positive values beyond these are counted at the edge, which bounds the number of buckets to 8 300.
const RANGE: (f64, f64) = (1e-9, 1e9);

/// Counts of positive values by buckets that are half a percent wide: constant time for each value, bounded
/// memory, exact counts (DDSketch without its collapsing: Masson, Rim, Lee 2019, VLDB 12(12)).
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Sketch {
    count: u64,
    buckets: BTreeMap<i32, u64>,
}

impl Sketch {
    /// Counts a value.
    pub fn push(&mut self, value: f64) {
        self.count += 1;
        *self.buckets.entry(bucket(value)).or_default() += 1;
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The buckets with values in ascending order, each with the number of values up to and including it.
    pub fn cumulative(&self) -> Cumulative {
        let mut sum = 0;
        let steps = self.buckets.iter().map(|(bucket, count)| {
            sum += count;
            (*bucket, sum)
        });
        Cumulative(steps.collect())
    }
}

/// The bucket of a value: it holds what is above the edge of the one before and at most its own edge.
pub(crate) fn bucket(value: f64) -> i32 {
    (value.clamp(RANGE.0, RANGE.1).ln() / WIDTH).ceil() as i32
}

/// The upper edge of a bucket.
pub(crate) fn edge(bucket: i32) -> f64 {
    (f64::from(bucket) * WIDTH).exp()
}

/// The buckets that a factor is worth, rounded down.
pub(crate) fn steps(factor: f64) -> i32 {
    (factor.ln() / WIDTH + 1e-9).floor() as i32
}

/// Numbers of values up to each bucket.
pub(crate) struct Cumulative(Vec<(i32, u64)>);

impl Cumulative {
    /// The number of values in buckets up to and including `bucket`.
    pub fn up_to(&self, bucket: i32) -> u64 {
        match self.0.partition_point(|step| step.0 <= bucket) {
            0 => 0,
            after => self.0[after - 1].1,
        }
    }

    /// The buckets that have values.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = i32> {
        self.0.iter().map(|step| step.0)
    }

    /// The first bucket at which a property holds, if it holds from there on.
    pub fn first(&self, holds: impl Fn(i32) -> bool) -> Option<i32> {
        let at = self.0.partition_point(|step| !holds(step.0));
        self.0.get(at).map(|step| step.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_in_its_bucket() {
        for value in [1e-9, 0.003, 0.25, 1.0, 7.5, 1e8] {
            let bucket = bucket(value);
            let (above, edge) = (edge(bucket - 1), edge(bucket));
            assert!(
                above < value * (1.0 + 1e-12) && value <= edge * (1.0 + 1e-12),
                "{value}"
            );
            assert!(edge / value < 1.0051, "{value}");
        }
    }

    #[test]
    fn counts_up_to_a_bucket_are_those_of_all_before() {
        let mut sketch = Sketch::default();
        for value in [0.1, 0.2, 0.2, 0.3] {
            sketch.push(value);
        }
        let counts = sketch.cumulative();
        assert_eq!(sketch.count(), 4);
        let up_to = |value: f64| counts.up_to(bucket(value));
        assert_eq!([0.05, 0.1, 0.15, 0.2, 0.3, 9.0].map(up_to), [0, 1, 1, 3, 4, 4]);
        assert_eq!(counts.first(|at| counts.up_to(at) >= 3), Some(bucket(0.2)));
        assert_eq!(counts.first(|at| counts.up_to(at) >= 5), None);
    }

    #[test]
    fn a_factor_is_rounded_down_to_buckets() {
        assert_eq!([1.0, 1.1, 0.9].map(steps), [0, 19, -22]);
    }
}
