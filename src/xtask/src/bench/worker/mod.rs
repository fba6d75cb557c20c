//! The worker against llama.cpp, on the same weights file: one stream, many streams, start, memory.
//!
//! Both are asked through the same HTTP route with the same tokens. Runs alternate, a fresh process
//! each, and the server has cores of its own where there are enough.

mod adapters;
mod llama;
pub mod load;
mod machine;
pub mod program;

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;

use self::{
    llama::Llama,
    load::{Ask, concurrently, one},
    machine::Machine,
    program::{Program, Server, Shape},
};
use super::report::{Peer, Row};
use crate::cargo;
use crate::home::Home;
use crate::toolbox::table;
use crate::ui::Stage;

/// Whom the worker is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Against {
    /// llama.cpp's server, built for this machine from the sources that `llama-cpp-python` ships.
    #[value(name = "llama.cpp")]
    LlamaCpp,
}

const RUNS: usize = 3;
/// Tokens of an answer of one stream.
const ANSWER: usize = 128;
/// Tokens of the prompt before it.
const BEFORE: usize = 192;
const PREFILL: usize = 512;
const STREAMS: usize = 16;
const STREAM_ANSWER: usize = 64;
const SHARED: usize = 2000;

/// What one program did, a sample for each run.
#[derive(Debug, Default)]
struct Samples {
    start: Vec<f64>,
    memory: Vec<f64>,
    decode: [Vec<f64>; 2],
    prefill: [Vec<f64>; 2],
    batch_rate: Vec<f64>,
    batch_first: Vec<f64>,
    gap_growth: Vec<f64>,
    shared: Vec<f64>,
    /// Of ours alone: others keep nothing.
    packed_start: Vec<f64>,
    packed_memory: Vec<f64>,
    /// Of ours alone: others set their adapters when they start.
    adapted: Vec<f64>,
}

/// Measures.
pub fn run(home: &Home, stage: &Stage, against: Option<Against>) -> Result<Vec<Row>> {
    let ours = Program::Ours(cargo::release(home, stage, &["atelier-worker"])?.remove(0));
    let peer = match against {
        Some(Against::LlamaCpp) => Some(Llama::ensure(home, stage)?),
        None => None,
    };
    // llama.cpp is at its best with flash attention for some work and without it for other.
    let peers: Vec<Program> = peer.iter().flat_map(|llama| llama.programs()).collect();
    let directory = home.fresh_work_dir("bench-adapters")?;
    adapters::write_all(&directory)?;
    stage.status("what the machine can do");
    let machine = Machine::measure(home, &ours)?;
    let mut of_ours = Samples::default();
    let mut of_peers: Vec<Samples> = peers.iter().map(|_| Samples::default()).collect();
    for run in 1..=RUNS {
        stage.status(&format!("run {run} of {RUNS}: ours"));
        of_ours.measure(home, &ours, run)?;
        of_ours.measure_adapters(home, &ours, run, &directory)?;
        of_ours.measure_packed(home, &ours, run, &machine)?;
        for (program, samples) in peers.iter().zip(&mut of_peers) {
            stage.status(&format!("run {run} of {RUNS}: {program}"));
            samples.measure(home, program, run)?;
        }
    }
    let file = std::fs::metadata(home.models().join(table::MODEL_FILE))?.len() as f64;
    Ok(rows(&of_ours, &of_peers, peer.map(|_| Llama::peer()), file, &machine))
}

impl Samples {
    fn measure(&mut self, home: &Home, program: &Program, run: usize) -> Result<()> {
        for threads in [1, 2] {
            let (server, seconds) = Server::start(
                home,
                program,
                Shape {
                    threads,
                    streams: 1,
                    context: 4096,
                },
            )?;
            let answer = one(&server, &Ask::new(run * 10, BEFORE, ANSWER))?;
            self.decode[threads - 1].push(answer.rate());
            let prompt = one(&server, &Ask::new(run * 10 + 1, PREFILL, 1))?;
            self.prefill[threads - 1].push(PREFILL as f64 / prompt.first);
            if threads == 1 {
                self.start.push(seconds);
                // Before the cache of keys and values is filled further.
                self.memory.push(server.resident()? as f64);
                let whole = one(&server, &Ask::shared(run, SHARED, 1))?;
                let again = one(&server, &Ask::shared(run, SHARED, 2))?;
                self.shared.push(again.first / whole.first);
            }
        }
        let shape = Shape {
            threads: 2,
            streams: STREAMS,
            context: 1024,
        };
        let (server, _) = Server::start(home, program, shape)?;
        let alone = one(&server, &Ask::new(run * 10 + 2, BEFORE, STREAM_ANSWER))?;
        let together = concurrently(&server, &streams(run))?;
        self.batch_rate.push(together.rate());
        self.batch_first.push(together.first_p95());
        self.gap_growth.push(together.gap_median() / alone.gap());
        Ok(())
    }

    /// Starts with what an earlier start has kept.
    fn measure_packed(&mut self, home: &Home, program: &Program, run: usize, machine: &Machine) -> Result<()> {
        let (server, seconds) = machine.start(home, program, 1)?;
        self.packed_start.push(seconds);
        one(&server, &Ask::new(run * 10 + 3, PREFILL, ANSWER))?;
        self.packed_memory.push(server.resident()? as f64);
        Ok(())
    }

    /// The same streams of one process with and without adapters.
    fn measure_adapters(&mut self, home: &Home, program: &Program, run: usize, directory: &Path) -> Result<()> {
        let shape = Shape {
            threads: 2,
            streams: STREAMS,
            context: 1024,
        };
        let (server, _) = Server::start_with(
            home,
            program,
            shape,
            &["--adapters-dir".as_ref(), directory.as_os_str()],
        )?;
        let without = concurrently(&server, &streams(run))?;
        let adapted = streams(run).into_iter().enumerate();
        let adapted = adapted.map(|(index, ask)| ask.with_adapter(&adapters::name(index % adapters::COUNT)));
        let with = concurrently(&server, &adapted.collect::<Vec<_>>())?;
        self.adapted.push(with.rate() / without.rate());
        Ok(())
    }
}

/// Prompts of different lengths, to be answered at the same time.
fn streams(seed: usize) -> Vec<Ask> {
    (0..STREAMS)
        .map(|index| Ask::new(seed * 100 + index, 55 + index * 16, STREAM_ANSWER))
        .collect()
}

fn rows(ours: &Samples, peers: &[Samples], peer: Option<Peer>, file: f64, machine: &Machine) -> Vec<Row> {
    let row = |id, unit, more_is_better: bool, of: &dyn Fn(&Samples) -> &Vec<f64>, note: &str| {
        let best = peers.iter().map(of).max_by(|a, b| {
            let order = median(a).total_cmp(&median(b));
            if more_is_better { order } else { order.reverse() }
        });
        let row = Row::new(id, unit, of(ours), note);
        match (best, peer) {
            (Some(samples), Some(peer)) => row.against(peer, samples),
            _ => row,
        }
    };
    let mut rows = vec![
        row(
            "decode_1t",
            "tokens/s",
            true,
            &|s| &s.decode[0],
            "one stream; goal: ratio >= 1.5",
        )
        .of_machine(machine.weights, machine.bandwidth[0]),
        row(
            "decode_2t",
            "tokens/s",
            true,
            &|s| &s.decode[1],
            "one stream; goal: ratio >= 1.5",
        )
        .of_machine(machine.weights, machine.bandwidth[1]),
        row(
            "prefill512_1t",
            "tokens/s",
            true,
            &|s| &s.prefill[0],
            "goal: ratio >= 4",
        )
        .of_machine(machine.operations, machine.products[0]),
        row(
            "prefill512_2t",
            "tokens/s",
            true,
            &|s| &s.prefill[1],
            "goal: ratio >= 4",
        )
        .of_machine(machine.operations, machine.products[1]),
        row(
            "batch16_tokens",
            "tokens/s",
            true,
            &|s| &s.batch_rate,
            "16 streams, 2 threads; goal: ratio >= 2",
        )
        .of_machine(machine.operations, machine.products[1]),
        row("batch16_ttft_p95", "s", false, &|s| &s.batch_first, "goal: ratio < 1"),
        row(
            "batch16_gap_growth",
            "times",
            false,
            &|s| &s.gap_growth,
            "between tokens, 16 streams over 1; goal <= 3",
        ),
        row(
            "shared_prefix_ttft",
            "times",
            false,
            &|s| &s.shared,
            "second prompt of 2000 tokens over the first; goal <= 0.1",
        ),
        row("rss", "bytes", false, &|s| &s.memory, "after answers of one stream"),
        row("start_seconds", "s", false, &|s| &s.start, "exec to ready; goal <= 1.5"),
        Row::new(
            "start_packed_seconds",
            "s",
            &ours.packed_start,
            "the same with packed weights that an earlier start kept; goal <= 0.7",
        ),
        Row::new(
            "rss_packed",
            "bytes",
            &ours.packed_memory,
            "as rss, of which the packed weights are a mapped file",
        ),
        Row::new(
            "bandwidth",
            "bytes/s",
            &machine.bandwidth[..1],
            "reading memory, 1 thread",
        ),
        Row::new(
            "products",
            "FLOP/s",
            &machine.products[..1],
            "the fastest product that the worker's own measurement found, 1 thread",
        ),
    ];
    let over: Vec<f64> = ours.memory.iter().map(|bytes| (bytes - 120e6) / file).collect();
    rows.push(Row::new(
        "lora8_batch16",
        "times",
        &ours.adapted,
        "16 streams of 8 adapters, ranks 8 and 16, over 16 of none, 2 threads; goal >= 0.7",
    ));
    rows.push(Row::new(
        "rss_over_file",
        "times",
        &over,
        "(resident - 120 MB) over the file's size; goal <= 1.6",
    ));
    rows
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
