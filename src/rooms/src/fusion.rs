//! One ranking from several.

use std::collections::BTreeMap;

/// What damps the first places.
const K: f64 = 60.0;

/// Reciprocal rank fusion: each thing gets 1 / (60 + rank) from each ranking that has it, ranks counted from 1 (Cormack,
/// Clarke and Büttcher 2009, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods"). Scores
/// of the rankings need not be comparable. Gives all things with what they got, from the best; equals in their order.
pub fn reciprocal_ranks<T: Copy + Ord>(rankings: &[Vec<T>]) -> Vec<(T, f64)> {
    let mut sums = BTreeMap::new();
    for ranking in rankings {
        for (rank, thing) in (1..).map(f64::from).zip(ranking) {
            *sums.entry(*thing).or_insert(0.0) += 1.0 / (K + rank);
        }
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by(|a, b| b.1.total_cmp(&a.1));
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_find_comes_first() {
        let fused = reciprocal_ranks(&[vec!['a', 'b', 'c'], vec!['d', 'c', 'e']]);
        let order: String = fused.iter().map(|thing| thing.0).collect();
        assert_eq!(order, "cadbe");
        assert_eq!(fused[0].1, 1.0 / 63.0 + 1.0 / 62.0);
        assert!(reciprocal_ranks::<u8>(&[]).is_empty());
    }
}
