//! Which pairs of sketches are worth comparing.

use super::{
    hash::mix,
    sketch::{PLACES, Sketch},
};

/// Share of the pairs at the threshold that have to be found.
const FOUND: f64 = 0.92;

/// Locality-sensitive hashing: a sketch has bands of rows, and pairs with an equal band are candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bands {
    bands: usize,
    rows: usize,
}

impl Bands {
    /// For pairs of at least that Jaccard similarity.
    ///
    /// Candidates are compared before they count, so nothing is lost by too many of them but time. That is why these are
    /// the longest rows with which 92 % of the pairs at the threshold are found, and not, as elsewhere, those that balance
    /// both kinds of error. For 0.8 it gives the 14 bands of 8 rows of FineWeb.
    pub fn new(threshold: f64) -> Self {
        let found = |bands: usize, rows: usize| 1.0 - (1.0 - threshold.powi(rows as i32)).powi(bands as i32);
        let choices = (1..=PLACES).rev().filter_map(|rows| {
            let bands = (1..=PLACES / rows).find(|bands| found(*bands, rows) >= FOUND)?;
            Some(Self { bands, rows })
        });
        let widest = Self { bands: PLACES, rows: 1 };
        choices.into_iter().next().unwrap_or(widest)
    }

    /// A key for each band.
    pub fn keys(self, sketch: &Sketch) -> impl Iterator<Item = u64> {
        let bands = sketch.chunks_exact(self.rows).take(self.bands).enumerate();
        bands.map(|(band, values)| values.iter().fold(mix(band as u64 + 1), |key, value| mix(key ^ value)))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0.8, 14, 8)]
    #[case(0.9, 9, 13)]
    #[case(0.5, 19, 3)]
    #[case(1.0, 1, 128)]
    #[case(0.001, 128, 1)]
    fn rows_follow_the_threshold(#[case] threshold: f64, #[case] bands: usize, #[case] rows: usize) {
        assert_eq!(Bands::new(threshold), Bands { bands, rows });
    }

    #[test]
    fn equal_rows_are_equal_keys_in_the_same_band_only() {
        let bands = Bands::new(0.8);
        let keys: Vec<_> = bands.keys(&[7; PLACES]).collect();
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!((keys.len(), distinct.len()), (14, 14));
        let mut other = [7; PLACES];
        other[0] = 8;
        let others: Vec<_> = bands.keys(&other).collect();
        assert_ne!(keys[0], others[0]);
        assert_eq!(keys[1..], others[1..]);
    }
}
