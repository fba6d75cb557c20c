//! Scores of vectors that models gave.

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

    proptest! {
        #[test]
        fn a_cosine_is_one_whatever_the_numbers(one in prop::collection::vec(any::<f32>(), 3), other in prop::collection::vec(any::<f32>(), 3)) {
            if let Some(value) = cosine(&one, &other) {
                prop_assert!((-1.0..=1.0).contains(&value));
            }
        }
    }
}
