//! What a process costs, as the kernel tells.

use anyhow::{Context, Result, ensure};
use tokio::process::{Child, Command};

/// Ticks of processor time in a second: what Linux tells user space, on every machine.
const TICKS: f64 = 100.0;

/// A running process. It is killed when this is dropped.
pub struct Process {
    id: u32,
    child: Child,
}

impl Process {
    /// Of a child that runs.
    ///
    /// # Errors
    /// When it has ended.
    pub fn new(child: Child) -> Result<Self> {
        Ok(Self {
            id: child.id().context("a process ended at once")?,
            child,
        })
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("failed to kill a process")
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it cannot be asked, or fails.
    pub async fn end(mut self) -> Result<()> {
        let asked = Command::new("kill").arg(self.id.to_string()).status().await;
        ensure!(
            asked.context("failed to start kill")?.success(),
            "a process has ended by itself"
        );
        let status = self.child.wait().await.context("failed to wait for a process")?;
        ensure!(status.success(), "a process failed: {status}");
        Ok(())
    }

    /// Seconds of processor time so far.
    ///
    /// # Errors
    /// When it does not run any more.
    pub fn seconds(&self) -> Result<f64> {
        let text = self.read("stat")?;
        // The name may hold blanks; after it comes the third field.
        let rest = text.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let fields: Vec<_> = rest.split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok());
        let (user, system) = ticks(11)
            .zip(ticks(12))
            .context("the kernel does not tell processor time")?;
        Ok((user + system) / TICKS)
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// When it does not run any more.
    pub fn resident(&self) -> Result<f64> {
        let text = self.read("status")?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
        Ok(kilobytes.context("the kernel does not tell memory")? * 1024.0)
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.id);
        std::fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))
    }
}

/// Files that this process, and those it starts, may have open.
///
/// # Errors
/// When the kernel does not tell.
pub fn open_files() -> Result<u32> {
    let text = std::fs::read_to_string("/proc/self/limits").context("failed to read this process's limits")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    soft.context("the kernel does not tell how many files may be open")
}
