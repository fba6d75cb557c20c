//! GPTQ (Frantar et al. 2022, <https://arxiv.org/abs/2210.17323>): column after column is rounded, and
//! the columns that are left make up for its error in the layer's output.

use tch::{Kind, TchError, Tensor};

use super::{
    encode::{copy, floats},
    grid::{BLOCK, BLOCK_BYTES, Grid},
    nearest::check,
    parallel,
};
use crate::Error;

/// Columns whose errors are passed on together.
const STRIP: usize = 128;
/// What is added to the diagonal, as a share of its mean.
const DAMPING: f64 = 0.01;
/// Widest layer whose factors are computed in double precision.
const DOUBLE_COLUMNS: i64 = 4096;

/// The `Q4_1` blocks of `weights`, `[rows, columns]`, whose inputs have the mean products `products`.
/// Weights that `kept` marks with zero stay near zero.
pub(super) fn quantize(
    name: &str,
    weights: &Tensor,
    products: &Tensor,
    kept: Option<&Tensor>,
    group: usize,
) -> Result<Vec<u8>, Error> {
    let (rows, columns) = weights.size2()?;
    let factor = inverse_factor(products)?;
    let row_bytes = columns as usize / BLOCK * BLOCK_BYTES;
    let mut blocks = vec![0; rows as usize * row_bytes];
    let weights = copy(weights)?;
    for first in (0..columns).step_by(STRIP) {
        let count = (STRIP as i64).min(columns - first);
        let rest = columns - first - count;
        let strip = Strip {
            columns: count as usize,
            factor: floats(&factor.f_narrow(0, first, count)?.f_narrow(1, first, count)?)?,
            kept: kept.map(|kept| floats(&kept.f_narrow(1, first, count)?)).transpose()?,
            group,
        };
        let mut numbers = floats(&weights.f_narrow(1, first, count)?)?;
        let strip_bytes = count as usize / BLOCK * BLOCK_BYTES;
        let mut out = vec![0; rows as usize * strip_bytes];
        parallel::rows_mut(
            &mut numbers,
            count as usize,
            &mut out,
            strip_bytes,
            |row, weights, out| {
                strip.quantize(row, weights, out);
            },
        );
        let place = first as usize / BLOCK * BLOCK_BYTES;
        for (row, out) in blocks.chunks_mut(row_bytes).zip(out.chunks(strip_bytes)) {
            row[place..place + strip_bytes].copy_from_slice(out);
        }
        if rest > 0 {
            let errors = Tensor::f_from_slice(&numbers)?.f_view([rows, count])?;
            let onto = factor.f_narrow(0, first, count)?.f_narrow(1, first + count, rest)?;
            let passed_on = errors.f_matmul(&onto)?;
            let _ = weights.f_narrow(1, first + count, rest)?.f_sub_(&passed_on)?;
        }
    }
    check(name, &blocks)?;
    Ok(blocks)
}

/// Some columns of all rows.
struct Strip {
    columns: usize,
    /// Their part of the factor, `[columns, columns]`.
    factor: Vec<f32>,
    /// `[rows, columns]`
    kept: Option<Vec<f32>>,
    group: usize,
}

impl Strip {
    /// Quantizes one row; leaves its scaled errors in place of the weights.
    fn quantize(&self, row: usize, weights: &mut [f32], out: &mut [u8]) {
        let kept = self
            .kept
            .as_ref()
            .map(|kept| &kept[row * self.columns..][..self.columns]);
        let importance: Vec<f32> = (0..self.columns).map(|i| self.at(i, i).powi(-2)).collect();
        let mut numbers = [0; BLOCK];
        let mut grid = Grid::new(0.0, 0.0);
        for i in 0..self.columns {
            if i % self.group == 0 {
                let end = (i + self.group).min(self.columns);
                grid = Grid::fit(&weights[i..end], &importance[i..end]);
            }
            let gone = kept.is_some_and(|kept| kept[i] == 0.0);
            let number = grid.quantize(if gone { 0.0 } else { weights[i] });
            let error = (weights[i] - grid.value(number)) / self.at(i, i);
            let factors = &self.factor[i * self.columns..][..self.columns];
            for (weight, factor) in weights[i + 1..].iter_mut().zip(&factors[i + 1..]) {
                *weight -= error * factor;
            }
            weights[i] = error;
            numbers[i % BLOCK] = number;
            if i % BLOCK == BLOCK - 1 {
                let place = i / BLOCK * BLOCK_BYTES;
                grid.write(&numbers, &mut out[place..place + BLOCK_BYTES]);
            }
        }
    }

    fn at(&self, row: usize, column: usize) -> f32 {
        self.factor[row * self.columns + column]
    }
}

/// The upper triangular U with U' U = H^-1, where H is `products` with a little on its diagonal.
fn inverse_factor(products: &Tensor) -> Result<Tensor, TchError> {
    let columns = products.size()[0];
    let kind = if columns <= DOUBLE_COLUMNS {
        Kind::Double
    } else {
        Kind::Float
    };
    let products = products.f_to_kind(kind)?;
    let mean = products
        .f_diagonal(0, 0, 1)?
        .f_mean(None::<Kind>)?
        .f_double_value(&[])?;
    // Inputs that are all zero leave nothing to make up for.
    let mean = if mean > 0.0 { mean } else { 1.0 };
    let mut damping = DAMPING;
    loop {
        let factor = try_inverse_factor(&products, damping * mean);
        if factor.is_ok() || damping > 1.0 {
            return factor;
        }
        // Nearly equal columns make the factorization fail in the last digits.
        damping *= 10.0;
    }
}

fn try_inverse_factor(products: &Tensor, damping: f64) -> Result<Tensor, TchError> {
    let damped = copy(products)?;
    let _ = damped.f_diagonal(0, 0, 1)?.f_add_scalar_(damping)?;
    let inverse = damped.f_linalg_cholesky(false)?.f_cholesky_inverse(false)?;
    inverse.f_linalg_cholesky(true)?.f_to_kind(Kind::Float)
}

#[cfg(test)]
mod tests {
    use engine::blocks::widen;
    use gguf::GgmlType;
    use tch::Device;

    use super::*;
    use crate::quantize::{grid::tests::weights, nearest};

    const COLUMNS: i64 = 192;

    /// Inputs whose columns have much in common, and weights.
    fn layer() -> (Tensor, Tensor) {
        let own = Tensor::from_slice(&weights(512 * COLUMNS as usize, 1)).view([512, COLUMNS]);
        let mix = Tensor::from_slice(&weights((COLUMNS * COLUMNS) as usize, 2)).view([COLUMNS, COLUMNS]);
        let weights = Tensor::from_slice(&weights(16 * COLUMNS as usize, 3)).view([16, COLUMNS]);
        (own.matmul(&mix) + 0.1 * own, weights)
    }

    fn back(blocks: &[u8]) -> Tensor {
        Tensor::from_slice(&widen(blocks, GgmlType::Q4_1).unwrap()).view([16, COLUMNS])
    }

    fn output_error(inputs: &Tensor, weights: &Tensor, new: &Tensor) -> f64 {
        inputs
            .matmul(&(weights - new).tr())
            .square()
            .mean(Kind::Double)
            .double_value(&[])
    }

    #[test]
    fn the_factor_inverts_the_products() {
        let (inputs, _) = layer();
        let products = inputs.tr().matmul(&inputs) / 512;
        let factor = inverse_factor(&products).unwrap();
        let mut damped = products.copy();
        let mean = products.diagonal(0, 0, 1).mean(Kind::Float).double_value(&[]);
        damped += Tensor::eye(COLUMNS, (Kind::Float, Device::Cpu)) * (DAMPING * mean);
        let one = factor.tr().matmul(&factor).matmul(&damped);
        let off = (one - Tensor::eye(COLUMNS, (Kind::Float, Device::Cpu)))
            .abs()
            .max()
            .double_value(&[]);
        assert!(off < 1e-3, "{off}");
        assert_eq!(factor.tril(-1).abs().max().double_value(&[]), 0.0);
    }

    #[test]
    fn outputs_are_much_nearer_than_by_rounding() {
        let (inputs, weights) = layer();
        let products = inputs.tr().matmul(&inputs) / 512;
        for group in [32, 128] {
            let rounded = nearest::round("t", &weights, group, |_, group| Grid::min_max(group)).unwrap();
            let made_up = quantize("t", &weights, &products, None, group).unwrap();
            let before = output_error(&inputs, &weights, &back(&rounded));
            let after = output_error(&inputs, &weights, &back(&made_up));
            assert!(after < 0.5 * before, "group {group}: {after} {before}");
        }
    }

    #[test]
    fn inputs_that_are_all_zero_round_to_nearest() {
        let (_, weights) = layer();
        let zero = Tensor::zeros([COLUMNS, COLUMNS], (Kind::Float, Device::Cpu));
        let made_up = back(&quantize("t", &weights, &zero, None, 32).unwrap());
        let fitted = nearest::round("t", &weights, 32, |_, group| Grid::fit(group, &[1.0; 32])).unwrap();
        let error = |new: &Tensor| (&weights - new).square().mean(Kind::Double).double_value(&[]);
        let (found, expected) = (error(&made_up), error(&back(&fitted)));
        assert!((found / expected - 1.0).abs() < 0.01, "{found} {expected}");
    }

    #[test]
    fn pruned_weights_stay_near_zero() {
        let (inputs, weights) = layer();
        let products = inputs.tr().matmul(&inputs) / 512;
        let kept = weights.abs().ge(0.005);
        let pruned = &weights * &kept;
        let new = back(&quantize("t", &pruned, &products, Some(&kept.to_kind(Kind::Float)), 32).unwrap());
        let gone = new.masked_select(&kept.logical_not()).abs().max().double_value(&[]);
        // At most half a step of the widest group.
        let range = (weights.max() - weights.min()).double_value(&[]);
        assert!(gone < 0.55 * range / 15.0, "{gone} {range}");
    }
}
