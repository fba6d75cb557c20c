//! Widening of stored weights.
//!
//! Block formats as in ggml: `Q4_0` w = d (q - 8), `Q4_1` w = d q + m, `Q5_0` w = d (q - 16), `Q5_1`
//! w = d q + m, `Q8_0` w = d q, with q of 4 bits (low nibbles are the first 16 of a block's 32
//! weights, high nibbles the rest), 5 bits (the fifth ones in 4 bytes of their own) or 8 bits, and
//! d, m in half precision. <https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c>

mod k_quants;

use gguf::GgmlType;
use half::{bf16, f16};
use tch::Kind;

/// A type that weights are widened to.
pub(crate) trait Weight: tch::kind::Element + Copy + Send {
    /// What the bits mean.
    const BITS: Kind;

    /// Rounds to nearest.
    fn from_f32(value: f32) -> Self;
}

impl Weight for f32 {
    const BITS: Kind = Kind::Float;

    fn from_f32(value: f32) -> Self {
        value
    }
}

/// The bits of a bfloat16: tch takes `half::bf16` for IEEE half precision.
impl Weight for i16 {
    const BITS: Kind = Kind::BFloat16;

    fn from_f32(value: f32) -> Self {
        bf16::from_f32(value).to_bits().cast_signed()
    }
}

/// Widens the bytes of a tensor; `None` for a type that we do not know.
pub(crate) fn dequantize<W: Weight>(bytes: &[u8], ggml_type: GgmlType) -> Option<Vec<W>> {
    Some(match ggml_type {
        GgmlType::F32 => plain(bytes, f32::from_le_bytes),
        GgmlType::F16 => plain(bytes, |pair: [u8; 2]| f16::from_le_bytes(pair).to_f32()),
        GgmlType::BF16 => plain(bytes, |pair: [u8; 2]| bf16::from_le_bytes(pair).to_f32()),
        GgmlType::Q8_0 => blocks::<W, 34>(bytes, |block, weights| {
            let scale = half_at(block, 0);
            weights.extend(
                block[2..]
                    .iter()
                    .map(|byte| W::from_f32(scale * f32::from(*byte as i8))),
            );
        }),
        GgmlType::Q4_0 => blocks::<W, 18>(bytes, |block, weights| {
            let scale = half_at(block, 0);
            nibbles(&block[2..], weights, |q| scale * (f32::from(q) - 8.0));
        }),
        GgmlType::Q4_1 => blocks::<W, 20>(bytes, |block, weights| {
            let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
            nibbles(&block[4..], weights, |q| scale * f32::from(q) + minimum);
        }),
        GgmlType::Q5_0 => blocks::<W, 22>(bytes, |block, weights| {
            let scale = half_at(block, 0);
            five_bits(&block[2..], weights, |q| scale * (f32::from(q) - 16.0));
        }),
        GgmlType::Q5_1 => blocks::<W, 24>(bytes, |block, weights| {
            let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
            five_bits(&block[4..], weights, |q| scale * f32::from(q) + minimum);
        }),
        GgmlType::Q4_K => super_blocks(bytes, k_quants::q4),
        GgmlType::Q5_K => super_blocks(bytes, k_quants::q5),
        GgmlType::Q6_K => super_blocks(bytes, k_quants::q6),
        _ => return None,
    })
}

fn plain<W: Weight, const N: usize>(bytes: &[u8], widen: impl Fn([u8; N]) -> f32) -> Vec<W> {
    let (numbers, _) = bytes.as_chunks::<N>();
    numbers.iter().map(|number| W::from_f32(widen(*number))).collect()
}

fn blocks<W: Weight, const N: usize>(bytes: &[u8], widen: impl Fn(&[u8; N], &mut Vec<W>)) -> Vec<W> {
    let (blocks, _) = bytes.as_chunks::<N>();
    let mut weights = Vec::with_capacity(blocks.len() * 32);
    for block in blocks {
        widen(block, &mut weights);
    }
    weights
}

fn nibbles<W: Weight>(bytes: &[u8], weights: &mut Vec<W>, widen: impl Fn(u8) -> f32) {
    weights.extend(bytes.iter().map(|byte| W::from_f32(widen(byte & 15))));
    weights.extend(bytes.iter().map(|byte| W::from_f32(widen(byte >> 4))));
}

/// `bytes` are the fifth bits, then the nibbles.
fn five_bits<W: Weight>(bytes: &[u8], weights: &mut Vec<W>, widen: impl Fn(u8) -> f32) {
    let (fifth, nibbles) = bytes.split_at(4);
    let bit = |index: usize| (fifth[index / 8] >> (index % 8) & 1) << 4;
    let low = nibbles.iter().map(|byte| byte & 15);
    let all = low.chain(nibbles.iter().map(|byte| byte >> 4)).enumerate();
    weights.extend(all.map(|(index, nibble)| W::from_f32(widen(nibble | bit(index)))));
}

fn super_blocks<W: Weight, const N: usize>(
    bytes: &[u8],
    widen: impl Fn(&[u8; N], &mut [f32; k_quants::WEIGHTS]),
) -> Vec<W> {
    let (blocks, _) = bytes.as_chunks::<N>();
    let mut weights = Vec::with_capacity(blocks.len() * k_quants::WEIGHTS);
    let mut wide = [0.0; k_quants::WEIGHTS];
    for block in blocks {
        widen(block, &mut wide);
        weights.extend(wide.iter().map(|weight| W::from_f32(*weight)));
    }
    weights
}

fn half_at(block: &[u8], offset: usize) -> f32 {
    f16::from_le_bytes([block[offset], block[offset + 1]]).to_f32()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn half(value: f32) -> [u8; 2] {
        f16::from_f32(value).to_le_bytes()
    }

    #[test]
    fn four_bit_blocks_hold_low_nibbles_first() {
        let quants: Vec<u8> = (0..16u8).map(|i| i | ((15 - i) << 4)).collect();
        let block = [&half(0.5)[..], &half(-1.0), &quants].concat();
        let weights: Vec<f32> = dequantize(&block, GgmlType::Q4_1).unwrap();
        assert_eq!(weights.len(), 32);
        assert_eq!((weights[0], weights[3], weights[15]), (-1.0, 0.5, 6.5));
        assert_eq!((weights[16], weights[31]), (6.5, -1.0));

        let block = [&half(2.0)[..], &quants].concat();
        let weights: Vec<f32> = dequantize(&block, GgmlType::Q4_0).unwrap();
        assert_eq!((weights[0], weights[8], weights[16]), (-16.0, 0.0, 14.0));
    }

    #[test]
    fn eight_bit_blocks_are_signed() {
        let quants: Vec<u8> = (0..32i8).map(|i| (i - 16).cast_unsigned()).collect();
        let block = [&half(0.25)[..], &quants].concat();
        let weights: Vec<i16> = dequantize(&block, GgmlType::Q8_0).unwrap();
        let value = |bits: i16| bf16::from_bits(bits.cast_unsigned()).to_f32();
        assert_eq!((value(weights[0]), value(weights[31])), (-4.0, 3.75));
    }

    #[test]
    fn plain_numbers_pass() {
        let bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(dequantize::<f32>(&bytes, GgmlType::F32), Some(vec![1.5, -2.0]));
        assert_eq!(dequantize::<f32>(&half(3.0), GgmlType::F16), Some(vec![3.0]));
        assert_eq!(
            dequantize::<f32>(&bf16::from_f32(3.0).to_le_bytes(), GgmlType::BF16),
            Some(vec![3.0])
        );
        assert_eq!(dequantize::<f32>(&[0; 84], GgmlType::Q2_K), None);
    }

    /// What ggml's own Python package makes of blocks whose bytes are 37 i + 11 and whose d and dmin
    /// are 0.5 and 0.25: `gguf.quants.dequantize`, gguf 0.19.
    #[derive(serde::Deserialize)]
    struct Reference {
        d_at: Vec<usize>,
        weights: Vec<f32>,
    }

    #[test]
    fn every_block_format_gives_what_ggml_gives() {
        let references: HashMap<String, Reference> = serde_json::from_str(include_str!("reference.json")).unwrap();
        for kind in [
            GgmlType::Q4_0,
            GgmlType::Q4_1,
            GgmlType::Q5_0,
            GgmlType::Q5_1,
            GgmlType::Q8_0,
            GgmlType::Q4_K,
            GgmlType::Q5_K,
            GgmlType::Q6_K,
        ] {
            let Reference { d_at, weights } = &references[&kind.to_string()];
            let mut block: Vec<u8> = (0..kind.block_bytes()).map(|i| (37 * i + 11) as u8).collect();
            for (place, value) in d_at.iter().zip([0.5, 0.25]) {
                block[*place..place + 2].copy_from_slice(&half(value));
            }
            assert_eq!(&dequantize::<f32>(&block, kind).unwrap(), weights, "{kind}");
        }
    }
}
