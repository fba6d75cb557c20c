//! A port of a pod, reached as people reach it: by `kubectl port-forward`.

use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::settings;

/// A forwarded port; it ends with this value.
pub struct Forward {
    /// Where it is reached: `http://127.0.0.1:PORT`.
    pub url: String,
    _kubectl: Child,
}

impl Forward {
    /// Forwards a port of a pod.
    pub async fn start(namespace: &str, pod: &str, port: u16) -> Result<Self> {
        let mut kubectl = Command::new(settings::cluster_program()?)
            .args(["kubectl", "port-forward", "--namespace", namespace])
            .args([&format!("pod/{pod}"), &format!(":{port}")])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("failed to start kubectl")?;
        let output = kubectl.stdout.take().context("standard output is piped")?;
        let mut lines = BufReader::new(output).lines();
        let first = lines.next_line().await?.unwrap_or_default();
        // Forwarding from 127.0.0.1:40001 -> 9090
        let address = first
            .strip_prefix("Forwarding from ")
            .and_then(|rest| rest.split_once(" -> "))
            .map(|(address, _)| address)
            .with_context(|| format!("kubectl port-forward says {first:?}"))?;
        let url = format!("http://{address}");
        // Its pipe must not fill up.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { url, _kubectl: kubectl })
    }
}
