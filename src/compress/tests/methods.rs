//! What every method costs on the real model. Minutes, so it runs only when asked for:
//!
//! `cargo test --release -p atelier-compress --test methods -- --ignored --nocapture`
//!
//! The model's file is in 4 bits with groups of 32 already, and rounding it to the same grid again
//! changes nothing. So methods are told apart where its weights are not on the grid: with larger
//! groups, and on a copy whose channels are scaled, each layer's in one place and back in the next:
//! the same network, off the grid, with channels of unequal size as trained networks have them.

#![allow(clippy::unwrap_used, reason = "a measurement says where it failed by panicking")]

mod support;

use std::{path::Path, time::Instant};

use atelier_compress::{Job, Method, Options, Pruning, Quantization, run};
use engine::blocks::widen;
use gguf::GgufFile;

use support::{Random, Writer, model, plain};

/// Spread of the logarithms of the channels' scales.
const SPREAD: f32 = 0.3;

/// Writes the copy.
fn write_scaled(path: &Path) {
    let source = GgufFile::open(&model()).unwrap();
    let header = source.header();
    let writer = Writer::create(path, &header.metadata, &plain(&source));
    let number = |key: &str| header.metadata.unsigned(key).unwrap() as usize;
    let (heads, kv_heads) = (
        number("llama.attention.head_count"),
        number("llama.attention.head_count_kv"),
    );
    let (hidden, feed_forward) = (number("llama.embedding_length"), number("llama.feed_forward_length"));
    let head_dim = hidden / heads;
    let mut random = Random(1);
    let mut scales = |count: usize| -> Vec<f32> { (0..count).map(|_| (SPREAD * random.normal()).exp()).collect() };
    let blocks: Vec<_> = (0..number("llama.block_count"))
        .map(|_| {
            [
                scales(hidden),
                scales(kv_heads * head_dim),
                scales(hidden),
                scales(feed_forward),
            ]
        })
        .collect();
    let none = |_, _| 1.0;
    for info in &header.tensors {
        let weights = widen(&source.read_tensor(info).unwrap(), info.ggml_type).unwrap();
        let columns = info.shape[info.shape.len() - 1] as usize;
        let block = info.name.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
        let scale: Box<dyn Fn(usize, usize) -> f32> = match block {
            None => Box::new(none),
            Some((index, name)) => {
                let [attention, value, gate_up, down] = &blocks[index.parse::<usize>().unwrap()];
                match name {
                    "attn_norm.weight" => Box::new(|_, column| 1.0 / attention[column]),
                    "attn_q.weight" | "attn_k.weight" => Box::new(|_, column| attention[column]),
                    "attn_v.weight" => Box::new(|row, column| attention[column] / value[row]),
                    "attn_output.weight" => Box::new(|_, column| {
                        let head = column / head_dim / (heads / kv_heads);
                        value[head * head_dim + column % head_dim]
                    }),
                    "ffn_norm.weight" => Box::new(|_, column| 1.0 / gate_up[column]),
                    "ffn_gate.weight" => Box::new(|_, column| gate_up[column]),
                    "ffn_up.weight" => Box::new(|row, column| gate_up[column] / down[row]),
                    "ffn_down.weight" => Box::new(|_, column| down[column]),
                    other => panic!("{other} is unknown"),
                }
            }
        };
        let scaled = weights
            .iter()
            .enumerate()
            .map(|(i, weight)| weight * scale(i / columns, i % columns));
        writer.tensor(&info.name, scaled);
    }
}

#[test]
#[ignore = "takes minutes; prints figures"]
fn methods_compared() {
    let dir = tempfile::tempdir().unwrap();
    let scaled = dir.path().join("scaled.gguf");
    write_scaled(&scaled);
    let four = |method, group_size| (Quantization::Int4, Some(method), group_size, None);
    let pruned = |pruning, sparsity| (Quantization::None, None, 32, Some((pruning, sparsity)));
    let methods = [Method::Rtn, Method::Hqq, Method::Awq, Method::Gptq];
    let mut runs = vec![("scaled", (Quantization::Int8, None, 32, None))];
    runs.extend(methods.map(|method| ("as it is", four(method, 32))));
    runs.extend(methods.map(|method| ("scaled", four(method, 32))));
    runs.extend(methods.map(|method| ("as it is", four(method, 128))));
    runs.push(("as it is", pruned(Pruning::Magnitude, 0.2)));
    runs.push(("as it is", pruned(Pruning::Wanda, 0.2)));
    runs.push(("as it is", pruned(Pruning::Structured, 0.2)));
    println!("source    result                                             before    after   increase  seconds");
    for (index, (source, (quantization, method, group_size, pruning))) in runs.into_iter().enumerate() {
        let options = Options {
            quantization,
            method,
            group_size,
            pruning,
            max_increase: None,
            calibration: None,
            store: dir.path().join(index.to_string()),
        };
        let job = Job {
            source: if source == "scaled" { scaled.clone() } else { model() },
            digest: format!("sha256:{source}"),
            bytes: 0,
            options,
        };
        let start = Instant::now();
        let report = run(job, |_| {}).unwrap().report;
        let what = format!("{quantization:?} {method:?} {group_size} {pruning:?}");
        println!(
            "{source:<9} {what:<48} {:>8} {:>8} {:>10} {:>8.0}",
            report.perplexity_before,
            report.perplexity_after,
            report.increase,
            start.elapsed().as_secs_f64()
        );
    }
}
