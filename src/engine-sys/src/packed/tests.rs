use std::io::Write;

use half::{bf16, f16};

use super::*;
use crate::testing;

const ALL: [Blocks; 11] = [
    Blocks::F32,
    Blocks::F16,
    Blocks::BF16,
    Blocks::Q4_0,
    Blocks::Q4_1,
    Blocks::Q5_0,
    Blocks::Q5_1,
    Blocks::Q8_0,
    Blocks::Q4_K,
    Blocks::Q5_K,
    Blocks::Q6_K,
];

fn part(bytes: &[u8], blocks: Blocks, count: usize) -> Rows<'_> {
    Rows {
        bytes,
        blocks,
        count,
        order: RowOrder::Plain,
    }
}

fn all_rows(packed: &Packed, kind: Kind) -> Vec<f32> {
    testing::numbers(&packed.dequantize_rows(packed.rows(), kind).unwrap())
}

#[test]
fn simple_blocks_come_back_as_they_are_defined() {
    let half = |bytes: &[u8]| f16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
    let bytes = testing::blocks(Blocks::Q4_1, 19, 96, 1);
    let mut wanted = Vec::new();
    for block in bytes.chunks(20) {
        let (d, m) = (half(block), half(&block[2..]));
        wanted.extend(block[4..].iter().map(|byte| d * f32::from(byte & 15) + m));
        wanted.extend(block[4..].iter().map(|byte| d * f32::from(byte >> 4) + m));
    }
    let packed = Packed::pack(96, &[part(&bytes, Blocks::Q4_1, 19)], 3).unwrap();
    assert_eq!(all_rows(&packed, Kind::Float), wanted);

    let bytes = testing::blocks(Blocks::Q8_0, 35, 64, 2);
    let wanted: Vec<f32> = bytes
        .chunks(34)
        .flat_map(|block| {
            block[2..]
                .iter()
                .map(|byte| half(block) * f32::from(byte.cast_signed()))
        })
        .collect();
    let packed = Packed::pack(64, &[part(&bytes, Blocks::Q8_0, 35)], 2).unwrap();
    assert_eq!(all_rows(&packed, Kind::Float), wanted);

    let bytes = testing::blocks(Blocks::F32, 3, 32, 2);
    let wanted: Vec<f32> = bytes
        .chunks(4)
        .map(|number| bf16::from_f32(f32::from_le_bytes(number.try_into().unwrap())).to_f32())
        .collect();
    let packed = Packed::pack(32, &[part(&bytes, Blocks::F32, 3)], 1).unwrap();
    assert_eq!(all_rows(&packed, Kind::Float), wanted);
}

#[test]
fn whole_tiles_and_single_rows_widen_to_the_same() {
    for blocks in ALL {
        let bytes = testing::blocks(blocks, 21, 256, 3);
        let packed = Packed::pack(256, &[part(&bytes, blocks, 21)], 2).unwrap();
        let tiles = all_rows(&packed, Kind::BFloat16);
        let indices = [20, 0, 15, 16, 0];
        let rows = testing::numbers(&packed.select_rows(&indices, Kind::BFloat16).unwrap());
        for (index, row) in indices.iter().zip(rows.chunks(256)) {
            let tile = &tiles[*index as usize * 256..][..256];
            for (a, b) in tile.iter().zip(row) {
                // One multiplies and adds at once, the other rounds in between: one bit of bfloat16.
                assert!(
                    (a - b).abs() <= a.abs() / 128.0 + 1e-4,
                    "{blocks:?} row {index}: {a} and {b}"
                );
            }
        }
    }
}

#[test]
fn parts_follow_each_other_and_heads_are_put_back() {
    let query = testing::blocks(Blocks::Q4_0, 8, 32, 4);
    let value = testing::blocks(Blocks::Q4_1, 12, 32, 5);
    let plain = |bytes, blocks, count| {
        all_rows(
            &Packed::pack(32, &[part(bytes, blocks, count)], 1).unwrap(),
            Kind::Float,
        )
    };
    let stored = plain(&query, Blocks::Q4_0, 8);
    // Two heads of four: stored 0 2 1 3 by the converter's permutation of 0 1 2 3.
    let mut wanted: Vec<f32> = [0, 2, 1, 3, 4, 6, 5, 7]
        .iter()
        .flat_map(|row| stored[32 * row..][..32].to_vec())
        .collect();
    wanted.extend(plain(&value, Blocks::Q4_1, 12));
    let rows = Rows {
        order: RowOrder::Interleaved { heads: 2 },
        ..part(&query, Blocks::Q4_0, 8)
    };
    let packed = Packed::pack(32, &[rows, part(&value, Blocks::Q4_1, 12)], 2).unwrap();
    assert_eq!(all_rows(&packed, Kind::Float), wanted);
}

#[test]
fn a_matrix_comes_back_from_a_file() {
    let bytes = testing::blocks(Blocks::Q6_K, 18, 256, 6);
    let packed = Packed::pack(256, &[part(&bytes, Blocks::Q6_K, 18)], 1).unwrap();
    let size = packed.as_bytes().len();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[7; 64]).unwrap();
    file.write_all(packed.as_bytes()).unwrap();
    let mapping = Arc::new(Mapping::new(&file).unwrap());
    let mapped = Packed::from_mapping(&mapping, 64..64 + size).unwrap();
    assert_eq!(mapped.format(), Format::Int8Halves);
    assert_eq!(all_rows(&mapped, Kind::Float), all_rows(&packed, Kind::Float));
    for wrong in [0..size, 64..63 + size, 64..65 + size, 64..96, 64..64] {
        assert!(Packed::from_mapping(&mapping, wrong).is_err());
    }
}

#[test]
fn what_cannot_be_packed_is_refused() {
    let bytes = testing::blocks(Blocks::Q8_0, 2, 64, 7);
    let good = part(&bytes, Blocks::Q8_0, 2);
    let mut lowest = bytes.clone();
    lowest[2] = 0x80;
    assert!(Packed::pack(64, &[good], 1).is_ok());
    assert!(Packed::pack(64, &[], 1).is_err());
    assert!(Packed::pack(64, &[part(&lowest, Blocks::Q8_0, 2)], 1).is_err());
    assert!(Packed::pack(64, &[part(&bytes[1..], Blocks::Q8_0, 2)], 1).is_err());
    assert!(Packed::pack(64, &[part(&bytes, Blocks::Q8_0, 3)], 1).is_err());
    assert!(Packed::pack(32, &[good], 1).is_err());
    let numbers = testing::blocks(Blocks::F32, 2, 64, 7);
    assert!(Packed::pack(64, &[good, part(&numbers, Blocks::F32, 2)], 1).is_err());
    assert!(Packed::pack(16, &[part(&numbers, Blocks::F32, 8)], 1).is_err());
    let heads = Rows {
        order: RowOrder::Interleaved { heads: 0 },
        ..good
    };
    assert!(Packed::pack(64, &[heads], 1).is_err());
    let packed = Packed::pack(64, &[good], 1).unwrap();
    assert!(packed.select_rows(&[0, 2], Kind::Float).is_err());
    assert!(packed.select_rows(&[-1], Kind::Float).is_err());
    assert!(packed.dequantize_rows(3, Kind::Float).is_err());
    assert!(packed.dequantize_rows(2, Kind::Half).is_err());
}
