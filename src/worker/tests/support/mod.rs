//! Starts workers and talks to them.

#![allow(dead_code, reason = "each test program uses a part")]

mod addresses;
pub mod cross_encoder;

use std::{collections::BTreeMap, env, net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::{
    process::{Child, Command},
    sync::Mutex,
    time::sleep,
};

use self::addresses::own_address;

/// Longest wait for a state, which only a fault reaches.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);

/// A worker process; it is killed with this value.
pub struct Worker {
    process: Mutex<Child>,
    pid: u32,
    api: SocketAddr,
    admin: SocketAddr,
    grpc: SocketAddr,
    http: reqwest::Client,
}

/// The model that the tests serve.
pub fn model() -> PathBuf {
    let dir = env::var_os("ATELIER_MODEL_DIR").expect("ATELIER_MODEL_DIR is set: eval \"$(cargo xtask env --build)\"");
    PathBuf::from(dir).join("SmolLM2-135M-Instruct.Q4_1.gguf")
}

/// The encoder that the tests serve.
pub fn minilm() -> PathBuf {
    model().with_file_name("all-MiniLM-L6-v2")
}

/// A directory that goes with the value.
pub fn temporary_dir() -> Result<tempfile::TempDir> {
    tempfile::tempdir().context("failed to make a directory")
}

fn command(args: &[&str], [api, admin, grpc]: [SocketAddr; 3]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier-worker"));
    command.arg("serve");
    let given = |flag: &str| args.contains(&flag);
    if !given("--model") {
        command.arg("--model").arg(model());
    }
    for (flag, value) in [
        ("--served-name", "m"),
        ("--context-length", "512"),
        ("--max-batch-tokens", "64"),
        ("--threads", "1"),
        ("--listen", &api.to_string()),
        ("--admin-listen", &admin.to_string()),
        ("--grpc-listen", &grpc.to_string()),
    ] {
        if !given(flag) {
            command.args([flag, value]);
        }
    }
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    command
}

impl Worker {
    /// Starts a worker with these arguments beside the usual ones, and waits until it is ready.
    pub async fn start(args: &[&str]) -> Result<Self> {
        Self::start_with(args, &BTreeMap::new()).await
    }

    /// The same with these variables.
    pub async fn start_with(args: &[&str], env: &BTreeMap<&str, &str>) -> Result<Self> {
        let [api, admin, grpc] = [(); 3].map(|()| own_address());
        let process = command(args, [api, admin, grpc])
            .envs(env)
            .spawn()
            .context("failed to start the worker")?;
        let worker = Self {
            pid: process.id().context("the worker has ended")?,
            process: Mutex::new(process),
            http: reqwest::Client::builder().no_proxy().build()?,
            api,
            admin,
            grpc,
        };
        worker.until_ready_is(true).await?;
        Ok(worker)
    }

    /// Runs a worker that cannot start; returns its exit code and what it logged.
    pub async fn fails(args: &[&str]) -> Result<(Option<i32>, String)> {
        let addresses = [(); 3].map(|()| own_address());
        let output = command(args, addresses).stderr(Stdio::piped()).output();
        let output = tokio::time::timeout(PATIENCE, output).await.context("it goes on")??;
        Ok((
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ))
    }

    async fn until_ready_is(&self, ready: bool) -> Result<()> {
        let mut waited = Duration::ZERO;
        while waited < PATIENCE {
            let answer = self.http.get(format!("http://{}/readyz", self.admin)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) == ready {
                return Ok(());
            }
            if let Some(status) = self.process.lock().await.try_wait()? {
                bail!("the worker ended: {status}");
            }
            sleep(LOOK).await;
            waited += LOOK;
        }
        bail!("the worker did not become ready={ready}")
    }

    /// Waits until it says that it takes no more requests.
    pub async fn until_not_ready(&self) -> Result<()> {
        self.until_ready_is(false).await
    }

    /// Where it serves the API.
    pub fn address(&self) -> SocketAddr {
        self.api
    }

    /// Where it serves gRPC.
    pub fn grpc(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// What `/metrics` says.
    pub async fn metrics(&self) -> Result<String> {
        let answer = self.http.get(format!("http://{}/metrics", self.admin)).send().await;
        answer?.text().await.context("failed to read the metrics")
    }

    /// Posts a body and returns the response.
    pub async fn send(&self, path: &str, body: &str) -> Result<reqwest::Response> {
        self.send_with(path, body, &[]).await
    }

    /// The same with headers.
    pub async fn send_with(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Result<reqwest::Response> {
        let mut request = self.http.post(format!("http://{}{path}", self.api));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("content-type", "application/json").body(body.to_owned());
        request.send().await.context("failed to send a request")
    }

    /// Posts JSON and returns the JSON of a good answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let response = self.send(path, &body.to_string()).await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(status == 200, "{path} answered {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("{text:?} is no JSON"))
    }

    /// Gets JSON from the API.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let response = self.http.get(format!("http://{}{path}", self.api)).send().await?;
        Ok(serde_json::from_str(&response.text().await?)?)
    }

    /// Sends a request to the admin port; the body may be empty.
    pub async fn admin(&self, method: reqwest::Method, path: &str, body: &str) -> Result<reqwest::Response> {
        let request = self.http.request(method, format!("http://{}{path}", self.admin));
        request
            .body(body.to_owned())
            .send()
            .await
            .context("failed to send a request")
    }

    /// The most memory of its own that it had at once, in bytes.
    ///
    /// Pages of files are left out: those of the programs and libraries, which the kernel takes back when it
    /// needs them. How many of them count as resident depends on how the files lie in its cache, not on the
    /// worker: 105 or 220 MB of one run.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let bytes = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
            Ok(kilobytes.with_context(|| format!("no {name}"))?.parse::<u64>()? << 10)
        };
        // Such pages only become more, so that no more of them than now were in the peak.
        Ok(bytes("VmHWM:")?.saturating_sub(bytes("RssFile:")?))
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) -> Result<()> {
        let pid = rustix::process::Pid::from_raw(self.pid.cast_signed()).context("no process")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("failed to stop the worker")
    }

    /// Waits for the end.
    pub async fn exit_code(&self) -> Result<Option<i32>> {
        let mut process = self.process.lock().await;
        let status = tokio::time::timeout(PATIENCE, process.wait())
            .await
            .context("it goes on")??;
        Ok(status.code())
    }
}

/// The `error` of a response that must have this status.
pub async fn refused(response: reqwest::Response, status: u16) -> Result<Value> {
    ensure!(response.status() == status, "{} instead of {status}", response.status());
    let body: Value = serde_json::from_str(&response.text().await?)?;
    Ok(body["error"].clone())
}

/// The data of all events.
pub async fn sse(response: reqwest::Response) -> Result<Vec<String>> {
    ensure!(response.status() == 200, "{}", response.status());
    let text = response.text().await?;
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    Ok(data.map(Into::into).collect())
}
