//! Numbers as files store them.

use gguf::GgmlType;
use half::{bf16, f16};
use tch::{Kind, TchError, Tensor};

use super::{grid::BLOCK, parallel};
use crate::Error;

/// The bytes of `weights` in a type that needs no choices: each number, or each block, by itself.
pub(crate) fn encode(name: &str, weights: &Tensor, ggml_type: GgmlType) -> Result<Vec<u8>, Error> {
    let weights = floats(weights)?;
    let bytes = match ggml_type {
        GgmlType::F32 => plain(&weights, f32::to_le_bytes),
        GgmlType::F16 => plain(&weights, |weight| f16::from_f32(weight).to_le_bytes()),
        GgmlType::BF16 => plain(&weights, |weight| bf16::from_f32(weight).to_le_bytes()),
        GgmlType::Q8_0 => eight_bits(&weights),
        other => {
            return Err(Error::tensor(
                name,
                format!("weights of type {other} cannot be written"),
            ));
        }
    };
    let largest = weights.iter().fold(0f32, |largest, weight| largest.max(weight.abs()));
    // The scale of an 8-bit block has half precision, the number itself in FP16.
    let limit = match ggml_type {
        GgmlType::F16 => f16::MAX.to_f32(),
        GgmlType::Q8_0 => f16::MAX.to_f32() * 127.0,
        _ => f32::MAX,
    };
    if largest > limit {
        return Err(Error::tensor(
            name,
            format!("its largest weight is {largest}, {ggml_type} ends at {limit}; use --quantization bf16"),
        ));
    }
    Ok(bytes)
}

/// The numbers of a tensor.
pub(crate) fn floats(tensor: &Tensor) -> Result<Vec<f32>, Error> {
    let flat = tensor.f_to_kind(Kind::Float)?.f_contiguous()?.f_view([-1])?;
    Ok(Vec::try_from(&flat)?)
}

/// A tensor of its own with the same numbers.
pub(crate) fn copy(tensor: &Tensor) -> Result<Tensor, TchError> {
    let copy = tensor.f_empty_like()?;
    copy.shallow_clone().f_copy_(tensor)?;
    Ok(copy)
}

fn plain<const N: usize>(weights: &[f32], bytes: impl Fn(f32) -> [u8; N] + Sync) -> Vec<u8> {
    let mut out = vec![0; weights.len() * N];
    parallel::rows(weights, BLOCK, &mut out, N * BLOCK, |weights, out| {
        for (weight, out) in weights.iter().zip(out.as_chunks_mut::<N>().0) {
            *out = bytes(*weight);
        }
    });
    out
}

/// `Q8_0`: a scale in half precision, then 32 signed bytes.
fn eight_bits(weights: &[f32]) -> Vec<u8> {
    const BYTES: usize = BLOCK + 2;
    let mut out = vec![0; weights.len() / BLOCK * BYTES];
    parallel::rows(weights, BLOCK, &mut out, BYTES, |weights, block| {
        let largest = weights.iter().fold(0f32, |largest, weight| largest.max(weight.abs()));
        let scale = f16::from_f32(largest / 127.0);
        block[..2].copy_from_slice(&scale.to_le_bytes());
        let scale = scale.to_f32();
        for (weight, byte) in weights.iter().zip(&mut block[2..]) {
            let number = if scale > 0.0 {
                (weight / scale).round_ties_even()
            } else {
                0.0
            };
            *byte = (number.clamp(-127.0, 127.0) as i8).cast_unsigned();
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use engine::blocks::widen;
    use rstest::rstest;

    use super::*;
    use crate::quantize::grid::tests::weights;

    #[rstest]
    #[case(GgmlType::F32, 0.0)]
    #[case(GgmlType::F16, 1.0 / 2048.0)]
    #[case(GgmlType::BF16, 1.0 / 256.0)]
    #[case(GgmlType::Q8_0, 1.0 / 253.0)]
    fn what_is_written_is_near(#[case] ggml_type: GgmlType, #[case] tolerance: f32) {
        // A row that is no whole piece of work, and one of zeros.
        let mut weights = weights(5 * 32, 3);
        weights[32..64].fill(0.0);
        let bytes = encode("t", &Tensor::from_slice(&weights), ggml_type).unwrap();
        let back = widen(&bytes, ggml_type).unwrap();
        assert_eq!(back.len(), weights.len());
        for (block, back) in weights.chunks(32).zip(back.chunks(32)) {
            let largest = block.iter().fold(0f32, |largest, weight| largest.max(weight.abs()));
            for (weight, back) in block.iter().zip(back) {
                assert!((weight - back).abs() <= tolerance * largest, "{weight} {back}");
            }
        }
    }

    #[test]
    fn vectors_of_any_length_are_whole() {
        let bytes = encode("t", &Tensor::from_slice(&[1f32; 45]), GgmlType::F32).unwrap();
        assert_eq!(widen(&bytes, GgmlType::F32).unwrap(), [1.0; 45]);
    }

    #[test]
    fn what_half_precision_cannot_hold_is_refused_by_name() {
        let error = encode("blk.0.x", &Tensor::from_slice(&[70_000f32]), GgmlType::F16).unwrap_err();
        assert!(
            error.to_string().contains("blk.0.x") && error.to_string().contains("bf16"),
            "{error}"
        );
    }
}
