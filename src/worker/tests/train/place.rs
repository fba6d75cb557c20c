//! A volume with a base, data and a plan.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use protocol::tune::{TrainFailure, TrainOutcome, TrainReport};
use serde_json::{Value, json};

/// Everything that a training needs.
pub struct Place {
    dir: tempfile::TempDir,
}

/// A number of a training of several processes, and its variables.
pub type Rank = Option<usize>;

impl Place {
    /// With a tiny model that knows nothing, and questions whose answers are easy to learn.
    pub fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let place = Self { dir };
        fs::write(place.path("base.gguf"), crate::testing::tiny_model(2, 5))?;
        let record = |at: usize| {
            let (left, right) = (at % 7, at % 5);
            json!({"prompt": format!("{left}+{right}="), "completion": format!("{}.", left + right)})
        };
        let lines: Vec<String> = (0..70).map(|at| record(at).to_string()).collect();
        place.data(&lines[..60], &lines[60..])?;
        Ok(place)
    }

    /// Replaces the data.
    pub fn data<T: AsRef<str>>(&self, train: &[T], validation: &[T]) -> Result<()> {
        let data = self.path("data/r");
        let _ = fs::remove_dir_all(&data);
        fs::create_dir_all(&data)?;
        let lines = |records: &[T]| {
            records
                .iter()
                .map(|it| format!("{}\n", it.as_ref()))
                .collect::<String>()
        };
        fs::write(data.join("train.jsonl"), lines(train))?;
        fs::write(data.join("validation.jsonl"), lines(validation))?;
        let parts = json!({"train": train.len(), "validation": validation.len(), "test": 0});
        let manifest = json!({
            "digest": format!("sha256:{}-{}", train.len(), validation.len()), "parts": parts, "read": 70, "dropped": {},
            "bytes": 1, "sources": [], "plan": "p", "samples": [], "flags": {}, "quarantined": {},
        });
        Ok(fs::write(data.join("manifest.json"), manifest.to_string())?)
    }

    /// A path below the volume.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The plan with these changes of fields.
    pub fn plan(&self, changes: &[(&str, Value)]) -> Value {
        let mut plan = json!({
            "run": "r", "model": self.path("base.gguf"), "baseName": "base", "method": "LoRA", "objective": "SFT",
            "dataset": self.path("data/r"), "checkpoints": self.path("checkpoints/r"), "outputs": self.path("outputs"),
            "hyperparameters": {
                "learningRate": 0.01, "schedule": "Linear", "warmup": {"steps": 2}, "batchTokens": 64, "epochs": 4,
                "gradientAccumulation": 2, "weightDecay": 0.01, "dropout": 0.1, "clip": 1.0, "seed": 7, "dtype": "fp32",
                "lora": {"r": 4, "alpha": 8.0, "targets": ["q_proj", "v_proj", "down_proj"]},
            },
            "evaluateEvery": 5, "checkpoint": {"everySteps": 3, "keep": 2},
        });
        for (path, value) in changes {
            *path.split('.').fold(&mut plan, |value, name| &mut value[name]) = value.clone();
        }
        plan
    }

    /// `train` with this plan.
    pub fn command(&self, plan: &Value, rank: Rank) -> Result<Command> {
        let name = rank.map_or_else(|| "0".to_owned(), |rank| rank.to_string());
        let (file, report) = (self.path(&format!("plan-{name}.json")), self.report(rank));
        fs::write(&file, plan.to_string())?;
        let _ = fs::remove_file(&report);
        let mut command = Command::new(env!("CARGO_BIN_EXE_atelier-worker"));
        command.arg("train").arg("--plan").arg(file).arg("--report").arg(report);
        command.args(["--threads", "1", "--admin-listen", "127.0.0.1:0"]);
        if rank.is_some() {
            command.env("JOB_COMPLETION_INDEX", name);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    /// Where a process leaves its last words.
    pub fn report(&self, rank: Rank) -> PathBuf {
        self.path(&format!("report-{}.json", rank.unwrap_or(0)))
    }

    /// Starts a training.
    pub fn start(&self, plan: &Value, rank: Rank) -> Result<Child> {
        // Nobody reads what it writes: pipes would fill.
        let mut command = self.command(plan, rank)?;
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().context("failed to start the worker")
    }

    /// Runs a training to its end.
    pub fn run(&self, plan: &Value) -> Result<Ended> {
        let output = self.command(plan, None)?.output()?;
        let (stdout, stderr) = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .into();
        let words = fs::read_to_string(self.report(None)).with_context(|| stderr.clone())?;
        let outcome = TrainOutcome::parse(&words).with_context(|| format!("{words} {stderr}"))?;
        Ok(Ended {
            code: output.status.code(),
            outcome,
            stdout,
            stderr,
        })
    }

    /// Runs a training that publishes.
    pub fn publishes(&self, plan: &Value) -> Result<TrainReport> {
        let ended = self.run(plan)?;
        match (ended.code, ended.outcome) {
            (Some(0), TrainOutcome::Published(report)) => Ok(report),
            (code, outcome) => bail!("{code:?} {outcome:?} {}", ended.stderr),
        }
    }

    /// Runs a training that fails with this code.
    pub fn fails(&self, plan: &Value, code: i32) -> Result<TrainFailure> {
        let ended = self.run(plan)?;
        match (ended.code, ended.outcome) {
            (Some(found), TrainOutcome::Failed(failure)) if found == code => Ok(failure),
            (found, outcome) => bail!("{found:?} instead of {code}: {outcome:?} {}", ended.stderr),
        }
    }

    /// The names of the states that are there, newest last.
    pub fn states(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.path("checkpoints/r")).into_iter().flatten().flatten();
        let below = all.flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten().flatten());
        let is_state = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|it| it.to_string_lossy().starts_with("step-"))
        };
        let mut states: Vec<PathBuf> = below.map(|entry| entry.path()).filter(is_state).collect();
        states.sort();
        states
    }

    /// The files of an output by name.
    pub fn output(&self, digest: &str) -> PathBuf {
        self.path("outputs").join(digest.trim_start_matches("sha256:"))
    }
}

/// An ended training.
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its last words.
    pub outcome: TrainOutcome,
    /// What it said meanwhile.
    pub stdout: String,
    /// Its log.
    pub stderr: String,
}

/// The content of an adapter's weights.
pub fn weights(output: &Path) -> Result<Vec<u8>> {
    fs::read(output.join("adapter_model.safetensors")).context("the output has no adapter")
}
