//! The operator's process.

use std::{fs::File, path::Path, process::Stdio};

use anyhow::{Context, Result};
use tokio::process::{Child, Command};

/// A name for its pod: with the same one it takes its own Lease back at once.
const POD: &str = "operator";

/// A running operator. It is killed when this is dropped.
pub struct Operator(Child);

impl Operator {
    /// Starts the program; what it says is added to `log`. Port 0 stands for any.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(
        program: &Path,
        kubeconfig: &Path,
        lease_namespace: &str,
        admin_port: u16,
        log: &Path,
    ) -> Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("failed to open {}", log.display()))?;
        let errors = log.try_clone().context("failed to copy a log's handle")?;
        Command::new(program)
            .args([
                "--worker-image=localhost/atelier/worker:harness",
                "--worker-pull-policy=Never",
                &format!("--admin-listen=127.0.0.1:{admin_port}"),
                &format!("--lease-namespace={lease_namespace}"),
                &format!("--pod-name={POD}"),
            ])
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .map(Self)
            .with_context(|| format!("failed to start {}", program.display()))
    }

    /// Ends it by SIGKILL.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn kill(mut self) -> Result<()> {
        self.0.kill().await.context("failed to kill the operator")
    }

    /// Waits until it ends, which it should not.
    pub async fn ended(&mut self) -> Result<()> {
        let status = self.0.wait().await.context("failed to wait for the operator")?;
        anyhow::bail!("the operator ended by itself: {status}")
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// When it does not run any more.
    pub fn resident(&self) -> Result<u64> {
        let id = self.0.id().context("the operator does not run any more")?;
        let path = format!("/proc/{id}/status");
        let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        Ok(kilobytes.context("the kernel does not tell the operator's memory")? << 10)
    }
}
