//! The gateway, as whoever fills a Room speaks to it, and whoever tests one.

pub(crate) mod call;
mod embed;
mod fill;

use std::path::PathBuf;
use std::time::Duration;

use protocol::PrepareFailure;
use protocol::ingest::GatewayAccess;
use protocol::report::reasons;

use crate::failure::{Result, invalid};

pub use embed::{Embedder, Unembedded};
pub use fill::Filling;

/// Another writer fills the Room.
pub const SUPERSEDED: &str = "IngestionSuperseded";
/// The gateway cannot be reached, or takes nothing.
pub const GATEWAY_FAILED: &str = "GatewayFailed";

/// Longest wait for a connection, and for an answer: a batch of texts takes a model a while.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(300);

/// How patient it is with a gateway or a model that is not there.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Tries.
    pub attempts: u32,
    /// Wait after the first one; each other one is twice as long.
    pub first: Duration,
    /// Longest one.
    pub longest: Duration,
}

impl Default for Patience {
    /// Some four minutes: a model that starts, a gateway that is replaced.
    fn default() -> Self {
        Self {
            attempts: 14,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
        }
    }
}

/// The gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    client: reqwest::Client,
    /// Without a slash at its end.
    root: String,
    token_file: PathBuf,
    patience: Patience,
}

impl Gateway {
    /// The gateway of a plan.
    ///
    /// # Errors
    /// When its certificates are none.
    pub fn new(access: &GatewayAccess, patience: Patience) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            // It leads nowhere else, and the token is for nobody else.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("atelier-data/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &access.ca {
            let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
            let certificates =
                certificates.map_err(|error| invalid(format!("failed to read the gateway's certificates: {error}")))?;
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = builder.build().map_err(|error| {
            PrepareFailure::new(
                reasons::INTERNAL,
                format!("failed to make a client of the gateway: {error}"),
                true,
            )
        })?;
        Ok(Self {
            client,
            root: access.url.trim_end_matches('/').to_owned(),
            token_file: access.token_file.clone(),
            patience,
        })
    }
}
