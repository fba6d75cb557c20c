//! Low-rank adapters, another for each row of a batch (Chen et al. 2023,
//! <https://arxiv.org/abs/2310.18547>).

use tch::{Kind, TchError, Tensor};

use crate::{
    arguments::{dense, refuse, rows},
    ffi,
};

/// What an adapter adds to one linear layer: `scale up^T (down input)`.
#[derive(Clone, Copy, Debug)]
pub struct LoraAdapter<'a> {
    /// `[rank, in]`, `BFloat16`: `lora_A.weight` of PEFT.
    pub down: &'a Tensor,
    /// `[rank, out]`, `BFloat16`: `lora_B.weight` of PEFT, transposed.
    pub up: &'a Tensor,
    /// alpha / rank, or alpha / sqrt(rank) for rslora.
    pub scale: f64,
}

/// Adds to each row of `output`, `[rows, out]`, what its adapter makes of the row of `input`, `[rows,
/// in]`. `row_adapters` has an index into `adapters` for each row, or -1. `output` may be columns of a
/// larger matrix. All are `BFloat16`; ranks may differ.
///
/// # Errors
/// When an argument has another type or shape, or an index is out of range.
pub fn lora(
    input: &Tensor,
    output: &mut Tensor,
    adapters: &[LoraAdapter<'_>],
    row_adapters: &[i32],
) -> Result<(), TchError> {
    let (_, inputs) = input.size2()?;
    let (_, outputs) = output.size2()?;
    let (count, input_stride) = rows("the input", input, Kind::BFloat16, inputs)?;
    let (output_count, output_stride) = rows("the output", output, Kind::BFloat16, outputs)?;
    if output_count != count || row_adapters.len() as i64 != count {
        return refuse(format!(
            "{count} rows go in, {output_count} come out, {} have an adapter",
            row_adapters.len()
        ));
    }
    if let Some(index) = row_adapters
        .iter()
        .find(|index| !(-1..adapters.len() as i64).contains(&i64::from(**index)))
    {
        return refuse(format!("adapter {index} of {}", adapters.len()));
    }
    let raw = |adapter: &LoraAdapter<'_>| {
        let (rank, _) = adapter.down.size2()?;
        dense("lora_A", adapter.down, Kind::BFloat16, &[rank, inputs])?;
        dense("lora_B, transposed,", adapter.up, Kind::BFloat16, &[rank, outputs])?;
        Ok(ffi::Adapter {
            down: adapter.down.data_ptr().cast_const().cast(),
            up: adapter.up.data_ptr().cast_const().cast(),
            rank,
            scale: adapter.scale as f32,
        })
    };
    let adapters = adapters.iter().map(raw).collect::<Result<Vec<_>, TchError>>()?;
    let call = ffi::Lora {
        input: input.data_ptr().cast_const().cast(),
        input_stride,
        output: output.data_ptr().cast(),
        output_stride,
        rows: count,
        inputs,
        outputs,
        adapters: adapters.as_ptr(),
        row_adapters: row_adapters.as_ptr(),
    };
    // SAFETY: every shape, type and index is checked above.
    unsafe { ffi::atelier_lora(&call) }
    Ok(())
}
