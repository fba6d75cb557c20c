//! What a block does between its products, number by number.

use std::ptr;

use tch::{Device, Kind, TchError, Tensor};

use crate::{
    arguments::{dense, kind_code, refuse, rows},
    ffi,
};

/// `residual += delta`, then its root mean square norm: `residual / sqrt(mean(residual^2) + epsilon) *
/// weight`, `[rows, width]` in the type of `weight`. `residual` may be `Float` where all else is
/// `BFloat16`, which keeps the sum over many blocks exact.
///
/// # Errors
/// When an argument has another type or shape.
pub fn add_rms_norm(
    residual: &mut Tensor,
    delta: Option<&Tensor>,
    weight: &Tensor,
    epsilon: f64,
) -> Result<Tensor, TchError> {
    let width = weight.size1()?;
    let (kind, residual_kind) = (weight.f_kind()?, residual.f_kind()?);
    let (code, residual_code) = (
        kind_code("the weight", kind)?,
        kind_code("the residual", residual_kind)?,
    );
    if kind == Kind::Float && residual_kind != Kind::Float {
        return Err(TchError::Kind("a Float norm of a BFloat16 residual".into()));
    }
    dense("the weight", weight, kind, &[width])?;
    let (count, _) = rows("the residual", residual, residual_kind, width)?;
    dense("the residual", residual, residual_kind, &[count, width])?;
    let mut delta_stride = 0;
    if let Some(delta) = delta {
        let (delta_count, stride) = rows("the delta", delta, kind, width)?;
        if delta_count != count {
            return refuse(format!("the delta has {delta_count} rows, the residual {count}"));
        }
        delta_stride = stride;
    }
    let output = Tensor::f_empty([count, width], (kind, Device::Cpu))?;
    let call = ffi::Norm {
        residual: residual.data_ptr().cast(),
        residual_kind: residual_code,
        kind: code,
        delta: delta.map_or(ptr::null(), |delta| delta.data_ptr().cast_const().cast()),
        delta_stride,
        weight: weight.data_ptr().cast_const().cast(),
        output: output.data_ptr().cast(),
        rows: count,
        width,
        epsilon: epsilon as f32,
    };
    // SAFETY: every shape, type and stride is checked above; the output is new.
    unsafe { ffi::atelier_add_rms_norm(&call) }
    Ok(output)
}

/// `silu(gate) * up` of `gate_up`, `[rows, 2 width]` with gate first: `[rows, width]`.
///
/// # Errors
/// When `gate_up` is no dense matrix of `Float` or `BFloat16` with an even number of columns.
pub fn silu_mul(gate_up: &Tensor) -> Result<Tensor, TchError> {
    let (count, columns) = gate_up.size2()?;
    let kind = gate_up.f_kind()?;
    let code = kind_code("the input", kind)?;
    dense("the input", gate_up, kind, &[count, columns])?;
    if columns % 2 != 0 {
        return refuse(format!("{columns} columns are no two halves"));
    }
    let output = Tensor::f_empty([count, columns / 2], (kind, Device::Cpu))?;
    // SAFETY: the input is dense and of that shape; the output is new and half as wide.
    unsafe {
        ffi::atelier_silu_mul(
            gate_up.data_ptr().cast_const().cast(),
            output.data_ptr().cast(),
            code,
            count,
            columns / 2,
        );
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{largest_difference, numbers, tensor};
    use crate::threads::on_every_processor;

    #[test]
    fn the_norm_is_that_of_the_sum() {
        on_every_processor(check_the_norm_is_that_of_the_sum);
    }

    fn check_the_norm_is_that_of_the_sum() {
        for threads in [1, 2] {
            crate::set_threads(threads);
            for (kind, residual_kind, tolerance) in [
                (Kind::Float, Kind::Float, 1e-5),
                (Kind::BFloat16, Kind::Float, 0.02),
                (Kind::BFloat16, Kind::BFloat16, 0.02),
            ] {
                for (count, width) in [(1, 7), (3, 64), (40, 1000)] {
                    let mut residual = tensor(&[count, width], residual_kind, 1);
                    let delta = tensor(&[count, width + 3], kind, 2).narrow(1, 1, width);
                    let weight = tensor(&[width], kind, 3);
                    let before = numbers(&residual);
                    let normed = add_rms_norm(&mut residual, Some(&delta), &weight, 1e-5).unwrap();

                    let sums: Vec<f64> = before
                        .iter()
                        .zip(numbers(&delta))
                        .map(|(a, b)| f64::from(*a) + f64::from(b))
                        .collect();
                    assert!(largest_difference(&residual, &sums) < tolerance);
                    // Of the rounded sum, which is what later blocks see.
                    let mut wanted = Vec::new();
                    for row in numbers(&residual).chunks(width as usize) {
                        let mean = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / width as f64;
                        let factor = 1.0 / (mean + 1e-5).sqrt();
                        wanted.extend(
                            row.iter()
                                .zip(numbers(&weight))
                                .map(|(x, w)| f64::from(*x) * factor * f64::from(w)),
                        );
                    }
                    let off = largest_difference(&normed, &wanted);
                    assert!(off < tolerance, "{kind:?} {count}x{width}: off by {off}");
                    let again = add_rms_norm(&mut residual, None, &weight, 1e-5).unwrap();
                    assert_eq!(again, normed);
                }
            }
        }
    }

    #[test]
    fn the_gate_is_silu() {
        on_every_processor(check_the_gate_is_silu);
    }

    fn check_the_gate_is_silu() {
        for (kind, tolerance) in [(Kind::Float, 1e-4), (Kind::BFloat16, 0.5)] {
            for (count, width) in [(1, 5), (2, 48), (9, 1536)] {
                let gate_up = tensor(&[count, 2 * width], kind, 4) * 100.0;
                let wanted: Vec<f64> = numbers(&gate_up)
                    .chunks(2 * width as usize)
                    .flat_map(|row| {
                        let (gate, up) = row.split_at(width as usize);
                        let silu = |g: f32| f64::from(g) / (1.0 + f64::from(-g).exp());
                        gate.iter()
                            .zip(up)
                            .map(|(g, u)| silu(*g) * f64::from(*u))
                            .collect::<Vec<_>>()
                    })
                    .collect();
                let scale = wanted.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
                let off = largest_difference(&silu_mul(&gate_up).unwrap(), &wanted) / scale * 100.0;
                assert!(off < tolerance, "{kind:?} {count}x{width}: off by {off} %");
            }
        }
        let extremes = Tensor::from_slice(&[-1e30f32, 1e30, 0.0, 1.0, 1.0, 1.0]).view([1, 6]);
        assert_eq!(numbers(&silu_mul(&extremes).unwrap()), [0.0, 1e30, 0.0]);
        let wide = Tensor::cat(
            &[
                Tensor::full([1, 16], -1e30, (Kind::Float, Device::Cpu)),
                Tensor::ones([1, 16], (Kind::Float, Device::Cpu)),
            ],
            1,
        );
        assert_eq!(numbers(&silu_mul(&wide).unwrap()), [0.0; 16]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut residual = tensor(&[2, 8], Kind::Float, 1);
        let weight = tensor(&[8], Kind::Float, 1);
        assert!(add_rms_norm(&mut residual, Some(&tensor(&[1, 8], Kind::Float, 1)), &weight, 0.0).is_err());
        assert!(add_rms_norm(&mut residual, Some(&tensor(&[2, 8], Kind::BFloat16, 1)), &weight, 0.0).is_err());
        assert!(add_rms_norm(&mut residual.tr(), None, &weight, 0.0).is_err());
        assert!(add_rms_norm(&mut tensor(&[2, 8], Kind::BFloat16, 1), None, &weight, 0.0).is_err());
        assert!(silu_mul(&tensor(&[2, 7], Kind::Float, 1)).is_err());
        assert!(silu_mul(&tensor(&[2, 8], Kind::Half, 1)).is_err());
    }
}
