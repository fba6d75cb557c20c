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
