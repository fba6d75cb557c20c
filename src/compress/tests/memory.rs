//! How much memory a wide model takes, with the layers of an 8B model. Minutes and gigabytes of disk,
//! so it runs only when asked for:
//!
//! `OMP_WAIT_POLICY=PASSIVE cargo test -p atelier-compress --test memory -- --ignored --nocapture`
//!
//! (The development profile optimizes this crate and the engine.)

#![allow(clippy::unwrap_used, reason = "a measurement says where it failed by panicking")]

mod support;

use std::path::Path;

use atelier_compress::{Job, Method, Options, Quantization, run};
use gguf::{GgufFile, Metadata, Value};

use support::{Random, Writer, model, type_of};

const HIDDEN: u64 = 4096;
const KV: u64 = 1024;
const FEED_FORWARD: u64 = 14336;
/// As many as make a difference: only one is in memory at a time.
const LAYERS: u64 = 2;

/// Writes a random model of 1.3 GB: the vocabulary of the real one, and layers of an 8B model.
fn write_wide(path: &Path) {
    let source = GgufFile::open(&model()).unwrap();
    let vocabulary = source.header().tensor("token_embd.weight").unwrap().shape[0];
    let numbers = [
        ("llama.block_count", LAYERS),
        ("llama.embedding_length", HIDDEN),
        ("llama.feed_forward_length", FEED_FORWARD),
        ("llama.attention.head_count", 32),
        ("llama.attention.head_count_kv", 8),
        ("llama.rope.dimension_count", 128),
    ];
    let old = source
        .header()
        .metadata
        .iter()
        .map(|(key, value)| (key.to_owned(), value.clone()));
    let new = numbers.map(|(key, value)| (key.to_owned(), Value::Unsigned(value)));
    let metadata: Metadata = old.chain(new).collect();
    let mut tensors = vec![
        ("token_embd.weight".to_owned(), vec![vocabulary, HIDDEN]),
        ("output_norm.weight".to_owned(), vec![HIDDEN]),
    ];
    for layer in 0..LAYERS {
        let shapes: [(&str, &[u64]); 9] = [
            ("attn_norm", &[HIDDEN]),
            ("attn_q", &[HIDDEN, HIDDEN]),
            ("attn_k", &[KV, HIDDEN]),
            ("attn_v", &[KV, HIDDEN]),
            ("attn_output", &[HIDDEN, HIDDEN]),
            ("ffn_norm", &[HIDDEN]),
            ("ffn_gate", &[FEED_FORWARD, HIDDEN]),
            ("ffn_up", &[FEED_FORWARD, HIDDEN]),
            ("ffn_down", &[HIDDEN, FEED_FORWARD]),
        ];
        tensors.extend(shapes.map(|(name, shape)| (format!("blk.{layer}.{name}.weight"), shape.to_vec())));
    }
    let tensors: Vec<_> = tensors
        .into_iter()
        .map(|(name, shape)| {
            let ggml_type = type_of(&shape);
            (name, shape, ggml_type)
        })
        .collect();
    let writer = Writer::create(path, &metadata, &tensors);
    let mut random = Random(3);
    for (name, shape, _) in &tensors {
        let size = (shape[shape.len() - 1] as f32).sqrt();
        let mut weight = || if shape.len() > 1 { random.normal() / size } else { 1.0 };
        writer.tensor(name, (0..shape.iter().product::<u64>()).map(|_| weight()));
    }
}

/// The most that this process had resident at once, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
#[ignore = "takes minutes and 3 GB of disk; prints figures"]
fn memory_of_a_wide_model() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("wide.gguf");
    // In a process of its own: writing it takes memory, too.
    if std::env::var_os("WRITE_WIDE").is_some() {
        write_wide(Path::new(&std::env::var_os("WRITE_WIDE").unwrap()));
        return;
    }
    let name = "memory_of_a_wide_model";
    let mut write = std::process::Command::new(std::env::current_exe().unwrap());
    write.args(["--ignored", name]).env("WRITE_WIDE", &source);
    assert!(write.status().unwrap().success());
    let bytes = std::fs::metadata(&source).unwrap().len();
    println!(
        "source {:.2} GB, before any work {:.0} MB resident",
        bytes as f64 / 1e9,
        peak() as f64 / 1e6
    );
    // Of which the later ones take more, so that the peak is theirs. `METHODS=Rtn` measures only that one.
    let only = std::env::var("METHODS").unwrap_or_default();
    let methods = [Method::Rtn, Method::Awq, Method::Gptq];
    for method in methods
        .into_iter()
        .filter(|method| format!("{method:?}").contains(&only))
    {
        let options = Options {
            quantization: Quantization::Int4,
            method: Some(method),
            group_size: 32,
            pruning: None,
            structure: None,
            max_increase: None,
            calibration: None,
            store: dir.path().join(format!("{method:?}")),
        };
        let job = Job {
            source: source.clone(),
            digest: "sha256:wide".into(),
            bytes,
            options,
        };
        let outcome = run(job, |_| {}).unwrap();
        let (peak, result) = (peak() as f64 / 1e6, outcome.bytes as f64 / 1e6);
        println!(
            "{method:?}: at most {peak:.0} MB resident, result {result:.0} MB, {}",
            outcome.report.increase
        );
    }
}
