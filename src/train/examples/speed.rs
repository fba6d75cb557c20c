//! How fast LoRA trains and how much memory it takes, with the settings of the bench: rank 8 on query, key, value and
//! output, four texts of 256 tokens, all of which are learned.
//!
//! ```text
//! OMP_WAIT_POLICY=PASSIVE ATELIER_MODEL_DIR=DIR cargo run -p atelier-train --example speed -- [LoRA|Full|...] [steps]
//! ```

use std::{error::Error, path::PathBuf, time::Instant};

use protocol::tune::{
    Adapter, Checkpointing, Hyperparameters, LoraSettings, Method, Objective, Optimizer, Schedule, TrainPlan, Warmup,
};
use train::{Sequence, Trainer, Work, collective::Alone};

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const TEXTS: usize = 4;
const TOKENS: usize = 256;
/// Steps before the clock starts.
const WARM_UP: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let method = arguments.next().unwrap_or_else(|| "LoRA".into());
    let method: Method = serde_json::from_value(method.into())?;
    let steps = arguments.next().map_or(Ok(10), |steps| steps.parse::<usize>())?;
    let directory = std::env::var_os("ATELIER_MODEL_DIR").ok_or("set ATELIER_MODEL_DIR")?;
    let model = PathBuf::from(directory).join(FILE);
    engine::set_threads(engine::available_threads());

    let base = checkpoint::Checkpoint::open(&model)?;
    let mut trainer = Trainer::new(base, &plan(method, model), (WARM_UP + steps) as u64)?;
    println!(
        "{} numbers are trained, {} MiB after loading",
        trainer.trained_numbers(),
        peak()
    );
    let (mut clock, mut busy) = (Instant::now(), busy_seconds());
    let mut least = f64::INFINITY;
    for step in 0..WARM_UP + steps {
        if step == WARM_UP {
            (clock, busy) = (Instant::now(), busy_seconds());
        }
        let before = busy_seconds();
        let rows = (0..TEXTS).map(|row| vec![text(row as i64)]).collect();
        let report = trainer.step(&[Work::Texts(rows)], &mut Alone)?;
        let taken = busy_seconds() - before;
        println!("step {step}: loss {:.4}, {taken:.2} CPU seconds", report.loss);
        if step >= WARM_UP {
            least = least.min(taken);
        }
    }
    let seconds = clock.elapsed().as_secs_f64();
    let tokens = (steps * TEXTS * TOKENS) as f64;
    println!(
        "{method:?}: {:.0} tokens/s, {:.2} CPU seconds a step, {least:.2} at least, peak {} MiB, {} threads, {}",
        tokens / seconds,
        (busy_seconds() - busy) / steps as f64,
        peak(),
        engine::available_threads(),
        engine_sys::cpu_features()
    );
    Ok(())
}

fn text(seed: i64) -> Sequence {
    let token = |i: i64| (i * i * 31 + i * 7 + seed * 1009) % 40_000 + 100;
    Sequence {
        tokens: (0..TOKENS as i64).map(token).collect(),
        targets: (1..=TOKENS as i64).map(token).collect(),
    }
}

/// Seconds that all threads computed: what other processes take does not count.
fn busy_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may hold spaces; user and system time are the 12th and 13th field after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks as f64 / 100.0
}

/// Mebibytes of memory that the process had at most.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kibibytes.unwrap_or_default() / 1024
}

fn plan(method: Method, model: PathBuf) -> TrainPlan {
    TrainPlan {
        run: "speed".into(),
        model,
        digest: None,
        base_name: FILE.into(),
        method,
        objective: Objective::CausalLM,
        architecture: None,
        dataset: PathBuf::new(),
        template: None,
        hyperparameters: Hyperparameters {
            learning_rate: 1e-4,
            schedule: Schedule::Constant,
            warmup: Warmup::Steps(0),
            optimizer: Optimizer::AdamW,
            batch_tokens: (TEXTS * TOKENS) as u64,
            sequence_length: None,
            packing: false,
            gradient_accumulation: 1,
            epochs: 1,
            steps: None,
            weight_decay: 0.0,
            dropout: 0.0,
            clip: 1.0,
            lora: Some(LoraSettings {
                r: 8,
                alpha: 16.0,
                rank_stabilized: false,
                targets: ["q_proj", "k_proj", "v_proj", "o_proj"].map(String::from).into(),
            }),
            virtual_tokens: Some(16),
            adapter: Some(Adapter { bottleneck: 32 }),
            beta: None,
            gradient_checkpointing: std::env::var_os("ATELIER_BY_BLOCK").is_some(),
            dtype: std::env::var("ATELIER_DTYPE").ok(),
            seed: 1,
        },
        checkpoint: Checkpointing {
            every_steps: None,
            every_seconds: None,
            keep: 1,
        },
        evaluate_every: None,
        early_stopping: None,
        gate: None,
        suites: Vec::new(),
        checkpoints: PathBuf::new(),
        outputs: PathBuf::new(),
        members: None,
        suite_limits: Default::default(),
        keep_before: None,
    }
}
