//! Numbers for tests: the same every time, and no two alike.

use half::f16;
use tch::{Device, Kind, Tensor};

use crate::Blocks;

/// Numbers in -1..1 (SplitMix64).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

impl Iterator for Numbers {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        Some((self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0)
    }
}

/// A tensor of such numbers.
pub(crate) fn tensor(shape: &[i64], kind: Kind, seed: u64) -> Tensor {
    let count = shape.iter().product::<i64>() as usize;
    let numbers: Vec<f32> = Numbers::new(seed).take(count).collect();
    Tensor::from_slice(&numbers).view(shape).to_kind(kind)
}

/// The numbers of a tensor, row by row.
pub(crate) fn numbers(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor
        .to_kind(Kind::Float)
        .to_device(Device::Cpu)
        .contiguous()
        .view([-1]);
    flat.try_into().unwrap()
}

/// How far a tensor is from what it should be.
pub(crate) fn largest_difference(tensor: &Tensor, wanted: &[f64]) -> f64 {
    let numbers = numbers(tensor);
    assert_eq!(numbers.len(), wanted.len());
    numbers
        .iter()
        .zip(wanted)
        .map(|(a, b)| (f64::from(*a) - b).abs())
        .fold(
            0.0,
            |largest: f64, next| if next > largest || next.is_nan() { next } else { largest },
        )
}

/// Rows of random blocks whose weights are of size one.
pub(crate) fn blocks(blocks: Blocks, rows: usize, columns: usize, seed: u64) -> Vec<u8> {
    let mut source = Numbers::new(seed);
    let mut bytes = Vec::new();
    let (numbers, size) = blocks.layout();
    for _ in 0..rows * columns / numbers {
        if numbers == 1 {
            let value = source.next().unwrap();
            match size {
                4 => bytes.extend(value.to_le_bytes()),
                _ if blocks == Blocks::F16 => bytes.extend(f16::from_f32(value).to_le_bytes()),
                _ => bytes.extend(half::bf16::from_f32(value).to_le_bytes()),
            }
            continue;
        }
        let mut block: Vec<u8> = (0..size).map(|_| (source.bits() >> 56) as u8).collect();
        let range = match blocks {
            Blocks::Q8_0 => 127.0,
            Blocks::Q5_0 | Blocks::Q5_1 => 31.0,
            Blocks::Q4_K => 15.0 * 63.0,
            Blocks::Q5_K => 31.0 * 63.0,
            Blocks::Q6_K => 32.0 * 127.0,
            _ => 15.0,
        };
        let mut half = || f16::from_f32((1.5 + source.next().unwrap()) / range).to_le_bytes();
        let scales = match blocks {
            Blocks::Q6_K => vec![(208, half())],
            Blocks::Q4_1 | Blocks::Q5_1 | Blocks::Q4_K | Blocks::Q5_K => vec![(0, half()), (2, half())],
            _ => vec![(0, half())],
        };
        for (place, scale) in scales {
            block[place..place + 2].copy_from_slice(&scale);
        }
        if blocks == Blocks::Q8_0 {
            block[2..]
                .iter_mut()
                .filter(|byte| **byte == 0x80)
                .for_each(|byte| *byte = 0);
        }
        bytes.extend(block);
    }
    bytes
}
