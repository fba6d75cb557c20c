//! Memory that does not grow with the corpus.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::process::Command;
use std::time::Instant;

use protocol::tune::{DataOutcome, PLAN_VARIABLE};
use serde_json::json;

/// Bytes of the corpus, in MiB; the environment variable CORPUS_MIB sets another size.
const SIZE: u64 = 200;
/// Bytes of memory that no size may exceed, in KiB.
const MOST: u64 = 1 << 20;

/// A directory in the one that a variable names, or where such things go.
fn directory(variable: &str) -> tempfile::TempDir {
    match std::env::var_os(variable) {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    }
    .unwrap()
}

/// Run it by hand, with `--release`: it writes its corpus and the result to the temporary directory, and what lies between,
/// which is half as large again as the corpus. CORPUS_DIR and CORPUS_SCRATCH name other places for the two.
#[test]
#[ignore = "takes minutes and hundreds of megabytes"]
fn a_large_corpus_takes_little_memory() {
    let (dir, scratch) = (directory("CORPUS_DIR"), directory("CORPUS_SCRATCH"));
    let size = std::env::var("CORPUS_MIB").map_or(SIZE, |text| text.parse().unwrap());
    let corpus = dir.path().join("corpus.jsonl");
    let mut file = BufWriter::new(File::create(&corpus).unwrap());
    let mut state = 1_u64;
    let mut written = 0;
    while written < size << 20 {
        let mut text = String::new();
        for _ in 0..200 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text += &format!("w{} ", (state >> 33) % 50_000);
        }
        let line = json!({"text": text}).to_string();
        written += line.len() as u64 + 1;
        writeln!(file, "{line}").unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
    let plan = json!({
        "sources": [{"name": "all", "weight": 1, "kind": {"mounted": {"path": corpus}}}],
        "format": "Text",
        "stages": {"normalizeUnicode": true, "punctuation": true, "dedup": {"exact": true, "minhash": {"threshold": 0.8, "shingle": 5}}},
        "split": {"validation": 0.01, "test": 0.0, "seed": 1},
        "to": dir.path().join("to"),
        "scratch": scratch.path().join("scratch"),
    });
    let start = Instant::now();
    let output = Command::new("/usr/bin/time")
        .args(["-f", "%M"])
        .arg(env!("CARGO_BIN_EXE_atelier-data"))
        .args(["prepare", "--report"])
        .arg(dir.path().join("report"))
        .env(PLAN_VARIABLE, plan.to_string())
        .env("ATELIER_LOG", "error")
        .output()
        .unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let peak: u64 = said.lines().last().unwrap().trim().parse().unwrap();
    let speed = size as f64 / seconds;
    println!(
        "{size} MiB in {seconds:.1} s, {speed:.1} MiB/s, {} MiB of memory at most",
        peak >> 10
    );
    let words = std::fs::read_to_string(dir.path().join("report")).unwrap();
    assert!(
        matches!(DataOutcome::parse(&words), Some(DataOutcome::Ready(_))),
        "{words}"
    );
    assert!(peak < MOST, "{peak} KiB");
}
