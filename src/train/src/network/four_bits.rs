//! Matrices of four bits a weight: the smallest value and a step for every 32 neighbours of a row, as GGUF's `Q4_1` has
//! them. Weights that come from such a file stay what they are.

use tch::{Kind, TchError, Tensor};

/// Neighbours that share a smallest value and a step.
const GROUP: i64 = 32;
/// The largest number of four bits.
const LEVELS: f64 = 15.0;

/// A matrix of four bits a weight.
pub(crate) struct FourBits {
    /// `[rows, groups, group / 2]`: the first half of a group in the low bits, the second in the high ones.
    packed: Tensor,
    /// `[rows, groups, 1]`, in half precision.
    steps: Tensor,
    /// Likewise.
    smallest: Tensor,
}

impl FourBits {
    /// Rounds `[rows, columns]` to the nearest.
    pub fn round(matrix: &Tensor) -> Result<Self, TchError> {
        let (rows, columns) = matrix.size2()?;
        let group = [GROUP, 16, 8, 4, 2].into_iter().find(|group| columns % group == 0);
        let group = group.ok_or_else(|| TchError::Shape(format!("{columns} columns do not divide into pairs")))?;
        let groups = matrix.f_to_kind(Kind::Float)?.f_reshape([rows, -1, group])?;
        let smallest = groups.f_amin(-1, true)?.f_to_kind(Kind::Half)?;
        let range = groups.f_amax(-1, true)?.f_sub(&groups.f_amin(-1, true)?)?;
        let steps = range.f_div_scalar(LEVELS)?.f_to_kind(Kind::Half)?;
        // A group of equal weights has no step.
        let divisor = steps
            .f_to_kind(Kind::Float)?
            .f_clamp_min(f64::from(f32::MIN_POSITIVE))?;
        let numbers = groups.f_sub(&smallest.f_to_kind(Kind::Float)?)?.f_div(&divisor)?;
        let numbers = numbers.f_round()?.f_clamp(0.0, LEVELS)?.f_to_kind(Kind::Uint8)?;
        let half = group / 2;
        let high = numbers.f_narrow(-1, half, half)?.f_mul_scalar(16)?;
        Ok(Self {
            packed: numbers.f_narrow(-1, 0, half)?.f_add(&high)?.f_contiguous()?,
            steps,
            smallest,
        })
    }

    /// Its values, `[rows, columns]`.
    pub fn widen(&self, kind: Kind) -> Result<Tensor, TchError> {
        let _guard = tch::no_grad_guard();
        let low = self.packed.f_bitwise_and(15)?;
        let high = self.packed.f_bitwise_right_shift_tensor_scalar(4)?;
        let numbers = Tensor::f_cat(&[low, high], -1)?.f_to_kind(Kind::Float)?;
        let steps = self.steps.f_to_kind(Kind::Float)?;
        let smallest = self.smallest.f_to_kind(Kind::Float)?;
        let rows = self.packed.size()[0];
        smallest
            .f_addcmul(&numbers, &steps)?
            .f_to_kind(kind)?
            .f_reshape([rows, -1])
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::random::Random;

    #[rstest]
    #[case(64)]
    #[case(48)]
    fn weights_are_off_by_half_a_step_at_most(#[case] columns: i64) {
        let matrix = Random::new(&[7]).uniform(&[12, columns], 1.0).unwrap();
        let widened = FourBits::round(&matrix).unwrap().widen(Kind::Float).unwrap();
        let off = (&widened - &matrix).abs().max().double_value(&[]);
        // The range of a group is two at most.
        assert!(off < 0.5 * 2.0 / 15.0 + 2e-3 && off > 1e-3, "{off}");
        let again = FourBits::round(&widened).unwrap().widen(Kind::Float).unwrap();
        assert!((&again - &widened).abs().max().double_value(&[]) < 2e-3);
    }

    #[test]
    fn equal_weights_and_odd_widths() {
        let equal = Tensor::full([2, 32], 0.25, (Kind::Float, tch::Device::Cpu));
        assert_eq!(FourBits::round(&equal).unwrap().widen(Kind::Float).unwrap(), equal);
        assert!(FourBits::round(&equal.narrow(1, 0, 3)).is_err());
    }
}
