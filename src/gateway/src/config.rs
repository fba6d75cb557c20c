//! Command line and environment.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use api::names::AUDIENCE;
use clap::Parser;
use protocol::ports;

use crate::{
    audit::{self, AuditArgs},
    body::BodyLimits,
    oidc::{Issuers, settings},
    provider::Origins,
    routes::Settings,
    server::ServerSettings,
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
    /// Largest request body in bytes.
    #[arg(long, env = "ATELIER_MAX_BODY_BYTES", default_value_t = BodyLimits::default().size)]
    pub max_body_bytes: usize,
    /// Memory for all request bodies held at once, in bytes.
    #[arg(long, env = "ATELIER_MAX_BODY_MEMORY", default_value_t = BodyLimits::default().total)]
    pub max_body_memory: usize,
    /// Requests that may wait for the first worker of a model that has none while nobody asks.
    #[arg(long, env = "ATELIER_MAX_HELD", default_value_t = 1024)]
    pub max_held: usize,
    /// Connections open at once.
    #[arg(long, env = "ATELIER_MAX_CONNECTIONS", default_value_t = ServerSettings::default().max_connections)]
    pub max_connections: usize,
    /// Seconds a worker may take to begin its answer.
    #[arg(long, env = "ATELIER_FIRST_BYTE_TIMEOUT", default_value_t = UpstreamTimeouts::default().first_byte.as_secs())]
    pub first_byte_timeout: u64,
    /// Seconds a worker may fall silent within an answer.
    #[arg(long, env = "ATELIER_IDLE_TIMEOUT", default_value_t = UpstreamTimeouts::default().idle.as_secs())]
    pub idle_timeout: u64,
    /// Seconds to go on accepting connections after SIGTERM.
    #[arg(long, env = "ATELIER_DRAIN_DELAY", default_value_t = ServerSettings::default().drain_delay.as_secs())]
    pub drain_delay: u64,
    /// Seconds after SIGTERM at which the last request is cut off.
    #[arg(long, env = "ATELIER_DRAIN_DEADLINE", default_value_t = ServerSettings::default().drain_deadline.as_secs())]
    pub drain_deadline: u64,
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
            origins: Origins::default(),
            providers_on_loopback: false,
            audit: self.audit.recorder()?,
        })
    }

    /// How connections are handled.
    pub fn server_settings(&self) -> ServerSettings {
        ServerSettings {
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
