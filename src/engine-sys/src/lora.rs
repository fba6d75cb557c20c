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

#[cfg(test)]
mod tests {
    use crate::threads::on_every_processor;
    use tch::Device;

    use super::*;
    use crate::testing::{largest_difference, numbers, tensor};

    #[test]
    fn each_row_gets_the_update_of_its_adapter() {
        on_every_processor(check_each_row_gets_the_update_of_its_adapter);
    }

    fn check_each_row_gets_the_update_of_its_adapter() {
        for threads in [1, 2] {
            crate::set_threads(threads);
            for (inputs, outputs) in [(64, 96), (37, 5), (576, 576)] {
                let input = tensor(&[6, inputs], Kind::BFloat16, 1);
                let whole = tensor(&[6, outputs + 7], Kind::BFloat16, 2);
                let before = numbers(&whole);
                let matrices: Vec<(Tensor, Tensor)> = [1, 8, 20]
                    .iter()
                    .map(|rank| {
                        (
                            tensor(&[*rank, inputs], Kind::BFloat16, 3),
                            tensor(&[*rank, outputs], Kind::BFloat16, 4),
                        )
                    })
                    .collect();
                let adapters: Vec<LoraAdapter<'_>> = matrices
                    .iter()
                    .map(|(down, up)| LoraAdapter { down, up, scale: 0.05 })
                    .collect();
                let chosen = [2, -1, 0, 1, -1, 2];
                lora(&input, &mut whole.narrow(1, 4, outputs), &adapters, &chosen).unwrap();

                let mut wanted: Vec<f64> = before.iter().map(|x| f64::from(*x)).collect();
                let (x, width) = (numbers(&input), outputs as usize + 7);
                for (row, index) in chosen.iter().enumerate().filter(|(_, index)| **index >= 0) {
                    let (down, up) = &matrices[*index as usize];
                    let (down, up) = (numbers(down), numbers(up));
                    let x = &x[row * inputs as usize..][..inputs as usize];
                    for (down, up) in down.chunks(inputs as usize).zip(up.chunks(outputs as usize)) {
                        let between: f64 = down.iter().zip(x).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                        for (sum, up) in wanted[row * width + 4..].iter_mut().zip(up) {
                            *sum += 0.05 * between * f64::from(*up);
                        }
                    }
                }
                let off = largest_difference(&whole, &wanted);
                assert!(off < 0.05, "{inputs} to {outputs}: off by {off}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let input = tensor(&[2, 8], Kind::BFloat16, 1);
        let (down, up) = (tensor(&[3, 8], Kind::BFloat16, 1), tensor(&[3, 4], Kind::BFloat16, 1));
        let adapter = LoraAdapter {
            down: &down,
            up: &up,
            scale: 1.0,
        };
        let swapped = LoraAdapter {
            down: &up,
            up: &down,
            scale: 1.0,
        };
        let output = || Tensor::zeros([2, 4], (Kind::BFloat16, Device::Cpu));
        assert!(lora(&input, &mut output(), &[adapter], &[0, -1]).is_ok());
        assert!(lora(&input, &mut output(), &[adapter], &[1, 0]).is_err());
        assert!(lora(&input, &mut output(), &[adapter], &[-2, 0]).is_err());
        assert!(lora(&input, &mut output(), &[adapter], &[0]).is_err());
        assert!(lora(&input, &mut output(), &[swapped], &[0, 0]).is_err());
        assert!(lora(&input.to_kind(Kind::Float), &mut output(), &[adapter], &[0, 0]).is_err());
    }
}
