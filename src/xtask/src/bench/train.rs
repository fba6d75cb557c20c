//! Training on the small model, beside `transformers` and `peft`: tokens a second, and memory.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use protocol::tune::{
    Checkpointing, DataReport, DatasetManifest, Hyperparameters, LoraSettings, Members, Method, Objective, Optimizer,
    Schedule, SplitCounts, TrainOutcome, TrainPlan, Warmup,
};
use serde::Deserialize;

use super::report::{Peer, Row, peak};
use crate::home::Home;
use crate::toolbox::table;
use crate::ui::Stage;
use crate::{cargo, process};

/// Tokens of a sequence.
const TOKENS: u64 = 256;
/// Sequences of a step.
const ROWS: u64 = 4;
/// Steps that are measured.
const STEPS: u64 = 24;
/// Runs of each program, in turns.
const RUNS: usize = 3;
/// Names a Python that has `transformers`, `peft`, `gguf` and `accelerate`, the peer. They bring gigabytes along, so they
/// are not fetched.
const PEER_VARIABLE: &str = "ATELIER_PEER_PYTHON";
const PEER_PROGRAM: &str = include_str!("train_peer.py");
const PEER: Peer = Peer {
    name: "transformers + peft",
    version: "as installed",
};

/// What one run did.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    tokens_per_second: f64,
    peak_bytes: f64,
}

/// Where a run finds its files.
struct Place<'a> {
    home: &'a Home,
    program: PathBuf,
    work: PathBuf,
    text: PathBuf,
    threads: usize,
}

/// Measures.
pub fn run(home: &Home, stage: &Stage) -> Result<Vec<Row>> {
    let program = cargo::release(home, stage, &["atelier-worker"])?.remove(0);
    let work = home.fresh_work_dir("bench-train")?;
    let place = Place {
        home,
        program,
        text: text(home, &work)?,
        work,
        threads: std::thread::available_parallelism()?.get(),
    };
    let python = env::var_os(PEER_VARIABLE);
    let mut rows = Vec::new();
    for (method, name, ids, goals) in [
        (
            Method::LoRA,
            "lora",
            ["lora_tokens", "lora_rss"],
            [">= 1.5x", "<= 0.6x"],
        ),
        (
            Method::Full,
            "full",
            ["full_tokens", "full_rss"],
            [">= 1.2x", "reported"],
        ),
    ] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for run in 0..RUNS {
            stage.status(&format!("{name}, run {}", run + 1));
            ours.push(place.train(&place.plan(method, 0), &place.cores(0..place.threads), &[])?);
            if let Some(python) = &python {
                theirs.push(place.peer(python.as_ref(), name)?);
            }
        }
        let what = format!("{name}, {ROWS} sequences of {TOKENS}, all cores; goal");
        let figure = |of: fn(&Figures) -> f64, all: &[Figures]| all.iter().map(of).collect::<Vec<_>>();
        for (id, unit, goal, of) in [
            (
                ids[0],
                "tokens/s",
                goals[0],
                (|it| it.tokens_per_second) as fn(&Figures) -> f64,
            ),
            (ids[1], "bytes", goals[1], |it| it.peak_bytes),
        ] {
            let row = Row::new(id, unit, &figure(of, &ours), format!("{what} {goal}"));
            rows.push(match theirs.is_empty() {
                true => row,
                false => row.against(PEER, &figure(of, &theirs)),
            });
        }
    }
    stage.status("two processes, a core each");
    rows.push(place.two_processes()?);
    crate::home::remove_dir(&place.work)?;
    Ok(rows)
}

impl Place<'_> {
    /// A training whose every step has the same work; `attempt` keeps it apart from others.
    fn plan(&self, method: Method, attempt: usize) -> TrainPlan {
        let run = format!("bench-{method:?}-{attempt}");
        let lora = LoraSettings {
            r: 8,
            alpha: 16.0,
            rank_stabilized: false,
            targets: ["q_proj", "k_proj", "v_proj", "o_proj"].map(Into::into).into(),
        };
        TrainPlan {
            model: self.home.models().join(table::MODEL_FILE),
            digest: None,
            base_name: "SmolLM2-135M-Instruct".into(),
            method,
            objective: Objective::CausalLM,
            architecture: None,
            dataset: self.work.join("data"),
            template: None,
            hyperparameters: Hyperparameters {
                learning_rate: 2e-4,
                schedule: Schedule::Constant,
                warmup: Warmup::Steps(0),
                optimizer: Optimizer::AdamW,
                batch_tokens: TOKENS * ROWS,
                sequence_length: Some(TOKENS),
                packing: false,
                gradient_accumulation: 1,
                epochs: 1,
                steps: Some(STEPS),
                weight_decay: 0.01,
                dropout: 0.0,
                clip: 1.0,
                lora: (method == Method::LoRA).then_some(lora),
                virtual_tokens: None,
                adapter: None,
                beta: None,
                gradient_checkpointing: false,
                dtype: Some("bf16".into()),
                seed: 42,
            },
            checkpoint: Checkpointing {
                every_steps: Some(STEPS),
                every_seconds: None,
                keep: 1,
            },
            evaluate_every: Some(STEPS),
            early_stopping: None,
            gate: None,
            suites: Vec::new(),
            checkpoints: self.work.join("checkpoints").join(&run),
            outputs: self.work.join("outputs").join(&run),
            run,
            members: None,
            suite_limits: Default::default(),
            keep_before: None,
        }
    }

    /// `taskset` onto some cores.
    fn cores(&self, cores: std::ops::Range<usize>) -> String {
        cores.map(|core| core.to_string()).collect::<Vec<_>>().join(",")
    }

    /// Trains from nothing and reads how fast that was from when its steps are told.
    fn train(&self, plan: &TrainPlan, cores: &str, more: &[(&str, &str)]) -> Result<Figures> {
        let clear = |path: &Path| match path.exists() {
            true => crate::home::remove_dir(path),
            false => Ok(()),
        };
        clear(&plan.checkpoints)?;
        clear(&plan.outputs)?;
        let mut command = self.command(plan, cores)?;
        command.envs(more.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().context("failed to start the worker")?;
        let output = process.stdout.take().context("the worker has no standard output")?;
        let (mut first, mut last) = (None, None);
        let mut most = 0;
        for line in BufReader::new(output).lines() {
            let Some(TrainOutcome::Running(progress)) = TrainOutcome::parse(&line?) else {
                continue;
            };
            most = most.max(peak(process.id())?);
            // The first steps prepare kernels.
            if progress.step >= 2 && progress.stage == "Training" {
                let now = (Instant::now(), progress.step);
                first.get_or_insert(now);
                last = Some(now);
            }
        }
        let status = process.wait().context("failed to wait for the worker")?;
        ensure!(status.success(), "the worker ended with {status}");
        let (Some((begun, from)), Some((ended, to))) = (first, last) else {
            bail!("the worker told of no step")
        };
        let steps = (to - from) as f64;
        ensure!(steps > 0.0, "the worker told of one step only");
        Ok(Figures {
            tokens_per_second: steps * (TOKENS * ROWS) as f64 / (ended - begun).as_secs_f64(),
            peak_bytes: most as f64,
        })
    }

    fn command(&self, plan: &TrainPlan, cores: &str) -> Result<Command> {
        let path = self.work.join(format!("{}.json", plan.run));
        fs::write(&path, serde_json::to_vec(plan)?).with_context(|| format!("failed to write {}", path.display()))?;
        let mut command = process::command("taskset");
        command.args(["--cpu-list", cores]).arg(&self.program).arg("train");
        command.arg("--plan").arg(path);
        command
            .arg("--report")
            .arg(self.work.join(format!("{}-report.json", plan.run)));
        command.args(["--threads", &cores.split(',').count().to_string()]);
        command.args(["--admin-listen", "127.0.0.1:0"]);
        command.envs(cargo::environment(self.home));
        Ok(command)
    }

    fn peer(&self, python: &Path, method: &str) -> Result<Figures> {
        let mut peer = process::command(python);
        peer.args(["-c", PEER_PROGRAM])
            .arg(self.home.models().join(table::MODEL_FILE));
        peer.arg(method).arg(&self.text);
        let numbers = [TOKENS, ROWS, STEPS, self.threads as u64].map(|it| it.to_string());
        peer.args(numbers);
        let text = process::read(&mut peer).context("failed to run transformers and peft")?;
        serde_json::from_str(text.trim()).context("failed to read the peer's figures")
    }

    /// Two processes with half of the work each, against one with all of it, all of them on one core each.
    fn two_processes(&self) -> Result<Row> {
        let mut alone = self.plan(Method::LoRA, 1);
        alone.hyperparameters.gradient_accumulation = 2;
        alone.hyperparameters.batch_tokens = TOKENS * ROWS / 2;
        let alone = self.train(&alone, &self.cores(0..1), &[])?;
        let mut shared = self.plan(Method::LoRA, 2);
        shared.hyperparameters.batch_tokens = TOKENS * ROWS / 2;
        shared.members = Some(Members {
            addresses: ["127.0.0.1:19400", "127.0.0.1:19401"].map(Into::into).into(),
        });
        let mut second = shared.clone();
        second.run.push_str("-1");
        let mut other = self.command(&second, &self.cores(1..2))?;
        other
            .env("JOB_COMPLETION_INDEX", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut other = other.spawn().context("failed to start the worker")?;
        let both = self.train(&shared, &self.cores(0..1), &[("JOB_COMPLETION_INDEX", "0")]);
        if both.is_err() {
            other.kill().context("failed to end the worker")?;
        }
        other.wait().context("failed to wait for the worker")?;
        let ratio = both?.tokens_per_second / alone.tokens_per_second;
        let note = "two processes over one, a core each, the same step; goal >= 1.7";
        Ok(Row::new("data_parallel_2", "x", &[ratio], note))
    }
}

/// A data set of one text that fills every sequence, and the text for the peer.
fn text(home: &Home, work: &Path) -> Result<PathBuf> {
    let mut prose = String::new();
    for file in crate::hash::files(&home.corpora().join(table::CHATTERBOT_DIR))? {
        let text = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        let lines = text.lines().map(|line| line.trim_start_matches([' ', '-']));
        for line in lines {
            writeln!(prose, "{line}").expect("a String takes any text");
        }
    }
    let data = work.join("data");
    fs::create_dir_all(&data).with_context(|| format!("failed to create {}", data.display()))?;
    let record = serde_json::json!({"id": "0000000000000000", "source": "bench", "text": prose}).to_string();
    fs::write(protocol::tune::records_file(&data, "train"), format!("{record}\n"))?;
    for part in ["validation", "test"] {
        fs::write(protocol::tune::records_file(&data, part), "")?;
    }
    let manifest = DatasetManifest {
        report: DataReport {
            digest: format!("sha256:{}", "0".repeat(64)),
            parts: SplitCounts {
                train: 1,
                ..SplitCounts::default()
            },
            ..DataReport::default()
        },
        ..DatasetManifest::default()
    };
    fs::write(data.join(protocol::tune::MANIFEST), serde_json::to_vec(&manifest)?)?;
    let path = work.join("text.txt");
    fs::write(&path, prose).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path)
}
