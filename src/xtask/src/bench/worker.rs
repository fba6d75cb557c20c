//! The worker alone, one thread, in bf16: how fast it loads and how fast it writes.

use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::report::{Row, kibibytes};
use crate::ask::{self, Question, http};
use crate::home::Home;
use crate::toolbox::table;
use crate::ui::Stage;
use crate::{cargo, process};

const RUNS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);
const PROMPT: &str = "Write a long story about a lighthouse.";

/// Measures with a fresh process for every sample.
pub fn run(home: &Home, stage: &Stage) -> Result<Vec<Row>> {
    let program = cargo::release(home, stage, &["atelier-worker"])?.remove(0);
    let (mut load, mut decode, mut first, mut memory) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for run in 1..=RUNS {
        stage.status(&format!("run {run} of {RUNS}"));
        let started = Instant::now();
        let worker = Worker::start(home, &program)?;
        worker.wait()?;
        load.push(started.elapsed().as_secs_f64());
        let question = Question {
            model: "bench",
            prompt: PROMPT,
            token: "none",
        };
        let timing = ask::stream(&worker.api, question, Duration::ZERO, &mut std::io::sink())?;
        decode.push(timing.per_second);
        first.push(timing.first_token.as_secs_f64());
        memory.push(worker.resident()? as f64);
    }
    Ok(vec![
        Row::new("load_seconds", "s", &load, "process start to ready; goal <= 2"),
        Row::new(
            "decode_1t",
            "tokens/s",
            &decode,
            "one stream, one thread, bf16; goal >= 20",
        ),
        Row::new("first_token_1t", "s", &first, "a prompt of some 40 tokens"),
        Row::new("rss_1t", "bytes", &memory, "resident after one answer"),
    ])
}

/// A worker of ours; it ends with this value.
struct Worker {
    process: Child,
    api: String,
    admin: String,
}

impl Worker {
    fn start(home: &Home, program: &std::path::Path) -> Result<Self> {
        let (api, admin) = (free_address()?, free_address()?);
        let mut command = process::command(program);
        command.envs(cargo::environment(home));
        command
            .arg("serve")
            .arg("--model")
            .arg(home.models().join(table::MODEL_FILE));
        command.args([
            "--digest",
            &format!("sha256:{}", table::MODEL_SHA256),
            "--served-name",
            "bench",
        ]);
        command.args([
            "--context-length",
            "2048",
            "--max-concurrent-sequences",
            "4",
            "--max-batch-tokens",
            "512",
        ]);
        command.args(["--max-queue", "16", "--dtype", "bf16", "--threads", "1"]);
        command.args(["--listen", &api, "--admin-listen", &admin]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        Ok(Self { process, api, admin })
    }

    fn wait(&self) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if http::get(&self.admin, "/readyz").is_ok_and(|response| response.status == 200) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!(
            "failed to start the worker: it was not ready within {} s",
            PATIENCE.as_secs()
        )
    }

    fn resident(&self) -> Result<u64> {
        resident(self.process.id())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Either fails only when the process has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Resident memory of a process in bytes.
pub fn resident(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
    kibibytes(&text, "VmRSS").with_context(|| format!("failed to find VmRSS in {path}"))
}

/// An address that nobody listened on a moment ago.
fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("failed to find a free port")?;
    Ok(listener.local_addr().context("failed to find a free port")?.to_string())
}
