//! ggml's k-quants: super-blocks of 256 weights, whose groups have small scales of their own.

use super::half_at;

/// Weights of a super-block.
pub(super) const WEIGHTS: usize = 256;

/// `Q4_K`: halves d and dmin, packed scales and minimums of 8 groups, 128 bytes of 4-bit q;
/// w = d scale q - dmin minimum.
pub(super) fn q4(block: &[u8; 144], weights: &mut [f32; WEIGHTS]) {
    let groups = Groups::new(block);
    for (pair, (bytes, out)) in block[16..].chunks(32).zip(weights.chunks_mut(64)).enumerate() {
        for half in 0..2 {
            let (scale, minimum) = groups.of(2 * pair + half);
            for (byte, weight) in bytes.iter().zip(&mut out[32 * half..]) {
                *weight = scale * f32::from(byte >> (4 * half) & 15) - minimum;
            }
        }
    }
}

/// `Q5_K`: like `Q4_K`, with the fifth bits of all q in 32 bytes before the others.
pub(super) fn q5(block: &[u8; 176], weights: &mut [f32; WEIGHTS]) {
    let groups = Groups::new(block);
    let fifth = &block[16..48];
    for (pair, (bytes, out)) in block[48..].chunks(32).zip(weights.chunks_mut(64)).enumerate() {
        for half in 0..2 {
            let group = 2 * pair + half;
            let (scale, minimum) = groups.of(group);
            for ((byte, high), weight) in bytes.iter().zip(fifth).zip(&mut out[32 * half..]) {
                let q = (byte >> (4 * half) & 15) | (high >> group & 1) << 4;
                *weight = scale * f32::from(q) - minimum;
            }
        }
    }
}

/// `Q6_K`: 128 bytes of low bits, 64 bytes of high bits, 16 signed scales, half d;
/// w = d scale (q - 32).
pub(super) fn q6(block: &[u8; 210], weights: &mut [f32; WEIGHTS]) {
    let (low, rest) = block.split_at(128);
    let (high, scales) = rest.split_at(64);
    let d = half_at(block, 208);
    for (index, weight) in weights.iter_mut().enumerate() {
        // Two halves of 128 weights; in each, four quarters of 32 share the bytes of the high bits.
        let (half, quarter, place) = (index / 128, index % 128 / 32, index % 32);
        let nibble = low[64 * half + 32 * (quarter % 2) + place] >> (4 * (quarter / 2)) & 15;
        let top = high[32 * half + place] >> (2 * quarter) & 3;
        let scale = d * f32::from(scales[index / 16].cast_signed());
        *weight = scale * (f32::from(nibble | top << 4) - 32.0);
    }
}

/// Scales and minimums of the groups of 32 weights in `Q4_K` and `Q5_K`, 6 bits each in 12 bytes.
struct Groups<'a> {
    d: f32,
    dmin: f32,
    packed: &'a [u8],
}

impl<'a> Groups<'a> {
    fn new(block: &'a [u8]) -> Self {
        Self {
            d: half_at(block, 0),
            dmin: half_at(block, 2),
            packed: &block[4..16],
        }
    }

    fn of(&self, group: usize) -> (f32, f32) {
        let packed = self.packed;
        let (scale, minimum) = match group {
            0..4 => (packed[group] & 63, packed[group + 4] & 63),
            // The last four share bytes; their upper two bits are those that the first four leave.
            _ => (
                packed[group + 4] & 15 | packed[group - 4] >> 6 << 4,
                packed[group + 4] >> 4 | packed[group] >> 6 << 4,
            ),
        };
        (self.d * f32::from(scale), self.dmin * f32::from(minimum))
    }
}
