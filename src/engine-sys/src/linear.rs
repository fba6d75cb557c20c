//! Products with packed matrices.

use std::ptr;

use tch::{Device, Kind, TchError, Tensor};

use crate::{
    Packed,
    arguments::{dense, kind_code, refuse, rows},
    ffi, has_linear,
};

/// `input weight^T + bias` for a bfloat16 `input` of `[rows, columns of weight]`, summed in single
/// precision; the result is `[rows, rows of weight]` of `kind`.
///
/// # Errors
/// When the processor lacks what the kernel takes ([`has_linear`](crate::has_linear)), or an argument
/// has another type or shape.
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
    if !has_linear() {
        return Err(TchError::Torch(
            "this processor has no bfloat16 products (avx512_bf16)".into(),
        ));
    }
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
        // SAFETY: every shape, type and stride is checked above, and the processor is as required.
        unsafe { ffi::atelier_linear(&call) }
    }
    Ok(())
}
