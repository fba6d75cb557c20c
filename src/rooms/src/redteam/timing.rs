//! Whether times tell what is hidden.

/// Fewer times of each kind prove nothing.
pub const LEAST: usize = 20;
/// From this probability on, times that differ so much are an accident.
pub const LEVEL: f64 = 0.01;

/// A test of two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    /// The statistic U of the first sample.
    pub u: f64,
    /// Its distance from its mean, in standard deviations, corrected for continuity; never negative.
    pub z: f64,
    /// The probability of a distance as large or larger if both samples are of one distribution (two-sided).
    pub p: f64,
    /// The probability that one of the first sample is larger than one of the second, from 0 to 1; ties count half.
    pub larger: f64,
}

/// The rank test of Mann and Whitney ("On a Test of Whether one of Two Random Variables is Stochastically Larger than
/// the Other", Annals of Mathematical Statistics 18, 1947), by its normal approximation with the correction of the
/// variance for ties (Lehmann, "Nonparametrics", 1975, section 1.4) and for continuity. Times have long tails; ranks do
/// not mind.
///
/// None if a sample has fewer than [`LEAST`] times or one that is not a number, or if all times are equal.
pub fn mann_whitney(one: &[f64], other: &[f64]) -> Option<Test> {
    if one.len() < LEAST || other.len() < LEAST || one.iter().chain(other).any(|time| !time.is_finite()) {
        return None;
    }
    let mut all: Vec<(f64, bool)> = one.iter().map(|time| (*time, true)).collect();
    all.extend(other.iter().map(|time| (*time, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0);
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        let length = group.len() as f64;
        // Ranks begin at 1; equal times share the mean of theirs.
        let rank = before as f64 + (length + 1.0) / 2.0;
        ranks += rank * group.iter().filter(|(_, is_first)| *is_first).count() as f64;
        ties += length.powi(3) - length;
        before += group.len();
    }
    let (n, m) = (one.len() as f64, other.len() as f64);
    let total = n + m;
    let u = ranks - n * (n + 1.0) / 2.0;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    if variance <= 0.0 {
        return None;
    }
    let z = ((u - n * m / 2.0).abs() - 0.5).max(0.0) / variance.sqrt();
    Some(Test {
        u,
        z,
        p: erfc(z / std::f64::consts::SQRT_2).min(1.0),
        larger: u / (n * m),
    })
}

/// Times that differ by less than this share of the median tell nothing: a word that a tokenizer cuts into one piece more
/// makes such a difference, wherever it is.
pub const SHIFT: f64 = 0.05;

/// The probability that two samples differ as much by accident; 1 where their medians differ by less than [`SHIFT`]. None
/// where [`mann_whitney`] says nothing.
pub fn probability(one: &[f64], other: &[f64]) -> Option<f64> {
    let test = mann_whitney(one, other)?;
    let (one, other) = (median(one), median(other));
    let differs = (one - other).abs() > SHIFT * one.max(other);
    Some(if differs { test.p } else { 1.0 })
}

/// Of samples that are not empty.
fn median(sample: &[f64]) -> f64 {
    let mut sample = sample.to_vec();
    sample.sort_by(f64::total_cmp);
    sample[sample.len() / 2]
}

/// Which of several tests found something, if the probability of finding anything where there is nothing shall not
/// exceed `level` for all of them together (Holm, "A Simple Sequentially Rejective Multiple Test Procedure",
/// Scandinavian Journal of Statistics 6, 1979). One of a hundred tests at 0.01 each finds something by accident.
pub fn holm(probabilities: &[f64], level: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let mut found = vec![false; probabilities.len()];
    for (place, test) in order.iter().enumerate() {
        if probabilities[*test] > level / (probabilities.len() - place) as f64 {
            break;
        }
        found[*test] = true;
    }
    found
}

/// The complementary error function for arguments that are not negative, with a relative error below 1.2e-7 (Press et
/// al., "Numerical Recipes in C", 2nd edition, section 6.2, by Chebyshev's approximation).
fn erfc(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let t = 1.0 / (1.0 + 0.5 * x);
    let sum = COEFFICIENTS
        .iter()
        .rev()
        .fold(0.0, |sum, coefficient| sum * t + coefficient);
    t * (-x * x + sum).exp()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_error_function_is_as_in_tables() {
        for (x, expected) in [
            (0.0, 1.0),
            (0.5, 0.479_500_122_186_953_5),
            (1.0, 0.157_299_207_050_285_13),
            (2.0, 0.004_677_734_981_047_266),
            (3.0, 2.209_049_699_858_544e-5),
            (5.0, 1.537_459_794_428_035e-12),
        ] {
            assert!((erfc(x) / expected - 1.0).abs() < 1.3e-7, "{x}");
        }
    }

    #[test]
    fn the_test_is_as_computed_by_hand() {
        // Ranks 1 to 20 and 21 to 40: U = 0, variance 400 / 12 * 41, z = 199.5 / 36.97.
        let low: Vec<f64> = (1..=20).map(f64::from).collect();
        let high: Vec<f64> = (21..=40).map(f64::from).collect();
        let test = mann_whitney(&low, &high).unwrap();
        assert_eq!((test.u, test.larger), (0.0, 0.0));
        assert!((test.z - 199.5 / (400.0_f64 / 12.0 * 41.0).sqrt()).abs() < 1e-12);
        assert!(test.p < 1e-7);
        // With ties: 10 zeros and 10 ones against 5 zeros and 15 ones. Of 40, 15 are zeros (rank 8) and 25 ones (rank
        // 28).
        let sample =
            |zeros: usize| -> Vec<f64> { (0..20).map(|place| if place < zeros { 0.0 } else { 1.0 }).collect() };
        let test = mann_whitney(&sample(10), &sample(5)).unwrap();
        let ties = (15.0_f64.powi(3) - 15.0) + (25.0_f64.powi(3) - 25.0);
        let variance = 400.0 / 12.0 * (41.0 - ties / (40.0 * 39.0));
        assert_eq!(test.u, 10.0 * 8.0 + 10.0 * 28.0 - 210.0);
        assert!((test.z - (50.0 - 0.5) / variance.sqrt()).abs() < 1e-12);
        assert!((test.p - 0.110).abs() < 0.001, "{}", test.p);
    }

    #[test]
    fn too_little_proves_nothing() {
        let few = [1.0; 5];
        let same = [1.0; 30];
        assert_eq!(mann_whitney(&few, &same), None);
        assert_eq!(mann_whitney(&same, &same), None);
        let mut broken = [1.0; 30];
        broken[3] = f64::NAN;
        assert_eq!(mann_whitney(&broken, &same), None);
    }

    #[test]
    fn what_a_word_more_takes_is_no_leak() {
        let times = |first: f64| -> Vec<f64> { (0..40).map(|place| first + f64::from(place) * 0.001).collect() };
        let (near, word) = (times(100.0), times(101.0));
        assert!(mann_whitney(&near, &word).unwrap().p < LEVEL);
        assert_eq!(probability(&near, &word), Some(1.0));
        assert!(probability(&near, &times(110.0)).unwrap() < LEVEL);
        assert_eq!(probability(&near[..3], &word), None);
    }

    #[test]
    fn many_tests_are_not_each_alone() {
        assert_eq!(holm(&[0.005, 0.2, 0.5], 0.01), [false, false, false]);
        assert_eq!(holm(&[0.2, 0.001, 0.004], 0.01), [false, true, true]);
        assert_eq!(holm(&[], 0.01), [] as [bool; 0]);
    }

    proptest! {
        #[test]
        fn both_ways_are_the_same(
            one in prop::collection::vec(0.0_f64..100.0, 20..60), other in prop::collection::vec(0.0_f64..100.0, 20..60),
        ) {
            let (Some(a), Some(b)) = (mann_whitney(&one, &other), mann_whitney(&other, &one)) else { return Ok(()); };
            prop_assert!((a.p - b.p).abs() < 1e-9 && (0.0..=1.0).contains(&a.p));
            prop_assert!((a.larger + b.larger - 1.0).abs() < 1e-9);
        }
    }
}
