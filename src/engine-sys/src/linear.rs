//! Products with packed matrices.

use std::ptr;

use tch::{Device, Kind, TchError, Tensor};

use crate::{
    Packed,
    arguments::{dense, kind_code, refuse, rows},
    ffi,
};

/// `input weight^T + bias` for a bfloat16 `input` of `[rows, columns of weight]`, summed in single
/// precision; the result is `[rows, rows of weight]` of `kind`.
///
/// # Errors
/// When an argument has another type or shape.
pub fn linear(input: &Tensor, weight: &Packed, bias: Option<&Tensor>, kind: Kind) -> Result<Tensor, TchError> {
    let (count, _) = rows("the input", input, Kind::BFloat16, weight.columns() as i64)?;
    let mut output = Tensor::f_empty([count, weight.rows() as i64], (kind, Device::Cpu))?;
    linear_into(input, weight, bias, &mut output)?;
    Ok(output)
}

/// As [`linear`], into `output`, which may be columns of a larger matrix.
///
/// # Errors
/// As [`linear`].
pub fn linear_into(
    input: &Tensor,
    weight: &Packed,
    bias: Option<&Tensor>,
    output: &mut Tensor,
) -> Result<(), TchError> {
    let (count, input_stride) = rows("the input", input, Kind::BFloat16, weight.columns() as i64)?;
    let width = weight.rows() as i64;
    let (output_count, output_stride) = rows("the output", output, output.f_kind()?, width)?;
    if output_count != count {
        return refuse(format!("the output has {output_count} rows, the input {count}"));
    }
    let mut bias_kind = ffi::F32;
    if let Some(bias) = bias {
        dense("the bias", bias, bias.f_kind()?, &[width])?;
        bias_kind = kind_code("the bias", bias.f_kind()?)?;
    }
    let call = ffi::Linear {
        input: input.data_ptr().cast(),
        input_stride,
        rows: count,
        matrix: weight.matrix(),
        bias: bias.map_or(ptr::null(), |bias| bias.data_ptr().cast_const().cast()),
        bias_kind,
        output: output.data_ptr().cast(),
        output_stride,
        output_kind: kind_code("the output", output.f_kind()?)?,
    };
    if count > 0 {
        // SAFETY: every shape, type and stride is checked above.
        unsafe { ffi::atelier_linear(&call) }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::{on_every_processor, one_processor};
    use crate::{
        Blocks, Format, RowOrder, Rows,
        testing::{self, Numbers},
    };

    fn packed(blocks: Blocks, rows: usize, columns: usize, seed: u64) -> Packed {
        let bytes = testing::blocks(blocks, rows, columns, seed);
        let part = Rows {
            bytes: &bytes,
            blocks,
            count: rows,
            order: RowOrder::Plain,
        };
        Packed::pack(columns, &[part], 2).unwrap()
    }

    /// Plain loops in double precision over the very weights and inputs.
    fn expected(input: &Tensor, weight: &Packed, bias: &[f32]) -> Vec<f64> {
        let weights = testing::numbers(&weight.dequantize_rows(weight.rows(), Kind::Float).unwrap());
        let inputs = testing::numbers(input);
        let mut products = Vec::new();
        for row in inputs.chunks(weight.columns()) {
            for (weights, bias) in weights.chunks(weight.columns()).zip(bias) {
                let sum: f64 = row
                    .iter()
                    .zip(weights)
                    .map(|(x, w)| f64::from(*x) * f64::from(*w))
                    .sum();
                products.push(sum + f64::from(*bias));
            }
        }
        products
    }

    #[test]
    fn products_are_those_of_plain_loops() {
        on_every_processor(check_products_are_those_of_plain_loops);
    }

    fn check_products_are_those_of_plain_loops() {
        for threads in [1, 2] {
            crate::set_threads(threads);
            for blocks in [Blocks::Q4_1, Blocks::Q5_1, Blocks::Q8_0, Blocks::BF16] {
                for (rows, columns) in [(1, 32), (17, 64), (70, 288), (130, 2080)] {
                    let weight = packed(blocks, rows, columns, 7);
                    let bias: Vec<f32> = Numbers::new(3).take(rows).collect();
                    for count in [1, 2, 3, 5, 8, 9, 16, 17, 31, 100] {
                        let input = testing::tensor(&[count, columns as i64], Kind::BFloat16, 11);
                        let output = linear(&input, &weight, Some(&Tensor::from_slice(&bias)), Kind::Float).unwrap();
                        let wanted = expected(&input, &weight, &bias);
                        // From 17 rows on the weights are rounded to bfloat16 first, each by up to 1 in 512.
                        let tolerance = if count <= 16 { 1e-5 } else { 6e-3 } * (columns as f64).sqrt();
                        let largest = testing::largest_difference(&output, &wanted);
                        assert!(
                            largest < tolerance,
                            "{blocks:?} {rows}x{columns}, {count} rows, {threads} threads: off by {largest}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn an_output_may_be_columns_of_a_larger_one() {
        let _guard = one_processor();
        let weight = packed(Blocks::Q4_0, 20, 64, 5);
        let input = testing::tensor(&[3, 64], Kind::BFloat16, 1);
        let whole = Tensor::zeros([3, 50], (Kind::BFloat16, Device::Cpu));
        linear_into(&input, &weight, None, &mut whole.narrow(1, 10, 20)).unwrap();
        let alone = linear(&input, &weight, None, Kind::BFloat16).unwrap();
        assert_eq!(whole.narrow(1, 10, 20), alone);
        assert_eq!(whole.abs().sum(Kind::Float), alone.abs().sum(Kind::Float));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let weight = packed(Blocks::Q8_0, 16, 64, 5);
        assert_eq!(weight.format(), Format::Int8Halves);
        let input = |shape: &[i64], kind| testing::tensor(shape, kind, 1);
        for bad in [
            input(&[2, 32], Kind::BFloat16),
            input(&[2, 64], Kind::Float),
            input(&[64], Kind::BFloat16),
            input(&[64, 2], Kind::BFloat16).tr(),
        ] {
            assert!(linear(&bad, &weight, None, Kind::Float).is_err());
        }
        let good = input(&[2, 64], Kind::BFloat16);
        assert!(linear(&good, &weight, Some(&input(&[15], Kind::Float)), Kind::Float).is_err());
        assert!(linear(&good, &weight, None, Kind::Int64).is_err());
        assert!(linear_into(&good, &weight, None, &mut input(&[3, 16], Kind::Float)).is_err());
    }
}
