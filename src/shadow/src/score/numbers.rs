//! Scores of vectors and likelihoods that models gave.

use crate::metric::MAX_NLL;

/// The cosine of two embeddings, from -1 to 1: their product over their lengths. `None` where it does not exist: other
/// numbers of components, none at all, a vector of zeros, or something that is not a number.
pub fn cosine(one: &[f32], other: &[f32]) -> Option<f64> {
    if one.len() != other.len() || one.is_empty() {
        return None;
    }
    let product = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    let lengths = (product(one, one) * product(other, other)).sqrt();
    let cosine = product(one, other) / lengths;
    // The quotient may be beyond one by a rounding.
    cosine.is_finite().then(|| cosine.clamp(-1.0, 1.0))
}

/// How likely each model finds both answers: mean negative log likelihoods of an answer's tokens, in nats for each
/// token, given the prompt. `None` where it was not asked; what was asked and failed is a [`MAX_NLL`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Likelihoods {
    /// Of the primary's answer, under the primary.
    pub primary_of_primary: Option<f64>,
    /// Of the primary's answer, under the candidate.
    pub candidate_of_primary: Option<f64>,
    /// Of the candidate's answer, under the candidate.
    pub candidate_of_candidate: Option<f64>,
    /// Of the candidate's answer, under the primary.
    pub primary_of_candidate: Option<f64>,
}

impl Likelihoods {
    /// What both arms get: the serving model's answer under the serving model, and under the candidate. The difference,
    /// over many answers drawn at temperature 1, is the Kullback-Leibler divergence of the candidate from the primary
    /// for each token (Kullback and Leibler 1951), so identical models have one of zero; the exponential of the
    /// candidate's mean is the cross-perplexity.
    ///
    /// What the candidate finds in its own answers says nothing here: one that repeats a word for ever finds that very
    /// likely.
    pub fn arms(&self) -> Option<(f64, f64)> {
        Some((cap(self.primary_of_primary?)?, cap(self.candidate_of_primary?)?))
    }

    /// The divergence the other way, in nats for each token: how much less likely the primary finds the candidate's
    /// answer than the candidate does. It is large where the candidate writes what the primary never would.
    pub fn reverse(&self) -> Option<f64> {
        Some(cap(self.primary_of_candidate?)? - cap(self.candidate_of_candidate?)?)
    }
}

fn cap(nll: f64) -> Option<f64> {
    // Infinitely unlikely is at the cap; what is no number was never measured.
    (!nll.is_nan()).then(|| nll.clamp(0.0, MAX_NLL))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cosines_of_known_vectors() {
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 2.0]), Some(0.0));
        assert_eq!(cosine(&[1.0, 2.0], &[-2.0, -4.0]), Some(-1.0));
        assert!((cosine(&[1.0, 0.0], &[1.0, 1.0]).unwrap() - 0.5f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn what_has_no_angle_has_no_cosine() {
        for (one, other) in [
            (vec![], vec![]),
            (vec![1.0], vec![1.0, 2.0]),
            (vec![0.0, 0.0], vec![1.0, 2.0]),
            (vec![f32::NAN, 1.0], vec![1.0, 2.0]),
            (vec![f32::INFINITY, 1.0], vec![1.0, 2.0]),
        ] {
            assert_eq!(cosine(&one, &other), None, "{one:?} {other:?}");
        }
    }

    #[test]
    fn identical_models_diverge_in_nothing() {
        let same = Likelihoods {
            primary_of_primary: Some(1.5),
            candidate_of_primary: Some(1.5),
            candidate_of_candidate: Some(1.1),
            primary_of_candidate: Some(1.1),
        };
        assert_eq!((same.arms(), same.reverse()), (Some((1.5, 1.5)), Some(0.0)));
    }

    #[test]
    fn what_is_impossible_is_at_the_cap_and_what_is_unknown_is_none() {
        let odd = Likelihoods {
            primary_of_primary: Some(1.0),
            candidate_of_primary: Some(f64::INFINITY),
            candidate_of_candidate: Some(f64::NAN),
            primary_of_candidate: Some(-1.0),
        };
        assert_eq!((odd.arms(), odd.reverse()), (Some((1.0, MAX_NLL)), None));
        assert_eq!(Likelihoods::default().arms(), None);
    }

    proptest! {
        #[test]
        fn a_cosine_is_one_whatever_the_numbers(one in prop::collection::vec(any::<f32>(), 3), other in prop::collection::vec(any::<f32>(), 3)) {
            if let Some(value) = cosine(&one, &other) {
                prop_assert!((-1.0..=1.0).contains(&value));
            }
        }
    }
}
