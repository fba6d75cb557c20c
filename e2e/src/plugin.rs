//! `kubectl atelier` as people use it.

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::{kubectl::Output, settings};

/// Runs it with the kubeconfig of the tests.
pub async fn run(args: &[&str]) -> Result<Output> {
    let output = Command::new(settings::plugin_program()?).args(args).output().await;
    let output = output.context("failed to start kubectl-atelier")?;
    Ok(Output {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs it, and it must succeed; what it printed.
pub async fn succeed(args: &[&str]) -> Result<String> {
    let output = run(args).await?;
    ensure!(output.success, "kubectl atelier {}: {output:?}", args.join(" "));
    Ok(output.stdout)
}
