//! What every method costs on the real model. Minutes, so it runs only when asked for:
//!
//! `OMP_WAIT_POLICY=PASSIVE cargo test -p atelier-compress --test methods -- --ignored --nocapture`
//!
//! Each row has two perplexities: that which `prepare` measures on the end of its sample, none of which
//! it calibrates on, and that of the finished file as the engine serves it, on the text for which the
//! reference implementation's perplexity of the source is known.
//!
//! The model's file is in 4 bits with groups of 32 already, and rounding it to the same grid again
//! changes nothing. So methods are told apart where its weights are not on the grid: with larger
//! groups, and on a copy whose channels are scaled, each layer's in one place and back in the next:
//! the same network, off the grid, with channels of unequal size as trained networks have them.

#![allow(clippy::unwrap_used, reason = "a measurement says where it failed by panicking")]

// The name that the engine's tests know it under.
extern crate engine as atelier_engine;

#[path = "../../engine/tests/support/oracle.rs"]
mod oracle;
mod support;

use std::{path::Path, time::Instant};

use atelier_compress::{Job, Method, Options, Pruning, Quantization, Structure, run};
use checkpoint::Checkpoint;
use engine::{Dtype, Ops, blocks::widen};
use gguf::GgufFile;

use oracle::{REFERENCE, model};
use support::{Random, Writer, plain};

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

/// The perplexity of a file as it is served, and how far that is from the reference's.
fn served(path: &Path, dtype: Dtype, ops: Ops) -> String {
    let found = oracle::perplexity(Checkpoint::open(path).unwrap(), dtype, ops);
    format!("{found:>8.4} {:>+8.2}%", (found / REFERENCE - 1.0) * 100.0)
}

/// What is made of which source.
struct Row {
    source: &'static str,
    what: String,
    options: Options,
}

fn rows(dir: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |source,
                   quantization: Quantization,
                   method: Option<Method>,
                   group_size,
                   pruning: Option<(Pruning, f64)>,
                   structure: Option<Structure>| {
        let what = [
            Some(format!("{quantization:?}")),
            method.map(|method| format!("{method:?} {group_size}")),
            pruning.map(|(pruning, share)| format!("{pruning:?} {share}")),
            structure.map(|structure| format!("{structure:?}")),
        ];
        rows.push(Row {
            source,
            what: what.into_iter().flatten().collect::<Vec<_>>().join(" "),
            options: Options {
                quantization,
                method,
                group_size,
                pruning,
                structure,
                max_increase: None,
                calibration: None,
                store: dir.join("store"),
            },
        });
    };
    for quantization in [Quantization::BF16, Quantization::FP16, Quantization::Int8] {
        add("scaled", quantization, None, 32, None, None);
    }
    // Every method gives the same: the weights are on the grid.
    add("as it is", Quantization::Int4, Some(Method::Rtn), 32, None, None);
    for (source, group) in [("scaled", 32), ("as it is", 128)] {
        for method in [Method::Rtn, Method::Hqq, Method::Awq, Method::Gptq] {
            add(source, Quantization::Int4, Some(method), group, None, None);
        }
    }
    for (pruning, structure) in [
        (Pruning::Magnitude, None),
        (Pruning::Wanda, None),
        (Pruning::Structured, Some(Structure::Channels)),
        (Pruning::Structured, Some(Structure::Layers)),
    ] {
        for share in [0.1, 0.2] {
            add(
                "as it is",
                Quantization::None,
                None,
                32,
                Some((pruning, share)),
                structure,
            );
        }
    }
    rows
}

#[test]
#[ignore = "takes minutes; prints figures"]
fn methods_compared() {
    let dir = tempfile::tempdir().unwrap();
    let scaled = dir.path().join("scaled.gguf");
    write_scaled(&scaled);
    println!("the reference's perplexity on its text: {REFERENCE}");
    for (what, path, dtype, ops) in [
        ("as it is, in fp32", &model(), Dtype::Fp32, Ops::Own),
        ("as it is, in bf16", &model(), Dtype::Bf16, Ops::Aten),
        ("as it is, in its own 4 bits", &model(), Dtype::Bf16, Ops::Own),
        ("scaled, in fp32", &scaled, Dtype::Fp32, Ops::Own),
        ("scaled, in bf16", &scaled, Dtype::Bf16, Ops::Own),
    ] {
        println!("{what:<28} {}", served(path, dtype, ops));
    }
    println!(
        "source    result                          before    after  increase   served    change       MB  seconds"
    );
    // `METHODS=Int8` measures only rows with this word.
    let only = std::env::var("METHODS").unwrap_or_default();
    for row in rows(dir.path()).into_iter().filter(|row| row.what.contains(&only)) {
        let store = row.options.store.clone();
        let job = Job {
            source: if row.source == "scaled" {
                scaled.clone()
            } else {
                model()
            },
            digest: format!("sha256:{}", row.source),
            bytes: 0,
            options: row.options,
        };
        let start = Instant::now();
        let outcome = run(job, |_| {}).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        let report = outcome.report;
        println!(
            "{:<9} {:<29} {:>8} {:>8} {:>9} {} {:>8.1} {seconds:>8.0}",
            row.source,
            row.what,
            report.perplexity_before,
            report.perplexity_after,
            report.increase,
            served(&store.join(outcome.file), Dtype::Bf16, Ops::Own),
            outcome.bytes as f64 / 1e6,
        );
        std::fs::remove_dir_all(store).unwrap();
    }
}

#[test]
fn eight_bits_are_as_good_as_the_reference() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.txt");
    // Two windows: the weights do not depend on them.
    std::fs::write(&text, &include_str!("../src/sample.txt")[..5400]).unwrap();
    let options = Options {
        quantization: Quantization::Int8,
        method: None,
        group_size: 32,
        pruning: None,
        structure: None,
        max_increase: None,
        calibration: Some(text),
        store: dir.path().join("store"),
    };
    let store = options.store.clone();
    let job = Job {
        source: model(),
        digest: "sha256:model".into(),
        bytes: 0,
        options,
    };
    let made = store.join(run(job, |_| {}).unwrap().file);
    let perplexity = |path: &Path, ops| oracle::perplexity(Checkpoint::open(path).unwrap(), Dtype::Bf16, ops);
    let (found, sixteen) = (perplexity(&made, Ops::Own), perplexity(&model(), Ops::Aten));
    println!("int8 perplexity {found:.4}, bf16 {sixteen:.4}, reference {REFERENCE}");
    assert!((found / sixteen - 1.0).abs() <= 0.005, "{found} {sixteen}");
    assert!((found / REFERENCE - 1.0).abs() <= 0.005, "{found}");
}
