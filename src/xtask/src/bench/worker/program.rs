//! A server under measurement, ours or the peer's.

use std::ffi::OsStr;
use std::fmt;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::super::report::resident;
use crate::ask::http;
use crate::home::Home;
use crate::toolbox::table;
use crate::{cargo, process};

const PATIENCE: Duration = Duration::from_secs(120);

/// What is started.
#[derive(Clone, Debug)]
pub enum Program {
    /// `atelier-worker serve`.
    Ours(PathBuf),
    /// `llama-server`, with or without flash attention.
    Llama { program: PathBuf, flash: bool },
}

/// How it is started.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Threads to compute with.
    pub threads: usize,
    /// Requests computed at the same time.
    pub streams: usize,
    /// Tokens of each.
    pub context: usize,
}

/// A running server; it ends with this value.
pub struct Server {
    process: Child,
    /// Where it answers.
    pub api: String,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours(_) => "ours",
            Self::Llama { flash: true, .. } => "llama.cpp, flash attention",
            Self::Llama { flash: false, .. } => "llama.cpp",
        })
    }
}

impl Server {
    /// Starts it and waits until it is ready; with the seconds that took.
    pub fn start(home: &Home, program: &Program, shape: Shape) -> Result<(Self, f64)> {
        Self::start_with(home, program, shape, &[])
    }

    /// As [`Self::start`], with further arguments.
    pub fn start_with(home: &Home, program: &Program, shape: Shape, more: &[&OsStr]) -> Result<(Self, f64)> {
        let (api, admin) = (free_address()?, free_address()?);
        let mut command = pinned(program, shape.threads);
        let model = home.models().join(table::MODEL_FILE);
        let numbers = [
            shape.threads,
            shape.streams,
            shape.context,
            shape.context * shape.streams,
        ];
        let [threads, streams, context, all] = numbers.map(|number| number.to_string());
        let health = match program {
            Program::Ours(_) => {
                command.envs(cargo::environment(home));
                command.arg("serve").arg("--model").arg(model);
                command.args(["--served-name", "bench", "--threads", &threads]);
                command.args(["--context-length", &context, "--max-concurrent-sequences", &streams]);
                command.args(["--listen", &api, "--admin-listen", &admin]);
                (admin.as_str(), "/readyz")
            }
            Program::Llama { flash, .. } => {
                let (host, port) = api.split_once(':').unwrap_or((&api, "0"));
                command.arg("--model").arg(model);
                command.args(["--host", host, "--port", port, "--no-webui"]);
                command.args([
                    "--threads",
                    &threads,
                    "--threads-batch",
                    &threads,
                    "--parallel",
                    &streams,
                ]);
                command.args(["--ctx-size", &all, "--flash-attn", if *flash { "on" } else { "off" }]);
                (api.as_str(), "/health")
            }
        };
        command.args(more);
        let started = Instant::now();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().with_context(|| format!("failed to start {program}"))?;
        let mut server = Self {
            process,
            api: api.clone(),
        };
        server.wait(health)?;
        Ok((server, started.elapsed().as_secs_f64()))
    }

    /// Starts our worker with an encoder, on all cores, and waits until it is ready.
    pub fn encoder(home: &Home, program: &Path, model: &Path) -> Result<Self> {
        let (api, admin) = (free_address()?, free_address()?);
        let mut command = process::command(program);
        command
            .envs(cargo::environment(home))
            .arg("serve")
            .arg("--model")
            .arg(model);
        command.args(["--task", "embed", "--served-name", "bench"]);
        command.args(["--listen", &api, "--admin-listen", &admin]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().context("failed to start the worker")?;
        let mut server = Self { process, api };
        server.wait((&admin, "/readyz"))?;
        Ok(server)
    }

    fn wait(&mut self, (authority, path): (&str, &str)) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if http::get(authority, path).is_ok_and(|response| response.status == 200) {
                return Ok(());
            }
            if let Some(status) = self.process.try_wait().context("failed to look after the server")? {
                bail!("the server ended before it was ready: {status}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        bail!("the server was not ready within {} s", PATIENCE.as_secs())
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> Result<u64> {
        resident(self.process.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either fails only when the process has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program on as many cores as it has threads, counted from the first.
fn pinned(program: &Program, threads: usize) -> Command {
    let (Program::Ours(path) | Program::Llama { program: path, .. }) = program;
    let mut command = process::command("taskset");
    command.arg("--cpu-list").arg(format!("0-{}", threads - 1)).arg(path);
    command
}

/// An address that nobody listened on a moment ago.
fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("failed to find a free port")?;
    Ok(listener.local_addr().context("failed to find a free port")?.to_string())
}
