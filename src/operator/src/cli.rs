//! Command line and environment.

use std::net::SocketAddr;

use api::llmmodel::ImagePullPolicy;
use clap::{Parser, ValueEnum};
use protocol::ports;

use crate::controllers::llmmodel::Settings;

/// Brings the cluster to what LlmModels ask for.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// Image of worker pods.
    #[arg(long, env = "ATELIER_WORKER_IMAGE")]
    pub worker_image: String,
    /// When nodes pull the worker image.
    #[arg(long, env = "ATELIER_WORKER_PULL_POLICY", value_enum, default_value = "IfNotPresent")]
    pub worker_pull_policy: PullPolicy,
    /// Namespace of the gateway: its pods may call workers, and the URL in the status leads there.
    #[arg(long, env = "ATELIER_GATEWAY_NAMESPACE", default_value = "atelier-system")]
    pub gateway_namespace: String,
    /// Namespace of the Lease by which operators elect their leader.
    #[arg(long, env = "ATELIER_LEASE_NAMESPACE", default_value = "atelier-system")]
    pub lease_namespace: String,
    /// Where to serve probes and metrics.
    #[arg(long, env = "ATELIER_ADMIN_LISTEN", default_value_t = SocketAddr::from(([0, 0, 0, 0], ports::OPERATOR_ADMIN)))]
    pub admin_listen: SocketAddr,
    /// Name of the pod this process runs in. A restarted container takes its own Lease back at once.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
    /// LlmModels worked on at the same time.
    #[arg(long, env = "ATELIER_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
}

/// When nodes pull an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum PullPolicy {
    /// Each time a pod starts.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Never: the node must have it.
    Never,
}

impl From<PullPolicy> for ImagePullPolicy {
    fn from(policy: PullPolicy) -> Self {
        match policy {
            PullPolicy::Always => Self::Always,
            PullPolicy::IfNotPresent => Self::IfNotPresent,
            PullPolicy::Never => Self::Never,
        }
    }
}

impl Args {
    /// What the children of LlmModels need to know of this installation.
    pub fn settings(&self) -> Settings {
        Settings {
            worker_image: self.worker_image.clone(),
            worker_pull_policy: self.worker_pull_policy.into(),
            gateway_namespace: self.gateway_namespace.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_chart_s_command_line_is_understood() {
        Args::command().debug_assert();
        let args = Args::parse_from([
            "atelier-operator",
            "--worker-image=localhost/atelier/worker:0.1.0",
            "--worker-pull-policy=Never",
            "--gateway-namespace=ns",
            "--lease-namespace=ns",
            "--admin-listen=0.0.0.0:9090",
        ]);
        let settings = args.settings();
        assert_eq!(settings.worker_pull_policy, ImagePullPolicy::Never);
        assert_eq!(settings.gateway_namespace, "ns");
    }

    #[test]
    fn an_unknown_pull_policy_is_refused() {
        let parsed = Args::try_parse_from(["atelier-operator", "--worker-image=x", "--worker-pull-policy=never"]);
        assert!(parsed.unwrap_err().to_string().contains("IfNotPresent"));
    }
}
