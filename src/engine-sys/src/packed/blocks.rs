//! Blocks of GGUF files to groups of 32 columns: quants and scales, nothing widened.
//!
//! Formats as in ggml: <https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c>

use half::{bf16, f16};

use super::{Format, GROUP};

/// How the rows of a file keep their numbers: ggml's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, missing_docs, reason = "ggml's own names, which users know")]
pub enum Blocks {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4_K,
    Q5_K,
    Q6_K,
}

impl Blocks {
    /// Numbers and bytes of a block.
    pub(crate) fn layout(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::BF16 => (1, 2),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q8_0 => (32, 34),
            Self::Q4_K => (256, 144),
            Self::Q5_K => (256, 176),
            Self::Q6_K => (256, 210),
        }
    }

    /// The packed format that keeps these weights as they are: quants exactly, scales rounded to
    /// halves where the file has products of two; plain numbers are rounded to bfloat16.
    pub fn format(self) -> Format {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q4_K => Format::Int4,
            Self::Q5_0 | Self::Q5_1 | Self::Q5_K => Format::Int8,
            Self::Q8_0 | Self::Q6_K => Format::Int8Halves,
            Self::F32 | Self::F16 | Self::BF16 => Format::Bf16,
        }
    }

    /// Group `group` of a row of four-bit blocks.
    pub(super) fn four_bits(self, row: &[u8], group: usize) -> Group4 {
        match self {
            Self::Q4_0 => {
                let block = &row[18 * group..][..18];
                let d = half_at(block, 0);
                Group4 {
                    quants: array(&block[2..]),
                    scale: f16::from_f32(d),
                    offset: f16::from_f32(-8.0 * d),
                }
            }
            Self::Q4_1 => {
                let block = &row[20 * group..][..20];
                Group4 {
                    quants: array(&block[4..]),
                    scale: bits_at(block, 0),
                    offset: bits_at(block, 2),
                }
            }
            _ => {
                let block = &row[144 * (group / 8)..][..144];
                let (scale, offset) = k_scales(block, group % 8);
                // Two groups share 32 bytes: one has the low nibbles, one the high.
                let bytes = &block[16 + 32 * (group % 8 / 2)..][..32];
                let nibble = |byte: u8| byte >> (4 * (group % 2)) & 15;
                let mut quants = [0; 16];
                for (index, quant) in quants.iter_mut().enumerate() {
                    *quant = nibble(bytes[index]) | nibble(bytes[index + 16]) << 4;
                }
                Group4 { quants, scale, offset }
            }
        }
    }

    /// Group `group` of a row of five-, six- or eight-bit blocks; `None` if a quant is -128, which
    /// no quantizer writes and sign and magnitude cannot hold.
    pub(super) fn eight_bits(self, row: &[u8], group: usize) -> Option<Group8> {
        let mut quants = [0i8; GROUP];
        let scales = match self {
            Self::Q8_0 => {
                let block = &row[34 * group..][..34];
                for (quant, byte) in quants.iter_mut().zip(&block[2..]) {
                    *quant = byte.cast_signed();
                }
                [bits_at(block, 0); 2]
            }
            Self::Q5_0 => {
                let block = &row[22 * group..][..22];
                five_bits(&block[2..], &mut quants, -16);
                [bits_at(block, 0), f16::ZERO]
            }
            Self::Q5_1 => {
                let block = &row[24 * group..][..24];
                five_bits(&block[4..], &mut quants, 0);
                [bits_at(block, 0), bits_at(block, 2)]
            }
            Self::Q5_K => {
                let block = &row[176 * (group / 8)..][..176];
                let (fifth, nibbles) = block[16..].split_at(32);
                let nibbles = &nibbles[32 * (group % 8 / 2)..][..32];
                for ((quant, nibble), high) in quants.iter_mut().zip(nibbles).zip(fifth) {
                    *quant = (nibble >> (4 * (group % 2)) & 15 | (high >> (group % 8) & 1) << 4).cast_signed();
                }
                let (scale, offset) = k_scales(block, group % 8);
                [scale, offset]
            }
            _ => six_bits(&row[210 * (group / 8)..][..210], group % 8, &mut quants),
        };
        (!quants.contains(&i8::MIN)).then_some(Group8 { quants, scales })
    }

    /// Number `index` of a row of plain numbers.
    pub(super) fn number(self, row: &[u8], index: usize) -> bf16 {
        match self {
            Self::F32 => bf16::from_f32(f32::from_le_bytes(array(&row[4 * index..]))),
            Self::F16 => bf16::from_f32(half_at(row, 2 * index)),
            _ => bf16::from_le_bytes(array(&row[2 * index..])),
        }
    }
}

/// 32 weights scale q + offset: 16 bytes whose low nibbles are the first half.
pub(super) struct Group4 {
    pub quants: [u8; 16],
    pub scale: f16,
    pub offset: f16,
}

/// 32 quants; what the scales are is up to the format.
pub(super) struct Group8 {
    pub quants: [i8; GROUP],
    pub scales: [f16; 2],
}

/// `bytes` are the fifth bits, then the nibbles.
fn five_bits(bytes: &[u8], quants: &mut [i8; GROUP], offset: i8) {
    let (fifth, nibbles) = bytes.split_at(4);
    for (index, quant) in quants.iter_mut().enumerate() {
        let nibble = nibbles[index % 16] >> (4 * (index / 16)) & 15;
        *quant = (nibble | (fifth[index / 8] >> (index % 8) & 1) << 4).cast_signed() + offset;
    }
}

/// Group `group` of a `Q6_K` block: 128 bytes of low bits, 64 of high bits, 16 signed scales, half d.
fn six_bits(block: &[u8], group: usize, quants: &mut [i8; GROUP]) -> [f16; 2] {
    let (half, quarter) = (group / 4, group % 4);
    let low = &block[64 * half + 32 * (quarter % 2)..][..32];
    let high = &block[128 + 32 * half..][..32];
    for ((quant, low), high) in quants.iter_mut().zip(low).zip(high) {
        let bits = low >> (4 * (quarter / 2)) & 15 | (high >> (2 * quarter) & 3) << 4;
        *quant = bits.cast_signed() - 32;
    }
    let d = half_at(block, 208);
    let scale = |index: usize| f16::from_f32(d * f32::from(block[192 + index].cast_signed()));
    [scale(2 * group), scale(2 * group + 1)]
}

/// Scale and offset of a group of a `Q4_K` or `Q5_K` block: halves d and dmin, then 6 bits each for 8
/// groups in 12 bytes.
fn k_scales(block: &[u8], group: usize) -> (f16, f16) {
    let packed = &block[4..16];
    let (scale, minimum) = match group {
        0..4 => (packed[group] & 63, packed[group + 4] & 63),
        // The last four share bytes; their upper two bits are those that the first four leave.
        _ => (
            packed[group + 4] & 15 | packed[group - 4] >> 6 << 4,
            packed[group + 4] >> 4 | packed[group] >> 6 << 4,
        ),
    };
    (
        f16::from_f32(half_at(block, 0) * f32::from(scale)),
        f16::from_f32(-half_at(block, 2) * f32::from(minimum)),
    )
}

fn bits_at(block: &[u8], offset: usize) -> f16 {
    f16::from_le_bytes(array(&block[offset..]))
}

fn half_at(block: &[u8], offset: usize) -> f32 {
    bits_at(block, offset).to_f32()
}

/// The first `N` bytes, of at least as many.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}
