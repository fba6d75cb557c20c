//! kubectl as people use it: what it prints is part of what is tested.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::settings;

/// What kubectl printed.
#[derive(Debug)]
pub struct Output {
    /// Whether it exited with 0.
    pub success: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs kubectl with text on its standard input.
pub async fn run(args: &[&str], stdin: &str) -> Result<Output> {
    let mut child = Command::new(settings::cluster_program()?)
        .arg("kubectl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("failed to start kubectl")?;
    let mut pipe = child.stdin.take().expect("standard input is piped");
    pipe.write_all(stdin.as_bytes())
        .await
        .context("failed to write to kubectl")?;
    drop(pipe);
    let output = child.wait_with_output().await.context("failed to run kubectl")?;
    Ok(Output {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs kubectl, which must succeed, and returns what it printed.
pub async fn succeed(args: &[&str], stdin: &str) -> Result<String> {
    let output = run(args, stdin).await?;
    if !output.success {
        bail!("kubectl {} failed: {}", args.join(" "), output.stderr.trim());
    }
    Ok(output.stdout)
}
