//! Measures of what was found.

/// Share of what is wanted that is among the first `k` found. Without anything wanted it is 1.
pub fn recall<T: PartialEq>(found: &[T], wanted: &[T], k: usize) -> f64 {
    let found = &found[..found.len().min(k)];
    let hits = wanted.iter().filter(|one| found.contains(one)).count();
    share(hits, wanted.len())
}

/// Normalized discounted cumulative gain of the first `k` (Järvelin and Kekäläinen 2002, with linear gains): 1 where nothing
/// of a greater gain could stand before what does.
pub fn ndcg(found: &[usize], gains: &[f64], k: usize) -> f64 {
    let sum = |gains: &mut dyn Iterator<Item = f64>| -> f64 {
        gains
            .take(k)
            .enumerate()
            .map(|(place, gain)| gain / (place as f64 + 2.0).log2())
            .sum()
    };
    let mut ideal = gains.to_vec();
    ideal.sort_by(|a, b| b.total_cmp(a));
    sum(&mut found.iter().map(|one| gains[*one])) / sum(&mut ideal.into_iter())
}

/// The numbers of vectors, nearest to a query first, computed from all of them in 64 bits.
pub fn nearest(query: &[f64], vectors: &[Vec<f64>]) -> Vec<usize> {
    let cosine = |vector: &[f64]| {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        dot(query, vector) / (dot(query, query) * dot(vector, vector)).sqrt()
    };
    let scores: Vec<f64> = vectors.iter().map(|vector| cosine(vector)).collect();
    let mut order: Vec<usize> = (0..vectors.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

pub fn share(of: usize, all: usize) -> f64 {
    if all == 0 { 1.0 } else { of as f64 / all as f64 }
}

#[test]
fn a_perfect_order_gains_all_there_is() {
    let gains = [0.2, 1.0, 0.5];
    assert!((ndcg(&[1, 2, 0], &gains, 2) - 1.0).abs() < 1e-12);
    assert!(ndcg(&[0, 2, 1], &gains, 2) < 0.6);
    assert!((recall(&[1, 2, 0], &[1, 0], 2) - 0.5).abs() < 1e-12);
    assert_eq!(nearest(&[1.0, 0.0], &[vec![0.0, 1.0], vec![2.0, 0.1]]), [1, 0]);
}
