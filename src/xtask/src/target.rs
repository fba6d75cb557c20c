//! The cluster that a command works on: the local one, or one the user has.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cluster::Cluster;
use crate::home::Home;
use crate::process;
use crate::toolbox::table;

/// Namespace that the chart is installed in.
pub const NAMESPACE: &str = "atelier-system";
/// The Service in front of the models.
pub const GATEWAY: &str = "atelier-gateway";

/// Which cluster.
#[derive(Clone, Debug)]
pub enum Target {
    /// Started by `cargo xtask up` on this machine.
    Local(Cluster),
    /// A context of the user's kubeconfig.
    Context(String),
}

impl Target {
    /// The named context, or the local cluster without a name.
    pub fn new(home: &Home, context: Option<&str>) -> Result<Self> {
        Ok(match context {
            Some(name) => Self::Context(name.into()),
            None => Self::Local(Cluster::new(home)?),
        })
    }

    /// Fails with what to do when the local cluster does not run.
    pub fn require(&self) -> Result<()> {
        match self {
            Self::Local(cluster) if !cluster.is_up() => {
                bail!("failed to reach the local cluster: it does not run. Start it by `cargo xtask up`")
            }
            _ => Ok(()),
        }
    }

    /// kubectl on this cluster.
    pub fn kubectl(&self) -> Command {
        match self {
            Self::Local(cluster) => cluster.kubectl(),
            Self::Context(name) => {
                let mut command = process::command("kubectl");
                command.args(["--context", name]);
                command
            }
        }
    }

    /// helm on this cluster.
    pub fn helm(&self, home: &Home) -> Command {
        let mut command = process::command(table::HELM.program(home));
        match self {
            Self::Local(cluster) => command
                .env("KUBECONFIG", cluster.kubeconfig())
                .env("KUBECACHEDIR", cluster.kube_cache()),
            Self::Context(name) => command.args(["--kube-context", name]),
        };
        command
    }

    /// A way from this machine to the gateway.
    pub fn gateway(&self) -> Result<Gateway> {
        match self {
            Self::Local(_) => {
                let path = "jsonpath={.spec.clusterIP}";
                let mut get = self.kubectl();
                get.args(["get", "service", GATEWAY, "--namespace", NAMESPACE, "--output", path]);
                let address = process::read(&mut get).context("failed to find the gateway's Service")?;
                Ok(Gateway {
                    authority: address.trim().into(),
                    _forward: None,
                })
            }
            Self::Context(_) => self.forward(),
        }
    }

    /// Lets kubectl carry connections to the gateway for as long as the result lives.
    fn forward(&self) -> Result<Gateway> {
        let mut command = self.kubectl();
        command.args([
            "port-forward",
            "--namespace",
            NAMESPACE,
            &format!("service/{GATEWAY}"),
            ":80",
        ]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("failed to start `kubectl port-forward`")?;
        let stdout = child.stdout.take().expect("standard output is piped");
        let forward = Forward(child);
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .context("failed to read what `kubectl port-forward` says")?;
        let port = forwarded_port(&line).with_context(|| {
            format!(
                "failed to reach the gateway by `kubectl port-forward`: it said {:?}",
                line.trim()
            )
        })?;
        Ok(Gateway {
            authority: format!("127.0.0.1:{port}"),
            _forward: Some(forward),
        })
    }
}

/// The gateway's address on this machine.
#[derive(Debug)]
pub struct Gateway {
    /// Host, and port when it is not 80.
    pub authority: String,
    _forward: Option<Forward>,
}

impl Gateway {
    /// What clients take as their base URL, without the `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}", self.authority)
    }
}

/// A `kubectl port-forward` of ours; it ends with this value.
#[derive(Debug)]
struct Forward(Child);

impl Drop for Forward {
    fn drop(&mut self) {
        // Either fails only when the process has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The local port in `Forwarding from 127.0.0.1:43671 -> 8080`.
fn forwarded_port(line: &str) -> Option<u16> {
    let rest = line.trim().strip_prefix("Forwarding from 127.0.0.1:")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forwarded_port_is_read() {
        assert_eq!(forwarded_port("Forwarding from 127.0.0.1:43671 -> 8080\n"), Some(43671));
        assert_eq!(forwarded_port("error: unable to listen"), None);
    }
}
