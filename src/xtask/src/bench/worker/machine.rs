//! What the machine can do at best, so that figures can be read as shares of it.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::program::{Program, Server, Shape};
use crate::home::Home;

/// Bytes that each thread compares: more than any cache holds.
const BYTES: usize = 256 << 20;
const RUNS: usize = 3;
/// What a token multiplies with in the blocks of the benchmark's model: 30 times its seven matrices.
const BLOCK_WEIGHTS: f64 = 30.0 * (576.0 * (576.0 + 2.0 * 192.0 + 576.0) + 3.0 * 576.0 * 1536.0);

/// Figures for one and for two threads.
pub struct Machine {
    /// Bytes read from memory in a second.
    pub bandwidth: [f64; 2],
    /// Operations of matrix products in a second, of the fastest that the worker measured.
    pub products: [f64; 2],
    /// Bytes that computing one token alone reads: all packed weights.
    pub weights: f64,
    /// Operations of one token.
    pub operations: f64,
    /// What starts of the worker with one thread and with two have kept.
    kept: [PathBuf; 2],
}

/// The table that the worker leaves in its cache.
#[derive(Deserialize)]
struct SelfBench {
    side: f64,
    rows: Vec<f64>,
    candidates: Vec<Candidate>,
}

#[derive(Deserialize)]
struct Candidate {
    microseconds: Vec<f64>,
}

impl Machine {
    /// Measures, and starts the worker twice, so that later starts find what it keeps.
    pub fn measure(home: &Home, worker: &Program) -> Result<Self> {
        let kept = [
            home.fresh_work_dir("bench-kept-1")?,
            home.fresh_work_dir("bench-kept-2")?,
        ];
        let mut machine = Self {
            bandwidth: [bandwidth(1), bandwidth(2)],
            products: [0.0; 2],
            weights: 0.0,
            operations: 2.0 * BLOCK_WEIGHTS,
            kept,
        };
        for threads in [1, 2] {
            drop(machine.start(home, worker, threads)?);
            machine.products[threads - 1] = products(&machine.kept[threads - 1].join("self-bench.json"))?;
        }
        machine.weights = packed_bytes(&machine.kept[0])?;
        Ok(machine)
    }

    /// Starts the worker over what it kept.
    pub fn start(&self, home: &Home, worker: &Program, threads: usize) -> Result<(Server, f64)> {
        let shape = Shape {
            threads,
            streams: 1,
            context: 4096,
        };
        let kept = self.kept[threads - 1].as_os_str();
        Server::start_with(home, worker, shape, &["--cache-dir".as_ref(), kept])
    }
}

/// Bytes a second that `threads` threads read. Comparing equal memory is done by the C library as fast
/// as the memory allows, also in a debug build.
fn bandwidth(threads: usize) -> f64 {
    let (one, other) = (vec![1u8; BYTES], vec![1u8; BYTES]);
    let once = || {
        let started = Instant::now();
        thread::scope(|scope| {
            for part in 0..threads {
                let (one, other) = (&one, &other);
                let range = BYTES / threads * part..BYTES / threads * (part + 1);
                scope.spawn(move || black_box(one[range.clone()] == other[range]));
            }
        });
        2.0 * BYTES as f64 / started.elapsed().as_secs_f64()
    };
    (0..RUNS).map(|_| once()).fold(0.0, f64::max)
}

/// Operations a second of the fastest product in a table.
fn products(table: &Path) -> Result<f64> {
    let text = std::fs::read(table).with_context(|| format!("failed to read {}", table.display()))?;
    let SelfBench { side, rows, candidates } =
        serde_json::from_slice(&text).with_context(|| format!("failed to parse {}", table.display()))?;
    let of_candidate = |candidate: &Candidate| {
        let rates = rows.iter().zip(&candidate.microseconds);
        let rates = rates.map(|(rows, time)| 2.0 * rows * side * side / (time * 1e-6));
        rates.fold(0.0, f64::max)
    };
    Ok(candidates.iter().map(of_candidate).fold(0.0, f64::max))
}

/// Size of the file of packed weights.
fn packed_bytes(directory: &Path) -> Result<f64> {
    for entry in directory.read_dir().context("failed to list what the worker kept")? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "packed") {
            return Ok(entry.metadata()?.len() as f64);
        }
    }
    anyhow::bail!("the worker kept no packed weights")
}
