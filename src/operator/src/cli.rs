//! Command line and environment.

use std::{net::SocketAddr, path::PathBuf};

use api::{llmmodel::ImagePullPolicy, names};
use clap::{Parser, ValueEnum};
use protocol::ports;

use crate::{
    controllers::{
        llmmodel::{NodeCache, Settings, Storage, nanos},
        room, shadowdeployment,
    },
    gateway_call::Way,
};

/// Brings the cluster to what LlmModels, FineTuneJobs, Rooms and ShadowDeployments ask for.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// Image of worker pods.
    #[arg(long, env = "ATELIER_WORKER_IMAGE")]
    pub worker_image: String,
    /// When nodes pull the worker image.
    #[arg(long, env = "ATELIER_WORKER_PULL_POLICY", value_enum, default_value = "IfNotPresent")]
    pub worker_pull_policy: PullPolicy,
    /// Image of pods that read and clean data for FineTuneJobs and Rooms, pulled like that of workers. Left out, these are
    /// refused.
    #[arg(long, env = "ATELIER_DATA_IMAGE")]
    pub data_image: Option<String>,
    /// Namespace of the gateway: its pods may call workers, and the URL in the status leads there.
    #[arg(long, env = "ATELIER_GATEWAY_NAMESPACE", default_value = "atelier-system")]
    pub gateway_namespace: String,
    /// Root of the gateway, as pods reach it. Default: its Service in that namespace, over plain HTTP.
    #[arg(long, env = "ATELIER_GATEWAY_URL", value_name = "URL")]
    pub gateway_url: Option<String>,
    /// Audience that tokens for the gateway are issued for.
    #[arg(long, env = "ATELIER_GATEWAY_AUDIENCE", default_value = names::AUDIENCE)]
    pub gateway_audience: String,
    /// File with the token by which the operator asks the gateway to empty Rooms, and for pairs of ShadowDeployments. Left
    /// out, both are refused.
    #[arg(long, env = "ATELIER_GATEWAY_TOKEN_FILE", value_name = "FILE")]
    pub gateway_token_file: Option<PathBuf>,
    /// File with certificates that vouch for the gateway, beside the usual ones, in PEM.
    #[arg(long, env = "ATELIER_GATEWAY_CA_FILE", value_name = "FILE")]
    pub gateway_ca_file: Option<PathBuf>,
    /// StorageClass of the claims for compressed weights. Default: the cluster's own.
    #[arg(long, env = "ATELIER_STORAGE_CLASS")]
    pub storage_class: Option<String>,
    /// Access modes of these claims, separated by commas. ReadWriteMany lets replicas run on several nodes.
    #[arg(
        long,
        env = "ATELIER_STORAGE_ACCESS_MODES",
        value_enum,
        value_delimiter = ',',
        default_value = "ReadWriteOnce"
    )]
    pub storage_access_modes: Vec<AccessMode>,
    /// Directory of the nodes where pods of a namespace share weights. Left out, there is none.
    #[arg(long, env = "ATELIER_NODE_CACHE_PATH", value_name = "DIR")]
    pub node_cache_path: Option<String>,
    /// How large that of a namespace may become on a node, as a quantity.
    #[arg(long, env = "ATELIER_NODE_CACHE_SIZE", default_value = "50Gi", value_parser = bytes)]
    pub node_cache_size: u64,
    /// Where worker pods send traces by OTLP over HTTP: http://collector.monitoring:4318. A change replaces them all.
    /// Left out, they send none.
    #[arg(long, env = "ATELIER_WORKER_OTLP_ENDPOINT", value_name = "URL")]
    pub worker_otlp_endpoint: Option<String>,
    /// Namespace of the Lease by which operators elect their leader.
    #[arg(long, env = "ATELIER_LEASE_NAMESPACE", default_value = "atelier-system")]
    pub lease_namespace: String,
    /// Where to serve probes and metrics.
    #[arg(long, env = "ATELIER_ADMIN_LISTEN", default_value_t = SocketAddr::from(([0, 0, 0, 0], ports::OPERATOR_ADMIN)))]
    pub admin_listen: SocketAddr,
    /// Where to serve metrics for autoscalers, which the Service `atelier-operator` leads to: 0.0.0.0:8443 in
    /// the chart. Left out, models are scaled by CPU only.
    #[arg(long, env = "ATELIER_METRICS_API_LISTEN")]
    pub metrics_api_listen: Option<SocketAddr>,
    /// Name of the pod this process runs in. A restarted container takes its own Lease back at once.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
    /// LlmModels worked on at the same time, and FineTuneJobs, Rooms and ShadowDeployments likewise.
    #[arg(long, env = "ATELIER_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
}

/// How a volume may be mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum AccessMode {
    /// By the pods of one node.
    ReadWriteOnce,
    /// By pods on all nodes.
    ReadWriteMany,
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
    /// What the children of LlmModels and FineTuneJobs need to know of this installation.
    pub fn settings(&self) -> Settings {
        Settings {
            worker_image: self.worker_image.clone(),
            worker_pull_policy: self.worker_pull_policy.into(),
            data_image: self.data_image.clone(),
            gateway_namespace: self.gateway_namespace.clone(),
            storage: Storage {
                class_name: self.storage_class.clone(),
                access_modes: self
                    .storage_access_modes
                    .iter()
                    .map(|mode| format!("{mode:?}"))
                    .collect(),
            },
            node_cache: self.node_cache_path.clone().map(|host_path| NodeCache {
                host_path,
                size: self.node_cache_size,
            }),
            otlp_endpoint: self.worker_otlp_endpoint.clone(),
        }
    }
}

impl Args {
    /// How the gateway is asked about what is in Rooms.
    pub fn way(&self) -> Way {
        let own = || format!("http://{}.{}.svc", names::GATEWAY, self.gateway_namespace);
        Way {
            url: self.gateway_url.clone().unwrap_or_else(own),
            token_file: self.gateway_token_file.clone(),
            ca_file: self.gateway_ca_file.clone(),
        }
    }

    /// What Rooms need to know of this installation.
    pub fn room_settings(&self) -> room::Settings {
        room::Settings {
            common: self.settings(),
            gateway_url: self.way().url,
            audience: self.gateway_audience.clone(),
            keeps_rooms: self.gateway_token_file.is_some(),
        }
    }
}

impl Args {
    /// What ShadowDeployments need to know of this installation.
    pub fn shadow_settings(&self) -> shadowdeployment::Settings {
        shadowdeployment::Settings {
            collects: self.gateway_token_file.is_some(),
        }
    }
}

/// Bytes of a quantity: `50Gi`.
fn bytes(text: &str) -> Result<u64, String> {
    let nanos = nanos(text).filter(|nanos| *nanos > 0);
    let bytes = nanos.and_then(|nanos| u64::try_from(nanos / 1_000_000_000).ok());
    bytes.ok_or_else(|| "give a quantity such as 50Gi".into())
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
            "--data-image=localhost/atelier/data:0.1.0",
            "--gateway-namespace=ns",
            "--gateway-url=https://atelier-gateway.ns.svc:443",
            "--gateway-audience=atelier",
            "--gateway-token-file=/var/run/secrets/atelier/token",
            "--gateway-ca-file=/etc/atelier/gateway-ca/ca.crt",
            "--lease-namespace=ns",
            "--admin-listen=0.0.0.0:9090",
            "--metrics-api-listen=0.0.0.0:8443",
            "--storage-access-modes=ReadWriteOnce",
        ]);
        let settings = args.settings();
        assert_eq!(settings.worker_pull_policy, ImagePullPolicy::Never);
        assert_eq!(settings.gateway_namespace, "ns");
        assert_eq!(settings.data_image.as_deref(), Some("localhost/atelier/data:0.1.0"));
        assert_eq!(settings.storage, Storage::default());
        let rooms = args.room_settings();
        assert_eq!(
            (rooms.gateway_url.as_str(), rooms.keeps_rooms),
            ("https://atelier-gateway.ns.svc:443", true)
        );
    }

    #[test]
    fn storage_is_what_the_chart_says() {
        let args = Args::parse_from([
            "atelier-operator",
            "--worker-image=x",
            "--storage-class=fast",
            "--storage-access-modes=ReadWriteOnce,ReadWriteMany",
        ]);
        let storage = args.settings().storage;
        assert_eq!(storage.class_name.as_deref(), Some("fast"));
        assert_eq!(storage.access_modes, ["ReadWriteOnce", "ReadWriteMany"]);
        assert!(storage.is_shared());
    }

    #[test]
    fn without_more_the_gateway_is_where_its_service_leads_and_keeps_no_rooms() {
        let args = Args::parse_from(["atelier-operator", "--worker-image=x", "--gateway-namespace=ns"]);
        let rooms = args.room_settings();
        assert_eq!(rooms.gateway_url, "http://atelier-gateway.ns.svc");
        assert!(!rooms.keeps_rooms);
    }

    #[test]
    fn an_unknown_pull_policy_is_refused() {
        let parsed = Args::try_parse_from(["atelier-operator", "--worker-image=x", "--worker-pull-policy=never"]);
        assert!(parsed.unwrap_err().to_string().contains("IfNotPresent"));
    }

    #[test]
    fn a_node_cache_is_there_when_the_chart_names_its_place() {
        let parse = |extra: &[&str]| {
            let base = ["atelier-operator", "--worker-image=w"];
            Args::try_parse_from(base.iter().chain(extra))
        };
        assert_eq!(parse(&[]).unwrap().settings().node_cache, None);
        let args = parse(&["--node-cache-path=/cache", "--node-cache-size=2Gi"]).unwrap();
        let cache = args.settings().node_cache.unwrap();
        assert_eq!((cache.host_path.as_str(), cache.size), ("/cache", 2 << 30));
        assert!(parse(&["--node-cache-size=big"]).is_err());
    }
}
