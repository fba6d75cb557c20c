//! Our kernels against libtorch's operators.

use engine_sys::{Blocks, Packed, RowOrder, Rows};
use gguf::GgmlType;
use tch::{Device, Kind, Tensor};

use super::*;
use crate::{Batch, Dtype, LogitRows, ModelConfig, PAGE, Segment, dequantize::dequantize, weights::tests::file_of};

/// Numbers that differ from place to place, about as large as one.
fn numbers(shape: &[i64], kind: Kind, seed: i64) -> Tensor {
    let count: i64 = shape.iter().product();
    let wave = (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 12.9898 + seed as f64 * 78.233).sin() * 43758.5453;
    ((&wave - wave.floor()) * 2.0 - 1.0).view(shape).to_kind(kind)
}

#[track_caller]
fn assert_close(ours: &Tensor, theirs: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(ours.size(), theirs.size(), "{what}");
    let (ours, theirs) = (ours.to_kind(Kind::Double), theirs.to_kind(Kind::Double));
    let off = (&ours - &theirs).abs().max().double_value(&[]);
    let scale = theirs.abs().max().double_value(&[]).max(1.0);
    assert!(off <= tolerance * scale, "{what}: off by {off} of {scale}");
}

/// For each type a tolerance: single precision sums in another order, bfloat16 rounds in other places.
const TYPES: [(Kind, f64); 2] = [(Kind::Float, 1e-5), (Kind::BFloat16, 0.02)];

#[test]
fn norms_and_gates_agree() {
    for threads in [1, 2] {
        engine_sys::set_threads(threads);
        for (kind, tolerance) in TYPES {
            for (rows, width) in [(1, 576), (3, 33), (50, 1000)] {
                let weight = numbers(&[width], kind, 1);
                let delta = numbers(&[rows, width], kind, 2);
                let mut ours = numbers(&[rows, width], Kind::Float, 3);
                let mut theirs = ours.copy();
                let normed = Ops::Own
                    .add_rms_norm(&mut ours, Some(&delta), &weight, 1e-5, kind)
                    .unwrap();
                let expected = Ops::Aten
                    .add_rms_norm(&mut theirs, Some(&delta), &weight, 1e-5, kind)
                    .unwrap();
                assert_close(&ours, &theirs, 1e-6, "residual");
                assert_close(&normed, &expected, tolerance, "norm");

                let gate_up = numbers(&[rows, 2 * width], kind, 4) * 5.0;
                let ours = Ops::Own.silu_mul(&gate_up).unwrap();
                assert_close(&ours, &Ops::Aten.silu_mul(&gate_up).unwrap(), tolerance, "gate");
            }
        }
    }
}

/// Decoding sequences and a piece of a prompt in one pass, with padding, on every kind of head.
#[test]
fn attention_agrees() {
    for threads in [1, 2] {
        engine_sys::set_threads(threads);
        for (dtype, tolerance) in [(Dtype::Fp32, 1e-5), (Dtype::Bf16, 0.02)] {
            for (architecture, head_dim) in [("llama", 8), ("llama", 64), ("qwen3", 12), ("qwen3", 128)] {
                let mut config = ModelConfig::from_header(file_of(architecture, &[]).header()).unwrap();
                config.head_dim = head_dim;
                let rope = Rope::new(&config, 128, Device::Cpu).unwrap();
                let segment = |start, count: usize, pages: &[u32]| Segment {
                    start,
                    tokens: vec![0; count],
                    pages: pages.into(),
                    logits: LogitRows::None,
                    adapter: None,
                };
                let segments = vec![
                    segment(40, 1, &[1, 4, 2]),
                    segment(0, 1, &[5]),
                    segment(13, 21, &[7, 3, 6]),
                ];
                let batch = Batch { segments };
                let rows = 32;
                let width = (config.heads + 2 * config.kv_heads) * head_dim;
                let kind = dtype.kind();
                let norms = config
                    .architecture
                    .head_norm
                    .then(|| [numbers(&[head_dim], kind, 5), numbers(&[head_dim], kind, 6)]);
                let results = [Ops::Own, Ops::Aten].map(|ops| {
                    let cache = KvCache::new(&config, 8, dtype, Device::Cpu, ops).unwrap();
                    let by_head = |pages: &Tensor| match ops {
                        Ops::Own => pages.shallow_clone(),
                        Ops::Aten => pages.transpose(1, 2),
                    };
                    for pages in [cache.layer(1).keys, cache.layer(1).values] {
                        let shape = [8, config.kv_heads, PAGE as i64, head_dim];
                        by_head(pages).copy_(&numbers(&shape, kind, 7));
                    }
                    let places = Places::new(&batch, rows);
                    let pass = LooksPass {
                        batch: &batch,
                        places: &places,
                        cache: &cache,
                        config: &config,
                        rope: &rope,
                        flash: false,
                    };
                    let looks = Looks::new(ops, pass).unwrap();
                    let attention = Attention {
                        layer: 1,
                        heads: config.heads,
                        cache: &cache,
                        places: &places,
                        looks: &looks,
                        rope: &rope,
                        head_norms: norms.as_ref(),
                        norm_epsilon: 1e-5,
                    };
                    let mut qkv = numbers(&[rows as i64, width], kind, 8) * 2.0;
                    let output = attention.compute(&mut qkv).unwrap().narrow(0, 0, 23);
                    let pages = cache.layer(1);
                    [output, by_head(pages.keys).copy(), by_head(pages.values).copy()]
                });
                let [ours, theirs] = results;
                for (index, what) in ["output", "keys", "values"].into_iter().enumerate() {
                    let what = format!("{what}: {architecture}, {head_dim} wide, {dtype}, {threads} threads");
                    assert_close(&ours[index], &theirs[index], tolerance, &what);
                }
            }
        }
    }
}

const BLOCKS: [(Blocks, GgmlType); 11] = [
    (Blocks::F32, GgmlType::F32),
    (Blocks::F16, GgmlType::F16),
    (Blocks::BF16, GgmlType::BF16),
    (Blocks::Q4_0, GgmlType::Q4_0),
    (Blocks::Q4_1, GgmlType::Q4_1),
    (Blocks::Q5_0, GgmlType::Q5_0),
    (Blocks::Q5_1, GgmlType::Q5_1),
    (Blocks::Q8_0, GgmlType::Q8_0),
    (Blocks::Q4_K, GgmlType::Q4_K),
    (Blocks::Q5_K, GgmlType::Q5_K),
    (Blocks::Q6_K, GgmlType::Q6_K),
];

/// Bytes of a file for `count` weights of size one or less.
fn file_bytes(kind: GgmlType, count: usize) -> Vec<u8> {
    let size = kind.block_bytes() as usize;
    let half = |value: f32| half::f16::from_f32(value).to_le_bytes();
    let mut bytes = Vec::new();
    for index in 0..count / kind.block_len() as usize {
        let value = ((index * 37 % 97) as f32 / 97.0 - 0.5) * 2.0;
        match kind {
            GgmlType::F32 => bytes.extend(value.to_le_bytes()),
            GgmlType::F16 => bytes.extend(half(value)),
            GgmlType::BF16 => bytes.extend(half::bf16::from_f32(value).to_le_bytes()),
            _ => {
                let mut block: Vec<u8> = (0..size).map(|i| ((index * 131 + i * 89 + 7) % 255) as u8).collect();
                let scale = half(value.abs() / 16.0 + 0.02);
                match kind {
                    GgmlType::Q6_K => block[208..].copy_from_slice(&half(1e-4 + value.abs() / 5e3)),
                    GgmlType::Q4_K | GgmlType::Q5_K => {
                        block[..2].copy_from_slice(&half(1e-3));
                        block[2..4].copy_from_slice(&half(value.abs() / 100.0));
                    }
                    GgmlType::Q4_1 | GgmlType::Q5_1 => {
                        block[..2].copy_from_slice(&scale);
                        block[2..4].copy_from_slice(&half(value));
                    }
                    GgmlType::Q8_0 => {
                        block[..2].copy_from_slice(&half(value.abs() / 128.0 + 0.001));
                        // A quantizer writes no -128.
                        block[2..]
                            .iter_mut()
                            .filter(|byte| **byte == 0x80)
                            .for_each(|byte| *byte = 1);
                    }
                    _ => block[..2].copy_from_slice(&scale),
                }
                bytes.extend(block);
            }
        }
    }
    bytes
}

#[test]
fn packed_weights_are_those_of_the_file() {
    let (rows, columns) = (37, 512);
    for (blocks, kind) in BLOCKS {
        let bytes = file_bytes(kind, rows * columns);
        let part = Rows {
            bytes: &bytes,
            blocks,
            count: rows,
            order: RowOrder::Plain,
        };
        let packed = Packed::pack(columns, &[part], 2).unwrap();
        let plain: Vec<f32> = dequantize(&bytes, kind).unwrap();
        let plain = Tensor::from_slice(&plain).view([rows as i64, columns as i64]);
        let widened = packed.dequantize_rows(rows, Kind::Float).unwrap();
        // Products of two scales are rounded to halves, plain numbers to bfloat16.
        let tolerance = match kind {
            GgmlType::F32 | GgmlType::F16 => 0.004,
            GgmlType::Q4_K | GgmlType::Q5_K | GgmlType::Q6_K => 0.001,
            _ => 0.0,
        };
        assert_close(&widened, &plain, tolerance, &kind.to_string());
    }
}

#[test]
fn products_with_packed_weights_agree() {
    let columns = 512;
    for threads in [1, 2] {
        engine_sys::set_threads(threads);
        for (blocks, kind) in BLOCKS {
            let parts = [37, 64].map(|count| (file_bytes(kind, count * columns), count));
            let packed = parts.iter().map(|(bytes, count)| {
                let part = Rows {
                    bytes,
                    blocks,
                    count: *count,
                    order: RowOrder::Plain,
                };
                Packed::pack(columns, &[part], 1).unwrap()
            });
            let packed = Linear::Packed(packed.collect());
            let plain: Vec<f32> = parts
                .iter()
                .flat_map(|(bytes, _)| dequantize(bytes, kind).unwrap())
                .collect();
            let plain = Linear::Dense(Tensor::from_slice(&plain).view([101, columns as i64]));
            let bias = numbers(&[101], Kind::BFloat16, 1);
            for rows in [1, 5, 16, 40] {
                let input = numbers(&[rows, columns as i64], Kind::BFloat16, 2);
                let ours = packed.forward_as(&input, Some(&bias), Kind::Float).unwrap();
                let theirs = plain
                    .forward(&input.to_kind(Kind::Float), Some(&bias.to_kind(Kind::Float)))
                    .unwrap();
                assert_close(
                    &ours,
                    &theirs,
                    0.005,
                    &format!("{kind}, {rows} rows, {threads} threads"),
                );
                let rounded = packed.forward(&input, Some(&bias)).unwrap();
                assert_eq!(rounded.kind(), Kind::BFloat16);
                assert_close(&rounded, &theirs, 0.01, &format!("{kind}, {rows} rows, rounded"));
            }
        }
    }
}

#[test]
fn widened_weights_give_the_same_product() {
    let bytes = file_bytes(GgmlType::Q4_K, 64 * 256);
    let part = Rows {
        bytes: &bytes,
        blocks: Blocks::Q4_K,
        count: 64,
        order: RowOrder::Plain,
    };
    let packed = Packed::pack(256, &[part], 1).unwrap();
    let input = numbers(&[20, 256], Kind::BFloat16, 3);
    let bias = numbers(&[64], Kind::BFloat16, 1);
    let ours = engine_sys::linear(&input, &packed, Some(&bias), Kind::Float).unwrap();
    let theirs = linear::widened(&packed, &input, Some(&bias), Kind::Float).unwrap();
    assert_close(&ours, &theirs, 0.01, "widened");
}
