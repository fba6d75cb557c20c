//! helm, on the release that all cases share and on those of others.

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::settings::{self, SYSTEM_NAMESPACE};

/// Runs helm, which must succeed, and returns what it printed.
pub async fn run(args: &[&str]) -> Result<String> {
    run_in(SYSTEM_NAMESPACE, args).await
}

/// The same, on a release in another namespace.
pub async fn run_in(namespace: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(settings::helm_program()?)
        .args(args)
        .args(["--namespace", namespace])
        .output()
        .await
        .context("failed to start helm")?;
    ensure!(
        output.status.success(),
        "helm {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
