//! The gateway in front of a worker: real sockets, and a cluster with one caller who may do everything.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;
use api::names::{LABEL_MODEL, LABEL_VERSION};
use futures::{FutureExt as _, future::BoxFuture};
use gateway::{
    audit::Recorder,
    body::BodyLimits,
    cache::Unavailable,
    catalog::{Catalog, Model, Readiness},
    hosted::{KeyName, NoKey, Secret, SecretReader},
    identity::Identity,
    keys::Keys,
    limits::{Limits, peers::Peers},
    metrics::Metrics,
    oidc::Issuers,
    provider::Origins,
    review::{Access, Reviewer},
    rooms,
    routes::{Gateway, Settings, router},
    server::{self, ServerSettings},
    upstream::UpstreamTimeouts,
};
use serde_json::json;
use telemetry::Tracing;
use tokio::{net::TcpListener, task::AbortHandle};

const VERSION: &str = "v-0123456789";

/// Knows one caller, who may do everything.
struct Everyone;

impl Reviewer for Everyone {
    fn review_token(&self, token: String) -> BoxFuture<'static, Result<Option<Identity>, Unavailable>> {
        let jane = || Identity::new("jane".into(), String::new(), Vec::new(), BTreeMap::new());
        std::future::ready(Ok((token == "good").then(jane))).boxed()
    }

    fn review_access(&self, _: &Identity, _: &Access) -> BoxFuture<'static, Result<bool, Unavailable>> {
        std::future::ready(Ok(true)).boxed()
    }
}

/// There are no Secrets.
struct NoSecrets;

impl SecretReader for NoSecrets {
    fn read_bytes(&self, _: &KeyName) -> BoxFuture<'static, Result<Vec<u8>, NoKey>> {
        std::future::ready(Err(NoKey::NoSecret)).boxed()
    }

    fn account_token(&self, _: &str, _: &str, _: &'static str) -> BoxFuture<'static, Result<Secret, NoKey>> {
        std::future::ready(Err(NoKey::NoSecret)).boxed()
    }
}

/// A gateway that knows the model `ns/m`, which one worker serves. The caller's token is `good`.
pub struct Front {
    /// Where it serves the API.
    pub address: SocketAddr,
    serving: AbortHandle,
}

impl Front {
    /// In front of the worker at that address.
    pub async fn start(worker: SocketAddr, tracing: Tracing) -> Result<Self> {
        let catalog = Arc::new(Catalog::default());
        catalog.apply_model(model());
        catalog.apply_slice(&serde_json::from_value(json!({
            "addressType": "IPv4",
            "metadata": {"name": "m", "namespace": "ns", "labels": {LABEL_MODEL: "m", LABEL_VERSION: VERSION}},
            "ports": [{"port": worker.port()}],
            "endpoints": [{"addresses": [worker.ip().to_string()]}],
        }))?);
        let settings = Settings {
            audience: "atelier".into(),
            issuers: Issuers::default(),
            bodies: BodyLimits::default(),
            upstream: UpstreamTimeouts::default(),
            patience: Duration::from_secs(30),
            max_held: 1,
            zone: None,
            origins: Origins::default(),
            providers_on_loopback: false,
            hedges: false,
            database: None,
            audit: Recorder::default(),
            rooms: rooms::Settings::default(),
        };
        let (keys, peers) = (Arc::new(Keys::unread()), Arc::new(Peers::alone()));
        let (reviewer, secrets, metrics) = (Arc::new(Everyone), Arc::new(NoSecrets), Metrics::default());
        let gateway = Gateway::new(settings, catalog, reviewer, keys, secrets, peers, metrics)?;
        let router = router(Arc::new(gateway.traced_by(tracing)));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let settings = ServerSettings::default();
        let serving = server::serve(listener, router, None, settings, std::future::pending(), || {});
        let serving = tokio::spawn(serving).abort_handle();
        Ok(Self { address, serving })
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn model() -> Model {
    Model {
        namespace: "ns".into(),
        name: "m".into(),
        task: Some(api::llmmodel::Task::Generate),
        created: 0,
        current_version: Some(VERSION.into()),
        canary: None,
        adapters: Vec::new(),
        readiness: Readiness {
            ready: true,
            reason: "Serving".into(),
            message: String::new(),
        },
        hold: None,
        hosted: None,
        limits: Limits::default(),
        fallback: Vec::new(),
        guards: None,
    }
}
