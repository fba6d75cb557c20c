//! Command line and environment.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use api::names::AUDIENCE;
use clap::Parser;
use protocol::ports;

use crate::{
    audit::{self, AuditArgs},
    body::BodyLimits,
    limits::peers::{self, Link, Peers, Token},
    oidc::{Issuers, settings},
    provider::Origins,
    rooms,
    routes::Settings,
    server::{Protocol, ServerSettings},
    tls::{Files, Tls},
    upstream::UpstreamTimeouts,
};

/// OpenAI-compatible front door to the models of a cluster.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<audit::Command>,
    /// The audit trail.
    #[command(flatten)]
    pub audit: AuditArgs,
    /// Where to serve the API.
    #[arg(long, env = "ATELIER_LISTEN", default_value_t = any(ports::GATEWAY_API))]
    pub listen: SocketAddr,
    /// Where to serve the API over gRPC.
    #[arg(long, env = "ATELIER_GRPC_LISTEN", default_value_t = any(ports::GATEWAY_GRPC))]
    pub grpc_listen: SocketAddr,
    /// A file with the certificate that callers are shown, in PEM, its issuers' after it. Default: no TLS.
    #[arg(long, env = "ATELIER_TLS_CERT_FILE", requires = "tls_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    /// A file with the key of that certificate, in PEM. Both are read again when they change.
    #[arg(long, env = "ATELIER_TLS_KEY_FILE", requires = "tls_cert_file")]
    pub tls_key_file: Option<PathBuf>,
    /// Where to serve probes and metrics.
    #[arg(long, env = "ATELIER_ADMIN_LISTEN", default_value_t = any(ports::GATEWAY_ADMIN))]
    pub admin_listen: SocketAddr,
    /// The audience that tokens must be issued for.
    #[arg(long, env = "ATELIER_AUDIENCE", default_value = AUDIENCE)]
    pub audience: String,
    /// The namespace whose Secrets of type atelier.dev/api-key hold API keys. Default: no API keys.
    #[arg(long, env = "ATELIER_API_KEYS_NAMESPACE")]
    pub api_keys_namespace: Option<String>,
    /// A JSON file with the OpenID Connect issuers whose tokens count as well. Default: none.
    #[arg(long, env = "ATELIER_OIDC_FILE")]
    pub oidc_file: Option<PathBuf>,
    /// The Service of all gateways, `namespace/name`: they count together what callers use. Default: each counts by itself.
    #[arg(long, env = "ATELIER_PEERS_SERVICE", requires_all = ["pod_ip", "peers_token_file"])]
    pub peers_service: Option<PeersService>,
    /// The address of this gateway, as that Service has it.
    #[arg(long, env = "ATELIER_POD_IP")]
    pub pod_ip: Option<IpAddr>,
    /// A file with a token of the gateways' ServiceAccount, which they show each other.
    #[arg(long, env = "ATELIER_PEERS_TOKEN_FILE")]
    pub peers_token_file: Option<PathBuf>,
    /// Largest request body in bytes.
    #[arg(long, env = "ATELIER_MAX_BODY_BYTES", default_value_t = BodyLimits::default().size)]
    pub max_body_bytes: usize,
    /// Memory for all request bodies held at once, in bytes.
    #[arg(long, env = "ATELIER_MAX_BODY_MEMORY", default_value_t = BodyLimits::default().total)]
    pub max_body_memory: usize,
    /// Requests that may wait for the first worker of a model that has none while nobody asks.
    #[arg(long, env = "ATELIER_MAX_HELD", default_value_t = 1024)]
    pub max_held: usize,
    /// The zone of this gateway: workers there come first. Default: all zones are alike.
    #[arg(long, env = "ATELIER_ZONE")]
    pub zone: Option<String>,
    /// Connections open at once.
    #[arg(long, env = "ATELIER_MAX_CONNECTIONS", default_value_t = ServerSettings::default().max_connections)]
    pub max_connections: usize,
    /// Send a request whose answer is late to a second worker as well: a stream, or vectors, that took longer to begin than
    /// 95 of 100 before. What begins first is the answer.
    #[arg(long, env = "ATELIER_HEDGE")]
    pub hedge: bool,
    /// Seconds a request may take to begin its answer, unless its client says less by `Prefer: wait=SECONDS`.
    #[arg(long, env = "ATELIER_FIRST_BYTE_TIMEOUT", default_value_t = UpstreamTimeouts::default().first_byte.as_secs())]
    pub first_byte_timeout: u64,
    /// Seconds a worker may fall silent within an answer.
    #[arg(long, env = "ATELIER_IDLE_TIMEOUT", default_value_t = UpstreamTimeouts::default().idle.as_secs())]
    pub idle_timeout: u64,
    /// Memory for the indexes of Rooms, in bytes. What does not fit is read again when it is asked for.
    #[arg(long, env = "ATELIER_ROOMS_INDEX_MEMORY", default_value_t = rooms::INDEX_MEMORY)]
    pub rooms_index_memory: usize,
    /// Networks of proxies that are believed when they say, by X-Forwarded-For, where a request comes from, in CIDR
    /// notation, separated by commas: for Rooms that may be entered from some networks only. Default: none.
    #[arg(long, env = "ATELIER_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<rooms::Cidr>,
    /// The namespace of the operator's Lease: while nobody renews it, no requests are copied for ShadowDeployments. Default:
    /// the gateway's own.
    #[arg(long, env = "ATELIER_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Seconds to go on accepting connections after SIGTERM.
    #[arg(long, env = "ATELIER_DRAIN_DELAY", default_value_t = ServerSettings::default().drain_delay.as_secs())]
    pub drain_delay: u64,
    /// Seconds after SIGTERM at which the last request is cut off.
    #[arg(long, env = "ATELIER_DRAIN_DEADLINE", default_value_t = ServerSettings::default().drain_deadline.as_secs())]
    pub drain_deadline: u64,
}

/// A Service by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeersService {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl FromStr for PeersService {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => Ok(Self {
                namespace: namespace.into(),
                name: name.into(),
            }),
            _ => Err("expected namespace/name"),
        }
    }
}

fn any(port: u16) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], port))
}

/// How long a worker is waited for when the model claims to be ready: longer than the news of a
/// roll-out is on its way, shorter than a client's patience.
const PATIENCE: Duration = Duration::from_secs(5);

impl Args {
    /// How requests are handled.
    ///
    /// # Errors
    /// When a file cannot be used, or options make no sense.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let issuers = self.oidc_file.as_deref().map(settings::read).transpose()?;
        let audit = self.audit.recorder()?;
        let database = match (audit.database(), &self.audit.database_url_file) {
            (None, Some(_)) => Some(self.audit.database()?),
            (database, _) => database.cloned(),
        };
        Ok(Settings {
            audience: self.audience.clone(),
            issuers: Issuers::new(issuers.unwrap_or_default())?,
            bodies: BodyLimits {
                size: self.max_body_bytes,
                total: self.max_body_memory.max(self.max_body_bytes),
                ..BodyLimits::default()
            },
            upstream: UpstreamTimeouts {
                first_byte: Duration::from_secs(self.first_byte_timeout),
                idle: Duration::from_secs(self.idle_timeout),
                ..UpstreamTimeouts::default()
            },
            patience: PATIENCE,
            max_held: self.max_held,
            zone: self.zone.clone().filter(|zone| !zone.is_empty()),
            origins: Origins::default(),
            providers_on_loopback: false,
            hedges: self.hedge,
            database,
            audit,
            rooms: rooms::Settings {
                index_memory: self.rooms_index_memory,
                trusted_proxies: self.trusted_proxies.clone(),
            },
        })
    }

    /// What is spoken with callers.
    ///
    /// # Errors
    /// When the files hold no certificate with its key.
    pub fn tls(&self) -> anyhow::Result<Option<Tls>> {
        let files = self.tls_cert_file.clone().zip(self.tls_key_file.clone());
        let files = files.map(|(certificate, key)| Files { certificate, key });
        files.map(Tls::read).transpose()
    }

    /// The other gateways, and the token that all show each other.
    ///
    /// # Errors
    /// When they cannot be reached, for want of a client.
    pub fn peers(&self) -> anyhow::Result<(Peers, Option<Token>)> {
        let (Some(own), Some(file)) = (self.pod_ip, self.peers_token_file.clone()) else {
            return Ok((Peers::alone(), None));
        };
        let token = peers::token_in(file);
        let link = Link {
            own,
            port: self.admin_listen.port(),
            token: token.clone(),
        };
        Ok((Peers::linked(link)?, Some(token)))
    }

    /// How connections are handled.
    pub fn server_settings(&self, protocol: Protocol) -> ServerSettings {
        ServerSettings {
            protocol,
            max_connections: self.max_connections,
            drain_delay: Duration::from_secs(self.drain_delay),
            drain_deadline: Duration::from_secs(self.drain_deadline),
            ..ServerSettings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
        let args = Args::parse_from(["atelier-gateway", "--max-body-bytes", "999999999"]);
        assert_eq!(args.listen.port(), 8080);
        assert_eq!(args.admin_listen.port(), 9090);
        assert!(args.settings().unwrap().bodies.total >= 999_999_999);
    }
}
