//! Several hypotheses at once.

/// Which of several hypotheses are rejected by Holm's procedure: evidence as natural logarithms in, one answer
/// for each out.
///
/// The largest evidence has to reach `k / alpha`, the next one `(k - 1) / alpha`, and so on until one does not.
/// The probability of rejecting any true hypothesis is at most alpha however the metrics depend on each other,
/// because `1 / evidence` is a p-value at every stopping time (Holm 1979, Scandinavian Journal of Statistics 6;
/// Ramdas et al. 2023 for the p-value). The more evidence, the more is rejected, so it may be asked at any
/// moment.
pub fn holm(log_evidence: &[f64], alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..log_evidence.len()).collect();
    order.sort_by(|a, b| log_evidence[*b].total_cmp(&log_evidence[*a]));
    let mut rejected = vec![false; log_evidence.len()];
    for (rank, index) in order.into_iter().enumerate() {
        let left = (log_evidence.len() - rank) as f64;
        rejected[index] = log_evidence[index] >= (left / alpha).ln();
        if !rejected[index] {
            break;
        }
    }
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_bonferroni_and_later_ones_are_easier() {
        let of_p = |values: &[f64]| values.iter().map(|p: &f64| -p.ln()).collect::<Vec<_>>();
        assert_eq!(holm(&of_p(&[0.01, 0.04, 0.02]), 0.05), [true, true, true]);
        assert_eq!(holm(&of_p(&[0.02, 0.04, 0.02]), 0.05), [false, false, false]);
        assert_eq!(holm(&of_p(&[0.03, 0.01, 0.9]), 0.05), [false, true, false]);
        assert_eq!(holm(&of_p(&[0.04]), 0.05), [true]);
        assert_eq!(holm(&[], 0.05), [false; 0]);
    }

    #[test]
    fn what_is_no_number_is_no_evidence() {
        assert_eq!(holm(&[f64::NAN, 0.0], 0.05), [false, false]);
    }
}
